//! Brakes on a real database, by the command line alone: seen, approved as the set they are, and stopping `sync`.

use crate::shop::{MAPPING, Shop};
use serde_json::json;

/// A shop in step, whose deletes travel.
async fn in_step(count: usize) -> Shop {
    let shop = Shop::with_table().await;
    let deletes = "deletes: { from_local: delete, confirm: irreversible }\n";
    shop.write("mappings/stripe-customers.yaml", &format!("{MAPPING}{deletes}"));
    for n in 0..count {
        shop.customer(&format!("Person {n}"), &format!("p{n}@example.com"));
    }
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    shop
}

fn left(shop: &Shop, count: usize) -> usize {
    (0..count).filter(|n| shop.remote(&format!("p{n}@example.com"), "id").is_some()).count()
}

#[tokio::test]
async fn p12_a_mass_delete_is_seen_and_approved_as_the_set_it_is() {
    let shop = in_step(30).await;
    shop.run(&["brakes"]).await.ended(0);
    shop.sql("DELETE FROM customers WHERE id <= 15").await;
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(left(&shop, 30), 30, "none is sent");
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    assert_eq!(
        (&status["brakes"][0]["kind"], &status["brakes"][0]["withheld"]),
        (&json!("deletes"), &json!(15))
    );
    let text = shop.run(&["status"]).await.ended(1);
    assert!(text.err.contains("the brake on deletes withholds 15"), "{text:?}");
    let id = status["brakes"][0]["id"].as_str().expect("its name").to_owned();
    let shown = shop.run(&["brakes", &id, "--format", "json"]).await.ended(1).json();
    let set = shown["brake"]["set"].as_str().expect("the set").to_owned();
    assert_eq!(shown["records"].as_array().map(Vec::len), Some(15));
    let text = shop.run(&["brakes", &id]).await.ended(1);
    assert!(text.err.contains(&format!("bothways approve {id} --set {set} --expires 1h")), "{text:?}");
    // Another set by then, an odd time, another brake: nothing is approved.
    shop.sql("DELETE FROM customers WHERE id = 16").await;
    shop.run(&["sync"]).await.ended(1);
    let stale = shop.run(&["approve", &id, "--set", &set]).await;
    assert!(stale.code == 1 && stale.err.contains("another set"), "{stale:?}");
    let unseen = shop.run(&["approve", &id]).await.ended(2);
    assert!(unseen.err.contains("name what you have seen"), "{unseen:?}");
    shop.run(&["approve", "brake-99", "--set", &set]).await.ended(1);
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(left(&shop, 30), 30);

    let shown = shop.run(&["brakes", &id, "--format", "json"]).await.ended(1).json();
    let set = shown["brake"]["set"].as_str().expect("the set").to_owned();
    shop.run(&["approve", &id, "--set", &set, "--expires", "40h"]).await.ended(1);
    shop.run(&["approve", &id, "--set", &set, "--expires", "1h", "--why", "they left"]).await.ended(0);
    let synced = shop.run(&["sync"]).await.ended(0);
    assert!(!synced.err.contains("is on"), "what is approved is nobody's worry: {synced:?}");
    assert_eq!(left(&shop, 30), 14, "exactly these");
    shop.run(&["brakes"]).await.ended(0);
    shop.run(&["status"]).await.ended(0);
    let told = shop.run(&["history", "--op", "delete", "--format", "json"]).await.ended(0).json();
    let by: Vec<_> =
        told.as_array().expect("a list").iter().map(|row| &row["entry"]["approved_by"]).collect();
    assert_eq!(by, vec![&json!("tester"); 16]);
    let text = shop.run(&["history", "--op", "delete"]).await.ended(0);
    assert!(text.out.contains("deleted locally; approved by tester"), "{text:?}");
}

#[tokio::test]
async fn p11_an_empty_side_stops_sync_with_its_code() {
    let shop = in_step(5).await;
    shop.sql("DROP TRIGGER bothways_on_customers__delete").await;
    shop.sql("DELETE FROM customers").await;
    let stopped = shop.run(&["sync"]).await.ended(1);
    assert!(stopped.err.contains("lists nothing although 5 links exist"), "{stopped:?}");
    assert_eq!(left(&shop, 5), 5);
    let brakes = shop.run(&["brakes", "--format", "json"]).await.ended(1).json();
    assert_eq!((&brakes[0]["kind"], &brakes[0]["part"]), (&json!("empty"), &json!("local")));
}
