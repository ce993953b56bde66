//! Changes JSON as a tree, so that most inputs stay policies or cases. The byte-wise changes of libFuzzer do the rest.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::Value;

/// Words that mean something in policies and requests.
const WORDS: &[&str] = &[
    "*",
    "?",
    "",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "10",
    "2.5",
    "1e3",
    "0.1",
    "x",
    "a",
    "A",
    "ab",
    "aB",
    "a*",
    "*a",
    "a?b",
    "s3:GetObject",
    "s3:Get*",
    "s3:PutObject",
    "*:*",
    "iam:PassRole",
    "iam:*",
    "kms:Decrypt",
    "kms:*",
    "kms:CreateGrant",
    "sts:AssumeRole",
    "sts:TagSession",
    "sts:AssumeRoleWithSAML",
    "sts:AssumeRoleWithWebIdentity",
    "sts:GetCallerIdentity",
    "sts:GetSessionToken",
    "sqs:SendMessage",
    "ec2:DescribeTags",
    "nosuch:Thing",
    "lambda:InvokeFunction",
    "arn:aws:s3:::acme",
    "arn:aws:s3:::acme/*",
    "arn:aws:s3:::acme/home/${aws:username}/*",
    "arn:aws:s3:::${aws:PrincipalTag/team, 'x'}",
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::111122223333:user/team/bob",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/app",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::444455556666:role/other",
    "arn:aws:iam::444455556666:root",
    "arn:aws:sts::111122223333:assumed-role/app/s1",
    "arn:aws:sts::111122223333:federated-user/fed",
    "arn:aws:iam::111122223333:saml-provider/corp",
    "arn:aws:iam::111122223333:oidc-provider/token.example.com",
    "arn:aws:kms:eu-west-1:111122223333:key/0a1b",
    "arn:aws:sqs:eu-west-1:111122223333:q",
    "arn:aws:lambda:*:*:function:*",
    "arn:aws-cn:s3:::b",
    "arn:*:*:*:*:*",
    "arn",
    "111122223333",
    "444455556666",
    "AROAEXAMPLE123456789",
    "ec2.amazonaws.com",
    "corp.example.com",
    "Allow",
    "Deny",
    "2012-10-17",
    "2008-10-17",
    "${aws:username}",
    "${aws:PrincipalTag/team}",
    "${*}",
    "${?}",
    "${$}",
    "${",
    "}",
    "$",
    "aws:username",
    "aws:SourceIp",
    "aws:PrincipalTag/team",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:RequestedRegion",
    "aws:TagKeys",
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:SecureTransport",
    "aws:MultiFactorAuthPresent",
    "aws:SourceVpce",
    "aws:MultiFactorAuthAge",
    "aws:ResourceAccount",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgPaths",
    "s3:prefix",
    "10.0.0.0/8",
    "10.1.2.3",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.5Z",
    "2026-01-01T01:00:00+01:00",
    "1767225600",
    "2026",
    "2026-02",
    "eu-west-1",
    "us-east-1",
    "é",
    "\u{130}",
    "ß",
    "o-1/r-1/ou-1/",
];

