//! The regions of an account.

use aws_sdk_account::types::RegionOptStatus;

use super::access::{Access, Pages};
use super::calls::LIST_REGIONS;
use super::failure::Failure;

/// The regions that the account may use, sorted.
pub(super) async fn regions(access: &Access) -> Result<Vec<String>, Failure> {
    let client = access.account();
    let enabled = [RegionOptStatus::Enabled, RegionOptStatus::EnabledByDefault];
    let (mut names, mut pages) = (Vec::new(), Pages::default());
    while let Some(token) = pages.next() {
        let request = client.list_regions().set_region_opt_status_contains(Some(enabled.to_vec()));
        let page = access.call(&LIST_REGIONS, || request.set_next_token(token).send()).await?;
        names.extend(page.regions().iter().filter_map(|region| region.region_name().map(str::to_owned)));
        pages.after(&LIST_REGIONS, page.next_token())?;
    }
    names.sort();
    Ok(names)
}
