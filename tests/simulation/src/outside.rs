//! What else happens around the engines: webhooks are delivered, clocks jump, operators operate.

use crate::dice::Dice;
use crate::executor::WORLD;
use crate::fleet::{Fleet, Running};
use crate::kinds::Place;
use crate::network::catch_up;
use crate::sim::Sim;
use bothways_connector::Unverified;
use bothways_connector_sandbox::Delivery;
use bothways_engine::stored::{DeleteChoice, PauseScope, WithheldSet};
use bothways_engine::{EngineError, KeepText, Received, Resolution, RevertTarget};
use bothways_model::ConnectionName;
use chrono::TimeDelta;
use futures::future::{BoxFuture, Either, select};
use futures::pin_mut;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// Hands out what the service wants delivered, and lets it do what is due by itself.
pub(crate) async fn deliver(fleet: Arc<Fleet>) {
    let sim = fleet.sim.clone();
    loop {
        catch_up(&sim);
        let now = sim.true_time();
        let (due, next) = {
            let mut stripe = sim.stripe();
            let due = if sim.plan.webhooks { stripe.due_deliveries(now) } else { Vec::new() };
            (due, stripe.next_due())
        };
        let next = next.into_iter().chain(sim.org().next_due()).min();
        for delivery in due {
            sim.executor.spawn(WORLD, "delivery", deliver_one(fleet.clone(), delivery));
        }
        let wait = next.map_or(Duration::from_secs(3600), |next| {
            (next - now).to_std().unwrap_or(Duration::from_millis(20)).max(Duration::from_millis(20))
        });
        let timer = sim.executor.sleep(wait);
        let told = sim.deliveries.notified();
        pin_mut!(timer, told);
        select(timer, told).await;
    }
}

async fn deliver_one(fleet: Arc<Fleet>, delivery: Delivery) {
    let sim = &fleet.sim;
    let wait = sim.draw(|dice| dice.millis(1, 200));
    sim.executor.sleep(wait).await;
    let status = match fleet.one() {
        None => {
            sim.count("delivery_to_nobody");
            None
        }
        Some(running) => receive(sim, &running, &delivery).await,
    };
    sim.note("delivered", u64::from(status.unwrap_or(0)), 0);
    sim.say(|| format!("event {} delivered: {status:?}", delivery.event));
    let now = sim.true_time();
    sim.stripe().delivered(&delivery.id, status, now);
    sim.deliveries.notify_one();
}

async fn receive(sim: &Arc<Sim>, running: &Running, delivery: &Delivery) -> Option<u16> {
    let (tell, told) = oneshot::channel();
    let intake = running.intake.clone();
    let unverified = Unverified { headers: delivery.headers.clone(), body: delivery.body.clone() };
    let process = running.process.clone();
    let event = delivery.event.clone();
    sim.executor.spawn(process.pid, "webhook", async move {
        let received = intake.receive(&ConnectionName::from("stripe"), unverified).await;
        if matches!(received, Received::Accepted { .. }) && !process.sim.is_stored(&event) {
            process.sim.is_wrong(format!("webhook: event {event} was accepted before it was stored"));
        }
        let status = match received {
            Received::Accepted { .. } => 200,
            Received::StoreFailed => 503,
            Received::Rejected => 401,
            Received::UnknownConnection => 404,
            Received::Unreadable => 400,
        };
        // The sender may have given up.
        let _ = tell.send(status);
    });
    let timer = sim.executor.sleep(Duration::from_secs(10));
    pin_mut!(timer);
    match select(told, timer).await {
        Either::Left((status, _)) => status.ok(),
        Either::Right(_) => None,
    }
}

/// Lets the machine's clock jump now and then.
pub(crate) async fn jump(sim: Arc<Sim>) {
    while !sim.is_calm() {
        let wait = sim.draw(|dice| dice.millis(500, 10_000));
        sim.executor.sleep(wait).await;
        if sim.is_calm() || !sim.draw(|dice| dice.chance(sim.plan.weather.clock_jump)) {
            continue;
        }
        let seconds = sim.draw(|dice| dice.between(0, 240)).cast_signed() - 120;
        sim.clock_offset.store(seconds * 1_000_000, Ordering::Relaxed);
        sim.count("clock_jump");
        sim.say(|| format!("the clock is {seconds} s off"));
    }
}

