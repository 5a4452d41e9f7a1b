//! Limits from the one table of numbers (`bothways_mapping::mapping::safety`), tightened by a mapping's own `safety`. Pure.

use bothways_mapping::mapping::safety::{self, Amount, BrakeNumbers, Safety};
use bothways_store::{BrakeKind, Limit};
use chrono::TimeDelta;

/// What was done longer ago than this does not count any more.
pub(crate) const WINDOW: TimeDelta = TimeDelta::minutes(30);

/// How long an approval holds where nobody says otherwise.
pub(crate) const APPROVED_FOR: TimeDelta = TimeDelta::hours(1);

/// Withheld work is looked at this often although nothing signals it: whatever changes its plan does signal it.
pub(crate) const RELOOK: TimeDelta = TimeDelta::hours(6);

/// So many creates beyond what the plan of a first import named count as the plan's own, if the plan named few.
const FEW_MORE: u64 = 10;

/// The limit of a kind of brake under a mapping's `safety`.
pub(crate) fn limit(kind: BrakeKind, tighter: &Safety) -> Limit {
    let (numbers, tighter) = match kind {
        BrakeKind::Deletes => (safety::DELETES, tighter.deletes),
        BrakeKind::Blanking => (safety::BLANKING, tighter.blanking),
        BrakeKind::Updates => (safety::UPDATES, tighter.updates),
        BrakeKind::Creates => (safety::CREATES, tighter.creates),
        BrakeKind::Empty => return Limit::flat(0),
    };
    let BrakeNumbers { few, from, percent, most } = numbers;
    let all = u64::MAX;
    let mut limit = match percent {
        Some(percent) => {
            Limit { few: few.unwrap_or(all), from, percent, most: most.unwrap_or(all), ..Limit::flat(0) }
        }
        None => Limit::flat(most.unwrap_or(all)),
    };
    match tighter {
        Some(Amount::Count(count)) => limit.tighter = Some(count),
        Some(Amount::Percent(percent)) => limit.tighter_percent = Some(percent),
        None => {}
    }
    limit
}

/// How many creates a first import may hand out whose approved plan named `named`: twice as many, but not 1,000 more (rule 60).
pub(crate) fn first_import(named: u64) -> u64 {
    let more = safety::CREATES.most.unwrap_or(u64::MAX);
    named.saturating_mul(2).max(named.saturating_add(FEW_MORE)).min(named.saturating_add(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_rules_say() {
        let at = |kind, live| limit(kind, &Safety::default()).at(live);
        assert_eq!([99, 100, 1_000, 10_000].map(|n| at(BrakeKind::Deletes, n)), [10, 20, 200, 500]);
        assert_eq!([99, 100, 500, 10_000].map(|n| at(BrakeKind::Blanking, n)), [5, 5, 25, 50]);
        assert_eq!([99, 100, 1_000].map(|n| at(BrakeKind::Updates, n)), [u64::MAX, 30, 300]);
        assert_eq!([0, 1_000_000].map(|n| at(BrakeKind::Creates, n)), [1_000, 1_000]);
        assert_eq!(at(BrakeKind::Empty, 5), 0);
        assert_eq!([0, 1, 10, 300, 1_000, 5_000].map(first_import), [10, 11, 20, 600, 2_000, 6_000]);
    }

    #[test]
    fn a_mapping_can_only_tighten() {
        for amount in [0, 1, 7, 50, 100].into_iter().flat_map(|n| [Amount::Count(n * 20), Amount::Percent(n)])
        {
            let own = Safety {
                deletes: Some(amount),
                blanking: Some(amount),
                updates: Some(amount),
                creates: Some(amount),
            };
            for kind in BrakeKind::ALL {
                for live in [0, 1, 10, 99, 100, 1_000, 100_000] {
                    let (with, without) = (limit(kind, &own), limit(kind, &Safety::default()));
                    assert!(with.at(live) <= without.at(live), "{kind:?} {amount:?} {live}");
                }
            }
        }
        let two = Safety { deletes: Some(Amount::Count(2)), ..Safety::default() };
        assert_eq!(limit(BrakeKind::Deletes, &two).at(1_000), 2);
    }
}
