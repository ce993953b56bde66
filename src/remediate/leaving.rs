//! People who have left: what a plan takes from them is nobody's work any more, where all of that is certain.

use std::collections::BTreeMap;

use crate::model::time::Timestamp;
use crate::usage::fold::SessionId;
use crate::usage::identity::{Actor, Actors, Basis};

/// People who have left by the roster, with their end, and of whom the logs show nothing since.
#[derive(Clone, Debug, Default)]
pub struct Leavers {
    ended: BTreeMap<String, Timestamp>,
}

impl Leavers {
    /// Of those who have left by the roster (`ended`) who did nothing afterwards. `spans` are the first and last calls of
    /// sessions: who works on has a roster that is out of date.
    #[must_use]
    pub fn of(
        mut ended: BTreeMap<String, Timestamp>,
        actors: &Actors,
        spans: &BTreeMap<SessionId, (Timestamp, Timestamp)>,
    ) -> Self {
        for (session, (_, last)) in spans {
            let person = actors.get(session).and_then(|actor| actor.person.as_deref());
            if let Some(person) = person.filter(|person| ended.get(*person).is_some_and(|end| end < last)) {
                ended.remove(person);
            }
        }
        Self { ended }
    }

    /// Whether somebody has left.
    #[must_use]
    pub fn has(&self, person: &str) -> bool {
        self.ended.contains_key(person)
    }

    /// Who made a call and has left since, with their end. Not what a program or a service did for them, nor what began with
    /// the keys of an IAM user, which a program may hold, nor where a session's own word is all that tells.
    #[must_use]
    pub fn of_call<'a>(&'a self, actor: &'a Actor) -> Option<(&'a str, Timestamp)> {
        let sure = matches!(actor.basis, Basis::CredentialChain | Basis::IdentityCenter);
        let by_user = actor.start().contains(":user/");
        let person = actor.sure_person().filter(|_| sure && !by_user && !actor.machine && actor.own_act)?;
        Some((person, *self.ended.get(person)?))
    }
}
