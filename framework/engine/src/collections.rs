//! Calls that carry many records (rule 45): whatever requests of one kind wait when a call ends are the next call. No linger timer.
//!
//! A request that finds nobody waiting goes as it is. So one change alone is the call that it always was, and only what comes faster than
//! the service answers travels together. Each caller gets its own part of the answer; a call without an answer leaves all of them uncertain,
//! and each is resolved by itself (rule 23).

use crate::{Engine, Purpose, SendError};
use bothways_connector::{Connector, Part, Place};
use bothways_model::{ConnectionName, Request, Response, Timestamp};
use chrono::TimeDelta;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Calls of one kind that are under way at the same time: one that gets no answer does not hold up the others, and all else waits for
/// company.
const AT_ONCE: usize = 2;

/// What goes together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    connection: ConnectionName,
    purpose: Purpose,
    /// [`Place::call`].
    call: String,
}

/// A request that waits to be sent.
struct Member {
    request: Request,
    record: String,
    since: Timestamp,
    timeout: Duration,
    reply: oneshot::Sender<Reply>,
}

/// What a waiting request is told.
enum Reply {
    Answer(Result<Response, SendError>),
    /// Its caller sends it.
    GoAlone,
}

/// Gathers requests into calls.
#[derive(Default)]
pub(crate) struct Collections {
    /// Who sends each kind, while there is something to send.
    senders: Mutex<BTreeMap<Kind, mpsc::Sender<Member>>>,
}

impl Engine {
    /// Sends one request and returns its answer: in company, where the connector knows such calls, else alone.
    ///
    /// # Errors
    /// There is no answer, as for [`crate::Http::send`].
    pub(crate) async fn send(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        request: Request,
        timeout: Duration,
    ) -> Result<Response, SendError> {
        let since = self.ports.clock.now();
        match self.in_company(connection, purpose, &request, timeout).await {
            Reply::Answer(answer) => answer,
            Reply::GoAlone => {
                // All of it within the lease (rule 24).
                let left = timeout.saturating_sub(passed(since, self.ports.clock.now()));
                if left.is_zero() {
                    return Err(SendError::NotSent("the call with others took too long".into()));
                }
                self.send_alone(connection, purpose, request, left).await
            }
        }
    }

    /// How many records are looked at at once where each has `calls` of its own: what goes together must be under way together.
    pub(crate) fn at_once(&self, connector: &dyn Connector, calls: usize) -> usize {
        let together = connector.collections().filter(|_| self.settings.together);
        calls.max(together.map_or(0, |collections| collections.most()))
    }

    async fn in_company(
        &self,
        connection: &ConnectionName,
        purpose: Purpose,
        request: &Request,
        timeout: Duration,
    ) -> Reply {
        let connector = self.connections.get(connection).filter(|_| self.settings.together);
        let collections = connector.and_then(|connector| connector.collections());
        let Some((collections, place)) = collections.and_then(|c| c.place(request).map(|place| (c, place)))
        else {
            return Reply::GoAlone;
        };
        let Place { call, record } = place;
        let kind = Kind { connection: connection.clone(), purpose, call };
        let since = self.ports.clock.now();
        let (reply, told) = oneshot::channel();
        self.hand_over(kind, collections, Member { request: request.clone(), record, since, timeout, reply })
            .await;
        told.await.unwrap_or_else(|_| Reply::Answer(Err(SendError::Lost("the call was given up".into()))))
    }

    /// Hands a request to whoever sends its kind; to a new task, if nobody does.
    async fn hand_over(
        &self,
        kind: Kind,
        collections: Arc<dyn bothways_connector::Collections>,
        mut member: Member,
    ) {
        loop {
            let sender = {
                let mut senders = self.collections.senders.lock().unwrap_or_else(PoisonError::into_inner);
                match senders.get(&kind).filter(|sender| !sender.is_closed()) {
                    Some(sender) => sender.clone(),
                    None => {
                        let Some(engine) = self.this.upgrade() else { return };
                        let (sender, inbox) = mpsc::channel(collections.most().max(1));
                        senders.insert(kind.clone(), sender);
                        let held = VecDeque::from([member]);
                        let task = Sending { engine, kind, collections, inbox, held };
                        return self.ports.tasks.spawn("collection", Box::pin(task.run()));
                    }
                }
            };
            match sender.send(member).await {
                Ok(()) => return,
                // The task had nothing to do and ended in this moment.
                Err(mpsc::error::SendError(back)) => member = back,
            }
        }
    }
}

/// Sends what is of one kind, until nothing waits.
struct Sending {
    engine: Arc<Engine>,
    kind: Kind,
    collections: Arc<dyn bothways_connector::Collections>,
    inbox: mpsc::Receiver<Member>,
    /// The first one, and what is about records that the last call held already.
    held: VecDeque<Member>,
}

