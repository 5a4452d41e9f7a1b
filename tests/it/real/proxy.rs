//! A proxy between two programs that speak HTTP/1.1 over TCP, which spoils a drawn share of the exchanges in a drawn way, and counts what
//! it did. It waits for nobody: each request is passed on over a connection of its own.

use crate::real::draw::Draw;
use crate::real::patience::{EVENTUALLY, SOON, hold, until};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What can happen to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Request and answer take long.
    Latency,
    /// The connection is reset before the request was passed on.
    ResetBefore,
    /// The connection is reset after the request was carried out.
    ResetAfter,
    /// Our side of the connection is closed after the request was carried out; the other side may go on sending.
    HalfClosed,
    /// The answer ends within its head.
    HeadTruncated,
    /// The answer ends within its body.
    BodyTruncated,
    /// The answer comes in small pieces.
    BodySlow,
    /// The answer stops within its body, and nothing is closed.
    BodyStalled,
    /// The request is passed on twice, one after the other; the second answer is given.
    Repeated,
    /// The request is passed on twice at once, over two connections; the later answer is given.
    Doubled,
    /// The connection is closed without a word after the answer, when the other side may just send the next request.
    ClosedBehind,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Fault; 11] = [
        Fault::Latency,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::HalfClosed,
        Fault::HeadTruncated,
        Fault::BodyTruncated,
        Fault::BodySlow,
        Fault::BodyStalled,
        Fault::Repeated,
        Fault::Doubled,
        Fault::ClosedBehind,
    ];
}

/// Each of them costs the other side its whole patience.
const STALLS: u64 = 2;
/// Longest extra time of a late exchange, and between two pieces of a slow answer, in milliseconds.
const LATE: u64 = 400;
const PIECE: (u64, usize) = (20, 64);
/// No message of these tests is larger.
const LARGEST: usize = 4 * 1024 * 1024;

/// The proxy; it ends when this is dropped.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    /// `host:port` of the program behind.
    behind: String,
    draw: Mutex<Draw>,
    /// Of 1,000 exchanges so many are spoiled.
    share: AtomicU64,
    fired: Mutex<BTreeMap<Fault, u64>>,
    unspoiled: AtomicU64,
}

