//! Several at once: workers, webhooks, another program that holds the lock, callers that give up.

use crate::foreign::{Program, at, inserting, pair, text};
use bothways_model::Record;
use bothways_store::{Delivery, Intake, Links, Rows, Signal, Subject, Take, WorkQueue};
use futures::FutureExt;
use std::collections::BTreeSet;

fn delivery(pair: bothways_model::PairId, n: usize) -> Delivery {
    let signal =
        Signal { pair, subject: Subject::Remote(format!("cus_{n}").into()), look: true, not_before: None };
    Delivery { connection: "stripe".into(), event: format!("evt_{n}"), about: None, signals: vec![signal] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_share_commits_and_each_is_new_once() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    let mut tasks = Vec::new();
    for n in 0..200 {
        let store = program.store.clone();
        // Every event is delivered twice.
        tasks.push(tokio::spawn(async move { store.intake(at(0), &[delivery(pair, n / 2)]).await.unwrap() }));
    }
    let mut new = 0;
    for task in tasks {
        new += task.await.unwrap().into_iter().filter(|fresh| *fresh).count();
    }
    assert_eq!(new, 100);
    assert_eq!(program.number("SELECT count(*) FROM bothways_inbox").await, 100);
    assert_eq!(program.number("SELECT count(*) FROM bothways_work").await, 100);
}

#[tokio::test]
async fn a_caller_that_gives_up_takes_nobody_with_it() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    for n in 0..20 {
        let store = program.store.clone();
        let mut dropped = Box::pin(async move { store.intake(at(0), &[delivery(pair, n)]).await });
        // As far as it gets without waiting, and a little further.
        for _ in 0..n % 5 {
            if (&mut dropped).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dropped);
        let one = Record::from_iter([("name", text("x"))]);
        program.store.insert_row("customers", &one).await.unwrap();
        let fresh = program.store.intake(at(0), &[delivery(pair, 1_000 + n)]).await.unwrap();
        assert_eq!(fresh, [true]);
    }
    // Nothing of ours holds the lock.
    program.sql("BEGIN IMMEDIATE; UPDATE customers SET email = NULL; COMMIT").await;
    let mut half = Box::pin(program.store.commit(at(0), &[]));
    assert!((&mut half).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_commit_that_is_dropped_half_way_leaves_nothing() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    for polls in 0..40 {
        let units = inserting(pair, 3, |n| Record::from_iter([("name", text(&format!("n{n}")))]));
        {
            let mut dropped = Box::pin(program.store.commit(at(0), &units));
            let mut finished = false;
            for _ in 0..polls {
                finished = (&mut dropped).now_or_never().is_some();
                if finished {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if finished {
                break;
            }
        }
        let links = program.store.links(&Default::default(), None, 9).await.unwrap().len();
        let rows = program.store.count_rows("customers").await.unwrap();
        // All or nothing: a commit that was already on its way may still have happened.
        assert!((links, rows) == (0, 0) || (links, rows) == (3, 3), "{links} links, {rows} rows");
        if links == 3 {
            break;
        }
        program.sql("BEGIN IMMEDIATE; UPDATE customers SET email = NULL; COMMIT").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_never_share_a_record() {
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    let signals: Vec<_> = (0..300).flat_map(|n| delivery(pair, n).signals).collect();
    program.store.signal(at(0), &signals).await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let store = program.store.clone();
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let pairs = [pair];
                let taken =
                    store.take(Take { now: at(1), until: at(60), limit: 7, pairs: &pairs }).await.unwrap();
                if taken.is_empty() {
                    return mine;
                }
                mine.extend(taken.into_iter().map(|t| (t.token, t.work[0].id)));
            }
        }));
    }
    let (mut tokens, mut work, mut all) = (BTreeSet::new(), BTreeSet::new(), 0);
    for task in tasks {
        for (token, id) in task.await.unwrap() {
            all += 1;
            tokens.insert(token);
            work.insert(id);
        }
    }
    assert_eq!((all, tokens.len(), work.len()), (300, 300, 300));
}

/// Another program's transaction is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_waited_for() {
    let program = Program::new().await;
    pair(&program.store).await;
    program.sql("BEGIN IMMEDIATE; INSERT INTO customers (name) VALUES ('slow')").await;
    let store = program.store.clone();
    let waiting = tokio::spawn(async move { store.draw(1).await });
    tokio::task::yield_now().await;
    program.sql("COMMIT").await;
    waiting.await.unwrap().unwrap();
}
