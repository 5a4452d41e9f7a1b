//! The survey behind a plan: the walks and the matching of a full pass, with nothing at their end but items.

use super::{PlanAction, PlanItem, PlanSource, PlanTotals, items};
use crate::EngineError;
use crate::adopt::ambiguous_entry;
use crate::contact::{Judged, Kept, judge};
use crate::decide::{
    Action, Decision, GoneLocal, LocalSight, RecordAction, References, RemoteSight, Sight, decide,
    local_changed,
};
use crate::detached::{self, LIVE_AGAIN};
use crate::named;
use crate::quiet;
use crate::read::{self, Seen};
use crate::reading::ReadError;
use crate::references::{self, Asked, Parents};
use crate::scope::{self, BACK, LEFT_HERE, LEFT_THERE};
use crate::unmet::Met;
use bothways_connector::{Operation, Outcome, Page, PageCursor};
use bothways_model::{LinkId, LocalId, LocalRow, Observed, Record, RemoteId, Seq};
use bothways_store::{Group, Key, KeyWrite, Link, LinkBody, LinkState, Side};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rows of a page, groups of a batch.
const SET: usize = 500;

/// What the scratch table keeps with a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scratch {
    /// A record without a link.
    Record(Kept),
    /// A row without a link.
    Row(Record),
    /// A record or row with a link: a candidate all the same (rule 27).
    Linked(LinkState),
}

pub(super) struct Survey<'p> {
    source: &'p PlanSource,
    sink: &'p mut (dyn FnMut(PlanItem) + Send),
    totals: PlanTotals,
    digest: Sha256,
    /// Rows seen whose link is in state `linked`.
    linked_rows: u64,
    /// What the remote walk has met, once it is known not to have met all that are linked.
    met: Option<Met>,
    parents: Parents,
    /// What the links say of what is looked at now.
    references: Arc<References>,
}

impl<'p> Survey<'p> {
    pub(super) fn new(source: &'p PlanSource, sink: &'p mut (dyn FnMut(PlanItem) + Send)) -> Self {
        // Approving a plan approves what the mapping says, so that belongs to it (rule 62).
        let digest = Sha256::new_with_prefix(source.pair.digest.as_bytes());
        Self {
            source,
            sink,
            totals: PlanTotals::default(),
            digest,
            linked_rows: 0,
            met: None,
            parents: Parents::default(),
            references: Arc::default(),
        }
    }

