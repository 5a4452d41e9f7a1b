//! Ids as people give them: Salesforce's reports show 15 characters of what it answers with 18.

use crate::harness::hub::{Hub, Plan};
use bothways_connector_sandbox::salesforce::Config;
use bothways_engine::Settings;
use bothways_model::RemoteId;
use serde_json::json;

fn naming() -> Plan {
    Plan {
        catalog: "catalog: accounts\ntable: accounts\nkey: id\nfields: { id: int, name: text, phone: text?, rid: text? }".into(),
        mappings: vec![
            r#"
mapping: salesforce-accounts
local: accounts
remote: { resource: salesforce/sobject, with: { object: Account } }
identity: { match: [name], stamp: $.Bothways_Id__c, remote_id: rid }
fields:
  name: { remote: $.Name, required: true }
  phone: $.Phone
creates: { from_remote: ignore, from_local: ignore }
sync: { poll: 30s, reconcile: never }
"#
            .into(),
        ],
        org: Config::default(),
        vars: Vec::new(),
        settings: Settings::default(),
    }
}

fn account(hub: &Hub, name: &str) -> (RemoteId, RemoteId) {
    let now = hub.clock.truth();
    let made = hub.org().dashboard_create("Account", &json!({ "Name": name }), now).unwrap();
    let long = made["Id"].as_str().unwrap();
    (long.into(), long[..15].into())
}

#[tokio::test(start_paused = true)]
async fn a_record_is_known_by_its_short_id() {
    let hub = Hub::new(naming());
    let process = hub.run().await;
    let (long, short) = account(&hub, "Acme");
    let row = hub.insert(&[("name", "Acme Ltd")]);
    hub.settle().await;
    process.ops.link(None, &row, &short, "ada").await.unwrap();
    hub.settle().await;
    assert_eq!(hub.remote_id("salesforce", &row).await, long);
    let told = process.ops.explain(None, short.as_str()).await.unwrap();
    assert_eq!(told[0].remote_id.as_deref(), Some(long.as_str()));
    assert_eq!(told[0].local_id.as_deref(), Some(row.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_row_may_name_its_record_by_its_short_id() {
    let hub = Hub::new(naming());
    let _process = hub.run().await;
    let (long, short) = account(&hub, "Acme");
    let row = hub.insert(&[("name", "Acme Ltd"), ("rid", short.as_str())]);
    hub.settle().await;
    assert_eq!(hub.remote_id("salesforce", &row).await, long);
    hub.update(&row, &[("phone", "1")]);
    hub.settle().await;
    assert!(hub.parked().await.is_empty(), "both ids are of one record");
    assert_eq!(hub.sobject(&long)["Phone"], "1");
}
