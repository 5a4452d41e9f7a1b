//! Nudges over ZeroMQ (pure Rust, TCP, no broker process to run).
//!
//! One process binds the address and is the *hub*: it publishes to everybody (PUB) and takes what others want published (PULL, on the
//! next port if that is free; heartbeats tell where). Every process, the hub's own included, listens by a SUB socket connected to
//! the hub; the others send by a PUSH socket.
//!
//! ZeroMQ says `Ok` for lost messages and the crate reconnects only some kinds of socket, so nothing is trusted: the hub publishes
//! heartbeats, and whoever hears none for [`SILENCE`], or sees its connection end, drops all its sockets and starts over. Starting
//! over means trying to bind first, so when the hub dies another process becomes the hub within moments, and when it comes back it
//! finds its place taken and connects.
//!
//! There is no authentication: whoever reaches the port can cause the engine to look at records once more, never to believe anything.

use crate::mailbox::Mailbox;
use ::zeromq::{
    PubSocket, PullSocket, PushSocket, Socket, SocketEvent, SocketOptions, SocketRecv, SocketSend, SubSocket,
    ZmqMessage,
};
use async_trait::async_trait;
use bothways_queue::{Listener, Nudge, Queue, QueueError};
use futures::StreamExt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use url::Url;

/// The longest pause between two heartbeats of the hub. Right after somebody connected they come in milliseconds.
const BEAT: Duration = Duration::from_secs(1);
const FIRST_BEAT: Duration = Duration::from_millis(1);
/// Without a heartbeat for this long the sockets are rebuilt.
const SILENCE: Duration = Duration::from_secs(3);
/// How long connecting to a hub, or handing one message to a socket, may take.
const PROMPT: Duration = Duration::from_secs(1);
/// How long opening and listening wait for the first heartbeat.
const FIRST_CONTACT: Duration = SILENCE;
/// The first pause between two sets of sockets.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_TOPIC: usize = 200;

/// First words of the two kinds of message.
const NUDGE: &str = "nudge";
const HEARTBEAT: &str = "beat";

/// The queue of one process.
#[derive(Debug)]
pub(crate) struct ZeroMq {
    shared: Arc<Shared>,
    address: String,
    live: watch::Receiver<bool>,
    supervisor: tokio::task::AbortHandle,
}

/// What the supervisor and the callers share.
#[derive(Debug, Default)]
struct Shared {
    outbox: Mailbox,
    /// The listeners of this process; dropped ones are swept out when a nudge arrives.
    ears: Mutex<Vec<Weak<Mailbox>>>,
}

impl ZeroMq {
    /// Binds the address, or connects to the process that has bound it.
    pub(crate) async fn open(url: &Url) -> Result<Self, QueueError> {
        let mut place = Place::read(url)?;
        let claim = place
            .claim()
            .await
            .map_err(|error| QueueError(format!("cannot use {}: {error}", place.url())))?;
        match &claim {
            Claim::Hub(listener) => {
                place.port = listener.local_addr().map_err(|error| QueueError(error.to_string()))?.port();
            }
            Claim::Elsewhere if place.port == 0 => {
                return Err(QueueError(format!(
                    "{} is another machine: give the port its queue listens on",
                    place.url()
                )));
            }
            Claim::Taken | Claim::Elsewhere => {}
        }
        let must_answer = !matches!(claim, Claim::Elsewhere);
        let address = place.url();
        let shared = Arc::new(Shared::default());
        let (live_sender, live) = watch::channel(false);
        let supervisor = tokio::spawn(supervise(place, claim, shared.clone(), live_sender)).abort_handle();
        let queue = Self { shared, address, live, supervisor };
        // A hub on another machine may come up later; whoever holds an address of this machine must answer now.
        if !queue.contact().await && must_answer {
            return Err(QueueError(format!(
                "{} is in use by something that is not a Bothways queue",
                queue.address
            )));
        }
        Ok(queue)
    }

    /// Waits a while for a heartbeat; whether one came.
    async fn contact(&self) -> bool {
        let mut live = self.live.clone();
        matches!(timeout(FIRST_CONTACT, live.wait_for(|live| *live)).await, Ok(Ok(_)))
    }
}

impl Drop for ZeroMq {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

#[async_trait]
impl Queue for ZeroMq {
    async fn nudge(&self, nudge: Nudge) -> Result<(), QueueError> {
        if !is_topic(&nudge.topic) {
            return Err(QueueError(format!("a topic is one word of at most {LONGEST_TOPIC} bytes")));
        }
        self.shared.outbox.put(nudge.topic);
        Ok(())
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, QueueError> {
        let mailbox = Arc::new(Mailbox::default());
        self.shared.ears.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&mailbox));
        // So that a nudge sent after this call arrives. If the hub is away, listening goes on all the same once it is back.
        self.contact().await;
        Ok(Box::new(ZeroMqListener { mailbox }))
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}

struct ZeroMqListener {
    mailbox: Arc<Mailbox>,
}

#[async_trait]
impl Listener for ZeroMqListener {
    async fn next(&mut self) -> Nudge {
        Nudge { topic: self.mailbox.take().await }
    }
}

impl Shared {
    fn deliver(&self, topic: &str) {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner).retain(|ear| match ear.upgrade() {
            Some(mailbox) => {
                mailbox.put(topic.to_owned());
                true
            }
            None => false,
        });
    }
}

