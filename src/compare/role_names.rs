//! What records call a role otherwise than by its ARN: without its path, or by an instance profile that carries it.

use std::collections::HashMap;

/// Spellings of roles and instance profiles. Names are unique in an account whatever the path. Source: "IAM identifiers" (IAM
/// User Guide).
#[derive(Debug, Default)]
pub struct RoleNames<'a> {
    /// Without its path → the ARN of a role or an instance profile.
    by_spelling: HashMap<String, &'a str>,
    /// Instance profile → role.
    carried: HashMap<&'a str, &'a str>,
}

impl<'a> RoleNames<'a> {
    /// Of the roles of a snapshot: ARN, and the ARNs of the instance profiles that carry it.
    #[must_use]
    pub fn of(roles: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> Self {
        let mut names = Self::default();
        for (arn, profiles) in roles {
            for whole in profiles.iter().copied().chain([arn]) {
                if let Some(spelt) = pathless(whole).filter(|spelt| spelt != whole) {
                    names.by_spelling.insert(spelt, whole);
                }
            }
            names.carried.extend(profiles.into_iter().map(|profile| (profile, arn)));
        }
        names
    }

    /// What is meant by an ARN, which may be another spelling; the ARN itself where it is none of any that is known. Whoever
    /// passes an instance profile passes the role in it.
    #[must_use]
    pub fn meant<'r>(&self, resource: &'r str, passed: bool) -> &'r str
    where
        'a: 'r,
    {
        // Most resources are no roles.
        if !resource.contains(":role/") && !resource.contains(":instance-profile/") {
            return resource;
        }
        let whole = self.by_spelling.get(resource).copied().unwrap_or(resource);
        self.carried.get(whole).copied().filter(|_| passed).unwrap_or(whole)
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
        for (spelt, meant, passed) in [
            (profile, profile, "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:instance-profile/p", profile, "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:role/r", "arn:aws:iam::1:role/app/r", "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:role/app/r", "arn:aws:iam::1:role/app/r", "arn:aws:iam::1:role/app/r"),
            ("arn:aws:iam::1:role/q", "arn:aws:iam::1:role/q", "arn:aws:iam::1:role/q"),
            ("arn:aws:iam::2:role/r", "arn:aws:iam::2:role/r", "arn:aws:iam::2:role/r"),
            ("arn:aws:s3:::b", "arn:aws:s3:::b", "arn:aws:s3:::b"),
            ("", "", ""),
        ] {
            assert_eq!((roles.meant(spelt, false), roles.meant(spelt, true)), (meant, passed), "{spelt}");
        }
    }
}
