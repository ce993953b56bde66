//! Can a change of a trail have gone unseen? Settings that were collected once are walked backward and forward along
//! recorded calls, which holds only where every such call would have been recorded into logs that are in hand.

use std::collections::BTreeSet;

use super::{Question, Recorded, Trail, Trails};
use crate::model::time::Window;
use crate::usage::coverage::Coverage;

/// A call that changes a trail.
const CHANGE: Question<'static> = Question { source: Some("cloudtrail.amazonaws.com"), ..Question::management(false) };

impl Trails {
    /// Whether no change of a trail within the window can have gone unseen: its settings, each of them, were collected within
    /// it or just after, and wherever calls that change it are recorded, its home region of these accounts' logs is whole, and the
    /// trails that wrote them recorded such calls throughout.
    pub(super) fn changes_seen(&self, trail: &Trail, coverage: &Coverage) -> bool {
        let window = coverage.window();
        // An answer of long before or after says nothing of changes in between, which no log in hand may show.
        let near = Window { from: window.from, to: window.to.plus_days(1) };
        let Some(accounts) = self.changed_from(trail, coverage) else { return false };
        trail.documented
            && trail.looked_at(near)
            && accounts.iter().all(|account| {
                let spans = self.spans(account, &trail.home);
                coverage.blind_days(account, &trail.home).is_empty()
                    && !spans.is_empty()
                    && spans.iter().all(|span| span.records(&CHANGE) == Recorded::Yes)
            })
    }

    /// The accounts in whose logs changes of a trail may be recorded; none where that is not known. An organisation's
    /// trail is changed from the management account or a delegated administrator's, and no file says which that is.
    /// Source: "Organization delegated administrator", AWS CloudTrail User Guide.
    fn changed_from(&self, trail: &Trail, coverage: &Coverage) -> Option<BTreeSet<String>> {
        let mut accounts = BTreeSet::from([trail.account.clone()]);
        if trail.organization.ever(&true) {
            accounts.extend(self.members.as_ref()?.iter().cloned());
            accounts.extend(coverage.accounts().filter(|account| self.covers(trail, account)).map(str::to_owned));
        }
        Some(accounts)
    }
}
