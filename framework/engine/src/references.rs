//! References between records: asking the links what stands for what, and waiting for links that are not there yet (rule 35).
//!
//! A reference is the key of a row here and the id of a record there. Which belong together, the links of the other catalog on the
//! same connection say; they are asked before a decision, which then stays pure. What stands for a row by its own value is asked in
//! `lookups.rs`.

use crate::Engine;
use crate::decide::{References, Translated};
use crate::look::{Ended, Look};
use crate::lookups;
use crate::pairs::PairRuntime;
use crate::plan::{Installed, PlanReads};
use crate::read::Seen;
use bothways_mapping::{Field, Mapping, Reference};
use bothways_model::planted::{self, Bug};
use bothways_model::{ConnectionName, LocalId, PairId, Record, RemoteId, Timestamp, Value};
use bothways_store::{
    Awaited, FieldBase, Link, LinkBody, LinkState, ParkReason, ParkedFilter, Side, StoreError, Subject, Unit,
    Work, WorkWrite,
};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Waiting work is looked at again after this, though nothing but the link it waits for should be able to help.
pub(crate) const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// The pair of each catalog on one connection: whose links translate references to it.
pub(crate) type Parents = BTreeMap<String, PairId>;

/// One record to translate: its two sides as they are, and what was last known of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) local: Option<&'a Record>,
    pub(crate) remote: Option<&'a Record>,
    pub(crate) body: Option<&'a LinkBody>,
}

impl Engine {
    /// The pairs whose links translate the references of `pair`.
    pub(crate) fn parents(&self, pair: &PairRuntime) -> Parents {
        parents(
            self.pairs()
                .map(|other| (other.mapping.catalog.name.clone(), other.connection.clone(), other.id)),
            pair,
        )
    }

    /// Whether first contact of `pair` waits for that of a pair its records refer to, so that they need not wait one by one (rule 35).
    /// Nobody waits in a circle, or for what is paused.
    pub(crate) fn waits_for_parents(&self, pair: &PairRuntime) -> bool {
        let parents = self.parents(pair);
        let ahead = parents.values().filter(|id| **id != pair.id).filter_map(|id| self.pairs.get(id));
        ahead
            .filter(|parent| parent.is_approved() && !parent.is_walked() && !self.is_paused(parent, None))
            .any(|parent| !self.refers(&parent, pair.id))
    }

    /// Whether the records of `from` refer to those of another pair, perhaps through others.
    fn refers(&self, from: &PairRuntime, to: PairId) -> bool {
        let (mut open, mut met) = (vec![from.id], BTreeSet::new());
        while let Some(id) = open.pop() {
            if !met.insert(id) {
                continue;
            }
            let Some(pair) = self.pairs.get(&id) else { continue };
            let parents = self.parents(&pair);
            if parents.values().any(|parent| *parent == to) {
                return true;
            }
            open.extend(parents.into_values());
        }
        false
    }

    /// What the database says of the references of some records of one pair.
    pub(crate) async fn references(
        &self,
        pair: &PairRuntime,
        asked: &[Asked<'_>],
    ) -> Result<Arc<References>, StoreError> {
        if !pair.mapping.fields.iter().any(|field| field.reference.is_some()) {
            return Ok(Arc::default());
        }
        ask(&Installed::new(self.store.clone()), &self.parents(pair), &pair.mapping, asked).await
    }
}

/// Rows of a child's deletes that are read at once.
const PAGE: usize = 500;
/// How many such pages.
const PAGES: usize = 20;
/// Rows above one that are looked for; longer chains of references are not followed to their end.
const ABOVE: usize = 1000;

/// The pair of each catalog that `pair` refers to, among those that there are.
pub(crate) fn parents(
    pairs: impl Iterator<Item = (String, ConnectionName, PairId)>,
    pair: &PairRuntime,
) -> Parents {
    let wanted: BTreeSet<&String> = pair.mapping.fields.iter().filter_map(|f| f.linked()).collect();
    pairs
        .filter(|(catalog, connection, _)| *connection == pair.connection && wanted.contains(catalog))
        .map(|(catalog, _, id)| (catalog, id))
        .collect()
}

/// What has to be known of one field: by text, so that each is asked for once.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Keys of rows here.
    pub(crate) keys: BTreeMap<String, Value>,
    /// What stands for rows there.
    pub(crate) there: BTreeMap<String, Value>,
}

