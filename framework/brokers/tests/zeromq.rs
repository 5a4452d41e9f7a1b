//! ZeroMQ keeps the transport contract, also between real processes that are killed and come back.
#![cfg(feature = "zeromq")]

use async_trait::async_trait;
use bothways_queue::contract::{self, PATIENCE, Rig, await_topic_after_sending};
use bothways_queue::{Listener, Nudge, Queue};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

struct Loopback;

#[async_trait]
impl Rig for Loopback {
    async fn open(&self) -> Arc<dyn Queue> {
        bothways_brokers::open("zeromq://127.0.0.1").await.expect("a free port")
    }

    async fn join(&self, queue: &Arc<dyn Queue>) -> Arc<dyn Queue> {
        bothways_brokers::open(&queue.address()).await.expect("the hub answers")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeromq_keeps_the_contract() {
    contract::all(&Loopback).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_hub_is_dropped_another_end_takes_its_place() {
    let hub = Loopback.open().await;
    let address = hub.address();
    let heir = Loopback.join(&hub).await;
    let mut ear = heir.listen().await.expect("listen");
    await_topic_after_sending(&hub, &mut *ear, "from-the-hub").await;
    drop(hub);
    await_topic_after_sending(&heir, &mut *ear, "from-the-heir").await;
    let late = bothways_brokers::open(&address).await.expect("the heir answers");
    await_topic_after_sending(&late, &mut *ear, "from-the-returned").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_process_is_killed_and_comes_back() {
    if be_the_peer().await {
        return;
    }
    let mut hub = Peer::start("a_hub_process_is_killed_and_comes_back", "zeromq://127.0.0.1");
    let near = bothways_brokers::open(&hub.address).await.expect("the peer answers");
    let mut ear = near.listen().await.expect("listen");
    for round in 0..3 {
        ask(&near, &mut *ear, &format!("{round}-before")).await;
        hub.kill();
        // Without its hub this end carries the queue itself.
        await_topic_after_sending(&near, &mut *ear, &format!("{round}-alone")).await;
        hub = Peer::start("a_hub_process_is_killed_and_comes_back", &near.address());
        ask(&near, &mut *ear, &format!("{round}-after")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connected_process_is_killed_and_comes_back() {
    if be_the_peer().await {
        return;
    }
    let near = Loopback.open().await;
    let mut ear = near.listen().await.expect("listen");
    for round in 0..3 {
        let mut peer = Peer::start("a_connected_process_is_killed_and_comes_back", &near.address());
        ask(&near, &mut *ear, &format!("{round}-before")).await;
        peer.kill();
        await_topic_after_sending(&near, &mut *ear, &format!("{round}-alone")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_is_noticed_by_its_silence() {
    if be_the_peer().await {
        return;
    }
    let hub = Peer::start("a_stopped_process_is_noticed_by_its_silence", "zeromq://127.0.0.1");
    let near = bothways_brokers::open(&hub.address).await.expect("the peer answers");
    let mut ear = near.listen().await.expect("listen");
    ask(&near, &mut *ear, "awake").await;
    hub.signal("STOP");
    // Its sockets are still open and take everything; nothing arrives until it wakes, and sending is prompt all the while.
    let started = std::time::Instant::now();
    for number in 0..10_000 {
        near.nudge(Nudge { topic: format!("{}", number % 100) }).await.expect("never refused");
    }
    assert!(started.elapsed() < PATIENCE);
    hub.signal("CONT");
    ask(&near, &mut *ear, "awake-again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_built_anew() {
    let hub = Loopback.open().await;
    let wire = Wire::to(&hub).await;
    let near = bothways_brokers::open(&wire.url).await.expect("the hub answers through the wire");
    let mut ear = near.listen().await.expect("listen");
    await_topic_after_sending(&hub, &mut *ear, "flows").await;
    // Nothing is closed, so only the missing heartbeat tells.
    wire.freeze.send_replace(true);
    await_topic_after_sending(&hub, &mut *ear, "flows-again").await;
}

#[tokio::test]
async fn an_address_that_something_else_holds_is_refused() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("its address").port();
    let error = bothways_brokers::open(&format!("zeromq://127.0.0.1:{port}")).await.err().expect("refused");
    assert!(error.to_string().contains("not a Bothways queue"), "{error}");
}

#[tokio::test]
async fn other_schemes_say_what_to_use() {
    for (url, expected) in [
        ("amqp://user:hunter2@localhost", "not built yet"),
        ("kafka://localhost:9092", "not built yet"),
        ("redis://localhost", "not a queue"),
        ("zeromq://", "zeromq://HOST[:PORT]"),
        ("zeromq://user:hunter2@127.0.0.1", "zeromq://HOST[:PORT]"),
        ("127.0.0.1:7555", "not a URL"),
    ] {
        let error =
            bothways_brokers::open(url).await.err().unwrap_or_else(|| panic!("{url} opened")).to_string();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(!error.contains("hunter2"), "the password is repeated: {error}");
    }
}

#[tokio::test]
async fn a_topic_is_one_short_word() {
    let queue = Loopback.open().await;
    for topic in ["", "two words", "line\nbreak", &"x".repeat(201)] {
        assert!(queue.nudge(Nudge { topic: topic.to_owned() }).await.is_err(), "{topic:?} was accepted");
    }
}

/// A TCP relay to a hub. Once frozen, the connections of that moment carry nothing any more and stay open; new ones work.
struct Wire {
    url: String,
    freeze: watch::Sender<bool>,
}

impl Wire {
    async fn to(hub: &Arc<dyn Queue>) -> Self {
        let target = hub.address().trim_start_matches("zeromq://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("zeromq://{}", listener.local_addr().expect("its address"));
        let (freeze, frozen) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&target).await.expect("the hub listens");
                let mut frozen = frozen.clone();
                frozen.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = frozen.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { url, freeze }
    }
}

/// Asks until the peer answers: `ask-WORD` is answered by `answer-WORD`.
async fn ask(queue: &Arc<dyn Queue>, ear: &mut dyn Listener, word: &str) {
    let (question, answer) = (format!("ask-{word}"), format!("answer-{word}"));
    let heard = tokio::time::timeout(PATIENCE, async {
        loop {
            queue.nudge(Nudge { topic: question.clone() }).await.expect("never refused");
            let wait = async { while ear.next().await.topic != answer {} };
            if tokio::time::timeout(std::time::Duration::from_millis(100), wait).await.is_ok() {
                break;
            }
        }
    })
    .await;
    assert!(heard.is_ok(), "no answer to {question}");
}

const PEER: &str = "BOTHWAYS_TEST_QUEUE_PEER";

/// In a process that [`Peer::start`] started: answers questions until killed, or until the parent is gone. Else does nothing.
async fn be_the_peer() -> bool {
    let Ok(url) = std::env::var(PEER) else { return false };
    let queue = bothways_brokers::open(&url).await.expect("open");
    let mut ear = queue.listen().await.expect("listen");
    writeln!(std::io::stdout(), "\nopened {}", queue.address()).expect("the parent reads");
    std::thread::spawn(|| {
        // Stdin ends with the parent, however it ends.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    loop {
        if let Some(word) = ear.next().await.topic.strip_prefix("ask-") {
            queue.nudge(Nudge { topic: format!("answer-{word}") }).await.expect("never refused");
        }
    }
}

/// This very test program, run a second time as another process.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start(test: &str, url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("our own path"))
            .args(["--exact", test, "--nocapture"])
            .env(PEER, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the peer");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let address = stdout
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("opened ").map(str::to_owned))
            .expect("the peer opened its queue");
        Self { child, address }
    }

    fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("reap");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill");
        assert!(status.success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
