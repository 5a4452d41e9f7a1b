//! The two panes of the demo's page: rows of a catalog and records of the other system, each with its twin, and with what they refer to.

use super::fields::{self, Input};
use super::places::{Place, Step, unlinked};
use super::{Visit, path};
use crate::beside::{Beside, BesideColumn, BesideError, BesideKind, BesideRecord};
use crate::problem::Problem;
use axum::http::StatusCode;
use bothways_model::{LocalRow, RemoteId, Value};
use std::collections::BTreeMap;

/// Records shown on each side.
const SHOWN: usize = 200;

pub(super) struct Pane {
    /// `here` or `there`.
    pub(super) side: &'static str,
    pub(super) title: String,
    pub(super) subtitle: String,
    /// The inputs of a new record.
    pub(super) blank: Vec<Cell>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    pub(super) id: String,
    /// What its controls are called for whoever cannot see them.
    pub(super) name: String,
    /// Where its form goes.
    pub(super) url: String,
    /// Its own page.
    pub(super) link: Option<String>,
    pub(super) cells: Vec<Cell>,
    pub(super) step: Step,
    /// The same record's id on the other side.
    pub(super) twin: Option<String>,
    pub(super) refers_to: Vec<Referred>,
}

/// What a row or record refers to.
pub(super) struct Referred {
    pub(super) label: String,
    pub(super) name: String,
    pub(super) url: String,
}

pub(super) struct Cell {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) value: String,
    /// What is shown where it cannot be edited.
    pub(super) text: String,
    pub(super) editable: bool,
    pub(super) required: bool,
    /// All that can be chosen; empty where anything can be typed.
    pub(super) choices: Vec<Choice>,
    /// Whether nothing can be chosen too.
    pub(super) clears: bool,
    pub(super) kind: &'static str,
    pub(super) placeholder: &'static str,
}

pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) chosen: bool,
}

/// The names of what a column refers to, by key or id.
type Names = BTreeMap<String, Vec<(String, String)>>;

/// The left pane.
pub(super) async fn here(visit: &Visit, beside: &dyn Beside, kind: &BesideKind) -> Result<Pane, Problem> {
    let records = &visit.app.records;
    let catalog = records.catalog(&kind.catalog)?;
    let mut names = Names::new();
    for (column, other) in referring(beside, kind) {
        let page = records.list(&other.catalog, None, None, SHOWN).await?;
        let named = page.rows.iter().map(|row| (row.id.0.clone(), name_of_row(other, row)));
        names.insert(column.name.clone(), named.collect());
    }
    let cells = |row: Option<&LocalRow>| -> Vec<Cell> {
        let mut inputs = fields::inputs(catalog, row);
        let found = |column: &BesideColumn| {
            let at = inputs.iter().position(|input| input.name == column.local)?;
            let input = inputs.swap_remove(at);
            Some(cell_here(column, input, names.get(&column.name), row.is_none()))
        };
        kind.columns.iter().filter_map(found).filter(|cell| row.is_some() || cell.editable).collect()
    };
    let page = records.list(&kind.catalog, None, None, SHOWN).await?;
    let mut rows = Vec::new();
    // Newest first, as the other side lists them.
    for row in page.rows.iter().rev() {
        let links = records.links(&kind.catalog, &row.id).await?;
        let place = links.into_iter().find(|link| link.mapping == kind.mapping).map(Place::from);
        let step = match &place {
            Some(place) => place.step,
            None => unlinked(records.obstacle(&kind.mapping, Some(&row.id), None).await?),
        };
        let cells = cells(Some(row));
        rows.push(Row {
            name: name_of_row(kind, row),
            url: path(&["demo", &kind.mapping, "here", row.id.as_str()]),
            link: Some(path(&["records", &kind.catalog, row.id.as_str()])),
            id: row.id.0.clone(),
            refers_to: referred("here", beside, kind, &cells),
            cells,
            twin: place.as_ref().and_then(|place| place.remote_id.clone()),
            step,
        });
    }
    Ok(Pane {
        side: "here",
        title: kind.catalog.clone(),
        subtitle: format!("the table {} in your database", catalog.table),
        blank: cells(None),
        rows,
    })
}

