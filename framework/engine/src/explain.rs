//! Explains one record: both sides, bases, intents, events, what would be decided now, by which rule and which line (rule 66).

use crate::decide::{self, LocalSight, RecordAction, Sight, Verdict, local_value};
use crate::operations::Operations;
use crate::references::Asked;
use crate::{EngineError, PairRuntime, Purpose, read};
use bothways_connector::{Operation, Outcome};
use bothways_mapping::mapping::Winner;
use bothways_model::{EventEffect, LocalId, LocalRow, RemoteId, Value};
use bothways_store::{HistoryFilter, HistoryOp, HistoryRow, Intent, Link, Side, TakenEvent, Work};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One record of one mapping, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The mapping.
    pub mapping: String,
    /// Where the mapping is written: file and line.
    pub document: String,
    /// The row's id.
    pub local_id: Option<String>,
    /// The record's id.
    pub remote_id: Option<String>,
    /// The link, with its bases, if there is one.
    pub link: Option<Link>,
    /// What the remote side answered just now, in words.
    pub remote: String,
    /// What would happen to the records as wholes if they were looked at now.
    pub record: Option<RecordAction>,
    /// The file and line that decides about the records as wholes, if it is not the fields'.
    pub record_line: Option<String>,
    /// Field by field: both sides, both bases, what would be done, why, and the line that says so.
    pub fields: Vec<ExplainedField>,
    /// Remote writes, newest first.
    pub intents: Vec<ExplainedIntent>,
    /// What the service told of the record, pushed or by its feed, newest first; kept for three days.
    pub events: Vec<ExplainedEvent>,
    /// Signals and parked work.
    pub work: Vec<Work>,
    /// What was decided and written, newest first.
    pub history: Vec<ExplainedWrite>,
}

/// One entry of the history, explained.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedWrite {
    /// The entry.
    #[serde(flatten)]
    pub row: HistoryRow,
    /// For each of its fields the file and line that decides, as the mapping is written now; for a delete or a closed link the line
    /// of the policy, under the empty name.
    pub lines: BTreeMap<String, String>,
}

/// One field, explained.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedField {
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The file and line that decides: the winner's if a conflict was decided by it, else the field's.
    pub line: String,
}

/// One remote write, explained. The request itself holds record values and is not shown.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedIntent {
    /// Its number on the link.
    pub number: u32,
    /// `create`, `update` or `delete`.
    pub kind: String,
    /// Method and address.
    pub call: String,
    /// The fields it sent.
    pub fields: Vec<String>,
    /// Where it stands.
    pub state: &'static str,
    /// When it was committed, RFC 3339.
    pub at: String,
    /// When it was last sent, RFC 3339.
    pub sent_at: String,
    /// What became of it.
    pub outcome: Option<String>,
}

/// One event about the record, explained. An event decides nothing: it has the record looked at, or shows nothing new.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedEvent {
    /// The service's id, or a digest of the event where it has none.
    pub id: String,
    /// When it was taken in, RFC 3339.
    pub at: String,
    /// What it told: `changed` or `deleted`.
    pub told: &'static str,
    /// Whether the record was looked at for it. Else it showed nothing new: most often it is the echo of our own write.
    pub looked: bool,
}

impl Operations {
    /// Explains a record by its local or remote id, in each mapping that knows it (or only in `mapping`). Reads the remote side if
    /// the service answers; writes nothing.
    ///
    /// # Errors
    /// Nobody knows the id; the credentials mean another account (rule 28); the store fails.
    pub async fn explain(&self, mapping: Option<&str>, id: &str) -> Result<Vec<Explanation>, EngineError> {
        let mut found = Vec::new();
        for pair in self.engine.pairs().filter(|p| mapping.is_none_or(|m| p.mapping.is_called(m))) {
            if let Some(explanation) = self.explain_in(&pair, id).await? {
                found.push(explanation);
            }
        }
        if found.is_empty() {
            return Err(EngineError::NotFound(format!(
                "record `{id}` on either side of the mappings loaded{}",
                self.id_forms(mapping)
            )));
        }
        Ok(found)
    }

    /// How the ids of rows are written whose key is several columns, where one of the mappings has such.
    fn id_forms(&self, mapping: Option<&str>) -> String {
        let catalogs: BTreeMap<String, String> = self
            .engine
            .pairs()
            .filter(|pair| mapping.is_none_or(|m| pair.mapping.is_called(m)))
            .map(|pair| Arc::clone(&pair.mapping.catalog))
            .filter(|catalog| catalog.key.is_composite())
            .map(|catalog| (catalog.name.clone(), catalog.id_form()))
            .collect();
        catalogs.iter().map(|(name, form)| format!("; ids of `{name}` are written `{form}`")).collect()
    }

