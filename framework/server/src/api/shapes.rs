//! What more than one route speaks.

use crate::app::App;
use bothways_engine::RecordLink;
use bothways_engine::stored::{FieldChange, HistoryRow};
use bothways_model::{LocalRow, PairId, Value};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// A record's fields as plain JSON. Decimals, dates and moments are strings.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Record")]
pub(crate) struct RecordBody(pub(crate) Map<String, Json>);

impl From<&LocalRow> for RecordBody {
    fn from(row: &LocalRow) -> Self {
        Self(row.fields.iter().map(|(name, value)| (name.clone(), value.to_plain_json())).collect())
    }
}

/// One entry of the history.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct HistoryEntry {
    /// Its number; larger is later.
    pub(crate) id: i64,
    /// When, RFC 3339.
    pub(crate) at: String,
    /// The mapping.
    pub(crate) mapping: String,
    /// The catalog.
    pub(crate) catalog: Option<String>,
    /// The connection.
    pub(crate) connection: Option<String>,
    /// The side that was written: `local` or `remote`.
    pub(crate) side: &'static str,
    /// What happened: `create`, `update`, `delete`, `link`, `unlink`, `conflict`, `resolved`, `echo`, `altered`.
    pub(crate) op: &'static str,
    /// The link.
    pub(crate) link: Option<String>,
    /// The row.
    pub(crate) local_id: Option<String>,
    /// The record.
    pub(crate) remote_id: Option<String>,
    /// Changed fields, by label.
    pub(crate) fields: BTreeMap<String, ChangedField>,
    /// The rules that decided.
    pub(crate) rules: Vec<u16>,
    /// Why, in a few words.
    pub(crate) cause: String,
    /// The full pass it belongs to.
    pub(crate) pass: Option<String>,
    /// Who approved it, if a brake had withheld it.
    pub(crate) approved_by: Option<String>,
}

/// A field before and after; null where it was empty, absent where it was not known.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct ChangedField {
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Json>,
    /// After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Json>,
}

/// The entry for people and programs: pairs by their mapping's name, values as plain JSON.
pub(crate) fn history_entry(app: &App, row: HistoryRow) -> HistoryEntry {
    let entry = row.entry;
    let pair = pair_of(app, entry.pair);
    let plain = |value: Option<Value>| value.as_ref().map(Value::to_plain_json);
    let changed =
        |change: FieldChange| ChangedField { before: plain(change.before), after: plain(change.after) };
    HistoryEntry {
        id: row.id,
        at: row.at.to_rfc3339(),
        mapping: pair.as_ref().map_or_else(|| format!("pair {} (not loaded)", entry.pair), |p| p.0.clone()),
        connection: pair.as_ref().map(|p| p.2.clone()),
        catalog: pair.map(|p| p.1),
        side: entry.side.as_str(),
        op: entry.op.as_str(),
        link: entry.link.map(|l| l.to_string()),
        local_id: entry.local_id.map(|id| id.0),
        remote_id: entry.remote_id.map(|id| id.0),
        fields: entry.fields.into_iter().map(|(label, change)| (label, changed(change))).collect(),
        rules: entry.rules,
        cause: entry.cause,
        pass: entry.pass,
        approved_by: entry.approved_by,
    }
}

/// Mapping, catalog and connection of a loaded pair.
fn pair_of(app: &App, id: PairId) -> Option<(String, String, String)> {
    let pair = app.operations.engine().pairs().find(|p| p.id == id)?;
    Some((pair.mapping.name.clone(), pair.mapping.catalog.name.clone(), pair.connection.0.clone()))
}

/// Where a record lives elsewhere.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecordLink")]
pub(crate) struct LinkBody {
    /// The mapping.
    mapping: String,
    /// The connection.
    connection: String,
    /// The link.
    link: String,
    /// The record there; null until it is created.
    remote_id: Option<String>,
    /// `linked`, `waiting`, `detached`, `missing`, `unlinked` or `tombstone`.
    state: &'static str,
    /// Whether both sides were equal when last looked at and nothing is waiting.
    in_step: bool,
    /// When both sides were last known to agree, RFC 3339.
    in_step_at: Option<String>,
    /// Fields in conflict.
    conflicts: BTreeMap<String, ConflictBody>,
    /// Why work about it is parked.
    parked: Vec<ParkedBody>,
    /// A note for people.
    note: Option<String>,
}

/// A field in conflict.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LinkConflict")]
pub(crate) struct ConflictBody {
    /// The local value when last seen.
    local: Option<Json>,
    /// The remote value when last seen.
    remote: Option<Json>,
    /// Since when, RFC 3339.
    since: String,
}

/// Parked work.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LinkParked")]
pub(crate) struct ParkedBody {
    /// Why.
    reason: &'static str,
    /// What happened and what to do.
    message: String,
    /// Since when, RFC 3339.
    since: String,
}

impl From<RecordLink> for LinkBody {
    fn from(link: RecordLink) -> Self {
        let plain = |value: Option<Value>| value.as_ref().map(Value::to_plain_json);
        Self {
            mapping: link.mapping,
            connection: link.connection,
            link: link.link,
            remote_id: link.remote_id,
            state: link.state.as_str(),
            in_step: link.in_step,
            in_step_at: link.in_step_at,
            conflicts: link
                .conflicts
                .into_iter()
                .map(|(label, c)| {
                    let body = ConflictBody {
                        local: plain(c.local),
                        remote: plain(c.remote),
                        since: c.since.to_rfc3339(),
                    };
                    (label, body)
                })
                .collect(),
            parked: link
                .parked
                .into_iter()
                .map(|p| ParkedBody {
                    reason: p.reason.as_str(),
                    message: p.message,
                    since: p.at.to_rfc3339(),
                })
                .collect(),
            note: link.note,
        }
    }
}
