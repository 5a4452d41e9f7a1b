//! A label that is another field from now on: what was last known of the old one says nothing of the new, so its bases are unknown
//! again before the change is approved, and what differs is a difference at first contact (rule 18).

use crate::apply::again;
use crate::{Engine, EngineError, PairRuntime};
use bothways_model::LinkId;
use bothways_store::{Guard, Link, LinkBody, LinkFilter, LinkWrite, LocalBinding, Unit, UnitOutcome};
use chrono::TimeDelta;
use std::time::Duration;

/// Links read as one set.
const SET: usize = 500;
/// How often a link that is being worked on is asked for, a tenth of a second apart.
const TRIES: usize = 600;

impl PairRuntime {
    /// Links without what was known of fields that the mapping, as it is written, has elsewhere.
    pub(crate) fn forgetting(&self, mut links: Vec<Option<Link>>) -> Vec<Option<Link>> {
        let moved = self.moved();
        for link in links.iter_mut().flatten() {
            forget(&mut link.body, &moved);
        }
        links
    }
}

impl Engine {
    /// Forgets these labels in every link of a pair. While the change waits for its approval nobody uses them.
    pub(crate) async fn forget(&self, pair: &PairRuntime, labels: &[String]) -> Result<(), EngineError> {
        if labels.is_empty() {
            return Ok(());
        }
        let filter = LinkFilter { pair: Some(pair.id), ..LinkFilter::default() };
        let mut after = None;
        loop {
            let page = self.store.links(&filter, after, SET).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for link in page.iter().filter(|link| knows(&link.body, labels)) {
                self.forget_in(link.id, labels).await?;
            }
        }
    }

    async fn forget_in(&self, id: LinkId, labels: &[String]) -> Result<(), EngineError> {
        for _ in 0..TRIES {
            let now = self.ports.clock.now();
            let taken = self.store.lease(id, now, now + TimeDelta::seconds(5)).await?;
            let Some((mut link, taken)) = taken.and_then(|taken| Some((taken.link.clone()?, taken))) else {
                if self.store.link(id).await?.is_none() {
                    return Ok(());
                }
                self.ports.clock.sleep(Duration::from_millis(100)).await;
                continue;
            };
            let mut unit = Unit::new(Guard::Token { link: id, token: taken.token });
            // The signals that were folded in with the lease are due again with this one.
            if !taken.work.is_empty() {
                unit.signals.extend(again(&link, true));
            }
            forget(&mut link.body, labels);
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
            if let UnitOutcome::Done { .. } = self.commits.commit(unit).await? {
                return Ok(());
            }
        }
        Err(EngineError::Refused(
            "a record is being worked on all the time: approve once more in a moment".to_owned(),
        ))
    }
}

fn knows(body: &LinkBody, labels: &[String]) -> bool {
    labels.iter().any(|label| body.base.contains_key(label) || body.conflicts.contains_key(label))
}

fn forget(body: &mut LinkBody, labels: &[String]) {
    for label in labels {
        body.base.remove(label);
        body.conflicts.remove(label);
        body.local_changed.remove(label);
        body.late.retain(|late| late.field != *label);
        body.recent.retain(|write| write.field != *label);
    }
}
