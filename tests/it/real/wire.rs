//! Faults of the wire, in both directions, while people edit both sides: between the program and the service's API, and between the
//! service and the program's port for webhooks. In the end nothing is lost, doubled or overwritten unseen.
//!
//! `BOTHWAYS_WIRE` says how often each fault is to have happened.

use crate::real::again::pass_writes_nothing;
use crate::real::draw::{Draw, number};
use crate::real::installation::Installation;
use crate::real::kills::settle_the_account;
use crate::real::peer::Peer;
use crate::real::proxy::{Fault, Proxy};
use crate::real::users::Users;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The variable that says how often each fault is to have happened, and what is usual.
const WIRE: (&str, u64) = ("BOTHWAYS_WIRE", 8);
/// The variable that makes a run choose as another one did.
const SEED: &str = "BOTHWAYS_WIRE_SEED";
/// How many people there are in the end, at most.
const PEOPLE: usize = 300;
/// Of 1,000 exchanges so many are spoiled.
const SHARE: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr, reason = "read in the output of a test")]
async fn nothing_is_lost_doubled_or_overwritten_by_faults_of_the_wire() {
    let mut draw = Draw::from_environment(SEED);
    let times = number(WIRE.0, WIRE.1);
    let mut installation = Installation::with_winners("sync: { feed: 5s, reconcile: 10s }");
    let peer = Peer::sandbox(installation.folder()).await;
    let api = Proxy::before(peer.url().trim_start_matches("http://"), draw.branch()).await;
    let hooks = Proxy::before(&installation.hooks_address(), draw.branch()).await;
    installation.connect_to(&format!("http://127.0.0.1:{}", api.port()));
    let secret = peer.send_webhooks_to(&format!("http://127.0.0.1:{}/hooks/stripe", hooks.port())).await;
    installation.set("STRIPE_WEBHOOK_SECRET", secret);
    let running = installation.run().await;
    let table = installation.table().await;
    let mut users = Users::new(&table, &peer, PEOPLE, draw.branch());
    let stop = Cell::new(false);
    let start = Instant::now();
    api.spoil(SHARE);
    hooks.spoil(SHARE);
    let faults = async {
        for proxy in [&api, &hooks] {
            proxy.wait_for(times).await;
        }
        stop.set(true);
    };
    tokio::join!(faults, users.edit_until(&stop, Duration::from_millis(20)));
    api.spoil(0);
    hooks.spoil(0);
    for (name, proxy) in [("API", &api), ("webhooks", &hooks)] {
        let fired = proxy.fired();
        eprintln!("{name}: {} exchanges passed on as they were, spoiled: {fired:?}", proxy.unspoiled());
        assert!(Fault::ALL.iter().all(|fault| fired[fault] > 0), "each kind has happened: {fired:?}");
    }
    let edits = users.edits().len();
    eprintln!("{edits} edits about {} people in {:?}", users.people(), start.elapsed());
    settle_the_account(&installation, &peer, &table, &users, running, &mut draw).await;
    pass_writes_nothing(&installation, &peer, &table).await;
}
