//! `winner: newest` goes by when the sides were changed, not by when the engine came to hear of it (rule 12).

use crate::harness::hub::{Hub, Plan};
use bothways_connector_sandbox::salesforce;
use bothways_engine::Settings;
use bothways_model::{LocalId, RemoteId};
use bothways_store::PauseScope;
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn plan() -> Plan {
    let mapping = r#"
mapping: salesforce-contacts
local: customers
remote: { resource: salesforce/sobject, with: { object: Contact } }
identity: { match: [email], stamp: $.Bothways_Id__c }
fields:
  email: { remote: $.Email, normalize: [trim, lower], required: true }
  name: { remote: $.LastName, required: true }
  phone: $.Phone
conflicts: { winner: newest }
sync: { poll: 10s, reconcile: never }
"#;
    let fields = "fields: { id: int, name: text, email: text, phone: text? }";
    Plan {
        catalog: format!("catalog: customers\ntable: customers\nkey: id\n{fields}"),
        mappings: vec![mapping.into()],
        org: salesforce::Config::default(),
        vars: Vec::new(),
        settings: Settings::default(),
    }
}

async fn linked(hub: &Hub) -> (LocalId, RemoteId) {
    let row = hub.insert(&[("name", "Ann"), ("email", "ann@example.com"), ("phone", "1")]);
    hub.settle().await;
    let contact = hub.remote_id("salesforce", &row).await;
    (row, contact)
}

fn edit_there(hub: &Hub, contact: &RemoteId, phone: &str) {
    let now = hub.clock.truth();
    hub.org().dashboard_update(contact.as_str(), &json!({ "Phone": phone }), now).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_while_nothing_ran_is_as_old_as_it_is() {
    let hub = Hub::new(plan());
    let process = hub.run().await;
    let (row, contact) = linked(&hub).await;
    process.kill();
    tokio::time::sleep(HOUR).await;
    hub.update(&row, &[("phone", "here, first")]);
    tokio::time::sleep(HOUR).await;
    edit_there(&hub, &contact, "there, then");
    tokio::time::sleep(HOUR).await;
    let _process = hub.run().await;
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("there, then"));
    assert_eq!(hub.sobject(&contact)["Phone"], "there, then");
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_users_changes_counts() {
    let hub = Hub::new(plan());
    let process = hub.run().await;
    let (row, contact) = linked(&hub).await;
    process.ops.pause(PauseScope::All, "maintenance", "test").await.unwrap();
    hub.update(&row, &[("phone", "here, first")]);
    tokio::time::sleep(HOUR).await;
    edit_there(&hub, &contact, "there, then");
    tokio::time::sleep(HOUR).await;
    hub.update(&row, &[("phone", "here, last")]);
    tokio::time::sleep(HOUR).await;
    process.ops.resume(&PauseScope::All, "test").await.unwrap();
    hub.settle().await;
    assert_eq!(hub.local(&row, "phone").await.as_deref(), Some("here, last"));
    assert_eq!(hub.sobject(&contact)["Phone"], "here, last");
}