    async fn explain_in(&self, pair: &PairRuntime, id: &str) -> Result<Option<Explanation>, EngineError> {
        let store = &self.engine.store;
        let (local, remote) = (LocalId::from(id), pair.remote_id(id));
        let by_local =
            store.links_of_local(pair.id, std::slice::from_ref(&local)).await?.into_iter().next().flatten();
        let by_remote =
            store.links_of_remote(pair.id, std::slice::from_ref(&remote)).await?.into_iter().next().flatten();
        let link = by_local.or(by_remote);
        let catalog = &pair.mapping.catalog.name;
        let local_id =
            link.as_ref().and_then(|l| l.local_id.clone()).or_else(|| link.is_none().then_some(local));
        let row = match &local_id {
            // An id that is no key of this table at all is simply not a row.
            Some(id) => store.row(catalog, id).await.unwrap_or_default(),
            None => None,
        };
        let remote_id = link
            .as_ref()
            .and_then(|l| l.remote_id.clone())
            .or_else(|| (link.is_none() && row.is_none()).then_some(remote));
        let (seen, shown) = match self.engine.check_usable(&pair.connection).await {
            Ok(()) => self.see_remote(pair, remote_id.as_ref()).await,
            Err(error @ (EngineError::Refused(_) | EngineError::Store(_))) => return Err(error),
            Err(error) => (None, format!("not read: {error}")),
        };
        if link.is_none() && row.is_none() && seen.is_none() {
            return Ok(None);
        }
        let seen = match seen {
            Some(mut seen) => {
                let body = link.as_ref().map(|link| &link.body);
                let asked =
                    Asked { local: row.as_ref().map(|r| &r.fields), remote: Some(&seen.fields), body };
                seen.references = self.engine.references(pair, &[asked]).await?;
                Some(seen)
            }
            None => None,
        };
        let (record, fields) =
            decide_now(pair, link.as_ref(), row.as_ref(), seen.as_ref(), self.engine.ports.clock.now());
        let work = store
            .work_of(pair.id, row.as_ref().map(|r| &r.id).or(local_id.as_ref()), remote_id.as_ref())
            .await?;
        let filter = match &link {
            Some(link) => HistoryFilter { link: Some(link.id), ..HistoryFilter::default() },
            None => HistoryFilter {
                pair: Some(pair.id),
                local_id: row.as_ref().map(|r| r.id.clone()),
                ..HistoryFilter::default()
            },
        };
        let intents = match &link {
            Some(link) => store.intents(link.id, 20).await?,
            None => Vec::new(),
        };
        let resource = &pair.mapping.remote.resource;
        let events = match &remote_id {
            Some(id) => store.events_of(&pair.connection, resource, id, 20).await?,
            None => Vec::new(),
        };
        Ok(Some(Explanation {
            mapping: pair.mapping.name.clone(),
            document: pair.mapping.source.to_string(),
            local_id: row.as_ref().map(|r| r.id.0.clone()),
            remote_id: remote_id.map(|id| id.0),
            record_line: record.as_ref().and_then(|action| record_line(pair, action)),
            record,
            fields,
            remote: shown,
            intents: intents.iter().map(explain_intent).collect(),
            events: events.into_iter().map(explain_event).collect(),
            work,
            history: store
                .history(&filter, None, 50)
                .await?
                .into_iter()
                .map(|row| explain_write(pair, row))
                .collect(),
            link,
        }))
    }

    async fn see_remote(&self, pair: &PairRuntime, id: Option<&RemoteId>) -> (Option<read::Seen>, String) {
        let Some(id) = id else { return (None, "there is no remote record yet".into()) };
        let exchange = match pair.resource.start(Operation::Get { id: id.clone() }) {
            Ok(exchange) => exchange,
            Err(failure) => return (None, failure.to_string()),
        };
        match self.engine.run(&pair.connection, Purpose::Live, exchange, pair.timeout()).await {
            Ok(Outcome::Record(observed)) if observed.gone => (None, "the record is deleted".into()),
            Ok(Outcome::Record(observed)) => (Some(read::remote(pair, &observed)), "read just now".into()),
            Ok(Outcome::Missing) => (None, "there is no such record (404)".into()),
            Ok(Outcome::Failed(failure)) => (None, format!("not read: {failure}")),
            Ok(_) => (None, "not read: the answer makes no sense".into()),
            Err(error) => (None, format!("not read: {error}")),
        }
    }
}

