//! How a session came about: the calls that handed out its credentials, back to whoever made the first, and why that
//! start is not known where it is not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::text::Text;
use crate::model::time::Timestamp;

use super::fold::{IssuedCredential, SessionId};
use super::identity::ActorKind;

/// Longest life of temporary credentials of users, in hours: those of `GetSessionToken` and `GetFederationToken`. Source:
/// "Compare AWS STS credentials", IAM User Guide.
pub const CREDENTIAL_HOURS: i64 = 36;
/// Longest life of a role's session, in hours. Source: as above.
pub const ROLE_HOURS: i64 = 12;

/// The longest life of credentials of an identity of that `userIdentity.type`, in hours.
const fn longest_hours(role: bool) -> i64 {
    if role { ROLE_HOURS } else { CREDENTIAL_HOURS }
}

/// By what a session is told to be the one that a call began, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// By the access key that was handed out.
    Key,
    /// By its name, and because its credentials were made in the very second of the call: the key was not seen handed
    /// out, as the console changes keys within a session.
    Start,
    /// By its name alone: anybody else may have begun a session of this name.
    Name,
}

/// A call that handed out credentials on the way to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// What kind of principal called.
    pub kind: ActorKind,
    /// ARN of the principal that called, or the best name there is.
    pub principal: Text,
    /// Its account; empty where not recorded.
    pub account: Text,
    /// Its session name; empty where it was no session.
    pub session_name: Text,
    /// The event; empty where several calls of the same caller could be the one.
    pub event_id: Text,
    /// When; of several calls the last.
    pub time: Timestamp,
    /// By what the session was told to be this call's.
    pub told: Told,
}

/// Why the origin of a session is not known, or not for certain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// No record in the logs says who obtained the credentials.
    NoRecord,
    /// As [`Missing::NoRecord`], but the session was first seen so soon after the logs begin that its credentials may be
    /// older than they.
    BeforeLogs,
    /// The same, and the session has a name as EC2 and ECS give it: probably a machine's, which nobody saw begin.
    Workload,
    /// This account obtained them, and its logs are not collected: the copy of the call in the role's account names the
    /// caller's account only.
    NotCollected(String),
    /// This account obtained them; its logs are collected, but the call is not in them.
    CopyOnly(String),
    /// Somebody asked for credentials of this role, and the record of the call does not show what it handed out.
    Unreadable,
    /// Several callers obtained sessions of this name, and nothing tells which of them this is.
    SeveralCallers,
    /// The access key was not seen handed out; the one caller who obtained a session of this name is taken for the origin.
    NameOnly,
    /// The records go round in a circle, or the chain is longer than any that IAM allows.
    Circle,
}

impl Missing {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::BeforeLogs => "before_logs",
            Self::Workload => "workload",
            Self::NotCollected(_) => "not_collected",
            Self::CopyOnly(_) => "copy_only",
            Self::Unreadable => "unreadable",
            Self::SeveralCallers => "several_callers",
            Self::NameOnly => "name_only",
            Self::Circle => "circle",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::NoRecord => "no record of who obtained the credentials".to_owned(),
            Self::BeforeLogs => "the credentials may have been obtained before the logs begin".to_owned(),
            Self::Workload => {
                "named like a session of EC2 or ECS; no record of who obtained the credentials".to_owned()
            }
            Self::NotCollected(account) => format!("obtained by account {account}, whose logs are not collected"),
            Self::CopyOnly(account) => {
                format!("obtained by account {account}; the record of the call is not in its logs")
            }
            Self::Unreadable => {
                "calls for credentials of this role are in the logs, whose records do not show what they handed out"
                    .to_owned()
            }
            Self::SeveralCallers => "several callers obtained sessions of this name".to_owned(),
            Self::NameOnly => {
                "the access key was not seen handed out; one caller obtained sessions of this name".to_owned()
            }
            Self::Circle => "the records of who obtained the credentials do not end".to_owned(),
        }
    }
}

/// Calls for credentials whose records do not show the key, and of which no copy does.
pub fn hidden(issued: &[IssuedCredential]) -> impl Iterator<Item = &IssuedCredential> {
    let shown = issued.iter().filter(|credential| !credential.access_key.is_empty());
    let shown: BTreeSet<(Timestamp, &str)> = shown.map(|call| (call.time, call.role_arn.as_str())).collect();
    issued
        .iter()
        .filter(move |call| call.access_key.is_empty() && !shown.contains(&(call.time, call.role_arn.as_str())))
}

/// What is known of the logs beside the sessions: it narrows which call can have begun a session, and says why none
/// did. Empty where nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// When they begin.
    pub from: Option<Timestamp>,
    /// First and last call of each session.
    pub seen: BTreeMap<SessionId, (Timestamp, Timestamp)>,
    /// Accounts whose own logs are collected.
    pub collected: BTreeSet<String>,
}

impl Logs {
    /// By what a session of the same name is told to be that of credentials handed out at a time; none where it cannot
    /// be. `created` is when its credentials were made, where the record says it; a role's session lives shorter.
    #[must_use]
    pub fn told(&self, session: SessionId, role: bool, created: Option<Timestamp>, issued: Timestamp) -> Option<Told> {
        let span = self.seen.get(&session);
        // Credentials of one session do not outlive it. Sessions without a key or a start may be several.
        let longest = longest_hours(role) * 3600;
        let outlived = span.is_some_and(|(_, last)| *last > issued.plus_seconds(longest));
        if let Some(created) = created {
            if outlived {
                return None;
            }
            // In real logs the two are the same second. Credentials that were turned into a session of the console may
            // be older than the session.
            let start = created.micros().abs_diff(issued.micros()) < START_MICROS;
            let older = issued <= created && issued >= created.plus_seconds(-longest);
            return start.then_some(Told::Start).or(older.then_some(Told::Name));
        }
        let near = span.is_none_or(|(first, last)| issued <= *last && issued >= first.plus_seconds(-longest));
        near.then_some(Told::Name)
    }

    /// Why nobody was seen to obtain the credentials of a session.
    #[must_use]
    pub fn unrecorded(&self, session: SessionId, role: bool, created: Option<Timestamp>, name: &str) -> Missing {
        if is_workload(name) {
            return Missing::Workload;
        }
        let (Some(from), first) = (self.from, self.seen.get(&session).map(|(first, _)| *first)) else {
            return Missing::NoRecord;
        };
        let before = match (created, first) {
            (Some(created), _) => created < from,
            (None, Some(first)) => first < from.plus_seconds(longest_hours(role) * 3600),
            (None, None) => false,
        };
        if before { Missing::BeforeLogs } else { Missing::NoRecord }
    }
}

/// How far the times of a session's start and of the call that began it may be apart: `eventTime` has whole seconds.
const START_MICROS: u64 = 1_000_000;

/// Whether a session has a name as EC2 gives it (the instance's id) or ECS (the task's id, 32 hexadecimal digits). A
/// caller could choose such a name, so it is a hint where nothing else is known. Sources: "IAM roles for Amazon EC2",
/// "Amazon ECS task IAM role".
#[must_use]
pub fn is_workload(session_name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match session_name.strip_prefix("i-") {
        Some(id) => matches!(id.len(), 8 | 17) && hex(id),
        None => session_name.len() == 32 && hex(session_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_workloads() {
        for (name, want) in [
            ("i-0123456789abcdef0", true),
            ("i-01234567", true),
            ("0123456789abcdef0123456789abcdef", true),
            ("i-0123456", false),
            ("i-ada", false),
            ("ada", false),
            ("", false),
        ] {
            assert_eq!(is_workload(name), want, "{name}");
        }
    }
}
