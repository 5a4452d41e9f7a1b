//! Lost answers, kills and restarts.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::{KeepText, Resolution};
use bothways_model::{Method, RemoteId, Value};
use bothways_store::{HistoryFilter, HistoryOp, LinkState, Operator as _, ParkReason};
use chrono::TimeDelta;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Long enough for every lease and late request to be over.
const LONG: Duration = Duration::from_secs(900);

#[tokio::test(start_paused = true)]
async fn p04_a_create_whose_answer_was_lost_makes_one_customer() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world
        .until("the lost answer", Duration::from_secs(10), async |w: &World| w.fired("lost_answer") == 1)
        .await;
    world.kill();
    tokio::time::sleep(Duration::from_secs(300)).await;
    world.restart().await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.customers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn p05_after_26_hours_the_created_customer_is_found_by_its_stamp() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world
        .until("the lost answer", Duration::from_secs(10), async |w: &World| w.fired("lost_answer") == 1)
        .await;
    world.kill();
    tokio::time::sleep(Duration::from_secs(26 * 3600)).await;
    let posts = world.stripe().counts().effective_creates;
    world.restart().await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.stripe().counts().effective_creates, posts, "no second create");
}

#[tokio::test(start_paused = true)]
async fn p06_a_saved_500_of_a_create_that_happened_is_looked_up_and_linked() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::SavedError500 { executed: true }).on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    assert_eq!(world.fired("saved_error500"), 1, "{:?}", world.stripe().fired());
    world.assert_in_step().await;
    assert_eq!(world.stripe().counts().effective_creates, 1);
}

/// Whoever asks for "records made since then" by a clock that is ahead is shown none, and takes it for proof.
#[tokio::test(start_paused = true)]
async fn a_create_is_found_though_our_clock_was_hours_ahead_of_the_services() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.clock.ahead.store(3 * 3600, Ordering::Relaxed);
    let faults = [Action::SavedError500 { executed: true }, Action::LostAnswer];
    for (number, fault) in faults.into_iter().enumerate() {
        world.fault(Fault::next(fault).on(Method::Post, "/v1/customers"));
        world.insert(&[("email", &format!("a{number}@example.com")), ("name", "A")]);
        world.settle().await;
        world.assert_in_step().await;
        assert_eq!(world.stripe().counts().effective_creates, number as u64 + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_cannot_be_read_is_no_refusal_of_a_create() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::Unfinished { delay_ms: Some(20_000) }).on(Method::Post, "/v1/customers"));
    world.fault(Fault::next(Action::TruncatedBody).on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    assert_eq!((world.fired("unfinished"), world.fired("truncated_body")), (1, 1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let now = world.now();
    world.stripe().tick(now);
    assert_eq!(world.stripe().late_requests(), 0);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.stripe().counts().effective_creates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_saved_500_of_a_create_that_did_not_happen_gets_a_new_intent() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::SavedError500 { executed: false }).on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.stripe().counts().effective_creates, 1);
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn p16_a_worker_paused_beyond_its_lease_changes_nothing_when_it_wakes() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    world.update(&row, &[("name", "B")]);
    world.settle().await;
    // The sleeper's token is older than the one of whoever looked since; its unit is stale.
    let now = world.now();
    let a = bothways_store::Links::lease(&*world.store, link.id, now, now + TimeDelta::seconds(1))
        .await
        .unwrap()
        .unwrap();
    let later = now + TimeDelta::seconds(2);
    let b = bothways_store::Links::lease(&*world.store, link.id, later, later + TimeDelta::seconds(60))
        .await
        .unwrap();
    assert!(b.is_some_and(|b| b.token > a.token), "B takes over when the lease is over");
    let mut sleeper = a.link.clone().unwrap();
    sleeper.state = LinkState::Tombstone;
    let mut unit = bothways_store::Unit::new(bothways_store::Guard::Token { link: link.id, token: a.token });
    unit.confirm =
        Some(bothways_store::LinkWrite { link: sleeper, local: bothways_store::LocalBinding::Keep });
    let outcome = bothways_store::Links::commit(&*world.store, later, &[unit]).await.unwrap();
    assert_eq!(outcome, [bothways_store::UnitOutcome::Stale]);
    assert_eq!(world.link_of(&row).await.state, LinkState::Linked);
}

#[tokio::test(start_paused = true)]
async fn p16_a_slow_worker_and_its_successor_send_no_more_than_one_decided_call_each() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let writes = world.writes();
    world.fault(Fault::next(Action::SlowAnswer { millis: 400_000 }).on(Method::Post, "/v1/customers/"));
    world.update(&row, &[("name", "B")]);
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.writes(), writes + 1);
}

