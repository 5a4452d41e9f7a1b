//! Why a record is as it is.

use super::extract::Path;
use super::shapes::{HistoryEntry, history_entry};
use crate::access::Access;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use axum::Json;
use axum::extract::State;
use axum::http::Method;
use bothways_engine::stored::TokenScope;
use bothways_engine::{EngineError, Explanation};
use bothways_model::Value;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Plain;
use std::collections::BTreeMap;

pub(super) fn routes(routes: Routes) -> Routes {
    let endpoint = Endpoint::new(
        Method::GET,
        "/api/explain/{catalog}/{id}",
        Access::Api(TokenScope::Read),
        "Why a record is as it is, by its local or remote id, for each mapping of the catalog that knows it; reads the other side",
    );
    routes.add(endpoint.answers::<Vec<ExplainBody>>(200), explain)
}

/// One record in one mapping, explained.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
struct ExplainBody {
    /// The mapping.
    mapping: String,
    /// Where it is written: file and line.
    document: String,
    /// The row.
    local_id: Option<String>,
    /// The record.
    remote_id: Option<String>,
    /// The link, if there is one.
    link: Option<LinkBody>,
    /// What the other side answered just now, in words.
    remote: String,
    /// What would happen to the records as wholes now: `merge`, `delete_remote`, `ask_delete`, …
    record: Option<String>,
    /// The file and line that decides about that, if it is not the fields'.
    record_line: Option<String>,
    /// Field by field.
    fields: Vec<FieldBody>,
    /// Writes to the other side, newest first.
    intents: Vec<IntentBody>,
    /// What the service told of the record, by webhooks or by its feed, newest first; kept for three days.
    events: Vec<EventBody>,
    /// Signals and parked work.
    work: Vec<WorkBody>,
    /// What was decided and written, newest first.
    history: Vec<WriteBody>,
}

/// A link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplainedLink")]
struct LinkBody {
    /// Its id.
    id: String,
    /// Its state.
    state: &'static str,
    /// When it was made, RFC 3339.
    created_at: String,
    /// When both sides were last known to agree.
    in_step_at: Option<String>,
    /// Why it is in its state.
    note: Option<String>,
}

/// One field: both sides, what was last known of each, and the verdict.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplainedField")]
struct FieldBody {
    /// The field.
    field: String,
    /// The row's value.
    local: Option<Plain>,
    /// The row's value when both were last known to agree.
    base_local: Option<Plain>,
    /// The record's value.
    remote: Option<Plain>,
    /// The record's value when both were last known to agree.
    base_remote: Option<Plain>,
    /// What a look would do now: `none`, `push`, `pull`, `conflict`, …
    action: String,
    /// The rule that decides.
    rule: u16,
    /// Why.
    why: String,
    /// The file, line and column that says so.
    line: String,
}

/// One write to the other side. The request itself holds record values and is not shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplainedIntent")]
struct IntentBody {
    /// Its number on the link.
    number: u32,
    /// `create`, `update` or `delete`.
    kind: String,
    /// Method and address.
    call: String,
    /// The fields it sent.
    fields: Vec<String>,
    /// `open`, `uncertain`, `confirmed`, `refused` or `abandoned`.
    state: &'static str,
    /// When it was committed, RFC 3339.
    at: String,
    /// When it was last sent.
    sent_at: String,
    /// What became of it.
    outcome: Option<String>,
}

/// One event about the record. It decides nothing: the record is looked at for it, or it shows nothing new.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplainedEvent")]
struct EventBody {
    /// The service's id, or a digest of the event where it has none.
    id: String,
    /// When it was taken in, RFC 3339.
    at: String,
    /// What it told: `changed` or `deleted`.
    told: &'static str,
    /// Whether the record was looked at for it. Else it showed nothing new: most often it is the echo of our own write.
    looked: bool,
}

/// A signal, or parked work.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplainedWork")]
struct WorkBody {
    /// Its number.
    id: i64,
    /// Since when, RFC 3339.
    since: String,
    /// When it is due.
    due: Option<String>,
    /// Failed attempts.
    attempts: u32,
    /// The last error.
    last_error: Option<String>,
    /// The limit that holds it back.
    held: Option<String>,
    /// Why it is parked.
    parked: Option<String>,
}

