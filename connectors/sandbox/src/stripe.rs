//! The service itself: requests in, answers out, with no I/O and no clock but the one it is given.

use crate::account::{Account, Tools, milliseconds};
use crate::call::Call;
use crate::config::Config;
use crate::deliveries::Delivery;
use crate::errors::ApiError;
use crate::events::Cause;
use crate::executed::Executed;
use crate::faults::{Action, Drawn, Fault, Faults, Seen};
use crate::idempotency::fingerprint;
use crate::ids::Ids;
use crate::rate::RateLimit;
use crate::request_log::{LoggedRequest, RequestCounts, RequestLog};
use bothways_model::{Request, Response, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// What comes back for a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An answer.
    Response(Response),
    /// The connection is dropped without an answer.
    Dropped,
    /// An answer that takes this long to arrive; what it did has been done already.
    Slow(Response, Duration),
}

impl Answer {
    /// The answer, however slow; none where the connection was dropped.
    pub fn response(self) -> Option<Response> {
        match self {
            Answer::Response(response) | Answer::Slow(response, _) => Some(response),
            Answer::Dropped => None,
        }
    }
}

/// A request that is to be executed after its connection was dropped.
#[derive(Clone, Debug)]
struct Late {
    call: Call,
    due: Option<Timestamp>,
    shapes: Vec<Action>,
    /// It has arrived and holds its key.
    arrived: bool,
}

impl Late {
    fn kind(&self) -> &'static str {
        if self.arrived { "unfinished" } else { "late_request" }
    }
}

/// The sandbox Stripe: one account (and another one for the fault that swaps it), its faults and its log.
#[derive(Clone, Debug)]
pub struct Stripe {
    pub(crate) config: Config,
    pub(crate) ids: Ids,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) account: Account,
    other: Account,
    late: Vec<Late>,
}

impl Stripe {
    /// An empty account.
    pub fn new(config: Config) -> Self {
        let mut ids = Ids::new(config.seed);
        let made = ids.make("acct_", 16);
        let account = Account::new(config.account.clone().unwrap_or(made));
        let other = Account::new(ids.make("acct_", 16));
        let log = RequestLog::new(config.log_limit);
        Self { config, ids, faults: Faults::default(), log, account, other, late: Vec::new() }
    }