#[tokio::test(start_paused = true)]
async fn p21_a_push_that_was_sent_before_the_kill_is_no_conflict_with_a_later_edit() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.set_latency(Duration::from_secs(2));
    world.update(&row, &[("name", "B")]);
    world
        .until("B at the service", Duration::from_secs(60), async |w: &World| {
            w.remote(&id, "name").as_deref() == Some("B")
        })
        .await;
    world.kill();
    world.update(&row, &[("name", "C")]);
    world.set_latency(Duration::from_millis(20));
    tokio::time::sleep(LONG).await;
    world.restart().await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("C"));
    assert!(world.link_of(&row).await.body.conflicts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn p28_a_sleeping_worker_of_an_earlier_round_changes_nothing() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    let now = world.now();
    let old = bothways_store::Links::lease(&*world.store, link.id, now, now + TimeDelta::seconds(1))
        .await
        .unwrap()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // Work is done and recreated meanwhile.
    world.update(&row, &[("name", "B")]);
    world.settle().await;
    world.update(&row, &[("name", "C")]);
    let mut unit =
        bothways_store::Unit::new(bothways_store::Guard::Token { link: link.id, token: old.token });
    let mut stale = old.link.unwrap();
    stale.remote_id = None;
    unit.confirm = Some(bothways_store::LinkWrite { link: stale, local: bothways_store::LocalBinding::Keep });
    let outcome = bothways_store::Links::commit(&*world.store, world.now(), &[unit]).await.unwrap();
    assert_eq!(outcome, [bothways_store::UnitOutcome::Stale]);
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn p31_a_row_deleted_while_its_create_is_in_flight_does_not_return() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers"));
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world
        .until("the lost answer", Duration::from_secs(10), async |w: &World| w.fired("lost_answer") == 1)
        .await;
    world.delete(&row);
    world.settle().await;
    assert_eq!(world.customers().len(), 1, "the customer is found, and from_local: manual asks a person");
    assert!(world.rows().await.is_empty(), "the row does not return");
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0].parked.as_ref().unwrap().reason, ParkReason::Delete);
}

/// A linked customer whose name both sides change while the engine is down. Returns the row and the record.
async fn both_renamed(world: &mut World) -> (bothways_model::LocalId, bothways_model::RemoteId) {
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.kill();
    world.remote_update(&id, json!({ "name": "Remote" }));
    world.update(&row, &[("name", "Local")]);
    (row, id)
}

/// History names the remote value that ours replaced, and the rule that let it.
async fn assert_named(world: &World, id: &RemoteId, context: &str) {
    let filter = HistoryFilter { remote_id: Some(id.clone()), ..HistoryFilter::default() };
    let history = world.store.history(&filter, None, 100).await.unwrap();
    let named = history.iter().any(|row| {
        row.entry.op == HistoryOp::Update
            && row.entry.rules.contains(&11)
            && row.entry.fields["name"].before == Some(Value::Text("Remote".into()))
    });
    assert!(named, "{context}: {history:#?}");
}

