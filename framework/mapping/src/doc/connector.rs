//! The connector document: how to talk to one API.

use super::{
    CallText, CountText, DurationText, EventsDoc, FactDoc, Free, ListsDoc, Name, Ordered, PathText, RateText,
    ResourceDoc, Text,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// How to talk to one API: where it is, how to authenticate, which calls it has. Any number of mappings use one connector.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Connector")]
pub struct ConnectorDoc {
    /// The connector's name: the part before `/` in a mapping's `remote`.
    pub connector: Name,
    /// Settings that the user supplies, by name. Each is read from `<CONNECTION>_<NAME>` in upper case (`-` as `_`), or
    /// from the file named by `<CONNECTION>_<NAME>_FILE`.
    #[serde(default)]
    pub vars: Ordered<VarDoc>,
    /// How every call is made.
    pub http: HttpDoc,
    /// Names the account behind the credentials, so that links of another account are never touched. Without it, or where
    /// the service refuses the call, the account is "unknown".
    #[serde(default)]
    #[schemars(with = "AccountDoc")]
    pub account: Option<AccountDoc>,
    /// How lists answer, for all calls that list.
    #[serde(default)]
    #[schemars(with = "ListsDoc")]
    pub lists: Option<ListsDoc>,
    /// How the service tells about changes: one decoder, pushed (`webhook`) and pulled (`feed`).
    #[serde(default)]
    #[schemars(with = "EventsDoc")]
    pub events: Option<EventsDoc>,
    /// The kinds of remote records, by name: the part after `/` in a mapping's `remote`.
    #[serde(default)]
    pub resources: Ordered<ResourceDoc>,
}

/// One setting that the user supplies.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Variable")]
pub struct VarDoc {
    /// Used when the user gives none. Without it the variable is required, unless it is used only under `events.webhook`, or only for one
    /// of several ways to get a token (`oauth2.jwt`, `oauth2.refresh_token`, `oauth2.client_secret`).
    #[serde(default)]
    #[schemars(with = "Text")]
    pub default: Option<Text>,
    /// True for credentials: never shown, never stored, and allowed only under `auth`, `verify` and `headers`. Default: false.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub secret: Option<bool>,
    /// True if several values may be given, separated by commas: the old and the new secret during a rotation. Default: false.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub list: Option<bool>,
    /// What it is, for the person who has to supply it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub doc: Option<Text>,
}

/// How every call is made.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "HTTP")]
pub struct HttpDoc {
    /// Where the API is; the paths of calls are appended. URLs found in answers must keep its origin.
    pub base_url: Text,
    /// How calls prove who is calling. Default: `none`.
    #[serde(default)]
    #[schemars(with = "AuthDoc")]
    pub auth: Option<AuthDoc>,
    /// Headers of every call. The API version belongs here.
    #[serde(default)]
    pub headers: Ordered<Text>,
    /// How request bodies are written. Default: `json`.
    #[serde(default)]
    #[schemars(with = "BodyDoc")]
    pub body: Option<BodyDoc>,
    /// What "set to null" is on the wire. Default: JSON `null`; with `body: form` there is no default, and clearing a field
    /// is refused unless this is given.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub null_as: Option<Text>,
    /// The service makes writes idempotent under a key that we send. Default: it does not.
    #[serde(default)]
    #[schemars(with = "IdempotencyDoc")]
    pub idempotency: Option<IdempotencyDoc>,
    /// How fast the connection may call. `Retry-After`, 429 and what `errors` classes as `throttle` slow it down. Default: `10/s`, 4 at once.
    #[serde(default)]
    #[schemars(with = "RateDoc")]
    pub rate: Option<RateDoc>,
    /// How long one call may take. Default: `30s`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub timeout: Option<DurationText>,
    /// How often and how long to try again, with full jitter. Outages do not count as attempts.
    #[serde(default)]
    #[schemars(with = "RetryDoc")]
    pub retry: Option<RetryDoc>,
    /// How to read errors.
    #[serde(default)]
    #[schemars(with = "ErrorsDoc")]
    pub errors: Option<ErrorsDoc>,
}

/// How calls prove who is calling. Secrets are variables; they have no literal form.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Authentication")]
pub enum AuthDoc {
    /// No credentials.
    None,
    /// `Authorization: Bearer …` with this token.
    Bearer(Text),
    /// HTTP Basic with user and password.
    Basic(BasicDoc),
    /// A header of the service's own.
    Header(NamedValueDoc),
    /// A query parameter.
    Query(NamedValueDoc),
    /// OAuth 2.0: a token is fetched, kept and renewed.
    Oauth2(Oauth2Doc),
    /// A call of the service's own that gives a session token, which is kept and renewed when it is refused.
    Login(LoginDoc),
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Basic credentials")]
pub struct BasicDoc {
    /// The user name.
    pub user: Text,
    /// The password; a secret variable, or empty.
    pub password: Text,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Name and value")]
pub struct NamedValueDoc {
    /// The name.
    pub name: Text,
    /// The value; a secret variable, with text around it if need be.
    pub value: Text,
}

/// OAuth 2.0. The first of these that is there, with its variables set, is used: `jwt`, `refresh_token`, `authorize_url`, client
/// credentials.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "OAuth 2.0")]
pub struct Oauth2Doc {
    /// Where tokens come from; an absolute URL.
    pub token_url: Text,
    /// The client's id.
    pub client_id: Text,
    /// The client's secret; a secret variable. Needed unless something else here gives tokens.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub client_secret: Option<Text>,
    /// Where the client's id and secret go when a token is asked for. Default: `basic`.
    #[serde(default)]
    #[schemars(with = "ClientAuthDoc")]
    pub client_auth: Option<ClientAuthDoc>,
    /// The scopes to ask for, separated by spaces.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub scope: Option<Text>,
    /// The first refresh token; a secret variable. Where the service gives another one with each access token, the newest is kept in
    /// the database, encrypted with `BOTHWAYS_KEY`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub refresh_token: Option<Text>,
    /// Where a person lets the client in: `bothways login CONNECTION` opens it, with PKCE, and takes the answer on loopback. The refresh
    /// token that comes of it is kept in the database, encrypted with `BOTHWAYS_KEY`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub authorize_url: Option<Text>,
    /// A signed statement instead of a client's secret (RFC 7523).
    #[serde(default)]
    #[schemars(with = "JwtDoc")]
    pub jwt: Option<JwtDoc>,
}

/// Where a client's id and secret go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Client authentication")]
pub enum ClientAuthDoc {
    /// In the `Authorization` header.
    Basic,
    /// In the request's body.
    Body,
}

/// A statement signed with RS256: `client_id` says that it acts for `subject`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "JWT bearer")]
pub struct JwtDoc {
    /// The RSA private key, in PEM; a secret variable.
    pub key: Text,
    /// For whom the client acts: a user's name.
    pub subject: Text,
    /// Who is to believe it. Default: `token_url`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub audience: Option<Text>,
}

/// A call that gives a session token. Its credentials stand in one of `json`, `form` and `basic`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Login")]
pub struct LoginDoc {
    /// Method and path.
    pub call: CallText,
    /// The JSON body of the call; secret variables may stand in it.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub json: Option<Free>,
    /// The form fields of the call; secret variables may stand in them.
    #[serde(default)]
    pub form: Ordered<Text>,
    /// User and password, sent by HTTP Basic.
    #[serde(default)]
    #[schemars(with = "BasicDoc")]
    pub basic: Option<BasicDoc>,
    /// Where the token is in the answer.
    pub token: FactDoc,
    /// How calls carry it: the header, and its value with `{token}`. Default: `Authorization: Bearer {token}`.
    #[serde(default)]
    #[schemars(with = "NamedValueDoc")]
    pub header: Option<NamedValueDoc>,
}

/// How request bodies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Body format")]
pub enum BodyDoc {
    /// A JSON document.
    Json,
    /// Form fields; nested values as `a[b]`, arrays as `a[0]`.
    Form,
}

/// Idempotent writes. Give exactly one of `header` and `query`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Idempotency")]
pub struct IdempotencyDoc {
    /// The header that carries the key.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub header: Option<Text>,
    /// The query parameter that carries it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub query: Option<Text>,
    /// How long the service remembers a key.
    pub keeps: DurationText,
}

/// How fast to call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rate")]
pub struct RateDoc {
    /// So many calls in so much time. Default: `10/s`.
    #[serde(default)]
    #[schemars(with = "RateText")]
    pub limit: Option<RateText>,
    /// So many calls at once. Default: 4.
    #[serde(default)]
    #[schemars(with = "CountText")]
    pub concurrent: Option<CountText>,
    /// So many calls may go out at once after a pause, before `limit` paces them. Default: one second's worth of `limit`.
    #[serde(default)]
    #[schemars(with = "CountText")]
    pub burst: Option<CountText>,
    /// So many calls in any 24 hours, as the engine counts them, restarts or not: at 80 % reading in bulk waits, at 90 % what the service
    /// told of, and the last 5 % are left alone. Default: no such limit.
    #[serde(default)]
    #[schemars(with = "CountText")]
    pub daily: Option<CountText>,
    /// Where answers say how much of the day's calls is used, by whomever. Default: nowhere.
    #[serde(default)]
    #[schemars(with = "UsedDoc")]
    pub used: Option<UsedDoc>,
}

/// Where answers say how much of the day's calls is used.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Used calls")]
pub struct UsedDoc {
    /// The header.
    pub header: Text,
    /// What it looks like, with `{used}` or `{left}`, and `{limit}` where it is there: `api-usage={used}/{limit}`. What stands behind
    /// it is ignored, and what stands before it where it begins with text. Default: `"{used}"`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub format: Option<Text>,
}

/// When to try again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Retry")]
pub struct RetryDoc {
    /// After so many attempts the change is parked. Default: 10.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1, max = 1000))]
    pub attempts: Option<u32>,
    /// The first wait. Default: `500ms`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub first: Option<DurationText>,
    /// The longest wait. Default: `5m`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub max: Option<DurationText>,
}

/// How to read errors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Errors")]
pub struct ErrorsDoc {
    /// Where the service's own words are, in an error's body.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub message: Option<PathText>,
    /// Where the service's code is.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub code: Option<PathText>,
    /// Which class each of the service's codes belongs to. Counts before `statuses`.
    #[serde(default)]
    pub codes: Ordered<ClassWord>,
    /// Which class an HTTP status belongs to, where it differs from: 408, 5xx `retry`; 429 `throttle`; 401 `auth`; 403 `forbidden`,
    /// which pauses the mapping; 404, 410 `missing`; 409, 412 `conflict`; other 4xx `invalid`.
    #[serde(default)]
    pub statuses: Ordered<ClassWord>,
    /// The header that says how long to wait after too many requests (429, class `throttle`), where it is not `Retry-After`: seconds, a
    /// moment in Unix seconds or milliseconds, or an HTTP date.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub retry_header: Option<Text>,
}

/// What an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Error class")]
pub enum ClassWord {
    /// Trouble at the service: try again later.
    Retry,
    /// Too many calls: slow down, then try again.
    Throttle,
    /// The credentials were refused: the connection pauses.
    Auth,
    /// The credentials may not do this: the mapping pauses.
    Forbidden,
    /// The record is not there.
    Missing,
    /// A record like this exists already: the change parks.
    Duplicate,
    /// The record changed meanwhile: look again.
    Conflict,
    /// A cursor or token is too old: a full pass follows.
    Expired,
    /// Never acceptable: the change parks.
    Invalid,
}

/// Which account the credentials mean.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Account")]
pub struct AccountDoc {
    /// The call that answers it.
    pub call: CallText,
    /// Where the account's id is in the answer.
    pub id: PathText,
}
