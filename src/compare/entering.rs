//! Whether the logs of an account show everybody who came into its roles by the word of an identity provider.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::arn::AccountId;

use super::observe::{Classes, Eyes};
use super::{Inputs, accounts, recording, regions};

/// The actions by which one comes in so.
const ENTERING: [&str; 1] = ["sts:AssumeRoleWithWebIdentity"];

/// Accounts of which the logs could not show every entry by a token within the window, with why.
///
/// An entry is recorded in the account of the role, in the region of the endpoint that was called. Service control policies do
/// not bind whoever comes from outside, so that no region is closed to them. Sources: IAM User Guide, "Logging IAM and AWS STS
/// API calls with AWS CloudTrail"; AWS Organizations User Guide, "Service control policies (SCPs)".
#[must_use]
pub fn entries_unseen(inputs: &Inputs<'_>, of: &BTreeSet<AccountId>) -> BTreeMap<AccountId, String> {
    let classes = Classes::of(inputs.catalog);
    let recording = recording(inputs, &classes, &accounts(inputs));
    let mut actions = inputs.catalog.no_actions();
    ENTERING.iter().for_each(|name| actions.union_with(&inputs.catalog.actions_matching(name)));
    let why = |account: &AccountId| {
        let text = account.to_string();
        let partition = inputs.entitlements.principals.iter().find(|one| one.account == *account)?.arn.partition();
        let named = inputs.snapshot.accounts.get(account).map(|iam| regions::named(iam, &text)).unwrap_or_default();
        let also = match inputs.settings.regions.is_empty() {
            true => inputs.enabled.get(&text).into_iter().flatten().cloned().chain(named).collect(),
            false => BTreeSet::new(),
        };
        let eyes = Eyes::on(inputs.coverage, &classes, &text, partition, &inputs.settings.regions, Vec::new());
        let blind = eyes.with_regions(also).with_recording(&recording).blind(&actions, None);
        let left_out = blind.left_out.into_iter().map(|(_, why)| why);
        let whole: Vec<String> =
            left_out.chain((!blind.actions.is_empty()).then(|| blind.reasons.join("; "))).collect();
        (!whole.is_empty()).then(|| whole.join("; "))
    };
    of.iter().filter_map(|account| Some((*account, why(account)?))).collect()
}