#[tokio::test(start_paused = true)]
async fn history_names_what_was_replaced_by_an_update_whose_answer_was_lost() {
    for fault in [Action::LostAnswer, Action::LostRequest] {
        let setup = Setup::with("conflicts: { winner: local }\nsync: { feed: never, reconcile: never }");
        let mut world = World::new(Setup { webhooks: false, ..setup }).await;
        let (_, id) = both_renamed(&mut world).await;
        world.fault(Fault::next(fault.clone()).on(Method::Post, format!("/v1/customers/{id}")));
        world.restart().await;
        world.until("the fault", Duration::from_secs(60), async |w: &World| w.fired(fault.kind()) == 1).await;
        world.kill();
        world.restart().await;
        world.settle().await;
        world.assert_in_step().await;
        assert_named(&world, &id, fault.kind()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn history_names_what_was_replaced_where_another_field_was_changed_since() {
    let setup = Setup::with("conflicts: { winner: local }\nsync: { feed: never, reconcile: never }");
    let mut world = World::new(Setup { webhooks: false, ..setup }).await;
    let (row, id) = both_renamed(&mut world).await;
    world.update(&row, &[("phone", "1")]);
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, format!("/v1/customers/{id}")));
    world.restart().await;
    world.until("the fault", Duration::from_secs(60), async |w: &World| w.fired("lost_answer") == 1).await;
    world.kill();
    world.remote_update(&id, json!({ "phone": "2" }));
    world.restart().await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.remote(&id, "name").as_deref(), Some("Local"));
    let history = world.store.history(&HistoryFilter::default(), None, 100).await.unwrap();
    for (field, replaced) in [("name", "Remote"), ("phone", "2")] {
        let named = history.iter().any(|row| {
            let change = row.entry.fields.get(field);
            row.entry.rules.contains(&11)
                && change.is_some_and(|c| c.before == Some(Value::Text(replaced.into())))
        });
        assert!(named, "{field}: {history:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_a_person_typed_reaches_both_sides_when_its_answer_is_lost() {
    for fault in [Action::LostAnswer, Action::LostRequest] {
        let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
        let (row, id) = both_renamed(&mut world).await;
        world.restart().await;
        world.settle().await;
        let item = world.ops.parked(None, None, 10).await.unwrap().remove(0);
        world.fault(Fault::next(fault.clone()).on(Method::Post, format!("/v1/customers/{id}")));
        let typed = BTreeMap::from([(String::new(), KeepText::Value(json!("Third")))]);
        let typed = Resolution::Fields(typed);
        world.ops.resolve(&item.id, &typed, Some(&item.digest), "test").await.unwrap();
        world.until("the fault", Duration::from_secs(60), async |w: &World| w.fired(fault.kind()) == 1).await;
        world.kill();
        world.restart().await;
        world.settle().await;
        assert_eq!(world.remote(&id, "name").as_deref(), Some("Third"), "{fault:?}");
        assert_eq!(world.local(&row, "name").await.as_deref(), Some("Third"), "{fault:?}");
        world.assert_in_step().await;
    }
}

#[tokio::test(start_paused = true)]
async fn kills_at_any_moment_lose_and_double_nothing() {
    let mut world = World::new(Setup::default()).await;
    let mut rows = Vec::new();
    for round in 0..40u64 {
        let row = world.insert(&[("email", &format!("l{round}@example.com")), ("name", "L")]);
        world.remote_create(json!({ "email": format!("r{round}@example.com"), "name": "R" }));
        if let Some(earlier) = rows.last() {
            world.update(earlier, &[("name", &format!("L {round}"))]);
        }
        rows.push(row);
        tokio::time::sleep(Duration::from_millis(13 * (round % 11))).await;
        world.kill();
        world.restart().await;
    }
    tokio::time::sleep(LONG).await;
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.customers().len(), 80);
}

#[tokio::test(start_paused = true)]
async fn an_outage_parks_nothing_and_everything_arrives_afterwards() {
    let world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    world.set_down(true);
    for round in 0..20 {
        world.update(&row, &[("name", &format!("A{round}"))]);
        world.insert(&[("email", &format!("x{round}@example.com"))]);
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    assert!(world.parked().await.is_empty());
    world.set_down(false);
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn history_names_what_an_update_may_have_replaced_before_its_record_went() {
    for fault in [Action::LostAnswer, Action::LostRequest] {
        let setup = Setup::with("conflicts: { winner: local }\nsync: { feed: never, reconcile: never }");
        let mut world = World::new(Setup { webhooks: false, ..setup }).await;
        let (_, id) = both_renamed(&mut world).await;
        world.fault(Fault::next(fault.clone()).on(Method::Post, format!("/v1/customers/{id}")));
        world.restart().await;
        world.until("the fault", Duration::from_secs(60), async |w: &World| w.fired(fault.kind()) == 1).await;
        world.kill();
        world.remote_delete(&id);
        world.restart().await;
        world.settle().await;
        assert_named(&world, &id, fault.kind()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p31_an_id_that_is_reused_while_its_create_is_uncertain_brings_the_old_row_back_nowhere() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::LostRequest).on(Method::Post, "/v1/customers"));
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world
        .until("the lost request", Duration::from_secs(10), async |w: &World| w.fired("lost_request") == 1)
        .await;
    world.kill();
    world.delete(&row);
    world.insert(&[("id", row.as_str()), ("email", "bob@example.com"), ("name", "Bob")]);
    world.restart().await;
    world.settle().await;
    assert_eq!(world.stripe().counts().effective_creates, 1, "Ann's is not created any more");
    let bob = world.link_of(&row).await.remote_id.expect("Bob has a record");
    assert_eq!(world.remote(&bob, "email").as_deref(), Some("bob@example.com"));
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_of_an_uncertain_create_is_not_adopted_by_another_row_that_matches_it_by_now() {
    let mut world = World::new(Setup { webhooks: false, ..Setup::default() }).await;
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers"));
    let ann = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world
        .until("the lost answer", Duration::from_secs(10), async |w: &World| w.fired("lost_answer") == 1)
        .await;
    world.kill();
    let id = bothways_model::RemoteId(world.customers()[0]["id"].as_str().unwrap().to_owned());
    world.remote_update(&id, json!({ "email": "bob@example.com" }));
    let bob = world.insert(&[("email", "bob@example.com"), ("name", "Bob")]);
    // Bob is looked at long before Ann's lease is over.
    world.restart().await;
    world.settle().await;
    assert_eq!(world.link_of(&ann).await.remote_id, Some(id));
    assert!(world.links().await.iter().all(|link| link.local_id.as_ref() != Some(&bob)));
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0].parked.as_ref().unwrap().reason, ParkReason::Ambiguous);
    assert_eq!(world.local(&ann, "email").await.as_deref(), Some("bob@example.com"));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_begins_again_when_the_record_goes_that_its_next_page_follows() {
    let policies = "creates: { from_remote: ignore }\nsync: { feed: never, reconcile: never }";
    let mut world = World::new(Setup { webhooks: false, ..Setup::with(policies) }).await;
    world.fault(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers"));
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world
        .until("the lost answer", Duration::from_secs(10), async |w: &World| w.fired("lost_answer") == 1)
        .await;
    world.kill();
    // The newest come first, a hundred on a page.
    let ids: Vec<_> = (0..120)
        .map(|n| world.remote_create(json!({ "email": format!("c{n}@example.com"), "name": "C" })))
        .collect();
    let pages = |w: &World| {
        let stripe = w.stripe();
        stripe.requests().filter(|r| r.method == Method::Get && r.path == "/v1/customers").count()
    };
    let before = pages(&world);
    world.set_latency(Duration::from_secs(2));
    world.restart().await;
    world.until("a page", Duration::from_secs(60), async |w: &World| pages(w) > before).await;
    world.remote_delete(&ids[20]);
    world.settle().await;
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
    assert!(world.link_of(&row).await.remote_id.is_some());
    assert_eq!(world.stripe().counts().effective_creates, 1);
    let refused = world.stripe().requests().filter(|r| r.status == Some(400)).count();
    assert_eq!(refused, 1, "the page after the record that went");
}

#[tokio::test(start_paused = true)]
async fn history_names_what_an_update_replaces_that_arrives_after_it_was_given_up() {
    let setup = Setup { webhooks: false, ..Setup::with("conflicts: { winner: local }") };
    let mut world = World::new(setup).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.kill();
    world.remote_update(&id, json!({ "name": "Remote" }));
    world.update(&row, &[("name", "Local")]);
    let late = Action::LateRequest { delay_ms: Some(600_000) };
    world.fault(Fault::next(late).on(Method::Post, "/v1/customers"));
    world.restart().await;
    world
        .until("the late request", Duration::from_secs(60), async |w: &World| w.fired("late_request") == 1)
        .await;
    world.kill();
    world.delete(&row);
    world.remote_update(&id, json!({ "phone": "1" }));
    world.restart().await;
    world
        .until("the update", Duration::from_secs(1200), async |w: &World| {
            w.remote(&id, "name").as_deref() == Some("Local")
        })
        .await;
    let history = world.store.history(&HistoryFilter::default(), None, 100).await.unwrap();
    let named = history.iter().filter_map(|row| row.entry.fields.get("name"));
    let remote = Some(Value::Text("Remote".into()));
    assert!(named.into_iter().any(|change| change.before == remote), "{history:#?}");
}

#[tokio::test(start_paused = true)]
async fn p31_a_create_that_arrives_after_it_was_given_up_does_not_leave_its_record_alone() {
    let mut world = World::new(Setup::default()).await;
    let late = Action::LateRequest { delay_ms: Some(600_000) };
    world.fault(Fault::next(late).on(Method::Post, "/v1/customers"));
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world
        .until("the late request", Duration::from_secs(60), async |w: &World| w.fired("late_request") == 1)
        .await;
    world.kill();
    world.delete(&row);
    world.restart().await;
    world.settle().await;
    assert!(world.customers().is_empty() && world.parked().await.is_empty());
    world.until("the customer", Duration::from_secs(1200), async |w: &World| !w.customers().is_empty()).await;
    world.settle().await;
    let parked = world.parked().await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0].parked.as_ref().unwrap().reason, ParkReason::Delete, "from_local: manual");
    assert!(world.rows().await.is_empty(), "the row does not return");
}
