//! `/api/events`: server-sent events. One for each new history entry, with its number as event id, so that a client that comes back
//! with `Last-Event-ID` misses none; and a tick `changed` whenever something a page shows may be different.

use crate::access::Access;
use crate::api::{HistoryEntry, history_entry};
use crate::app::App;
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use bothways_engine::stored::{HistoryFilter, TokenScope};
use futures::stream::{self, Stream};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Entries fetched at once.
const PAGE: usize = 200;
/// Entries told after a pause; beyond that `missed` says that some are left out.
const CATCH_UP: usize = 2000;
/// How often the database is asked although nothing ticked: other processes write too.
const LOOK: Duration = Duration::from_secs(3);
/// Ticks that come closer together than this are told as one.
const GATHER: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.add(
        Endpoint::new(
            Method::GET,
            "/api/events",
            Access::Api(TokenScope::Read),
            "Server-sent events: `history` for each entry (its number is the event id; `Last-Event-ID` resumes), \
             `changed` when something may look different, `missed` if too much happened to tell one by one",
        )
        .sends(200, Answer::Other("text/event-stream")),
        events,
    )
}

async fn events(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Ok(place) = app.streams.clone().try_acquire_owned() else {
        return Err(Problem::later(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many event streams are open",
            10,
        ));
    };
    let newest = app.operations.history(&HistoryFilter::default(), None, 1).await?;
    let newest = newest.first().map_or(0, |row| row.id);
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
    let follower = Follower {
        // A number beyond the newest is another database's.
        last: resumed.filter(|id| *id <= newest).unwrap_or(newest),
        first: true,
        news: app.operations.engine().news(),
        beside: app.beside.as_ref().map(|beside| beside.changed()),
        stopping: app.stopping.subscribe(),
        ready: VecDeque::new(),
        _place: place,
        app,
    };
    let stream = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("still here")))
}

/// One client's place in the history.
struct Follower {
    app: App,
    last: i64,
    first: bool,
    news: watch::Receiver<u64>,
    beside: Option<watch::Receiver<u64>>,
    stopping: watch::Receiver<bool>,
    ready: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; `None` when the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let ticked = if self.first { true } else { self.wait().await? };
            self.first = false;
            match self.fetch().await {
                Ok(found) if found || ticked => {
                    self.ready.push_back(Event::default().event("changed").data("{}"))
                }
                Ok(_) => {}
                Err(problem) => {
                    tracing::debug!(problem = %problem, "history not read; the next tick tries again")
                }
            }
        }
    }

    /// Waits for a tick, or a while. True if something ticked; `None` when the server stops.
    async fn wait(&mut self) -> Option<bool> {
        let beside = async {
            let ticked = match &mut self.beside {
                Some(changes) => changes.changed().await.is_ok(),
                None => false,
            };
            if !ticked {
                std::future::pending::<()>().await;
            }
        };
        let ticked = tokio::select! {
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            Ok(()) = self.news.changed() => true,
            () = beside => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if ticked {
            tokio::time::sleep(GATHER).await;
            self.news.mark_unchanged();
            if let Some(changes) = &mut self.beside {
                changes.mark_unchanged();
            }
        }
        Some(ticked)
    }

    /// Queues events for all entries since the last one told. True if there were any.
    async fn fetch(&mut self) -> Result<bool, Problem> {
        let mut found: Vec<HistoryEntry> = Vec::new();
        let mut before = None;
        let mut missed = false;
        loop {
            let page = self.app.operations.history(&HistoryFilter::default(), before, PAGE).await?;
            let end = page.len() < PAGE || page.iter().any(|row| row.id <= self.last);
            before = page.last().map(|row| row.id);
            let new = page.into_iter().filter(|row| row.id > self.last);
            found.extend(new.map(|row| history_entry(&self.app, row)));
            if end {
                break;
            }
            if found.len() >= CATCH_UP {
                missed = true;
                break;
            }
        }
        if missed {
            self.ready.push_back(Event::default().event("missed").data("{}"));
        }
        let any = !found.is_empty();
        for entry in found.into_iter().rev() {
            self.last = entry.id;
            let event = Event::default().id(entry.id.to_string()).event("history").json_data(&entry);
            self.ready.extend(event.ok());
        }
        Ok(any)
    }
}