impl Sending {
    async fn run(mut self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            let next = poll_fn(|cx| {
                while let Poll::Ready(Some(())) = under_way.poll_next_unpin(cx) {}
                if under_way.len() >= AT_ONCE {
                    return Poll::Pending;
                }
                if let Some(member) = self.held.pop_front() {
                    return Poll::Ready(Some(member));
                }
                match self.inbox.poll_recv(cx) {
                    Poll::Ready(None) if !under_way.is_empty() => Poll::Pending,
                    // Whoever is late finds it closed; what is in it already is still sent.
                    Poll::Pending if under_way.is_empty() => {
                        self.inbox.close();
                        self.inbox.poll_recv(cx)
                    }
                    polled => polled,
                }
            });
            let Some(first) = next.await else { return };
            let members = self.waiting(first);
            under_way.push(call(self.engine.clone(), self.kind.clone(), self.collections.clone(), members));
        }
    }

    /// The next call's requests: of what waits, as much as one call takes, each record once.
    fn waiting(&mut self, first: Member) -> Vec<Member> {
        let now = self.engine.ports.clock.now();
        let most = self.collections.most().max(1);
        let mut members: Vec<Member> = Vec::new();
        let mut again = VecDeque::new();
        let mut next = Some(first);
        while let Some(member) = next.take() {
            if member.reply.is_closed() {
                // Nobody waits for it any more, and it has not been sent.
            } else if passed(member.since, now) > member.timeout / 2 {
                // The lease outlasts a call, and not whatever goes before it (rule 24).
                let why = "the calls before it took too long".to_owned();
                let _ = member.reply.send(Reply::Answer(Err(SendError::NotSent(why))));
            } else if members.iter().any(|known| known.record == member.record) {
                again.push_back(member);
            } else {
                members.push(member);
            }
            if members.len() < most {
                next = self.held.pop_front().or_else(|| self.inbox.try_recv().ok());
            }
        }
        again.append(&mut self.held);
        self.held = again;
        members
    }
}

/// Sends requests as one call, and tells each what became of it. What does not fit into one goes in halves, one after the other.
async fn call(
    engine: Arc<Engine>,
    kind: Kind,
    collections: Arc<dyn bothways_connector::Collections>,
    members: Vec<Member>,
) {
    let alone = members.len() == 1;
    let mut groups = vec![members];
    while let Some(mut members) = groups.pop() {
        let requests: Vec<&Request> = members.iter().map(|member| &member.request).collect();
        let request = match requests.as_slice() {
            [only] => alone.then(|| (*only).clone()),
            several => collections.gather(several),
        };
        match request {
            Some(request) => send(&engine, &kind, &*collections, members, request).await,
            None if members.len() > 1 => {
                let rest = members.split_off(members.len() / 2);
                groups.extend([rest, members]);
            }
            None => members.into_iter().for_each(|member| tell(member, Reply::GoAlone)),
        }
    }
}

/// Sends `request`, which does what all of these ask for.
async fn send(
    engine: &Engine,
    kind: &Kind,
    collections: &dyn bothways_connector::Collections,
    members: Vec<Member>,
    request: Request,
) {
    let now = engine.ports.clock.now();
    let left = members.iter().map(|member| member.timeout.saturating_sub(passed(member.since, now))).min();
    let left = left.unwrap_or_default();
    let answer = if left.is_zero() {
        Err(SendError::NotSent("the calls before it took too long".into()))
    } else {
        engine.send_alone(&kind.connection, kind.purpose, request, left).await
    };
    match answer {
        Ok(answer) if members.len() > 1 => {
            tracing::debug!(connection = %kind.connection, records = members.len(), "one call for several records");
            let requests: Vec<&Request> = members.iter().map(|member| &member.request).collect();
            let mut parts = collections.part(&requests, &answer).into_iter();
            for member in members {
                tell(member, reply(parts.next().unwrap_or(Part::Silence)));
            }
        }
        // One request's own answer; or none, and then the same for all.
        answer => members.into_iter().for_each(|member| tell(member, Reply::Answer(answer.clone()))),
    }
}

fn reply(part: Part) -> Reply {
    match part {
        Part::Answer(answer) => Reply::Answer(Ok(answer)),
        Part::Alone => Reply::GoAlone,
        Part::Silence => Reply::Answer(Err(SendError::Lost("the answer says nothing of this record".into()))),
    }
}

fn tell(member: Member, reply: Reply) {
    // Whoever has stopped waiting finds out by the intent.
    let _ = member.reply.send(reply);
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    (now - since).max(TimeDelta::zero()).to_std().unwrap_or_default()
}
