//! Judging charges: what every store does with the numbers it has read (rules 56 to 63).

use crate::{BrakeKind, BrakeName, Charge, ChargeKey, History, HistoryOp, Judged, Settlement, WithheldSet};
use bothways_model::Timestamp;
use bothways_model::planted::{self, Bug};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Where something charged stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeState {
    /// Known, not done yet.
    Announced,
    /// Withheld by its brake, which is on.
    Withheld,
    /// Done: counts for a while.
    Done,
    /// Done because a person approved it: does not count. The approval still covers it until its look is finished.
    Spent,
}

impl ChargeState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ChargeState::Announced => "announced",
            ChargeState::Withheld => "withheld",
            ChargeState::Done => "done",
            ChargeState::Spent => "spent",
        }
    }

    /// Reads [`ChargeState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Announced, Self::Withheld, Self::Done, Self::Spent].into_iter().find(|s| s.as_str() == text)
    }

    /// Whether it is still to come.
    pub fn is_open(self) -> bool {
        matches!(self, ChargeState::Announced | ChargeState::Withheld)
    }
}

/// Something charged, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRow {
    /// Where it stands.
    pub state: ChargeState,
    /// What is done, in words.
    pub what: String,
    /// Since when it is known; when it was done.
    pub at: Timestamp,
    /// Approved until then.
    pub approved_until: Option<Timestamp>,
    /// By whom.
    pub approved_by: Option<String>,
}

impl ChargeRow {
    /// Whether a person's approval covers it now.
    pub fn is_approved(&self, now: Timestamp) -> bool {
        self.approved_until.is_some_and(|until| until > now)
    }
}

/// What one transaction knows of one brake. Everything but `rows` and `coming_too` is about all of them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Whether it is on.
    pub on: bool,
    /// Done since the window began.
    pub done: u64,
    /// Announced or withheld.
    pub open: u64,
    /// Withheld.
    pub withheld: u64,
    /// For deletes: to come, though nobody has charged them yet: missing links, captured deletes.
    pub coming: u64,
    /// Which of those are among the keys of this transaction.
    pub coming_too: BTreeSet<ChargeKey>,
    /// The rows of this transaction's keys, as far as there are any.
    pub rows: BTreeMap<ChargeKey, ChargeRow>,
}

/// A verdict with what it is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// This is it.
    Is(Judged),
    /// It depends on the number of live links.
    CountLinks,
}

impl Tally {
    /// Judges one charge. `more` is how many others of this transaction will be counted before it; `live` the number of live links,
    /// if it is known: for deletes, together with those that the deletes which count have closed. A share is one of what there was, or
    /// the limit would sink with every delete that kept to it.
    pub fn judge(&self, charge: &Charge, now: Timestamp, more: u64, live: Option<u64>) -> Ruling {
        let row = self.rows.get(&charge.key);
        if row.is_some_and(|row| row.is_approved(now)) {
            return Ruling::Is(Judged::Approved);
        }
        // Once each, however often it is tried, and whatever has come on since. Not deletes: the row may have been back.
        let done = row.is_some_and(|row| row.state == ChargeState::Done && row.at >= charge.since);
        if done && charge.ripening.is_none() {
            return Ruling::Is(Judged::Free);
        }
        if let Some(ripening) = charge.ripening {
            let known = row.filter(|row| row.state.is_open()).map_or(ripening.since, |row| row.at);
            if known + ripening.wait > now {
                return Ruling::Is(Judged::Early(known + ripening.wait));
            }
        }
        let known =
            done || row.is_some_and(|row| row.state.is_open()) || self.coming_too.contains(&charge.key);
        let counted = self.done + self.open + self.coming + more + u64::from(!known);
        if !self.on && counted <= charge.limit.at_least() {
            return Ruling::Is(Judged::Free);
        }
        let Some(live) = live else { return Ruling::CountLinks };
        let most = charge.limit.at(live);
        let forgotten = charge.brake.kind == BrakeKind::Deletes && planted::is(Bug::DeleteLimitForgotten);
        let free = !self.on && counted <= most || forgotten;
        Ruling::Is(if free { Judged::Free } else { Judged::Withheld { counted, most } })
    }

