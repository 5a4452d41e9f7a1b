//! `record` and what `test` makes of it: no secret is kept, and a change of the documents or of the service's answers shows.

use crate::service::{Answer, Asked, serve};
use crate::shop::{DESK_MAPPING, MAPPING, Shop};
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

const DESK: &str = r#"connector: desk
vars:
  url: {}
  user: {}
  password: { secret: true }
  webhook_secret: { secret: true, list: true }
http:
  base_url: ${url}
  auth:
    login: { call: POST /session, json: { user: "${user}", password: "${password}" }, token: $.given, header: { name: X-Session, value: 'Token token="{token}"' } }
lists: { items: $.items, pages: link_header }
events: { id: $.id, type: $.type, object: $.data, webhook: { verify: { hmac: { secret: "${webhook_secret}", header: X-Sign } } } }
resources:
  people: { id: $.id, list: GET /people, get: "GET /people/{id}", update: "PATCH /people/{id}", events: { changed: upsert } }
"#;

/// Tells everything twice: the session's token, and in headers and addresses what stands in the records.
fn desk(asked: &Asked) -> Answer {
    if asked.target() == "/session" {
        return (200, Vec::new(), json!({ "given": "session-7-of-ada" }));
    }
    if asked.header("x-session") != Some(r#"Token token="session-7-of-ada""#) {
        return (401, Vec::new(), json!({}));
    }
    let host = asked.header("host").unwrap_or_default();
    let ada = json!({ "id": "p-1", "email": "ada@example.com", "name": "Ada Lovelace", "seen": "2026-11-22 with Ada: 12:00",
        "me": format!("http://{host}/people/p-1?of=Ada+Lovelace&Key=AbC"), "photo": "https://ada-lovelace.example.org/Ada.jpg",
        "session": "session-7-of-ada" });
    match asked.target() {
        "/people" => {
            let next = format!("<http://{host}/people?after=ada%40example.com&Cursor=AbC>; rel=\"next\"");
            (200, vec![("link", next)], json!({ "items": [ada] }))
        }
        "/people/p-1" => (200, Vec::new(), ada),
        _ => (200, Vec::new(), json!({ "items": [] })),
    }
}

/// Without the variables of one connection the others are recorded all the same, unless that one was asked for.
#[tokio::test]
async fn nothing_of_a_person_or_a_session_is_left_in_a_private_file() {
    let (url, serving) = serve(desk).await;
    let mut shop = Shop::new().await;
    shop.write("mappings/desk.yaml", DESK);
    shop.write("mappings/desk-people.yaml", DESK_MAPPING);
    for (name, value) in [
        ("STRIPE_API_KEY", None),
        ("DESK_URL", Some(url.as_str())),
        ("DESK_USER", Some("bothways")),
        ("DESK_PASSWORD", Some("pass-word-9")),
        ("DESK_WEBHOOK_SECRET", Some("whsec-11-whsec-11-whsec-11")),
    ] {
        shop.set(name, value);
    }
    let named = shop.run(&["record", "stripe-customers"]).await;
    assert!(named.code != 0 && named.err.contains("STRIPE_API_KEY"), "{named:?}");
    let ran = shop.run(&["record", "--anonymise"]).await.ended(0);
    assert!(ran.err.contains("connection `stripe` is left out"), "{ran:?}");
    let file = shop.path("mappings/recorded/desk-people.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).expect("recorded").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others can read it");
    }
    let text = std::fs::read_to_string(&file).expect("recorded");
    let low = text.to_lowercase();
    for gone in ["ada", "lovelace", "session-7", "pass-word-9", "whsec-11"] {
        assert!(!low.contains(gone), "{gone}: {text}");
    }
    for kept in [&format!("{url}/people/p-1?of="), "&Key=AbC", "&Cursor=AbC", "2 exchanges"] {
        assert!(text.contains(kept) || ran.out.contains(kept), "{kept}: {text}");
    }
    let played = shop.run(&["test", "desk-people", "--values", "20"]).await.ended(0);
    assert!(played.out.contains("2 recorded exchanges"), "{played:?}");
    shop.set("DESK_URL", None);
    let nothing = shop.run(&["record"]).await;
    assert!(nothing.code != 0 && nothing.err.contains("DESK_URL"), "{nothing:?}");
    serving.abort();
}

const TILL: &str = r#"connector: till
vars: { url: {}, client_id: {}, client_secret: { secret: true }, key: { secret: true }, user: {}, account: {} }
http:
  base_url: ${url}/${account}
  auth: { oauth2: { token_url: "${url}/token", client_id: "${client_id}", client_secret: "${client_secret}", jwt: { key: "${key}", subject: "${user}" } } }
lists: { items: $.items }
resources:
  people: { id: $.id, list: GET /people, get: "GET /people/{id}", update: "PATCH /people/{id}" }
"#;

/// What proves who is calling, and what only webhooks need, is no part of what was recorded, also where it is no secret.
#[tokio::test]
async fn who_the_service_was_asked_for_is_not_kept() {
    let (url, serving) = serve(|asked| match asked.target() {
        "/token" => (200, Vec::new(), json!({ "access_token": "access-1" })),
        "/a-1/people" => (200, Vec::new(), json!({ "items": [{ "id": "p-1", "email": "b@example.com" }] })),
        _ => (200, Vec::new(), json!({ "id": "p-1", "email": "b@example.com" })),
    })
    .await;
    let mut shop = Shop::new().await;
    shop.write("mappings/till.yaml", TILL);
    shop.write("mappings/till-people.yaml", &DESK_MAPPING.replace("desk", "till"));
    for (name, value) in [
        ("TILL_URL", url.as_str()),
        ("TILL_CLIENT_ID", "bothways"),
        ("TILL_CLIENT_SECRET", "secret-9"),
        ("TILL_USER", "grace@example.org"),
        ("TILL_ACCOUNT", "a-1"),
    ] {
        shop.set(name, Some(value));
    }
    shop.run(&["record", "till"]).await.ended(0);
    let file = std::fs::read_to_string(shop.path("mappings/recorded/till-people.json")).expect("recorded");
    assert!(file.contains("/a-1/people") && !file.contains("grace@"), "{file}");
    assert!(!file.contains("access-1") && !file.contains("secret-9"), "{file}");
    assert!(
        shop.run(&["test", "till-people", "--values", "20"]).await.ended(0).out.contains("recorded exchange")
    );
    serving.abort();
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
