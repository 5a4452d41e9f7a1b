//! What an adoption leaves to a person is decided at once (rule 18).

use crate::harness::{Setup, World, mapping};
use bothways_engine::{DecidedSet, EngineError};
use bothways_model::{LinkId, LocalId};
use bothways_store::{Guard, LinkWrite, Links, LocalBinding, Side, Unit};
use chrono::TimeDelta;
use serde_json::json;
use std::time::Duration;

/// `count` people whose names and phones differ on the two sides that were just linked.
async fn adopted(count: usize) -> (World, Vec<LocalId>) {
    let mapping = mapping("sync: { feed: never, reconcile: never }");
    let mut world =
        World::stopped(Setup { walked: false, webhooks: false, mapping, ..Setup::default() }).await;
    let mut rows = Vec::new();
    for n in 0..count {
        let email = format!("p{n}@example.com");
        rows.push(world.insert(&[("name", &format!("Here {n}")), ("phone", "+1"), ("email", &email)]));
        world.remote_create(json!({ "name": format!("There {n}"), "phone": "+2", "email": email }));
    }
    world.start().await;
    let walked = async |w: &World| w.engine.pairs().all(|pair| pair.is_walked());
    world.until("first contact", Duration::from_secs(1200), walked).await;
    world.settle().await;
    (world, rows)
}

const NAMES: Option<&str> = Some("name");

fn refusal(error: &EngineError) -> &str {
    let EngineError::Refused(why) = error else { panic!("{error}") };
    why
}

#[tokio::test(start_paused = true)]
async fn every_difference_of_a_field_is_decided_by_one_word_and_noted_once() {
    const COUNT: usize = 120;
    let (world, rows) = adopted(COUNT).await;
    let set = world.ops.conflicts(None, NAMES).await.unwrap();
    assert_eq!((set.count, set.more), (COUNT as u64, false));
    assert_eq!(set.fields, [("name".to_owned(), COUNT as u64)].into());
    let all = world.ops.conflicts(None, None).await.unwrap();
    assert_eq!(all.fields, [("name".to_owned(), COUNT as u64), ("phone".to_owned(), COUNT as u64)].into());
    assert_ne!(all.digest, set.digest);
    let writes = world.writes();

    let done = world.ops.resolve_all(None, NAMES, Side::Local, &set.digest, "ada").await.unwrap();
    assert_eq!(done, DecidedSet { decided: COUNT as u64, left_out: 0 });
    world.settle().await;
    for (n, row) in rows.iter().enumerate() {
        let link = world.link_of(row).await;
        let id = link.remote_id.clone().unwrap();
        assert_eq!(world.remote(&id, "name").unwrap(), format!("Here {n}"));
        assert_eq!(world.remote(&id, "phone").unwrap(), "+2", "nobody decided about phones");
        assert_eq!(link.body.conflicts.keys().collect::<Vec<_>>(), ["phone"]);
    }
    assert_eq!(world.writes(), writes + COUNT as u64);
    let audits = world.ops.audits(1000).await.unwrap();
    let deeds: Vec<_> = audits.iter().filter(|entry| entry.by == "ada").collect();
    assert_eq!(deeds.len(), 1, "{deeds:#?}");
    assert_eq!((deeds[0].action.as_str(), &deeds[0].detail["digest"]), ("resolve-all", &json!(set.digest)));
    assert_eq!((&deeds[0].detail["count"], &deeds[0].detail["keep"]), (&json!(COUNT), &json!("local")));
    assert!(!deeds[0].detail.to_string().contains("Here"), "no value of any record");

    let phones = world.ops.conflicts(None, None).await.unwrap();
    assert_eq!(phones.fields, [("phone".to_owned(), COUNT as u64)].into());
    world.ops.resolve_all(None, None, Side::Remote, &phones.digest, "ada").await.unwrap();
    world.settle().await;
    assert_eq!(world.local(&rows[0], "phone").await.as_deref(), Some("+2"));
    world.assert_in_step().await;
}