/// Names of operators, which have a place of their own.
const OPERATORS: &[&str] = &[
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// Fields with values that they may have; an empty value stands for a condition made anew.
const FIELDS: &[(&str, &str)] = &[
    ("Condition", ""),
    ("Condition", ""),
    ("Principal", r#""*""#),
    ("Principal", r#"{"AWS":"arn:aws:iam::111122223333:root"}"#),
    ("Principal", r#"{"AWS":["arn:aws:iam::111122223333:role/app","arn:aws:iam::111122223333:user/alice"]}"#),
    ("NotPrincipal", r#"{"AWS":["arn:aws:iam::111122223333:role/app","111122223333"]}"#),
    ("Principal", r#"{"Service":"ec2.amazonaws.com"}"#),
    ("Principal", r#"{"CanonicalUser":"79a59d"}"#),
    ("NotAction", r#"["iam:*"]"#),
    ("Action", r#""*""#),
    ("Resource", r#""*""#),
    ("NotResource", r#"["arn:aws:s3:::acme/*"]"#),
    ("Sid", r#""S""#),
    (
        "permission_boundaries",
        r#"[{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}]"#,
    ),
    ("session_policy", r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#),
    (
        "scps",
        r#"[{"org_identifier":"r-1","policies":[{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}]}]"#,
    ),
    (
        "rcps",
        r#"[{"org_identifier":"r-1","policies":[{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}]}]"#,
    ),
    (
        "resource_policy",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#,
    ),
    ("vpc_endpoint_policies", r#"[{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}]"#),
    ("resource_policy_unknown", "true"),
    ("principal_role_arn", r#""arn:aws:iam::111122223333:role/path/app""#),
    ("resource_account", r#""444455556666""#),
    ("principal_account_is_management", "true"),
    ("resource_account_is_management", "true"),
    ("unknown_context", r#"["aws:SourceIp","aws:PrincipalTag/team"]"#),
    ("context", r#"{"aws:SourceIp":"10.1.2.3","aws:TagKeys":["a","b"]}"#),
    ("principal", r#"{"type":"Service","name":"ec2.amazonaws.com"}"#),
    ("principal", r#"{"type":"Anonymous"}"#),
];

/// A small generator of numbers: the same seed, the same numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// From a text.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::new(
            bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            }),
        )
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound; zero where the bound is.
    pub const fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// A libFuzzer mutator for JSON.
pub fn json(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random::new(u64::from(seed));
    if random.below(8) > 0
        && let Some(tree) = data.get(..size).and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
    {
        let mut tree = tree;
        for _ in 0..=random.below(3) {
            change(&mut tree, &mut random);
        }
        let text = tree.to_string();
        if text.len() <= max_size.min(data.len()) {
            data[..text.len()].copy_from_slice(text.as_bytes());
            return text.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn node<'v>(value: &'v mut Value, at: &mut usize) -> Option<&'v mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|one| node(one, at)),
        Value::Object(fields) => fields.values_mut().find_map(|one| node(one, at)),
        _ => None,
    }
}

fn condition(random: &mut Random) -> Value {
    let prefix = random.pick(&["", "", "", "ForAnyValue:", "ForAllValues:"]);
    let suffix = random.pick(&["", "", "", "IfExists"]);
    let name = format!("{prefix}{}{suffix}", random.pick(OPERATORS));
    let keys: Vec<&str> = WORDS.iter().copied().filter(|word| word.starts_with("aws:")).collect();
    let values: Vec<Value> = (0..=random.below(2)).map(|_| random.pick(WORDS).into()).collect();
    let mut fields = serde_json::Map::new();
    fields.insert(random.pick(&keys).to_owned(), Value::Array(values));
    let mut out = serde_json::Map::new();
    out.insert(name, Value::Object(fields));
    Value::Object(out)
}

fn change(tree: &mut Value, random: &mut Random) {
    let total = count(tree);
    let other = node(tree, &mut random.below(total)).map(|value| value.clone());
    let Some(target) = node(tree, &mut random.below(total)) else { return };
    match target {
        Value::String(text) => match random.below(6) {
            0 | 1 => *text = random.pick(WORDS).to_owned(),
            2 => {
                let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
                text.insert_str(ends[random.below(ends.len())], random.pick(WORDS));
            }
            3 => {
                let mut chars: Vec<char> = text.chars().collect();
                if !chars.is_empty() {
                    let at = random.below(chars.len());
                    match random.below(4) {
                        0 => drop(chars.remove(at)),
                        1 => {
                            chars[at] = random.pick(&["*", "?", ":", "/", "$", "{", "}"]).chars().next().unwrap_or('*')
                        }
                        2 if chars[at].is_ascii_lowercase() => chars[at] = chars[at].to_ascii_uppercase(),
                        2 => chars[at] = chars[at].to_ascii_lowercase(),
                        _ => chars.truncate(at),
                    }
                }
                *text = chars.into_iter().collect();
            }
            4 => *target = Value::Array(vec![target.take(), random.pick(WORDS).into()]),
            _ => {
                if let Some(other) = other {
                    *target = other;
                }
            }
        },
        Value::Array(list) => match random.below(4) {
            0 if !list.is_empty() => drop(list.remove(random.below(list.len()))),
            1 if !list.is_empty() => {
                let one = list[random.below(list.len())].clone();
                list.push(one);
            }
            2 if list.len() > 1 => {
                let (a, b) = (random.below(list.len()), random.below(list.len()));
                list.swap(a, b);
            }
            _ => list.push(other.unwrap_or_else(|| random.pick(WORDS).into())),
        },
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = names.get(random.below(names.len())).cloned();
            match (random.below(6), name) {
                (0, Some(name)) => drop(fields.shift_remove(&name)),
                (1, Some(name)) => {
                    // The same value under another name.
                    let value = fields.shift_remove(&name).unwrap_or(Value::Null);
                    let list = if OPERATORS.iter().any(|operator| name.contains(operator)) { OPERATORS } else { WORDS };
                    fields.insert(random.pick(list).to_owned(), value);
                }
                (2, Some(name)) => {
                    if let Some(other) = other {
                        fields.insert(name, other);
                    }
                }
                (3, _) => {
                    fields.insert(random.pick(WORDS).to_owned(), random.pick(WORDS).into());
                }
                _ => {
                    let (name, value) = FIELDS[random.below(FIELDS.len())];
                    let value = serde_json::from_str(value).unwrap_or_else(|_| condition(random));
                    match (fields.get_mut(name), value) {
                        (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                        (_, value) => drop(fields.insert(name.to_owned(), value)),
                    }
                }
            }
        }
        scalar => {
            *scalar = match random.below(4) {
                0 => Value::Bool(random.below(2) == 0),
                1 => Value::from(random.below(100)),
                2 => random.pick(WORDS).into(),
                _ => other.unwrap_or(Value::Null),
            };
        }
    }
}
