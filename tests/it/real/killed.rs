//! SIGKILL in the midst of 1,000 changes on both sides, several times, with edits that go on while the program is down. In the end
//! nothing is lost, nothing is doubled, and both sides are equal record by record.
//!
//! Local edits are names and remote edits are phones, so that no two of them are about one field and all must survive.

use crate::real::draw::Draw;
use crate::real::installation::Installation;
use crate::real::patience::{EVENTUALLY, SOON, until};
use crate::real::peer::Peer;
use crate::real::program::Process;
use crate::real::sides::{Sides, fold, wait_until_in_step};
use crate::real::table::Table;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// How many changes there are.
const CHANGES: u64 = 1_000;
/// How many of them are made between two starts.
const ROUND: u64 = 200;
/// People on both sides before the first change.
const BEFORE: u64 = 100;
/// The variable that makes a run choose as another one did.
pub(crate) const SEED: &str = "BOTHWAYS_KILL_SEED";

#[tokio::test]
async fn sigkill_during_1000_creates_and_updates_against_the_sandbox() {
    let mut installation = Installation::new("sync: { feed: 5s, reconcile: 10s }");
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    survive(&installation, &peer).await;
    let state = peer.steer(reqwest::Method::GET, "/state", None).await;
    let creates = state["requests"]["effective_creates"].as_u64().expect("a count");
    assert_eq!(
        state["customers"], creates,
        "every record was created once, and none was taken back: {state}"
    );
}

/// It ignores idempotency keys: an uncertain create is found by its e-mail alone.
#[tokio::test]
async fn sigkill_during_1000_updates_and_creates_found_by_email_against_localstripe() {
    let mut installation = Installation::new("sync: { feed: never, reconcile: 10s }");
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    survive(&installation, &peer).await;
}

/// What everybody has to be called in the end, and their phones, by e-mail.
type Expected = BTreeMap<String, (String, Option<String>)>;

struct World<'a> {
    peer: &'a Peer,
    table: &'a Table,
    /// Remote ids by e-mail, of records that surely exist.
    remote: BTreeMap<String, String>,
    expected: Expected,
    draw: Draw,
}

async fn survive(installation: &Installation, peer: &Peer) {
    let draw = Draw::from_environment(SEED);
    let mut running = installation.run().await;
    let table = installation.table().await;
    let people = (0..BEFORE).map(|i| (format!("Person {i}"), format!("person{i}@example.com")));
    table.insert_all(people.clone()).await;
    wait_until_in_step(&table, peer, BEFORE as usize, SOON).await;
    let customers = peer.customers().await;
    let mut world = World {
        peer,
        table: &table,
        remote: customers.into_iter().map(|customer| (customer.email, customer.id)).collect(),
        expected: people.map(|(name, email)| (email, (name, None))).collect(),
        draw,
    };
    for round in 0..CHANGES / ROUND {
        let numbers = round * ROUND..(round + 1) * ROUND;
        let killed_at = numbers.start + world.draw.below(ROUND * 3 / 4);
        for number in numbers {
            if number == killed_at {
                // While it is busy with the last few changes.
                kill_within(20, &mut running, &mut world.draw).await;
            }
            world.change(number).await;
        }
        // While it is busy with all that happened when it was down.
        running = installation.run().await;
        kill_within(400, &mut running, &mut world.draw).await;
        running = installation.run().await;
    }
    let expected = world.expected;
    until("both sides in step after all kills", EVENTUALLY, async || {
        Sides::read(&table, peer).await.in_step(expected.len())
    })
    .await;
    let rows = table.rows().await;
    let found: Expected =
        rows.into_iter().map(|r| (fold(&r.email), (r.name.unwrap_or_default(), r.phone))).collect();
    for (email, person) in &expected {
        assert_eq!(found.get(email), Some(person), "{email}");
    }
    assert_eq!(found.len(), expected.len());
    let parked = installation.parked();
    assert!(parked.is_empty(), "{parked:#?}");
    assert!(running.is_running());
}

/// Within so many milliseconds from now, wherever the program is then.
pub(crate) async fn kill_within(millis: u64, running: &mut Process, draw: &mut Draw) {
    let moment = Duration::from_millis(draw.below(millis));
    let ended = timeout(moment, running.end()).await;
    assert!(ended.is_err(), "it has ended by itself: {ended:?}");
    running.kill();
}

impl World<'_> {
    /// One change of a person on one side.
    async fn change(&mut self, number: u64) {
        let at_home = self.draw.below(2) == 0;
        if self.draw.below(3) == 0 {
            let (name, email) = (format!("New {number}"), format!("new{number}@example.com"));
            if at_home {
                self.table.insert(&name, &email).await;
            } else {
                let id = self.peer.create(&[("name", &name), ("email", &email)]).await;
                self.remote.insert(email.clone(), id);
            }
            self.expected.insert(email, (name, None));
            return;
        }
        let email = format!("person{}@example.com", self.draw.below(BEFORE));
        let person = self.expected.get_mut(&email).expect("everybody is known");
        if at_home {
            person.0 = format!("Renamed {number}");
            self.table.rename(&email, &person.0).await;
        } else {
            let phone = format!("+1 555 {number:04}");
            self.peer.update(&self.remote[&email], &[("phone", &phone)]).await;
            person.1 = Some(phone);
        }
    }
}