/// Where the hub is.
#[derive(Clone, Debug)]
struct Place {
    /// A name or address; IPv6 in brackets.
    host: String,
    /// 0 until a free one was bound.
    port: u16,
}

/// What became of the attempt to bind the place.
enum Claim {
    /// We are the hub.
    Hub(TcpListener),
    /// Another process of this machine is.
    Taken,
    /// The address belongs to another machine.
    Elsewhere,
}

impl Place {
    fn read(url: &Url) -> Result<Self, QueueError> {
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        match url.host_str() {
            Some(host) if bare && !host.is_empty() => {
                Ok(Self { host: host.to_owned(), port: url.port().unwrap_or(0) })
            }
            _ => Err(QueueError("expected zeromq://HOST[:PORT] and nothing more".into())),
        }
    }

    async fn claim(&self) -> std::io::Result<Claim> {
        match TcpListener::bind(format!("{}:{}", self.host, self.port)).await {
            Ok(listener) => Ok(Claim::Hub(listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(Claim::Taken),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Ok(Claim::Elsewhere),
            Err(error) => Err(error),
        }
    }

    /// Where to connect to: a wildcard address is reached through loopback.
    fn endpoint(&self, port: u16) -> String {
        let host = match self.host.as_str() {
            "0.0.0.0" => "127.0.0.1",
            "[::]" => "[::1]",
            host => host,
        };
        format!("tcp://{host}:{port}")
    }

    fn url(&self) -> String {
        match self.port {
            0 => format!("zeromq://{}", self.host),
            port => format!("zeromq://{}:{port}", self.host),
        }
    }
}

/// Why the sockets are dropped and built again.
type Ended = String;

/// Runs one set of sockets after the other, for as long as the queue lives.
async fn supervise(place: Place, first: Claim, shared: Arc<Shared>, live: watch::Sender<bool>) {
    let mut claim: std::io::Result<Claim> = Ok(first);
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let ended = match claim {
            Ok(Claim::Hub(listener)) => lead(&place, listener, &shared, &live).await,
            Ok(Claim::Taken | Claim::Elsewhere) => follow(&place, &shared, &live).await,
            Err(error) => error.to_string(),
        };
        live.send_replace(false);
        tracing::debug!(address = %place.url(), reason = %ended, "rebuilding the queue's sockets");
        pause = if started.elapsed() > SILENCE { FIRST_PAUSE } else { (pause * 2).min(BEAT) };
        sleep(pause).await;
        claim = place.claim().await;
    }
}

/// Is the hub, and listens to itself like everybody else.
async fn lead(place: &Place, listener: TcpListener, shared: &Shared, live: &watch::Sender<bool>) -> Ended {
    let mut hub = match Hub::start(place, listener).await {
        Ok(hub) => hub,
        Err(error) => return format!("cannot start the hub: {error}"),
    };
    tracing::debug!(address = %place.url(), "this process carries the queue");
    let (intake_port, _) = watch::channel(None);
    tokio::select! {
        ended = hub.run(&shared.outbox) => ended,
        ended = receive(place, shared, live, &intake_port) => ended,
    }
}

/// Is connected to another process's hub.
async fn follow(place: &Place, shared: &Shared, live: &watch::Sender<bool>) -> Ended {
    let (intake_port, known) = watch::channel(None);
    tokio::select! {
        ended = send(place, &shared.outbox, known) => ended,
        ended = receive(place, shared, live, &intake_port) => ended,
    }
}

/// The sockets that only the binding process has.
struct Hub {
    publisher: PubSocket,
    intake: PullSocket,
    intake_port: u16,
}

impl Hub {
    async fn start(place: &Place, listener: TcpListener) -> Result<Self, String> {
        // The next port, so that a firewall can know it; any other if that is taken, since heartbeats tell which.
        let beside = TcpListener::bind(format!("{}:{}", place.host, place.port.saturating_add(1))).await;
        let intake_listener = match beside {
            Ok(listener) => listener,
            Err(_) => {
                TcpListener::bind(format!("{}:0", place.host)).await.map_err(|error| error.to_string())?
            }
        };
        let intake_port = intake_listener.local_addr().map_err(|error| error.to_string())?.port();
        let mut publisher = PubSocket::new();
        let mut intake = PullSocket::new();
        let listener = listener.into_std().map_err(|error| error.to_string())?;
        let intake_listener = intake_listener.into_std().map_err(|error| error.to_string())?;
        intake.bind_listener(intake_listener).await.map_err(|error| error.to_string())?;
        publisher.bind_listener(listener).await.map_err(|error| error.to_string())?;
        Ok(Self { publisher, intake, intake_port })
    }

