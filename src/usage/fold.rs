//! The two mergeable folds over events, and the trait through which analysis reads them.
//!
//! Both are keyed by what was recorded (session and call), never by what it means: principal, person and IAM
//! action are joined when facts are read, so that a better catalogue or a late AssumeRole record never means
//! reading the logs again. Merging the folds of two sets of events equals folding their union.

use std::collections::BTreeMap;

use crate::model::event::{CallVariant, EventCategory, Identity, Outcome};
use crate::model::text::Text;
use crate::model::time::{Day, SLOTS_PER_DAY, Timestamp, Window};

use super::block::UsageBlock;
use super::sessions::Sessions;

/// Version of the normaliser and of the fold keys; every stored fold carries it.
pub const FOLD_VERSION: u32 = 4;

/// Key of a session: a hash of its [`Identity`] as recorded, stable across runs and machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The id of an identity: the first eight bytes of BLAKE3 over its fields, each ended by a zero byte.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        let mut hash = blake3::Hasher::new();
        let mfa = match identity.mfa {
            None => "",
            Some(false) => "0",
            Some(true) => "1",
        };
        for field in [
            identity.kind.as_str(),
            &identity.principal_id,
            &identity.arn,
            &identity.account,
            &identity.access_key,
            &identity.user_name,
            &identity.invoked_by,
            &identity.issuer_kind,
            &identity.issuer_arn,
            &identity.issuer_id,
            &identity.source_identity,
            &identity.provider,
            &identity.on_behalf_of,
            &identity.identity_store,
            mfa,
            &identity.created,
            if identity.assumed_root { "1" } else { "" },
        ] {
            hash.update(field.as_bytes());
            hash.update(&[0]);
        }
        let mut first = [0u8; 8];
        for (to, from) in first.iter_mut().zip(hash.finalize().as_bytes()) {
            *to = *from;
        }
        Self(u64::from_be_bytes(first))
    }
}

/// A set of the 288 five-minute slots of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slots([u64; 5]);

impl Slots {
    /// Adds a slot; slots past 287 are ignored.
    pub fn insert(&mut self, slot: u16) {
        let slot = usize::from(slot);
        if slot < SLOTS_PER_DAY
            && let Some(word) = self.0.get_mut(slot / 64)
        {
            *word |= 1 << (slot % 64);
        }
    }

    /// Adds every slot of the other set.
    pub fn merge(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// How many slots are set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The slots in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0u16..).zip(self.0).flat_map(|(at, word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let slot = (left != 0).then(|| at * 64 + left.trailing_zeros() as u16);
                left &= left.wrapping_sub(1);
                slot
            })
        })
    }

    /// The five words that are stored, the first slots in the first word's lowest bits.
    #[must_use]
    pub const fn words(&self) -> [u64; 5] {
        self.0
    }

    /// The set that [`Slots::words`] gave; bits past the last slot do not count.
    #[must_use]
    pub const fn from_words(words: [u64; 5]) -> Self {
        let [a, b, c, d, e] = words;
        Self([a, b, c, d, e & 0xffff_ffff])
    }
}

/// Key of the `usage` fold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    /// Whose credentials made the call.
    pub session: SessionId,
    /// `eventSource`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// What tells the call apart.
    pub variant: CallVariant,
    /// Management, data or network activity.
    pub category: EventCategory,
    /// The main resource without what lies inside it: bucket (not object), table, key, function, role; empty
    /// where the record names none.
    pub resource: String,
    /// What became of it.
    pub outcome: Outcome,
    /// `recipientAccountId`: the account in whose logs it stands.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// UTC day.
    pub day: Day,
    /// The record carries a `sharedEventID`, so another account may hold a copy of the same call.
    pub shared: bool,
}

/// A row of the `usage` fold over the text that it was read from: see [`UsageKey`] for the fields.
#[derive(Clone, Copy, Debug)]
pub struct UsageRef<'t> {
    /// Whose credentials made the call.
    pub session: SessionId,
    /// `eventSource`.
    pub source: &'t str,
    /// `eventName`.
    pub name: &'t str,
    /// What tells the call apart.
    pub variant: &'t CallVariant,
    /// Kind of event.
    pub category: EventCategory,
    /// The main resource, without what lies inside it.
    pub resource: &'t str,
    /// What became of it.
    pub outcome: Outcome,
    /// `recipientAccountId`.
    pub account: &'t str,
    /// `awsRegion`.
    pub region: &'t str,
    /// UTC day.
    pub day: Day,
    /// The record carries a `sharedEventID`.
    pub shared: bool,
    /// How often, and when.
    pub fact: UsageFact,
}

impl UsageRef<'_> {
    /// The key, owned.
    #[must_use]
    pub fn to_key(&self) -> UsageKey {
        UsageKey {
            session: self.session,
            source: self.source.to_owned(),
            name: self.name.to_owned(),
            variant: self.variant.clone(),
            category: self.category,
            resource: self.resource.to_owned(),
            outcome: self.outcome,
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            day: self.day,
            shared: self.shared,
        }
    }
}

