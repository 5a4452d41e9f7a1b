//! A checked connector: what a connector document says, parsed as far as it can be before anybody supplies variables.
//!
//! Every default of the language is applied here, so that whoever executes calls looks nothing up twice: a list call
//! carries its own items, pages and page size. [`ConnectorSpec::resolve`] fills the variables of one connection.

mod capabilities;
mod errors;
mod events;
mod resolve;
mod time;

use crate::finding::Source;
use crate::lens::Normalizer;
use crate::path::{Filter, Query};
use crate::template::{JsonTemplate, Template};
use crate::units::RateLimit;
use bothways_model::{Method, SingularPath};
use std::collections::BTreeMap;
use std::time::Duration;

pub use errors::Errors;
pub use events::{
    Digest, Encoding, EventRule, Events, Feed, FeedOrder, SignatureFormat, SignatureHeader, VerifySpec,
    WebhookSpec,
};
pub use resolve::{Auth, HeaderValue, ResolvedConnector, VarProblem, Verify, Webhook};
pub use time::{TimeAt, TimeFormat};
pub(crate) use time::{format_iso8601, parse_iso8601};

/// What a connector document says.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorSpec {
    /// Its name.
    pub name: String,
    /// The settings that a user supplies, in document order.
    pub vars: Vec<Var>,
    /// How every call is made.
    pub http: Http,
    /// Which account the credentials mean.
    pub account: Option<Account>,
    /// How the service tells about changes.
    pub events: Option<Events>,
    /// The kinds of records.
    pub resources: BTreeMap<String, ResourceSpec>,
    /// Where the document is.
    pub source: Source,
}

/// One setting that a user supplies.
#[derive(Clone, Debug, PartialEq)]
pub struct Var {
    /// Its name in the document.
    pub name: String,
    /// Used when the user gives none.
    pub default: Option<String>,
    /// A credential.
    pub secret: bool,
    /// Several values, separated by commas.
    pub list: bool,
    /// The author's words for the person who supplies it.
    pub doc: Option<String>,
    /// Used only under `events.webhook`: without it the webhook is off and the rest runs.
    pub webhook_only: bool,
}

impl Var {
    /// The environment variable it is read from.
    pub fn env(&self, connection: &str) -> String {
        format!("{connection}_{}", self.name).replace('-', "_").to_uppercase()
    }
}

/// How every call is made. Defaults are applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Where the API is, without a slash at the end once resolved.
    pub base_url: Template,
    /// How calls prove who is calling.
    pub auth: AuthSpec,
    /// Headers of every call; values may hold secret variables.
    pub headers: Vec<(String, Template)>,
    /// How request bodies are written.
    pub body: BodyFormat,
    /// What "set to null" is on the wire.
    pub null_as: NullAs,
    /// Idempotent writes: the header that carries the key, and how long a key is remembered.
    pub idempotency: Option<IdempotencyHeader>,
    /// How fast to call.
    pub rate: RateSpec,
    /// How long one call may take.
    pub timeout: Duration,
    /// When to try again.
    pub retry: Retry,
    /// How to read errors.
    pub errors: Errors,
}

/// How calls prove who is calling; texts may hold secret variables.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthSpec {
    /// Not at all.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Template),
    /// HTTP Basic.
    Basic {
        /// The user.
        user: Template,
        /// The password.
        password: Template,
    },
    /// A header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Template,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: Template,
    },
    /// OAuth 2.0 client credentials.
    Oauth2 {
        /// Where tokens come from.
        token_url: Template,
        /// The client's id.
        client_id: Template,
        /// The client's secret.
        client_secret: Template,
        /// The scopes to ask for.
        scope: Option<Template>,
    },
}

/// How request bodies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// A JSON document.
    Json,
    /// Form fields: `a[b]`, `a[0]`.
    Form,
}

/// What "set to null" is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NullAs {
    /// JSON `null`.
    Null,
    /// This text.
    Text(String),
    /// The service cannot be told: clearing a field is refused (`body: form` without `null_as`).
    Refused,
}

