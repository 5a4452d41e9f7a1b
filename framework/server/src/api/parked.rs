//! What waits for a person: looking at it and deciding.

use super::extract::{JsonBody, NoBody, Path, Query};
use crate::access::{Access, Caller};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::{Extension, Json};
use bothways_engine::stored::{DeleteChoice, Side, TokenScope};
use bothways_engine::{ConflictView, Item, KeepText, Resolution};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use std::collections::BTreeMap;

const READ: Access = Access::Api(TokenScope::Read);
const OPERATE: Access = Access::Api(TokenScope::Operate);

pub(super) fn routes(routes: Routes) -> Routes {
    let post = |path, summary| Endpoint::new(Method::POST, path, OPERATE, summary).sends(204, Answer::Empty);
    routes
        .add(
            Endpoint::new(Method::GET, "/api/parked", READ, "What waits for a person, oldest first")
                .query::<ParkedQuery>()
                .answers::<Waiting>(200),
            list,
        )
        .add(
            Endpoint::new(Method::GET, "/api/parked/{id}", READ, "One item").answers::<ItemBody>(200),
            show,
        )
        .add(
            post(
                "/api/parked/{id}/resolve",
                "Decides: per field, for all fields, or about a delete; refused if something moved since `digest`",
            )
            .body::<Decision>(),
            resolve,
        )
        .add(post("/api/parked/{id}/replay", "Takes parked work up again"), replay)
        .add(post("/api/parked/{id}/dismiss", "Drops parked work"), dismiss)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ParkedQuery {
    /// Only this mapping.
    mapping: Option<String>,
    /// Only this reason: `conflict`, `error`, `ambiguous`, `duplicate`, `merged`, `flapping`, `refused`, `delete`, `create`, `uncertain`.
    reason: Option<String>,
    /// At most this many, 1 to 1000; 100 unless told.
    limit: Option<usize>,
}

/// What waits for a person.
#[derive(Serialize, JsonSchema)]
struct Waiting {
    items: Vec<ItemBody>,
}

/// Something that waits for a person.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ParkedItem")]
struct ItemBody {
    /// A number for parked work, a link's UUID for conflicts.
    id: String,
    /// `conflict`, or why it is parked.
    reason: String,
    /// The mapping.
    mapping: String,
    /// The row.
    local_id: Option<String>,
    /// The record.
    remote_id: Option<String>,
    /// The link.
    link: Option<String>,
    /// What happened and what to do.
    message: String,
    /// Since when, RFC 3339.
    since: String,
    /// Fields in conflict.
    fields: BTreeMap<String, ConflictBody>,
    /// What a decision names, so that it is refused when something moved since.
    digest: String,
}

/// A field in conflict.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ParkedField")]
struct ConflictBody {
    /// The value both sides last agreed on.
    base: Option<Json_>,
    /// The local value.
    local: Option<Json_>,
    /// The remote value.
    remote: Option<Json_>,
    /// Whether a decision is being carried out.
    chosen: bool,
}

impl From<Item> for ItemBody {
    fn from(item: Item) -> Self {
        let field = |(label, c): (String, ConflictView)| {
            (label, ConflictBody { base: c.base, local: c.local, remote: c.remote, chosen: c.chosen })
        };
        Self {
            id: item.id,
            reason: item.reason,
            mapping: item.mapping,
            local_id: item.local_id,
            remote_id: item.remote_id,
            link: item.link,
            message: item.message,
            since: item.since,
            fields: item.fields.into_iter().map(field).collect(),
            digest: item.digest,
        }
    }
}

async fn list(State(app): State<App>, Query(query): Query<ParkedQuery>) -> Result<Json<Waiting>, Problem> {
    let limit = query.limit.unwrap_or(100).clamp(1, 1000);
    let items = app.operations.parked(query.mapping.as_deref(), query.reason.as_deref(), limit).await?;
    Ok(Json(Waiting { items: items.into_iter().map(ItemBody::from).collect() }))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ItemBody>, Problem> {
    Ok(Json(app.operations.item(&id).await?.into()))
}

/// A decision: exactly one of `fields`, `keep` and `delete`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// Per field.
    fields: Option<BTreeMap<String, Choice>>,
    /// For all fields.
    keep: Option<SideName>,
    /// About a delete that was left to a person.
    delete: Option<DeleteWord>,
    /// What was shown: `digest` of the item.
    digest: String,
}

/// Which value to keep.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Choice {
    /// One side's.
    Side(SideName),
    /// Another one.
    Value {
        /// The value, as the records API shows it.
        value: Json_,
    },
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SideName {
    /// The catalog's.
    Local,
    /// The service's.
    Remote,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DeleteWord {
    /// Carry it out on the other side.
    Carry,
    /// Leave the other side alone and close the link.
    Keep,
    /// Create the deleted remote record again.
    Recreate,
}

impl From<SideName> for Side {
    fn from(side: SideName) -> Self {
        match side {
            SideName::Local => Side::Local,
            SideName::Remote => Side::Remote,
        }
    }
}

impl From<SideName> for KeepText {
    fn from(side: SideName) -> Self {
        match side {
            SideName::Local => KeepText::Local,
            SideName::Remote => KeepText::Remote,
        }
    }
}

impl Decision {
    fn resolution(self) -> Result<Resolution, Problem> {
        match (self.fields, self.keep, self.delete) {
            (Some(fields), None, None) if !fields.is_empty() => {
                let keep = |choice| match choice {
                    Choice::Side(side) => side.into(),
                    Choice::Value { value } => KeepText::Value(value),
                };
                Ok(Resolution::Fields(fields.into_iter().map(|(label, c)| (label, keep(c))).collect()))
            }
            (None, Some(side), None) => Ok(Resolution::Fields([(String::new(), side.into())].into())),
            (None, None, Some(word)) => Ok(Resolution::Delete(match word {
                DeleteWord::Carry => DeleteChoice::Carry,
                DeleteWord::Keep => DeleteChoice::Keep,
                DeleteWord::Recreate => DeleteChoice::Recreate,
            })),
            _ => Err(Problem::malformed("give exactly one of `fields`, `keep` and `delete`")),
        }
    }
}

async fn resolve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(decision): JsonBody<Decision>,
) -> Result<StatusCode, Problem> {
    let digest = decision.digest.clone();
    let resolution = decision.resolution()?;
    app.operations.resolve(&id, &resolution, Some(&digest), &caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn replay(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    app.operations.replay(&id, &caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn dismiss(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    app.operations.dismiss(&id, &caller.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
