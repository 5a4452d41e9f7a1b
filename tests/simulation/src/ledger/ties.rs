//! Which rows belong to which links, by what engines were told.

use super::{Cells, Change, Ledger};
use crate::kinds::MATCH;
use bothways_model::{LinkId, PairId};
use bothways_store::Side;
use std::collections::BTreeSet;

/// A row was tied to a link.
#[derive(Debug)]
pub(super) struct Claim {
    pair: PairId,
    link: LinkId,
    entity: u64,
    seq: u64,
}

impl Ledger {
    /// A link was claimed for the row that has this id now.
    pub(crate) fn tie(&mut self, pair: PairId, link: LinkId, id: &str) {
        if let Some(entity) = self.rows.get(id).map(|row| row.entity)
            && self.ties.entry(link).or_default().insert(entity)
        {
            self.claims.push(Claim { pair, link, entity, seq: self.seq });
        }
    }

    /// The row that has this id now was made of a record.
    pub(crate) fn make_of(&mut self, id: &str, record: &str) {
        if let Some(row) = self.rows.get(id) {
            self.made_of.insert(row.entity, record.to_owned());
        }
    }

    /// Whether a row was made of another record than this one.
    pub(crate) fn is_made_of_another(&self, entity: u64, record: &str) -> bool {
        self.made_of.get(&entity).is_some_and(|of| of != record)
    }

    /// The rows that a link was claimed for or that were made for it, and whoever came back in their place: born with the id of one
    /// that was deleted, and the same by its match value (rule 30).
    pub(crate) fn rows_of(&self, link: LinkId) -> BTreeSet<u64> {
        let mut rows = self.ties.get(&link).cloned().unwrap_or_default();
        let mut news: Vec<u64> = rows.iter().copied().collect();
        while let Some(entity) = news.pop() {
            if let Some(back) = self.come_back(link, entity)
                && rows.insert(back)
            {
                news.push(back);
            }
        }
        rows
    }

    /// Only the rows that the link was claimed for.
    pub(crate) fn claimed_by(&self, link: LinkId) -> impl Iterator<Item = u64> {
        self.ties.get(&link).into_iter().flatten().copied()
    }

    /// The row of a deleted one's id that is the same by its match value, before another link was claimed for that id: the first that
    /// was born with it, or a later one. A delete may wait, and whoever has the id is compared then.
    fn come_back(&self, link: LinkId, entity: u64) -> Option<u64> {
        let gone = self.gone.iter().find(|gone| gone.side == Side::Local && gone.thing.entity == entity)?;
        let emails = |entity: u64, until: u64| {
            let of = move |c: &&Change| c.entity == entity && c.field == MATCH && c.seq <= until;
            let of = self.changes.iter().filter(of);
            of.filter_map(|change| change.after.as_deref()).map(|email| email.trim().to_lowercase())
        };
        let before: BTreeSet<String> = emails(entity, u64::MAX).collect();
        for (next, _) in self.births.get(&gone.id)?.iter().copied().filter(|(_, born)| *born > gone.seq) {
            let taken = self.taken_by_another(link, next);
            let is_same = emails(next, taken.unwrap_or(u64::MAX)).any(|email| before.contains(&email))
                || (self.cells_at_birth(next) == gone.thing.cells && gone.thing.cells[MATCH].is_none());
            if is_same {
                return Some(next);
            }
            if taken.is_some() {
                break;
            }
        }
        None
    }

    /// After which change another link of the same pair was first claimed for a row: this one was over.
    fn taken_by_another(&self, link: LinkId, entity: u64) -> Option<u64> {
        let pair = self.claims.iter().find(|claim| claim.link == link)?.pair;
        let others = self.claims.iter().filter(|claim| claim.pair == pair && claim.link != link);
        others.filter(|claim| claim.entity == entity).map(|claim| claim.seq).min()
    }

    fn cells_at_birth(&self, entity: u64) -> Cells {
        let mut cells = Cells::default();
        let at = self.changes.iter().find(|c| c.entity == entity).map(|c| c.at);
        for change in self.changes.iter().filter(|c| c.entity == entity && Some(c.at) == at) {
            cells[change.field].clone_from(&change.after);
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::STRIPE_CUSTOMERS;
    use crate::ledger::Who;

    /// What the table holds: ids and match values.
    fn rows(ledger: &mut Ledger, rows: &[(&str, &str)]) {
        let cells = |email: &str| [Some(email.to_owned()), None, None, None];
        let cut = rows.iter().map(|(id, email)| ((*id).to_owned(), (cells(email), None))).collect();
        ledger.observe_rows(cut, &BTreeSet::new(), Who::User, 0);
    }

    fn link(number: u128) -> LinkId {
        LinkId(uuid::Uuid::from_u128(number))
    }

    /// A row that was linked and is deleted, and another one that has its id.
    fn replaced() -> Ledger {
        let mut ledger = Ledger::new(STRIPE_CUSTOMERS.kind);
        rows(&mut ledger, &[("3", "ann@x.io")]);
        ledger.tie(PairId(1), link(1), "3");
        rows(&mut ledger, &[]);
        rows(&mut ledger, &[("3", "bea@x.io")]);
        ledger
    }

    #[test]
    fn a_later_row_of_an_id_may_be_the_one_that_came_back() {
        let mut ledger = replaced();
        rows(&mut ledger, &[]);
        rows(&mut ledger, &[("3", "cleo@x.io")]);
        assert_eq!(ledger.rows_of(link(1)), BTreeSet::from([1]));
        rows(&mut ledger, &[("3", "Ann@x.io")]);
        assert_eq!(ledger.rows_of(link(1)), BTreeSet::from([1, 3]));
    }

    #[test]
    fn nobody_comes_back_where_the_id_has_another_link() {
        for pair in [1, 2] {
            let mut ledger = replaced();
            ledger.tie(PairId(pair), link(2), "3");
            rows(&mut ledger, &[]);
            rows(&mut ledger, &[("3", "ann@x.io")]);
            let is_over = pair == 1;
            assert_eq!(ledger.rows_of(link(1)).contains(&3), !is_over);
            assert!(!ledger.rows_of(link(2)).contains(&3));
        }
    }
}
