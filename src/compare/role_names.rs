//! What records call a role otherwise than by its ARN: without its path, or by an instance profile that carries it.

use std::collections::HashMap;

/// Spellings of roles. Names are unique in an account whatever the path. Source: "IAM identifiers" (IAM User Guide).
#[derive(Debug, Default)]
pub struct RoleNames<'a> {
    by_spelling: HashMap<String, &'a str>,
}

impl<'a> RoleNames<'a> {
    /// Of the roles of a snapshot: ARN, and the ARNs of the instance profiles that carry it.
    #[must_use]
    pub fn of(roles: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> Self {
        let mut by_spelling = HashMap::new();
        for (arn, profiles) in roles {
            let own = pathless(arn).filter(|spelt| spelt != arn);
            let of_profiles = profiles.iter().flat_map(|profile| {
                let short = pathless(profile).filter(|spelt| spelt != profile);
                short.into_iter().chain([(*profile).to_owned()])
            });
            by_spelling.extend(of_profiles.chain(own).map(|spelt| (spelt, arn)));
        }
        Self { by_spelling }
    }

    /// The role that is meant by an ARN; the ARN itself where it is no other spelling of any.
    #[must_use]
    pub fn meant<'r>(&self, resource: &'r str) -> &'r str
    where
        'a: 'r,
    {
        // Most resources are no roles.
        let may_be = resource.contains(":role/") || resource.contains(":instance-profile/");
        self.by_spelling.get(resource).copied().filter(|_| may_be).unwrap_or(resource)
    }
}

/// An ARN of IAM's without the path of what it names.
fn pathless(arn: &str) -> Option<String> {
    let (before, name) = arn.split_once('/')?;
    Some(format!("{before}/{}", name.rsplit('/').next().unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_found_by_whatever_they_are_called() {
        let profile = "arn:aws:iam::1:instance-profile/web/p";
        let roles = RoleNames::of(
            [("arn:aws:iam::1:role/app/r", vec![profile]), ("arn:aws:iam::1:role/q", vec![])].into_iter(),
        );
        for (spelt, meant) in [
            (profile, "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:instance-profile/p", "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:role/r", "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:role/app/r", "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:role/q", "arn:aws:iam::1:role/q"),
            ("arn:aws:iam::2:role/r", "arn:aws:iam::2:role/r"),
            ("arn:aws:s3:::b", "arn:aws:s3:::b"),
            ("", ""),
        ] {
            assert_eq!(roles.meant(spelt), meant, "{spelt}");
        }
    }
}
