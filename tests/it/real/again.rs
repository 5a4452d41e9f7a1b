//! A full pass over records in step writes nothing, on either side.

use crate::real::draw::number;
use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::neighbour::Neighbour;
use crate::real::peer::Peer;
use crate::real::sides::Sides;
use crate::real::table::Table;
use futures::{StreamExt, stream};
use reqwest::Method;
use std::time::{Duration, Instant};

/// The variable that says how many links there are, and what is usual.
const LINKS: (&str, u64) = ("BOTHWAYS_LINKS", 10_000);

/// How long the README lets `sqlite3` wait.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr, reason = "read in the output of a test")]
async fn a_second_full_pass_over_many_links_writes_nothing() {
    let links = number(LINKS.0, LINKS.1) as usize;
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    // A third is here, a third there, and a third on both sides, written differently.
    let table = Table::create(&installation.file()).await;
    let people = (0..links * 2 / 3).map(|i| (format!("Person {i}"), format!("person{i}@example.com")));
    table.insert_all(people).await;
    stream::iter(links / 3..links)
        .for_each_concurrent(16, async |i| {
            peer.create(&[("name", &format!("Person {i}")), ("email", &format!("PERSON{i}@example.com"))])
                .await;
        })
        .await;
    assert_eq!(installation.verb(&["migrate"]).code, Some(0));
    assert_eq!(installation.verb(&["approve"]).code, Some(0));
    let start = Instant::now();
    let neighbour = Neighbour::start(&installation.file()).await;
    let first = tokio::task::block_in_place(|| installation.verb(&["sync", "--format", "json"]));
    let waited = neighbour.stop().await;
    assert_eq!(first.code, Some(0), "{first:?}");
    eprintln!("{waited:?}");
    assert!(waited.longest < PATIENCE, "another program is kept from writing for too long: {waited:?}");
    eprintln!("a first full pass made {links} links in {:?}", start.elapsed());
    Sides::read(&table, &peer).await.in_step(links).expect("in step after the first pass");
    let start = Instant::now();
    pass_writes_nothing(&installation, &peer, &table).await;
    eprintln!("a second one found nothing to write in {:?}", start.elapsed());
}

/// Runs a full pass while nothing else runs, and all the work it finds. Counts are the peers' own: the sandbox's of requests that are no
/// reads, and a trigger's on the table.
pub(crate) async fn pass_writes_nothing(installation: &Installation, peer: &Peer, table: &Table) {
    watch_writes(table).await;
    let written = table.number("select count(*) from bothways_history").await;
    let intents = table.number("select coalesce(sum(intents), 0) from bothways_links").await;
    peer.steer(Method::DELETE, "/requests", None).await;

    let pass = installation.verb(&["sync", "--format", "json"]);
    assert_eq!(pass.code, Some(0), "{pass:?}");

    let counts = &peer.steer(Method::GET, "/state", None).await["requests"];
    assert!(counts["reads"].as_u64() > Some(0), "it has looked: {counts}");
    assert_eq!(counts["writes"], 0, "nothing is written there: {counts}");
    assert_eq!(table.number("select count(*) from touches").await, 0, "nothing is written here");
    assert_eq!(
        table.number("select count(*) from bothways_history").await,
        written,
        "history has nothing new"
    );
    let now = table.number("select coalesce(sum(intents), 0) from bothways_links").await;
    assert_eq!(now, intents, "nothing was about to be sent");
    assert_eq!(table.number("select count(*) from bothways_changes").await, 0, "every change is relayed");
    assert_eq!(
        table.number("select count(*) from bothways_work where reason is null").await,
        0,
        "no work is left"
    );
}

/// Notes every write to the table in another one, `touches`.
pub(crate) async fn watch_writes(table: &Table) {
    table.execute("create table touches (what text)").await;
    for trigger in [
        "create trigger touches_insert after insert on customers begin insert into touches values ('insert'); end",
        "create trigger touches_update after update on customers begin insert into touches values ('update'); end",
        "create trigger touches_delete after delete on customers begin insert into touches values ('delete'); end",
    ] {
        table.execute(trigger).await;
    }
}
