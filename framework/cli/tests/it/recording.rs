//! `record` and what `test` makes of it: no secret is kept, and a change of the documents or of the service's answers shows.

use crate::shop::{MAPPING, Shop};
use serde_json::{Value as Json, json};

const FILE: &str = "mappings/recorded/stripe-customers.json";

async fn recorded(args: &[&str]) -> (Shop, Json) {
    let shop = Shop::new().await;
    for n in 0..7 {
        shop.customer(&format!("Ada {n} Lovelace"), &format!("ada{n}@example.com"));
    }
    let all: Vec<&str> = ["record"].into_iter().chain(args.iter().copied()).collect();
    shop.run(&all).await.ended(0);
    let text = std::fs::read_to_string(shop.path(FILE)).expect("recorded");
    assert!(!text.contains("sk_test_shop"), "the key is in the recording");
    let file = serde_json::from_str(&text).expect("JSON");
    (shop, file)
}

fn change(shop: &Shop, change: impl FnOnce(&mut Json)) {
    let text = std::fs::read_to_string(shop.path(FILE)).expect("recorded");
    let mut file: Json = serde_json::from_str(&text).expect("JSON");
    change(&mut file);
    shop.write(FILE, &file.to_string());
}

#[tokio::test]
async fn reads_are_recorded_and_played_offline() {
    let (mut shop, file) = recorded(&["--records", "3"]).await;
    let operations: Vec<&String> = file["exchanges"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|e| e["operation"].as_object()?.keys().next())
        .collect();
    assert_eq!(operations, ["list", "get", "find"]);
    assert_eq!(file["exchanges"][0]["records"].as_array().map(Vec::len), Some(3));
    // Offline: there is no service, and no credentials.
    shop.set("STRIPE_API_KEY", None);
    shop.set("STRIPE_BASE_URL", Some("http://127.0.0.1:9"));
    let played = shop.run(&["test", "--seed", "42", "--values", "50"]).await.ended(0);
    assert!(
        played.out.contains("(50 values each)") && played.out.contains("3 recorded exchanges"),
        "{played:?}"
    );
}

#[tokio::test]
async fn a_change_of_the_documents_or_of_the_answers_shows() {
    let (shop, _) = recorded(&[]).await;
    shop.write("mappings/stripe-customers.yaml", &MAPPING.replace("name: $.name", "name: $.full_name"));
    let moved = shop.run(&["test"]).await.ended(1);
    assert!(
        moved.out.contains("recorded list: `name` of cus_") && moved.out.contains("is absent now"),
        "{moved:?}"
    );
    shop.write("mappings/stripe-customers.yaml", MAPPING);
    shop.run(&["test"]).await.ended(0);

    change(&shop, |file| {
        let customer = &mut file["exchanges"][1]["calls"][0]["answer"]["body"];
        customer["email"] = json!(7);
    });
    let typed = shop.run(&["test", "--format", "json"]).await.ended(1).json();
    let broken = typed[0]["broken_exchanges"].to_string();
    assert!(broken.contains("`email`") && broken.contains("cannot be read any longer (type)"), "{broken}");

    change(&shop, |file| {
        file["exchanges"][2]["calls"][0]["request"]["url"] = json!("http://127.0.0.1:9/v1/other")
    });
    let asked = shop.run(&["test"]).await.ended(1);
    assert!(asked.out.contains("recorded find $.email: sends GET http://"), "{asked:?}");
    shop.write(FILE, "{}");
    let none = shop.run(&["test"]).await.ended(1);
    assert!(none.out.contains("is no recording"), "{none:?}");
}

#[tokio::test]
async fn texts_of_people_are_replaced_alike() {
    let (shop, file) = recorded(&["stripe", "--anonymise"]).await;
    let text = file.to_string();
    assert!(!text.contains("Lovelace") && !text.contains("ada1@"), "{text}");
    let mail = file["exchanges"][1]["records"][0]["fields"]["email"].as_str().expect("text");
    assert!(mail.ends_with(".example"), "{mail}");
    let looked_up = file["exchanges"][2]["operation"]["find"]["value"].as_str().expect("text");
    assert_eq!(looked_up, mail);
    assert!(shop.run(&["test"]).await.ended(0).out.contains("3 recorded exchanges"));
    shop.run(&["record", "nobody"]).await.ended(1);
}

/// The documents that are shipped keep what their cases, laws and recordings say.
#[tokio::test]
async fn what_is_shipped_holds() {
    let shop = Shop::new().await;
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../mappings");
    let ran = shop.run(&["test", "--mappings", shipped]).await.ended(0);
    let customers =
        ran.out.lines().find(|line| line.starts_with("stripe-customers:")).expect("it is shipped");
    assert!(customers.contains("5 of 5 cases") && customers.contains("3 recorded exchanges"), "{ran:?}");
}
