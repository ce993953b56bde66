//! Which conversions remove the most exposure within what people are willing to ask for: for each person a 0/1 knapsack,
//! solved exactly.

/// One conversion of a person: what it costs in requests over the window, and the exposure that it removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Requests over the window.
    pub requests: u64,
    /// Exposure removed.
    pub removed: u64,
}

/// Indices of the offers to take so that their requests sum to at most `budget` and what they remove is the greatest
/// possible; of several such choices the one with the fewest requests, then the first offers. Time and memory grow with
/// the number of offers times the budget.
#[must_use]
pub fn choose(offers: &[Offer], budget: u64) -> Vec<usize> {
    // A person cannot be asked to pay more than everything costs.
    let all: u64 = offers.iter().map(|offer| offer.requests).sum();
    let capacity = usize::try_from(budget.min(all)).unwrap_or(usize::MAX);
    // best[k][c]: the most that the offers from k on remove with c requests left.
    let mut best = vec![vec![0u64; capacity + 1]; offers.len() + 1];
    for (k, offer) in offers.iter().enumerate().rev() {
        let cost = usize::try_from(offer.requests).unwrap_or(usize::MAX);
        for left in 0..=capacity {
            let without = value(&best, k + 1, left);
            let with = left.checked_sub(cost).map(|rest| value(&best, k + 1, rest) + offer.removed);
            if let Some(cell) = best.get_mut(k).and_then(|row| row.get_mut(left)) {
                *cell = with.map_or(without, |with| with.max(without));
            }
        }
    }
    // As few requests as the greatest value needs.
    let most = value(&best, 0, capacity);
    let mut left = (0..=capacity).find(|left| value(&best, 0, *left) == most).unwrap_or(capacity);
    let mut taken = Vec::new();
    for (k, offer) in offers.iter().enumerate() {
        let cost = usize::try_from(offer.requests).unwrap_or(usize::MAX);
        let Some(rest) = left.checked_sub(cost) else { continue };
        if offer.removed > 0 && value(&best, k + 1, rest) + offer.removed == value(&best, k, left) {
            taken.push(k);
            left = rest;
        }
    }
    taken
}

fn value(best: &[Vec<u64>], k: usize, left: usize) -> u64 {
    best.get(k).and_then(|row| row.get(left)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(offers: &[Offer], taken: impl Iterator<Item = usize>) -> (u64, u64) {
        taken.fold((0, 0), |(requests, removed), at| (requests + offers[at].requests, removed + offers[at].removed))
    }

    #[test]
    fn what_costs_nothing_is_always_taken() {
        let offers =
            [Offer { requests: 0, removed: 5 }, Offer { requests: 3, removed: 100 }, Offer { requests: 0, removed: 0 }];
        assert_eq!(choose(&offers, 0), [0]);
        assert_eq!(choose(&offers, 2), [0]);
        assert_eq!(choose(&offers, 3), [0, 1]);
        assert_eq!(choose(&[], 10), [0; 0]);
    }

    proptest! {
        #[test]
        fn the_choice_is_the_best_of_all(
            offers in prop::collection::vec((0u64..8, 0u64..50), 0..11),
            budget in 0u64..30,
        ) {
            let offers: Vec<Offer> =
                offers.into_iter().map(|(requests, removed)| Offer { requests, removed }).collect();
            let taken = choose(&offers, budget);
            let (requests, removed) = sums(&offers, taken.into_iter());
            prop_assert!(requests <= budget);
            let subsets = (0u32..1 << offers.len())
                .map(|mask| sums(&offers, (0..offers.len()).filter(move |at| mask & (1 << at) != 0)))
                .filter(|(requests, _)| *requests <= budget);
            let best = subsets.map(|(requests, removed)| (removed, std::cmp::Reverse(requests))).max().unwrap();
            prop_assert_eq!((removed, std::cmp::Reverse(requests)), best);
        }
    }
}
