//! Matching: what becomes of rows and records that have no link (rule 27).
//!
//! Runs on the table of match keys after both sides have been walked: exactly one candidate on each side is linked; one alone is
//! created on the other side; everything else is one question to a person for the whole group. Batches are one commit each.

use crate::EngineError;
use crate::adopt::{adoption, ambiguous_entry};
use crate::apply::Scene;
use crate::create::insertion;
use crate::decide::{LocalSight, References, Sight, decide};
use crate::events::look_at;
use crate::pass::{Pass, Stage};
use crate::read::Seen;
use crate::references::{Asked, NoRow};
use bothways_mapping::Mapping;
use bothways_mapping::mapping::CreatePolicy;
use bothways_model::{LinkId, LocalId, LocalRow, Observed, Record, RemoteId, Seq, Timestamp};
use bothways_store::{
    Group, GroupMember, Intent, Key, LinkBody, LinkState, PageCommit, ParkReason, ParkedFilter, Settled,
    Subject, Unit, UnitOutcome,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Groups of one batch.
const BATCH: usize = 100;

/// What a walk keeps of a record without a link, as the key's content: what its mapping reads from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    fields: Record,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_at: Option<Timestamp>,
}

impl Kept {
    pub(crate) fn of(seen: &Seen) -> Self {
        Self { fields: seen.fields.clone(), refusals: seen.refusals.clone(), changed_at: seen.changed_at }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What a key holds; `None` if it holds nothing, or nothing of ours.
    pub(crate) fn from_key(key: &Key) -> Option<Self> {
        Self::deserialize(key.content.as_ref()?).ok()
    }

    pub(crate) fn fields(&self) -> &Record {
        &self.fields
    }

    pub(crate) fn into_seen(self) -> Seen {
        let Self { fields, refusals, changed_at } = self;
        Seen { fields, refusals, changed_at, ..Seen::default() }
    }
}

/// What becomes of a group of candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judged<'g> {
    /// All of them have links.
    Settled,
    /// One on each side: they are the same thing.
    Link { remote: &'g Key, local: &'g Key },
    /// A record alone.
    Record(&'g Key),
    /// A row alone.
    Row(&'g Key),
    /// A person has to choose.
    Ambiguous,
}

/// Judges a group; linked candidates count (rule 27).
pub(crate) fn judge(group: &Group) -> Judged<'_> {
    let free = |members: &[GroupMember]| members.iter().any(|member| !member.is_linked());
    if !free(&group.remote) && !free(&group.local) {
        return Judged::Settled;
    }
    match (group.remote.as_slice(), group.local.as_slice()) {
        ([remote], [local]) if !remote.is_linked() && !local.is_linked() && group.value.is_some() => {
            Judged::Link { remote: &remote.key, local: &local.key }
        }
        ([remote], []) => Judged::Record(&remote.key),
        ([], [local]) => Judged::Row(&local.key),
        _ => Judged::Ambiguous,
    }
}

/// What a unit was for.
enum Purpose {
    Link { remote: RemoteId, local: LocalId },
    Create { remote: RemoteId },
}

/// One batch being put together.
#[derive(Default)]
struct Batch {
    /// What a record held, when that was seen, and what follows.
    wanted: Vec<(Kept, Seq, Purpose)>,
    page: PageCommit,
}

impl Pass<'_> {
    /// Matches everything that has no link, after `after`.
    pub(crate) async fn contact(&mut self, after: Option<String>) -> Result<(), EngineError> {
        let store = self.engine.store.clone();
        let pair = self.pair.id;
        let mut groups = store.unlinked_groups(pair, after.as_deref(), BATCH).await?;
        loop {
            self.check_halted().await?;
            let (some, next) = groups;
            // The next batch is of other groups: what is committed meanwhile does not concern it.
            let ahead = async {
                match &next {
                    Some(_) => store.unlinked_groups(pair, next.as_deref(), BATCH).await,
                    None => Ok((Vec::new(), None)),
                }
            };
            let (page, ahead) = futures::join!(self.take_groups(some), ahead);
            self.commit(page?, Stage::Match { after: next.clone() }).await?;
            if next.is_none() {
                break;
            }
            groups = ahead?;
        }
        if !self.observe {
            self.clear_settled_groups().await?;
        }
        Ok(())
    }