/// Idempotent writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyHeader {
    /// The header that carries the key.
    pub header: String,
    /// How long a key is remembered.
    pub keeps: Duration,
}

/// A number that the document gives, or leaves to a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting<T> {
    /// Given.
    Fixed(T),
    /// Left to this variable.
    Var(String),
}

/// How fast to call, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSpec {
    /// So many in so much time.
    pub limit: Setting<RateLimit>,
    /// So many at once.
    pub concurrent: Setting<u32>,
    /// So many after a pause before `limit` paces them; none: one second's worth.
    pub burst: Option<Setting<u32>>,
}

/// How fast to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many in so much time.
    pub limit: RateLimit,
    /// So many at once.
    pub concurrent: u32,
    /// So many after a pause before `limit` paces them.
    pub burst: u32,
}

impl RateSpec {
    /// `10/s`, 4 at once.
    pub const DEFAULT_LIMIT: RateLimit = RateLimit { count: 10, per: Duration::from_secs(1) };
    /// Calls at once, if nothing is said.
    pub const DEFAULT_CONCURRENT: u32 = 4;

    /// The numbers; a variable that was not resolved counts as not given.
    pub fn rate(&self) -> Rate {
        let limit = match &self.limit {
            Setting::Fixed(limit) => *limit,
            Setting::Var(_) => Self::DEFAULT_LIMIT,
        };
        let concurrent = match &self.concurrent {
            Setting::Fixed(n) => *n,
            Setting::Var(_) => Self::DEFAULT_CONCURRENT,
        };
        let second = u128::from(limit.count) * 1000 / limit.per.as_millis().max(1);
        let burst = match &self.burst {
            Some(Setting::Fixed(n)) => *n,
            _ => u32::try_from(second).unwrap_or(u32::MAX).clamp(1, limit.count.max(1)),
        };
        Rate { limit, concurrent, burst }
    }
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// After so many attempts a change parks.
    pub attempts: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub max: Duration,
}

/// Which account the credentials mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The call that answers it.
    pub call: Call,
    /// Where the id is.
    pub id: Query,
}

/// One call, with everything a default could say already said.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, appended to the base URL. Slots are percent-encoded; text is not.
    pub path: Template,
    /// Query parameters in order: those in the call line, then those of `query`. Nothing is percent-encoded yet.
    pub query: Vec<(String, Template)>,
    /// The JSON body.
    pub json: Option<JsonTemplate>,
    /// Headers of this call.
    pub headers: Vec<(String, Template)>,
    /// Where the records of a list answer are; read it with [`Query::items`].
    pub items: Query,
    /// How one page leads to the next.
    pub pages: Pages,
    /// The query parameter that asks for a page size, and the size.
    pub page_size: Option<(String, u32)>,
    /// What the answer holds.
    pub returns: Returns,
    /// The call is made only if this holds for the record as last seen.
    pub when: Option<Filter>,
    /// Where the call is written.
    pub source: Source,
}

impl Call {
    /// Every text of the call that may have holes.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.path)
            .chain(self.query.iter().map(|(_, t)| t))
            .chain(self.headers.iter().map(|(_, t)| t))
            .chain(self.json.iter().flat_map(JsonTemplate::templates))
    }
}

/// How one page leads to the next.
#[derive(Clone, Debug, PartialEq)]
pub enum Pages {
    /// One page is all there is.
    None,
    /// A value of this page asks for the next.
    Cursor {
        /// Where the value goes.
        send: CursorPlace,
        /// Where it is in the answer; no value (or null) ends the list.
        value: Query,
        /// There is a next page only while this holds for the answer.
        more: Option<Filter>,
    },
    /// The answer holds the next page's URL; none (or null) ends the list.
    NextUrl(Query),
    /// The answer's `Link` header names the next page (`rel="next"`).
    LinkHeader,
    /// Numbered pages; a page without records ends the list.
    Page {
        /// The query parameter.
        query: String,
        /// The first number.
        first: u32,
    },
    /// The number of records read so far; a page without records ends the list.
    Offset {
        /// The query parameter.
        query: String,
    },
}

