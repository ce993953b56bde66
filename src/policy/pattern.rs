//! Resource patterns: ARNs with wildcards, parsed into their parts.
//!
//! Wildcards match within a part of the ARN; only the last part (the resource) may hold colons. An ARN with fewer
//! than six parts is completed with `*`. Source: IAM User Guide, "IAM JSON policy elements: Resource".

use std::fmt;

use super::wild::{Variable, Wild};

/// A pattern over resource ARNs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArnPattern {
    /// `*`: every resource, also for actions that know none.
    Any,
    /// An ARN in its parts.
    Arn(Box<ArnParts>),
    /// A text that is neither (a placeholder, say): it is compared as a whole.
    Other(Wild),
}

/// The parts of an ARN pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArnParts {
    /// `aws`, `aws-cn`, `*`, ….
    pub partition: Wild,
    /// Service namespace.
    pub service: Wild,
    /// Region.
    pub region: Wild,
    /// Account.
    pub account: Wild,
    /// All after the fifth colon.
    pub resource: Wild,
}

impl ArnParts {
    /// Partition, service, region, account, resource.
    #[must_use]
    pub const fn parts(&self) -> [&Wild; 5] {
        [&self.partition, &self.service, &self.region, &self.account, &self.resource]
    }
}

impl ArnPattern {
    /// Parses a pattern; `variables` as for [`Wild::parse`].
    #[must_use]
    pub fn parse(text: &str, variables: bool) -> Self {
        let whole = Wild::parse(text, variables);
        if whole.is_any() {
            return Self::Any;
        }
        let mut parts = split(text, variables).into_iter();
        if parts.next() != Some("arn") {
            return Self::Other(whole);
        }
        let mut next = || parts.next().map_or_else(Wild::any, |part| Wild::parse(part, variables));
        Self::Arn(Box::new(ArnParts {
            partition: next(),
            service: next(),
            region: next(),
            account: next(),
            resource: next(),
        }))
    }

    /// Whether it is `*`.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// Whether the ARN (or `*`, where a request names no resource) matches; a variable may hold any text.
    #[must_use]
    pub fn matches(&self, resource: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Other(whole) => whole.matches(resource),
            Self::Arn(pattern) => {
                let mut parts = resource.splitn(6, ':');
                parts.next() == Some("arn")
                    && pattern.parts().into_iter().all(|wild| parts.next().is_some_and(|part| wild.matches(part)))
            }
        }
    }

    /// Whether the parts of an ARN (partition, service, region, account, resource; none where the text is no ARN)
    /// match once variables have their values; none where that depends on a value that is not known.
    pub fn matches_with(
        &self,
        text: &str,
        parts: Option<&[&str; 5]>,
        value: &impl Fn(&str) -> Variable,
    ) -> Option<bool> {
        match (self, parts) {
            (Self::Any, _) => Some(true),
            (Self::Other(whole), _) => whole.matches_with(text, value),
            (Self::Arn(_), None) => Some(false),
            (Self::Arn(pattern), Some(parts)) => {
                let mut known = true;
                // The resource part differs most often.
                for (wild, part) in pattern.parts().into_iter().zip(parts).rev() {
                    match wild.matches_with(part, value) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => known = false,
                    }
                }
                known.then_some(true)
            }
        }
    }

    /// The keys of its variables, each with its default.
    pub fn variables(&self) -> Vec<(&str, Option<&str>)> {
        match self {
            Self::Any => Vec::new(),
            Self::Other(whole) => whole.variables().collect(),
            Self::Arn(parts) => parts.parts().into_iter().flat_map(Wild::variables).collect(),
        }
    }

    /// Whether it surely matches all that the other may match.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Arn(mine), Self::Arn(theirs)) => {
                mine.parts().into_iter().zip(theirs.parts()).all(|(mine, theirs)| mine.covers(theirs))
            }
            (Self::Other(mine), Self::Other(theirs)) => mine.covers(theirs),
            _ => false,
        }
    }

    /// Whether some resource may be matched by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Arn(mine), Self::Arn(theirs)) => {
                mine.parts().into_iter().zip(theirs.parts()).all(|(mine, theirs)| mine.overlaps(theirs))
            }
            (Self::Other(mine), Self::Other(theirs)) => mine.overlaps(theirs),
            (Self::Other(whole), arn @ Self::Arn(_)) | (arn @ Self::Arn(_), Self::Other(whole)) => {
                whole.overlaps(&Wild::parse(&arn.to_string(), true))
            }
        }
    }
}

