//! `/openapi.json`: OpenAPI 3.1 built from the routes and the types they speak. 3.1 schemas are JSON Schema 2020-12, which is what
//! schemars makes.

use crate::access::Access;
use crate::problem::ProblemBody;
use crate::routes::{Answer, Endpoint};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The whole document.
pub(crate) fn document(endpoints: &[Endpoint]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<ProblemBody>();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(endpoint.method.as_str().to_ascii_lowercase(), operation(endpoint, &mut generator));
        }
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bothways",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Records of the catalogs, and what keeps them in step with other services. Send `Authorization: Bearer TOKEN`.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": {
                    "description": "A problem (RFC 9457)",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if let Some(schema_of) = endpoint.query {
        parameters.extend(query_parameters(&schema_of(generator).to_value()));
    }
    if endpoint.precondition {
        parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "required": false,
            "description": "Only if the record is still the one of this `ETag`",
            "schema": { "type": "string" },
        }));
    }
    let content = match endpoint.answer {
        Answer::Empty => None,
        Answer::Json(schema_of) => Some(json!({ "application/json": { "schema": schema_of(generator) } })),
        Answer::Other(media) => Some(json!({ media: { "schema": { "type": "string" } } })),
    };
    // People get a page; a program that asks for one may be told in its own way, before the page is reached.
    let failure = match endpoint.answer {
        Answer::Other("text/html") => json!({
            "description": "What is wrong, as a page or as a problem",
            "content": {
                "text/html": { "schema": { "type": "string" } },
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
            },
        }),
        _ => json!({ "$ref": "#/components/responses/Problem" }),
    };
    let mut answer = json!({ "description": "Done" });
    if let Some(content) = content {
        answer["content"] = content;
    }
    let mut described = json!({
        "summary": endpoint.summary,
        "operationId": operation_id(endpoint),
        "responses": {
            endpoint.status.to_string(): answer,
            "default": failure,
        },
    });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(schema_of) = endpoint.body {
        let schema = schema_of(generator);
        described["requestBody"] = json!({ "required": !endpoint.optional, "content": { "application/json": { "schema": schema } } });
    }
    if let Some(media) = endpoint.media {
        described["requestBody"] =
            json!({ "required": true, "content": { media: { "schema": { "type": "string" } } } });
    }
    let (tag, scope) = match endpoint.access {
        Access::Public => ("public", None),
        Access::Api(scope) => ("api", Some(scope)),
        Access::Page(scope) => ("page", Some(scope)),
    };
    described["tags"] = json!([tag]);
    if let Some(scope) = scope {
        described["security"] = json!([{ "token": [] }]);
        described["description"] = format!("Needs a token of scope `{}`.", scope.as_str()).into();
    }
    described
}

/// Each property of a query's type is a parameter.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| {
            let mut property = property.clone();
            let description = property.as_object_mut().and_then(|p| p.remove("description"));
            json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str()),
                "description": description,
                "schema": property,
            })
        })
        .collect()
}

/// `GET /api/catalogs/{catalog}` is `get_api_catalogs_catalog`.
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(endpoint.method.as_str().to_ascii_lowercase())
        .chain(words.map(str::to_owned))
        .collect::<Vec<_>>()
        .join("_")
}