    /// Takes in what was judged and returns the row to store. `Early` and `Withheld` are taken in whatever becomes of their unit;
    /// the others when it is carried out.
    pub fn record(&mut self, charge: &Charge, judged: Judged, now: Timestamp) -> ChargeRow {
        let before = self.rows.get(&charge.key).cloned();
        let open = before.as_ref().is_some_and(|row| row.state.is_open());
        let counted =
            before.as_ref().is_some_and(|row| row.state == ChargeState::Done && row.at >= charge.since);
        let known = before.as_ref().filter(|row| row.state.is_open()).map(|row| row.at);
        let known = known.or(charge.ripening.map(|r| r.since)).unwrap_or(now);
        let withheld = before.as_ref().is_some_and(|row| row.state == ChargeState::Withheld);
        self.withheld = self.withheld.saturating_sub(u64::from(withheld));
        self.open = self.open.saturating_sub(u64::from(open));
        self.done = self.done.saturating_sub(u64::from(counted));
        if self.coming_too.remove(&charge.key) {
            self.coming = self.coming.saturating_sub(1);
        }
        let (state, at) = match judged {
            Judged::Free => (ChargeState::Done, now),
            Judged::Approved => (ChargeState::Spent, now),
            Judged::Early(_) => (ChargeState::Announced, known),
            Judged::Withheld { .. } => (ChargeState::Withheld, known),
        };
        match state {
            ChargeState::Done => self.done += 1,
            ChargeState::Spent => {}
            ChargeState::Announced => self.open += 1,
            ChargeState::Withheld => {
                self.open += 1;
                self.withheld += 1;
                self.on = true;
            }
        }
        if self.withheld == 0 {
            self.on = false;
        }
        let spent = before.filter(|_| state == ChargeState::Spent);
        let row = ChargeRow {
            state,
            what: charge.what.clone(),
            at,
            approved_until: spent.as_ref().and_then(|row| row.approved_until),
            approved_by: spent.and_then(|row| row.approved_by),
        };
        self.rows.insert(charge.key.clone(), row.clone());
        row
    }
}

/// Names in an entry of history who approved it: `rows` are those of its link or row, by brake.
pub fn name_approver<'r>(entry: &mut History, rows: impl Iterator<Item = (&'r BrakeName, &'r ChargeRow)>) {
    let used = |row: &ChargeRow| row.state == ChargeState::Spent && row.approved_until.is_some();
    let mut all = rows.filter(|(name, row)| used(row) && is_about(name, entry));
    entry.approved_by = all.find_map(|(_, row)| row.approved_by.clone());
}

/// Whether an entry tells of something that this brake is about.
fn is_about(brake: &BrakeName, entry: &History) -> bool {
    brake.pair == entry.pair
        && match brake.kind {
            BrakeKind::Deletes => entry.op == HistoryOp::Delete,
            BrakeKind::Creates => entry.op == HistoryOp::Create,
            BrakeKind::Updates => entry.op == HistoryOp::Update,
            BrakeKind::Blanking => brake.part.split_once('/').is_some_and(|(side, field)| {
                entry.op == HistoryOp::Update
                    && entry.side.as_str() == side
                    && entry.fields.contains_key(field)
            }),
            BrakeKind::Empty => false,
        }
}

/// What the end of a look does to a row: `None` leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is forgotten.
    Forgotten,
    /// Its approval is spent for good.
    Spent,
}

/// What a settlement does to a stored row of its key under a brake that it keeps or not.
pub fn settled(settlement: &Settlement, kept: bool, state: ChargeState) -> Option<Settled> {
    match state {
        ChargeState::Announced | ChargeState::Withheld => (!kept).then_some(Settled::Forgotten),
        ChargeState::Spent => settlement.finished.then_some(Settled::Spent),
        ChargeState::Done => None,
    }
}

/// The digest of a set of withheld things, given in order of their keys' texts.
#[derive(Default)]
pub struct SetDigest {
    sha: Sha256,
    count: u64,
}

impl SetDigest {
    /// Adds one.
    pub fn add(&mut self, key: &str, what: &str) {
        for text in [key, what] {
            self.sha.update((text.len() as u64).to_be_bytes());
            self.sha.update(text.as_bytes());
        }
        self.count += 1;
    }