    async fn ask(&mut self, asked: &[Asked<'_>]) -> Result<(), EngineError> {
        let (reads, mapping) = (&*self.source.reads, &self.source.pair.mapping);
        self.references = references::ask(reads, &self.parents, mapping, asked).await?;
        Ok(())
    }

    pub(super) async fn run(mut self) -> Result<PlanTotals, EngineError> {
        let pairs = self.source.reads.pairs().await?;
        let pairs = pairs.into_iter().map(|pair| (pair.spec.catalog, pair.spec.connection, pair.id));
        self.parents = references::parents(pairs, &self.source.pair);
        if self.source.pair.capabilities().list {
            self.walk_remote().await?;
        }
        self.walk_local().await?;
        self.find_gone_rows().await?;
        self.match_up().await?;
        self.totals.digest = hex::encode(self.digest.finalize());
        Ok(self.totals)
    }

    async fn walk_remote(&mut self) -> Result<(), EngineError> {
        let mut page: Option<PageCursor> = None;
        let mut met = Met::new(&self.source.clock.now().to_rfc3339());
        loop {
            let found = Self::list(self.source, page.as_ref()).await?;
            self.take_remote(found.items, &mut met).await?;
            if found.next.is_none() {
                // A side that lists nothing at all stops a full pass (rule 59): it would ask about none.
                let linked = self.source.reads.count_linked(self.source.pair.id).await?;
                self.met = (linked > met.linked && self.totals.remote > 0).then_some(met);
                return Ok(());
            }
            if found.next == page {
                return Err(
                    ReadError::Failed(read::unexpected("a list (it names the same page again)")).into()
                );
            }
            page = found.next;
        }
    }

    async fn list(source: &PlanSource, page: Option<&PageCursor>) -> Result<Page, EngineError> {
        let pair = &source.pair;
        let start = || pair.resource.start(Operation::List { page: page.cloned() });
        match source.remote.read(&pair.connection, pair.timeout(), start).await? {
            Outcome::Page(page) => Ok(page),
            _ => Err(ReadError::Failed(read::unexpected("a list")).into()),
        }
    }

    async fn get(source: &PlanSource, id: &RemoteId) -> Result<Option<Observed>, EngineError> {
        let pair = &source.pair;
        let start = || pair.resource.start(Operation::Get { id: id.clone() });
        match source.remote.read(&pair.connection, pair.timeout(), start).await? {
            Outcome::Record(record) => Ok((!record.gone).then_some(record)),
            Outcome::Missing => Ok(None),
            _ => Err(ReadError::Failed(read::unexpected("a read")).into()),
        }
    }

    async fn take_remote(&mut self, items: Vec<Observed>, all: &mut Met) -> Result<(), EngineError> {
        let pair = self.source.pair.clone();
        let ids: Vec<RemoteId> = items.iter().map(|item| item.id.clone()).collect();
        let links = pair.forgetting(self.source.reads.links_of_remote(pair.id, &ids).await?);
        let mut keys = Vec::new();
        let mut met = BTreeSet::new();
        for (item, link) in items.iter().zip(links).filter(|(item, _)| met.insert(item.id.clone())) {
            self.totals.remote += 1;
            all.note(&item.id);
            all.linked += u64::from(link.as_ref().is_some_and(|link| link.state == LinkState::Linked));
            let seen = read::remote(&pair, item);
            let value = pair.mapping.match_key(&seen.fields);
            let kept = match link {
                Some(link) => {
                    if quiet::remote(&pair, &link, item) {
                        self.totals.in_step += 1;
                    } else if link.state.is_live() {
                        self.linked_differs(&link, &seen).await?;
                    } else if scope::is_back_there(&pair.mapping, &link, item) {
                        self.returning(&link, BACK);
                    }
                    Scratch::Linked(link.state)
                }
                None if item.gone || !pair.mapping.remote_in_scope(&item.body) => {
                    self.totals.out_of_scope += 1;
                    continue;
                }
                None if Self::is_stamped(self.source, item).await? => Scratch::Linked(LinkState::Linked),
                None => Scratch::Record(Kept::of(&seen)),
            };
            keys.push(self.key(Side::Remote, item.id.as_str(), value, &kept));
        }
        Ok(self.source.scratch.write_keys(&keys).await?)
    }

    /// A record of a create of ours whose answer never came belongs to its link (rule 25).
    async fn is_stamped(source: &PlanSource, item: &Observed) -> Result<bool, EngineError> {
        let stamp = source.pair.mapping.stamp_of(&item.body).and_then(|s| s.parse::<LinkId>().ok());
        let Some(stamp) = stamp else { return Ok(false) };
        let link = source.reads.link(stamp).await?;
        Ok(link.is_some_and(|link| link.pair == source.pair.id))
    }

    async fn linked_differs(&mut self, link: &Link, seen: &Seen) -> Result<(), EngineError> {
        let Some(id) = &link.local_id else { return Ok(()) };
        let row = match self.source.reads.row(&self.source.pair.mapping.catalog.name, id).await {
            Ok(row) => row,
            Err(error) if error.kind == bothways_store::StoreErrorKind::Refused => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // A row that is gone is met again when the numbers of rows and links are compared.
        let Some(row) = row else { return Ok(()) };
        // The walk over the rows tells, whatever is at the service.
        if self.disagreement(link, &row).is_some() {
            return Ok(());
        }
        self.decide_linked(link, &row, Some(seen)).await
    }

    async fn walk_local(&mut self) -> Result<(), EngineError> {
        let catalog = self.source.pair.mapping.catalog.name.clone();
        let mut after: Option<LocalId> = None;
        loop {
            let page = self.source.reads.rows(&catalog, after.as_ref(), SET).await?;
            self.totals.local += (page.rows.len() + page.unreadable.len()) as u64;
            self.totals.unreadable += page.unreadable.len() as u64;
            let ids: Vec<LocalId> = page.unreadable.iter().map(|row| row.id.clone()).collect();
            let links = self.source.reads.links_of_local(self.source.pair.id, &ids).await?;
            self.count_linked(&links);
            self.take_rows(page.rows).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Why no value flows between a row and its record: the row names another one.
    fn disagreement(&self, link: &Link, row: &LocalRow) -> Option<String> {
        let pair = &self.source.pair;
        let is_asked = link.state == LinkState::Linked
            && row.deleted_at.is_none()
            && pair.mapping.local_in_scope(&row.fields);
        named::disagreement(pair, link, row).filter(|_| is_asked)
    }

    fn count_linked(&mut self, links: &[Option<Link>]) {
        let linked = links.iter().flatten().filter(|link| link.state == LinkState::Linked);
        self.linked_rows += linked.count() as u64;
    }

    async fn take_rows(&mut self, rows: Vec<LocalRow>) -> Result<(), EngineError> {
        let pair = self.source.pair.clone();
        let ids: Vec<LocalId> = rows.iter().map(|row| row.id.clone()).collect();
        let links = pair.forgetting(self.source.reads.links_of_local(pair.id, &ids).await?);
        self.count_linked(&links);
        let mut keys = Vec::new();
        for (row, link) in rows.into_iter().zip(links) {
            let value = pair.mapping.match_key(&pair.mapping.read_local(&row.fields));
            let kept = match link {
                Some(link) => {
                    self.look_at_linked(&link, &row).await?;
                    Scratch::Linked(link.state)
                }
                None if row.deleted_at.is_some() || !pair.mapping.local_in_scope(&row.fields) => {
                    self.totals.out_of_scope += 1;
                    continue;
                }
                None => Scratch::Row(row.fields),
            };
            keys.push(self.key(Side::Local, row.id.as_str(), value, &kept));
        }
        Ok(self.source.scratch.write_keys(&keys).await?)
    }

    /// A linked row that differs, is archived, or whose record was not listed. The remote walk has told of every listed record that
    /// differs, so only the others are left.
    async fn look_at_linked(&mut self, link: &Link, row: &LocalRow) -> Result<(), EngineError> {
        let pair = self.source.pair.clone();
        let changed = row.deleted_at.is_some()
            || !pair.mapping.local_in_scope(&row.fields)
            || local_changed(&pair.mapping, &row.fields, &link.body);
        if scope::is_back_here(&pair.mapping, link, row)
            && let Some(id) = &link.remote_id
            && let Some(record) = Self::get(self.source, id).await?
            && pair.mapping.remote_in_scope(&record.body)
        {
            self.returning(link, BACK);
        }
        let live_again = detached::is_live_again(&pair.mapping, link, row);
        let unseen =
            link.state == LinkState::Detached && detached::has_unseen_edits(&pair.mapping, link, row);
        if let Some(id) = link.remote_id.as_ref().filter(|_| live_again || unseen) {
            match Self::get(self.source, id).await? {
                Some(_) if live_again => self.returning(link, LIVE_AGAIN),
                Some(_) => {}
                None => {
                    let link = Link { state: LinkState::Detached, ..link.clone() };
                    self.decide_linked(&link, row, None).await?;
                }
            }
        }
        let Some(id) = link.remote_id.as_ref().filter(|_| link.state == LinkState::Linked) else {
            return Ok(());
        };
        if let Some(why) = self.disagreement(link, row) {
            self.item(items::asking(&row.id, id, why));
            return Ok(());
        }
        let unmet = self.met.as_ref().is_some_and(|met| !met.has(id));
        if !changed && !unmet {
            return Ok(());
        }
        match Self::get(self.source, id).await? {
            Some(record) if unmet || quiet::remote(&pair, link, &record) => {
                self.totals.in_step = self.totals.in_step.saturating_sub(u64::from(!unmet));
                let seen = read::remote(&pair, &record);
                self.decide_linked(link, row, Some(&seen)).await?;
            }
            Some(_) => {}
            None => self.decide_linked(link, row, None).await?,
        }
        Ok(())
    }

    /// A link that was closed, and is one again.
    fn returning(&mut self, link: &Link, why: &str) {
        if let (Some(local), Some(remote)) = (&link.local_id, &link.remote_id) {
            self.item(items::returning(local, remote, why));
        }
    }

    /// Rows that their links know and the walk did not meet: their deletes wait to be carried out, or nobody captured them.
    async fn find_gone_rows(&mut self) -> Result<(), EngineError> {
        let source = self.source;
        let pair = source.pair.clone();
        if source.reads.count_linked(pair.id).await? <= self.linked_rows {
            return Ok(());
        }
        let mut after = None;
        loop {
            let links = source.reads.linked(pair.id, after, SET).await?;
            let Some(last) = links.last() else { return Ok(()) };
            after = Some(last.id);
            for link in &links {
                let (Some(local), Some(remote)) = (&link.local_id, &link.remote_id) else { continue };
                if !matches!(source.reads.row(&pair.mapping.catalog.name, local).await, Ok(None)) {
                    continue;
                }
                let captured = source.reads.is_deleted(pair.id, local).await?;
                let gone = if captured { GoneLocal::Deleted } else { GoneLocal::Unexplained };
                let seen = Self::get(self.source, remote).await?.map(|record| read::remote(&pair, &record));
                let decision = self.decision(LocalSight::Gone(gone), seen.as_ref(), &link.body, link.state);
                self.linked_item(Some(local), remote, decision);
            }
        }
    }

    async fn decide_linked(
        &mut self,
        link: &Link,
        row: &LocalRow,
        seen: Option<&Seen>,
    ) -> Result<(), EngineError> {
        let Some(remote) = link.remote_id.clone() else { return Ok(()) };
        let remote_fields = seen.map(|seen| &seen.fields);
        self.ask(&[Asked { local: Some(&row.fields), remote: remote_fields, body: Some(&link.body) }])
            .await?;
        let local = match row.deleted_at {
            Some(_) => LocalSight::Gone(GoneLocal::Archived),
            None => LocalSight::Row(row),
        };
        if let Some(why) = self.leaves_scope(row, seen) {
            self.item(items::leaving(&row.id, &remote, why));
            return Ok(());
        }
        let decision = self.decision(local, seen, &link.body, link.state);
        self.linked_item(Some(&row.id), &remote, decision);
        Ok(())
    }

    /// Records leaving the scope are unlinked, never deleted.
    fn leaves_scope(&self, row: &LocalRow, seen: Option<&Seen>) -> Option<&'static str> {
        let mapping = &self.source.pair.mapping;
        let body = seen.and_then(|seen| seen.body.as_ref());
        if row.deleted_at.is_none() && !mapping.local_in_scope(&row.fields) {
            Some(LEFT_HERE)
        } else if body
            .is_some_and(|body| !mapping.remote_in_scope(body) && mapping.scope_is_open(body).is_none())
        {
            Some(LEFT_THERE)
        } else {
            None
        }
    }

    fn decision(
        &self,
        local: LocalSight<'_>,
        seen: Option<&Seen>,
        body: &LinkBody,
        state: LinkState,
    ) -> Decision {
        let remote = seen.map_or(RemoteSight::Gone, Seen::sight);
        let references = &*self.references;
        let now = self.source.clock.now();
        decide(&Sight { mapping: &self.source.pair.mapping, local, remote, references, body, state, now })
    }

    fn linked_item(&mut self, local: Option<&LocalId>, remote: &RemoteId, decision: Decision) {
        if decision.record == RecordAction::Merge && decision.is_quiet() {
            self.totals.in_step += 1;
        } else if let Some(item) = items::linked(local, remote, &decision) {
            self.item(item);
        }
    }

    async fn match_up(&mut self) -> Result<(), EngineError> {
        let mut after: Option<String> = None;
        loop {
            let scratch = &self.source.scratch;
            let (groups, next) = scratch.unlinked_groups(self.source.pair.id, after.as_deref(), SET).await?;
            self.ask_for(&groups).await?;
            for group in groups {
                self.judge(marked(group));
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    /// What the links say of the references of all members of these groups.
    async fn ask_for(&mut self, groups: &[Group]) -> Result<(), EngineError> {
        let members = groups.iter().flat_map(|group| group.remote.iter().chain(&group.local));
        let kept: Vec<Scratch> = members.filter_map(|member| scratch(&member.key)).collect();
        let asked: Vec<Asked<'_>> = kept
            .iter()
            .filter_map(|scratch| match scratch {
                Scratch::Record(kept) => Some(Asked { remote: Some(kept.fields()), ..Asked::default() }),
                Scratch::Row(row) => Some(Asked { local: Some(row), ..Asked::default() }),
                Scratch::Linked(_) => None,
            })
            .collect();
        self.ask(&asked).await
    }

    fn judge(&mut self, group: Group) {
        match judge(&group) {
            Judged::Settled => {}
            Judged::Link { remote, local } => self.link(remote, local),
            Judged::Record(remote) => self.create_local(remote),
            Judged::Row(local) => self.create_remote(local),
            Judged::Ambiguous => {
                let why = ambiguous_entry(&group, self.source.clock.now()).message;
                self.item(PlanItem { why, ..items::bare(PlanAction::Ambiguous, None, None) });
            }
        }
    }

    fn link(&mut self, remote: &Key, local: &Key) {
        let (Some(Scratch::Record(kept)), Some(Scratch::Row(fields))) = (scratch(remote), scratch(local))
        else {
            return;
        };
        let row = LocalRow { id: LocalId(local.id.clone()), fields, deleted_at: None };
        let seen = kept.into_seen();
        let body = LinkBody::default();
        let decision = self.decision(LocalSight::Row(&row), Some(&seen), &body, LinkState::Linked);
        let item = items::link(&local.id, &remote.id, &decision);
        self.totals.link_differing += u64::from(!item.fields.is_empty());
        self.item(item);
    }

    fn create_local(&mut self, remote: &Key) {
        let Some(Scratch::Record(kept)) = scratch(remote) else { return };
        let mapping = &self.source.pair.mapping;
        let item = items::create_local(
            mapping,
            &RemoteId(remote.id.clone()),
            &Seen { references: self.references.clone(), ..kept.into_seen() },
        );
        item.into_iter().for_each(|item| self.item(item));
    }

    fn create_remote(&mut self, local: &Key) {
        let Some(Scratch::Row(row)) = scratch(local) else { return };
        let item = items::create_remote(
            &self.source.pair.mapping,
            &LocalId(local.id.clone()),
            &row,
            &self.references,
        );
        item.into_iter().for_each(|item| self.item(item));
    }

    fn item(&mut self, item: PlanItem) {
        self.count(&item);
        self.digest.update(serde_json::to_vec(&item).unwrap_or_default());
        (self.sink)(item);
    }

    fn count(&mut self, item: &PlanItem) {
        let finds = self.source.pair.capabilities().find.len() as u64;
        let pushes = item.fields.iter().any(|v| matches!(v.action, Action::Push | Action::Set(_)));
        let pulls = item.fields.iter().any(|v| matches!(v.action, Action::Pull | Action::Set(_)));
        let conflicts = item.fields.iter().any(|v| matches!(v.action, Action::Conflict { .. }));
        let totals = &mut self.totals;
        match item.action {
            PlanAction::Link => totals.link += 1,
            PlanAction::CreateLocal => totals.create_local += 1,
            PlanAction::CreateRemote => {
                totals.create_remote += 1;
                totals.reads += finds;
                totals.writes += 1;
            }
            PlanAction::Update => totals.reads += 1,
            PlanAction::Ambiguous => totals.ambiguous += 1,
            PlanAction::DeleteLocal | PlanAction::ArchiveLocal => {
                totals.delete_local += 1;
                totals.reads += 1;
            }
            PlanAction::DeleteRemote => {
                totals.delete_remote += 1;
                totals.reads += 1;
                totals.writes += 1;
            }
            PlanAction::Close => totals.close += 1,
            PlanAction::Ask => totals.ask += 1,
        }
        if matches!(item.action, PlanAction::Link | PlanAction::Update) {
            totals.update_local += u64::from(pulls);
            totals.update_remote += u64::from(pushes);
            totals.conflicts += u64::from(conflicts);
            totals.writes += u64::from(pushes);
            totals.reads += u64::from(pushes && item.action == PlanAction::Link);
        }
    }

    fn key(&self, side: Side, id: &str, value: Option<String>, kept: &Scratch) -> KeyWrite {
        KeyWrite::Put(Key {
            pair: self.source.pair.id,
            side,
            id: id.to_owned(),
            value,
            seen: Seq(1),
            content: serde_json::to_value(kept).ok(),
        })
    }
}

fn scratch(key: &Key) -> Option<Scratch> {
    Scratch::deserialize(key.content.as_ref()?).ok()
}

/// The scratch table knows no links; its contents do.
fn marked(mut group: Group) -> Group {
    for member in group.remote.iter_mut().chain(&mut group.local) {
        member.link = match scratch(&member.key) {
            Some(Scratch::Linked(state)) => Some(state),
            _ => None,
        };
    }
    group
}
