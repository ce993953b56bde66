//! Files read on all cores, and handed over one after the other.

use rayon::prelude::*;

use super::error::LakeError;

/// Files that are read at once, for every core: enough that none waits long for another's largest.
const A_CORE: usize = 8;

/// Reads all, so many at a time, while what was read before is handed over: in order, as if read one by one.
pub(super) fn ahead<I: Sync, T: Send>(
    all: &[I],
    read: impl Fn(&I) -> Result<T, LakeError> + Sync,
    mut each: impl FnMut(T) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let groups = all.chunks(A_CORE * rayon::current_num_threads().max(1));
    let mut ready: Vec<Result<T, LakeError>> = Vec::new();
    for group in groups {
        let mut next = Vec::new();
        let before = std::mem::take(&mut ready);
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| next = group.par_iter().map(&read).collect());
            before.into_iter().try_for_each(|one| one.and_then(&mut each))
        })?;
        ready = next;
    }
    ready.into_iter().try_for_each(|one| one.and_then(&mut each))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, broken: Option<usize>) -> (Vec<usize>, Result<(), LakeError>) {
        let all: Vec<usize> = (0..count).collect();
        let mut seen = Vec::new();
        let failed = |at: usize| LakeError::Damaged { path: at.to_string().into(), reason: String::new() };
        let read = |at: &usize| if Some(*at) == broken { Err(failed(*at)) } else { Ok(*at) };
        let told = ahead(&all, read, |at| {
            seen.push(at);
            Ok(())
        });
        (seen, told)
    }

    #[test]
    fn all_come_in_order_up_to_the_first_that_fails() {
        for count in [0, 1, 3, 4, 5, 50] {
            let (seen, told) = numbers(count, None);
            assert!(told.is_ok());
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
        let (seen, told) = numbers(50, Some(17));
        assert!(told.unwrap_err().to_string().contains("17"));
        assert_eq!(seen, (0..17).collect::<Vec<_>>());
    }

    #[test]
    fn what_fails_to_be_taken_ends_it() {
        let all: Vec<usize> = (0..50).collect();
        let mut taken = 0;
        let told = ahead(
            &all,
            |at| Ok(*at),
            |at| {
                taken += 1;
                let reason = String::new();
                if at == 5 { Err(LakeError::Damaged { path: "here".into(), reason }) } else { Ok(()) }
            },
        );
        assert!(told.is_err());
        assert_eq!(taken, 6);
    }
}
