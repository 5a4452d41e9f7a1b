//! Undo: puts back in the catalog what sync changed there, as a user would, and lets sync carry it (rule 65).
//!
//! Only where the row still holds what the pass or the write left: whoever edited it later keeps their edit, and it is listed. The
//! comparison and the edit are one transaction on the locked row, and the edit is captured like anybody's.

use crate::apply::{again, entry};
use crate::decide::Translated;
use crate::operations::Operations;
use crate::references::Asked;
use crate::reverted::{RevertField, RevertItem, RevertOutcome, RevertTarget, RevertTotals};
use crate::{EngineError, PairRuntime};
use bothways_mapping::mapping::FromLocalDelete;
use bothways_mapping::{Direction, Field, Mapping};
use bothways_model::{LinkId, LocalId, LocalRow, Record, Value};
use bothways_store::{
    FieldChange, Guard, History, HistoryFilter, HistoryOp, HistoryRow, Link, RowWrite, Settled, Side, Unit,
    UnitOutcome,
};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Entries of the history read at once.
const PAGE: usize = 200;
/// Records worked on at once.
const AT_ONCE: usize = 16;

/// How one write is judged against the row as it is.
#[derive(Clone, Debug, Default)]
struct Judged {
    write: RowWrite,
    fields: Vec<RevertField>,
    /// About the write as a whole.
    whole: Option<(RevertOutcome, String)>,
}

impl Judged {
    fn whole(outcome: RevertOutcome, why: impl Into<String>) -> Self {
        Self { whole: Some((outcome, why.into())), ..Self::default() }
    }
}

impl Operations {
    /// Undoes a pass or a write, handing each item to `sink` as it is done, newest first. With `dry_run` nothing is written and the
    /// items say what would be.
    ///
    /// # Errors
    /// There is no such pass, record or write; several mappings know the record; the store fails, with what was handed over done.
    pub async fn revert(
        &self,
        target: &RevertTarget,
        dry_run: bool,
        by: &str,
        sink: &mut (dyn FnMut(RevertItem) + Send),
    ) -> Result<RevertTotals, EngineError> {
        let named = match target {
            RevertTarget::Pass(pass) => serde_json::json!({ "pass": pass }),
            RevertTarget::Record { mapping, id, entry } => {
                serde_json::json!({ "mapping": mapping, "record": id, "entry": entry })
            }
        };
        let revert = Revert { operations: self, dry_run, by, target: &named };
        let mut totals = RevertTotals::default();
        match target {
            RevertTarget::Pass(pass) => revert.pass(pass, &mut totals, sink).await?,
            RevertTarget::Record { mapping, id, entry } => {
                let row = revert.write_of(mapping.as_deref(), id, *entry).await?;
                revert.begin().await?;
                let items = revert.undo_link(vec![row]).await?;
                hand_over(items, &mut totals, sink);
            }
        }
        if !dry_run {
            let detail = serde_json::json!({ "target": named, "totals": totals });
            self.audit(by, "reverted", detail).await?;
            self.engine.relay_wake.notify_one();
            self.engine.tell();
        }
        Ok(totals)
    }
}

fn hand_over(items: Vec<RevertItem>, totals: &mut RevertTotals, sink: &mut (dyn FnMut(RevertItem) + Send)) {
    for item in items {
        let any = |outcome| item.outcome == outcome || item.fields.iter().any(|f| f.outcome == outcome);
        totals.reverted += u64::from(any(RevertOutcome::Reverted));
        totals.already += u64::from(item.outcome == RevertOutcome::Already);
        totals.differing += u64::from(any(RevertOutcome::Differs));
        totals.refused += u64::from(any(RevertOutcome::Refused));
        sink(item);
    }
}

struct Revert<'o> {
    operations: &'o Operations,
    dry_run: bool,
    by: &'o str,
    /// What is undone, for the audit log.
    target: &'o serde_json::Value,
}

