//! A service that fails: nobody hammers it, nothing parks, and everything arrives when it is back (rules 42, 46).

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_engine::Quota;
use bothways_model::Method;
use bothways_store::{Intake, WorkQueue};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn an_outage_parks_nothing_however_the_service_fails() {
    let world = World::new(Setup::default()).await;
    let rows: Vec<_> = (0..60).map(|n| world.insert(&[("email", &format!("p{n}@example.com"))])).collect();
    world.settle().await;
    world.fault(Fault::always(Action::Error500));
    for row in &rows {
        world.update(row, &[("name", "Changed")]);
    }
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert!(world.parked().await.is_empty(), "{:#?}", world.parked().await);
    let status = world.ops.status().await.unwrap();
    assert!(status[0].trouble.iter().any(|text| text.contains("calls within a minute failed")), "{status:?}");
    let fired = world.fired("error500");
    assert!(fired < 400, "nobody is hammered: {fired} calls in two hours");
    world.stripe().clear_faults();
    world.settle().await;
    world.assert_in_step().await;
    assert!(world.ops.status().await.unwrap()[0].trouble.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_however_long_is_kept_and_stops_nothing_else() {
    let world = World::new(Setup::default()).await;
    let pause = Fault::next(Action::RateLimited429 { retry_after: u64::MAX });
    world.fault(pause.on(Method::Post, "/v1/customers"));
    world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    let refused = async |w: &World| w.fired("rate_limited429") == 1;
    world.until("the refusal", Duration::from_secs(10), refused).await;
    let other = world.insert(&[("email", "bob@example.com"), ("name", "Bob")]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(
        world.customers().len(),
        1,
        "the refused row waits as long as the service asks, within reason"
    );
    world.link_of(&other).await.remote_id.expect("the other one is created");
}

#[tokio::test(start_paused = true)]
async fn what_the_days_calls_hold_back_says_so() {
    let world = World::new(Setup::default()).await;
    let row = world.insert(&[("email", "ann@example.com"), ("name", "Ann")]);
    world.settle().await;
    let quota = Quota { used: 96, limit: 100 };
    world.use_up(Some(quota));
    world.update(&row, &[("name", "Anna")]);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let work = world.store.work_of(world.pair(), Some(&row), None).await.unwrap();
    assert!(work[0].held.as_deref().is_some_and(|why| why.contains("day's calls")), "{work:?}");
    let status = world.ops.status().await.unwrap().remove(0);
    assert_eq!((status.counts.held, status.quota), (1, Some(quota)));
    let kept = world.store.cursor("calls/stripe").await.unwrap();
    assert_eq!(kept.unwrap()["quota"]["used"], 96, "another process can say it");
    world.use_up(None);
    world.settle().await;
    world.assert_in_step().await;
}
