//! Server-sent events: every entry once, in order, resumed where a client left off.

use crate::world::World;
use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;
use serde_json::Value as Json;

/// Reads events off a stream; heartbeats are skipped.
struct Reader {
    stream: BodyDataStream,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Seen {
    id: Option<i64>,
    kind: String,
    after: Option<String>,
}

impl Reader {
    async fn open(world: &World, last: Option<i64>) -> Self {
        let call = world.call("GET", "/api/events");
        let call = match last {
            Some(id) => call.header("last-event-id", &id.to_string()),
            None => call,
        };
        let response = call.open().await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body: Body = response.into_body();
        Self { stream: body.into_data_stream(), text: String::new() }
    }

    async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let Some(kind) = field("event") else { continue };
                let data: Json = serde_json::from_str(&field("data").unwrap()).unwrap();
                let after = data["fields"]["name"]["after"].as_str().map(str::to_owned);
                return Some(Seen { id: field("id").map(|id| id.parse().unwrap()), kind, after });
            }
            let chunk = self.stream.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next entry of the history, skipping ticks.
    async fn entry(&mut self) -> Seen {
        loop {
            let seen = self.next().await.expect("the stream goes on");
            if seen.kind == "history" {
                return seen;
            }
        }
    }
}

#[tokio::test]
async fn a_new_client_hears_of_what_comes_not_of_what_was() {
    let world = World::new().await;
    world.wrote("1", "before", "edited").await;
    let mut reader = Reader::open(&world, None).await;
    assert_eq!(reader.next().await.unwrap().kind, "changed", "shows that it is connected");
    world.wrote("1", "after", "edited").await;
    world.thing("ticks", "").await;
    assert_eq!(reader.entry().await.after.as_deref(), Some("after"));
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let world = World::new().await;
    for number in 1..=500 {
        world.wrote("1", &format!("name {number}"), "edited").await;
    }
    let first = world.call("GET", "/api/history?limit=1000").send().await.json();
    let last = first["entries"][499]["id"].as_i64().unwrap();
    let mut reader = Reader::open(&world, Some(last)).await;
    let mut ids = Vec::new();
    for number in 2..=500 {
        let seen = reader.entry().await;
        assert_eq!(seen.after, Some(format!("name {number}")));
        ids.push(seen.id.unwrap());
    }
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

#[tokio::test]
async fn a_number_of_another_database_starts_afresh() {
    let world = World::new().await;
    world.wrote("1", "before", "edited").await;
    let mut reader = Reader::open(&world, Some(1_000_000)).await;
    world.wrote("1", "after", "edited").await;
    world.thing("ticks", "").await;
    assert_eq!(reader.entry().await.after.as_deref(), Some("after"));
}

#[tokio::test]
async fn an_edit_ticks_at_once() {
    let world = World::new().await;
    let mut reader = Reader::open(&world, None).await;
    assert_eq!(reader.next().await.unwrap().kind, "changed");
    world.thing("Ada", "").await;
    assert_eq!(reader.next().await.unwrap().kind, "changed");
}

#[tokio::test]
async fn streams_are_bounded() {
    let world = World::new().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Reader::open(&world, None).await);
    }
    let refused = world.call("GET", "/api/events").send().await;
    assert_eq!(refused.problem(), "busy");
    drop(open.pop());
    assert_eq!(world.call("GET", "/api/events").open().await.status(), 200);
}
