//! What a person may do, and what waits until one has.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::{EngineError, KeepText, Resolution};
use bothways_model::{LocalId, Method, RemoteId};
use bothways_store::{LinkState, Pairs, ParkReason, Parked, Pause, PauseScope, WorkQueue};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_the_plan_is_approved() {
    let setup = Setup { approved: false, walked: false, ..Setup::with("sync: { feed: 10s, reconcile: 1h }") };
    let world = World::new(setup).await;
    world.insert(&[("email", "a@example.com")]);
    world.remote_create(json!({ "email": "b@example.com" }));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.rows().await.len(), 1);
    assert_eq!(world.customers().len(), 1);
    assert!(world.links().await.is_empty());
    world.ops.approve(None, "test").await.unwrap();
    world
        .until("both sides", Duration::from_secs(120), async |w: &World| {
            w.rows().await.len() == 2 && w.customers().len() == 2
        })
        .await;
    world.settle().await;
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everything_and_resume_lets_it_go() {
    let world = World::new(Setup::default()).await;
    world.ops.pause(PauseScope::All, "maintenance", "test").await.unwrap();
    let row = world.insert(&[("email", "a@example.com")]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.customers().is_empty());
    assert!(world.ops.resume(&PauseScope::All, "test").await.unwrap());
    world.settle().await;
    world.assert_in_step().await;
    assert_eq!(world.link_of(&row).await.state, LinkState::Linked);
}

/// What an earlier look left to be sent again is a write as any other (rule 64).
#[tokio::test(start_paused = true)]
async fn a_pause_during_the_look_holds_a_write_that_is_sent_again() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let writes = world.writes();
    world.fault(Fault::next(Action::KeyInUse409).on(Method::Post, "/v1/customers"));
    world.update(&row, &[("name", "B")]);
    let fired = async |w: &World| w.fired("key_in_use409") > 0;
    world.until("the write gets stuck", Duration::from_secs(10), fired).await;
    world.set_latency(Duration::from_secs(2));
    let link = world.link_of(&row).await;
    let leased = async |w: &World| {
        let lease = w.link_of(&row).await.lease;
        lease.is_some_and(|now| Some(now.token) != link.lease.map(|before| before.token))
    };
    world.until("the next look begins", Duration::from_secs(60), leased).await;
    world.ops.pause(PauseScope::All, "maintenance", "test").await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.writes(), writes, "nothing goes out");
    assert!(world.ops.resume(&PauseScope::All, "test").await.unwrap());
    world.settle().await;
    assert_eq!(world.writes(), writes + 1);
    world.assert_in_step().await;
}

/// Another process stores a pause and says so to its user at once; what was changed before is not sent any more either (rule 64).
#[tokio::test(start_paused = true)]
async fn a_pause_by_another_process_holds_from_the_moment_it_is_stored() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let writes = world.writes();
    world.update(&row, &[("name", "B")]);
    let pause =
        Pause { scope: PauseScope::All, reason: "maintenance".into(), by: "test".into(), at: world.now() };
    Pairs::pause(&*world.store, &pause).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.writes(), writes, "nothing goes out");
    Pairs::resume(&*world.store, &PauseScope::All).await.unwrap();
    world.settle().await;
    assert_eq!(world.writes(), writes + 1);
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn unlink_and_link_by_hand() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    world.ops.unlink(link.id, "test").await.unwrap();
    world.update(&row, &[("name", "B")]);
    world.settle().await;
    let id: RemoteId = link.remote_id.unwrap();
    assert_eq!(world.remote(&id, "name").as_deref(), Some("A"), "nothing flows over an unlinked link");
    assert_eq!(world.customers().len(), 1, "and nothing is created in its place");
    world.ops.link(None, &row, &id, "test").await.unwrap();
    world.settle().await;
    let linked = world.link_of(&row).await;
    assert_eq!(linked.state, LinkState::Linked);
    assert!(linked.body.conflicts.contains_key("name"), "they differ at first contact: a person decides");
}

