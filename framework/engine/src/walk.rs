//! The two walks of a full pass: every remote record, then every row (rules 27, 54, 59).
//!
//! Pages are fetched ahead while earlier ones are matched with the links and committed, always in sets. What is linked and shows
//! nothing new costs one comparison; what differs is signalled; what has no link becomes a match key, with what it held.

use crate::contact::Kept;
use crate::decide::local_changed;
use crate::events::look_at;
use crate::pairs::PairRuntime;
use crate::pass::{Pass, Stage};
use crate::reading::ReadError;
use crate::unmet::Met;
use crate::{Engine, EngineError, Purpose, detached, quiet, read, scope};
use bothways_connector::{Operation, Outcome, Page, PageCursor};
use bothways_model::planted::{self, Bug};
use bothways_model::{LinkId, LocalId, LocalRow, Observed, RemoteId, Seq, Timestamp};
use bothways_store::{
    Key, KeyWrite, Link, LinkFilter, LinkState, PageCommit, RowPage, Side, Signal, Subject,
};
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pages fetched ahead.
const AHEAD: usize = 1;
/// Records matched and committed as one set. Larger sets cost memory and, measured, save nothing.
const SET: usize = 100;
/// Rows of one page.
const ROWS: usize = 200;
/// Rows asked for one by one at once, when some must be missing.
const SINGLES: usize = 32;

/// A page as it was fetched.
struct Fetched {
    page: Page,
    /// When the service cannot have answered any earlier, by its own clock.
    watermark: Option<Timestamp>,
}

