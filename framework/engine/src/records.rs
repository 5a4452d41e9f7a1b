//! The records handle: what the API and the page do with catalog rows. Writes here are a user's writes: triggers see them, sync
//! carries them.

use crate::{Engine, EngineError};
use bothways_model::{Catalog, KeyMaker, LocalId, LocalRow, Record, RemoteId, Value};
use bothways_store::{Conflict, LinkState, Parked, RowPage, RowUpdate};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads and edits the rows of any catalog.
#[derive(Clone)]
pub struct Records {
    engine: Arc<Engine>,
}

/// Where a row lives elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct RecordLink {
    /// The mapping.
    pub mapping: String,
    /// The connection.
    pub connection: String,
    /// The link.
    pub link: String,
    /// The record there; `None` until it is created.
    pub remote_id: Option<String>,
    /// The link's state.
    pub state: LinkState,
    /// Whether both sides were equal when last looked at and nothing is waiting.
    pub in_step: bool,
    /// When both sides were last known to agree, RFC 3339.
    pub in_step_at: Option<String>,
    /// Fields in conflict.
    pub conflicts: BTreeMap<String, Conflict>,
    /// Parked work, if any.
    pub parked: Vec<Parked>,
    /// The link's note, for people.
    pub note: Option<String>,
}

/// What stands between a row or record and a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// A person has to decide.
    Decision,
    /// What it refers to is not linked yet.
    Reference,
}

impl Records {
    /// A handle on an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// All catalogs, by name.
    pub fn catalogs(&self) -> impl Iterator<Item = &Arc<Catalog>> {
        self.engine.catalogs.values()
    }

    /// The catalog to show first: one whose mapping runs here, where there is one.
    pub fn first_catalog(&self) -> Option<&Arc<Catalog>> {
        let runs = |catalog: &&Arc<Catalog>| {
            self.engine.pairs().any(|pair| pair.mapping.catalog.name == catalog.name)
        };
        self.catalogs().find(runs).or_else(|| self.catalogs().next())
    }

