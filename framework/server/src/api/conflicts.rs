//! The conflicts of a mapping as one set: counted, and decided at once (rule 18).

use super::extract::{JsonBody, Path, Query};
use super::parked::SideName;
use super::to_its_end::to_its_end;
use crate::access::{Access, Caller};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Endpoint, Routes};
use axum::extract::State;
use axum::http::Method;
use axum::{Extension, Json};
use bothways_engine::stored::TokenScope;
use bothways_engine::{ConflictSet, DecidedSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const READ: Access = Access::Api(TokenScope::Read);
const OPERATE: Access = Access::Api(TokenScope::Operate);

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(
            Endpoint::new(
                Method::GET,
                "/api/mappings/{name}/conflicts",
                READ,
                "How many conflicts of a mapping nobody has decided, with the digest of all of them",
            )
            .query::<ConflictsQuery>()
            .answers::<ConflictsBody>(200),
            show,
        )
        .add(
            Endpoint::new(
                Method::POST,
                "/api/mappings/{name}/conflicts/resolve",
                OPERATE,
                "Keeps one side's values in exactly the conflicts that were shown; refused if they are others by now",
            )
            .body::<Decision>()
            .answers::<Decided>(200),
            resolve,
        )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConflictsQuery {
    /// Only conflicts in this field.
    field: Option<String>,
}

/// Conflicts of a mapping that nobody has decided.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conflicts")]
struct ConflictsBody {
    /// The mapping.
    mapping: String,
    /// How many records have one.
    count: u64,
    /// In how many of them each field is in conflict.
    fields: BTreeMap<String, u64>,
    /// There are more records than one decision names; these are the first.
    more: bool,
    /// What a decision names: exactly these records, fields and values.
    digest: String,
}

impl From<ConflictSet> for ConflictsBody {
    fn from(set: ConflictSet) -> Self {
        let ConflictSet { mapping, count, fields, more, digest } = set;
        Self { mapping, count, fields, more, digest }
    }
}

async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<ConflictsQuery>,
) -> Result<Json<ConflictsBody>, Problem> {
    Ok(Json(app.operations.conflicts(Some(&name), query.field.as_deref()).await?.into()))
}

/// A decision about all of them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConflictsDecision")]
struct Decision {
    /// Whose values to keep.
    keep: SideName,
    /// Only in this field, as they were shown.
    field: Option<String>,
    /// What was shown.
    digest: String,
}

/// What became of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConflictsDecided")]
struct Decided {
    /// Records whose conflicts are decided and will be carried out.
    decided: u64,
    /// Records left out, since a value moved meanwhile or they are being worked on.
    left_out: u64,
}

async fn resolve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    JsonBody(decision): JsonBody<Decision>,
) -> Result<Json<Decided>, Problem> {
    let Decision { keep, field, digest } = decision;
    let set = WantedSet { mapping: name, field, digest };
    let DecidedSet { decided, left_out } = resolve_all(&app, set, keep.into(), caller.name).await?;
    Ok(Json(Decided { decided, left_out }))
}

/// The set that a person was shown.
pub(crate) struct WantedSet {
    pub(crate) mapping: String,
    pub(crate) field: Option<String>,
    pub(crate) digest: String,
}

/// Decides a set, whether or not anybody still waits for the answer.
pub(crate) async fn resolve_all(
    app: &App,
    set: WantedSet,
    keep: bothways_engine::stored::Side,
    by: String,
) -> Result<DecidedSet, Problem> {
    let operations = app.operations.clone();
    to_its_end(async move {
        let WantedSet { mapping, field, digest } = set;
        Ok(operations.resolve_all(Some(&mapping), field.as_deref(), keep, &digest, &by).await?)
    })
    .await
}
