//! Linked records that a complete walk did not meet: perhaps deleted without an event that ever came (rules 31, 54).
//!
//! Absence proves nothing, so each of them only gets a look, which asks the service for the record itself. What was met is kept in a
//! filter of a fixed size, whatever the number of records; a record that it takes for met by mistake is found by the next pass, whose
//! filter is salted differently. A walk that was interrupted has no filter, and leaves it to the next one.

use crate::EngineError;
use crate::events::look_at;
use crate::pass::Pass;
use bothways_model::RemoteId;
use bothways_store::{LinkFilter, LinkState, PageCommit};
use sha2::{Digest, Sha256};

/// Half a MiB: at 400,000 records one of a hundred is taken for met by mistake.
const BITS: usize = 1 << 22;
/// Links read as one set.
const SET: usize = 200;

/// What a walk has met: of a full pass, or of a plan.
pub(crate) struct Met {
    salt: String,
    bits: Vec<u64>,
    /// Records met that have a link in the state `linked`.
    pub(crate) linked: u64,
}

impl Met {
    pub(crate) fn new(salt: &str) -> Self {
        Self { salt: salt.to_owned(), bits: vec![0; BITS / 64], linked: 0 }
    }

    pub(crate) fn note(&mut self, id: &RemoteId) {
        for place in self.places(id) {
            if let Some(word) = self.bits.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
    }

    pub(crate) fn has(&self, id: &RemoteId) -> bool {
        self.places(id)
            .into_iter()
            .all(|place| self.bits.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0))
    }

    fn places(&self, id: &RemoteId) -> [usize; 4] {
        let digest = Sha256::digest(format!("{}\n{id}", self.salt).as_bytes());
        let mut places = [0; 4];
        for (place, bytes) in places.iter_mut().zip(digest.chunks_exact(8)) {
            *place = bytes
                .iter()
                .fold(0_usize, |sum, byte| sum.wrapping_mul(256).wrapping_add(usize::from(*byte)))
                % BITS;
        }
        places
    }
}

impl Pass<'_> {
    /// Has every linked record looked at that a complete walk did not meet. Links are read only if the numbers do not agree.
    pub(crate) async fn find_unmet(&mut self, met: &Met) -> Result<(), EngineError> {
        let counts = self.engine.store.counts(self.pair.id).await?;
        if counts.links.get(LinkState::Linked.as_str()).copied().unwrap_or(0) <= met.linked {
            return Ok(());
        }
        let filter =
            LinkFilter { pair: Some(self.pair.id), state: Some(LinkState::Linked), ..LinkFilter::default() };
        let mut after = None;
        loop {
            self.check_halted().await?;
            let links = self.engine.store.links(&filter, after, SET).await?;
            let Some(last) = links.last() else { return Ok(()) };
            after = Some(last.id);
            let mut effects = PageCommit::default();
            // What was linked since the walk began need not have been listed.
            let known = links.into_iter().filter(|link| link.created_at < self.state.started);
            let unmet = known.filter_map(|link| link.remote_id).filter(|id| !met.has(id));
            effects.signals.extend(unmet.map(|id| look_at(self.pair.id, id)));
            if !effects.signals.is_empty() {
                self.state.counts.differing += effects.signals.len() as u64;
                self.engine.store.commit_page(self.engine.ports.clock.now(), &effects).await?;
                self.engine.nudge().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_known_and_hardly_anything_else() {
        let mut met = Met::new("a pass");
        let id = |n: u32| RemoteId(format!("cus_{n}"));
        (0..50_000).for_each(|n| met.note(&id(n)));
        assert!((0..50_000).all(|n| met.has(&id(n))));
        let mistaken = (50_000..60_000).filter(|n| met.has(&id(*n))).count();
        assert!(mistaken < 20, "{mistaken}");
    }
}
