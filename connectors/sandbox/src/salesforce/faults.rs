//! What can go wrong at the sandbox Salesforce.

use crate::fault_queue::{Mishap, Scope, Seen};
use crate::transit::Transit;
use bothways_model::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Never executed, the connection is dropped.
    LostRequest,
    /// Executed, the connection is dropped. At the token endpoint, the new refresh token is lost with it.
    LostAnswer,
    /// The connection is dropped; executed after `delay_ms`, or, where that is absent, when released.
    LateRequest {
        /// Milliseconds of the sandbox's clock.
        #[serde(default)]
        delay_ms: Option<u64>,
    },
    /// Executed twice, as if a proxy had repeated it; the second answer is given.
    Duplicate,
    /// Executed, answered late.
    SlowAnswer {
        /// Milliseconds.
        millis: u64,
    },
    /// Executed, the body ends in the middle.
    TruncatedBody,
    /// 200 with an HTML page, not executed: what a maintenance page or a login redirect looks like.
    HtmlBody,
    /// 500 UNKNOWN_EXCEPTION, not executed.
    Error500,
    /// 503, not executed.
    Unavailable503,
    /// 401 INVALID_SESSION_ID although the session is good: another instance, a locked IP range, a blocked client.
    InvalidSession401,
    /// 403 INSUFFICIENT_ACCESS, as if a permission had been taken away.
    Forbidden403,
    /// 403 REQUEST_LIMIT_EXCEEDED, whatever the count.
    RequestLimit403,
    /// The write of a row finds it locked: 400 UNABLE_TO_LOCK_ROW, or one failed record of a collection. `event` picks the
    /// rows, such as `Contact.update`.
    RowLocked,
    /// The write of a row is refused with this code and status 400, or as one failed record of a collection; `event` as for the lock.
    RowRefused {
        /// The code, such as `FIELD_CUSTOM_VALIDATION_EXCEPTION`.
        code: String,
    },
    /// Queries see the write of a row only later, although its stamps are of now. `event` picks the rows.
    LateVisible {
        /// Seconds.
        seconds: u32,
        /// The replication calls know nothing of it either, and say of later times that they cover them.
        #[serde(default)]
        untold: bool,
    },
    /// A flow sets a field of the row whenever the API writes it.
    Automation {
        /// A field, such as `Description`, of the objects that have it.
        field: String,
        /// Its value; null empties it.
        value: Value,
    },
    /// A trigger lower-cases what the API writes into a field.
    LowerCases {
        /// The field, such as `Email`.
        field: String,
    },
    /// A validation rule refuses writes of the API that set this field to anything but null.
    ValidationRule {
        /// The field.
        field: String,
    },
    /// Permissions shrink: the user may not see this field any more.
    HiddenField {
        /// The field, of the objects that have it.
        field: String,
    },
    /// Sharing shrinks: the user sees no record of this object any more.
    HiddenRecords {
        /// The object, such as `Contact`.
        object: String,
    },
    /// Queries answer 200 without rows.
    EmptyList,
    /// A further page of a query gives the first rows again.
    PageRepeated,
    /// The answer about a collection lacks its first result; all of its records are written.
    ResultMissing,
}

impl Action {
    /// Every kind, in the order of [`Action`], as [`Action::kind`] names it.
    pub const KINDS: [&str; 23] = [
        "lost_request",
        "lost_answer",
        "late_request",
        "duplicate",
        "slow_answer",
        "truncated_body",
        "html_body",
        "error500",
        "unavailable503",
        "invalid_session401",
        "forbidden403",
        "request_limit403",
        "row_locked",
        "row_refused",
        "late_visible",
        "automation",
        "lower_cases",
        "validation_rule",
        "hidden_field",
        "hidden_records",
        "empty_list",
        "page_repeated",
        "result_missing",
    ];

    /// The name under which firings are counted, which is also its `kind` in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::LostRequest => "lost_request",
            Action::LostAnswer => "lost_answer",
            Action::LateRequest { .. } => "late_request",
            Action::Duplicate => "duplicate",
            Action::SlowAnswer { .. } => "slow_answer",
            Action::TruncatedBody => "truncated_body",
            Action::HtmlBody => "html_body",
            Action::Error500 => "error500",
            Action::Unavailable503 => "unavailable503",
            Action::InvalidSession401 => "invalid_session401",
            Action::Forbidden403 => "forbidden403",
            Action::RequestLimit403 => "request_limit403",
            Action::RowLocked => "row_locked",
            Action::RowRefused { .. } => "row_refused",
            Action::LateVisible { .. } => "late_visible",
            Action::Automation { .. } => "automation",
            Action::LowerCases { .. } => "lower_cases",
            Action::ValidationRule { .. } => "validation_rule",
            Action::HiddenField { .. } => "hidden_field",
            Action::HiddenRecords { .. } => "hidden_records",
            Action::EmptyList => "empty_list",
            Action::PageRepeated => "page_repeated",
            Action::ResultMissing => "result_missing",
        }
    }
}

impl Mishap for Action {
    fn kinds() -> &'static [&'static str] {
        &Self::KINDS
    }

    fn kind(&self) -> &'static str {
        Action::kind(self)
    }

    fn scope(&self) -> Scope {
        match self {
            Action::RowLocked | Action::RowRefused { .. } | Action::LateVisible { .. } => Scope::Event,
            Action::Automation { .. }
            | Action::LowerCases { .. }
            | Action::ValidationRule { .. }
            | Action::HiddenField { .. }
            | Action::HiddenRecords { .. }
            | Action::EmptyList
            | Action::PageRepeated
            | Action::ResultMissing => Scope::Shape,
            _ => Scope::Answer,
        }
    }

    fn concerns(&self, seen: &Seen<'_>) -> bool {
        let is_data = !seen.path.starts_with("/services/oauth2");
        match self {
            Action::EmptyList => seen.is_list,
            Action::PageRepeated => seen.has_cursor,
            Action::ResultMissing => seen.path.contains("/composite/sobjects"),
            Action::Automation { .. } | Action::LowerCases { .. } | Action::ValidationRule { .. } => {
                is_data && matches!(seen.method, Method::Post | Method::Patch)
            }
            Action::HiddenField { .. }
            | Action::HiddenRecords { .. }
            | Action::InvalidSession401
            | Action::Forbidden403
            | Action::RequestLimit403 => is_data,
            _ => true,
        }
    }

    fn transit(&self) -> Option<Transit> {
        Some(match self {
            Action::LostRequest => Transit::LostRequest,
            Action::LostAnswer => Transit::LostAnswer,
            Action::LateRequest { delay_ms } => Transit::Late { delay_ms: *delay_ms, arrived: false },
            Action::Duplicate => Transit::Duplicate,
            Action::SlowAnswer { millis } => Transit::Slow { millis: *millis },
            Action::TruncatedBody => Transit::Truncated,
            Action::HtmlBody => Transit::Html,
            _ => return None,
        })
    }
}