impl Revert<'_> {
    /// Notes who undoes what before the first write: whatever ends it in the middle, the log says whose it was (rule 68).
    async fn begin(&self) -> Result<(), EngineError> {
        if self.dry_run {
            return Ok(());
        }
        self.operations.audit(self.by, "revert", serde_json::json!({ "target": self.target })).await
    }

    async fn pass(
        &self,
        pass: &str,
        totals: &mut RevertTotals,
        sink: &mut (dyn FnMut(RevertItem) + Send),
    ) -> Result<(), EngineError> {
        let filter = HistoryFilter { pass: Some(pass.to_owned()), ..HistoryFilter::default() };
        let mut before = None;
        let mut any = false;
        loop {
            let rows = self.operations.history(&filter, before, PAGE).await?;
            let Some(last) = rows.last() else { break };
            if !any {
                self.begin().await?;
            }
            any = true;
            before = Some(last.id);
            let mut by_link: BTreeMap<Option<LinkId>, Vec<HistoryRow>> = BTreeMap::new();
            for row in rows {
                match row.entry.op {
                    HistoryOp::Link => totals.links += 1,
                    _ if is_write(&row.entry) => by_link.entry(row.entry.link).or_default().push(row),
                    _ => {}
                }
            }
            let groups: Vec<Vec<HistoryRow>> = by_link.into_values().collect();
            for some in groups.chunks(AT_ONCE) {
                let undone = some.iter().map(|group| self.undo_link(group.clone()));
                for items in futures::future::join_all(undone).await {
                    hand_over(items?, totals, sink);
                }
            }
        }
        if any {
            Ok(())
        } else {
            Err(EngineError::NotFound(format!("pass `{pass}` in the history (`bothways history` shows it)")))
        }
    }

    /// The entry that `--record` is about: the last write to the row, unless one is named.
    async fn write_of(
        &self,
        mapping: Option<&str>,
        id: &str,
        wanted: Option<i64>,
    ) -> Result<HistoryRow, EngineError> {
        let mut found = Vec::new();
        for pair in self.operations.engine.pairs() {
            if mapping.is_some_and(|name| !pair.mapping.is_called(name)) {
                continue;
            }
            let store = &self.operations.engine.store;
            let by_local = store.links_of_local(pair.id, &[LocalId::from(id)]).await?;
            let by_remote = store.links_of_remote(pair.id, &[pair.remote_id(id)]).await?;
            if let Some(link) = by_local.into_iter().chain(by_remote).flatten().next() {
                found.push((pair.mapping.name.clone(), link.id));
            }
        }
        let link = match found.as_slice() {
            [] => return Err(EngineError::NotFound(format!("link of a record `{id}`"))),
            [(_, link)] => *link,
            many => {
                let names: Vec<&str> = many.iter().map(|(name, _)| name.as_str()).collect();
                return Err(EngineError::Refused(format!(
                    "`{id}` is linked more than once: name the mapping ({})",
                    names.join(", ")
                )));
            }
        };
        let filter = HistoryFilter { link: Some(link), ..HistoryFilter::default() };
        let mut before = wanted.map(|number| number.saturating_add(1));
        loop {
            let rows = self.operations.history(&filter, before, PAGE).await?;
            let Some(last) = rows.last() else { break };
            before = Some(last.id);
            let is_it = |row: &&HistoryRow| match wanted {
                Some(number) => row.id == number && is_write(&row.entry),
                None => row.entry.side == Side::Local && is_write(&row.entry),
            };
            if let Some(row) = rows.iter().find(is_it) {
                return Ok(row.clone());
            }
            if wanted.is_some() {
                break;
            }
        }
        Err(EngineError::NotFound(match wanted {
            Some(number) => format!("write {number} in the history of record `{id}`"),
            None => format!(
                "write to the row of record `{id}`; `bothways history` numbers the writes to the other side, \
                 and `--entry` names one"
            ),
        }))
    }

    /// Undoes writes of one link, newest first, one on top of the other.
    async fn undo_link(&self, rows: Vec<HistoryRow>) -> Result<Vec<RevertItem>, EngineError> {
        let mut items: Vec<RevertItem> = Vec::new();
        // In a dry run: what the row would hold by now.
        let mut pending = Record::new();
        for row in rows {
            let judged = self.undo(&row, &mut pending).await?;
            let handled = |label: &str| items.iter().any(|item| item.fields.iter().any(|f| f.label == label));
            // A value that a newer write of the same pass was about is that one's to tell of.
            let fields: Vec<RevertField> = judged
                .fields
                .into_iter()
                .filter(|f| f.outcome == RevertOutcome::Reverted || !handled(&f.label))
                .collect();
            if fields.is_empty() && judged.whole.is_none() {
                continue;
            }
            let best = fields.iter().map(|f| f.outcome).min().unwrap_or(RevertOutcome::Refused);
            let (outcome, why) = judged.whole.unwrap_or((best, String::new()));
            items.push(RevertItem {
                entry: row.id,
                mapping: self.mapping_name(&row.entry),
                local_id: row.entry.local_id.map(|id| id.0),
                remote_id: row.entry.remote_id.map(|id| id.0),
                outcome,
                why,
                fields,
            });
        }
        Ok(items)
    }

    fn mapping_name(&self, entry: &History) -> String {
        let pair = self.operations.engine.pairs().find(|pair| pair.id == entry.pair);
        pair.map_or_else(|| format!("pair {} (not loaded)", entry.pair), |pair| pair.mapping.name.clone())
    }

    async fn undo(&self, row: &HistoryRow, pending: &mut Record) -> Result<Judged, EngineError> {
        let Some(pair) = self.operations.engine.pairs().find(|pair| pair.id == row.entry.pair) else {
            return Ok(Judged::whole(RevertOutcome::Refused, "its mapping is not loaded"));
        };
        let Some(link) = row.entry.link else {
            return Ok(Judged::whole(RevertOutcome::Refused, "it belongs to no link"));
        };
        let entry = self.as_the_row_says(&pair, &row.entry).await?;
        if self.dry_run {
            return self.look(&pair, link, &entry, pending).await;
        }
        for _ in 0..50 {
            let engine = &self.operations.engine;
            let now = engine.ports.clock.now();
            let Some(taken) = engine.store.lease(link, now, now + TimeDelta::seconds(5)).await? else {
                if engine.store.link(link).await?.is_none() {
                    return Ok(Judged::whole(RevertOutcome::Refused, "its link is not known any more"));
                }
                engine.ports.clock.sleep(Duration::from_millis(100)).await;
                continue;
            };
            let mut unit = Unit::new(Guard::Token { link, token: taken.token });
            // The signals that were folded in with the lease are due again with this one.
            unit.signals.extend(taken.link.iter().flat_map(|link| again(link, true)));
            let judged: Arc<Mutex<Judged>> = Arc::default();
            let (noted, mapping, undone) = (judged.clone(), pair.clone(), entry.clone());
            let cause = format!("reverted by {}", self.by);
            let readable = taken.row_error.is_none();
            unit.settle = Some(Arc::new(move |row, link| {
                let judged = match row {
                    None if !readable => Judged::whole(
                        RevertOutcome::Refused,
                        "the row holds something its catalog does not allow",
                    ),
                    row => judge(&mapping, link, &undone, row),
                };
                let settled = Settled {
                    row: judged.write.clone(),
                    history: note(link, &judged, &cause).into_iter().collect(),
                    ..Settled::default()
                };
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = judged;
                settled
            }));
            let outcome = engine.commits.commit(unit).await?;
            let judged = judged.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match outcome {
                UnitOutcome::Done { .. } => return Ok(judged),
                UnitOutcome::RowRefused { message } => {
                    return Ok(refused_by_table(judged, &format!("the table refuses: {message}")));
                }
                _ => {}
            }
        }
        Ok(Judged::whole(RevertOutcome::Refused, "the record is being worked on; try again in a moment"))
    }

    /// A write to the other side names the records that were referred to there: here they are the keys of their rows.
    async fn as_the_row_says(&self, pair: &PairRuntime, entry: &History) -> Result<History, EngineError> {
        let mut entry = entry.clone();
        if entry.side == Side::Local {
            return Ok(entry);
        }
        let fields = &entry.fields;
        let [before, after] = [|c: &FieldChange| c.before.clone(), |c: &FieldChange| c.after.clone()].map(
            |of: fn(&FieldChange) -> Option<Value>| -> Record {
                fields.iter().filter_map(|(label, change)| Some((label.clone(), of(change)?))).collect()
            },
        );
        let asked = [&before, &after].map(|remote| Asked { remote: Some(remote), ..Asked::default() });
        let references = self.operations.engine.references(pair, &asked).await?;
        for (label, change) in &mut entry.fields {
            let refers = pair.mapping.field(label).is_some_and(|field| field.reference.is_some());
            for value in [&mut change.before, &mut change.after].into_iter().filter(|_| refers) {
                *value = value.take().and_then(|id| match references.inward(label, &id) {
                    Translated::Known(key) => Some(key),
                    Translated::Unlinked | Translated::Untold(_) | Translated::NotAsked => None,
                });
            }
        }
        Ok(entry)
    }

    async fn look(
        &self,
        pair: &PairRuntime,
        link: LinkId,
        entry: &History,
        pending: &mut Record,
    ) -> Result<Judged, EngineError> {
        let store = &self.operations.engine.store;
        let Some(link) = store.link(link).await? else {
            return Ok(Judged::whole(RevertOutcome::Refused, "its link is not known any more"));
        };
        let mut row = match &link.local_id {
            Some(id) => store.row(&pair.mapping.catalog.name, id).await?,
            None => None,
        };
        if let Some(row) = &mut row {
            for (name, value) in pending.iter() {
                row.fields.set(name.clone(), value.clone());
            }
        }
        let judged = judge(pair, &link, entry, row.as_ref());
        if let RowWrite::Update(fields) = &judged.write {
            for (name, value) in fields.iter() {
                pending.set(name.clone(), value.clone());
            }
        }
        Ok(judged)
    }
}

