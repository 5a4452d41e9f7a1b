//! The records API: what it takes, what it refuses, and how it says so.

use crate::world::World;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

async fn create(world: &World, body: Json) -> Json {
    let answer = world.call("POST", "/api/catalogs/things").json(&body).send().await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_new_record_says_where_it_is() {
    let world = World::new().await;
    let body = json!({ "name": "Ada", "price": "12.50", "size": "small", "more": { "a": [1] } });
    let answer = world.call("POST", "/api/catalogs/things").json(&body).send().await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("location"), "/api/catalogs/things/1");
    let expected = json!({ "id": 1, "name": "Ada", "note": null, "price": "12.50", "size": "small", "more": { "a": [1] } });
    assert_eq!(answer.json(), expected);
    let read = world.call("GET", answer.header("location")).send().await;
    assert_eq!((read.status, read.json()), (StatusCode::OK, expected));
}

#[tokio::test]
async fn a_patch_knows_absent_null_and_value() {
    let world = World::new().await;
    create(&world, json!({ "name": "Ada", "note": "first", "price": 3 })).await;
    let patch = async |body: Json| {
        let answer = world.call("PATCH", "/api/catalogs/things/1").json(&body).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let row = answer.json();
        (row["name"].clone(), row["note"].clone(), row["price"].clone())
    };
    assert_eq!(patch(json!({})).await, (json!("Ada"), json!("first"), json!("3")));
    assert_eq!(patch(json!({ "note": "second" })).await, (json!("Ada"), json!("second"), json!("3")));
    assert_eq!(patch(json!({ "note": null })).await, (json!("Ada"), Json::Null, json!("3")));
    assert_eq!(patch(json!({ "note": "", "price": 4.5 })).await, (json!("Ada"), json!(""), json!("4.5")));
    let merge =
        world.call("PATCH", "/api/catalogs/things/1").header("content-type", "application/merge-patch+json");
    let answer = merge.body(json!({ "name": "Bob" }).to_string()).send().await;
    assert_eq!((answer.status, answer.json()["name"].clone()), (StatusCode::OK, json!("Bob")));
}

