//! One mapping on several accounts of one service, each with its own links, budget and pause.

use crate::harness::{Setup, World, mapping};
use bothways_engine::ConnectionState;
use bothways_model::ConnectionName;
use bothways_store::{Links, PauseScope};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn two(keys: [&'static str; 2]) -> Setup {
    let remote = "remote: { resource: stripe/customers, connections: [eu, us] }";
    let text = mapping("creates: { from_local: ignore }\nsync: { feed: 1s, reconcile: never }")
        .replace("remote: stripe/customers", remote);
    Setup {
        mapping: text,
        accounts: vec![("eu", keys[0]), ("us", keys[1])],
        webhooks: false,
        ..Setup::default()
    }
}

/// Records of both accounts are rows of one table; an edit of a row goes to the account that its record is in, and to no other.
#[tokio::test(start_paused = true)]
async fn a_mapping_runs_on_two_accounts() {
    let world = World::new(two(["sk_test_eu", "sk_test_us"])).await;
    let names: Vec<String> = world.engine.pairs().map(|pair| pair.mapping.name.clone()).collect();
    assert_eq!(names, ["stripe-customers@eu", "stripe-customers@us"]);
    let now = world.now();
    for (account, email) in [("eu", "ann@x.io"), ("us", "bea@x.io")] {
        world.account(account).dashboard_create(&json!({ "name": account, "email": email }), now).unwrap();
    }
    world.until("both are rows", SOON, async |w: &World| w.rows().await.len() == 2).await;
    for row in world.rows().await {
        world.update(&row.id, &[("phone", "1")]);
    }
    let phoned = |w: &World, account: &str| w.account(account).customers()[0]["phone"] == "1";
    world.until("both are told", SOON, async |w: &World| phoned(w, "eu") && phoned(w, "us")).await;
    for (account, email) in [("eu", "ann@x.io"), ("us", "bea@x.io")] {
        assert_eq!(world.account(account).customers().len(), 1, "{account}");
        assert_eq!(world.account(account).customers()[0]["email"], email);
    }
    for pair in world.engine.pairs() {
        let links = world
            .store
            .links(&bothways_store::LinkFilter { pair: Some(pair.id), ..Default::default() }, None, 9)
            .await;
        assert_eq!(links.unwrap().len(), 1, "{}", pair.mapping.name);
    }
    // A pause of one account is no other's.
    world.ops.pause(PauseScope::Connection(ConnectionName::from("eu")), "stock-taking", "ada").await.unwrap();
    for row in world.rows().await {
        world.update(&row.id, &[("phone", "2")]);
    }
    let is_two = |w: &World, account: &str| w.account(account).customers()[0]["phone"] == "2";
    world.until("the other is told", SOON, async |w: &World| is_two(w, "us")).await;
    assert!(!is_two(&world, "eu"));
    assert!(
        world
            .ops
            .pair(Some("stripe-customers"))
            .is_err_and(|e| e.to_string().contains("stripe-customers@us"))
    );
    assert_eq!(world.ops.pair(Some("stripe-customers@us")).unwrap().connection.as_str(), "us");
}

/// A real and a test account of one catalog: whichever is known second is not used.
#[tokio::test(start_paused = true)]
async fn live_and_test_accounts_are_never_mixed() {
    // Both are asked for at once, and a database takes its time to store what they are.
    let setup = Setup { table: |store| store.slow(), ..two(["sk_live_eu", "sk_test_us"]) };
    let world = World::new(setup).await;
    let blocked = |w: &World| {
        ["eu", "us"].map(|name| match w.engine.connection_state(&ConnectionName::from(name)) {
            ConnectionState::Blocked(why) => Some(why),
            _ => None,
        })
    };
    world.until("one is blocked", SOON, async |w: &World| blocked(w).iter().flatten().count() == 1).await;
    let why = blocked(&world).into_iter().flatten().next().unwrap();
    assert!(why.contains("test data would reach real customers"), "{why}");
    let now = world.now();
    for account in ["eu", "us"] {
        world.account(account).dashboard_create(&json!({ "email": format!("{account}@x.io") }), now).unwrap();
    }
    world.until("the other works", SOON, async |w: &World| w.rows().await.len() == 1).await;
}

/// Two accounts that each insist on a field that only comes in: neither is ever written to, and the row is not carried back and forth
/// for ever (rule 19).
#[tokio::test(start_paused = true)]
async fn two_accounts_that_insist_on_a_row_are_parked() {
    let mut setup = two(["sk_test_eu", "sk_test_us"]);
    setup.mapping = setup.mapping.replace("name: $.name", "name: { remote: $.name, direction: in }");
    let world = World::new(setup).await;
    for account in ["eu", "us"] {
        let customer = json!({ "name": account, "email": "ann@x.io" });
        let now = world.now();
        world.account(account).dashboard_create(&customer, now).unwrap();
        world.until("it is a row", SOON, async |w: &World| w.rows().await.len() == 1).await;
        world.settle().await;
    }
    let parked = async |w: &World| {
        let parked = w.parked().await;
        parked.iter().any(|work| work.parked.as_ref().unwrap().reason == bothways_store::ParkReason::Flapping)
    };
    world.until("parked", Duration::from_secs(300), parked).await;
    let writes = async |w: &World| {
        let filter = bothways_store::HistoryFilter {
            op: Some(bothways_store::HistoryOp::Update),
            ..Default::default()
        };
        w.ops.history(&filter, None, 1000).await.unwrap().len()
    };
    let before = writes(&world).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(writes(&world).await, before, "nothing goes back and forth any more");
}