fn decide_now(
    pair: &PairRuntime,
    link: Option<&Link>,
    row: Option<&LocalRow>,
    seen: Option<&read::Seen>,
    now: bothways_model::Timestamp,
) -> (Option<RecordAction>, Vec<ExplainedField>) {
    let mapping = &pair.mapping;
    let nothing = bothways_store::LinkBody::default();
    let (Some(row), Some(seen)) = (row, seen) else {
        let fields = mapping.fields.iter().map(|field| {
            let base = link.and_then(|l| l.body.base.get(&field.label)).cloned().unwrap_or_default();
            let verdict = Verdict {
                label: field.label.clone(),
                action: decide::Action::Unseen,
                local: row.and_then(|r| local_value(field, &r.fields)).cloned(),
                remote: seen.and_then(|s| s.fields.get(&field.label)).cloned(),
                base,
                rule: 17,
                why: "only one side can be seen".into(),
            };
            ExplainedField { verdict, line: field.source.to_string() }
        });
        return (None, fields.collect());
    };
    let decision = decide::decide(&Sight {
        mapping,
        local: LocalSight::Row(row),
        remote: seen.sight(),
        references: &seen.references,
        body: link.map_or(&nothing, |l| &l.body),
        state: link.map_or(bothways_store::LinkState::Linked, |l| l.state),
        now,
    });
    let fields = decision.verdicts.into_iter().map(|verdict| {
        let line = field_line(pair, &verdict.label, verdict.rule == 11 || verdict.rule == 12);
        ExplainedField { verdict, line }
    });
    (Some(decision.record), fields.collect())
}

/// The line that decides about a field: the winner's if a conflict was decided by it, else the field's.
fn field_line(pair: &PairRuntime, label: &str, by_winner: bool) -> String {
    let mapping = &pair.mapping;
    match mapping.field(label) {
        Some(field) if by_winner => match &field.winner_source {
            Some(source) => source.to_string(),
            None if field.winner != Winner::Manual => mapping.said_at("/conflicts/winner").to_string(),
            None => field.source.to_string(),
        },
        Some(field) => field.source.to_string(),
        None => mapping.source.to_string(),
    }
}

/// The line of the policy that decides about the records as wholes.
fn record_line(pair: &PairRuntime, action: &RecordAction) -> Option<String> {
    let said = |pointer: &str| Some(pair.mapping.said_at(pointer).to_string());
    match action {
        RecordAction::Merge | RecordAction::Missing => None,
        RecordAction::DeleteRemote | RecordAction::Leave => said("/deletes/from_local"),
        RecordAction::DeleteLocal | RecordAction::ArchiveLocal | RecordAction::Recreate => {
            said("/deletes/from_remote")
        }
        RecordAction::Close { .. } | RecordAction::AskDelete { .. } => said("/deletes"),
    }
}

fn explain_write(pair: &PairRuntime, row: HistoryRow) -> ExplainedWrite {
    let by_winner = row.entry.rules.iter().any(|rule| matches!(rule, 11 | 12));
    let of_fields = |label: &String| (label.clone(), field_line(pair, label, by_winner));
    let of_records = |pointer: &str| [(String::new(), pair.mapping.said_at(pointer).to_string())].into();
    let lines = match (row.entry.op, row.entry.side) {
        (HistoryOp::Delete, Side::Remote) => of_records("/deletes/from_local"),
        (HistoryOp::Delete, Side::Local) => of_records("/deletes/from_remote"),
        (HistoryOp::Unlink, _) => of_records("/deletes"),
        (HistoryOp::Link, _) => of_records("/identity/match"),
        _ => row.entry.fields.keys().map(of_fields).collect(),
    };
    ExplainedWrite { row, lines }
}

fn explain_intent(intent: &Intent) -> ExplainedIntent {
    let text = |pointer: &str| {
        intent.request.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned()
    };
    // The query may hold record values; the path holds ids only.
    let url = text("/request/url");
    let url = url.split('?').next().unwrap_or_default().to_owned();
    ExplainedIntent {
        number: intent.number,
        kind: intent.kind.clone(),
        call: format!("{} {url}", text("/request/method")),
        fields: intent.fields.iter().map(|f| f.field.clone()).collect(),
        state: intent.state.as_str(),
        at: intent.at.to_rfc3339(),
        sent_at: intent.sent_at.to_rfc3339(),
        outcome: intent.outcome.clone(),
    }
}

fn explain_event(taken: TakenEvent) -> ExplainedEvent {
    let told = match taken.effect {
        EventEffect::Upsert => "changed",
        EventEffect::Delete => "deleted",
    };
    ExplainedEvent { id: taken.event, at: taken.at.to_rfc3339(), told, looked: taken.signalled }
}

/// A value for people: quoted text, plain everything else.
#[must_use]
pub fn show_value(value: Option<&Value>) -> String {
    match value {
        None => "—".into(),
        Some(value) => value.to_plain_json().to_string(),
    }
}