impl Wanted {
    fn of(field: &Field, asked: &[Asked<'_>]) -> Self {
        let mut wanted = Self::default();
        for one in asked {
            let base = one.body.and_then(|body| body.base.get(&field.label));
            let local = one.local.and_then(|row| row.get(field.local_name()));
            let remote = one.remote.and_then(|record| record.get(&field.label));
            let then = base.and_then(|b| b.local.as_ref());
            let known = |value: Option<&Value>, base: Option<&Value>| value.is_some() && value == base;
            let in_step = known(local, then) && known(remote, base.and_then(|b| b.remote.as_ref()));
            let chosen = one.body.and_then(|body| body.conflicts.get(&field.label)?.choice.as_ref());
            let chosen = chosen.and_then(|choice| match &choice.keep {
                bothways_store::Keep::Value(value) => Some(value),
                _ => None,
            });
            if in_step && chosen.is_none() {
                continue;
            }
            let then = then.filter(|_| field.lookup().is_some());
            put(&mut wanted.keys, local.into_iter().chain(then).chain(chosen));
            // What a base stands for tells a side that moved from one that says the same in other words.
            let then = base.and_then(|b| b.remote.as_ref());
            put(&mut wanted.there, remote.into_iter().chain(then));
        }
        wanted
    }
}

fn put<'v>(into: &mut BTreeMap<String, Value>, values: impl Iterator<Item = &'v Value>) {
    into.extend(values.filter(|value| !value.is_null()).map(|value| (value.to_text(), value.clone())));
}