/// At most six parts at colons outside of `${…}`.
fn split(text: &str, variables: bool) -> Vec<&str> {
    let mut parts = Vec::with_capacity(6);
    let mut start = 0;
    let mut inside = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            // Without its end it is no variable.
            '{' if variables && before == '$' => inside = text.get(at..).is_some_and(|rest| rest.contains('}')),
            '}' => inside = false,
            ':' if !inside && parts.len() < 5 => {
                parts.push(text.get(start..at).unwrap_or(""));
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(text.get(start..).unwrap_or(""));
    parts
}

impl fmt::Display for ArnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Other(whole) => write!(f, "{whole}"),
            Self::Arn(arn) => {
                f.write_str("arn")?;
                arn.parts().into_iter().try_for_each(|part| write!(f, ":{part}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> ArnPattern {
        ArnPattern::parse(text, true)
    }

    #[test]
    fn matching_by_parts() {
        for (text, resource, want) in [
            ("*", "*", true),
            ("*", "arn:aws:s3:::b", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:with:colons", true),
            ("arn:aws:s3:::b*", "arn:aws:s3:::b/k", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", false),
            ("arn:aws:s3:::*", "*", false),
            ("arn:aws:sqs", "arn:aws:sqs:eu-west-1:1:q", true),
            ("arn:aws:sqs:*", "arn:aws:sqs:eu-west-1:1:q", true),
            ("arn:*:iam::1:role/x", "arn:aws-cn:iam::1:role/x", true),
            ("arn:aws*:role/x", "arn:aws:iam::1:role/x", false),
            ("arn:aws:iam::*:role/a?min", "arn:aws:iam::1:role/admin", true),
            ("arn:aws:iam::*:role/Admin", "arn:aws:iam::1:role/admin", false),
            ("arn:aws:iam::1:user/${aws:username}", "arn:aws:iam::1:user/ann", true),
            ("<placeholder>", "arn:aws:s3:::b", false),
        ] {
            assert_eq!(pattern(text).matches(resource), want, "{text} on {resource}");
        }
    }

    #[test]
    fn covering_and_overlapping() {
        for (p, q, covers, overlaps) in [
            ("*", "arn:aws:s3:::b", true, true),
            ("arn:aws:s3:::*", "*", false, true),
            ("arn:aws:s3:::foo*", "arn:aws:s3:::*bar", false, true),
            ("arn:aws:s3:::foo*", "arn:aws:s3:::foo/bar", true, true),
            ("arn:aws:s3:::foo", "arn:aws:s3:::bar", false, false),
            ("arn:aws:s3:::*", "arn:aws:sqs:*:*:*", false, false),
            ("arn:*:s3:::*", "arn:aws-cn:s3:::b/k", true, true),
            ("arn:aws:iam::*:role/*", "arn:aws:iam::1:role/${aws:PrincipalTag/x}", true, true),
            ("arn:aws:iam::1:role/${aws:PrincipalTag/x}", "arn:aws:iam::1:role/y", false, true),
        ] {
            assert_eq!(pattern(p).covers(&pattern(q)), covers, "{p} covers {q}");
            assert_eq!(pattern(p).overlaps(&pattern(q)), overlaps, "{p} overlaps {q}");
        }
    }

    fn arns() -> impl Strategy<Value = String> {
        ("(aws|\\*)", "(s3|s\\*|iam)", "[ab*]{0,1}", "[12*]{0,1}", "[ab:*?]{1,3}").prop_map(
            |(partition, service, region, account, resource)| {
                format!("arn:{partition}:{service}:{region}:{account}:{resource}")
            },
        )
    }

    /// All ARNs of a small world.
    fn world() -> Vec<String> {
        let mut resources = vec![String::new()];
        let mut last = resources.clone();
        for _ in 0..4 {
            last = last.iter().flat_map(|text| ['a', 'b', ':', 'z'].map(|c| format!("{text}{c}"))).collect();
            resources.extend(last.iter().cloned());
        }
        let mut out = Vec::new();
        for service in ["s3", "sz", "iam"] {
            for region in ["", "a", "b", "zz"] {
                for account in ["", "1", "2", "zz"] {
                    for resource in &resources {
                        out.push(format!("arn:aws:{service}:{region}:{account}:{resource}"));
                    }
                }
            }
        }
        for resource in &resources {
            out.push(format!("arn:az:s3:::{resource}"));
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn agrees_with_the_world(p in arns(), q in arns()) {
            let (p, q) = (pattern(&p), pattern(&q));
            let both: Vec<(bool, bool)> = world().iter().map(|arn| (p.matches(arn), q.matches(arn))).collect();
            if p.covers(&q) {
                prop_assert!(both.iter().all(|(in_p, in_q)| *in_p || !in_q), "{} covers {}", p, q);
            }
            prop_assert_eq!(p.overlaps(&q), both.iter().any(|(in_p, in_q)| *in_p && *in_q), "{} and {}", p, q);
        }
    }
}
