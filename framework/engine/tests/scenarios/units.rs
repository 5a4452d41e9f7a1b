//! Fields that are one thing together: an amount and its currency (rule 10).

use crate::shop::{Scene, Shop};
use bothways_model::{FieldType, Method, Record, Value};
use serde_json::{Value as Json, json};
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
  currency: text?
  amount: { decimal: 2, optional: true }
"#;

const MAPPING: &str = r#"
mapping: shop-items
local: customers
remote: shop/items
identity: { match: [email] }
fields:
  email: $.email
  currency: $.currency
  amount: { remote: $.amount, as: { minor: currency } }
"#;

fn money(text: &str) -> Value {
    Value::from_text(&FieldType::Decimal { scale: 2 }, text).unwrap()
}

/// A row of so much in euros, linked.
async fn scene(policies: &str, amount: &str) -> Scene {
    let mapping = format!("{MAPPING}{policies}");
    let row = [("email", "ann@example.com"), ("currency", "EUR")];
    let scene = Scene::new("PATCH /items/{id}", CATALOG, &mapping, &row).await;
    set(&scene, amount).await;
    scene.shop().asked.clear();
    scene
}

async fn set(scene: &Scene, amount: &str) {
    let fields = Record::from_iter([("amount", money(amount))]);
    let world = &scene.world;
    assert!(world.store.foreign().update("customers", &scene.row, fields, world.now()).unwrap());
    world.settle().await;
}

fn there(scene: &Scene) -> (Json, Json) {
    let shop = scene.shop();
    (shop.items[0].1["currency"].clone(), shop.items[0].1["amount"].clone())
}

async fn here(scene: &Scene) -> (String, Value) {
    let row = scene.world.row(&scene.row).await.unwrap();
    (scene.local("currency").await, row.fields.get("amount").cloned().unwrap_or(Value::Null))
}

fn writes(shop: &Shop) -> usize {
    shop.asked.iter().filter(|method| **method == Method::Patch).count()
}

#[tokio::test(start_paused = true)]
async fn an_amount_goes_with_its_currency() {
    let scene = scene("", "12.00").await;
    assert_eq!(there(&scene), (json!("EUR"), json!(1200)));
    scene.update(&[("currency", "JPY")]).await;
    assert_eq!(there(&scene), (json!("JPY"), json!(12)), "twelve yen are twelve");
    assert_eq!(here(&scene).await, ("JPY".into(), money("12.00")));
    assert_eq!(writes(&scene.shop()), 1, "both at once");
    assert!(scene.world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_currency_stays_while_the_amount_has_no_form_in_it() {
    let scene = scene("", "12.30").await;
    scene.update(&[("currency", "JPY")]).await;
    assert_eq!(there(&scene), (json!("EUR"), json!(1230)), "12.30 JPY is none");
    let parked = scene.world.parked().await;
    assert!(parked[0].parked.as_ref().unwrap().message.contains("amount"), "{parked:#?}");
    // Nobody asks again for what would end the same.
    scene.shop().asked.clear();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(scene.shop().asked.len() <= 1, "{:?}", scene.shop().asked);
    set(&scene, "12").await;
    assert_eq!(there(&scene), (json!("JPY"), json!(12)));
    assert_eq!(writes(&scene.shop()), 1);
    assert!(scene.world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_side_that_wins_the_currency_says_what_the_amount_is() {
    let scene = scene("conflicts: { winner: local }\n", "12").await;
    scene.shop().edit(("currency", "USD"));
    scene.update(&[("currency", "JPY")]).await;
    assert_eq!(there(&scene), (json!("JPY"), json!(12)));
    assert_eq!(here(&scene).await.0, "JPY");
    assert_eq!(writes(&scene.shop()), 1);
}