/// Whether an entry is about a value or a record that was written, rather than about links and conflicts.
fn is_write(entry: &History) -> bool {
    matches!(entry.op, HistoryOp::Create | HistoryOp::Update | HistoryOp::Delete)
}

fn refused_by_table(judged: Judged, why: &str) -> Judged {
    let fields = judged.fields.into_iter().map(|field| match field.outcome {
        RevertOutcome::Reverted => {
            RevertField { outcome: RevertOutcome::Refused, why: why.to_owned(), ..field }
        }
        _ => field,
    });
    let whole = judged.whole.map(|(outcome, said)| match outcome {
        RevertOutcome::Reverted => (RevertOutcome::Refused, why.to_owned()),
        _ => (outcome, said),
    });
    Judged { fields: fields.collect(), whole, write: RowWrite::None }
}

/// Judges one write against the row as it is. Pure: it runs inside the transaction that edits the row.
fn judge(pair: &PairRuntime, link: &Link, undone: &History, row: Option<&LocalRow>) -> Judged {
    use RevertOutcome::{Already, Differs, Refused};
    let mapping = &pair.mapping;
    match (undone.op, undone.side) {
        (HistoryOp::Create, Side::Local) => judge_create(pair, link, undone, row),
        (HistoryOp::Create, Side::Remote) => Judged::whole(
            Refused,
            "the row was there first; to take the record out, delete it at the service, or `unlink` it",
        ),
        (HistoryOp::Delete, _) if pair.capabilities().irreversible_delete => Judged::whole(
            Refused,
            "the service cannot bring the deleted record back; what it held is in the history",
        ),
        (HistoryOp::Delete, _) => Judged::whole(
            Refused,
            "a delete is not undone from here: the row had columns that nobody kept; what was kept is in the history",
        ),
        _ if row.is_none_or(|row| row.deleted_at.is_some()) => {
            Judged::whole(Differs, "the row is not there any more")
        }
        _ if !link.state.is_live() => Judged::whole(
            Refused,
            format!("the link is {}: nothing would carry the edit", link.state.as_str()),
        ),
        _ => {
            let mut judged = Judged::default();
            let mut update = Record::new();
            for (label, change) in &undone.fields {
                let Some(row) = row else { continue };
                let field = judge_field(mapping, link, label, change, row);
                if let (RevertOutcome::Reverted, Some(known), Some(value)) =
                    (field.outcome, mapping.field(label), &field.to)
                {
                    update.set(known.local_name(), value.clone());
                }
                judged.fields.push(field);
            }
            if judged.fields.is_empty() {
                judged.whole = Some((Already, "it changed no field".into()));
            }
            if !update.0.is_empty() {
                judged.write = RowWrite::Update(update);
            }
            judged
        }
    }
}

