//! Records of any catalog.

use super::extract::{JsonBody, NoBody, Path, Query};
use super::shapes::{LinkBody, RecordBody};
use crate::access::Access;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bothways_engine::EngineError;
use bothways_engine::stored::TokenScope;
use bothways_model::{Catalog, KeyMaker, LocalId, LocalRow, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_};
use sha2::{Digest, Sha256};

const READ: Access = Access::Api(TokenScope::Read);
const OPERATE: Access = Access::Api(TokenScope::Operate);
const ALL: &str = "/api/catalogs";
const ONE: &str = "/api/catalogs/{catalog}";
const RECORD: &str = "/api/catalogs/{catalog}/{id}";
const LINKS: &str = "/api/catalogs/{catalog}/{id}/links";

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Endpoint::new(Method::GET, ALL, READ, "All catalogs").answers::<Catalogs>(200), catalogs)
        .add(
            Endpoint::new(Method::GET, ONE, READ, "A page of records in key order")
                .query::<ListQuery>()
                .answers::<RecordPage>(200),
            list,
        )
        .add(
            Endpoint::new(Method::POST, ONE, OPERATE, "Creates a record; `Location` says where it is")
                .body::<RecordBody>()
                .answers::<RecordBody>(201),
            create,
        )
        .add(
            Endpoint::new(Method::GET, RECORD, READ, "One record; `ETag` names what it holds")
                .answers::<RecordBody>(200),
            read,
        )
        .add(
            Endpoint::new(
                Method::PATCH,
                RECORD,
                OPERATE,
                "Changes fields: one that is absent stays, null clears, a value sets. With `If-Match`, only if the record is still the \
                 one of that `ETag`; else 412",
            )
            .precondition()
            .body::<RecordBody>()
            .answers::<RecordBody>(200),
            update,
        )
        .add(
            Endpoint::new(Method::DELETE, RECORD, OPERATE, "Deletes a record").sends(204, Answer::Empty),
            delete,
        )
        .add(
            Endpoint::new(Method::GET, LINKS, READ, "Where a record lives elsewhere").answers::<Links>(200),
            links,
        )
}

/// All catalogs.
#[derive(Serialize, JsonSchema)]
struct Catalogs {
    catalogs: Vec<CatalogBody>,
}

/// A catalog.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Catalog")]
struct CatalogBody {
    /// Its name.
    name: String,
    /// Its key fields, in order. A record's id is the key's text; of several fields their texts with `/` between, and `%25`
    /// and `%2F` for a `%` and a `/` of a text.
    key: Vec<String>,
    /// Who makes keys: `database`, `engine`, or `inserter`, who sends the key's fields along.
    made_by: &'static str,
    /// How many records it has.
    count: u64,
    /// Its fields, the key included.
    fields: Vec<FieldBody>,
}

/// A field of a catalog.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CatalogField")]
struct FieldBody {
    /// Its name.
    name: String,
    /// Its type: `text`, `int`, `decimal(N)`, `bool`, `timestamp`, `date`, `uuid`, `json`, `enum`, `list of …`.
    #[serde(rename = "type")]
    ty: String,
    /// The words of an `enum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<String>>,
    /// Whether null is allowed.
    optional: bool,
    /// The author's note.
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
}

fn describe(catalog: &Catalog, count: u64) -> CatalogBody {
    CatalogBody {
        name: catalog.name.clone(),
        key: catalog.key.names().to_vec(),
        made_by: match catalog.made_by {
            KeyMaker::Database => "database",
            KeyMaker::Engine => "engine",
            KeyMaker::Inserter => "inserter",
        },
        count,
        fields: catalog
            .fields
            .iter()
            .map(|field| FieldBody {
                name: field.name.clone(),
                ty: field.ty.to_string(),
                words: match &field.ty {
                    bothways_model::FieldType::Enum(words) => Some(words.clone()),
                    _ => None,
                },
                optional: field.optional,
                doc: field.doc.clone(),
            })
            .collect(),
    }
}

