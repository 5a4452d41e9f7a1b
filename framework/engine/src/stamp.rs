//! Stamps: whose record an unlinked one is, and two records that carry one stamp (rules 22, 25, 26).
//!
//! Which of two such records is the link's own nobody can tell: its row may have become either. So nothing flows to or from them until
//! a person has told them apart at the service. The link remembers the other record and asks for it at each look.

use crate::apply::again;
use crate::look::{Ended, Look};
use crate::read;
use bothways_connector::Outcome;
use bothways_model::{LinkId, Observed, RemoteId};
use bothways_store::{
    Guard, Link, LinkState, LinkWrite, LocalBinding, ParkReason, Signal, Subject, Unit, UnitOutcome,
};
use chrono::TimeDelta;

/// The digest of what is parked for this begins so; of an unlinked record the link's id follows.
const TWICE: &str = "stamp-twice";

fn why(other: &RemoteId) -> String {
    format!(
        "this record and `{other}` carry the stamp of one link (a clone, an import?): tell them apart at the service"
    )
}

impl Look {
    fn stamp(&self, observed: &Observed) -> Option<LinkId> {
        self.pair.mapping.stamp_of(&observed.body)?.parse().ok()
    }

    /// The link of ours whose stamp a record carries; a stamp we do not know is somebody else's (rule 22).
    pub(crate) async fn link_of_stamp(&self, observed: &Observed) -> Result<Option<Link>, Ended> {
        let Some(stamp) = self.stamp(observed) else { return Ok(None) };
        match self.engine.store.link(stamp).await {
            Ok(link) => Ok(link.filter(|link| link.pair == self.pair.id)),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// Whether a record is another link's than this one: linked to it, or made by a create of it that nobody was told of yet (rule 25).
    ///
    /// # Errors
    /// The links cannot be read.
    pub(crate) async fn is_of_another(&self, link: &Link, observed: &Observed) -> Result<bool, Ended> {
        // Whoever made it is asked first: what is linked between the two questions is found by the second.
        let made_for = self.link_of_stamp(observed).await?;
        let waits_for_it =
            |other: Link| other.id != link.id && other.state.is_live() && other.remote_id.is_none();
        Ok(made_for.is_some_and(waits_for_it) || self.belongs_to_another(link, &observed.id).await?)
    }

    /// A record that carries the stamp of a link of ours belongs to that link (rules 25, 26).
    pub(crate) async fn stamped(&self, observed: &Observed) -> Result<Option<Unit>, Ended> {
        let Some(link) = self.link_of_stamp(observed).await? else { return Ok(None) };
        let mut unit = self.nothing();
        match (&link.remote_id, &link.local_id) {
            // Its create was given up, and its row is matched with something else since.
            (None, None) if link.state == LinkState::Unlinked => {
                let row = link.body.former_local.as_ref().map_or("a row", |id| id.as_str());
                let why = format!(
                    "a create for row `{row}` that had been given up made this record after all: link them, or delete it at the service"
                );
                unit.work = self.park(ParkReason::Duplicate, why, "created-after-all");
            }
            // Its create was given up, and the row gone, before it arrived.
            (None, None) if !link.state.is_live() && link.body.former_local.is_some() => {
                return self.take_orphan(link, observed).await.map(Some);
            }
            // It was linked between the take and this look: what was just seen belongs to a look under its lease.
            (Some(same), _) if *same == observed.id && link.state.is_live() => {
                unit.signals.extend(again(&link, true));
            }
            (None, Some(local)) if link.state.is_live() => {
                let subject = Subject::Local(local.clone());
                unit.signals.push(Signal { pair: self.pair.id, subject, look: true, not_before: None });
            }
            (Some(other), _) if *other != observed.id => {
                if link.state.is_live() && link.body.twin.as_ref() != Some(&observed.id) {
                    self.remember_twin(&link, &observed.id).await?;
                }
                unit.work = self.park(ParkReason::Duplicate, why(other), &format!("{TWICE} {}", link.id));
            }
            _ => {}
        }
        Ok(Some(unit))
    }

    /// Has the link's own record parked too: its next look asks for the other one.
    async fn remember_twin(&self, link: &Link, twin: &RemoteId) -> Result<(), Ended> {
        let now = self.engine.ports.clock.now();
        let taken = match self.engine.store.lease(link.id, now, now + TimeDelta::seconds(5)).await {
            Ok(taken) => taken,
            Err(error) => return Err(self.store_trouble(&error)),
        };
        let wait = || {
            let mut unit = self.unit();
            unit.work = self.again_at(now + TimeDelta::seconds(1), None, None, true);
            Box::new(unit)
        };
        let Some(taken) = taken else { return Err(wait()) };
        let Some(mut link) = taken.link else { return Err(wait()) };
        let mut unit = Unit::new(Guard::Token { link: link.id, token: taken.token });
        unit.signals.extend(again(&link, true));
        link.body.twin = Some(twin.clone());
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        match self.engine.commits.commit(unit).await {
            Ok(UnitOutcome::Done { .. }) => Ok(()),
            Ok(_) => Err(wait()),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// A linked record whose stamp another one carried: parked while that is so.
    pub(crate) async fn told_apart(&mut self, mut link: Link) -> Result<Link, Ended> {
        let Some(twin) = link.body.twin.clone() else { return Ok(link) };
        let is_twin = match self.get(&twin).await? {
            Outcome::Record(observed) => {
                !observed.gone && observed.id == twin && self.stamp(&observed) == Some(link.id)
            }
            Outcome::Missing => false,
            Outcome::Failed(failure) => return Err(self.failed(&failure).await),
            _ => return Err(self.failed(&read::unexpected("a read")).await),
        };
        let mut unit = self.unit();
        if is_twin && link.remote_id.as_ref() != Some(&twin) {
            unit.work = self.park(ParkReason::Duplicate, why(&twin), TWICE);
            return Err(Box::new(unit));
        }
        link.body.twin = None;
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        self.commit_and_go_on(unit).await
    }

    /// A look at the link whose stamp this unlinked record carried when it was last seen.
    async fn twin_of(&self) -> Result<Option<Link>, Ended> {
        let digests = self.taken.work.iter().filter_map(|work| Some(&work.parked.as_ref()?.digest));
        let Some(id) = digests.filter_map(|d| d.strip_prefix(TWICE)?.trim().parse::<LinkId>().ok()).next()
        else {
            return Ok(None);
        };
        self.engine.store.link(id).await.map_err(|error| self.store_trouble(&error))
    }

    pub(crate) async fn look_at_twin(&self) -> Result<Vec<Signal>, Ended> {
        let link = self.twin_of().await?.filter(|link| link.body.twin.is_some());
        Ok(link.map(|link| again(&link, true)).unwrap_or_default())
    }
}
