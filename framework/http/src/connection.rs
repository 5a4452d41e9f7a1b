//! One connection: its clients, its budget, and one call through it.

use crate::address::{Forbidden, Reach};
use crate::budget::Budget;
use crate::pace::Pace;
use crate::resolve::CheckedResolver;
use crate::{Settings, failure};
use bothways_connector::{CallRate, Limits};
use bothways_engine::{HourOfCalls, Purpose, Quota, SendError};
use bothways_model::{Method, Request, Response, Timestamp};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use url::Url;

/// The longest that connecting may take, so that most of a call's deadline is left for the answer.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept. Services close theirs after a while; ours must go first, or a request is lost on it.
const IDLE: Duration = Duration::from_secs(20);

/// The most bytes of header names and values in an answer.
const MOST_HEADER_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    /// Where requests may go: the service, and where its tokens come from.
    origins: Vec<Origin>,
    pace: Pace,
    /// The calls that have a pace of their own.
    calls: Vec<(CallRate, Pace)>,
    budget: Budget,
    /// Slots for all calls.
    slots: Semaphore,
    /// Slots that bulk reads also need: fewer, so that a record's change never waits behind a whole walk.
    background: Semaphore,
    /// Of those, slots that comparing what is known already also needs: it may take longest (rule 47).
    reconcile: Semaphore,
    limits: Limits,
    largest_answer: usize,
}

/// An origin and the client that reaches it, and only what S14 lets it reach.
#[derive(Debug)]
struct Origin {
    url: Url,
    client: reqwest::Client,
}

