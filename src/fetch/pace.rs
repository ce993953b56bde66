//! The pace at which a service is asked: the quota's where nothing is refused, slower where AWS asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::time::Instant;

use super::calls::{self, Call};
use super::guard::{Table, asked};

/// Time between two calls after a first refusal, and the longest that refusals lead to.
const SLOWED: Duration = Duration::from_millis(50);
const SLOWEST: Duration = Duration::from_secs(2);

/// Whose calls of which kind: account, region, service (or operation, where it has a quota of its own).
type Whose = (String, String, &'static str);

/// When the next call may be made, and how long it is to the one after it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    next: Instant,
    interval: Duration,
}

impl Slot {
    /// Twice as slow.
    fn slow(&mut self) {
        self.interval = (self.interval * 2).clamp(SLOWED, SLOWEST);
    }

    /// A tenth faster, down to what the quota allows.
    fn ease(&mut self, least: Duration) {
        self.interval = (self.interval * 9 / 10).max(least);
        // Below a millisecond it is the same as none.
        if self.interval < Duration::from_millis(1) {
            self.interval = least;
        }
    }
}

/// Paces by account, region and service. AWS counts so, too: one account that is throttled slows no other down.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<BTreeMap<Whose, Slot>>);

impl Pace {
    fn with<T>(&self, account: &str, region: &str, call: &Call, act: impl FnOnce(&mut Slot, Duration) -> T) -> T {
        // What has a quota of its own does not wait for the others.
        let kind = if *call == calls::LOOKUP_EVENTS { call.operation } else { call.service };
        let least = calls::pace(call);
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Slot { next: Instant::now(), interval: least };
        act(slots.entry((account.to_owned(), region.to_owned(), kind)).or_insert_with(new), least)
    }

    /// Waits until the call may be made.
    pub(super) async fn wait(&self, account: &str, region: &str, call: &Call) {
        let at = self.with(account, region, call, |slot, _| {
            let at = slot.next.max(Instant::now());
            slot.next = at + slot.interval;
            at
        });
        tokio::time::sleep_until(at).await;
    }

    /// The call was answered.
    pub(super) fn answered(&self, account: &str, region: &str, call: &Call) {
        self.with(account, region, call, Slot::ease);
    }
}

/// Sees in front of the wire that a call is tried again, and slows its kind down.
#[derive(Debug)]
pub(super) struct Watch {
    pub pace: Arc<Pace>,
    pub account: String,
    pub region: String,
    pub table: Table,
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Pace"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let again = cfg.load::<RequestAttempts>().is_some_and(|attempts| attempts.attempts() > 1);
        if let Some(call) = asked(cfg, self.table).filter(|_| again) {
            self.pace.with(&self.account, &self.region, call, |slot, _| slot.slow());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_slow_down_and_answers_speed_up_to_the_quota() {
        let least = Duration::from_millis(30);
        let mut slot = Slot { next: Instant::now(), interval: least };
        for want in [60, 120, 240, 480, 960, 1920, 2000, 2000] {
            slot.slow();
            assert_eq!(slot.interval.as_millis(), want);
        }
        for _ in 0..100 {
            slot.ease(least);
        }
        assert_eq!(slot.interval, least);
        // What has no quota is slowed down all the same, and is free again.
        let mut slot = Slot { next: Instant::now(), interval: Duration::ZERO };
        slot.slow();
        assert_eq!(slot.interval, SLOWED);
        for _ in 0..100 {
            slot.ease(Duration::ZERO);
        }
        assert_eq!(slot.interval, Duration::ZERO);
    }

    #[test]
    fn one_account_waits_for_no_other() {
        let pace = Pace::default();
        let call = &calls::LIST_ACCESS_KEYS;
        pace.with("1", "r", call, |slot, _| slot.slow());
        let interval = |account: &str| pace.with(account, "r", call, |slot, _| slot.interval);
        assert!(interval("1") > interval("2"));
        assert_eq!(
            pace.with("1", "r", &calls::LOOKUP_EVENTS, |slot, _| slot.interval),
            calls::pace(&calls::LOOKUP_EVENTS)
        );
    }
}