/// One entry of the history.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplainedWrite")]
struct WriteBody {
    /// The entry.
    #[serde(flatten)]
    entry: HistoryEntry,
    /// For each field the file and line that decides; for a delete or a link the policy's, under the empty name.
    lines: BTreeMap<String, String>,
}

async fn explain(
    State(app): State<App>,
    Path((catalog, id)): Path<(String, String)>,
) -> Result<Json<Vec<ExplainBody>>, Problem> {
    let found = explanations(&app, &catalog, &id).await?;
    Ok(Json(found.into_iter().map(|one| body(&app, one)).collect()))
}

/// Explains a record in each mapping of its catalog.
pub(crate) async fn explanations(app: &App, catalog: &str, id: &str) -> Result<Vec<Explanation>, Problem> {
    app.records.catalog(catalog)?;
    let engine = app.operations.engine();
    let mappings: Vec<String> = engine
        .pairs()
        .filter(|pair| pair.mapping.catalog.name == catalog)
        .map(|pair| pair.mapping.name.clone())
        .collect();
    let mut all = Vec::new();
    for mapping in mappings {
        match app.operations.explain(Some(&mapping), id).await {
            Ok(explained) => all.extend(explained),
            Err(EngineError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if all.is_empty() {
        return Err(Problem::not_found(format!("record `{id}` in a mapping of catalog `{catalog}`")));
    }
    Ok(all)
}

fn body(app: &App, one: Explanation) -> ExplainBody {
    let plain = |value: Option<Value>| value.as_ref().map(Value::to_plain_json);
    let fields = one.fields.into_iter().map(|field| {
        let verdict = field.verdict;
        FieldBody {
            action: word(&verdict.action),
            field: verdict.label,
            local: plain(verdict.local),
            base_local: plain(verdict.base.local),
            remote: plain(verdict.remote),
            base_remote: plain(verdict.base.remote),
            rule: verdict.rule,
            why: verdict.why,
            line: field.line,
        }
    });
    let intents = one.intents.into_iter().map(|intent| IntentBody {
        number: intent.number,
        kind: intent.kind,
        call: intent.call,
        fields: intent.fields,
        state: intent.state,
        at: intent.at,
        sent_at: intent.sent_at,
        outcome: intent.outcome,
    });
    let events = one.events.into_iter().map(|event| EventBody {
        id: event.id,
        at: event.at,
        told: event.told,
        looked: event.looked,
    });
    let work = one.work.into_iter().map(|work| WorkBody {
        id: work.id.0,
        since: work.since.to_rfc3339(),
        due: work.due.map(|at| at.to_rfc3339()),
        attempts: work.attempts,
        last_error: work.last_error,
        held: work.held,
        parked: work.parked.map(|parked| format!("{}: {}", parked.reason.as_str(), parked.message)),
    });
    let history = one
        .history
        .into_iter()
        .map(|write| WriteBody { entry: history_entry(app, write.row), lines: write.lines });
    ExplainBody {
        mapping: one.mapping,
        document: one.document,
        local_id: one.local_id,
        remote_id: one.remote_id,
        link: one.link.map(|link| LinkBody {
            id: link.id.to_string(),
            state: link.state.as_str(),
            created_at: link.created_at.to_rfc3339(),
            in_step_at: link.in_step_at.map(|at| at.to_rfc3339()),
            note: link.body.note,
        }),
        remote: one.remote,
        record: one.record.as_ref().map(word),
        record_line: one.record_line,
        fields: fields.collect(),
        intents: intents.collect(),
        events: events.collect(),
        work: work.collect(),
        history: history.collect(),
    }
}

/// The name of what would be done, without its values: they stand beside it.
pub(crate) fn word(action: &impl Serialize) -> String {
    match serde_json::to_value(action) {
        Ok(Plain::String(name)) => name,
        Ok(Plain::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}
