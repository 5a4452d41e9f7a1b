//! Contacts of accounts at Salesforce, by the shipped documents: optional references, which are written once both records are there.

use crate::harness::hub::{Hub, Plan, Process};
use bothways_connector_sandbox::salesforce::{self, Action, Fault};
use bothways_engine::{KeepText, Resolution, RevertTarget, Settings};
use bothways_model::{LocalId, Method, Record, RemoteId, Value};
use bothways_store::{HistoryFilter, HistoryOp, Links, PairSpec, Pairs, Rows, Side, Work, WorkQueue};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const CATALOGS: [&str; 2] =
    [include_str!("../../../../mappings/accounts.yaml"), include_str!("../../../../mappings/contacts.yaml")];
const MAPPINGS: [&str; 2] = [
    include_str!("../../../../mappings/salesforce-accounts.yaml"),
    include_str!("../../../../mappings/salesforce-contacts.yaml"),
];

fn shipped() -> Hub {
    Hub::new(plan())
}

fn plan() -> Plan {
    Plan {
        catalog: CATALOGS.join("---\n"),
        mappings: MAPPINGS
            .map(|text| text.replace("poll: 60s, reconcile: 24h", "poll: 10s, reconcile: never"))
            .to_vec(),
        org: salesforce::Config::default(),
        vars: Vec::new(),
        settings: Settings::default(),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn insert_account(hub: &Hub, key: i64, name: &str) {
    let row = Record::from_iter([("id", Value::Int(key)), ("name", text(name))]);
    hub.store.foreign().insert("accounts", row, hub.clock.truth()).unwrap();
}

fn insert_contact(hub: &Hub, account: Option<i64>, last_name: &str) -> LocalId {
    let row = Record::from_iter([
        ("account_id", account.map_or(Value::Null, Value::Int)),
        ("last_name", text(last_name)),
        ("email", text(&format!("{last_name}@example.com"))),
        ("opted_out", Value::Bool(false)),
    ]);
    hub.store.foreign().insert("contacts", row, hub.clock.truth()).unwrap()
}

fn contact(hub: &Hub, last_name: &str) -> Option<Json> {
    hub.org().records("Contact").into_iter().find(|record| record["LastName"] == last_name)
}

fn account(hub: &Hub, name: &str) -> Option<Json> {
    hub.org().records("Account").into_iter().find(|record| record["Name"] == name)
}

/// The account of a contact's row.
async fn account_of(hub: &Hub, last_name: &str) -> Option<i64> {
    let rows = hub.store.rows("contacts", None, None, 100).await.unwrap().rows;
    let row = rows.into_iter().find(|row| row.fields.get("last_name") == Some(&text(last_name)))?;
    match row.fields.get("account_id") {
        Some(Value::Int(key)) => Some(*key),
        _ => None,
    }
}

/// What is sent is the account's id, and not what the row holds; that makes it no value of anybody else's.
#[tokio::test(start_paused = true)]
async fn a_contact_that_is_moved_again_while_an_answer_is_lost_goes_where_it_was_moved_last() {
    let hub = shipped();
    let _running = hub.run().await;
    for (key, name) in [(1, "Acme"), (2, "Bolt"), (3, "Cask")] {
        insert_account(&hub, key, name);
    }
    let row = insert_contact(&hub, Some(1), "Ash");
    hub.settle().await;
    let id = contact(&hub, "Ash").unwrap()["Id"].as_str().unwrap().to_owned();
    let path = format!("/services/data/v62.0/sobjects/Contact/{id}");
    hub.org().inject(Fault::next(Action::LostAnswer).on(Method::Patch, path.clone()));
    // The first read is that before the write; nobody can tell what became of it for a while.
    hub.org().inject(Fault::next(Action::Unavailable503).on(Method::Get, path).nth(2).times(2));
    let refer = |key: i64| {
        let fields = Record::from_iter([("account_id", Value::Int(key))]);
        hub.store.foreign().update("contacts", &row, fields, hub.clock.truth()).unwrap()
    };
    assert!(refer(2));
    hub.until("it arrived", async |hub: &Hub| {
        contact(hub, "Ash").unwrap()["AccountId"] == account(hub, "Bolt").unwrap()["Id"]
    })
    .await;
    assert!(refer(3));
    hub.settle().await;
    assert_eq!(account_of(&hub, "Ash").await, Some(3));
    assert_eq!(contact(&hub, "Ash").unwrap()["AccountId"], account(&hub, "Cask").unwrap()["Id"]);
    assert_eq!(hub.parked().await.len(), 0);
}

/// A contact does not wait for an account it can do without: the account is written when it is there.
#[tokio::test(start_paused = true)]
async fn a_contact_gets_its_account_once_that_is_linked() {
    let hub = shipped();
    let _running = hub.run().await;
    insert_account(&hub, 1, "Acme");
    insert_contact(&hub, Some(1), "Ash");
    insert_contact(&hub, Some(77), "Birch");
    hub.until("both are there", async |hub: &Hub| {
        contact(hub, "Ash").is_some() && contact(hub, "Birch").is_some()
    })
    .await;
    let id_of = |record: &Json| record["Id"].as_str().unwrap().to_owned();
    hub.until("the first has its account", async |hub: &Hub| {
        let acme = account(hub, "Acme").map(|acme| id_of(&acme));
        acme.is_some() && contact(hub, "Ash").unwrap()["AccountId"].as_str().map(str::to_owned) == acme
    })
    .await;
    assert!(contact(&hub, "Birch").unwrap()["AccountId"].is_null());
    insert_account(&hub, 77, "Borealis");
    hub.until("the second has, too", async |hub: &Hub| {
        let there = account(hub, "Borealis").map(|it| id_of(&it));
        there.is_some() && contact(hub, "Birch").unwrap()["AccountId"].as_str().map(str::to_owned) == there
    })
    .await;
    hub.settle().await;
    let before = hub.org().counts().effective_writes;
    hub.settle().await;
    assert_eq!(hub.org().counts().effective_writes, before, "nothing goes on by itself");
    assert_eq!(hub.org().records("Contact").len(), 2);
}

/// A contact of the account Acme, and another account, Bolt, that is gone: a brake withholds what follows from that.
struct Gone {
    hub: Hub,
    process: Process,
    row: LocalId,
    /// The id of the contact's record.
    ash: String,
    /// Of Acme's.
    acme: String,
}

impl Gone {
    async fn new() -> Self {
        let mut plan = plan();
        plan.mappings[0] = plan.mappings[0].replace(
            "deletes: { from_remote: manual, from_local: manual }",
            "deletes: { from_remote: delete, from_local: manual }\nsafety: { deletes: 0 }",
        );
        assert!(plan.mappings[0].contains("safety"));
        let hub = Hub::new(plan);
        let process = hub.run().await;
        insert_account(&hub, 1, "Acme");
        insert_account(&hub, 2, "Bolt");
        let row = insert_contact(&hub, Some(1), "Ash");
        hub.settle().await;
        let id_of = |record: Json| record["Id"].as_str().unwrap().to_owned();
        let (acme, bolt) = (id_of(account(&hub, "Acme").unwrap()), id_of(account(&hub, "Bolt").unwrap()));
        let ash = id_of(contact(&hub, "Ash").unwrap());
        assert_eq!(contact(&hub, "Ash").unwrap()["AccountId"], acme.as_str());
        hub.org().dashboard_delete(&bolt, hub.clock.truth()).unwrap();
        hub.until("it is withheld", async |_: &Hub| !process.ops.brakes().await.unwrap().is_empty()).await;
        Self { hub, process, row, ash, acme }
    }

    fn change(&self, fields: &[(&str, Value)]) {
        let fields = Record::from_iter(fields.iter().map(|(name, value)| (*name, value.clone())));
        let now = self.hub.clock.truth();
        assert!(self.hub.store.foreign().update("contacts", &self.row, fields, now).unwrap());
    }

    async fn work(&self) -> Vec<Work> {
        let pairs = self.hub.store.pairs().await.unwrap();
        let pair = pairs.into_iter().find(|pair| pair.spec.catalog == "contacts").unwrap().id;
        self.hub.store.work_of(pair, Some(&self.row), Some(&RemoteId(self.ash.clone()))).await.unwrap()
    }
}

/// Where a brake withholds what follows from an account's being gone, a contact that moves to it waits for that with its account alone:
/// everything else flows, both ways (rule 63).
#[tokio::test(start_paused = true)]
async fn what_a_contact_refers_to_and_is_gone_holds_up_nothing_else() {
    let gone = Gone::new().await;
    let (hub, row) = (&gone.hub, &gone.row);
    gone.change(&[("account_id", Value::Int(2)), ("first_name", text("Ann"))]);
    hub.until("the name is there", async |hub: &Hub| contact(hub, "Ash").unwrap()["FirstName"] == "Ann")
        .await;
    hub.org().dashboard_update(&gone.ash, &json!({ "Phone": "123" }), hub.clock.truth()).unwrap();
    hub.until("the phone is here", async |hub: &Hub| {
        let row = hub.store.row("contacts", row).await.unwrap().unwrap();
        row.fields.get("phone") == Some(&text("123"))
    })
    .await;
    assert_eq!(contact(hub, "Ash").unwrap()["AccountId"], gone.acme.as_str());
    assert_eq!(account_of(hub, "Ash").await, Some(2));
    let held = gone.work().await.into_iter().find_map(|work| work.held).unwrap();
    assert!(held.contains("the record of row 2 of `accounts` is not found there any more"), "{held}");
    assert!(gone.work().await.iter().all(|work| work.attempts == 0 && work.parked.is_none()));
    let before = hub.org().counts().effective_writes;
    tokio::time::sleep(std::time::Duration::from_secs(1800)).await;
    assert_eq!(hub.org().counts().effective_writes, before, "nothing is written again and again");

    gone.change(&[("account_id", Value::Int(1))]);
    hub.until("nothing waits", async |_: &Hub| gone.work().await.is_empty()).await;
    assert_eq!(contact(hub, "Ash").unwrap()["AccountId"], gone.acme.as_str());
    assert_eq!(gone.process.ops.brakes().await.unwrap().len(), 1, "still withheld");
}

/// What a contact was refused for before is not what keeps it: nobody is asked about it once it waits for what is gone.
#[tokio::test(start_paused = true)]
async fn a_refused_contact_that_waits_for_what_is_gone_is_parked_no_more() {
    let gone = Gone::new().await;
    let code = "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned();
    gone.hub.org().inject(Fault::next(Action::RowRefused { code }).on_event("Contact.update"));
    gone.change(&[("first_name", text("Ann"))]);
    gone.hub.until("it is refused", async |hub: &Hub| hub.parked().await.len() == 1).await;
    gone.change(&[("account_id", Value::Int(2))]);
    gone.hub
        .until("it waits", async |_: &Hub| gone.work().await.iter().any(|work| work.held.is_some()))
        .await;
    let work = gone.work().await;
    assert!(work.iter().all(|work| work.parked.is_none()), "{work:?}");
    assert_eq!(contact(&gone.hub, "Ash").unwrap()["FirstName"], "Ann");
    assert_eq!(gone.process.ops.brakes().await.unwrap().len(), 1, "still withheld");
}

/// A contact that moves takes its reference along, from either side.
#[tokio::test(start_paused = true)]
async fn a_contact_moves_between_accounts_both_ways() {
    let hub = shipped();
    let _running = hub.run().await;
    let now = hub.clock.truth();
    let make = |object: &str, fields: Json| {
        let made = hub.org().dashboard_create(object, &fields, now).unwrap();
        made["Id"].as_str().unwrap().to_owned()
    };
    let acme = make("Account", json!({ "Name": "Acme" }));
    let other = make("Account", json!({ "Name": "Other" }));
    let ash = make("Contact", json!({ "LastName": "Ash", "Email": "ash@example.com", "AccountId": acme }));
    hub.until("the row has its account", async |hub: &Hub| account_of(hub, "Ash").await.is_some()).await;
    hub.settle().await;
    let spec = PairSpec {
        catalog: "accounts".into(),
        connection: "salesforce".into(),
        resource: "sobject?object=Account".into(),
        mapping: "salesforce-accounts".into(),
    };
    let pair = hub.store.ensure_pair(&spec).await.unwrap().id;
    let row_of = async |id: &str| {
        let links = hub.store.links_of_remote(pair, &[RemoteId(id.to_owned())]).await.unwrap();
        links[0].clone().unwrap().local_id.unwrap().as_str().parse::<i64>().unwrap()
    };
    let (first, second) = (row_of(&acme).await, row_of(&other).await);
    assert_eq!(account_of(&hub, "Ash").await, Some(first));
    let now = hub.clock.truth();
    hub.org().dashboard_update(&ash, &json!({ "AccountId": other }), now).unwrap();
    hub.until("moved there", async |hub: &Hub| account_of(hub, "Ash").await == Some(second)).await;
    let rows = hub.store.rows("contacts", None, None, 9).await.unwrap().rows;
    let change = Record::from_iter([("account_id", Value::Int(first))]);
    assert!(hub.store.foreign().update("contacts", &rows[0].id, change, hub.clock.truth()).unwrap());
    hub.until("moved here", async |hub: &Hub| contact(hub, "Ash").unwrap()["AccountId"] == acme.as_str())
        .await;
    let change = Record::from_iter([("account_id", Value::Null)]);
    assert!(hub.store.foreign().update("contacts", &rows[0].id, change, hub.clock.truth()).unwrap());
    hub.until("left it", async |hub: &Hub| contact(hub, "Ash").unwrap()["AccountId"].is_null()).await;
}

/// History names the account that a contact was moved away from as the service does; undone, the row has its key again (rule 65).
#[tokio::test(start_paused = true)]
async fn a_move_that_was_carried_out_is_undone() {
    let hub = shipped();
    let running = hub.run().await;
    for (key, name) in [(1, "Acme"), (2, "Borealis")] {
        insert_account(&hub, key, name);
    }
    let row = insert_contact(&hub, Some(1), "Ash");
    let is_of = async |hub: &Hub, name: &str| {
        let (ash, account) = (contact(hub, "Ash"), account(hub, name));
        ash.zip(account).is_some_and(|(ash, account)| ash["AccountId"] == account["Id"])
    };
    hub.until("it has its account", async |hub: &Hub| is_of(hub, "Acme").await).await;
    hub.settle().await;
    let change = Record::from_iter([("account_id", Value::Int(2))]);
    assert!(hub.store.foreign().update("contacts", &row, change, hub.clock.truth()).unwrap());
    hub.until("it moved", async |hub: &Hub| is_of(hub, "Borealis").await).await;
    hub.settle().await;
    let filter = HistoryFilter { op: Some(HistoryOp::Update), ..HistoryFilter::default() };
    let history = running.ops.history(&filter, None, 20).await.unwrap();
    let moved = history
        .iter()
        .find(|row| row.entry.side == Side::Remote && row.entry.fields.contains_key("account_id"))
        .unwrap();
    let id = moved.entry.remote_id.clone().unwrap().0;
    let target = RevertTarget::Record { mapping: None, id, entry: Some(moved.id) };
    let mut items = Vec::new();
    let totals = running.ops.revert(&target, false, "ada", &mut |item| items.push(item)).await.unwrap();
    assert_eq!((totals.reverted, totals.refused), (1, 0), "{items:#?}");
    assert_eq!(account_of(&hub, "Ash").await, Some(1));
    hub.until("it is back", async |hub: &Hub| is_of(hub, "Acme").await).await;
}

/// What a person types to end a conflict is the key of a row, and the record of that row is what the service gets.
#[tokio::test(start_paused = true)]
async fn a_person_chooses_the_account_of_a_contact() {
    let hub = shipped();
    let running = hub.run().await;
    for (key, name) in [(1, "Acme"), (2, "Borealis"), (3, "Cirrus"), (4, "Delta")] {
        insert_account(&hub, key, name);
    }
    let row = insert_contact(&hub, Some(1), "Ash");
    hub.until("it is there", async |hub: &Hub| {
        contact(hub, "Ash").is_some_and(|ash| ash["AccountId"].is_string())
    })
    .await;
    hub.settle().await;
    let id_of = |record: Json| record["Id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = ["Borealis", "Cirrus"].map(|name| id_of(account(&hub, name).unwrap())).to_vec();
    let change = Record::from_iter([("account_id", Value::Int(4))]);
    assert!(hub.store.foreign().update("contacts", &row, change, hub.clock.truth()).unwrap());
    let now = hub.clock.truth();
    let ash = id_of(contact(&hub, "Ash").unwrap());
    hub.org().dashboard_update(&ash, &json!({ "AccountId": ids[0] }), now).unwrap();
    let conflicts = async || running.ops.parked(None, Some("conflict"), 9).await.unwrap();
    hub.until("a person is asked", async |_: &Hub| conflicts().await.len() == 1).await;
    let asked = conflicts().await.remove(0);
    let typed = BTreeMap::from([("account_id".to_owned(), KeepText::Value(json!(3)))]);
    running.ops.resolve(&asked.id, &Resolution::Fields(typed), None, "ada").await.unwrap();
    hub.until("both hold it", async |hub: &Hub| {
        contact(hub, "Ash").unwrap()["AccountId"] == ids[1].as_str()
            && account_of(hub, "Ash").await == Some(3)
    })
    .await;
    hub.settle().await;
    assert!(conflicts().await.is_empty() && hub.parked().await.is_empty());
}

/// Accounts whose parents form a circle are deleted all the same, and a parent outside of it goes last.
#[tokio::test(start_paused = true)]
async fn accounts_that_refer_to_each_other_are_deleted() {
    let deletes = "deletes: { from_remote: manual, from_local: delete, confirm: irreversible }";
    let mut plan = plan();
    plan.catalog = CATALOGS[0]
        .replace("employees: int?", "employees: int?\n  parent_id: { ref: accounts, optional: true }");
    plan.mappings = vec![
        plan.mappings[0]
            .replace("deletes: { from_remote: manual, from_local: manual }", deletes)
            .replace("phone: $.Phone", "phone: $.Phone\n  parent_id: $.ParentId"),
    ];
    let hub = Hub::new(plan);
    let _running = hub.run().await;
    for (key, name) in [(1, "Top"), (2, "One"), (3, "Other"), (4, "Itself")] {
        insert_account(&hub, key, name);
    }
    hub.until("all are there", async |hub: &Hub| hub.org().records("Account").len() == 4).await;
    hub.settle().await;
    for (key, parent) in [(2, 3), (3, 2), (4, 4)] {
        let change = Record::from_iter([("parent_id", Value::Int(parent))]);
        let id = LocalId::from(key.to_string());
        assert!(hub.store.foreign().update("accounts", &id, change, hub.clock.truth()).unwrap());
    }
    hub.settle().await;
    let refers = hub.org().records("Account").iter().filter(|record| record["ParentId"].is_string()).count();
    assert_eq!(refers, 3);
    for key in [2, 3, 4] {
        let id = LocalId::from(key.to_string());
        assert!(hub.store.foreign().delete("accounts", &id, hub.clock.truth()).unwrap());
    }
    hub.until("they are gone", async |hub: &Hub| hub.org().records("Account").len() == 1).await;
    assert!(account(&hub, "Top").is_some());
}

/// What refers to something that never gets a link is not asked for again and again.
#[tokio::test(start_paused = true)]
async fn what_waits_for_long_is_asked_for_less_and_less() {
    let hub = Hub::new(Plan {
        mappings: plan()
            .mappings
            .into_iter()
            .map(|text| {
                let accounts = text.contains("mapping: salesforce-accounts");
                if accounts { format!("{text}\nonly: {{ remote: \"@.Name == 'Ours'\" }}\n") } else { text }
            })
            .collect(),
        ..plan()
    });
    let _running = hub.run().await;
    let now = hub.clock.truth();
    let theirs =
        hub.org().dashboard_create("Account", &json!({ "Name": "Theirs" }), now).unwrap()["Id"].clone();
    let fields = json!({ "LastName": "Ash", "Email": "ash@example.com", "AccountId": theirs });
    hub.org().dashboard_create("Contact", &fields, now).unwrap();
    hub.until("the row", async |hub: &Hub| hub.store.count_rows("contacts").await.unwrap() == 1).await;
    hub.org().clear_requests();
    tokio::time::sleep(std::time::Duration::from_secs(3 * 3600)).await;
    let mut asked = BTreeMap::<String, usize>::new();
    for request in
        hub.org().requests().filter(|r| !r.path.ends_with("/deleted/") && !r.path.contains("/query"))
    {
        *asked.entry(request.path.clone()).or_default() += 1;
    }
    assert!(asked.values().sum::<usize>() <= 6, "in three hours: {asked:?}");
}