    async fn take_groups(&mut self, groups: Vec<Group>) -> Result<PageCommit, EngineError> {
        let groups = self.freshen(groups).await?;
        if self.observe {
            self.count(&groups).await?;
            return Ok(PageCommit::default());
        }
        self.carry_out(&groups).await
    }

    async fn carry_out(&mut self, groups: &[Group]) -> Result<PageCommit, EngineError> {
        let mut batch = Batch::default();
        let mut in_flight: Option<Vec<Intent>> = None;
        for group in groups {
            match judge(group) {
                Judged::Settled => {}
                Judged::Link { remote, local } => {
                    let purpose = Purpose::Link {
                        remote: RemoteId(remote.id.clone()),
                        local: LocalId(local.id.clone()),
                    };
                    match self.kept(remote, &mut in_flight).await? {
                        Some(kept) => batch.wanted.push((kept, remote.seen, purpose)),
                        None => self.hand_on_row(&mut batch, local),
                    }
                }
                Judged::Record(remote) => match self.pair.mapping.creates.from_remote {
                    CreatePolicy::Ignore => {}
                    CreatePolicy::Manual => self.hand_on(&mut batch, remote),
                    CreatePolicy::Create => match self.kept(remote, &mut in_flight).await? {
                        Some(kept) => {
                            let purpose = Purpose::Create { remote: RemoteId(remote.id.clone()) };
                            batch.wanted.push((kept, remote.seen, purpose));
                        }
                        None => self.hand_on(&mut batch, remote),
                    },
                },
                Judged::Row(local) => self.hand_out(&mut batch, local),
                Judged::Ambiguous => {
                    self.state.counts.ambiguous += 1;
                    if let Some(value) = &group.value {
                        let entry = ambiguous_entry(group, self.engine.ports.clock.now());
                        self.engine.store.park_group(self.pair.id, value, &entry).await?;
                    }
                }
            }
        }
        self.commit_batch(batch).await
    }

    /// What a record held, unless it has to be looked at on its own: nothing was kept, or it may be what a create under way is about
    /// to bring (rule 25).
    async fn kept(
        &self,
        remote: &Key,
        in_flight: &mut Option<Vec<Intent>>,
    ) -> Result<Option<Kept>, EngineError> {
        let Some(kept) = Kept::from_key(remote) else { return Ok(None) };
        let intents = match in_flight {
            Some(intents) => intents,
            None => in_flight.insert(self.engine.store.creates_in_flight(self.pair.id, 1000).await?),
        };
        let awaited = intents.iter().any(|intent| is_awaited(&self.pair.mapping, intent, &kept.fields));
        Ok((!awaited).then_some(kept))
    }

    fn hand_on(&mut self, batch: &mut Batch, remote: &Key) {
        self.state.counts.handed_on += 1;
        batch.page.signals.push(look_at(self.pair.id, RemoteId(remote.id.clone())));
    }

    fn hand_on_row(&mut self, batch: &mut Batch, local: &Key) {
        self.state.counts.handed_on += 1;
        batch.page.signals.push(self.look_at_row(LocalId(local.id.clone())));
    }

    /// A row alone: a worker asks `find` and creates the record (rule 27).
    fn hand_out(&mut self, batch: &mut Batch, local: &Key) {
        let all_seen =
            self.pair.capabilities().list && local.value.as_ref().is_none_or(|v| !v.starts_with("= "));
        if self.pair.mapping.creates.from_local == CreatePolicy::Ignore && all_seen {
            return;
        }
        self.state.counts.handed_out += 1;
        batch.page.signals.push(self.look_at_row(LocalId(local.id.clone())));
    }