/// As an approval of what a brake withholds: of exactly what was shown, or of nothing.
#[tokio::test(start_paused = true)]
async fn a_set_that_moved_is_refused_as_a_whole() {
    let (world, rows) = adopted(3).await;
    let shown = world.ops.conflicts(None, NAMES).await.unwrap();
    world.update(&rows[1], &[("name", "Here and now")]);
    world.settle().await;
    let refused = world.ops.resolve_all(None, NAMES, Side::Remote, &shown.digest, "ada").await.unwrap_err();
    assert!(refusal(&refused).contains("3 records now"), "{refused}");
    let links = world.links().await;
    assert!(links.iter().all(|link| !link.body.has_choice()), "nothing is decided: {links:#?}");
    assert!(world.ops.audits(10).await.unwrap().iter().all(|entry| entry.action != "resolve-all"));

    // Others' records, or more of them, are another set as well.
    let now = world.ops.conflicts(None, NAMES).await.unwrap();
    let id = world.link_of(&rows[0]).await.id;
    let one = world.ops.item(&id.to_string()).await.unwrap();
    let choices =
        bothways_engine::Resolution::Fields([("name".into(), bothways_engine::KeepText::Local)].into());
    world.ops.resolve(&one.id, &choices, Some(&one.digest), "bea").await.unwrap();
    let refused = world.ops.resolve_all(None, NAMES, Side::Remote, &now.digest, "ada").await.unwrap_err();
    assert!(refusal(&refused).contains("2 records now"), "{refused}");

    let now = world.ops.conflicts(None, NAMES).await.unwrap();
    world.ops.resolve_all(None, NAMES, Side::Remote, &now.digest, "ada").await.unwrap();
    world.settle().await;
    assert_eq!(world.local(&rows[1], "name").await.as_deref(), Some("There 1"));
    assert_eq!(world.local(&rows[0], "name").await.as_deref(), Some("Here 0"));
    let none = world.ops.resolve_all(None, NAMES, Side::Remote, &now.digest, "ada").await.unwrap_err();
    assert!(refusal(&none).contains("no conflict"), "{none}");
    let unknown = world.ops.conflicts(None, Some("nmae")).await.unwrap_err();
    assert!(matches!(&unknown, EngineError::NotFound(what) if what.contains("nmae")), "{unknown}");
}

/// The record is changed by whoever holds it, while everybody else's is decided.
#[tokio::test(start_paused = true)]
async fn what_moves_while_the_set_is_decided_is_left_out() {
    let (mut world, rows) = adopted(3).await;
    world.kill();
    world.reopen().await;
    let set = world.ops.conflicts(None, NAMES).await.unwrap();
    let (moving, held) = (world.link_of(&rows[0]).await.id, world.link_of(&rows[1]).await.id);
    let lease = async |id: LinkId, seconds: i64| {
        let now = world.now();
        world.store.lease(id, now, now + TimeDelta::seconds(seconds)).await.unwrap().unwrap()
    };
    let (taken, _busy) = (lease(moving, 60).await, lease(held, 60).await);
    let mut link = taken.link.unwrap();
    let change = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        link.body.conflicts.get_mut("name").unwrap().local =
            Some(bothways_model::Value::Text("Later".into()));
        let mut unit = Unit::new(Guard::Token { link: moving, token: taken.token });
        unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
        world.store.commit(world.now(), &[unit]).await.unwrap();
    };
    let decide = world.ops.resolve_all(None, NAMES, Side::Local, &set.digest, "ada");
    let (done, ()) = futures::join!(decide, change);
    assert_eq!(done.unwrap(), DecidedSet { decided: 1, left_out: 2 });
    for (row, decided) in rows.iter().zip([false, false, true]) {
        let link = world.link_of(row).await;
        assert_eq!(link.body.conflicts["name"].choice.is_some(), decided, "{link:#?}");
    }
}