    /// The set.
    pub fn finish(self) -> WithheldSet {
        WithheldSet { count: self.count, digest: hex::encode(&self.sha.finalize()[..12]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limit, Ripening};
    use bothways_model::{LocalId, PairId};
    use chrono::TimeDelta;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn key(n: u32) -> ChargeKey {
        ChargeKey::Row(LocalId(n.to_string()))
    }

    fn charge(n: u32, limit: Limit) -> Charge {
        let brake = BrakeName { pair: PairId(1), kind: BrakeKind::Creates, part: String::new() };
        Charge { brake, key: key(n), what: "create".into(), limit, since: at(0), ripening: None }
    }

    #[test]
    fn limits_follow_the_links() {
        let limit =
            Limit { few: 10, from: 100, percent: 20, most: 500, tighter: None, tighter_percent: None };
        let at = [0, 99, 100, 104, 1_000, 2_500, 1_000_000].map(|live| limit.at(live));
        assert_eq!(at, [10, 10, 20, 20, 200, 500, 500]);
        assert_eq!(limit.at_least(), 10);
        assert_eq!(Limit { tighter: Some(3), ..limit }.at(1_000), 3);
        assert_eq!(Limit { tighter: Some(3_000), ..limit }.at(1_000), 200, "never looser");
        let share = Limit { tighter_percent: Some(1), ..limit };
        assert_eq!([0, 99, 1_000].map(|live| share.at(live)), [0, 0, 10]);
        assert_eq!(share.at_least(), 0);
        assert_eq!([0, 5, 1_000_000].map(|live| Limit::flat(7).at(live)), [7, 7, 7]);
        assert_eq!(Limit::flat(7).at_least(), 7);
        assert_eq!(Limit::flat(0).at(9), 0);
    }

    #[test]
    fn no_limit_is_ever_below_what_it_says_it_is_at_least() {
        for few in [0, 5, 10, u64::MAX] {
            for (from, percent, most) in [(100, 20, 500), (100, 5, 50), (100, 30, u64::MAX), (0, u64::MAX, 7)]
            {
                for tighter in [None, Some(3)] {
                    let limit = Limit { few, from, percent, most, tighter, tighter_percent: None };
                    for live in 0..2_000 {
                        assert!(limit.at(live) >= limit.at_least(), "{limit:?} {live}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_withheld_turns_its_brake_off() {
        let mut tally = Tally::default();
        let limit = Limit::flat(1);
        for (n, free) in [(1, true), (2, false), (3, false)] {
            let Ruling::Is(judged) = tally.judge(&charge(n, limit), at(1), 0, Some(9)) else { panic!() };
            assert_eq!(judged.is_free(), free);
            tally.record(&charge(n, limit), judged, at(1));
        }
        assert!(tally.on && tally.withheld == 2);
        for n in [2, 3] {
            tally.rows.get_mut(&key(n)).unwrap().approved_until = Some(at(60));
            let ruling = tally.judge(&charge(n, limit), at(2), 0, Some(9));
            assert_eq!(ruling, Ruling::Is(Judged::Approved));
            let row = tally.record(&charge(n, limit), Judged::Approved, at(2));
            assert_eq!((row.state, tally.on), (ChargeState::Spent, n == 2));
        }
        assert_eq!(tally.done, 1, "what was approved does not count");
    }

    #[test]
    fn an_approval_ends_with_its_time() {
        let mut tally = Tally { on: true, open: 1, withheld: 1, ..Tally::default() };
        let row = ChargeRow {
            state: ChargeState::Withheld,
            what: "create".into(),
            at: at(0),
            approved_until: Some(at(10)),
            approved_by: Some("ann".into()),
        };
        tally.rows.insert(key(1), row);
        let judge = |second| tally.judge(&charge(1, Limit::flat(0)), at(second), 0, Some(1));
        assert_eq!(judge(9), Ruling::Is(Judged::Approved));
        assert_eq!(judge(10), Ruling::Is(Judged::Withheld { counted: 1, most: 0 }));
    }

    #[test]
    fn what_ripens_waits_and_is_counted_meanwhile() {
        let mut tally = Tally { coming: 2, ..Tally::default() };
        let ripe = |n| Charge {
            ripening: Some(Ripening { since: at(10), wait: TimeDelta::seconds(5), captured: true }),
            ..charge(n, Limit::flat(3))
        };
        tally.coming_too.insert(key(1));
        assert_eq!(tally.judge(&ripe(1), at(12), 0, None), Ruling::Is(Judged::Early(at(15))));
        let row = tally.record(&ripe(1), Judged::Early(at(15)), at(12));
        assert_eq!((row.state, row.at), (ChargeState::Announced, at(10)));
        assert_eq!((tally.open, tally.coming), (1, 1), "counted once");
        assert_eq!(tally.judge(&ripe(1), at(15), 0, None), Ruling::Is(Judged::Free));
        tally.done = 2;
        assert_eq!(tally.judge(&ripe(1), at(15), 0, None), Ruling::CountLinks);
        assert_eq!(
            tally.judge(&ripe(1), at(15), 0, Some(0)),
            Ruling::Is(Judged::Withheld { counted: 4, most: 3 })
        );
    }

    #[test]
    fn a_set_is_named_by_all_of_it() {
        let digest = |items: &[(&str, &str)]| {
            let mut set = SetDigest::default();
            items.iter().for_each(|(key, what)| set.add(key, what));
            set.finish()
        };
        let one = digest(&[("a", "delete"), ("b", "delete")]);
        assert_eq!(one.count, 2);
        assert_eq!(one, digest(&[("a", "delete"), ("b", "delete")]));
        for other in
            [&[("a", "delete")][..], &[("a", "delete"), ("b", "clear")], &[("ad", "elete"), ("b", "delete")]]
        {
            assert_ne!(one.digest, digest(other).digest);
        }
    }
}