    /// Answers one request at `now`.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Answer {
        self.tick(now);
        let call = Call::read(request);
        let is_list = call.method == bothways_model::Method::Get
            && ["/v1/customers", "/v1/events", "/v1/webhook_endpoints"].contains(&call.path.as_str());
        let has_cursor = call.params.as_ref().is_ok_and(|params| params.get("starting_after").is_some());
        let seen = Seen { method: call.method, path: &call.path, is_list, has_cursor };
        let Drawn { answer, shapes } = self.faults.draw(&seen);
        let Some(fault) = answer else {
            let executed = self.execute(&call, &shapes, None, now);
            self.note(&call, &executed, Some(executed.status), None, now);
            return Answer::Response(executed.into_response());
        };
        self.faulty(&call, shapes, fault, now)
    }

    /// Executes the late requests whose time has come.
    pub fn tick(&mut self, now: Timestamp) {
        self.run_late(now, |late| late.due.is_some_and(|due| due <= now));
    }

    /// Executes all late requests now; how many there were.
    pub fn release_late(&mut self, now: Timestamp) -> usize {
        self.run_late(now, |_| true)
    }

    /// How many late requests have not been executed.
    pub fn late_requests(&self) -> usize {
        self.late.len()
    }

    /// When there is next something to do without being asked: a delivery or a late request.
    pub fn next_due(&self) -> Option<Timestamp> {
        let late = self.late.iter().filter_map(|late| late.due).min();
        [late, self.account.deliveries.next_due(), self.other.deliveries.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The deliveries to be made now. Report the outcome of each with [`Stripe::delivered`]; one that is not reported
    /// within a minute is handed out again.
    pub fn due_deliveries(&mut self, now: Timestamp) -> Vec<Delivery> {
        self.due_deliveries_up_to(usize::MAX, now)
    }

    /// Not more than `limit` of [`Stripe::due_deliveries`].
    pub fn due_deliveries_up_to(&mut self, limit: usize, now: Timestamp) -> Vec<Delivery> {
        self.tick(now);
        let mut all = Vec::new();
        for (account, mark) in [(&mut self.account, ""), (&mut self.other, "other:")] {
            let left = limit - all.len();
            let taken = account.deliveries.take_due(&mut account.events, &account.endpoints, left, now);
            all.extend(taken.into_iter().map(|d| Delivery { id: format!("{mark}{}", d.id), ..d }));
        }
        all
    }

    /// Reports what the receiver answered, or that it did not. Anything but a 2xx is tried again with back-off.
    pub fn delivered(&mut self, id: &str, status: Option<u16>, now: Timestamp) {
        let (account, id) = match id.strip_prefix("other:") {
            Some(id) => (&mut self.other, id),
            None => (&mut self.account, id),
        };
        account.deliveries.report(id, status, &self.config.webhook_backoff, &mut account.events, now);
    }

    /// Deliveries that are not finished.
    pub fn open_deliveries(&self) -> usize {
        self.account.deliveries.open()
    }

    /// Queues a fault.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Takes all faults away; their counters stay.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The faults that can still happen.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.queued().cloned().collect()
    }

    /// How often each kind of fault has fired, 0 included.
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        self.faults.fired()
    }

    /// Sets or removes the rate limit.
    pub fn set_rate_limit(&mut self, limit: Option<RateLimit>) {
        self.config.rate_limit = limit;
    }

    /// The newest requests, oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &LoggedRequest> {
        self.log.entries()
    }

    /// Totals of all requests.
    pub fn counts(&self) -> RequestCounts {
        self.log.counts()
    }

    /// Empties the request log and its totals.
    pub fn clear_requests(&mut self) {
        self.log.clear();
    }

    /// Grows with every change of a record.
    pub fn revision(&self) -> u64 {
        self.account.revision
    }

    fn run_late(&mut self, now: Timestamp, is_due: impl Fn(&Late) -> bool) -> usize {
        let (due, waiting): (Vec<Late>, Vec<Late>) =
            std::mem::take(&mut self.late).into_iter().partition(is_due);
        self.late = waiting;
        for late in &due {
            let executed = self.execute(&late.call, &late.shapes, None, now);
            self.note(&late.call, &executed, None, Some(late.kind()), now);
        }
        due.len()
    }

    /// Answers a request that a fault of its own has been drawn for.
    fn faulty(&mut self, call: &Call, shapes: Vec<Action>, fault: Action, now: Timestamp) -> Answer {
        let kind = fault.kind();
        let refusal = match &fault {
            Action::Error500 => Some(ApiError::server_error()),
            Action::Unavailable503 => Some(ApiError::unavailable()),
            Action::Unauthorized401 => Some(ApiError::bad_key("sk_test_****")),
            Action::Forbidden403 => Some(ApiError::forbidden()),
            Action::RateLimited429 { retry_after } => Some(ApiError::rate_limited(*retry_after)),
            Action::LockTimeout429 => Some(ApiError::lock_timeout()),
            Action::KeyInUse409 => Some(ApiError::key_in_use(call.key.as_deref().unwrap_or_default())),
            _ => None,
        };
        if let Some(error) = refusal {
            let refused = self.dress(call, Executed::refused(&error), now);
            self.note(call, &refused, Some(refused.status), Some(kind), now);
            return Answer::Response(refused.into_response());
        }
        match fault {
            Action::LostRequest | Action::LateRequest { .. } | Action::Unfinished { .. } => {
                if let Action::LateRequest { delay_ms } | Action::Unfinished { delay_ms } = fault {
                    let due = delay_ms.map(|millis| now + milliseconds(millis));
                    let arrived = matches!(fault, Action::Unfinished { .. });
                    self.late.push(Late { call: call.clone(), due, shapes, arrived });
                }
                let nothing = Executed::refused(&ApiError::unavailable());
                self.note(call, &nothing, None, Some(kind), now);
                return Answer::Dropped;
            }
            Action::HtmlBody => {
                let mut page = self.dress(call, Executed::refused(&ApiError::unavailable()), now);
                page.status = 200;
                page.body =
                    b"<!doctype html><title>Please wait</title><p>Checking your connection.</p>".to_vec();
                page.headers.retain(|(name, _)| name != "content-type");
                page.headers.push(("content-type".into(), "text/html".into()));
                self.note(call, &page, Some(200), Some(kind), now);
                return Answer::Response(page.into_response());
            }
            _ => {}
        }
        let saved_500 = match fault {
            Action::SavedError500 { executed } => Some(executed),
            _ => None,
        };
        if fault == Action::Duplicate {
            let first = self.execute(call, &shapes, None, now);
            self.note(call, &first, None, Some(kind), now);
        }
        let mut executed = self.execute(call, &shapes, saved_500, now);
        let status = if fault == Action::LostAnswer { None } else { Some(executed.status) };
        self.note(call, &executed, status, Some(kind), now);
        match fault {
            Action::LostAnswer => Answer::Dropped,
            Action::SlowAnswer { millis } => {
                Answer::Slow(executed.into_response(), Duration::from_millis(millis))
            }
            Action::TruncatedBody => {
                executed.body.truncate(executed.body.len() / 2);
                Answer::Response(executed.into_response())
            }
            _ => Answer::Response(executed.into_response()),
        }
    }

    /// Runs a request through credentials, rate limit, idempotency and its endpoint, in the account it means.
    fn execute(
        &mut self,
        call: &Call,
        shapes: &[Action],
        saved_500: Option<bool>,
        now: Timestamp,
    ) -> Executed {
        let swapped = shapes.contains(&Action::OtherAccount);
        if swapped {
            self.faults.count("other_account");
            std::mem::swap(&mut self.account, &mut self.other);
        }
        let request_id = self.ids.make("req_", 14);
        let mut executed = match self.answer(call, shapes, saved_500, &request_id, now) {
            Ok(executed) => executed,
            Err(error) => Executed::refused(&error),
        };
        if swapped {
            std::mem::swap(&mut self.account, &mut self.other);
        }
        for shape in shapes {
            if let Action::HiddenField { field } = shape
                && executed.hide(field)
            {
                self.faults.count("hidden_field");
            }
        }
        executed.headers.push(("request-id".into(), request_id));
        self.dress(call, executed, now)
    }

    fn answer(
        &mut self,
        call: &Call,
        shapes: &[Action],
        saved_500: Option<bool>,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Executed, ApiError> {
        call.check_credential()?;
        call.check_version()?;
        if let Some(limit) = self.config.rate_limit {
            self.account.bucket.take(limit, now).map_err(ApiError::rate_limited)?;
        }
        let params = call.params.clone()?;
        call.check_key()?;
        let print = fingerprint(&call.path, &params.canonical());
        if let Some(key) = &call.key
            && let Some(saved) = self.account.keys.find(key, &call.path, &print, now)?
        {
            let mut again = Executed::ok(saved.body.clone());
            again.status = saved.status;
            again.replayed = true;
            again.executed = false;
            again.headers.push(("idempotent-replayed".into(), "true".into()));
            again.headers.push(("original-request".into(), saved.request_id.clone()));
            if again.status >= 500 {
                again.headers.push(("stripe-should-retry".into(), "false".into()));
            }
            return Ok(again);
        }
        if let Some(key) = &call.key
            && self.late.iter().any(|late| late.arrived && late.call.key.as_ref() == Some(key))
        {
            return Err(ApiError::key_in_use(key));
        }
        let cause = Cause { request_id: Some(request_id.to_owned()), key: call.key.clone() };
        let result = match saved_500 {
            Some(false) => Err(ApiError::server_error()),
            _ => self.route(call, params, shapes, &cause, now),
        };
        let effective = result.as_ref().is_ok_and(|reply| reply.effective);
        let result = if saved_500 == Some(true) { result.and(Err(ApiError::server_error())) } else { result };
        let mut executed = match result {
            Ok(reply) => Executed::ok(reply.body),
            Err(error) if error.began => Executed { executed: true, ..Executed::refused(&error) },
            Err(error) => return Err(error),
        };
        executed.effective = effective;
        if let Some(key) = &call.key {
            let saved = (executed.status, executed.body.clone());
            self.account.keys.save(key, &call.path, print, saved, request_id, now);
            executed.headers.push(("original-request".into(), request_id.to_owned()));
        }
        Ok(executed)
    }

    pub(crate) fn tools(&mut self, now: Timestamp) -> (&mut Account, Tools<'_>) {
        let tools = Tools {
            ids: &mut self.ids,
            faults: &mut self.faults,
            api_version: &self.config.api_version,
            now,
        };
        (&mut self.account, tools)
    }

    /// Adds the headers that every answer has. `Date` follows the sandbox's clock, since pollers start from it.
    fn dress(&mut self, call: &Call, mut executed: Executed, now: Timestamp) -> Executed {
        let version = call.version.clone().unwrap_or_else(|| self.config.api_version.clone());
        if !executed.headers.iter().any(|(name, _)| name == "request-id") {
            executed.headers.push(("request-id".into(), self.ids.make("req_", 14)));
        }
        if let Some(key) = &call.key {
            executed.headers.push(("idempotency-key".into(), key.clone()));
        }
        executed.headers.push(("content-type".into(), "application/json".into()));
        executed.headers.push(("date".into(), now.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        executed.headers.push(("stripe-version".into(), version));
        executed
    }

    fn note(
        &mut self,
        call: &Call,
        executed: &Executed,
        status: Option<u16>,
        fault: Option<&'static str>,
        now: Timestamp,
    ) {
        self.log.push(LoggedRequest {
            at: now,
            method: call.method,
            path: call.path.clone(),
            idempotency_key: call.key.clone(),
            status,
            executed: executed.executed,
            effective: executed.effective,
            replayed: executed.replayed,
            fault,
        });
    }
}
