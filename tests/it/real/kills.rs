//! SIGKILL again and again, at any moment, while people edit both sides all along, also while the program is down. In the end nothing is
//! lost, doubled or overwritten unseen, and both sides are equal record by record.
//!
//! `BOTHWAYS_KILLS` says how many there are.

use crate::real::again::pass_writes_nothing;
use crate::real::draw::{Draw, number};
use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::killed::{SEED, kill_within};
use crate::real::ledger::account;
use crate::real::patience::{EVENTUALLY, SOON, hold, until};
use crate::real::peer::Peer;
use crate::real::program::Process;
use crate::real::sides::{Sides, wait_until_in_step};
use crate::real::table::Table;
use crate::real::users::Users;
use reqwest::Method;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The variable that says how often it is killed, and what is usual.
const KILLS: (&str, u64) = ("BOTHWAYS_KILLS", 200);
/// How many people there are in the end, at most.
const PEOPLE: usize = 300;
/// Milliseconds within which a program that starts is killed, and one that works.
const STARTING: u64 = 250;
const WORKING: u64 = 400;
/// The variable that says how many installations are killed while they are set up.
const SETUPS: (&str, u64) = ("BOTHWAYS_SETUPS", 25);

#[tokio::test]
#[allow(clippy::print_stderr, reason = "read in the output of a test")]
async fn nothing_is_lost_doubled_or_overwritten_by_kills_at_any_moment() {
    let mut draw = Draw::from_environment(SEED);
    let kills = number(KILLS.0, KILLS.1);
    let mut installation = Installation::with_winners("sync: { feed: 5s, reconcile: 10s }");
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    installation.run().await.kill();
    let table = installation.table().await;
    let mut users = Users::new(&table, &peer, PEOPLE, draw.branch());
    let stop = Cell::new(false);
    let start = Instant::now();
    let killing = async {
        for _ in 0..kills {
            kill_one(&installation, &mut draw).await;
        }
        stop.set(true);
    };
    tokio::join!(killing, users.edit_until(&stop, Duration::from_millis(20)));
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "{kills} kills in {seconds:.0} s, {:.1} a second, among {} edits about {} people",
        kills as f64 / seconds,
        users.edits().len(),
        users.people()
    );

    let running = installation.run().await;
    let ours = settle_the_account(&installation, &peer, &table, &users, running, &mut draw).await;
    // Each of our writes carries at least one edit; an uncertain one may have to be made again.
    let edits = users.edits().len() as u64;
    assert!(ours <= edits + kills, "{ours} writes for {edits} edits");
    pass_writes_nothing(&installation, &peer, &table).await;
}

/// Waits until both sides are in step, with a person who decides conflicts, ends the program and looks at everything. Returns how many
/// writes of ours changed something at the service.
#[allow(clippy::print_stderr, reason = "read in the output of a test")]
pub(crate) async fn settle_the_account(
    installation: &Installation,
    peer: &Peer,
    table: &Table,
    users: &Users<'_>,
    mut running: Process,
    draw: &mut Draw,
) -> u64 {
    let decided = decide_conflicts(installation, draw).await;
    eprintln!("{} conflicts and {} storms were left to a person", decided.conflicts, decided.storms);
    let people = users.people();
    wait_until_in_step(table, peer, people, EVENTUALLY).await;
    let parked = installation.parked();
    assert!(parked.is_empty(), "{parked:#?}");
    assert!(running.is_running());
    running.kill();

    let sides = Sides::read(table, peer).await;
    sides.nobody_twice().expect("nobody is there twice");
    let wrong = account(table, peer, &sides, users.edits()).await;
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let counts = &peer.steer(Method::GET, "/state", None).await["requests"];
    let count = |name: &str| counts[name].as_u64().expect("a count");
    assert_eq!(count("effective_creates"), people as u64, "everybody was created once: {counts}");
    count("effective_writes") - users.calls()
}

/// Starts the program and kills it, while it still starts or while it works.
async fn kill_one(installation: &Installation, draw: &mut Draw) {
    let mut running = installation.start(&["run", "--approve"]);
    if draw.below(4) == 0 {
        return kill_within(STARTING, &mut running, draw).await;
    }
    running.hear("that it is ready", |line| (line == "ready").then_some(())).await;
    kill_within(WORKING, &mut running, draw).await;
}

/// What a person decided.
struct Decided {
    conflicts: usize,
    /// Records that a full pass found changed in bulk.
    storms: u64,
}

/// Decides every conflict for one of the sides and lets every storm happen, until nothing waits any more.
async fn decide_conflicts(installation: &Installation, draw: &mut Draw) -> Decided {
    let mut decided: BTreeMap<String, &str> = BTreeMap::new();
    let mut storms = 0;
    until("no conflict is left", EVENTUALLY, async || {
        let status = installation.status();
        storms += approve_storms(installation);
        let parked = installation.parked();
        for item in parked.iter().filter(|item| item["reason"] == "conflict") {
            let id = item["id"].as_str().expect("an id");
            let drawn = if draw.below(2) == 0 { "local" } else { "remote" };
            let side = *decided.entry(id.to_owned()).or_insert(drawn);
            // Refused where a value has moved since: the next look decides again.
            let digest = item["digest"].as_str().expect("a digest");
            installation.verb(&["parked", "resolve", id, "--digest", digest, "--keep", side]);
        }
        hold(parked.is_empty() && status["counts"]["pending"] == 0, || format!("{status}"))
    })
    .await;
    Decided { conflicts: decided.len(), storms }
}

/// Approves what a full pass found changed in bulk after a kill, as a person does: seen, then exactly that. Nobody deletes or empties
/// anything here, so any other brake is a mistake.
fn approve_storms(installation: &Installation) -> u64 {
    let on = installation.verb(&["brakes", "--format", "json"]).json();
    let mut approved = 0;
    for brake in on.as_array().expect("a list") {
        assert_eq!(brake["kind"], "updates", "{brake}");
        let id = brake["id"].as_str().expect("its name");
        let shown = installation.verb(&["brakes", id, "--format", "json"]);
        // It may be off by now, and withhold another set by the time it is approved: the next round sees.
        let Ok(shown) = serde_json::from_str::<serde_json::Value>(&shown.out) else { continue };
        let (Some(set), Some(open)) = (shown["brake"]["set"].as_str(), shown["brake"]["open"].as_u64())
        else {
            continue;
        };
        if open > 0 && installation.verb(&["approve", id, "--set", set]).code == Some(0) {
            approved += open;
        }
    }
    approved
}

#[tokio::test]
async fn an_installation_killed_while_it_is_set_up_needs_no_repair() {
    let mut draw = Draw::from_environment(SEED);
    for _ in 0..number(SETUPS.0, SETUPS.1) {
        let mut installation = Installation::new(PASSES_ALONE);
        let peer = Peer::sandbox(installation.folder()).await;
        installation.connect(&peer);
        peer.create(&[("name", "Ada"), ("email", "ada@example.com")]).await;
        let mut first = installation.start(&["run", "--approve"]);
        kill_within(STARTING, &mut first, &mut draw).await;
        let _second = installation.run().await;
        wait_until_in_step(&installation.table().await, &peer, 1, SOON).await;
    }
}