#[tokio::test(start_paused = true)]
async fn explain_names_both_sides_the_rule_and_the_line() {
    let world = World::new(Setup::default()).await;
    let row: LocalId = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    for name in [row.as_str(), id.as_str()] {
        let explained = world.ops.explain(None, name).await.unwrap();
        assert_eq!(explained.len(), 1);
        let name = explained[0].fields.iter().find(|f| f.verdict.label == "name").unwrap();
        assert_eq!(name.verdict.rule, 10);
        assert!(name.line.starts_with("stripe-customers.yaml:"), "{}", name.line);
        assert_eq!(explained[0].intents.len(), 1);
    }
    assert!(world.ops.explain(None, "nobody").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn explain_tells_of_events_and_what_they_were_good_for() {
    let world = World::new(Setup::default()).await;
    world.hold_webhooks(true);
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let id = world.link_of(&row).await.remote_id.unwrap();
    world.hold_webhooks(false);
    world.settle().await;
    let told = async || {
        let mut explained = world.ops.explain(None, row.as_str()).await.unwrap();
        explained.remove(0).events
    };
    let echo = told().await;
    let [created] = echo.as_slice() else { panic!("{echo:?}") };
    assert_eq!((created.told, created.looked), ("changed", false), "the echo of our own create");
    world.remote_update(&id, json!({ "name": "B" }));
    world.settle().await;
    let renamed = told().await;
    assert_eq!((renamed.len(), renamed[0].told, renamed[0].looked), (2, "changed", true), "{renamed:?}");
    assert!(renamed[0].id.starts_with("evt_") && renamed[0].at >= renamed[1].at, "{renamed:?}");
    assert_eq!(renamed[1].id, created.id);
}

#[tokio::test(start_paused = true)]
async fn credentials_of_another_account_stop_the_connection() {
    let mut world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    world.kill();
    world.fault(Fault::always(Action::OtherAccount));
    world.update(&row, &[("name", "B")]);
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let status = world.ops.status().await.unwrap().remove(0);
    assert!(status.blocked.is_some_and(|why| why.contains("acct_test")));
    assert!(world.customers().iter().all(|c| c["name"] != "B"));
    // The command line beside it has not asked for the account yet.
    world.kill();
    world.reopen().await;
    let status = world.ops.status().await.unwrap().remove(0);
    assert!(status.blocked.is_some_and(|why| why.contains("acct_test")));
    assert_eq!(world.ops.unready().await.unwrap().len(), 1);
    world.stripe().clear_faults();
    world.restart().await;
    world.settle().await;
    world.reopen().await;
    assert_eq!(world.ops.status().await.unwrap()[0].blocked, None, "the next engine that may work clears it");
    world.assert_in_step().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_or_linked_by_hand_with_credentials_of_another_account() {
    let mut world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    world.ops.unlink(link.id, "test").await.unwrap();
    world.kill();
    world.reopen().await;
    world.fault(Fault::always(Action::OtherAccount));
    let other = RemoteId::from("cus_of_the_other_account");
    let refusals = [
        world.ops.explain(None, row.as_str()).await.unwrap_err(),
        world.ops.link(None, &row, &other, "test").await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(&refusal, EngineError::Refused(why) if why.contains("acct_test")), "{refusal}");
    }
    assert!(!world.link_of(&row).await.state.is_live());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_does_not_exist_is_linked_to_nothing() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    world.ops.unlink(link.id, "test").await.unwrap();
    let gone = link.remote_id.unwrap();
    world.remote_delete(&gone);
    for id in [RemoteId::from("cus_typo"), gone] {
        let refused = world.ops.link(None, &row, &id, "test").await.unwrap_err();
        assert!(matches!(&refused, EngineError::NotFound(what) if what.contains(id.as_str())), "{refused}");
    }
    assert!(!world.link_of(&row).await.state.is_live());
}

/// Rule 68: who did what, and of what was changed digests of before and after, which tell no value.
#[tokio::test(start_paused = true)]
async fn what_people_change_is_noted_with_digests_of_before_and_after() {
    let mut world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "a@example.com"), ("name", "A")]);
    world.settle().await;
    let link = world.link_of(&row).await;
    let id = link.remote_id.clone().unwrap();
    let last = async |world: &World, action: &str| {
        let entry = world.ops.audits(1).await.unwrap().remove(0);
        assert_eq!((entry.by.as_str(), entry.action.as_str()), ("ada", action));
        let text = entry.detail.to_string();
        assert!(!text.contains("Bea") && !text.contains("Cy") && !text.contains("a@example.com"), "{text}");
        let digest = |when: &str| {
            let digest = entry.detail.get(when).unwrap_or_else(|| panic!("no {when}: {text}"));
            assert!(digest.is_null() || digest.as_str().is_some_and(|d| d.len() == 16), "{text}");
            digest.as_str().map(str::to_owned)
        };
        (digest("before"), digest("after"))
    };
    world.ops.unlink(link.id, "ada").await.unwrap();
    let (linked, unlinked) = last(&world, "unlink").await;
    assert!(linked.is_some() && unlinked.is_some() && linked != unlinked);

    world.update(&row, &[("name", "Bea")]);
    world.remote_update(&id, json!({ "name": "Cy" }));
    world.settle().await;
    world.ops.link(None, &row, &id, "ada").await.unwrap();
    let (none, again) = last(&world, "link").await;
    assert!(none.is_none() && again.is_some() && again != linked);
    world.settle().await;

    let scope = PauseScope::All;
    world.ops.pause(scope.clone(), "holiday", "ada").await.unwrap();
    let (running, paused) = last(&world, "pause").await;
    world.ops.pause(scope.clone(), "holiday, longer", "ada").await.unwrap();
    let (before, longer) = last(&world, "pause").await;
    assert_eq!((running, &before), (None, &paused));
    assert_ne!(longer, paused);
    world.ops.resume(&scope, "ada").await.unwrap();
    assert_eq!(last(&world, "resume").await, (longer, None));

    world.kill();
    world.reopen().await;
    let item = world.ops.parked(None, Some("conflict"), 9).await.unwrap().remove(0);
    let keep = |side: KeepText| Resolution::Fields([("name".to_owned(), side)].into());
    world.ops.resolve(&item.id, &keep(KeepText::Local), Some(&item.digest), "ada").await.unwrap();
    let (open, local) = last(&world, "resolve").await;
    world.ops.resolve(&item.id, &keep(KeepText::Remote), Some(&item.digest), "ada").await.unwrap();
    let (before, remote) = last(&world, "resolve").await;
    assert_eq!(before, local, "what one left is what the next one found");
    assert!(open != local && remote != local && remote != open);
}

#[tokio::test(start_paused = true)]
async fn parked_work_that_is_taken_up_or_dropped_is_noted_with_its_digest() {
    let world = World::new(Setup::default()).await;
    let mut digests = Vec::new();
    for n in 0..2 {
        let parked = Parked {
            reason: ParkReason::Ambiguous,
            message: format!("two records look like number {n}"),
            digest: "d".into(),
            at: world.now(),
        };
        world.store.park_group(world.pair(), &format!("group {n}"), &parked).await.unwrap();
        let item = world.ops.parked(None, None, 9).await.unwrap().pop().unwrap();
        match n {
            0 => world.ops.dismiss(&item.id, "ada").await.unwrap(),
            _ => world.ops.replay(&item.id, "ada").await.unwrap(),
        }
        let entry = world.ops.audits(1).await.unwrap().remove(0);
        assert_eq!(
            (entry.action.as_str(), &entry.detail["item"]),
            (["dismiss", "replay"][n], &json!(item.id))
        );
        assert_eq!(entry.detail.get("after"), Some(&json!(null)));
        digests.push(entry.detail["before"].as_str().unwrap().to_owned());
    }
    assert_ne!(digests[0], digests[1]);
}