/// Where a cursor goes in the next request.
#[derive(Clone, Debug, PartialEq)]
pub enum CursorPlace {
    /// A query parameter.
    Query(String),
    /// A place in the JSON body.
    Json(SingularPath),
    /// A header.
    Header(String),
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Returns {
    /// The record.
    Record,
    /// Nothing of use.
    Nothing,
    /// The record's id, here.
    Id(Query),
}

/// A kind of remote record.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceSpec {
    /// Its name.
    pub name: String,
    /// Names that a mapping fills.
    pub params: Vec<String>,
    /// Where the id is; text or a number.
    pub id: Query,
    /// Where fields live.
    pub fields_under: SingularPath,
    /// Names that `{fields}` always holds.
    pub extra_fields: Vec<String>,
    /// Below these an absent key is null; elsewhere absent is unknown.
    pub sparse: Vec<SingularPath>,
    /// When a record was last modified, by the service's clock.
    pub changed_at: Option<TimeAt>,
    /// Lists all records.
    pub list: Option<Call>,
    /// Reads one.
    pub get: Option<Call>,
    /// Creates one.
    pub create: Option<Call>,
    /// Changes one.
    pub update: Option<Call>,
    /// Deletes one.
    pub delete: Option<Delete>,
    /// Creates or updates by our own key.
    pub upsert: Option<Call>,
    /// Lookups, in document order.
    pub find: Vec<Find>,
    /// A consistent list that proves whether an uncertain create arrived.
    pub recover: Option<Recover>,
    /// Lists what changed.
    pub since: Option<Since>,
    /// Holds for a deleted record. Asked before any field is read.
    pub gone: Option<Filter>,
    /// What event types mean, in document order.
    pub events: Vec<(String, EventRule)>,
    /// Where the resource is written.
    pub source: Source,
}

impl ResourceSpec {
    /// What `{fields}` lists for a mapping that reads `paths`: the names below `fields_under`, each once, `extra_fields` first.
    pub fn fields<'a>(&self, paths: impl IntoIterator<Item = &'a SingularPath>) -> Vec<String> {
        let depth = self.fields_under.0.len();
        let mut names = self.extra_fields.clone();
        for path in paths {
            if !path.starts_with(&self.fields_under) {
                continue;
            }
            if let Some(bothways_model::Segment::Name(name)) = path.0.get(depth)
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// The lookup on `path`, if there is one.
    pub fn find_on(&self, path: &SingularPath) -> Option<&Find> {
        self.find.iter().find(|f| f.path == *path)
    }
}

/// A deleting call.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// The call.
    pub call: Call,
    /// The service cannot undo it.
    pub irreversible: bool,
}

/// A lookup by natural key.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// The record's path that is looked up.
    pub path: SingularPath,
    /// The call.
    pub call: Call,
    /// `items: $`: the answer is one record, and an error of class `missing` means none.
    pub single: bool,
    /// What the service folds when it compares.
    pub folds: Vec<Normalizer>,
    /// It sees the service's own latest writes.
    pub consistent: bool,
}

/// A list that proves whether an uncertain create arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Recover {
    /// The call.
    pub call: Call,
    /// How `{since}` is written in it: as `since`, `changed_at` or `events.at` is, whichever comes first; else ISO 8601.
    pub send: TimeFormat,
}

/// An incremental list.
#[derive(Clone, Debug, PartialEq)]
pub struct Since {
    /// The call.
    pub call: Call,
    /// When a record changed.
    pub at: TimeAt,
    /// How `{since}` is written in the call.
    pub send: TimeFormat,
    /// What orders records of one moment.
    pub tie: Option<Query>,
    /// How late a change may become visible.
    pub lag: Duration,
    /// The most results of one search.
    pub cap: Option<u32>,
}
