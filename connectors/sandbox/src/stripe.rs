//! The service itself: requests in, answers out, with no I/O and no clock but the one it is given.

use crate::account::{Account, Tools};
use crate::call::Call;
use crate::config::Config;
use crate::deliveries::Delivery;
use crate::errors::ApiError;
use crate::events::Cause;
use crate::executed::Executed;
use crate::fault_queue::{Drawn, Fault, Faults, Mishap, Seen};
use crate::faults::Action;
use crate::idempotency::fingerprint;
use crate::ids::Ids;
use crate::rate::RateLimit;
use crate::request_log::{LoggedRequest, RequestCounts, RequestLog};
use crate::transit::{self, Answer, Late, Service};
use bothways_model::{Method, Request, Timestamp};
use std::collections::BTreeMap;

/// The sandbox Stripe: one account (and another one for the fault that swaps it), its faults and its log.
#[derive(Clone, Debug)]
pub struct Stripe {
    pub(crate) config: Config,
    pub(crate) ids: Ids,
    pub(crate) faults: Faults<Action>,
    pub(crate) log: RequestLog,
    pub(crate) account: Account,
    other: Account,
    late: Vec<Late<Call, Action>>,
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
        let is_list = call.method == Method::Get
            && ["/v1/customers", "/v1/invoices", "/v1/events", "/v1/webhook_endpoints"]
                .contains(&call.path.as_str());
        let has_cursor = call.params.as_ref().is_ok_and(|params| params.get("starting_after").is_some());
        let seen = Seen { method: call.method, path: &call.path, is_list, has_cursor };
        let Drawn { answer, shapes } = self.faults.draw(&seen);
        let Some(fault) = answer else {
            let executed = self.execute(&call, &shapes, now);
            self.note(&call, &executed, Some(executed.status), None, now);
            return Answer::Response(executed.into_response());
        };
        self.faulty(&call, shapes, fault, now)
    }

    /// Executes the late requests whose time has come.
    pub fn tick(&mut self, now: Timestamp) {
        transit::run_late(self, now, |due| due.is_some_and(|due| due <= now));
    }

    /// Executes all late requests now; how many there were.
    pub fn release_late(&mut self, now: Timestamp) -> usize {
        transit::run_late(self, now, |_| true)
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
        if let Action::SavedError500 { executed } = fault {
            let executed = self.execute_or_save_500(call, &shapes, Some(executed), now);
            self.note(call, &executed, Some(executed.status), Some(kind), now);
            return Answer::Response(executed.into_response());
        }
        transit::answer(self, call, shapes, fault.transit(), kind, now)
    }

    /// Runs a request through credentials, rate limit, idempotency and its endpoint, in the account it means.
    fn execute_or_save_500(
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
        executed.changed = u64::from(effective);
        executed.created =
            u64::from(effective && call.method == Method::Post && call.path == "/v1/customers");
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
}

impl Service for Stripe {
    type Call = Call;
    type Action = Action;

    fn late(&mut self) -> &mut Vec<Late<Call, Action>> {
        &mut self.late
    }

    fn execute(&mut self, call: &Call, shapes: &[Action], now: Timestamp) -> Executed {
        self.execute_or_save_500(call, shapes, None, now)
    }

    fn not_executed(&mut self, call: &Call, now: Timestamp) -> Executed {
        self.dress(call, Executed::refused(&ApiError::unavailable()), now)
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
            effective: executed.changed > 0,
            changed: executed.changed,
            created: executed.created,
            replayed: executed.replayed,
            fault,
        });
    }
}