    async fn run(&mut self, outbox: &Mailbox) -> Ended {
        let mut events = self.publisher.monitor();
        let mut gap = FIRST_BEAT;
        let mut next_beat = Instant::now();
        loop {
            let message = tokio::select! {
                () = sleep_until(next_beat) => {
                    next_beat = Instant::now() + gap;
                    gap = (gap * 2).min(BEAT);
                    format!("{HEARTBEAT} {}", self.intake_port)
                }
                topic = outbox.take() => format!("{NUDGE} {topic}"),
                received = self.intake.recv() => match received.as_ref().ok().and_then(read) {
                    Some(Message::Nudge(topic)) => format!("{NUDGE} {topic}"),
                    Some(Message::Heartbeat(_)) => continue,
                    None => {
                        // Somebody left in the middle of a message, or speaks something else. Never a reason to spin.
                        sleep(FIRST_BEAT).await;
                        continue;
                    }
                },
                Some(event) = events.next() => {
                    if matches!(event, SocketEvent::Accepted(..)) {
                        // A newcomer's subscription arrives a moment after its connection: beat until it has surely heard one.
                        gap = FIRST_BEAT;
                        next_beat = Instant::now();
                    }
                    continue;
                }
            };
            // Publishing never waits: a subscriber that does not read loses messages beyond the socket's own bound.
            if let Err(error) = self.publisher.send(message.into()).await {
                return format!("cannot publish: {error}");
            }
        }
    }
}

/// Listens to the hub and fills this process's mailboxes until the hub falls silent.
async fn receive(
    place: &Place,
    shared: &Shared,
    live: &watch::Sender<bool>,
    intake_port: &watch::Sender<Option<u16>>,
) -> Ended {
    let mut socket = SubSocket::with_options(options());
    let mut events = socket.monitor();
    if let Err(error) = socket.subscribe("").await {
        return format!("cannot subscribe: {error}");
    }
    match timeout(PROMPT, socket.connect(&place.endpoint(place.port))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return format!("cannot connect: {error}"),
        Err(_) => return "cannot connect in time".into(),
    }
    let mut silent_at = Instant::now() + SILENCE;
    loop {
        tokio::select! {
            received = socket.recv() => match received {
                Ok(message) => match read(&message) {
                    Some(Message::Nudge(topic)) => shared.deliver(topic),
                    Some(Message::Heartbeat(port)) => {
                        silent_at = Instant::now() + SILENCE;
                        intake_port.send_replace(Some(port));
                        live.send_if_modified(|live| !std::mem::replace(live, true));
                    }
                    None => return "the other end is not a Bothways queue".into(),
                },
                Err(error) => return format!("cannot receive: {error}"),
            },
            Some(event) = events.next() => {
                if matches!(event, SocketEvent::Disconnected(_)) {
                    return "the hub went away".into();
                }
            }
            () = sleep_until(silent_at) => return "no heartbeat".into(),
        }
    }
}

/// Hands this process's nudges to the hub until it is gone.
async fn send(place: &Place, outbox: &Mailbox, mut intake_port: watch::Receiver<Option<u16>>) -> Ended {
    let port = match intake_port.wait_for(Option::is_some).await.map(|port| *port) {
        Ok(Some(port)) => port,
        Ok(None) | Err(_) => return "the hub was never heard".into(),
    };
    let mut socket = PushSocket::with_options(options());
    let mut events = socket.monitor();
    match timeout(PROMPT, socket.connect(&place.endpoint(port))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return format!("cannot connect to the hub's intake: {error}"),
        Err(_) => return "cannot connect to the hub's intake in time".into(),
    }
    loop {
        tokio::select! {
            topic = outbox.take() => {
                match timeout(PROMPT, socket.send(format!("{NUDGE} {topic}").into())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => {
                        outbox.put(topic);
                        return "the hub takes nothing".into();
                    }
                }
            }
            Some(event) = events.next() => {
                if matches!(event, SocketEvent::Disconnected(_)) {
                    return "the hub's intake went away".into();
                }
            }
        }
    }
}

fn options() -> SocketOptions {
    let mut options = SocketOptions::default();
    options.connect_timeout(PROMPT);
    options
}

/// What is on the wire: one frame of text.
#[derive(Debug, PartialEq, Eq)]
enum Message<'a> {
    Nudge(&'a str),
    /// The hub lives, and takes nudges on this port.
    Heartbeat(u16),
}

fn read(message: &ZmqMessage) -> Option<Message<'_>> {
    let frame = message.get(0).filter(|_| message.len() == 1)?;
    let (kind, rest) = std::str::from_utf8(frame).ok()?.split_once(' ')?;
    match kind {
        NUDGE if is_topic(rest) => Some(Message::Nudge(rest)),
        HEARTBEAT => rest.parse().ok().map(Message::Heartbeat),
        _ => None,
    }
}

fn is_topic(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= LONGEST_TOPIC
        && !word.contains(|c: char| c.is_whitespace() || c.is_control())
}