/// An administrator of Salesforce, who ends sessions, empties the recycle bin, and shortens the log of deletes.
pub(crate) async fn administer(sim: Arc<Sim>) {
    while sim.plan.admins && !sim.is_calm() {
        let wait = sim.draw(|dice| dice.millis(5_000, 60_000));
        sim.executor.sleep(wait).await;
        if sim.is_calm() {
            return;
        }
        let now = sim.true_time();
        let what = match sim.draw(|dice| dice.below(4)) {
            0 => {
                sim.org().dashboard_empty_recycle_bin(now);
                sim.note_bin_emptied();
                "recycle_bin_emptied"
            }
            1 => {
                sim.org().dashboard_purge_delete_log(now);
                "delete_log_purged"
            }
            _ => {
                sim.org().dashboard_end_sessions();
                "sessions_ended"
            }
        };
        sim.count(what);
        sim.say(|| format!("an administrator: {what}"));
    }
}

/// A person who signs in again at Salesforce when it is shown that this has to be.
pub(crate) async fn sign_in(fleet: Arc<Fleet>) {
    let sim = fleet.sim.clone();
    loop {
        sim.executor.sleep(Duration::from_secs(10)).await;
        if fleet.is_locked_out() {
            sim.count("consented_anew");
            sim.say(|| "a person signs in again".to_owned());
            fleet.sign_in();
            // Whoever is up by then hears that it may go on.
            sim.executor.sleep(Duration::from_secs(20)).await;
            ask(&fleet, |running| Box::pin(resume_all(running)));
            sim.executor.sleep(Duration::from_secs(10)).await;
        }
    }
}

/// Runs something in one of the processes. Nothing comes of it if there is none, or if it dies.
pub(crate) fn ask<F>(fleet: &Fleet, what: F)
where
    F: FnOnce(Running) -> BoxFuture<'static, Result<(), EngineError>>,
{
    is_heard(fleet, what);
}

/// The same; false if there is no process that could hear it.
pub(crate) fn is_heard<F>(fleet: &Fleet, what: F) -> bool
where
    F: FnOnce(Running) -> BoxFuture<'static, Result<(), EngineError>>,
{
    // Nobody waits for an answer of a process that is not scheduled.
    let awake = |running: &Running| !fleet.sim.executor.is_frozen(running.process.pid);
    let Some(running) = fleet.one_of(awake) else { return false };
    let sim = fleet.sim.clone();
    let pid = running.process.pid;
    let asked = what(running);
    fleet.sim.executor.spawn(pid, "operator", async move {
        if let Err(error) = asked.await {
            sim.say(|| format!("operator: {error}"));
        }
    });
    true
}

/// People who pause, resume, resolve and replay.
pub(crate) async fn operate(fleet: Arc<Fleet>, endpoint: Option<String>, mut dice: Dice) {
    let sim = fleet.sim.clone();
    loop {
        let wait = if sim.is_calm() { Duration::from_secs(5) } else { dice.millis(2_000, 60_000) };
        sim.executor.sleep(wait).await;
        // Whatever is paused is resumed some day; for good when everything else is quiet.
        ask(&fleet, |running| Box::pin(resume_all(running)));
        if sim.is_calm() {
            // Whoever was frozen may still hear that something is wrong, and pause.
            if sim.executor.now() > sim.calm_since() + 600_000_000 {
                return;
            }
            continue;
        }
        if !sim.plan.operators {
            continue;
        }
        match dice.below(10) {
            9 => {
                let Some(place) = some_place(&sim, &mut dice) else { continue };
                let id = sim.ledger(place.kind).rows.keys().nth(dice.below(8) as usize).cloned();
                ask(&fleet, |running| Box::pin(revert_one(running, place, id)));
            }
            8 if sim.plan.approves => ask(&fleet, |running| Box::pin(approve_all(running))),
            0 => {
                sim.count("operator_paused");
                let place = some_place(&sim, &mut dice);
                let scope = match (dice.below(3), place) {
                    (0, _) | (_, None) => PauseScope::All,
                    (_, Some(place)) => {
                        PauseScope::Connection(ConnectionName::from(place.service.connection()))
                    }
                };
                ask(&fleet, |running| {
                    Box::pin(async move { running.ops.pause(scope, "for a while", "the simulator").await })
                });
            }
            1 => ask(&fleet, |running| Box::pin(pass_all(running))),
            2 => {
                if let Some(endpoint) = endpoint.as_ref().filter(|_| fleet.may_roll()) {
                    let now = sim.true_time();
                    let rolled = sim.stripe().dashboard_roll_secret(endpoint, TimeDelta::hours(24), now);
                    if let Ok(secret) = rolled {
                        sim.count("secret_rolled");
                        fleet.add_secret(secret);
                    }
                }
            }
            3 => {
                sim.count("operator_replayed");
                ask(&fleet, |running| Box::pin(replay_all(running)));
            }
            _ => {
                let draws = (dice.below(2), dice.below(3));
                ask(&fleet, |running| Box::pin(resolve_one(running, draws)));
            }
        }
    }
}