impl Proxy {
    /// In front of `behind`, a `host:port`. Nothing is spoiled yet.
    pub(crate) async fn before(behind: &str, draw: Draw) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            behind: behind.to_owned(),
            draw: Mutex::new(draw),
            share: AtomicU64::new(0),
            fired: Mutex::default(),
            unspoiled: AtomicU64::new(0),
        });
        let serving = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                // Whatever ends an exchange early is what this is for.
                tokio::spawn(async move { shared.serve(stream).await.unwrap_or_default() });
            }
        });
        Self { port, shared, accepting }
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Of 1,000 exchanges so many are spoiled from now on.
    pub(crate) fn spoil(&self, share: u64) {
        self.shared.share.store(share, Ordering::Release);
    }

    /// How often each fault was brought about, all of them named.
    pub(crate) fn fired(&self) -> BTreeMap<Fault, u64> {
        let fired = self.shared.fired.lock().unwrap_or_else(PoisonError::into_inner);
        Fault::ALL.into_iter().map(|fault| (fault, fired.get(&fault).copied().unwrap_or_default())).collect()
    }

    /// Waits until each fault has happened so often, or as often as it may.
    pub(crate) async fn wait_for(&self, times: u64) {
        until("each fault has happened", EVENTUALLY.max(SOON * times as u32), async || {
            let fired = self.fired();
            let enough = |(fault, fired): (&Fault, &u64)| {
                *fired >= if *fault == Fault::BodyStalled { times.min(STALLS) } else { times }
            };
            hold(fired.iter().all(enough), || format!("{fired:?}"))
        })
        .await;
    }

    /// How many exchanges were passed on as they were.
    pub(crate) fn unspoiled(&self) -> u64 {
        self.shared.unspoiled.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        while let Some(request) = read_message(&mut client).await? {
            let Some(fault) = self.draw() else {
                let answer = self.pass_on(&request).await?;
                client.write_all(&answer).await?;
                self.unspoiled.fetch_add(1, Ordering::AcqRel);
                continue;
            };
            let goes_on = self.spoil(fault, &mut client, &request).await;
            *self.fired.lock().unwrap_or_else(PoisonError::into_inner).entry(fault).or_default() += 1;
            if !goes_on? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn draw(&self) -> Option<Fault> {
        let mut draw = self.draw.lock().unwrap_or_else(PoisonError::into_inner);
        if draw.below(1_000) >= self.share.load(Ordering::Acquire) {
            return None;
        }
        let fault = Fault::ALL[draw.below(Fault::ALL.len() as u64) as usize];
        let fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner).get(&fault).copied();
        (fault != Fault::BodyStalled || fired.unwrap_or_default() < STALLS).then_some(fault)
    }

    /// Brings it about. Whether the connection goes on afterwards.
    async fn spoil(&self, fault: Fault, client: &mut TcpStream, request: &[u8]) -> io::Result<bool> {
        if fault == Fault::ResetBefore {
            return reset(client);
        }
        let late =
            Duration::from_millis(self.draw.lock().unwrap_or_else(PoisonError::into_inner).below(LATE));
        match fault {
            Fault::Latency => tokio::time::sleep(late / 2).await,
            Fault::Repeated => drop(self.pass_on(request).await?),
            _ => {}
        }
        let answer = match fault {
            Fault::Doubled => {
                let (one, other) = tokio::join!(self.pass_on(request), self.pass_on(request));
                one.and(other)?
            }
            _ => self.pass_on(request).await?,
        };
        let head = end_of_head(&answer).unwrap_or(answer.len());
        match fault {
            Fault::ResetBefore | Fault::ResetAfter => return reset(client),
            Fault::HalfClosed => {
                client.shutdown().await?;
                return wait_for_the_end(client).await;
            }
            Fault::HeadTruncated => client.write_all(&answer[..head / 2]).await?,
            Fault::BodyTruncated => client.write_all(&answer[..head + (answer.len() - head) / 2]).await?,
            Fault::BodyStalled => {
                client.write_all(&answer[..head + (answer.len() - head) / 2]).await?;
                return wait_for_the_end(client).await;
            }
            Fault::BodySlow => {
                let pause = Duration::from_millis(PIECE.0);
                for piece in answer.chunks((answer.len() / 20).max(PIECE.1)) {
                    client.write_all(piece).await?;
                    tokio::time::sleep(pause).await;
                }
                return Ok(true);
            }
            Fault::Latency => {
                tokio::time::sleep(late / 2).await;
                client.write_all(&answer).await?;
                return Ok(true);
            }
            Fault::Repeated | Fault::Doubled => {
                client.write_all(&answer).await?;
                return Ok(true);
            }
            Fault::ClosedBehind => client.write_all(&answer).await?,
        }
        Ok(false)
    }

    /// Sends a request to the program behind and returns its answer.
    async fn pass_on(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut behind = TcpStream::connect(&self.behind).await?;
        behind.set_nodelay(true)?;
        behind.write_all(request).await?;
        read_message(&mut behind).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The connection ends with RST when it is dropped next.
fn reset(client: &TcpStream) -> io::Result<bool> {
    client.set_zero_linger()?;
    Ok(false)
}

/// Reads until the other side has had enough.
async fn wait_for_the_end(client: &mut TcpStream) -> io::Result<bool> {
    let mut rest = [0; 1_024];
    while client.read(&mut rest).await? > 0 {}
    Ok(false)
}

/// One request or answer with its body; none where the other side has closed in between.
async fn read_message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        if let Some(head) = end_of_head(&message) {
            let length = content_length(&message[..head])?;
            if message.len() >= head + length {
                return Ok(Some(message));
            }
        }
        if message.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if stream.read_buf(&mut message).await? == 0 {
            return if message.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// Where the body begins.
fn end_of_head(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The length of the body. Neither program sends bodies in chunks.
fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = String::from_utf8_lossy(head).to_lowercase();
    assert!(!head.contains("transfer-encoding"), "a body in chunks: {head}");
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.map_or(Ok(0), |length| length.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into()))
}
