//! How a parameter of a request spells what an ARN spells otherwise.

/// A text of an ARN with a parameter's value in place, as the ARN has it.
pub(super) fn spelt(text: &str, value: &str) -> String {
    let begun = |kind: &str| text.strip_suffix(kind);
    if value.starts_with("https://") || value.starts_with("http://") {
        return of_url(text, value);
    }
    if let Some(before) = begun("key/").filter(|_| value.starts_with("alias/")) {
        return format!("{before}{value}");
    }
    // "FunctionName" (AWS Lambda API Reference): a partial ARN names its account.
    if let Some(before) = begun("function:")
        && let Some((account, function)) = value.split_once(":function:")
    {
        return format!("{}function:{function}", in_account(before, account));
    }
    // "Target" of StartSession (AWS Systems Manager API Reference): servers elsewhere are resources of its own.
    if let Some(before) = begun("instance/").filter(|_| value.starts_with("mi-")) {
        return format!("{}managed-instance/{value}", before.replacen(":ec2:", ":ssm:", 1));
    }
    // "Id" (Amazon Route 53 API Reference): answers carry it with its kind, and requests take it so.
    if let Some(id) =
        value.trim_start_matches('/').strip_prefix("hostedzone/").filter(|_| text.ends_with("hostedzone/"))
    {
        return format!("{text}{id}");
    }
    // "DBInstanceIdentifier" and the like (Amazon RDS API Reference): "This parameter is stored as a lowercase string".
    if text.split(':').nth(2) == Some("rds") {
        return format!("{text}{}", value.to_ascii_lowercase());
    }
    // Names may begin with a slash, which the ARN has already.
    format!("{text}{}", if text.ends_with('/') { value.trim_start_matches('/') } else { value })
}

/// A queue's URL ends in its account and its name.
fn of_url(text: &str, url: &str) -> String {
    let mut parts = url.rsplit('/');
    let (name, account) = (parts.next().unwrap_or(url), parts.next().unwrap_or_default());
    format!("{}{name}", in_account(text, account))
}

/// The beginning of an ARN, with another account where that is one.
fn in_account(text: &str, account: &str) -> String {
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts: Vec<&str> = text.split(':').collect();
    match parts.get_mut(4).filter(|own| is_account && !own.is_empty()) {
        Some(own) => *own = account,
        None => return text.to_owned(),
    }
    parts.join(":")
}

/// Rules of the default event bus are named without it. Source: "Resource types defined by Amazon EventBridge" (Service
/// Authorization Reference).
pub(super) fn on_default_bus(arn: String) -> String {
    match arn.split_once(":rule/default/") {
        Some((before, rule)) if before.contains(":events:") => format!("{before}:rule/{rule}"),
        _ => arn,
    }
}

/// What tells the kind of a resource whose record does not: its service, and how its name begins.
pub(super) fn begins(arn: &str) -> (&str, &str) {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, name) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    (service, name.split(['/', ':']).next().filter(|kind| kind.len() < name.len()).unwrap_or_default())
}

/// Whether two ARNs may be spellings of one: of a role with and without its path, of a rule with and without its bus.
pub(super) fn may_be_one(a: &str, b: &str) -> bool {
    let named = |arn: &str| arn.contains(":role/") || arn.contains(":rule/");
    named(a) && named(b) && a.rsplit('/').next() == b.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_as_arns_have_them() {
        let own = |service: &str, rest: &str| format!("arn:aws:{service}:r:111122223333:{rest}");
        for (text, value, want) in [
            (own("lambda", "function:"), "f", own("lambda", "function:f")),
            (own("lambda", "function:"), "f:live", own("lambda", "function:f:live")),
            (
                own("lambda", "function:"),
                "444455556666:function:f:live",
                own("lambda", "function:f:live").replace("111122223333", "444455556666"),
            ),
            (own("kms", "key/"), "alias/a", own("kms", "alias/a")),
            (own("ssm", "parameter/"), "/a/b", own("ssm", "parameter/a/b")),
            (own("sqs", ""), "https://queue.amazonaws.com/111122223333/q", own("sqs", "q")),
            (own("sqs", ""), "https://localhost:4566/queue/q", own("sqs", "q")),
            ("arn:aws:route53:::hostedzone/".into(), "/hostedzone/Z1", "arn:aws:route53:::hostedzone/Z1".into()),
            ("arn:aws:route53:::hostedzone/".into(), "Z1", "arn:aws:route53:::hostedzone/Z1".into()),
        ] {
            assert_eq!(spelt(&text, value), want, "{value}");
        }
        let arn = "arn:aws:ssm:r:1:rule/default/x";
        assert_eq!(on_default_bus(arn.to_owned()), arn);
    }
}