#[tokio::test]
async fn a_patch_may_demand_that_the_record_is_still_the_one_that_was_read() {
    let world = World::new().await;
    create(&world, json!({ "name": "Ada" })).await;
    let read = async || {
        let answer = world.call("GET", "/api/catalogs/things/1").send().await;
        answer.header("etag").to_owned()
    };
    let patch = async |tag: &str, name: &str| {
        let call = world.call("PATCH", "/api/catalogs/things/1").header("if-match", tag);
        call.json(&json!({ "name": name })).send().await
    };
    let first = read().await;
    assert_eq!(first, read().await, "it names what the record holds");
    let done = patch(&first, "Bob").await;
    assert_eq!((done.status, done.header("etag")), (StatusCode::OK, &*read().await));
    let refused = patch(&first, "Eve").await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::PRECONDITION_FAILED, "moved".to_owned()));
    assert_eq!(patch(&format!("\"other\", {}", read().await), "Eve").await.status, StatusCode::OK);
    assert_eq!(patch("*", "Mia").await.status, StatusCode::OK);
    assert_eq!(patch(&format!("W/{}", read().await), "Zoe").await.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn what_a_catalog_does_not_allow_is_refused_with_the_reason() {
    let world = World::new().await;
    create(&world, json!({ "name": "Ada" })).await;
    let cases = [
        ("POST", "/api/catalogs/things", json!({}), 422, "missing: name"),
        ("POST", "/api/catalogs/things", json!({ "name": "x", "colour": "red" }), 422, "no field `colour`"),
        ("POST", "/api/catalogs/things", json!({ "name": "x", "size": "huge" }), 422, "`size`"),
        ("PATCH", "/api/catalogs/things/1", json!({ "name": null }), 422, "`name` must not be null"),
        ("PATCH", "/api/catalogs/things/9", json!({ "name": "x" }), 404, "record `9`"),
        ("POST", "/api/catalogs/nothing", json!({ "name": "x" }), 404, "catalog `nothing`"),
        ("POST", "/api/catalogs/things", json!(["name"]), 400, "not what is expected"),
    ];
    for (method, path, body, status, words) in cases {
        let answer = world.call(method, path).json(&body).send().await;
        answer.problem();
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{detail}");
    }
    assert_eq!(world.records.count("things").await.unwrap(), 1);
}

#[tokio::test]
async fn only_json_is_taken() {
    let world = World::new().await;
    let body = json!({ "name": "Ada" }).to_string();
    let send = |content: &str| {
        world.call("POST", "/api/catalogs/things").header("content-type", content).body(body.clone()).send()
    };
    for content in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ] {
        assert_eq!(send(content).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content}");
    }
    let untyped = world.call("POST", "/api/catalogs/things").body(body.clone()).send().await;
    assert_eq!(untyped.problem(), "not_json");
    assert_eq!(send("application/json; charset=utf-8").await.status, StatusCode::CREATED);
    let typed =
        world.call("DELETE", "/api/catalogs/things/1").header("content-type", "text/plain").send().await;
    assert_eq!(typed.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn bodies_have_a_limit_and_no_compression() {
    let world = World::new().await;
    let large = json!({ "name": "x".repeat(1024 * 1024) });
    let answer = world.call("POST", "/api/catalogs/things").json(&large).send().await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large".to_owned()));
    let zipped = world.call("POST", "/api/catalogs/things").header("content-encoding", "gzip");
    assert_eq!(zipped.json(&json!({ "name": "x" })).send().await.problem(), "compressed");
}

#[tokio::test]
async fn a_deleted_record_is_gone() {
    let world = World::new().await;
    create(&world, json!({ "name": "Ada" })).await;
    let delete = || world.call("DELETE", "/api/catalogs/things/1").send();
    assert_eq!(delete().await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete().await.problem(), "not_found");
    assert_eq!(world.call("GET", "/api/catalogs/things/1").send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lists_are_paged_and_searched() {
    let world = World::new().await;
    for number in 1..=7 {
        world.thing(&format!("Person {number}"), if number % 2 == 0 { "Even" } else { "Odd" }).await;
    }
    let names = |page: &Json| -> Vec<String> {
        page["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["name"].as_str().unwrap()[7..].to_owned())
            .collect()
    };
    let mut seen = Vec::new();
    let mut path = "/api/catalogs/things?limit=3".to_owned();
    loop {
        let page = world.call("GET", &path).send().await.json();
        seen.push(names(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/catalogs/things?limit=3&after={next}");
    }
    assert_eq!(seen.concat(), ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(seen[0].len(), 3);
    let found = world.call("GET", "/api/catalogs/things?q=eVEN").send().await.json();
    assert_eq!(names(&found), ["2", "4", "6"]);
    let bad = world.call("GET", "/api/catalogs/things?limit=many").send().await;
    assert_eq!((bad.status, bad.problem()), (StatusCode::BAD_REQUEST, "malformed".to_owned()));
}

#[tokio::test]
async fn catalogs_describe_their_fields() {
    let world = World::new().await;
    world.thing("Ada", "").await;
    let body = world.call("GET", "/api/catalogs").send().await.json();
    let catalog = &body["catalogs"][0];
    assert_eq!(
        (&catalog["name"], &catalog["key"], &catalog["count"]),
        (&json!("things"), &json!(["id"]), &json!(1))
    );
    let fields = catalog["fields"].as_array().unwrap();
    assert_eq!(
        fields[4],
        json!({ "name": "size", "type": "enum", "words": ["small", "large"], "optional": true })
    );
    assert_eq!(fields[3]["type"], "decimal(2)");
}

#[tokio::test]
async fn links_of_a_record_that_lives_nowhere_else_are_none_and_of_nobody_an_error() {
    let world = World::new().await;
    let id = world.thing("Ada", "").await;
    let links = world.call("GET", &format!("/api/catalogs/things/{id}/links")).send().await;
    assert_eq!(links.json(), json!({ "links": [] }));
    assert_eq!(world.call("GET", "/api/catalogs/things/99/links").send().await.problem(), "not_found");
}
