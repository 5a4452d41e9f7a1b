//! The suite that every transport runs: what the engine may rely on, each as one function that panics when the promise is broken.
//!
//! A transport's own tests call [`all`] with a [`Rig`] that knows how to open it, and add what only they can stage: a peer that is
//! killed and comes back.

use crate::{Listener, Nudge, Queue};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything that must happen may take before the suite calls it broken. Generous: it only bounds a failing run.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the transport under test.
#[async_trait]
pub trait Rig: Send + Sync {
    /// A fresh queue that shares nothing with earlier ones.
    async fn open(&self) -> Arc<dyn Queue>;

    /// The same queue as another process would reach it: by its address where it has one.
    async fn join(&self, queue: &Arc<dyn Queue>) -> Arc<dyn Queue>;
}

/// Runs the whole suite.
pub async fn all(rig: &dyn Rig) {
    every_listener_hears_a_nudge(rig).await;
    a_nudge_from_either_end_reaches_both(rig).await;
    nobody_listening_is_no_error(rig).await;
    earlier_nudges_are_not_seen(rig).await;
    a_listener_that_never_reads_stops_nobody(rig).await;
    waiting_can_be_cancelled(rig).await;
    a_dropped_listener_leaves_the_others_alone(rig).await;
    the_address_names_the_transport(rig).await;
}

/// A nudge for a topic, sent after two listeners began to listen, reaches both.
pub async fn every_listener_hears_a_nudge(rig: &dyn Rig) {
    let queue = rig.open().await;
    let (mut one, mut two) = (listen(&queue).await, listen(&queue).await);
    for topic in ["1", "2", "customers"] {
        send(&queue, topic).await;
    }
    let expected = BTreeSet::from(["1".to_owned(), "2".to_owned(), "customers".to_owned()]);
    assert_eq!(collect(&mut *one, &expected).await, expected, "the first listener");
    assert_eq!(collect(&mut *two, &expected).await, expected, "the second listener");
}

/// Two processes share one queue; each hears what either sends, itself included.
pub async fn a_nudge_from_either_end_reaches_both(rig: &dyn Rig) {
    let near = rig.open().await;
    let far = rig.join(&near).await;
    let (mut near_ear, mut far_ear) = (listen(&near).await, listen(&far).await);
    send(&near, "from-near").await;
    send(&far, "from-far").await;
    let expected = BTreeSet::from(["from-near".to_owned(), "from-far".to_owned()]);
    assert_eq!(collect(&mut *near_ear, &expected).await, expected, "the near end");
    assert_eq!(collect(&mut *far_ear, &expected).await, expected, "the far end");
}

/// With nobody listening a nudge is accepted promptly, however many there are.
pub async fn nobody_listening_is_no_error(rig: &dyn Rig) {
    let queue = rig.open().await;
    within("10,000 nudges that nobody hears", async {
        for number in 0..10_000 {
            send(&queue, &format!("{}", number % 100)).await;
        }
    })
    .await;
    let mut ear = listen(&queue).await;
    await_topic_after_sending(&queue, &mut *ear, "still-works").await;
}

/// A listener does not see what was delivered before it began to listen.
pub async fn earlier_nudges_are_not_seen(rig: &dyn Rig) {
    let queue = rig.open().await;
    let mut first = listen(&queue).await;
    send(&queue, "early").await;
    await_topic(&mut *first, "early").await;
    let mut second = listen(&queue).await;
    send(&queue, "late").await;
    let heard = within("the late nudge", second.next()).await;
    assert_eq!(heard.topic, "late");
}

/// A listener that never reads costs bounded memory and time: senders and other listeners go on, and it can read again later.
pub async fn a_listener_that_never_reads_stops_nobody(rig: &dyn Rig) {
    let queue = rig.open().await;
    let far = rig.join(&queue).await;
    let mut idle = listen(&queue).await;
    let _far_idle = listen(&far).await;
    let mut busy = listen(&queue).await;
    let started = Instant::now();
    for number in 0..50_000 {
        send(&queue, &format!("{}", number % 500)).await;
    }
    assert!(started.elapsed() < PATIENCE, "50,000 nudges took {:?}", started.elapsed());
    await_topic_after_sending(&queue, &mut *busy, "marker").await;
    // The idle one lost what it did not fetch, perhaps, but it is not dead.
    await_topic_after_sending(&queue, &mut *idle, "awake").await;
}

/// A wait that is given up loses nothing.
pub async fn waiting_can_be_cancelled(rig: &dyn Rig) {
    let queue = rig.open().await;
    let mut ear = listen(&queue).await;
    for round in 0..50 {
        {
            let mut wait = std::pin::pin!(ear.next());
            let poll = futures::poll!(wait.as_mut());
            assert!(poll.is_pending(), "nothing was sent yet in round {round}: {poll:?}");
        }
        let topic = format!("round-{round}");
        send(&queue, &topic).await;
        assert_eq!(within("a nudge after a cancelled wait", ear.next()).await.topic, topic);
    }
}

/// Dropping one listener does not disturb another.
pub async fn a_dropped_listener_leaves_the_others_alone(rig: &dyn Rig) {
    let queue = rig.open().await;
    let gone = listen(&queue).await;
    let mut stays = listen(&queue).await;
    drop(gone);
    await_topic_after_sending(&queue, &mut *stays, "after").await;
}

/// The address is a URL, so that it can be given to another process.
pub async fn the_address_names_the_transport(rig: &dyn Rig) {
    let address = rig.open().await.address();
    assert!(address.contains("://"), "{address:?} is no URL");
}

/// Nudges again and again until the topic is heard, for situations in which losing some is allowed.
pub async fn await_topic_after_sending(queue: &Arc<dyn Queue>, ear: &mut dyn Listener, topic: &str) {
    let heard = within(topic, async {
        loop {
            send(queue, topic).await;
            if tokio::time::timeout(Duration::from_millis(100), await_topic(ear, topic)).await.is_ok() {
                return true;
            }
        }
    })
    .await;
    assert!(heard);
}

async fn listen(queue: &Arc<dyn Queue>) -> Box<dyn Listener> {
    match within("listening", queue.listen()).await {
        Ok(listener) => listener,
        Err(error) => panic!("cannot listen: {error}"),
    }
}

async fn send(queue: &Arc<dyn Queue>, topic: &str) {
    if let Err(error) = queue.nudge(Nudge { topic: topic.to_owned() }).await {
        panic!("a nudge was refused: {error}");
    }
}

async fn await_topic(ear: &mut dyn Listener, topic: &str) {
    while ear.next().await.topic != topic {}
}

/// Listens until every expected topic was heard; repeats are allowed.
async fn collect(ear: &mut dyn Listener, expected: &BTreeSet<String>) -> BTreeSet<String> {
    let mut heard = BTreeSet::new();
    within("all topics", async {
        while !heard.is_superset(expected) {
            heard.insert(ear.next().await.topic);
        }
    })
    .await;
    heard
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}
