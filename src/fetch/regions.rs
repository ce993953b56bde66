//! The regions of an account.

use aws_sdk_account::types::RegionOptStatus;
use futures_util::stream::{self, StreamExt as _};

use super::access::{Access, pages};
use super::calls::LIST_REGIONS;
use super::failure::Failure;

/// Regions that are asked at once; the pace is kept by `Access`.
const AT_ONCE: usize = 16;

/// What regions hold. Regions without the service, and those that an organisation policy closes, hold nothing back, unless
/// it closes all.
pub(super) async fn open<T, F>(work: Vec<F>) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let read: Vec<Result<T, Failure>> = stream::iter(work).buffered(AT_ONCE).collect().await;
    let shut = read.iter().all(|read| read.as_ref().is_err_and(Failure::is_closed));
    let counts = |read: &Result<T, Failure>| {
        read.as_ref().err().is_none_or(|failure| !failure.is_nowhere() && (shut || !failure.is_closed()))
    };
    read.into_iter().filter(counts).collect()
}

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
