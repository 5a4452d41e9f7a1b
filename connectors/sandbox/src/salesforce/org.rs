//! The service itself: requests in, answers out, with no I/O and no clock but the one it is given.

use super::Fault;
use super::access::{Access, By};
use super::auth::{Auth, Identity};
use super::call::Call;
use super::config::Config;
use super::duplicates::DuplicateRule;
use super::errors::ApiError;
use super::faults::Action;
use super::limits::Usage;
use super::query::Cursors;
use super::reply::Reply;
use super::store::Store;
use super::time::http_date;
use crate::executed::Executed;
use crate::fault_queue::{Drawn, Faults, Mishap, Seen};
use crate::ids::Ids;
use crate::request_log::{LoggedRequest, RequestCounts, RequestLog};
use crate::transit::{self, Answer, Late, Service};
use bothways_model::{Method, Request, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;

/// The sandbox Salesforce: one organisation, its faults and its log.
#[derive(Clone, Debug)]
pub struct Salesforce {
    pub(crate) config: Config,
    pub(crate) ids: Ids,
    pub(crate) faults: Faults<Action>,
    pub(crate) store: Store,
    pub(crate) auth: Auth,
    pub(crate) cursors: Cursors,
    log: RequestLog,
    usage: Usage,
    late: Vec<Late<Call, Action>>,
}

impl Salesforce {
    /// An organisation without accounts and contacts.
    pub fn new(config: Config) -> Self {
        let mut ids = Ids::new(config.seed);
        let store = Store::new(&config, &mut ids);
        let log = RequestLog::new(config.log_limit);
        Self {
            config,
            ids,
            faults: Faults::default(),
            store,
            auth: Auth::default(),
            cursors: Cursors::default(),
            log,
            usage: Usage::default(),
            late: Vec::new(),
        }
    }

    /// Whether this path is one of Salesforce's.
    pub fn serves(path: &str) -> bool {
        path.starts_with("/services/") || path.starts_with("/id/")
    }

    /// Answers one request at `now`.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Answer {
        self.tick(now);
        let call = Call::read(request);
        let tail = call.path.split("/query").nth(1).map(|tail| tail.trim_start_matches("All"));
        let is_list = call.method == Method::Get && tail.is_some();
        let has_cursor = is_list && tail.is_some_and(|tail| tail.len() > 1);
        let seen = Seen { method: call.method, path: &call.path, is_list, has_cursor };
        let Drawn { answer, shapes } = self.faults.draw(&seen);
        let Some(fault) = answer else {
            let executed = self.execute(&call, &shapes, now);
            self.note(&call, &executed, Some(executed.status), None, now);
            return Answer::Response(executed.into_response());
        };
        let refusal = match &fault {
            Action::Error500 => Some(ApiError::server_error()),
            Action::Unavailable503 => Some(ApiError::unavailable()),
            Action::InvalidSession401 => Some(ApiError::session()),
            Action::Forbidden403 => Some(ApiError::forbidden()),
            Action::RequestLimit403 => Some(ApiError::over_the_limit()),
            _ => None,
        };
        if let Some(error) = refusal {
            let refused = dress(error.refuse(), now);
            self.note(&call, &refused, Some(refused.status), Some(fault.kind()), now);
            return Answer::Response(refused.into_response());
        }
        transit::answer(self, &call, shapes, fault.transit(), fault.kind(), now)
    }

    /// Executes the late requests whose time has come, and removes what the recycle bin keeps no longer.
    pub fn tick(&mut self, now: Timestamp) {
        self.store.expire(now);
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

    /// When there is next something to do without being asked: a late request.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.late.iter().filter_map(|late| late.due).min()
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

    /// Sets what the duplicate rule does.
    pub fn set_duplicate_rule(&mut self, rule: DuplicateRule) {
        self.store.duplicate_rule = rule;
    }

    /// Sets how many requests are let through in any 24 hours.
    pub fn set_daily_requests(&mut self, limit: u64) {
        self.config.daily_requests = limit;
    }

    /// Sets where clients are told to send their requests.
    pub fn set_instance_url(&mut self, url: Option<String>) {
        self.config.instance_url = url;
    }

    /// Sets the public key, in PEM, that assertions of the JWT bearer flow are verified with.
    pub fn set_jwt_public_key(&mut self, pem: Option<String>) {
        self.config.jwt_public_key = pem;
    }

    /// Sets how many rows a page of a query's result has.
    pub fn set_page_size(&mut self, rows: usize) {
        self.config.page_size = rows.max(1);
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

    /// Grows with every write of a record.
    pub fn revision(&self) -> u64 {
        self.store.revision
    }

    /// Answers what has arrived: tokens for anybody, the rest for those who have one.
    fn answer(&mut self, call: &Call, access: &Access<'_>) -> Result<Executed, ApiError> {
        let now = access.now;
        if let Some(endpoint) = call.path.strip_prefix("/services/oauth2/") {
            return self.answer_oauth(call, endpoint, now).map(Reply::into_executed);
        }
        if call.path.starts_with("/id/") {
            return self.who(call, now).map(Reply::into_executed);
        }
        if call.path.trim_end_matches('/') == "/services/data" {
            return Ok(Reply::ok(versions()).into_executed());
        }
        let parts = call.parts().ok_or_else(ApiError::not_found)?;
        if !call.token().is_some_and(|token| self.auth.admits(token, &self.config, now)) {
            return Err(ApiError::session());
        }
        let limit = self.config.daily_requests;
        let may_pass = self.usage.take(limit, now);
        let usage = ("sforce-limit-info".to_owned(), format!("api-usage={}/{limit}", self.usage.count(now)));
        let reply = if may_pass { self.route(call, &parts, access) } else { Err(ApiError::over_the_limit()) };
        let mut executed = match reply {
            Ok(reply) => reply.into_executed(),
            Err(error) => error.refuse(),
        };
        executed.headers.push(usage);
        Ok(executed)
    }

    fn answer_oauth(&mut self, call: &Call, endpoint: &str, now: Timestamp) -> Result<Reply, ApiError> {
        let identity = Identity { organization: &self.store.organization, user: &self.store.user };
        match (endpoint, call.method) {
            ("token", Method::Post) => Ok(self.auth.token(call, &self.config, &identity, &mut self.ids, now)),
            ("authorize", Method::Get) => Ok(self.auth.authorize(call, &self.config, &mut self.ids, now)),
            ("revoke", Method::Post) => {
                Ok(self.auth.revoke(&call.form("token").or_else(|| call.param("token")).unwrap_or_default()))
            }
            ("userinfo", Method::Get | Method::Post) => self.who(call, now),
            ("token" | "revoke", _) => Err(ApiError::method(call.method.as_str(), "POST")),
            _ => Err(ApiError::not_found()),
        }
    }

    /// Whom the token stands for.
    fn who(&mut self, call: &Call, now: Timestamp) -> Result<Reply, ApiError> {
        if !call.token().is_some_and(|token| self.auth.admits(token, &self.config, now)) {
            return Err(ApiError::new(403, "INVALID_SESSION_ID", "Bad_OAuth_Token"));
        }
        let Store { organization, user, .. } = &self.store;
        let id = format!("{}/id/{organization}/{user}", call.instance);
        Ok(Reply::ok(json!({
            "id": id,
            "sub": id,
            "user_id": user,
            "organization_id": organization,
            "username": self.config.username,
            "preferred_username": self.config.username,
            "active": true,
        })))
    }

    /// How the allowance stands: what is used of how much.
    pub(crate) fn allowance(&mut self, now: Timestamp) -> (u64, u64) {
        (self.usage.count(now), self.config.daily_requests)
    }
}

impl Service for Salesforce {
    type Call = Call;
    type Action = Action;

    fn late(&mut self) -> &mut Vec<Late<Call, Action>> {
        &mut self.late
    }

    fn execute(&mut self, call: &Call, shapes: &[Action], now: Timestamp) -> Executed {
        let options = call.header("sforce-duplicate-rule-header").unwrap_or_default().to_lowercase();
        let allow_save = options.split([';', ',']).any(|one| one.replace(' ', "") == "allowsave=true");
        let access = Access::new(By::Api { allow_save }, shapes, now);
        let executed = self.answer(call, &access).unwrap_or_else(|error| error.refuse());
        for kind in access.taken() {
            self.faults.count(kind);
        }
        dress(executed, now)
    }

    fn not_executed(&mut self, _: &Call, now: Timestamp) -> Executed {
        dress(ApiError::unavailable().refuse(), now)
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
            idempotency_key: None,
            status,
            executed: executed.executed,
            effective: executed.changed > 0,
            changed: executed.changed,
            created: executed.created,
            replayed: false,
            fault,
        });
    }
}

/// Adds the header that every answer has: `Date` follows the sandbox's clock, since pollers start from it.
fn dress(mut executed: Executed, now: Timestamp) -> Executed {
    executed.headers.push(("date".into(), http_date(now)));
    executed
}

fn versions() -> serde_json::Value {
    let versions = (52..=65).map(|version| {
        json!({ "label": format!("v{version}"), "url": format!("/services/data/v{version}.0"), "version": format!("{version}.0") })
    });
    versions.collect()
}