impl Pass<'_> {
    /// Reads all remote records from `page` on.
    pub(crate) async fn walk_remote(&mut self, page: Option<PageCursor>) -> Result<(), EngineError> {
        if !self.pair.capabilities().list {
            return self.enter(Stage::Local { after: None }).await;
        }
        // Only a walk from the top can say what it did not meet.
        let mut met = page.is_none().then(|| Met::new(&self.state.id));
        let mut pages = fetch_ahead(self.engine.clone(), self.pair.clone(), page);
        loop {
            let Some(first) = pages.recv().await else {
                return Err(ReadError::Failed(read::unexpected("a walk (it ended early)")).into());
            };
            let mut items = Vec::new();
            let mut next = match first {
                Ok(fetched) => self.unpack(fetched, &mut items),
                Err(_) if planted::is(Bug::HalfAWalkIsAWalk) => None,
                Err(error) => return self.walk_again(error).await,
            };
            // Whatever has come in meanwhile joins the set.
            let mut trouble = None;
            while next.is_some() && trouble.is_none() && items.len() < SET {
                match pages.try_recv() {
                    Ok(Ok(fetched)) => next = self.unpack(fetched, &mut items),
                    Ok(Err(error)) => trouble = Some(error),
                    Err(_) => break,
                }
            }
            self.check_halted().await?;
            self.state.counts.remote += items.len() as u64;
            if let Some(met) = &mut met {
                items.iter().for_each(|item| met.note(&item.id));
            }
            let linked = self.linked_met;
            let effects = self.take_remote(items, self.state.seq).await?;
            if let Some(met) = &mut met {
                met.linked += self.linked_met - linked;
            }
            match next {
                Some(page) => self.commit(effects, Stage::Remote { page: Some(page) }).await?,
                None => {
                    self.check_not_empty(self.state.counts.remote, Side::Remote).await?;
                    if let Some(met) = &met {
                        self.find_unmet(met).await?;
                    }
                    return self.commit(effects, Stage::Local { after: None }).await;
                }
            }
            if let Some(error) = trouble {
                return self.walk_again(error).await;
            }
        }
    }

    fn unpack(&mut self, fetched: Fetched, items: &mut Vec<Observed>) -> Option<PageCursor> {
        if self.state.watermark.is_none() {
            self.state.watermark = fetched.watermark;
        }
        items.extend(fetched.page.items);
        fetched.page.next
    }

    /// What a set of remote records, seen in bulk, leads to: signals for linked ones that differ, keys for those without a link.
    pub(crate) async fn take_remote(
        &mut self,
        items: Vec<Observed>,
        seq: Seq,
    ) -> Result<PageCommit, EngineError> {
        let mut effects = PageCommit::default();
        if items.is_empty() {
            return Ok(effects);
        }
        let ids: Vec<RemoteId> = items.iter().map(|item| item.id.clone()).collect();
        let links = self.engine.store.links_of_remote(self.pair.id, &ids).await?;
        let mut met = BTreeSet::new();
        for (item, link) in items.iter().zip(links) {
            // A page that comes twice shows its records twice.
            if !met.insert(&item.id) {
                continue;
            }
            self.linked_met += u64::from(link.as_ref().is_some_and(|link| link.state == LinkState::Linked));
            match link {
                Some(link) if scope::is_back_there(&self.pair.mapping, &link, item) => {
                    effects.signals.push(look_at(self.pair.id, item.id.clone()));
                }
                Some(link) if !link.state.is_live() || quiet::remote(&self.pair, &link, item) => {}
                Some(link) if planted::is(Bug::ListPageIsTheRecord) => {
                    self.engine.apply_all(&self.pair, [(Some(item), &Some(link))].into_iter()).await;
                }
                Some(link) => {
                    self.note_differing(&link).await?;
                    effects.signals.push(look_at(self.pair.id, item.id.clone()));
                }
                None => self.take_unlinked(item, seq, &mut effects).await?,
            }
        }
        Ok(effects)
    }

    async fn take_unlinked(
        &mut self,
        item: &Observed,
        seq: Seq,
        effects: &mut PageCommit,
    ) -> Result<(), EngineError> {
        if item.gone || !self.pair.mapping.remote_in_scope(&item.body) {
            return Ok(());
        }
        if self.stamped_by_us(item).await?.is_some() {
            // It belongs to that link, whatever became of the answer to its create (rules 25, 26).
            self.state.counts.handed_on += 1;
            effects.signals.push(look_at(self.pair.id, item.id.clone()));
            return Ok(());
        }
        effects.keys.push(KeyWrite::Put(remote_key(&self.pair, item, seq)));
        Ok(())
    }

    /// The link of ours whose stamp a record carries; a stamp we do not know binds nothing (rule 22).
    pub(crate) async fn stamped_by_us(&self, item: &Observed) -> Result<Option<Link>, EngineError> {
        let Some(stamp) = self.pair.mapping.stamp_of(&item.body).and_then(|text| text.parse::<LinkId>().ok())
        else {
            return Ok(None);
        };
        let link = self.engine.store.link(stamp).await?;
        Ok(link.filter(|link| link.pair == self.pair.id))
    }

    /// Reads all rows after `after`.
    pub(crate) async fn walk_local(&mut self, after: Option<LocalId>) -> Result<(), EngineError> {
        let store = self.engine.store.clone();
        let catalog = self.pair.mapping.catalog.name.clone();
        let mut page = store.rows(&catalog, None, after.as_ref(), ROWS).await?;
        loop {
            self.check_halted().await?;
            let next = page.next.clone();
            let ahead = async {
                match &next {
                    Some(after) => store.rows(&catalog, None, Some(after), ROWS).await,
                    None => Ok(RowPage::default()),
                }
            };
            let (taken, ahead) = futures::join!(self.take_rows(page), ahead);
            let effects = taken?;
            match next.clone() {
                Some(after) => self.commit(effects, Stage::Local { after: Some(after) }).await?,
                None => {
                    self.check_not_empty(self.state.counts.local, Side::Local).await?;
                    self.find_missing().await?;
                    self.look_at_withheld().await?;
                    return self.commit(effects, Stage::CatchUp).await;
                }
            }
            page = ahead?;
        }
    }

    async fn take_rows(&mut self, page: RowPage) -> Result<PageCommit, EngineError> {
        let mut effects = PageCommit::default();
        let RowPage { rows, unreadable, .. } = page;
        self.state.counts.local += (rows.len() + unreadable.len()) as u64;
        self.state.counts.unreadable += unreadable.len() as u64;
        let ids: Vec<LocalId> =
            rows.iter().map(|row| &row.id).chain(unreadable.iter().map(|row| &row.id)).cloned().collect();
        let links = self.engine.store.links_of_local(self.pair.id, &ids).await?;
        self.state.counts.local_linked +=
            links.iter().flatten().filter(|link| link.state == LinkState::Linked).count() as u64;
        for row in &unreadable {
            // Its look says what is wrong with it.
            effects.signals.push(self.look_at_row(row.id.clone()));
        }
        for (row, link) in rows.iter().zip(links) {
            match link {
                Some(link) => {
                    if self.deserves_look(&link, row) {
                        self.note_differing(&link).await?;
                        effects.signals.push(self.look_at_row(row.id.clone()));
                    }
                }
                None if row.deleted_at.is_some() || !self.pair.mapping.local_in_scope(&row.fields) => {}
                None => effects.keys.extend(local_keys(&self.pair, row, self.state.seq)),
            }
        }
        Ok(effects)
    }

    fn deserves_look(&self, link: &Link, row: &LocalRow) -> bool {
        let mapping = &self.pair.mapping;
        match link.state {
            LinkState::Linked if link.lease.is_none() && link.body.conflicts.is_empty() => {
                !quiet::local(&self.pair, link, row)
            }
            LinkState::Linked | LinkState::Waiting => local_changed(mapping, &row.fields, &link.body),
            // It is back.
            LinkState::Missing => row.deleted_at.is_none(),
            LinkState::Detached => detached::has_unseen_edits(mapping, link, row),
            LinkState::Unlinked => {
                scope::is_back_here(mapping, link, row) || detached::is_live_again(mapping, link, row)
            }
            LinkState::Tombstone => {
                let merged = link.body.merged_into.is_some();
                detached::is_live_again(mapping, link, row)
                    || (merged && detached::has_unseen_edits(mapping, link, row))
            }
        }
    }

    pub(crate) fn look_at_row(&self, id: LocalId) -> Signal {
        Signal { pair: self.pair.id, subject: Subject::Local(id), look: true, not_before: None }
    }

    /// Rows that must exist, by their links, and were not met. Asked for one by one, and only if the numbers do not agree: rows have
    /// gone without a captured delete (rule 32).
    async fn find_missing(&mut self) -> Result<(), EngineError> {
        let counts = self.engine.store.counts(self.pair.id).await?;
        let linked = counts.links.get(LinkState::Linked.as_str()).copied().unwrap_or(0);
        if linked <= self.state.counts.local_linked {
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
            let ids: Vec<LocalId> = links.into_iter().filter_map(|link| link.local_id).collect();
            let mut effects = PageCommit::default();
            for some in ids.chunks(SINGLES) {
                let rows = futures::future::join_all(some.iter().map(|id| self.is_gone(id))).await;
                let gone =
                    some.iter().zip(rows).filter(|(_, gone)| *gone).map(|(id, _)| id.clone()).collect();
                let missing = self.unexplained(gone).await?;
                effects.signals.extend(missing.into_iter().map(|id| self.look_at_row(id)));
            }
            if !effects.signals.is_empty() {
                self.state.counts.missing += effects.signals.len() as u64;
                self.engine.store.commit_page(self.engine.ports.clock.now(), &effects).await?;
            }
        }
    }

    /// Of linked rows that are gone, those whose delete nobody captured: one that waits, perhaps withheld by a brake, is on its way.
    async fn unexplained(&self, mut gone: Vec<LocalId>) -> Result<Vec<LocalId>, EngineError> {
        if gone.is_empty() {
            return Ok(gone);
        }
        // Whatever was captured before is work from here on, or carried out; the work is read first, so that none slips between.
        self.engine.relay().await?;
        let (store, pair) = (&self.engine.store, self.pair.id);
        let asked = gone.iter().map(|id| store.work_of(pair, Some(id), None));
        let work = futures::future::try_join_all(asked).await?;
        let mut told = work.iter().map(|work| work.iter().any(|one| !one.facts.is_empty()));
        gone.retain(|_| !told.next().unwrap_or(false));
        let links = store.links_of_local(pair, &gone).await?;
        let mut linked = links.iter().map(|link| link.as_ref().is_some_and(|l| l.state == LinkState::Linked));
        gone.retain(|_| linked.next().unwrap_or(false));
        Ok(gone)
    }

    /// A row that cannot be read is there.
    async fn is_gone(&self, id: &LocalId) -> bool {
        matches!(self.engine.store.row(&self.pair.mapping.catalog.name, id).await, Ok(None))
    }
}