/// The right pane: the other side's records, each with what its twin among `here` says.
pub(super) async fn there(
    visit: &Visit,
    beside: &dyn Beside,
    kind: &BesideKind,
    here: &[Row],
) -> Result<Pane, Problem> {
    let mut names = Names::new();
    for (column, other) in referring(beside, kind) {
        let records = beside.list(&other.mapping).await.map_err(refused)?;
        let named =
            records.iter().take(SHOWN).map(|record| (record.id.clone(), name_of_record(other, record)));
        names.insert(column.name.clone(), named.collect());
    }
    let cells = |record: Option<&BesideRecord>| -> Vec<Cell> {
        let cells = kind.columns.iter().map(|column| cell_there(column, names.get(&column.name), record));
        cells.filter(|cell| record.is_some() || cell.editable).collect()
    };
    let twins: BTreeMap<&str, &Row> =
        here.iter().filter_map(|row| Some((row.twin.as_deref()?, row))).collect();
    let mut rows = Vec::new();
    for record in beside.list(&kind.mapping).await.map_err(refused)?.into_iter().take(SHOWN) {
        let twin = twins.get(record.id.as_str());
        let id = RemoteId::from(record.id.as_str());
        let step = match twin {
            Some(row) => row.step,
            None => unlinked(visit.app.records.obstacle(&kind.mapping, None, Some(&id)).await?),
        };
        let cells = cells(Some(&record));
        rows.push(Row {
            name: name_of_record(kind, &record),
            url: path(&["demo", &kind.mapping, "there", &record.id]),
            link: None,
            step,
            twin: twin.map(|row| row.id.clone()),
            refers_to: referred("there", beside, kind, &cells),
            id: record.id,
            cells,
        });
    }
    Ok(Pane {
        side: "there",
        title: kind.system.clone(),
        subtitle: format!("its {}, as they are there", kind.resource),
        blank: cells(None),
        rows,
    })
}

/// The columns that refer to what has a page too.
fn referring<'b>(
    beside: &'b dyn Beside,
    kind: &'b BesideKind,
) -> impl Iterator<Item = (&'b BesideColumn, &'b BesideKind)> {
    kind.columns.iter().filter_map(|column| {
        let mapping = column.refers_to.as_deref()?;
        Some((column, beside.kinds().iter().find(|kind| kind.mapping == mapping)?))
    })
}

/// What a row or record refers to, and where that is.
fn referred(side: &str, beside: &dyn Beside, kind: &BesideKind, cells: &[Cell]) -> Vec<Referred> {
    let links = referring(beside, kind).filter_map(|(column, other)| {
        let cell = cells.iter().find(|cell| cell.name == column.name && !cell.value.is_empty())?;
        Some(Referred {
            label: cell.label.clone(),
            name: cell.text.clone(),
            url: format!("{}#{side}-{}", path(&["demo", &other.mapping]), cell.value),
        })
    });
    links.collect()
}

fn cell_here(
    column: &BesideColumn,
    input: Input,
    names: Option<&Vec<(String, String)>>,
    creating: bool,
) -> Cell {
    let words = input.words.iter().map(|word| (word.clone(), word.clone())).collect();
    Cell {
        name: column.name.clone(),
        label: column.local.replace('_', " "),
        text: name_among(names, &input.value),
        editable: column.here.is_offered(creating),
        required: !input.optional,
        clears: input.optional || names.is_some() && input.value.is_empty(),
        choices: choices(names.cloned().unwrap_or(words), &input.value),
        value: input.value,
        kind: input.kind,
        placeholder: input.placeholder.unwrap_or_default(),
    }
}

fn cell_there(
    column: &BesideColumn,
    names: Option<&Vec<(String, String)>>,
    record: Option<&BesideRecord>,
) -> Cell {
    let value = record.and_then(|record| record.fields.get(&column.name)).cloned().unwrap_or_default();
    let words = column.words.iter().map(|word| (word.clone(), word.clone())).collect();
    Cell {
        name: column.name.clone(),
        label: column.remote.clone(),
        text: name_among(names, &value),
        editable: column.there.is_offered(record.is_none()),
        // What must be there, the service itself says best.
        required: false,
        clears: names.is_some() || record.is_none(),
        choices: choices(names.cloned().unwrap_or(words), &value),
        value,
        kind: "text",
        placeholder: column.placeholder.unwrap_or_default(),
    }
}

fn name_among(names: Option<&Vec<(String, String)>>, value: &str) -> String {
    let named = names.and_then(|names| names.iter().find(|(key, _)| key == value));
    named.map_or(value, |(_, name)| name).to_owned()
}

/// What can be chosen, and what is: that too where it is nothing of these any more.
fn choices(mut all: Vec<(String, String)>, value: &str) -> Vec<Choice> {
    if !all.is_empty() && !value.is_empty() && !all.iter().any(|(known, _)| known == value) {
        all.push((value.to_owned(), value.to_owned()));
    }
    all.into_iter().map(|(known, text)| Choice { chosen: known == value, value: known, text }).collect()
}

fn name_of_row(kind: &BesideKind, row: &LocalRow) -> String {
    let value = |column: &BesideColumn| row.fields.get(&column.local).map(Value::to_text);
    name_of(kind, value, row.id.as_str())
}

fn name_of_record(kind: &BesideKind, record: &BesideRecord) -> String {
    name_of(kind, |column| record.fields.get(&column.name).cloned(), &record.id)
}

/// What its fields call it, else what it is and its id.
fn name_of(kind: &BesideKind, value: impl Fn(&BesideColumn) -> Option<String>, id: &str) -> String {
    let named = kind.columns.iter().filter(|column| column.names_it());
    let words: Vec<String> = named.filter_map(value).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { format!("{} {id}", kind.catalog) } else { words.join(" ") }
}

pub(super) fn refused(error: BesideError) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", error.0)
}