async fn catalogs(State(app): State<App>) -> Result<Json<Catalogs>, Problem> {
    let mut catalogs = Vec::new();
    for catalog in app.records.catalogs() {
        catalogs.push(describe(catalog, app.records.count(&catalog.name).await?));
    }
    Ok(Json(Catalogs { catalogs }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only records with this text in a text field or as key, in any case.
    q: Option<String>,
    /// Go on after this key: `next` of the page before.
    after: Option<String>,
    /// Records a page, 1 to 1000; 50 unless told.
    limit: Option<usize>,
}

/// A page of records.
#[derive(Serialize, JsonSchema)]
struct RecordPage {
    /// The records, in key order.
    records: Vec<RecordBody>,
    /// What to send as `after` for the next page; null at the end.
    next: Option<String>,
    /// Rows of this page that hold something their catalog does not allow.
    unreadable: Vec<Unreadable>,
}

/// A row that cannot be read as its catalog says.
#[derive(Serialize, JsonSchema)]
struct Unreadable {
    /// Its key.
    id: String,
    /// Which column, and what it should hold.
    message: String,
}

async fn list(
    State(app): State<App>,
    Path(catalog): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<RecordPage>, Problem> {
    let after = query.after.map(LocalId);
    let search = query.q.as_deref().filter(|q| !q.is_empty());
    let page = app.records.list(&catalog, search, after.as_ref(), query.limit.unwrap_or(50)).await?;
    Ok(Json(RecordPage {
        records: page.rows.iter().map(RecordBody::from).collect(),
        next: page.next.map(|id| id.0),
        unreadable: page
            .unreadable
            .into_iter()
            .map(|row| Unreadable { id: row.id.0, message: row.message })
            .collect(),
    }))
}

async fn create(
    State(app): State<App>,
    Path(catalog): Path<String>,
    JsonBody(fields): JsonBody<Map<String, Json_>>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<RecordBody>), Problem> {
    let row = app.records.create(&catalog, &fields).await.map_err(Problem::of_edit)?;
    let segment = |text: &str| {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    };
    let location = format!("/api/catalogs/{}/{}", segment(&catalog), segment(row.id.as_str()));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(RecordBody::from(&row))))
}

/// A record with the name of what it holds, for `If-Match`.
fn tagged(row: &LocalRow) -> Tagged {
    ([(header::ETAG, tag_of(row))], Json(RecordBody::from(row)))
}

type Tagged = ([(HeaderName, String); 1], Json<RecordBody>);

fn tag_of(row: &LocalRow) -> String {
    let fields = serde_json::to_vec(&RecordBody::from(row)).unwrap_or_default();
    format!("\"{}\"", hex::encode(&Sha256::digest(fields)[..16]))
}

async fn read(
    State(app): State<App>,
    Path((catalog, id)): Path<(String, String)>,
) -> Result<Tagged, Problem> {
    Ok(tagged(&app.records.get(&catalog, &LocalId(id)).await?))
}

async fn update(
    State(app): State<App>,
    Path((catalog, id)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(fields): JsonBody<Map<String, Json_>>,
) -> Result<Tagged, Problem> {
    let id = LocalId(id);
    let expected = match headers.get(header::IF_MATCH) {
        Some(tags) => expected(app.records.get(&catalog, &id).await?, tags)?,
        None => Record::new(),
    };
    let row = app.records.update_if(&catalog, &id, &expected, &fields).await;
    let row = row.map_err(|error| match error {
        EngineError::Moved(_) => moved(),
        other => Problem::of_edit(other),
    })?;
    Ok(tagged(&row))
}

/// What a row has to hold still, if it is one of those that `If-Match` names.
fn expected(row: LocalRow, tags: &HeaderValue) -> Result<Record, Problem> {
    let now = tag_of(&row);
    let named = tags.to_str().unwrap_or_default().split(',').map(str::trim);
    if named.into_iter().any(|tag| tag == "*" || tag == now) { Ok(row.fields) } else { Err(moved()) }
}

fn moved() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "moved",
        "the record is not the one that `If-Match` names any more: read it again",
    )
}

async fn delete(
    State(app): State<App>,
    Path((catalog, id)): Path<(String, String)>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    app.records.delete(&catalog, &LocalId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a record lives elsewhere.
#[derive(Serialize, JsonSchema)]
struct Links {
    links: Vec<LinkBody>,
}

async fn links(
    State(app): State<App>,
    Path((catalog, id)): Path<(String, String)>,
) -> Result<Json<Links>, Problem> {
    let id = LocalId(id);
    let links = app.records.links(&catalog, &id).await?;
    if links.is_empty() {
        // Tells a record that lives nowhere else from one that is not there.
        app.records.get(&catalog, &id).await?;
    }
    Ok(Json(Links { links: links.into_iter().map(LinkBody::from).collect() }))
}
