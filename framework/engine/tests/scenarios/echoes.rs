//! Our own writes come back, changed or late.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::Method;
use bothways_store::{HistoryFilter, HistoryOp, Operator as _, ParkReason};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn p03_quick_local_changes_never_return_to_an_earlier_value() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.update(&row, &[("name", "B")]);
    tokio::time::sleep(Duration::from_millis(120)).await;
    world.update(&row, &[("name", "C")]);
    let mut seen = Vec::new();
    for _ in 0..400 {
        let name = world.local(&row, "name").await.unwrap();
        if seen.last() != Some(&name) {
            seen.push(name);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.settle().await;
    assert_eq!(seen, ["C"], "the local value never went back");
    assert_eq!(world.remote(&id, "name").as_deref(), Some("C"));
}

#[tokio::test(start_paused = true)]
async fn p10_a_remote_that_lower_cases_is_written_once_and_passes_write_nothing() {
    // Without `normalize`, so that only the per-side base keeps the peace.
    let mut setup = Setup::default();
    setup.mapping =
        setup.mapping.replace("email: { remote: $.email, normalize: [trim, lower] }", "email: $.email");
    let world = World::new(setup).await;
    world.fault(Fault::always(Action::LowerCases { field: "email".into() }));
    let row = world.insert(&[("email", "Ann@X.IO"), ("name", "Ann")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    assert_eq!(link.body.base["email"].remote, Some(bothways_model::Value::Text("ann@x.io".into())));
    assert_eq!(world.local(&row, "email").await.as_deref(), Some("Ann@X.IO"));
    let writes = world.writes();
    for _ in 0..10 {
        let now = world.now();
        let signal = bothways_store::Signal {
            pair: world.pair(),
            subject: bothways_store::Subject::Local(row.clone()),
            look: true,
            not_before: None,
        };
        bothways_store::WorkQueue::signal(&*world.store, now, &[signal]).await.unwrap();
        world.settle().await;
    }
    assert_eq!(world.writes(), writes);
    assert_eq!(world.local(&row, "email").await.as_deref(), Some("Ann@X.IO"));
}

#[tokio::test(start_paused = true)]
async fn p23_a_write_that_lands_late_does_not_undo_a_newer_one() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.fault(Fault::next(Action::LateRequest { delay_ms: None }).on(Method::Post, "/v1/customers/"));
    world.update(&row, &[("name", "B")]);
    world
        .until("the late request", Duration::from_secs(10), async |w: &World| w.stripe().late_requests() == 1)
        .await;
    world.update(&row, &[("name", "C")]);
    world
        .until("C at the service", Duration::from_secs(600), async |w: &World| {
            w.remote(&id, "name").as_deref() == Some("C")
        })
        .await;
    let now = world.now();
    world.stripe().release_late(now);
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("C"));
    assert_eq!(world.remote(&id, "name").as_deref(), Some("C"));
}

/// As P23, but the write had been given up, since the record did not hold what it held before; other writes have gone through since.
#[tokio::test(start_paused = true)]
async fn an_abandoned_write_that_lands_late_does_not_undo_a_newer_one() {
    let policies = "conflicts: { winner: local }\nsync: { feed: never, reconcile: never }";
    let world = World::new(Setup::with(policies)).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.fault(Fault::next(Action::LateRequest { delay_ms: None }).on(Method::Post, "/v1/customers/"));
    world.update(&row, &[("name", "B")]);
    world
        .until("the late request", Duration::from_secs(10), async |w: &World| w.stripe().late_requests() == 1)
        .await;
    world.remote_update(&id, json!({ "name": "X" }));
    world.settle().await;
    world.update(&row, &[("name", "C")]);
    world.settle().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("C"));
    let now = world.now();
    assert_eq!(world.stripe().release_late(now), 1);
    assert_eq!(world.remote(&id, "name").as_deref(), Some("B"), "it has landed");
    world.settle().await;
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("C"));
    assert_eq!(world.remote(&id, "name").as_deref(), Some("C"));
}

#[tokio::test(start_paused = true)]
async fn p24_a_page_that_lags_reverts_nothing() {
    let setup = Setup { webhooks: false, ..Setup::with("sync: { feed: never, reconcile: 30s }") };
    let world = World::new(setup).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    world.fault(Fault::always(Action::StaleList { seconds: 3600 }).on(Method::Get, "/v1/customers"));
    world.update(&row, &[("name", "B")]);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(world.fired("stale_list") > 0, "{:?}", world.stripe().fired());
    assert_eq!(world.local(&row, "name").await.as_deref(), Some("B"));
    assert_eq!(world.remote(&id, "name").as_deref(), Some("B"));
}

#[tokio::test(start_paused = true)]
async fn an_automation_that_insists_against_a_trigger_is_parked_as_flapping() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    // Whatever we write, the service sets it back; whatever we store, a trigger of the table sets it back.
    world.fault(
        Fault::always(Action::Automation { field: "name".into(), value: "Theirs".into() })
            .on(Method::Post, "/v1/customers/"),
    );
    for _ in 0..12 {
        world.update(&row, &[("name", "Ours")]);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    world.settle().await;
    let parked = world.parked().await;
    assert!(
        parked.iter().any(|w| w.parked.as_ref().is_some_and(|p| p.reason == ParkReason::Flapping)),
        "{parked:#?}"
    );
    let writes = world.writes();
    world.update(&row, &[("phone", "5")]);
    world.settle().await;
    assert!(world.writes() <= writes + 1, "other fields still flow, the flapping one does not");
    assert_eq!(world.remote(&id, "phone").as_deref(), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn an_engine_write_is_no_change_of_its_own() {
    let world = World::new(Setup::default()).await;
    world.remote_create(json!({ "email": "a@example.com", "name": "A" }));
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.writes(), 0, "an inbound create is never sent back");
}

#[tokio::test(start_paused = true)]
async fn history_shows_what_the_service_made_of_what_it_was_sent() {
    for fault in [None, Some(Action::LostAnswer), Some(Action::LostRequest)] {
        let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
        world.fault(Fault::always(Action::LowerCases { field: "name".into() }));
        let lose =
            |w: &World| fault.iter().for_each(|f| w.fault(Fault::next(f.clone()).on(Method::Post, "/v1")));
        lose(&world);
        let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
        world.settle().await;
        let lost = fault == Some(Action::LostAnswer);
        // Whether the service altered it or somebody else, nobody can tell where the answer was lost.
        let kept = if lost { "ann" } else { "Ann" };
        assert_eq!(world.local(&row, "name").await.as_deref(), Some(kept), "{fault:?}");
        let altered = async |w: &World| {
            let filter = HistoryFilter { op: Some(HistoryOp::Altered), ..HistoryFilter::default() };
            w.store.history(&filter, None, 100).await.unwrap().len()
        };
        let created = altered(&world).await;
        assert_eq!(created, usize::from(!lost), "{fault:?}");
        lose(&world);
        world.update(&row, &[("name", "Beth")]);
        world.settle().await;
        assert_eq!(
            altered(&world).await,
            created + usize::from(fault != Some(Action::LostAnswer)),
            "{fault:?}"
        );
    }
}