    /// Links and creates in one commit; what could not be done is handed on to be looked at on its own.
    async fn commit_batch(&mut self, batch: Batch) -> Result<PageCommit, EngineError> {
        let Batch { wanted, mut page } = batch;
        if wanted.is_empty() {
            return Ok(page);
        }
        let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        let first = self.engine.store.draw(count).await?;
        let mut units = Vec::with_capacity(wanted.len());
        let mut purposes = Vec::with_capacity(wanted.len());
        let asked = |kept| Asked { remote: Some(kept), ..Asked::default() };
        let asked: Vec<Asked<'_>> = wanted.iter().map(|(kept, ..)| asked(&kept.fields)).collect();
        let references = self.engine.references(&self.pair, &asked).await?;
        for (index, (kept, seen, purpose)) in wanted.into_iter().enumerate() {
            let token = Seq(first.0 + index as i64);
            let (remote, refused) = match &purpose {
                Purpose::Link { remote, .. } => (remote, !kept.refusals.is_empty()),
                Purpose::Create { remote } => (remote, false),
            };
            let remote = remote.clone();
            match self.unit(&purpose, kept, &references, token) {
                Ok(unit) => {
                    // Somebody may find out more, or that it is gone, until this is committed.
                    units.push(Unit { as_seen: Some(seen), ..unit });
                    purposes.push(purpose);
                    if refused {
                        // Linked, and a field that cannot be translated: its look says so.
                        page.signals.push(look_at(self.pair.id, remote));
                    }
                }
                Err(no) => {
                    tracing::debug!(pair = %self.pair.id, why = no.text(), "a record cannot become a row by itself");
                    self.state.counts.handed_on += 1;
                    page.signals.push(look_at(self.pair.id, remote));
                }
            }
        }
        let outcomes = self.engine.commits.commit_all(units).await?;
        for (outcome, purpose) in outcomes.into_iter().zip(purposes) {
            self.note_outcome(&outcome, purpose, &mut page);
        }
        Ok(page)
    }

    fn unit(
        &self,
        purpose: &Purpose,
        kept: Kept,
        references: &Arc<References>,
        token: Seq,
    ) -> Result<Unit, NoRow> {
        let now = self.engine.ports.clock.now();
        let account = self.engine.connection_state(&self.pair.connection);
        let id = LinkId(self.engine.ports.random.uuid(now));
        let pass = Some(self.state.id.clone());
        match purpose {
            Purpose::Create { remote } => {
                let observed = bare(remote);
                let seen = Seen { references: references.clone(), ..kept.into_seen() };
                insertion(&self.pair, &account, id, token, &observed, &seen, now, pass)
            }
            Purpose::Link { remote, local } => {
                let mapping = self.pair.mapping.clone();
                let value = mapping.match_key(&kept.fields);
                let scene = Scene {
                    mapping: mapping.clone(),
                    remote: kept.fields,
                    refused: kept.refusals,
                    references: references.clone(),
                    tell_waits: true,
                    changed_at: kept.changed_at,
                    now,
                    changed_here: None,
                    pass,
                    abort_without_row: true,
                    expect: None,
                    held: BTreeSet::new(),
                    may_empty: BTreeSet::new(),
                    only_on: None,
                };
                let row = LocalRow { id: local.clone(), fields: Record::new(), deleted_at: None };
                let mut unit = adoption(scene, &self.pair, &account, id, token, &row, &bare(remote));
                let settle = unit.settle.take();
                // The claim re-checks on the locked row what the keys said of it (rule 27).
                unit.settle = Some(Arc::new(move |row, link| {
                    let still = row.is_some_and(|row| {
                        mapping.local_in_scope(&row.fields)
                            && mapping.match_key(&mapping.read_local(&row.fields)) == value
                    });
                    match &settle {
                        Some(settle) if still => settle(row, link),
                        _ => Settled { abort: true, ..Settled::default() },
                    }
                }));
                Ok(unit)
            }
        }
    }

