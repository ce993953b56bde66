//! What a request says about itself: condition keys and their values.

use crate::policy::Variable;

/// What is known about a condition key in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The request does not have the key.
    Absent,
    /// It is not known whether the request has it, or with which value.
    Unknown,
    /// The request has it with these values (one, but for multi-valued keys).
    Known(Vec<String>),
}

impl Slot {
    /// One value.
    #[must_use]
    pub fn one(value: impl Into<String>) -> Self {
        Self::Known(vec![value.into()])
    }

    /// What a policy variable for the key stands for. Only keys with a single value can be used as variables.
    #[must_use]
    pub fn variable(&self) -> Variable {
        match self {
            Self::Unknown => Variable::Unknown,
            Self::Known(values) => match values.as_slice() {
                [one] => Variable::Text(one.clone()),
                _ => Variable::Several,
            },
            Self::Absent => Variable::Absent,
        }
    }
}

/// Keys that every request of AWS's has; lower case. Source: IAM User Guide, "AWS global condition context keys",
/// Availability.
const ALWAYS: [&str; 7] = [
    "aws:currenttime",
    "aws:epochtime",
    "aws:requestedregion",
    "aws:securetransport",
    "aws:useragent",
    "aws:userid",
    "aws:viaawsservice",
];

/// The condition keys of a request. Names ignore case, the part after the slash of a tag key too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Lower-case names, sorted.
    slots: Vec<(Box<str>, Slot)>,
    /// Beginnings of names, in lower case: keys that begin so and are not set are absent.
    closed: Vec<Box<str>>,
    others: Slot,
}

impl Default for Context {
    /// No key at all.
    fn default() -> Self {
        Self { slots: Vec::new(), closed: Vec::new(), others: Slot::Absent }
    }
}

impl Context {
    /// A context in which nothing is known of the keys that are not set.
    #[must_use]
    pub const fn open() -> Self {
        Self { slots: Vec::new(), closed: Vec::new(), others: Slot::Unknown }
    }

    /// Sets a key. A key with an empty list of values is absent.
    pub fn set(&mut self, key: &str, slot: Slot) {
        let slot = if slot == Slot::Known(Vec::new()) { Slot::Absent } else { slot };
        let key = key.to_ascii_lowercase().into_boxed_str();
        match self.slots.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some(entry) = self.slots.get_mut(at) {
                    entry.1 = slot;
                }
            }
            Err(at) => self.slots.insert(at, (key, slot)),
        }
    }

    /// Sets a key that has not been set.
    pub fn set_default(&mut self, key: &str, slot: Slot) {
        if self.says(&key.to_ascii_lowercase()).is_none() {
            self.set(key, slot);
        }
    }

    /// Says that all keys that begin so are known: those that are not set are absent.
    pub fn close(&mut self, start: &str) {
        self.closed.push(start.to_ascii_lowercase().into_boxed_str());
    }

    fn says(&self, key: &str) -> Option<&Slot> {
        let at = self.slots.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.slots.get(at).map(|(_, slot)| slot)
    }

    /// What is known about a key; its name in lower case.
    #[must_use]
    pub fn get(&self, key: &str) -> &Slot {
        static ABSENT: Slot = Slot::Absent;
        self.says(key).unwrap_or_else(|| {
            if self.closed.iter().any(|start| key.starts_with(&**start)) { &ABSENT } else { &self.others }
        })
    }

    /// What is known about a key in whatever case.
    #[must_use]
    pub fn find(&self, key: &str) -> &Slot {
        if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.get(&key.to_ascii_lowercase())
        } else {
            self.get(key)
        }
    }

    /// Whether the request surely has the key, whatever its value: in a context of which nothing is known, the keys
    /// that every request has. A context that lists what is unknown means that it may be absent too.
    #[must_use]
    pub fn always_has(&self, key: &str) -> bool {
        self.others == Slot::Unknown && self.says(key).is_none() && ALWAYS.contains(&key)
    }

    /// Whether nothing is unknown.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.others == Slot::Absent && self.slots.iter().all(|(_, slot)| *slot != Slot::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_empty_lists_are_absent() {
        let mut context = Context::default();
        context.set("aws:PrincipalTag/Team", Slot::one("x"));
        context.set("aws:TagKeys", Slot::Known(Vec::new()));
        assert_eq!(context.get("aws:principaltag/team"), &Slot::one("x"));
        assert_eq!(context.find("AWS:principalTag/TEAM"), &Slot::one("x"));
        assert_eq!(context.find("aws:TagKeys"), &Slot::Absent);
        assert!(context.is_complete());
        context.set_default("aws:principaltag/team", Slot::Unknown);
        assert!(context.is_complete());
        context.set("aws:PrincipalTag/team", Slot::Unknown);
        assert!(!context.is_complete() && !Context::open().is_complete());
        assert_eq!(Context::open().get("aws:sourceip"), &Slot::Unknown);
    }
}
