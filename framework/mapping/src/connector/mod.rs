//! A checked connector: what a connector document says, parsed as far as it can be before anybody supplies variables.
//!
//! Every default of the language is applied here, so that whoever executes calls looks nothing up twice: a list call
//! carries its own items, pages and page size. [`ConnectorSpec::resolve`] fills the variables of one connection.

mod call;
mod capabilities;
mod errors;
mod escape;
mod events;
mod fact;
mod login;
mod lookup;
mod oauth2;
mod record;
mod resolve;
mod resource;
mod time;

use crate::finding::Source;
use crate::path::Query;
use crate::template::Template;
use crate::units::RateLimit;
use std::collections::BTreeMap;
use std::time::Duration;

pub use call::{Call, CursorPlace, Pages, Returns};
pub use errors::Errors;
pub use escape::Escape;
pub use events::{
    Digest, Encoding, EventRule, EventTime, Events, Feed, FeedOrder, SignatureFormat, SignatureHeader,
    VerifySpec, WebhookSpec,
};
pub use fact::Fact;
pub use login::{Login, LoginBody, LoginSpec};
pub use lookup::Lookup;
pub(crate) use lookup::unlisted;
pub use oauth2::{ClientAuth, GrantKind, JwtSpec, Oauth2, Oauth2Spec};
pub use record::{IdSpec, IfMatch, Sends, Update, plain_text};
pub use resolve::{Auth, HeaderValue, ResolvedConnector, VarProblem, Verify, Webhook};
pub use resource::{Delete, Delta, Find, Recover, ResourceSpec, Since};
pub use time::{TimeAt, TimeFormat};
pub(crate) use time::{format_iso8601, format_utc, parse_iso8601, parse_utc};

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
    /// Used only by one of several ways to get a token: without it another way is taken.
    pub alternative: bool,
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
    /// Idempotent writes: what carries the key, and how long a key is remembered.
    pub idempotency: Option<IdempotencyKey>,
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
    /// OAuth 2.0.
    Oauth2(Box<Oauth2Spec>),
    /// A session token, which a call of the service's own gives.
    Login(Box<LoginSpec>),
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
pub struct IdempotencyKey {
    /// What carries the key.
    pub place: KeyPlace,
    /// How long a key is remembered.
    pub keeps: Duration,
}

/// What carries the key of an idempotent write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// A header.
    Header(String),
    /// A query parameter.
    Query(String),
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
    /// So many in 24 hours.
    pub daily: Option<Setting<u32>>,
    /// Where answers say how much of a day's calls is used.
    pub used: Option<UsedSpec>,
}

/// Where answers say how much of a day's calls is used.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedSpec {
    /// The header, in lower case.
    pub header: String,
    /// What it looks like.
    pub format: Vec<UsedPart>,
}

/// A piece of what a header says of used calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsedPart {
    /// Text as it stands.
    Text(String),
    /// How many calls are used.
    Used,
    /// How many are left.
    Left,
    /// How many there are.
    Limit,
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
    /// So many in 24 hours; none: as many as `limit` lets through.
    pub daily: Option<u32>,
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
        let daily = match &self.daily {
            Some(Setting::Fixed(n)) => Some(*n),
            _ => None,
        };
        Rate { limit, concurrent, burst, daily }
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