/// Value of the `usage` fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageFact {
    /// Calls.
    pub count: u64,
    /// First call.
    pub first: Timestamp,
    /// Last call.
    pub last: Timestamp,
    /// Five-minute slots of the day with at least one call.
    pub slots: Slots,
    /// Of the calls, those that named further resources of the main one's kind, which the row does not name.
    pub several: u64,
}

impl UsageFact {
    /// The fact of one call.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        let mut slots = Slots::default();
        slots.insert(time.slot());
        Self { count: 1, first: time, last: time, slots, several: 0 }
    }

    /// The fact of one call on several resources of a kind, or on one.
    #[must_use]
    pub fn of_several(time: Timestamp, several: bool) -> Self {
        Self { several: u64::from(several), ..Self::of(time) }
    }

    /// Adds one call.
    pub fn add(&mut self, time: Timestamp, several: bool) {
        self.several = self.several.saturating_add(u64::from(several));
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.slots.insert(time.slot());
    }

    /// Adds the calls of another fact with the same key.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.slots.merge(&other.slots);
        self.several = self.several.saturating_add(other.several);
    }
}

/// A row of the `usage` fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Key.
    pub key: UsageKey,
    /// Value.
    pub fact: UsageFact,
}

impl UsageRow {
    /// The row, borrowed.
    #[must_use]
    pub fn view(&self) -> UsageRef<'_> {
        let UsageKey { session, category, outcome, day, shared, .. } = self.key;
        let UsageKey { source, name, variant, resource, account, region, .. } = &self.key;
        let fact = self.fact;
        UsageRef { session, source, name, variant, category, resource, outcome, account, region, day, shared, fact }
    }
}

/// Key of the `shapes` fold: the distinct calls that a replay has to decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeKey {
    /// Whose credentials made the call.
    pub session: SessionId,
    /// `eventSource`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// What tells the call apart.
    pub variant: CallVariant,
    /// Every resource named, in full, sorted.
    pub resources: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// Condition context that the record shows, as (IAM condition key, value), sorted: `aws:SourceIp`,
    /// `aws:SourceVpce`, `aws:UserAgent`, `aws:ViaAWSService`, `aws:CalledVia` and the like.
    pub context: Vec<(String, String)>,
    /// The record carries a `sharedEventID`.
    pub shared: bool,
    /// The resources were cut to a common prefix because a session × call had too many: a proof that rests on
    /// this row is undecidable, never wrong.
    pub inexact: bool,
}

/// Value of the `shapes` fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeFact {
    /// Calls.
    pub count: u64,
    /// First call.
    pub first: Timestamp,
    /// Last call.
    pub last: Timestamp,
    /// Id of one of the events: the smallest (time, id), so that merging in any order gives the same.
    pub example: String,
    /// Time of that event.
    pub example_time: Timestamp,
}

impl ShapeFact {
    /// Adds the calls of another fact with the same key.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if (other.example_time, &other.example) < (self.example_time, &self.example) {
            self.example.clone_from(&other.example);
            self.example_time = other.example_time;
        }
    }
}

/// Credentials handed out by a call (`AssumeRole*`, `GetFederationToken`, `GetSessionToken`): the link from a
/// session back to whoever obtained it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuedCredential {
    /// `responseElements.credentials.accessKeyId`; empty where the record does not show it.
    pub access_key: Text,
    /// `responseElements.assumedRoleUser.assumedRoleId` (`AROA…:name`), or the federated user's id.
    pub session_principal_id: Text,
    /// `requestParameters.roleArn`, with path.
    pub role_arn: Text,
    /// Who called.
    pub by: SessionId,
    /// When.
    pub time: Timestamp,
    /// The event.
    pub event_id: Text,
}

