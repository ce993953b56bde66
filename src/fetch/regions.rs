//! The regions of an account.

use aws_sdk_account::types::RegionOptStatus;

use super::access::{Access, pages};
use super::calls::LIST_REGIONS;
use super::failure::Failure;

/// The regions that the account may use, sorted.
pub(super) async fn regions(access: &Access) -> Result<Vec<String>, Failure> {
    let client = access.account();
    let enabled = [RegionOptStatus::Enabled, RegionOptStatus::EnabledByDefault];
    let request = || client.list_regions().set_region_opt_status_contains(Some(enabled.to_vec()));
    let found = pages!(access, &LIST_REGIONS, request(), regions);
    let mut names: Vec<String> = found.iter().filter_map(|region| region.region_name().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}
