//! What an operator is shown of a mapping's state: in `/metrics` (rule 67), in the API and on the page (rules 47, 54).

use crate::mapped;
use crate::world::World;
use bothways_engine::{Clock, DriftReport, Quota};
use bothways_model::{LocalId, RemoteId};
use bothways_store::{
    BrakeKind, BrakeName, Brakes, Charge, ChargeKey, Cursor, Intake, Limit, PageCommit, Signal, Subject,
    WorkQueue,
};
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use std::sync::Arc;

const USED: Quota = Quota { used: 850, limit: 1000 };

/// What a full pass found: this was lost.
async fn drifted(world: &World, alert: bool) {
    let report = DriftReport { at: world.clock.now(), differing: 9, drifted: 4, missing: 2, alert };
    let name = format!("drift/{}", world.pair().await);
    let cursor = Some(Cursor { name, value: serde_json::to_value(&report).unwrap() });
    let page = PageCommit { cursor, ..PageCommit::default() };
    world.store.commit_page(world.clock.now(), &page).await.unwrap();
}

async fn withheld(world: &World, kind: BrakeKind, count: usize) {
    let brake = BrakeName { pair: world.pair().await, kind, part: String::new() };
    for n in 0..count {
        let key = ChargeKey::Row(LocalId(format!("w{n}")));
        let (now, what) = (world.clock.now(), "delete it".to_owned());
        let charge =
            Charge { brake: brake.clone(), key, what, limit: Limit::flat(0), since: now, ripening: None };
        world.store.charge(now, &charge).await.unwrap();
    }
}

#[tokio::test]
async fn metrics_tell_the_state_that_the_database_holds() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    let world = mapped::world(Some(USED), Some(Arc::new(move || handle.render()))).await;
    for n in 0..3 {
        let name = format!("r{n}");
        world.link(&n.to_string(), &name, &[("name", "here", "there")][..usize::from(n < 2)]).await;
    }
    world.park("two records look alike").await;
    withheld(&world, BrakeKind::Deletes, 2).await;
    drifted(&world, true).await;
    let pair = world.pair().await;
    let signal = |id: &str| Signal {
        pair,
        subject: Subject::Remote(RemoteId::from(id)),
        look: true,
        not_before: None,
    };
    world.store.signal(world.clock.now(), &[signal("r1")]).await.unwrap();
    world.clock.advance(TimeDelta::seconds(40));
    world.store.signal(world.clock.now(), &[signal("r2")]).await.unwrap();
    world.clock.advance(TimeDelta::seconds(2));
    // So many calls fail that the service counts as away.
    for _ in 0..20 {
        let id = world.thing("Ada", "").await;
        let linked =
            world.operations.link(Some(mapped::MAPPING), &LocalId(id), &RemoteId::from("r9"), "ada").await;
        assert!(linked.is_err());
    }
    let shown = world.call("GET", "/metrics").send().await.text;
    let mapping = "mapping=\"elsewhere-things\"";
    for (name, label, value) in [
        ("oldest_seconds", mapping, 42),
        ("pending", mapping, 2),
        ("held", mapping, 0),
        ("parked", mapping, 1),
        ("conflicts", mapping, 2),
        ("open_writes", mapping, 0),
        ("drift", mapping, 6),
        ("drift_alert", mapping, 1),
        ("lag_seconds", "connection=\"elsewhere\"", 42),
        ("quota_used", "connection=\"elsewhere\"", 850),
        ("quota_limit", "connection=\"elsewhere\"", 1000),
        ("circuit_open", "connection=\"elsewhere\"", 1),
        ("withheld", "mapping=\"elsewhere-things\",brake=\"deletes\"", 2),
        ("withheld", "mapping=\"elsewhere-things\",brake=\"creates\"", 0),
    ] {
        let line = format!("bothways_{name}{{{label}}} {value}");
        assert!(shown.lines().any(|shown| shown == line), "no line {line}:\n{shown}");
    }
}

#[tokio::test]
async fn lost_events_and_spent_calls_are_in_the_api_and_on_the_page() {
    let world = mapped::world(Some(USED), None).await;
    let browser = world.browser().await;
    let calm = browser.page("/status").await;
    assert!(!calm.contains("some are being lost"), "{calm}");
    assert_eq!(world.call("GET", "/api/status").send().await.json()["mappings"][0]["drift"], json!(null));

    drifted(&world, true).await;
    let status = world.call("GET", "/api/status").send().await.json();
    let drift = json!({
        "at": world.clock.now().to_rfc3339(), "differing": 9, "drifted": 4, "missing": 2, "alert": true,
    });
    assert_eq!(status["mappings"][0]["drift"], drift);
    let quota = json!({ "used": 850, "limit": 1000, "stops": "reading in bulk has stopped" });
    assert_eq!(status["mappings"][0]["quota"], quota);
    let page = browser.page("/status").await;
    assert!(page.contains("found 4 records that differed and 2 rows that were gone"), "{page}");
    assert!(page.contains("some are being lost"), "{page}");
    let used = "850 of the day&#39;s 1000 calls are used: reading in bulk has stopped";
    assert!(page.contains(used), "{page}");

    drifted(&world, false).await;
    let page = browser.page("/status").await;
    assert!(!page.contains("some are being lost"), "{page}");
    assert!(
        page.contains("9 records differed, of 4 of them nothing had told; 2 rows were gone untold"),
        "{page}"
    );
}