fn judge_field(
    mapping: &Mapping,
    link: &Link,
    label: &str,
    change: &FieldChange,
    row: &LocalRow,
) -> RevertField {
    let known = mapping.field(label);
    let now = known.and_then(|field| row.fields.get(field.local_name())).cloned();
    let (outcome, why) = match (known, &now, &change.before, &change.after) {
        (None, ..) => (RevertOutcome::Refused, "the mapping has no such field any more".to_owned()),
        (Some(field), Some(now), Some(before), after) => {
            let base = link.body.base.get(label);
            let is_left = after.as_ref().is_some_and(|after| {
                // What the database made of the value counts as that value.
                field.same(now, after)
                    || base.is_some_and(|base| {
                        base.local.as_ref() == Some(now)
                            && base.remote.as_ref().is_some_and(|remote| field.same(remote, after))
                    })
            });
            match forbidden(mapping, field, before) {
                _ if field.same(now, before) => (RevertOutcome::Already, "it is as it was before".to_owned()),
                Some(why) => (RevertOutcome::Refused, why),
                None if !is_left => (RevertOutcome::Differs, "it was changed since: it stays".to_owned()),
                None => (RevertOutcome::Reverted, String::new()),
            }
        }
        _ => (RevertOutcome::Refused, "what it held before is not known".to_owned()),
    };
    RevertField { label: label.to_owned(), outcome, now, to: change.before.clone(), why }
}