    /// One catalog.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn catalog(&self, name: &str) -> Result<&Arc<Catalog>, EngineError> {
        self.engine.catalogs.get(name).ok_or_else(|| EngineError::NotFound(format!("catalog `{name}`")))
    }

    /// A page of rows in key order.
    ///
    /// # Errors
    /// No such catalog; the store fails.
    pub async fn list(
        &self,
        catalog: &str,
        search: Option<&str>,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<RowPage, EngineError> {
        self.catalog(catalog)?;
        Ok(self.engine.store.rows(catalog, search, after, limit.clamp(1, 1000)).await?)
    }

    /// How many rows a catalog has.
    ///
    /// # Errors
    /// No such catalog; the store fails.
    pub async fn count(&self, catalog: &str) -> Result<u64, EngineError> {
        self.catalog(catalog)?;
        Ok(self.engine.store.count_rows(catalog).await?)
    }

    /// One row.
    ///
    /// # Errors
    /// No such catalog or row; the store fails.
    pub async fn get(&self, catalog: &str, id: &LocalId) -> Result<LocalRow, EngineError> {
        let checked = self.catalog(catalog)?;
        self.engine.store.row(catalog, id).await?.ok_or_else(|| no_row(checked, id))
    }

    /// Inserts a row from plain JSON.
    ///
    /// # Errors
    /// A field is unknown, missing or of the wrong type; the table refuses; the store fails.
    pub async fn create(&self, catalog: &str, fields: &Map<String, Json>) -> Result<LocalRow, EngineError> {
        let checked = self.catalog(catalog)?;
        let mut record = read_fields(checked, fields)?;
        let unsaid = checked.key_fields().find(|field| record.get(&field.name).is_none());
        if let Some(key) = unsaid.filter(|_| checked.made_by == KeyMaker::Engine) {
            let uuid = self.engine.ports.random.uuid(self.engine.ports.clock.now());
            let value = if key.ty == bothways_model::FieldType::Uuid {
                Value::Uuid(uuid)
            } else {
                Value::Text(uuid.to_string())
            };
            record.set(key.name.clone(), value);
        }
        let missing: Vec<&str> = checked
            .given_fields()
            .filter(|f| !f.optional && record.get(&f.name).is_none_or(Value::is_null))
            .map(|f| f.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(EngineError::Refused(format!("missing: {}", missing.join(", "))));
        }
        let row = self.engine.store.insert_row(catalog, &record).await?;
        self.wrote();
        Ok(row)
    }

    /// Changes fields of a row: an absent field stays, null clears, a value sets.
    ///
    /// # Errors
    /// As for [`Records::create`]; no such row.
    pub async fn update(
        &self,
        catalog: &str,
        id: &LocalId,
        fields: &Map<String, Json>,
    ) -> Result<LocalRow, EngineError> {
        self.update_if(catalog, id, &Record::new(), fields).await
    }

    /// The same, only if the row still holds what is expected: the values that whoever edits it was shown. Nothing is expected of fields
    /// that are not in there.
    ///
    /// # Errors
    /// As for [`Records::update`]; [`EngineError::Moved`] if it holds something else.
    pub async fn update_if(
        &self,
        catalog: &str,
        id: &LocalId,
        expected: &Record,
        fields: &Map<String, Json>,
    ) -> Result<LocalRow, EngineError> {
        let checked = self.catalog(catalog)?;
        let record = read_fields(checked, fields)?;
        for (name, value) in record.iter() {
            let optional = checked.field(name).is_some_and(|f| f.optional);
            if value.is_null() && !optional {
                return Err(EngineError::Refused(format!("`{name}` must not be null")));
            }
        }
        match self.engine.store.update_row(catalog, id, expected, &record).await? {
            RowUpdate::Done(row) => {
                self.wrote();
                Ok(row)
            }
            RowUpdate::Moved(row) => Err(moved(&row, expected)),
            RowUpdate::Gone => Err(no_row(checked, id)),
        }
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// No such catalog or row; the table refuses; the store fails.
    pub async fn delete(&self, catalog: &str, id: &LocalId) -> Result<(), EngineError> {
        let checked = self.catalog(catalog)?;
        if !self.engine.store.delete_row(catalog, id).await? {
            return Err(no_row(checked, id));
        }
        self.wrote();
        Ok(())
    }

    /// Where a row lives elsewhere, for each mapping of its catalog that has a link for it.
    ///
    /// # Errors
    /// No such catalog; the store fails.
    pub async fn links(&self, catalog: &str, id: &LocalId) -> Result<Vec<RecordLink>, EngineError> {
        let mut of_row = self.links_of(catalog, std::slice::from_ref(id)).await?;
        let mut links = of_row.pop().unwrap_or_default();
        for link in &mut links {
            let Some(pair) = self.engine.pairs().find(|p| p.mapping.name == link.mapping) else {
                continue;
            };
            let remote = link.remote_id.clone().map(Into::into);
            let work = self.engine.store.work_of(pair.id, Some(id), remote.as_ref()).await?;
            link.parked = work.iter().filter_map(|w| w.parked.clone()).collect();
            link.in_step = link.in_step && work.is_empty();
        }
        Ok(links)
    }

    /// What stands in the way of a row's or record's link in this mapping, if anything does.
    ///
    /// # Errors
    /// No such mapping; the store fails.
    pub async fn obstacle(
        &self,
        mapping: &str,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<Option<Obstacle>, EngineError> {
        let pair = self.engine.pairs().find(|pair| pair.mapping.name == mapping);
        let pair = pair.ok_or_else(|| EngineError::NotFound(format!("mapping `{mapping}`")))?;
        let work = self.engine.store.work_of(pair.id, local, remote).await?;
        let found = if work.iter().any(|work| work.parked.is_some()) {
            Some(Obstacle::Decision)
        } else {
            work.iter().any(|work| work.awaits.is_some()).then_some(Obstacle::Reference)
        };
        Ok(found)
    }

    /// The links of many rows at once, without parked work: for lists.
    ///
    /// # Errors
    /// No such catalog; the store fails.
    pub async fn links_of(
        &self,
        catalog: &str,
        ids: &[LocalId],
    ) -> Result<Vec<Vec<RecordLink>>, EngineError> {
        self.catalog(catalog)?;
        let mut all: Vec<Vec<RecordLink>> = ids.iter().map(|_| Vec::new()).collect();
        for pair in self.engine.pairs().filter(|p| p.mapping.catalog.name == catalog) {
            let links = self.engine.store.links_of_local(pair.id, ids).await?;
            for (slot, link) in all.iter_mut().zip(links) {
                let Some(link) = link else { continue };
                slot.push(RecordLink {
                    mapping: pair.mapping.name.clone(),
                    connection: pair.connection.0.clone(),
                    link: link.id.to_string(),
                    remote_id: link.remote_id.map(|id| id.0),
                    state: link.state,
                    in_step: link.state == LinkState::Linked
                        && link.body.conflicts.is_empty()
                        && link.in_step_at.is_some(),
                    in_step_at: link.in_step_at.map(|t| t.to_rfc3339()),
                    conflicts: link.body.conflicts,
                    parked: Vec::new(),
                    note: link.body.note,
                });
            }
        }
        Ok(all)
    }

    fn wrote(&self) {
        self.engine.relay_wake.notify_one();
        self.engine.tell();
    }
}

/// Names the fields that hold something else by now.
fn moved(row: &LocalRow, expected: &Record) -> EngineError {
    let holds = |name: &String, value: &Value| row.holds(&Record::from_iter([(name.clone(), value.clone())]));
    let fields: Vec<&str> =
        expected.iter().filter(|(name, value)| !holds(name, value)).map(|(name, _)| name.as_str()).collect();
    EngineError::Moved(format!("nothing was saved: {} changed since the record was shown", fields.join(", ")))
}

fn no_row(catalog: &Catalog, id: &LocalId) -> EngineError {
    let form = match catalog.key_of(id) {
        None if catalog.key.is_composite() => format!(", whose ids are written `{}`", catalog.id_form()),
        _ => String::new(),
    };
    EngineError::NotFound(format!("record `{id}` in catalog `{}`{form}", catalog.name))
}

fn read_fields(catalog: &Catalog, fields: &Map<String, Json>) -> Result<Record, EngineError> {
    let mut record = Record::new();
    for (name, json) in fields {
        let field = catalog.field(name).ok_or_else(|| {
            EngineError::Refused(format!("catalog `{}` has no field `{name}`", catalog.name))
        })?;
        let value = Value::from_plain_json(&field.ty, json)
            .map_err(|error| EngineError::Refused(format!("field `{name}`: {error}")))?;
        record.set(name.clone(), value);
    }
    Ok(record)
}
