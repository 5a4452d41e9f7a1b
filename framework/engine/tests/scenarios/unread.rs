//! What the service holds cannot be read, a word that no table knows say, or is not shown. Nobody knows what is there, so nothing is
//! written over it, and a person is told (rule 17).

use crate::harness::service::ServiceWorld;
use crate::shop::{Scene, Shop, connector};
use bothways_engine::Records;
use bothways_model::Method;
use bothways_store::{HistoryFilter, HistoryOp, Operator, ParkReason};
use serde_json::json;
use std::time::Duration;

const CATALOG: &str = r#"
catalog: customers
table: customers
key: id
fields: { id: int, name: text?, email: text?, tier: text?, phone: text? }
"#;

const MAPPING: &str = r#"
mapping: shop-items
local: customers
remote: shop/items
identity: { match: [email] }
fields:
  email: $.email
  tier: { remote: $.tier, as: { values: { silver: silver, gold: gold } } }
  phone: $.phone
conflicts: { winner: local }
sync: { reconcile: 1h }
"#;

fn writes(shop: &Shop) -> usize {
    shop.asked.iter().filter(|method| **method == Method::Patch).count()
}

#[tokio::test(start_paused = true)]
async fn at_first_contact_it_is_not_taken_for_nothing() {
    let documents = [&connector("PATCH /items/{id}"), CATALOG, MAPPING].join("\n---\n");
    let mut shop = Shop::default();
    shop.items.push((1, json!({ "id": "i0", "email": "ann@example.com", "tier": "platinum" })));
    let world = ServiceWorld::stopped(&documents, &[], shop).await;
    world.insert(&[("id", "1"), ("email", "ann@example.com"), ("tier", "silver")]);
    world.start().await;
    world
        .until("the question", Duration::from_secs(60), async |w: &ServiceWorld<Shop>| {
            !w.parked().await.is_empty()
        })
        .await;
    world.wait(Duration::from_secs(60)).await;
    let parked = world.parked().await;
    let told = parked[0].parked.as_ref().unwrap();
    assert_eq!((parked.len(), told.reason), (1, ParkReason::Refused));
    assert!(told.message.contains("tier") && !told.message.contains("platinum"), "{}", told.message);
    assert_eq!((world.links().await.len(), world.there(|shop| writes(shop))), (1, 0));
    assert_eq!(world.there(|shop| shop.items[0].1["tier"].clone()), json!("platinum"));
}

#[tokio::test(start_paused = true)]
async fn a_field_that_was_empty_when_last_known_is_not_filled_over_it() {
    let scene = Scene::new("PATCH /items/{id}", CATALOG, MAPPING, &[("email", "ann@example.com")]).await;
    scene.shop().edit(("tier", "platinum"));
    scene.update(&[("tier", "silver"), ("phone", "2")]).await;
    assert_eq!((scene.item("tier"), scene.item("phone")), ("platinum".into(), "2".into()), "the rest flows");
    assert_eq!(scene.world.parked().await.len(), 1);
    assert_eq!(writes(&scene.shop()), 1);
    // A word that is known again: both sides changed, and history names what was overwritten.
    scene.shop().edit(("tier", "gold"));
    scene.update(&[("phone", "3")]).await;
    assert_eq!(scene.item("tier"), "silver", "winner: local");
    assert!(scene.world.parked().await.is_empty());
    let filter = HistoryFilter { op: Some(HistoryOp::Update), ..HistoryFilter::default() };
    let history = scene.world.store.history(&filter, None, 10).await.unwrap();
    let before = history.iter().find_map(|row| row.entry.fields.get("tier")?.before.clone());
    assert_eq!(before.map(|value| value.to_text()).as_deref(), Some("gold"));
}

/// What a service makes of our own write may be no word of ours either.
#[tokio::test(start_paused = true)]
async fn what_a_write_became_is_told_too() {
    let scene = Scene::new("PATCH /items/{id}", CATALOG, MAPPING, &[("email", "ann@example.com")]).await;
    scene.shop().alters = Some(("tier", "SILVER"));
    scene.update(&[("tier", "silver")]).await;
    let parked = scene.world.parked().await;
    assert!(parked[0].parked.as_ref().unwrap().message.contains("tier"), "{parked:#?}");
    assert_eq!(writes(&scene.shop()), 1);
}

/// An edit of a field that this one answer leaves out waits, and says so, until the field is shown again (rule 17).
#[tokio::test(start_paused = true)]
async fn an_edit_of_what_is_not_shown_is_held() {
    let row = [("email", "ann@example.com"), ("phone", "1")];
    let scene = Scene::new("PATCH /items/{id}", CATALOG, MAPPING, &row).await;
    let hidden = scene.shop().items[0].1.as_object_mut().unwrap().remove("phone").unwrap();
    scene.update(&[("phone", "2"), ("tier", "gold")]).await;
    assert_eq!((scene.item("tier"), scene.item("phone")), ("gold".into(), String::new()), "the rest flows");
    let parked = scene.world.parked().await;
    assert!(parked[0].parked.as_ref().unwrap().message.contains("phone"), "{parked:#?}");
    let records = Records::new(scene.world.engine.clone());
    let shown = records.links("customers", &scene.row).await.unwrap().remove(0);
    assert!(!shown.in_step, "{shown:#?}");
    scene.shop().items[0].1["phone"] = hidden;
    scene.update(&[("tier", "silver")]).await;
    assert_eq!((scene.item("tier"), scene.item("phone")), ("silver".into(), "2".into()));
    assert!(scene.world.parked().await.is_empty());
}
