//! A row that is archived because its record is gone, brought back by its user: seen and decided by the command line alone.

use crate::shop::{CATALOG, MAPPING, Shop};
use serde_json::{Value as Json, json};

const ARCHIVED: &str = "SELECT email FROM customers WHERE archived_at IS NOT NULL";
const ADA: &str = "SELECT CAST(id AS TEXT) FROM customers WHERE email = 'ada@example.com'";

/// Ada's row is live again, her record is gone, and her phone was edited since.
async fn brought_back() -> Shop {
    let shop = Shop::with_table().await;
    shop.sql("ALTER TABLE customers ADD COLUMN archived_at TEXT").await;
    shop.write("mappings/customers.yaml", &format!("{CATALOG}deleted_at: archived_at\n"));
    shop.write("mappings/stripe-customers.yaml", &format!("{MAPPING}deletes: {{ from_remote: archive }}\n"));
    let id = shop.customer("Ada", "ada@example.com");
    shop.customer("Grace", "grace@example.com");
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    shop.remove(&id);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.sql(ARCHIVED).await.as_deref(), Some("ada@example.com"));
    shop.sql("UPDATE customers SET archived_at = NULL").await;
    shop.sql("UPDATE customers SET phone = '777' WHERE email = 'ada@example.com'").await;
    shop
}

async fn waiting(shop: &Shop) -> Json {
    let items = shop.run(&["parked", "list", "--format", "json"]).await.ended(1).json();
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    items[0].clone()
}

#[tokio::test]
async fn a_row_brought_back_without_its_record_waits_and_its_record_is_created_again() {
    let shop = brought_back().await;
    let plan = shop.run(&["plan"]).await;
    assert!(plan.out.contains("the remote record is gone and the row goes on"), "{plan:?}");
    shop.run(&["sync"]).await.ended(1);
    shop.run(&["status"]).await.ended(1);
    let item = waiting(&shop).await;
    let ada = shop.sql(ADA).await;
    assert_eq!((&item["reason"], &item["local_id"]), (&json!("delete"), &json!(ada)), "{item}");
    let (id, digest) = (item["id"].as_str().expect("an id"), item["digest"].as_str().expect("a digest"));
    let shown = shop.run(&["parked", "show", id]).await.ended(0);
    assert!(shown.out.contains("its edits do not flow"), "{shown:?}");
    assert!(shown.out.contains("--delete carry|keep|recreate"), "{shown:?}");
    assert_eq!(shop.remote("ada@example.com", "id"), None, "nothing is created by itself");
    shop.run(&["parked", "resolve", id, "--digest", digest, "--delete", "recreate"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.remote("ada@example.com", "phone").as_deref(), Some("777"));
    assert_eq!(shop.sql(ARCHIVED).await, None);
    shop.run(&["status"]).await.ended(0);
    shop.run(&["parked", "list"]).await.ended(0);
}

#[tokio::test]
async fn a_row_brought_back_is_linked_to_another_record_by_a_person() {
    let shop = brought_back().await;
    shop.run(&["sync"]).await.ended(1);
    let other = shop.customer("Ada", "ada@example.com");
    let ada = shop.sql(ADA).await.expect("there");
    shop.write("links.csv", &format!("local,remote\n{ada},{other}\n"));
    shop.run(&["link", "--from", "links.csv"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.remote("ada@example.com", "phone").as_deref(), Some("777"), "the record had none");
    shop.run(&["status"]).await.ended(0);
}
