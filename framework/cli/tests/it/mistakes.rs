//! Mistakes that everybody makes with a service once: what is said names the mapping, the connection, where it is, and what to look at.

use crate::service::{Answer, Asked, Nobody, serve};
use crate::shop::Shop;
use serde_json::json;

#[tokio::test]
async fn a_service_that_is_not_there_is_named_soon() {
    let mut shop = Shop::with_table().await;
    let nobody = Nobody::listens();
    let gone = nobody.url();
    shop.set("STRIPE_BASE_URL", Some(&gone));
    let ran = shop.run(&["plan"]).await.ended(2);
    let said =
        format!("stripe-customers: connection `stripe` at {gone} (see STRIPE_BASE_URL): could not connect");
    assert!(ran.err.contains(&said), "{ran:?}");
}

/// A desk whose mapping is of a service in one function.
async fn desk() -> Shop {
    let shop = Shop::with_table().await;
    std::fs::remove_file(shop.path("mappings/stripe-customers.yaml")).expect("removed");
    let connector = "connector: crm
vars: { base_url: { default: \"http://127.0.0.1:1\" }, token: { secret: true } }
http: { base_url: \"${base_url}\", auth: { bearer: \"${token}\" }, errors: { message: $.message } }
lists: { items: $.records }
resources: { people: { id: $.id, list: GET /people, get: \"GET /people/{id}\" } }
";
    let mapping = "mapping: crm-people
local: customers
remote: crm/people
fields: { email: { remote: $.email, direction: in }, name: { remote: $.name, direction: in } }
creates: { from_local: ignore }
";
    shop.write("mappings/crm.yaml", connector);
    shop.write("mappings/crm-people.yaml", mapping);
    shop
}

/// Knows one token and one path.
fn people(asked: &Asked) -> Answer {
    let answer = match asked.header("authorization") {
        Some("Bearer right") if asked.target().starts_with("/people") => (200, json!({ "records": [] })),
        Some("Bearer right") => (404, json!({ "message": "no such path" })),
        _ => (401, json!({ "message": "who are you?" })),
    };
    (answer.0, Vec::new(), answer.1)
}

#[tokio::test]
async fn a_refused_secret_is_named_and_so_is_what_goes_on_afterwards() {
    let mut shop = desk().await;
    let (url, serving) = serve(people).await;
    shop.set("CRM_BASE_URL", Some(&url));
    shop.set("CRM_TOKEN", Some("wrong"));
    shop.run(&["migrate"]).await.ended(0);
    let said = format!(
        "crm-people: connection `crm` at {url} (see CRM_TOKEN): the service answered: auth 401: who are you?\n"
    );
    let planned = shop.run(&["plan"]).await.ended(2);
    assert!(planned.err.ends_with(&said), "{planned:?}");
    shop.run(&["approve"]).await.ended(0);
    let synced = shop.run(&["sync"]).await.ended(2);
    assert!(synced.err.ends_with(&said), "{synced:?}");
    assert!(
        synced.err.contains("paused: `bothways status` says why; `bothways resume connection crm`"),
        "{synced:?}"
    );
    shop.set("CRM_TOKEN", Some("right"));
    for verb in ["status", "sync"] {
        let ran = shop.run(&[verb]).await;
        assert!(ran.err.contains("`bothways resume connection crm` goes on"), "{verb}: {ran:?}");
    }
    shop.run(&["resume", "connection", "crm"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    serving.abort();
}

#[tokio::test]
async fn a_wrong_address_or_list_leads_to_what_is_to_be_mended() {
    let mut shop = desk().await;
    shop.set("CRM_TOKEN", Some("right"));
    let alone = shop.run(&["plan"]).await.ended(2);
    assert!(
        alone.err.contains("connection `crm`: a document alone does not lead to this machine"),
        "{alone:?}"
    );
    let (url, serving) = serve(people).await;
    shop.set("CRM_BASE_URL", Some(&format!("{url}/v2")));
    let place =
        format!("crm-people: connection `crm` at {url} (see mappings/crm.yaml): the service answered: ");
    let missing = shop.run(&["plan"]).await.ended(2);
    assert!(missing.err.contains(&format!("{place}missing 404: no such path")), "{missing:?}");
    shop.set("CRM_BASE_URL", Some(&url));
    let connector = std::fs::read_to_string(shop.path("mappings/crm.yaml")).expect("there");
    shop.write("mappings/crm.yaml", &connector.replace("$.records", "$.people"));
    let elsewhere = shop.run(&["plan"]).await.ended(2);
    let said = format!("{place}malformed: the answer has no list at $.people");
    assert!(elsewhere.err.contains(&said), "{elsewhere:?}");
    serving.abort();
}