impl Connection {
    pub(crate) fn new(limits: &Limits, settings: &Settings) -> Result<Self, Forbidden> {
        let mut origins = vec![Origin::new(&limits.origin, limits.origin_from_operator, limits)?];
        if let Some(tokens) = limits.token_origin.as_ref().filter(|origin| **origin != limits.origin) {
            origins.push(Origin::new(tokens, false, limits)?);
        }
        let concurrent = limits.concurrent.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            origins,
            pace: Pace::new(limits.requests, limits.per, limits.burst),
            calls: limits.calls.iter().map(|c| (c.clone(), Pace::new(c.requests, c.per, 1))).collect(),
            budget: Budget::new(limits),
            slots: Semaphore::new(concurrent),
            background: Semaphore::new((concurrent * 3 / 4).max(1)),
            reconcile: Semaphore::new((concurrent / 2).max(1)),
            limits: limits.clone(),
            largest_answer: settings.largest_answer,
        })
    }

    /// How much of the day's calls is used.
    pub(crate) fn quota(&self) -> Option<Quota> {
        self.budget.quota(Instant::now())
    }

    pub(crate) async fn call(
        &self,
        purpose: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        // Built first: a request that our rules forbid costs no budget.
        let (client, request) = self.build(request)?;
        if !self.budget.has_room(Instant::now(), purpose) {
            return Err(SendError::Spent("the day's calls are nearly used up".into()));
        }
        // One patience for all that comes before the exchange: the caller holds a lease (rule 24).
        let by = Instant::now() + deadline;
        self.own_turn(&request, by).await?;
        let _reconcile = match purpose {
            Purpose::Reconcile => Some(slot(&self.reconcile, by).await?),
            Purpose::Background | Purpose::Live | Purpose::Told => None,
        };
        let _background = match purpose {
            Purpose::Background | Purpose::Reconcile => Some(slot(&self.background, by).await?),
            Purpose::Live | Purpose::Told => None,
        };
        let _slot = slot(&self.slots, by).await?;
        self.turn(by).await?;
        self.budget.count(Instant::now());

        match timeout(deadline, self.exchange(client, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError::Lost("the deadline passed".into())),
        }
    }

    pub(crate) fn calls_of_day(&self, now: Timestamp) -> Vec<HourOfCalls> {
        self.budget.calls(Instant::now(), now)
    }

    pub(crate) fn recall(&self, now: Timestamp, calls: &[HourOfCalls]) {
        self.budget.recall(Instant::now(), now, calls);
    }

    /// Waits for the turn of a call that may be made less often than others, before it takes a slot from them.
    async fn own_turn(&self, request: &reqwest::Request, by: Instant) -> Result<(), SendError> {
        let covers = |call: &CallRate| {
            Method::parse(request.method().as_str())
                .is_some_and(|method| call.covers(method, request.url().path()))
        };
        let Some((_, pace)) = self.calls.iter().find(|(call, _)| covers(call)) else { return Ok(()) };
        match pace.reserve(Instant::now(), by) {
            Ok(Some(turn)) => sleep_until(turn).await,
            Ok(None) => {}
            Err(()) => return Err(SendError::Spent("this call may not be made so often".into())),
        }
        Ok(())
    }

    /// Waits for this call's turn, if it comes in time. A pause that lasts longer is not waited for.
    async fn turn(&self, by: Instant) -> Result<(), SendError> {
        let mut reserved = false;
        loop {
            let now = Instant::now();
            // Looked at again after each wait: another call may have met a refusal meanwhile.
            let paused = self.pace.paused_until(now);
            if paused.is_some_and(|until| until > by) {
                return Err(SendError::Spent("the service asked for a pause".into()));
            }
            let wait = match reserved {
                true => paused,
                false => self.pace.reserve(now, by).map_err(|()| {
                    SendError::Spent("more calls wait than may be made in the time of one".into())
                })?,
            };
            reserved = true;
            match wait {
                Some(until) => sleep_until(until).await,
                None => return Ok(()),
            }
        }
    }

    fn build(&self, request: Request) -> Result<(&reqwest::Client, reqwest::Request), SendError> {
        let mut url =
            Url::parse(&request.url).map_err(|_| SendError::Forbidden("the URL cannot be read".into()))?;
        let Some(origin) = self.origins.iter().find(|origin| same_origin(&origin.url, &url)) else {
            return Err(SendError::Forbidden("the URL has another origin than the connection".into()));
        };
        if !request.secret_query.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &request.secret_query {
                query.append_pair(name, value.expose());
            }
        }
        let mut built = reqwest::Request::new(method(request.method), url);
        let headers = built.headers_mut();
        headers.reserve(request.headers.len() + request.secret_headers.len());
        for (name, value) in &request.headers {
            append(headers, name, value, false)?;
        }
        for (name, value) in &request.secret_headers {
            append(headers, name, value.expose(), true)?;
        }
        if let Some(body) = request.secret_body {
            *built.body_mut() = Some(body.expose().to_owned().into());
        } else if !request.body.is_empty() {
            *built.body_mut() = Some(request.body.into());
        }
        Ok((&origin.client, built))
    }

    async fn exchange(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<Response, SendError> {
        let answer = client.execute(request).await.map_err(|e| failure::of_sending(&e))?;
        let mut read = Response {
            status: answer.status().as_u16(),
            headers: read_headers(answer.headers())?,
            body: Vec::new(),
        };
        let body = self.read_body(answer, &mut read.body).await;
        self.note(&read);
        body.map(|()| read)
    }

    async fn read_body(&self, mut answer: reqwest::Response, body: &mut Vec<u8>) -> Result<(), SendError> {
        let expected = answer.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if expected > self.largest_answer {
            return Err(self.too_large());
        }
        body.reserve_exact(expected);
        // Chunks come decompressed, so the limit holds for what a small compressed answer unfolds to.
        while let Some(chunk) = answer.chunk().await.map_err(|e| failure::of_reading(&e))? {
            if body.len() + chunk.len() > self.largest_answer {
                return Err(self.too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// Lets a refusal slow the whole connection down, whichever call met it.
    fn note(&self, answer: &Response) {
        self.budget.note(Instant::now(), answer);
        let throttled = self.limits.throttling.is_said_by(answer);
        let asked = self.limits.retry_after(answer, throttled);
        if throttled || (answer.status == 503 && asked.is_some()) {
            self.pace.refused(Instant::now(), asked);
        } else {
            self.pace.accepted();
        }
    }

    fn too_large(&self) -> SendError {
        SendError::Lost(format!("the answer is larger than {} bytes", self.largest_answer))
    }
}

impl Origin {
    fn new(base: &str, from_operator: bool, limits: &Limits) -> Result<Self, Forbidden> {
        let url = Url::parse(base).map_err(|_| Forbidden::NotUrl)?;
        let reach = Reach::of(&url, from_operator)?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("bothways/", env!("CARGO_PKG_VERSION")))
            .https_only(url.scheme() == "https")
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A proxy would resolve names itself, past the address check.
            .no_proxy()
            .referer(false)
            .dns_resolver(CheckedResolver::new(reach))
            .connect_timeout(LONGEST_CONNECT.min(limits.timeout))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(limits.concurrent.max(1))
            .http1_only()
            .build()
            .map_err(|_| Forbidden::NotUrl)?;
        Ok(Self { url, client })
    }
}

async fn slot(slots: &Semaphore, by: Instant) -> Result<SemaphorePermit<'_>, SendError> {
    match timeout_at(by, slots.acquire()).await {
        Ok(slot) => slot.map_err(|_| SendError::NotSent("the connection is closed".into())),
        Err(_) => Err(SendError::Spent("the calls under way took too long to end".into())),
    }
}

/// Scheme, host and port agree, and the URL holds no credentials.
fn same_origin(origin: &Url, url: &Url) -> bool {
    url.scheme() == origin.scheme()
        && url.host() == origin.host()
        && url.port_or_known_default() == origin.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none()
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
        Method::Head => reqwest::Method::HEAD,
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &str, secret: bool) -> Result<(), SendError> {
    let cannot = || SendError::NotSent(format!("the value of header `{name}` cannot be written"));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| cannot())?;
    value.set_sensitive(secret);
    headers.append(parsed, value);
    Ok(())
}

fn read_headers(headers: &HeaderMap) -> Result<Vec<(String, String)>, SendError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MOST_HEADER_BYTES {
        return Err(SendError::Lost(format!(
            "the answer's headers are larger than {MOST_HEADER_BYTES} bytes"
        )));
    }
    Ok(headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect())
}