async fn resume_all(running: Running) -> Result<(), EngineError> {
    let pairs: Vec<PauseScope> = running.ops.engine().pairs().map(|pair| PauseScope::Pair(pair.id)).collect();
    let services = running.process.sim.plan.services().into_iter();
    let connections =
        services.map(|service| PauseScope::Connection(ConnectionName::from(service.connection())));
    for scope in std::iter::once(PauseScope::All).chain(connections).chain(pairs) {
        running.ops.resume(&scope, "the simulator").await?;
    }
    Ok(())
}

/// Has all mappings pass over everything.
pub(crate) async fn pass_all(running: Running) -> Result<(), EngineError> {
    for pair in running.ops.engine().pairs() {
        running.ops.engine().want_pass(pair.id).await?;
    }
    Ok(())
}

/// One of the mappings.
fn some_place(sim: &Sim, dice: &mut Dice) -> Option<&'static Place> {
    let places = &sim.plan.places;
    // Nothing is drawn where there is one.
    let index = if places.len() > 1 { dice.below(places.len() as u64) } else { 0 };
    places.get(usize::try_from(index).unwrap_or(0)).copied()
}

/// Takes back the last thing that was written to a row, if there is such a thing.
pub(crate) async fn revert_one(
    running: Running,
    place: &'static Place,
    id: Option<String>,
) -> Result<(), EngineError> {
    let Some(id) = id else { return Ok(()) };
    let target = RevertTarget::Record { mapping: Some(place.mapping.to_owned()), id, entry: None };
    running.ops.revert(&target, false, "the simulator", &mut |_| ()).await?;
    Ok(())
}

/// Takes everything parked up again.
pub(crate) async fn replay_all(running: Running) -> Result<(), EngineError> {
    for item in running.ops.parked(None, None, 200).await? {
        if item.id.parse::<i64>().is_ok() && item.reason != "ambiguous" {
            running.ops.replay(&item.id, "the simulator").await?;
        }
    }
    Ok(())
}

/// Approves whatever brakes withhold.
pub(crate) async fn approve_all(running: Running) -> Result<(), EngineError> {
    for brake in running.ops.brakes().await? {
        let shown = running.ops.brake(&brake.id).await?;
        let Some(digest) = shown.set.filter(|_| shown.open > 0) else { continue };
        let set = WithheldSet { count: shown.open, digest };
        running.ops.approve_brake(&brake.id, &set, None, "seen", "the simulator").await?;
        running.process.sim.count("brake_approved");
    }
    Ok(())
}

/// Decides about one conflict or delete.
async fn resolve_one(running: Running, (which, how): (u64, u64)) -> Result<(), EngineError> {
    let reason = if which == 0 { "conflict" } else { "delete" };
    let items = running.ops.parked(None, Some(reason), 50).await?;
    let Some(item) = items.first() else { return Ok(()) };
    let resolution = match (reason, how) {
        ("conflict", 0) => Resolution::Fields(BTreeMap::from([(String::new(), KeepText::Remote)])),
        ("conflict", _) => Resolution::Fields(BTreeMap::from([(String::new(), KeepText::Local)])),
        (_, 0) => Resolution::Delete(DeleteChoice::Carry),
        // A row that was taken back out of the archive is to have a record again.
        (_, 1) if running.process.sim.plan.archives > 0 => Resolution::Delete(DeleteChoice::Recreate),
        _ => Resolution::Delete(DeleteChoice::Keep),
    };
    let sim = running.process.sim.clone();
    // Noted before: whoever asks for it may die when it is decided.
    if let (Resolution::Delete(DeleteChoice::Carry), Some(link)) = (&resolution, &item.link) {
        sim.note_carried(link);
    }
    running.ops.resolve(&item.id, &resolution, Some(&item.digest), "the simulator").await?;
    sim.count("operator_resolved");
    Ok(())
}
