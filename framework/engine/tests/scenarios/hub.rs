//! Hub and spoke: one catalog on two services at once. A change in either reaches the other through the catalog, and comes back as nothing.

use crate::harness::hub::{Hub, Plan};
use bothways_connector_sandbox::salesforce;
use bothways_engine::Settings;
use bothways_model::{LocalId, RemoteId};
use serde_json::{Value as Json, json};

fn customers() -> Plan {
    let stripe = r#"
mapping: stripe-customers
local: customers
remote: stripe/customers
identity: { match: [email], stamp: $.metadata.bothways }
fields:
  email: { remote: $.email, normalize: [trim, lower], required: true }
  name: { remote: $.name, required: true }
  phone: $.phone
sync: { feed: 10s, reconcile: never }
"#;
    let salesforce = r#"
mapping: salesforce-contacts
local: customers
remote: { resource: salesforce/sobject, with: { object: Contact } }
identity: { match: [email], stamp: $.Bothways_Id__c }
fields:
  email: { remote: $.Email, normalize: [trim, lower], required: true }
  name: { remote: $.LastName, required: true }
  phone: $.Phone
sync: { poll: 10s, reconcile: never }
"#;
    Plan {
        catalog:
            "catalog: customers\ntable: customers\nkey: id\nfields: { id: int, name: text, email: text, phone: text? }"
                .into(),
        mappings: vec![stripe.into(), salesforce.into()],
        org: salesforce::Config::default(),
        vars: Vec::new(),
        settings: Settings::default(),
    }
}

/// One customer, linked on both sides.
async fn linked(hub: &Hub) -> (LocalId, RemoteId, RemoteId) {
    let row = hub.insert(&[("name", "Ann"), ("email", "ann@example.com"), ("phone", "1")]);
    hub.settle().await;
    let (customer, contact) = (hub.remote_id("stripe", &row).await, hub.remote_id("salesforce", &row).await);
    (row, customer, contact)
}

fn customer(hub: &Hub, id: &RemoteId) -> Json {
    hub.stripe().customer(id.as_str()).expect("the customer is there")
}

/// Effective writes at Stripe and at Salesforce.
fn writes(hub: &Hub) -> (u64, u64) {
    (hub.stripe().counts().effective_writes, hub.org().counts().effective_writes)
}

#[tokio::test(start_paused = true)]
async fn a_change_in_one_service_reaches_the_other_and_does_not_come_back() {
    let hub = Hub::new(customers());
    let _process = hub.run().await;
    let (row, customer_id, contact) = linked(&hub).await;
    assert_eq!(writes(&hub), (1, 1));

    let now = hub.clock.truth();
    hub.stripe().dashboard_update(customer_id.as_str(), &json!({ "phone": "2" }), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("2"));
    assert_eq!(hub.sobject(&contact)["Phone"], "2");
    assert_eq!(writes(&hub), (1, 2), "one write at the other service, none at the first");

    let now = hub.clock.truth();
    hub.org().dashboard_update(contact.as_str(), &json!({ "Phone": "3", "LastName": "Lee" }), now).unwrap();
    hub.settle().await;
    assert_eq!(customer(&hub, &customer_id)["phone"], "3");
    assert_eq!(customer(&hub, &customer_id)["name"], "Lee");
    assert_eq!(writes(&hub), (2, 2));
    hub.settle().await;
    assert_eq!(writes(&hub), (2, 2), "nothing more, however long one waits");
    assert_eq!((hub.parked().await.len(), hub.row_count().await), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_made_in_one_service_is_made_in_the_other() {
    let hub = Hub::new(customers());
    let _process = hub.run().await;
    let now = hub.clock.truth();
    hub.stripe().dashboard_create(&json!({ "email": "bob@example.com", "name": "Bob" }), now).unwrap();
    let contact = json!({ "Email": "eve@example.com", "LastName": "Eve" });
    hub.org().dashboard_create("Contact", &contact, now).unwrap();
    hub.settle().await;
    assert_eq!(hub.row_count().await, 2);
    let emails = |all: Vec<Json>, field: &str| {
        let mut emails: Vec<String> =
            all.iter().filter_map(|one| one[field].as_str().map(str::to_owned)).collect();
        emails.sort();
        emails
    };
    let both = ["bob@example.com", "eve@example.com"];
    assert_eq!(emails(hub.stripe().customers(), "email"), both);
    assert_eq!(emails(hub.org().records("Contact"), "Email"), both);
    assert_eq!(writes(&hub), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn different_fields_changed_in_both_services_at_once_are_both_kept() {
    let hub = Hub::new(customers());
    let _process = hub.run().await;
    let (row, customer_id, contact) = linked(&hub).await;
    let now = hub.clock.truth();
    hub.stripe().dashboard_update(customer_id.as_str(), &json!({ "phone": "2" }), now).unwrap();
    hub.org().dashboard_update(contact.as_str(), &json!({ "LastName": "Lee" }), now).unwrap();
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("2"));
    assert_eq!(hub.local(&row, "name").await.as_deref(), Some("Lee"));
    assert_eq!(customer(&hub, &customer_id)["name"], "Lee");
    assert_eq!(hub.sobject(&contact)["Phone"], "2");
    assert_eq!(hub.parked().await.len(), 0);
}
