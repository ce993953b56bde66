//! The identities of sessions. A large organisation has millions of sessions of a few thousand identities: what they have
//! in common is kept once.

use hashbrown::HashMap;

use crate::model::event::Identity;
use crate::model::text::Text;
use crate::model::time::Timestamp;

use super::fold::SessionId;

/// What a session has for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Into [`Sessions::identities`].
    pub identity: u32,
    /// The access key id that signed; empty where not recorded.
    pub access_key: Text,
    created: Text,
}

impl Session {
    /// When its credentials were made, where the record says it.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created.parse().ok()
    }
}

/// All sessions of a store.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    identities: Vec<Identity>,
    numbers: HashMap<Identity, u32>,
    all: HashMap<SessionId, Session>,
}

impl Sessions {
    /// Adds a session; one that is there already stays, as its id is that of its content.
    pub fn insert(&mut self, id: SessionId, mut identity: Identity) {
        let access_key = std::mem::take(&mut identity.access_key).into();
        let created = std::mem::take(&mut identity.created).into();
        let identity = self.number(identity);
        self.all.entry(id).or_insert(Session { identity, access_key, created });
    }

    /// Adds a session of an identity that has a number.
    pub fn put(&mut self, id: SessionId, identity: u32, access_key: &str, created: &str) {
        let session = || Session { identity, access_key: access_key.into(), created: created.into() };
        self.all.entry(id).or_insert_with(session);
    }

    /// Adds what others have.
    pub fn merge(&mut self, other: Self) {
        let numbers: Vec<u32> = other.identities.into_iter().map(|identity| self.number(identity)).collect();
        for (id, mut session) in other.all {
            session.identity = numbers.get(session.identity as usize).copied().unwrap_or_default();
            self.all.entry(id).or_insert(session);
        }
    }

    /// The number of an identity without key and start.
    pub fn number(&mut self, identity: Identity) -> u32 {
        let next = self.identities.len() as u32;
        let identities = &mut self.identities;
        *self.numbers.entry(identity).or_insert_with_key(|identity| {
            identities.push(identity.clone());
            next
        })
    }

    /// The distinct identities, without key and start.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// A session and its identity, which lacks key and start.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<(&Session, &Identity)> {
        let session = self.all.get(&id)?;
        Some((session, self.identities.get(session.identity as usize)?))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The ids in order.
    #[must_use]
    pub fn ids(&self) -> Vec<SessionId> {
        let mut ids: Vec<SessionId> = self.all.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// A session's identity as it was recorded.
    #[must_use]
    pub fn whole(&self, id: SessionId) -> Option<Identity> {
        let (session, identity) = self.get(id)?;
        let (access_key, created) = (session.access_key.to_string(), session.created.to_string());
        Some(Identity { access_key, created, ..identity.clone() })
    }
}

impl FromIterator<(SessionId, Identity)> for Sessions {
    fn from_iter<I: IntoIterator<Item = (SessionId, Identity)>>(all: I) -> Self {
        let mut sessions = Self::default();
        all.into_iter().for_each(|(id, identity)| sessions.insert(id, identity));
        sessions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sessions_share_is_kept_once_and_nothing_is_lost() {
        let made = |name: &str, key: &str, created: &str| Identity {
            kind: "AssumedRole".into(),
            principal_id: format!("AROA1:{name}"),
            access_key: key.into(),
            created: created.into(),
            ..Identity::default()
        };
        let all = [made("a", "ASIA1", "2026-03-01T00:00:00Z"), made("a", "ASIA2", ""), made("b", "", "some day")];
        let of = |all: &[Identity]| all.iter().map(|one| (SessionId::of(one), one.clone())).collect::<Sessions>();
        let (mut one, two) = (of(&all[..2]), of(&all[1..]));
        one.merge(two);
        assert_eq!((one.len(), one.identities().len()), (3, 2));
        for identity in &all {
            assert_eq!(one.whole(SessionId::of(identity)).as_ref(), Some(identity));
        }
        let (session, _) = one.get(SessionId::of(&all[0])).unwrap();
        assert_eq!(session.created(), "2026-03-01T00:00:00Z".parse().ok());
        assert!(one.ids().is_sorted());
    }
}