/// Why a user's edit of this field to this value would not do.
fn forbidden(mapping: &Mapping, field: &Field, value: &Value) -> Option<String> {
    if field.direction == Direction::In {
        return Some(format!(
            "the field is one-way in ({}): the next look would bring the remote value back",
            field.source
        ));
    }
    if field.immutable {
        return Some(format!("the field is immutable ({}): a change of it would park", field.source));
    }
    if field.required && value.is_blank() {
        return Some(format!("the field is required ({}), and it was empty before", field.source));
    }
    let optional = mapping.catalog.field(field.local_name()).is_some_and(|column| column.optional);
    (value.is_null() && !optional).then(|| "it was null before, and its column is not optional".to_owned())
}

/// A row that sync made is taken out again, if it is still exactly that row.
fn judge_create(pair: &PairRuntime, link: &Link, undone: &History, row: Option<&LocalRow>) -> Judged {
    let mapping = &pair.mapping;
    let Some(row) = row.filter(|row| row.deleted_at.is_none()) else {
        return Judged::whole(RevertOutcome::Already, "the row is not there any more");
    };
    if !link.state.is_live() {
        let why = format!("the link is {}: the row is the user's own by now", link.state.as_str());
        return Judged::whole(RevertOutcome::Refused, why);
    }
    if mapping.deletes.from_local == FromLocalDelete::Delete && pair.capabilities().irreversible_delete {
        let line = mapping.said_at("/deletes/from_local");
        return Judged::whole(
            RevertOutcome::Refused,
            format!(
                "taking the row out would delete the record at the service, for good ({line}): `unlink` it first"
            ),
        );
    }
    let set =
        |name: &str| mapping.on_create.local.iter().find(|(set, _)| set == name).map(|(_, value)| value);
    for column in mapping.catalog.other_fields() {
        let Some(now) = row.fields.get(&column.name) else { continue };
        let field = mapping.fields.iter().find(|field| field.local_name() == column.name);
        let left = field.and_then(|field| undone.fields.get(&field.label)).and_then(|c| c.after.as_ref());
        let as_left = match (field, left, set(&column.name)) {
            (Some(field), Some(left), _) => field.same(now, left),
            (_, None, Some(set)) => now == set,
            (_, None, None) => now.is_null() || Some(&column.name) == mapping.identity.remote_id.as_ref(),
            (None, Some(_), _) => true,
        };
        if !as_left {
            let why = format!("`{}` holds what sync did not put there: the row stays", column.name);
            return Judged::whole(RevertOutcome::Differs, why);
        }
    }
    Judged { write: RowWrite::Delete, ..Judged::whole(RevertOutcome::Reverted, "the row is taken out again") }
}

/// The history of the edit itself.
fn note(link: &Link, judged: &Judged, cause: &str) -> Option<History> {
    let op = match judged.write {
        RowWrite::Update(_) => HistoryOp::Update,
        RowWrite::Delete => HistoryOp::Delete,
        _ => return None,
    };
    let fields = judged
        .fields
        .iter()
        .filter(|field| field.outcome == RevertOutcome::Reverted)
        .map(|field| {
            (field.label.clone(), FieldChange { before: field.now.clone(), after: field.to.clone() })
        })
        .collect();
    Some(entry(link, Side::Local, op, fields, vec![65], cause.to_owned(), None))
}
