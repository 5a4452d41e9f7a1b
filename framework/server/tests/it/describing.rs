//! `/openapi.json` is complete and true: every route is in it, and everything in it is a route (S13).

use crate::world::World;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// What is promised to programs. The page's own routes are described too, but free to change.
const PROMISED: &[&str] = &[
    "DELETE /api/catalogs/{catalog}/{id}",
    "GET /api/audit",
    "GET /api/brakes",
    "GET /api/brakes/{id}",
    "POST /api/brakes/{id}/approve",
    "GET /api/catalogs",
    "GET /api/catalogs/{catalog}",
    "GET /api/catalogs/{catalog}/{id}",
    "GET /api/catalogs/{catalog}/{id}/links",
    "GET /api/events",
    "GET /api/explain/{catalog}/{id}",
    "GET /api/history",
    "GET /api/mappings",
    "GET /api/mappings/{name}/conflicts",
    "GET /api/mappings/{name}/plan",
    "GET /api/parked",
    "GET /api/parked/{id}",
    "GET /api/status",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "PATCH /api/catalogs/{catalog}/{id}",
    "POST /api/catalogs/{catalog}",
    "POST /api/links/{link}/unlink",
    "POST /api/mappings/{name}/apply",
    "POST /api/mappings/{name}/approve",
    "POST /api/mappings/{name}/conflicts/resolve",
    "POST /api/mappings/{name}/link",
    "POST /api/mappings/{name}/pause",
    "POST /api/mappings/{name}/resume",
    "POST /api/mappings/{name}/sync",
    "POST /api/parked/{id}/dismiss",
    "POST /api/parked/{id}/replay",
    "POST /api/parked/{id}/resolve",
    "POST /api/revert",
];

async fn document(world: &World) -> Json {
    world.call("GET", "/openapi.json").send().await.json()
}

fn operations(document: &Json) -> Vec<(String, String, Json)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

#[tokio::test]
async fn what_is_promised_is_described() {
    let world = World::new().await;
    let document = document(&world).await;
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .filter(|(_, _, operation)| operation["tags"] != json!(["page"]))
        .map(|(method, path, _)| format!("{method} {path}"))
        .filter(|line| !line.contains(" /log") && !line.contains("/assets/"))
        .collect();
    let promised: BTreeSet<String> = PROMISED.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(described, promised);
}

#[tokio::test]
async fn everything_described_is_served_and_no_other_method_is() {
    let world = World::new().await;
    let document = document(&world).await;
    let described = operations(&document);
    for (method, path, _) in &described {
        let real = path.replace("{catalog}", "things").replace(['{', '}'], "");
        let answer = world.request(method, &real).send().await;
        assert_ne!(answer.status, 405, "{method} {path}");
        if answer.status == 404 {
            assert!(!answer.text.contains("no such path"), "{method} {path}");
        }
    }
    for (_, path, _) in &described {
        let real = path.replace(['{', '}'], "");
        for method in ["GET", "POST", "PATCH", "DELETE", "PUT"] {
            let known = described.iter().any(|(m, p, _)| m == method && p == path);
            let status = world.request(method, &real).send().await.status;
            assert_eq!(status != 405, known, "{method} {path} answers {status}");
        }
    }
}

#[tokio::test]
async fn every_operation_is_described_in_full() {
    let world = World::new().await;
    let document = document(&world).await;
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{at}: its id is taken");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{at}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(parameters.iter().any(|p| p["name"] == name && p["in"] == "path"), "{at}: {name}");
        }
        for parameter in parameters.iter().filter(|p| p["in"] == "query") {
            assert!(parameter["description"].is_string(), "{at}: {parameter}");
        }
        assert!(operation["responses"]["default"].is_object(), "{at}");
        let open = operation["security"].is_null();
        let public = ["/healthz", "/readyz", "/login", "/logout", "/assets/{file}"].contains(&path.as_str());
        assert_eq!(open, public, "{at}: who may call it");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let world = World::new().await;
    let document = document(&world).await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Json, references: &mut Vec<String>) {
    match value {
        Json::Object(object) => {
            references.extend(object.get("$ref").and_then(Json::as_str).map(str::to_owned));
            object.values().for_each(|inner| collect(inner, references));
        }
        Json::Array(items) => items.iter().for_each(|inner| collect(inner, references)),
        _ => {}
    }
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let world = World::new().await;
    let id = world.thing("Ada", "a note").await;
    world.link(&id, "r1", &[("name", "a", "b")]).await;
    world.wrote(&id, "Ada", "edited").await;
    let document = document(&world).await;
    for path in ["/api/catalogs", "/api/status", "/api/mappings", "/api/parked", "/api/history", "/api/audit"]
    {
        let schema =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let body = world.call("GET", path).send().await.json();
        check(&document, schema, &body, path);
    }
}

/// Checks what our own schemas use: references, types, properties, required ones, items.
fn check(document: &Json, schema: &Json, value: &Json, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return check(document, target, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        if value.is_null() {
            return assert!(any.iter().any(|s| s["type"] == "null"), "{at}");
        }
        let other = any.iter().find(|s| s["type"] != "null").unwrap();
        return check(document, other, value, at);
    }
    let name = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    match &schema["type"] {
        Json::String(one) => assert_eq!(one, name, "{at}: {value}"),
        Json::Array(many) => assert!(many.iter().any(|t| t == name), "{at}: {value}"),
        _ => {}
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(required.as_str().unwrap()), "{at}: {required}");
        }
        for (key, inner) in object {
            let property = properties.get(key).unwrap_or_else(|| panic!("{at}: `{key}` is not described"));
            check(document, property, inner, &format!("{at}.{key}"));
        }
    }
    if let (Some(items), Some(array)) = (schema.get("items"), value.as_array()) {
        array.iter().for_each(|inner| check(document, items, inner, &format!("{at}[]")));
    }
}