/// Asks for every reference of which a side is not what was last known of it.
pub(crate) async fn ask(
    reads: &dyn PlanReads,
    parents: &Parents,
    mapping: &Mapping,
    asked: &[Asked<'_>],
) -> Result<Arc<References>, StoreError> {
    let mut references = References::default();
    for field in &mapping.fields {
        let Some(reference) = &field.reference else { continue };
        let wanted = Wanted::of(field, asked);
        let catalog = match reference {
            Reference::Link(catalog) => catalog,
            Reference::Lookup(lookup) => {
                lookups::ask(reads, mapping, field, lookup, wanted, &mut references).await?;
                continue;
            }
        };
        let keys: Vec<LocalId> = wanted.keys.into_keys().map(LocalId).collect();
        let ids: Vec<RemoteId> = wanted.there.into_keys().map(RemoteId).collect();
        let (by_key, by_id) = match parents.get(catalog) {
            Some(parent) => {
                (reads.links_of_local(*parent, &keys).await?, reads.links_of_remote(*parent, &ids).await?)
            }
            None => (vec![None; keys.len()], vec![None; ids.len()]),
        };
        for (key, link) in keys.iter().zip(by_key) {
            references.note_record(&field.label, key.as_str(), link.and_then(record_of));
        }
        for (id, link) in ids.iter().zip(by_id) {
            let row = link.and_then(row_of);
            let key = row.and_then(|row| Value::from_text(mapping.type_of(field), row.as_str()).ok());
            references.note_row(&field.label, id.as_str(), key);
        }
    }
    Ok(Arc::new(references))
}

/// A record can be referred to while it is known to be there.
fn record_of(link: Link) -> Option<RemoteId> {
    let is_found = link.state == LinkState::Linked && link.body.missing_since.is_none();
    is_found.then_some(link.remote_id).flatten()
}

/// A row can be referred to as long as it is there, also after its record is gone.
fn row_of(link: Link) -> Option<LocalId> {
    matches!(link.state, LinkState::Linked | LinkState::Detached).then_some(link.local_id).flatten()
}

/// Why a record cannot become a row.
pub(crate) enum NoRow {
    /// It holds what the row may not.
    Refused(String),
    /// This field of it refers to this record, which has no link yet.
    Waits(String, String),
    /// No row can be told for this field of it, in words for people.
    Untold(String),
}

impl NoRow {
    /// For people.
    pub(crate) fn text(self) -> String {
        match self {
            NoRow::Refused(why) | NoRow::Untold(why) => why,
            NoRow::Waits(label, id) => {
                format!("field `{label}`: record {id}, which it refers to, is not linked yet")
            }
        }
    }
}

impl From<String> for NoRow {
    fn from(why: String) -> Self {
        NoRow::Refused(why)
    }
}

/// Puts rows in the place of the records that a new row refers to. What is not linked yet comes later, unless the row needs it.
pub(crate) fn refer_in(mapping: &Mapping, seen: &Seen, row: &mut Record) -> Result<(), NoRow> {
    let referring = mapping.fields.iter().filter(|field| field.reference.is_some());
    for field in referring.filter(|field| field.direction.comes_in()) {
        let Some(id) = seen.fields.get(&field.label) else { continue };
        match seen.references.inward(&field.label, id) {
            Translated::Known(key) => row.set(field.local_name(), key),
            Translated::Untold(why) => return Err(NoRow::Untold(format!("field `{}`: {why}", field.label))),
            Translated::Unlinked | Translated::NotAsked if mapping.needs(field) => {
                return Err(NoRow::Waits(field.label.clone(), id.to_text()));
            }
            Translated::Unlinked | Translated::NotAsked => drop(row.0.remove(field.local_name())),
        }
    }
    Ok(())
}

/// Why a row cannot become a record.
pub(crate) enum NoRecord {
    /// This field of it refers to the row with this key, which has no link yet.
    Waits(String, String),
    /// Nothing stands for the row that a field of it refers to, in words for people.
    Untold(String),
}

/// A row as its record would hold it, references as what stands for them there. What is not linked yet comes later, unless the record
/// needs it.
pub(crate) fn refer_out(
    mapping: &Mapping,
    row: &Record,
    references: &References,
) -> Result<Record, NoRecord> {
    let mut referred = row.clone();
    for field in mapping.fields.iter().filter(|field| field.reference.is_some() && field.direction.goes_out())
    {
        let Some(key) = row.get(field.local_name()) else { continue };
        match references.outward(&field.label, key) {
            Translated::Known(id)
                if field.lookup().is_some() || !planted::is(Bug::ReferenceSentUntranslated) =>
            {
                referred.set(field.local_name(), id);
            }
            Translated::Known(_) => referred.set(field.local_name(), Value::Text(key.to_text())),
            Translated::Untold(why) => {
                return Err(NoRecord::Untold(format!("field `{}`: {why}", field.label)));
            }
            Translated::Unlinked | Translated::NotAsked if mapping.needs(field) => {
                return Err(NoRecord::Waits(field.label.clone(), key.to_text()));
            }
            Translated::Unlinked | Translated::NotAsked => referred.set(field.local_name(), Value::Null),
        }
    }
    Ok(referred)
}

impl Look {
    /// The same record with its references asked about.
    pub(crate) async fn refer(
        &self,
        mut seen: Seen,
        row: Option<&Record>,
        body: Option<&LinkBody>,
    ) -> Result<Seen, Ended> {
        let asked = Asked { local: row, remote: Some(&seen.fields), body };
        seen.references = self.ask(asked).await?;
        Ok(seen)
    }

    pub(crate) async fn ask(&self, asked: Asked<'_>) -> Result<Arc<References>, Ended> {
        match self.engine.references(&self.pair, &[asked]).await {
            Ok(references) => Ok(references),
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    /// Waits until what the field `label` refers to has a link. Not an attempt.
    pub(crate) async fn wait_for(&self, label: &str, side: Side, id: &str) -> Vec<WorkWrite> {
        let catalog = self.catalog_of(label);
        let parent = self.engine.parents(&self.pair).get(&catalog).copied();
        let held = match (side, parent) {
            (Side::Local, Some(parent)) => self.lacks_record(label, &catalog, parent, id).await,
            (Side::Local, None) => format!("`{label}`: row {id} of `{catalog}` has no link yet"),
            (Side::Remote, _) => format!("`{label}`: record {id} of `{catalog}` has no link yet"),
        };
        self.note_failure(&held, false);
        // It may be nothing that ever gets a link.
        let due = self.later(PATIENCE, TimeDelta::days(1));
        let id = if planted::is(Bug::WaitsForNothing) { "nothing" } else { id };
        self.wait(due, held, parent.map(|pair| Awaited { pair, side, id: id.to_owned() }))
    }

    /// Waits until `due`, or for a link. Not an attempt.
    pub(crate) fn wait(&self, due: Timestamp, held: String, on: Option<Awaited>) -> Vec<WorkWrite> {
        let wait = |work: &Work| WorkWrite::Wait {
            id: work.id,
            generation: work.generation,
            due,
            held: held.clone(),
            on: on.clone(),
        };
        self.taken.work.iter().map(wait).collect()
    }

    /// When what waits is looked at again: the longer it has waited, the later, within these bounds.
    pub(crate) fn later(&self, least: TimeDelta, most: TimeDelta) -> Timestamp {
        let now = self.engine.ports.clock.now();
        let since = self.taken.work.iter().map(|work| work.since).min().unwrap_or(now);
        now + (now - since).clamp(least, most)
    }

    pub(crate) fn catalog_of(&self, label: &str) -> String {
        self.pair.mapping.field(label).and_then(|field| field.linked().cloned()).unwrap_or_default()
    }

    /// What a row of another catalog lacks, so that nothing there can refer to it, in words for people.
    async fn lacks_record(&self, label: &str, catalog: &str, parent: PairId, id: &str) -> String {
        let row = LocalId(id.to_owned());
        let link = self.engine.store.links_of_local(parent, std::slice::from_ref(&row)).await;
        let link = link.ok().and_then(|links| links.into_iter().flatten().next());
        match link {
            Some(link) if link.state == LinkState::Detached => format!(
                "`{label}`: the record of row {id} of `{catalog}` is gone there; recreate it, link the row to another, or let this one \
                 refer to another row"
            ),
            Some(link) if link.state == LinkState::Linked && link.body.missing_since.is_some() => {
                format!("`{label}`: the record of row {id} of `{catalog}` is not found there any more")
            }
            _ => format!("`{label}`: row {id} of `{catalog}` has no link yet"),
        }
    }

    /// A unit that only waits.
    pub(crate) async fn waiting(&self, label: &str, side: Side, id: &str) -> Unit {
        let mut unit = self.unit();
        unit.work = self.wait_for(label, side, id).await;
        unit
    }

    /// A delete waits until those of the records that refer to this one are carried out: the service may refuse it before, or delete
    /// them along with it (rule 35).
    pub(crate) async fn wait_for_children(&self, link: &Link) -> Result<(), Ended> {
        let Some(row) = link.local_id.as_ref().or(link.body.former_local.as_ref()) else { return Ok(()) };
        if planted::is(Bug::ParentDeletedFirst) {
            return Ok(());
        }
        match self.has_child_to_delete(link, row).await {
            Ok(false) => Ok(()),
            Ok(true) => {
                let why = "a delete waits for those of the records that refer to it";
                self.note_failure(why, true);
                let mut unit = self.unit();
                // Soon, as long as they may be on their way; later, where a person has to decide about one of them.
                let due = self.later(TimeDelta::seconds(1), TimeDelta::minutes(1));
                unit.work = self.again_at(due, None, Some(why.into()), true);
                Err(Box::new(unit))
            }
            Err(error) => Err(self.store_trouble(&error)),
        }
    }

    async fn has_child_to_delete(&self, link: &Link, row: &LocalId) -> Result<bool, StoreError> {
        let (store, catalog) = (&self.engine.store, &self.pair.mapping.catalog.name);
        let mut above = None;
        for child in self.engine.pairs().filter(|child| child.connection == self.pair.connection) {
            let referring = child.mapping.fields.iter().filter(|field| field.linked() == Some(catalog));
            let labels: Vec<&str> = referring.map(|field| field.label.as_str()).collect();
            if labels.is_empty() {
                continue;
            }
            if self.has_child_without_row(child.id, &labels, link).await? {
                return Ok(true);
            }
            // By the row's key, or by the record, which may have had a row with another key.
            let is_this = |base: &FieldBase| {
                let is = |value: &Option<Value>, id: &str| value.as_ref().is_some_and(|v| v.to_text() == id);
                let record = link.remote_id.as_ref();
                is(&base.local, row.as_str()) || record.is_some_and(|id| is(&base.remote, id.as_str()))
            };
            let refers = |link: &Link| {
                link.state.is_live() && labels.iter().any(|l| link.body.base.get(*l).is_some_and(is_this))
            };
            let circular = child.id == self.pair.id || self.engine.refers(&self.pair, child.id);
            let mut after = None;
            for page in 0.. {
                let rows = store.rows_to_delete(child.id, after.as_ref(), PAGE).await?;
                let links = store.links_of_local(child.id, &rows).await?;
                let mut met = rows.iter().zip(links).filter(|(_, link)| link.as_ref().is_some_and(refers));
                if !circular {
                    if met.next().is_some() || page == PAGES {
                        return Ok(true);
                    }
                } else if let Some((first, _)) = met.next() {
                    let above = match &above {
                        Some(above) => above,
                        None => above.insert(self.above(row).await?),
                    };
                    let is_below = |id: &LocalId| !above.contains(&(child.id, id.clone()));
                    if is_below(first) || met.any(|(id, _)| is_below(id)) {
                        return Ok(true);
                    }
                }
                after = rows.last().cloned();
                if rows.len() < PAGE {
                    break;
                }
            }
        }
        Ok(false)
    }

    /// Whether a person is asked about the delete of one that refers to this record, and whose row's id is another's by now (rule 30):
    /// it is found by its record alone.
    async fn has_child_without_row(
        &self,
        child: PairId,
        labels: &[&str],
        parent: &Link,
    ) -> Result<bool, StoreError> {
        let Some(id) = &parent.remote_id else { return Ok(false) };
        let refers = |link: &Link| {
            let bases = labels.iter().filter_map(|label| link.body.base.get(*label)?.remote.as_ref());
            link.id != parent.id
                && link.state.is_live()
                && link.local_id.is_none()
                && link.body.former_local.is_some()
                && bases.map(Value::to_text).any(|there| there == id.as_str())
        };
        let filter = ParkedFilter { pair: Some(child), reason: Some(ParkReason::Delete) };
        let mut after = None;
        for page in 0.. {
            let parked = self.engine.store.parked(&filter, after, PAGE).await?;
            let records = parked.iter().filter_map(|work| match &work.subject {
                Subject::Remote(id) => Some(id.clone()),
                Subject::Local(_) | Subject::Group(_) => None,
            });
            let records: Vec<RemoteId> = records.collect();
            let links = self.engine.store.links_of_remote(child, &records).await?;
            if links.into_iter().flatten().any(|link| refers(&link)) || page == PAGES {
                return Ok(true);
            }
            after = parked.last().map(|work| work.id);
            if parked.len() < PAGE {
                break;
            }
        }
        Ok(false)
    }

    /// This row and what it refers to, by what was last known, and what that refers to in turn. Such a row does not have to go first,
    /// though it may refer to this one as well: where rows refer to each other in a circle, none would ever go.
    async fn above(&self, row: &LocalId) -> Result<BTreeSet<(PairId, LocalId)>, StoreError> {
        let mut above = BTreeSet::from([(self.pair.id, row.clone())]);
        let mut open = vec![(self.pair.clone(), row.clone())];
        while let Some((pair, row)) = open.pop() {
            let links = self.engine.store.links_of_local(pair.id, std::slice::from_ref(&row)).await?;
            let Some(link) = links.into_iter().flatten().next() else { continue };
            let parents = self.engine.parents(&pair);
            for field in &pair.mapping.fields {
                let Some(parent) = field.linked().and_then(|catalog| parents.get(catalog)) else {
                    continue;
                };
                let key = link.body.base.get(&field.label).and_then(|base| base.local.as_ref());
                let Some(key) = key.filter(|key| !key.is_null()) else { continue };
                let next = (*parent, LocalId(key.to_text()));
                if above.len() < ABOVE && above.insert(next.clone()) {
                    open.extend(self.engine.pairs.get(parent).map(|pair| (pair, next.1)));
                }
            }
        }
        Ok(above)
    }

    /// A record that cannot become a row: it waits for what it refers to, or a person has to correct something.
    pub(crate) async fn no_row(&self, no: NoRow) -> Unit {
        let mut unit = self.unit();
        unit.work = match no {
            NoRow::Waits(label, id) => self.wait_for(&label, Side::Remote, &id).await,
            NoRow::Refused(why) => self.park(ParkReason::Refused, why, "create-local-refused"),
            NoRow::Untold(why) => {
                unit.signals.extend(self.look_for_row());
                self.park(ParkReason::Refused, why, "create-local-refused")
            }
        };
        unit
    }
}