    fn note_outcome(&mut self, outcome: &UnitOutcome, purpose: Purpose, page: &mut PageCommit) {
        match (outcome, purpose) {
            (UnitOutcome::Done { .. }, Purpose::Link { .. }) => self.state.counts.linked += 1,
            (UnitOutcome::Done { .. }, Purpose::Create { .. }) => self.state.counts.created += 1,
            // Taken, changed or refused meanwhile: whoever looks at it finds out how it stands now.
            (_, Purpose::Link { remote, local }) => {
                self.state.counts.handed_on += 1;
                page.signals.push(look_at(self.pair.id, remote));
                page.signals.push(self.look_at_row(local));
            }
            (_, Purpose::Create { remote }) => {
                self.state.counts.handed_on += 1;
                page.signals.push(look_at(self.pair.id, remote));
            }
        }
    }

    /// Counts what would be done.
    async fn count(&mut self, groups: &[Group]) -> Result<(), EngineError> {
        for group in groups {
            match judge(group) {
                Judged::Settled => {}
                Judged::Link { remote, local } => {
                    self.state.counts.linked += 1;
                    if self.differs(remote, local).await? {
                        self.state.counts.linked_differing += 1;
                    }
                }
                Judged::Record(_) => {
                    let creates = self.pair.mapping.creates.from_remote == CreatePolicy::Create;
                    self.state.counts.created += u64::from(creates);
                }
                Judged::Row(_) => {
                    let creates = self.pair.mapping.creates.from_local == CreatePolicy::Create;
                    self.state.counts.handed_out += u64::from(creates);
                }
                Judged::Ambiguous => self.state.counts.ambiguous += 1,
            }
        }
        Ok(())
    }

    async fn differs(&self, remote: &Key, local: &Key) -> Result<bool, EngineError> {
        let Some(kept) = Kept::from_key(remote) else { return Ok(false) };
        let id = LocalId(local.id.clone());
        let Ok(Some(row)) = self.engine.store.row(&self.pair.mapping.catalog.name, &id).await else {
            return Ok(false);
        };
        let asked = Asked { local: Some(&row.fields), remote: Some(&kept.fields), body: None };
        let references = self.engine.references(&self.pair, &[asked]).await?;
        let seen = kept.into_seen();
        let decision = decide(&Sight {
            mapping: &self.pair.mapping,
            local: LocalSight::Row(&row),
            remote: seen.sight(),
            references: &references,
            body: &LinkBody::default(),
            state: LinkState::Linked,
            now: self.engine.ports.clock.now(),
        });
        Ok(!decision.is_quiet())
    }

    /// Entries of groups that are not ambiguous any more go.
    async fn clear_settled_groups(&mut self) -> Result<(), EngineError> {
        let filter = ParkedFilter { pair: Some(self.pair.id), reason: Some(ParkReason::Ambiguous) };
        let mut after = None;
        loop {
            let parked = self.engine.store.parked(&filter, after, BATCH).await?;
            let Some(last) = parked.last() else { return Ok(()) };
            after = Some(last.id);
            let values: Vec<String> = parked
                .into_iter()
                .filter_map(|work| match work.subject {
                    Subject::Group(value) => Some(value),
                    Subject::Local(_) | Subject::Remote(_) => None,
                })
                .collect();
            let groups = self.engine.store.groups_of(self.pair.id, &values).await?;
            for (value, group) in values.iter().zip(groups) {
                if judge(&group) != Judged::Ambiguous {
                    self.engine.store.clear_group(self.pair.id, value).await?;
                }
            }
        }
    }
}

/// A record of which only the id matters.
fn bare(id: &RemoteId) -> Observed {
    Observed { id: id.clone(), body: Arc::default(), gone: false, changed_at: None, version: None }
}

/// Whether a record holds exactly what a create under way has sent (rule 25).
pub(crate) fn is_awaited(mapping: &Mapping, intent: &Intent, fields: &Record) -> bool {
    !intent.fields.is_empty()
        && intent.fields.iter().all(|sent| {
            let field = mapping.field(&sent.field);
            fields.get(&sent.field).zip(field).is_some_and(|(value, field)| field.same(value, &sent.sent))
        })
}
