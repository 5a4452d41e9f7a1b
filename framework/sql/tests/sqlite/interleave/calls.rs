//! Every writing call against every other, and every reading call against every writing one.

use super::model::Model;
use super::stage::Copies;
use super::{report, writing_in};
use bothways_store::contract::interleave::{Orders, Rival, explore, explore_with_deaths, reading, writing};
use std::time::Duration;

/// The calls of one part against all calls that come with or after them in the whole list, and against those that read.
async fn against_the_rest(part: &str) {
    let calls = writing();
    let copies = Copies::of(&[]).await;
    let (mut pairs, mut all) = (0, 0);
    for first in writing_in(part) {
        let from = calls.iter().position(|call| call.name == first.name).expect("a known call");
        for second in calls[from..].iter().copied().chain(reading()) {
            let rivals = [Rival::Call(first), Rival::Call(second)];
            let orders = Orders::of(&copies, &rivals).await;
            let model = Orders::of(&Model, &rivals).await;
            orders
                .agree(&model)
                .unwrap_or_else(|why| panic!("`{}` and `{}`: {why}", first.name, second.name));
            all += explore(&copies, &rivals, &orders).await.unwrap_or_else(|why| panic!("{why}"));
            pairs += 1;
        }
    }
    report(&format!("{part}: {pairs} pairs of calls, {all} interleavings"));
}

#[tokio::test]
async fn the_queue_against_all() {
    against_the_rest("queue").await;
}

#[tokio::test]
async fn leases_against_all() {
    against_the_rest("leases").await;
}

#[tokio::test]
async fn commits_of_looks_against_all() {
    against_the_rest("looks").await;
}

#[tokio::test]
async fn commits_of_links_against_all() {
    against_the_rest("links").await;
}

#[tokio::test]
async fn everything_else_against_all() {
    against_the_rest("rest").await;
}

/// Those whose order matters most, for the dearer ways of running them.
const FEW: [&str; 7] =
    ["take all", "relay all", "commit: batch", "commit: intent", "lease", "intake", "page"];

fn few() -> impl Iterator<Item = [Rival; 2]> {
    let calls: Vec<_> = writing().into_iter().filter(|call| FEW.contains(&call.name)).collect();
    assert_eq!(calls.len(), FEW.len());
    let all: Vec<_> = (0..FEW.len()).flat_map(|a| (a..FEW.len()).map(move |b| (a, b))).collect();
    all.into_iter().map(move |(a, b)| [Rival::Call(calls[a]), Rival::Call(calls[b])])
}

/// Whoever finds another program's transaction open waits for its end, and then does all of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_goes_on_when_the_other_is_over() {
    let mut copies = Copies::of(&[]).await;
    copies.patience = Duration::from_secs(30);
    for call in writing().into_iter().filter(|call| FEW.contains(&call.name)) {
        let alone = copies.run_beside(call, None).await;
        let waiting = copies.run_beside(call, Some("BEGIN IMMEDIATE")).await;
        assert_eq!(waiting, alone, "{}", call.name);
    }
}

/// Two tasks of one process, which take turns.
#[tokio::test]
async fn tasks_of_one_process_take_turns() {
    let mut copies = Copies::of(&[]).await;
    copies.shared = true;
    let mut all = 0;
    for rivals in few() {
        let orders = Orders::of(&copies, &rivals).await;
        all += explore(&copies, &rivals, &orders).await.unwrap_or_else(|why| panic!("{why}"));
    }
    report(&format!("two tasks of one process: {all} interleavings"));
}

/// A call that dies before any of its statements has done nothing.
#[tokio::test]
async fn whoever_dies_leaves_nothing_behind() {
    let copies = Copies::of(&[]).await;
    let after = writing().into_iter().find(|call| call.name == "take all").expect("a known call");
    let mut all = 0;
    for call in writing() {
        let rivals = [Rival::Call(call), Rival::Call(after)];
        let orders = Orders::of(&copies, &rivals).await;
        all += explore_with_deaths(&copies, &rivals, &orders).await.unwrap_or_else(|why| panic!("{why}"));
    }
    report(&format!("{all} deaths"));
}