/// A call that changes what CloudTrail records, with its parameters, which `--slim` leaves out elsewhere: trails and
/// event data stores made, changed, started and stopped, their selectors, and regions enabled. Kept whatever became of
/// it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailCall {
    /// When.
    pub time: Timestamp,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`: the trail's home region, except for calls on organisation trails.
    pub region: String,
    /// `eventName`, such as `PutEventSelectors`.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// `errorCode`; empty where there was none, and in stores of earlier releases.
    pub error_code: String,
    /// `requestParameters` as JSON text; empty where null.
    pub request: String,
    /// `responseElements` as JSON text; empty where null.
    pub response: String,
    /// The event.
    pub event_id: String,
}

/// A span of delivery that a CloudTrail digest file speaks for: every log file that was delivered for the account
/// and region in it, also where there was none. Source: "CloudTrail digest file structure".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestSpan {
    /// `awsAccountId`.
    pub account: String,
    /// Region, from the digest's object key.
    pub region: String,
    /// The trail and its home region, from the digest's object key, such as `audit_us-east-1`; empty where the key
    /// does not say. Every trail has digests of its own.
    pub trail: String,
    /// `digestStartTime`.
    pub from: Timestamp,
    /// `digestEndTime`: not part of the span.
    pub to: Timestamp,
    /// How many log files it names.
    pub log_files: u64,
    /// Of these, how many are in hand to their end. Where it is less, what the others hold is not known.
    pub in_hand: u64,
    /// Management events in the files that are in hand: the trail records such events.
    pub management: u64,
    /// The oldest event in the files that are not in hand, where the digest says it.
    pub lost_from: Option<Timestamp>,
}

/// An hour of one account and region of which the logs hold something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoverageKey {
    /// Account whose trail it is (`recipientAccountId`, or the account in the file's path).
    pub account: String,
    /// Region.
    pub region: String,
    /// Hours since the epoch.
    pub hour: i32,
    /// Kind of events.
    pub category: EventCategory,
}

/// What the logs hold of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoverageFact {
    /// Events stored.
    pub count: u64,
    /// Records read from files that hold all that their source delivered: trail files, Security Lake, and exports that
    /// the user declared complete. Copies of stored events count, too. Where it is 0, only exports tell of the hour, and
    /// what their query left out is not known: it proves nothing.
    pub whole: u64,
}

impl CoverageFact {
    /// Events that came from files that hold all of their source.
    #[must_use]
    pub const fn whole(count: u64) -> Self {
        Self { count, whole: count }
    }

    /// Adds what another part of the logs holds of the same hour.
    pub const fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.whole = self.whole.saturating_add(other.whole);
    }
}

/// The folds of some events.
#[derive(Clone, Debug, Default)]
pub struct Folds {
    /// Calls by day.
    pub usage: BTreeMap<UsageKey, UsageFact>,
    /// Distinct calls.
    pub shapes: BTreeMap<ShapeKey, ShapeFact>,
    /// Identities by key.
    pub sessions: BTreeMap<SessionId, Identity>,
    /// Credentials handed out.
    pub issued: std::collections::BTreeSet<IssuedCredential>,
    /// Hours with events, and how many.
    pub coverage: BTreeMap<CoverageKey, CoverageFact>,
    /// Calls that change what is recorded.
    pub trail_calls: std::collections::BTreeSet<TrailCall>,
}

/// How the facts of a lake are read. The lake implements it; analysis knows nothing of files or SQL.
pub trait FactSource {
    /// What reading can fail with.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Hands over the usage rows whose day lies in the window, as they are stored: in no order, and a key may come
    /// again and again. All that is counted of them must add up ([`UsageFact::merge`]).
    ///
    /// # Errors
    /// When the store cannot be read.
    fn usage_blocks(&self, window: Window, each: &mut dyn FnMut(&UsageBlock)) -> Result<(), Self::Error>;

    /// The same, row by row.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn each_usage(&self, window: Window, each: &mut dyn FnMut(&UsageRef<'_>)) -> Result<(), Self::Error> {
        self.usage_blocks(window, &mut |block| block.rows().for_each(|row| each(&row)))
    }

    /// Usage rows whose day lies in the window, merged, in key order. Holds them all: analysis takes them one by one.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn usage(&self, window: Window) -> Result<Vec<UsageRow>, Self::Error> {
        let mut merged: BTreeMap<UsageKey, UsageFact> = BTreeMap::new();
        self.each_usage(window, &mut |row| {
            merged.entry(row.to_key()).and_modify(|known| known.merge(&row.fact)).or_insert(row.fact);
        })?;
        Ok(merged.into_iter().map(|(key, fact)| UsageRow { key, fact }).collect())
    }

    /// First and last call of every session with calls on days of the window.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn session_spans(&self, window: Window) -> Result<BTreeMap<SessionId, (Timestamp, Timestamp)>, Self::Error>;

    /// Every identity seen, by key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn sessions(&self) -> Result<Sessions, Self::Error>;

    /// Every credential seen handed out.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn issued(&self) -> Result<Vec<IssuedCredential>, Self::Error>;

    /// Hours with events in the window, and how many.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn coverage(&self, window: Window) -> Result<BTreeMap<CoverageKey, CoverageFact>, Self::Error>;

    /// Every call that changes what is recorded, whenever it was, in order of time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn trail_calls(&self) -> Result<Vec<TrailCall>, Self::Error>;

    /// The spans of all digest files that were read, in order of account, region and time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn digest_spans(&self) -> Result<Vec<DigestSpan>, Self::Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_round_trip_and_merge() {
        let mut a = Slots::default();
        for slot in [0, 63, 64, 287, 288, 999] {
            a.insert(slot);
        }
        let mut b = Slots::default();
        b.insert(5);
        b.merge(&a);
        assert_eq!(b.iter().collect::<Vec<_>>(), [0, 5, 63, 64, 287]);
        assert_eq!(Slots::from_words(b.words()), b);
        assert_eq!(Slots::from_words([0, 0, 0, 0, 1 << 32]), Slots::default());
    }

    #[test]
    fn session_ids_separate_fields() {
        let a = Identity { kind: "ab".into(), principal_id: "c".into(), ..Identity::default() };
        let b = Identity { kind: "a".into(), principal_id: "bc".into(), ..Identity::default() };
        assert_ne!(SessionId::of(&a), SessionId::of(&b));
        assert_eq!(SessionId::of(&a), SessionId::of(&a.clone()));
    }
}
