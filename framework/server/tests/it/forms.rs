//! A record's form, as a browser without script sends it: nothing that a person typed is lost, and nothing of anybody else.

use crate::world::{Answer, Browser, World};
use axum::http::StatusCode;
use serde_json::json;

/// The inputs of the form on a page, as a browser would send them again: name and value.
fn inputs(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(rest.split('"').next().unwrap().replace("&#34;", "\"").replace("&#38;", "&"))
    };
    let tags = page.split('<').filter_map(|tag| tag.strip_prefix("input"));
    let named =
        tags.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
    named.filter(|(name, _)| name.starts_with("was.") || name.starts_with("field.")).collect()
}

fn value<'a>(inputs: &'a [(String, String)], name: &str) -> &'a str {
    inputs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap()
}

/// Types over some inputs of a form and sends it.
async fn send(browser: &Browser<'_>, form: &[(String, String)], typed: &[(&str, &str)]) -> Answer {
    let over = |(name, value): &(String, String)| {
        let typed = typed.iter().find(|(field, _)| *field == name);
        (name.clone(), typed.map_or_else(|| value.clone(), |(_, text)| (*text).to_owned()))
    };
    let all: Vec<(String, String)> = form.iter().map(over).collect();
    let fields: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.submit("/records/things/1", &fields).await
}

#[tokio::test]
async fn what_was_typed_beside_a_mistake_is_saved_once_the_mistake_is_mended() {
    let world = World::new().await;
    world.thing("Ada", "first").await;
    let browser = world.browser().await;
    let form = inputs(&browser.page("/records/things/1").await);
    let refused = send(&browser, &form, &[("field.name", "Ada Lovelace"), ("field.price", "cheap")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = inputs(&refused.text);
    assert_eq!(value(&form, "field.name"), "Ada Lovelace");
    let saved = send(&browser, &form, &[("field.price", "3.50")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let row = world.call("GET", "/api/catalogs/things/1").send().await.json();
    assert_eq!((&row["name"], &row["price"]), (&json!("Ada Lovelace"), &json!("3.50")));
}

#[tokio::test]
async fn what_somebody_else_changed_meanwhile_is_not_written_over_unseen() {
    let world = World::new().await;
    world.thing("Ada", "first").await;
    let browser = world.browser().await;
    let form = inputs(&browser.page("/records/things/1").await);
    let meanwhile = json!({ "name": "Bob", "price": "2" });
    world.records.update("things", &"1".into(), meanwhile.as_object().unwrap()).await.unwrap();
    let typed = [("field.name", "Ada Lovelace"), ("field.note", "second"), ("field.price", "2")];
    let refused = send(&browser, &form, &typed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("name is now “Bob”"), "{}", refused.text);
    let row = world.call("GET", "/api/catalogs/things/1").send().await.json();
    assert_eq!((&row["name"], &row["note"]), (&json!("Bob"), &json!("first")), "nothing was written");
    let form = inputs(&refused.text);
    assert_eq!((value(&form, "was.name"), value(&form, "field.name")), ("Bob", "Ada Lovelace"));
    assert_eq!(value(&form, "field.note"), "second");
    // Who was told and saves again means it.
    let saved = send(&browser, &form, &[]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let row = world.call("GET", "/api/catalogs/things/1").send().await.json();
    assert_eq!(
        (&row["name"], &row["note"], &row["price"]),
        (&json!("Ada Lovelace"), &json!("second"), &json!("2"))
    );
}

#[tokio::test]
async fn what_was_left_alone_beside_a_mistake_stays_as_somebody_else_made_it() {
    let world = World::new().await;
    world.thing("Ada", "first").await;
    let browser = world.browser().await;
    let mut form = inputs(&browser.page("/records/things/1").await);
    form.push(("field.more".into(), "{".into()));
    let meanwhile = json!({ "name": "Bob", "note": "theirs" });
    world.records.update("things", &"1".into(), meanwhile.as_object().unwrap()).await.unwrap();
    let refused = send(&browser, &form, &[("field.name", "Ada Lovelace")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let refused = send(&browser, &inputs(&refused.text), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "the mistake did not hide that the name had moved");
    let saved = send(&browser, &inputs(&refused.text), &[]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let row = world.call("GET", "/api/catalogs/things/1").send().await.json();
    assert_eq!((&row["name"], &row["note"]), (&json!("Ada Lovelace"), &json!("theirs")));
}
