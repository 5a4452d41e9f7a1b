//! Fields whose two sides have different shapes, both ways: two names and one, one element of a list, one value in two places, a set.

use crate::shop::Scene;
use bothways_model::{Method, Record, Value};
use serde_json::json;
use std::time::Duration;

const CATALOG: &str = r#"
catalog: customers
table: customers
key: id
fields:
  id: int
  name: text?
  email: text?
  phone: text?
  first: text?
  last: text?
  tags: { list: text, optional: true }
"#;

const MAPPING: &str = r#"
mapping: shop-items
local: customers
remote: shop/items
identity: { match: [email] }
fields:
  email: $.email
  full_name: { local: [first, last], remote: $.name, as: { words: last } }
  phone: "$.phones[?@.type == 'work'].number"
  sms: { local: phone, remote: $.sms, direction: out }
  tags: { remote: $.tags, normalize: [unique, sort] }
conflicts: { winner: remote }
"#;

const ROW: [(&str, &str); 4] =
    [("email", "ann@example.com"), ("first", "Ann"), ("last", "Lee"), ("phone", "1")];

async fn scene() -> Scene {
    Scene::new("PATCH /items/{id}", CATALOG, MAPPING, &ROW).await
}

/// A change that makes the engine look at the other side as well.
const TOUCH: [(&str, &str); 1] = [("email", "ann2@example.com")];

#[tokio::test(start_paused = true)]
async fn two_names_are_one_name_there_and_two_here() {
    let scene = scene().await;
    assert_eq!(scene.item("name"), "Ann Lee");
    scene.update(&[("last", "Miller")]).await;
    assert_eq!(scene.item("name"), "Ann Miller");
    scene.shop().edit(("name", "Eve Maria Smith"));
    scene.update(&TOUCH).await;
    assert_eq!((scene.local("first").await, scene.local("last").await), ("Eve Maria".into(), "Smith".into()));
    // Each side changes the other half: together they are one value, and the remote side wins it.
    scene.shop().edit(("name", "Eve Maria Jones"));
    scene.update(&[("first", "Bob")]).await;
    assert_eq!(scene.item("name"), "Eve Maria Jones");
    assert_eq!((scene.local("first").await, scene.local("last").await), ("Eve Maria".into(), "Jones".into()));
    assert!(scene.world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_that_would_come_back_as_others_park_and_the_rest_flows() {
    let scene = scene().await;
    scene.update(&[("last", "van Lee"), ("phone", "2")]).await;
    assert_eq!((scene.item("name"), scene.item("sms")), ("Ann Lee".into(), "2".into()));
    assert_eq!(scene.world.parked().await.len(), 1);
    scene.shop().asked.clear();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        scene.shop().asked.len() <= 1,
        "it was asked again for what is refused: {:?}",
        scene.shop().asked
    );
    scene.update(&[("last", "Vanlee")]).await;
    assert_eq!(scene.item("name"), "Ann Vanlee");
    assert!(scene.world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_phone_of_several_and_its_copy() {
    let scene = scene().await;
    let set = |phones: serde_json::Value| scene.shop().items[0].1["phones"] = phones;
    let phones = || scene.shop().items[0].1["phones"].clone();
    assert_eq!(phones(), json!([{"type": "work", "number": "1"}]));
    set(json!([{"type": "home", "number": "7"}, {"type": "work", "number": "1", "note": "mornings"}]));
    scene.update(&[("phone", "2")]).await;
    assert_eq!(
        phones(),
        json!([{"type": "home", "number": "7"}, {"type": "work", "number": "2", "note": "mornings"}])
    );
    assert_eq!(scene.item("sms"), "2");
    set(json!([{"type": "work", "number": "3"}]));
    scene.update(&TOUCH).await;
    assert_eq!(
        (scene.local("phone").await, scene.item("sms")),
        ("3".into(), "3".into()),
        "in, and out to its copy"
    );
    set(json!([]));
    scene.update(&[("email", "ann3@example.com")]).await;
    assert_eq!(scene.local("phone").await, "", "a list without it says that there is none");
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_set_is_no_change() {
    let scene = scene().await;
    let texts = |all: &[&str]| Value::List(all.iter().map(|text| Value::Text((*text).into())).collect());
    let tags = Record::from_iter([("tags", texts(&["b", "a", "b"]))]);
    let world = &scene.world;
    assert!(world.store.foreign().update("customers", &scene.row, tags, world.now()).unwrap());
    world.settle().await;
    assert_eq!(scene.shop().items[0].1["tags"], json!(["a", "b"]));
    scene.shop().items[0].1["tags"] = json!(["b", "a"]);
    scene.shop().asked.clear();
    scene.update(&TOUCH).await;
    let row = world.row(&scene.row).await.unwrap();
    assert_eq!(row.fields.get("tags"), Some(&texts(&["b", "a", "b"])));
    assert_eq!(scene.shop().items[0].1["tags"], json!(["b", "a"]));
    let writes = scene.shop().asked.iter().filter(|method| **method == Method::Patch).count();
    assert_eq!(writes, 1, "only the touch");
}