/// The match key of a remote record, with what it showed.
pub(crate) fn remote_key(pair: &PairRuntime, item: &Observed, seq: Seq) -> Key {
    let seen = read::remote(pair, item);
    Key {
        pair: pair.id,
        side: Side::Remote,
        id: item.id.0.clone(),
        value: pair.mapping.match_key(&seen.fields),
        seen: seq,
        content: Some(Kept::of(&seen).to_json()),
    }
}

/// The match key of a row. A row that names its record itself meets that record and no other, whatever their match values.
pub(crate) fn local_keys(pair: &PairRuntime, row: &LocalRow, seq: Seq) -> Vec<KeyWrite> {
    let mapping = &pair.mapping;
    let mut key = Key {
        pair: pair.id,
        side: Side::Local,
        id: row.id.0.clone(),
        value: mapping.match_key(&mapping.read_local(&row.fields)),
        seen: seq,
        content: None,
    };
    let Some(RemoteId(named)) = crate::named::held(pair, row) else {
        return vec![KeyWrite::Put(key)];
    };
    key.value = Some(format!("= {named}"));
    let record = Key { side: Side::Remote, id: named, ..key.clone() };
    vec![KeyWrite::Put(key), KeyWrite::Put(record)]
}

/// Fetches pages from `page` on, at most [`AHEAD`] of them ahead. Ends after the last page, after an error, or when nobody listens
/// any more.
fn fetch_ahead(
    engine: Arc<Engine>,
    pair: Arc<PairRuntime>,
    mut page: Option<PageCursor>,
) -> mpsc::Receiver<Result<Fetched, ReadError>> {
    let (pages, fetched) = mpsc::channel(AHEAD);
    let tasks = engine.ports.tasks.clone();
    let fetch = async move {
        loop {
            let result = fetch(&engine, &pair, page.as_ref()).await;
            let next = result.as_ref().ok().and_then(|fetched| fetched.page.next.clone());
            if pages.send(result).await.is_err() || next.is_none() {
                return;
            }
            page = next;
        }
    };
    tasks.spawn("walk", Box::pin(fetch));
    fetched
}

async fn fetch(engine: &Engine, pair: &PairRuntime, page: Option<&PageCursor>) -> Result<Fetched, ReadError> {
    let began = engine.ports.clock.now();
    let purpose = if pair.is_walked() { Purpose::Reconcile } else { Purpose::Background };
    let start = || pair.resource.start(Operation::List { page: page.cloned() });
    let Outcome::Page(found) = engine.read_bulk_for(purpose, &pair.connection, pair.timeout(), start).await?
    else {
        return Err(ReadError::Failed(read::unexpected("a list")));
    };
    if found.next.is_some() && found.next.as_ref() == page {
        return Err(ReadError::Failed(read::unexpected("a list (it names the same page again)")));
    }
    // The list was made after we asked; how long ago that is, our own clock knows. Times are whole seconds at worst.
    let took = (engine.ports.clock.now() - began).max(TimeDelta::zero()) + TimeDelta::seconds(1);
    Ok(Fetched { watermark: found.date.map(|date| date - took), page: found })
}
