//! What proves something about the remote side, and what does not (rules 17, 31).

use crate::Purpose;
use crate::look::{Ended, Look};
use crate::read::{self, Seen};
use bothways_connector::{Operation, Outcome};
use bothways_model::RemoteId;
use bothways_model::planted::{self, Bug};
use bothways_store::{Link, LinkWrite, LocalBinding, PauseScope};

impl Look {
    /// Reads the remote record. `None` if it is proven to be gone.
    pub(crate) async fn see(&self, link: &Link, id: &RemoteId) -> Result<Option<Seen>, Ended> {
        if planted::is(Bug::AbsenceFromListIsADelete) && !self.is_listed(id).await? {
            return Ok(None);
        }
        match self.get(id).await? {
            Outcome::Record(observed) if observed.gone => Ok(None),
            Outcome::Record(observed) if observed.id != *id => {
                Err(Box::new(self.merged(link.clone(), observed).await))
            }
            Outcome::Record(observed) => {
                let seen = read::remote(&self.pair, &observed);
                self.check_shape(link, &seen).await?;
                Ok(Some(seen))
            }
            Outcome::Missing => self.absence(link).await.map(|()| None),
            Outcome::Failed(failure) => Err(self.failed(&failure).await),
            _ => Err(self.failed(&read::unexpected("a read")).await),
        }
    }

    /// One GET.
    pub(crate) async fn get(&self, id: &RemoteId) -> Result<Outcome, Ended> {
        let exchange = match self.pair.resource.start(Operation::Get { id: id.clone() }) {
            Ok(exchange) => exchange,
            Err(failure) => return Err(self.failed(&failure).await),
        };
        let answer =
            self.engine.run(&self.pair.connection, Purpose::Live, exchange, self.pair.timeout()).await;
        match answer {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(self.silent(&error).await),
        }
    }

    /// A record without any field whose base has a value is no observation; a field that is absent three times in a row pauses the
    /// mapping (rule 17).
    async fn check_shape(&self, link: &Link, seen: &Seen) -> Result<(), Ended> {
        let expected: Vec<(String, bool)> = link
            .body
            .base
            .iter()
            .filter(|(label, base)| {
                base.remote.as_ref().is_some_and(|v| !v.is_null())
                    && !seen.refusals.iter().any(|(l, _)| l == *label)
            })
            .map(|(label, _)| (label.clone(), seen.fields.get(label).is_none()))
            .collect();
        if let Some(label) = self.pair.note_absent(&expected) {
            let why = format!(
                "field `{label}` is missing from three answers in a row: a permission or the API's version changed"
            );
            self.engine.pause(PauseScope::Pair(self.pair.id), &why).await;
        }
        if !expected.is_empty() && expected.iter().all(|(_, absent)| *absent) {
            return Err(self.failed(&read::unexpected("a record without any mapped field")).await);
        }
        Ok(())
    }

    /// A bare 404 proves a delete only when it repeats after a delay while other records can be read (rule 31).
    async fn absence(&self, link: &Link) -> Result<(), Ended> {
        if planted::is(Bug::BareAbsenceIsADelete) {
            return Ok(());
        }
        let delay = self.engine.settings.absence_delay;
        let Some(since) = link.body.missing_since else {
            let mut link = link.clone();
            link.body.missing_since = Some(self.now);
            let mut unit = self.unit();
            unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
            unit.work = self.again_at(self.now + delay, None, None, true);
            return Err(Box::new(unit));
        };
        if self.now < since + delay {
            let mut unit = self.unit();
            unit.work = self.again_at(since + delay, None, None, true);
            return Err(Box::new(unit));
        }
        let readable = match self.pair.resource.start(Operation::List { page: None }) {
            Ok(exchange) => {
                let answer = self
                    .engine
                    .run(&self.pair.connection, Purpose::Live, exchange, self.pair.timeout())
                    .await;
                matches!(answer, Ok(Outcome::Page(page)) if page.items.iter().any(|i| !i.gone && Some(&i.id) != link.remote_id.as_ref()))
            }
            Err(_) => false,
        };
        if readable {
            return Ok(());
        }
        let why = "the record is not found, but no other record can be read either: no proof of a delete"
            .to_owned();
        let mut unit = self.unit();
        unit.work = self.again_at(self.now + delay * 4, Some(why), None, true);
        Err(Box::new(unit))
    }
}
