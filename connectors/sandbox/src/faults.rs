//! What can go wrong at the sandbox Stripe.

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
    /// Executed, the connection is dropped.
    LostAnswer,
    /// The connection is dropped; executed after `delay_ms`, or, where that is absent, when released.
    LateRequest {
        /// Milliseconds of the sandbox's clock.
        #[serde(default)]
        delay_ms: Option<u64>,
    },
    /// The connection is dropped while the request is being executed, which is over after `delay_ms`, or, where that is absent, when
    /// released. Until then its idempotency key is in use.
    Unfinished {
        /// Milliseconds of the sandbox's clock.
        #[serde(default)]
        delay_ms: Option<u64>,
    },
    /// Executed twice, as if a proxy had repeated it; the second answer is given.
    Duplicate,
    /// 500, saved under the idempotency key, whether or not it was `executed` before.
    SavedError500 {
        /// Whether the object was written although the answer is 500.
        executed: bool,
    },
    /// 500 of something in front of the service: not executed, not saved.
    Error500,
    /// 503, not executed.
    Unavailable503,
    /// 401, as if the key had been revoked or rotated elsewhere.
    Unauthorized401,
    /// 403, as if the key's permission for this resource had been taken away.
    Forbidden403,
    /// 429 of the rate limiter.
    RateLimited429 {
        /// Seconds in `Retry-After`.
        retry_after: u64,
    },
    /// 429 of a lock on the object (`lock_timeout`), which is no rate limit.
    LockTimeout429,
    /// 409, the same key is being executed right now.
    KeyInUse409,
    /// Executed, answered late.
    SlowAnswer {
        /// Milliseconds.
        millis: u64,
    },
    /// Executed, the body ends in the middle.
    TruncatedBody,
    /// 200 with an HTML page, not executed.
    HtmlBody,
    /// The remote lower-cases a parameter that it is sent, as an account setting would.
    LowerCases {
        /// The parameter, such as `email`.
        field: String,
    },
    /// An automation of the account sets a parameter of the customer after each write of the API.
    Automation {
        /// A parameter, such as `description`.
        field: String,
        /// Its value as JSON; null unsets.
        value: Value,
    },
    /// Customer lists answer as they were this long ago.
    StaleList {
        /// Seconds, up to 3600.
        seconds: u32,
    },
    /// Lists answer 200 without items.
    EmptyList,
    /// A page is given again. Matches only requests with `starting_after`.
    PageRepeated,
    /// A page is left out.
    PageSkipped,
    /// Permissions shrink: this top-level field is absent from customers in all answers.
    HiddenField {
        /// The field, such as `email`.
        field: String,
    },
    /// The credentials mean another account, with records of its own.
    OtherAccount,
    /// The event is never generated.
    EventNotGenerated,
    /// The event is of another API version.
    EventVersion {
        /// The version it says.
        version: String,
    },
    /// The event is delivered twice.
    DeliveryDuplicated,
    /// The event is delivered after the next one to the same endpoint, or after 5 s.
    DeliveryReordered,
    /// The event is in the feed, but is never delivered.
    DeliveryLost,
    /// The event is delivered late.
    DeliveryDelayed {
        /// Milliseconds.
        millis: u64,
    },
}

impl Action {
    /// Every kind, in the order of [`Action`], as [`Action::kind`] names it.
    pub const KINDS: [&str; 30] = [
        "lost_request",
        "lost_answer",
        "late_request",
        "unfinished",
        "duplicate",
        "saved_error500",
        "error500",
        "unavailable503",
        "unauthorized401",
        "forbidden403",
        "rate_limited429",
        "lock_timeout429",
        "key_in_use409",
        "slow_answer",
        "truncated_body",
        "html_body",
        "lower_cases",
        "automation",
        "stale_list",
        "empty_list",
        "page_repeated",
        "page_skipped",
        "hidden_field",
        "other_account",
        "event_not_generated",
        "event_version",
        "delivery_duplicated",
        "delivery_reordered",
        "delivery_lost",
        "delivery_delayed",
    ];

    /// The name under which firings are counted, which is also its `kind` in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::LostRequest => "lost_request",
            Action::LostAnswer => "lost_answer",
            Action::LateRequest { .. } => "late_request",
            Action::Unfinished { .. } => "unfinished",
            Action::Duplicate => "duplicate",
            Action::SavedError500 { .. } => "saved_error500",
            Action::Error500 => "error500",
            Action::Unavailable503 => "unavailable503",
            Action::Unauthorized401 => "unauthorized401",
            Action::Forbidden403 => "forbidden403",
            Action::RateLimited429 { .. } => "rate_limited429",
            Action::LockTimeout429 => "lock_timeout429",
            Action::KeyInUse409 => "key_in_use409",
            Action::SlowAnswer { .. } => "slow_answer",
            Action::TruncatedBody => "truncated_body",
            Action::HtmlBody => "html_body",
            Action::LowerCases { .. } => "lower_cases",
            Action::Automation { .. } => "automation",
            Action::StaleList { .. } => "stale_list",
            Action::EmptyList => "empty_list",
            Action::PageRepeated => "page_repeated",
            Action::PageSkipped => "page_skipped",
            Action::HiddenField { .. } => "hidden_field",
            Action::OtherAccount => "other_account",
            Action::EventNotGenerated => "event_not_generated",
            Action::EventVersion { .. } => "event_version",
            Action::DeliveryDuplicated => "delivery_duplicated",
            Action::DeliveryReordered => "delivery_reordered",
            Action::DeliveryLost => "delivery_lost",
            Action::DeliveryDelayed { .. } => "delivery_delayed",
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
            Action::LostRequest
            | Action::LostAnswer
            | Action::LateRequest { .. }
            | Action::Unfinished { .. }
            | Action::Duplicate
            | Action::SavedError500 { .. }
            | Action::Error500
            | Action::Unavailable503
            | Action::Unauthorized401
            | Action::Forbidden403
            | Action::RateLimited429 { .. }
            | Action::LockTimeout429
            | Action::KeyInUse409
            | Action::SlowAnswer { .. }
            | Action::TruncatedBody
            | Action::HtmlBody => Scope::Answer,
            Action::LowerCases { .. }
            | Action::Automation { .. }
            | Action::StaleList { .. }
            | Action::EmptyList
            | Action::PageRepeated
            | Action::PageSkipped
            | Action::HiddenField { .. }
            | Action::OtherAccount => Scope::Shape,
            Action::EventNotGenerated
            | Action::EventVersion { .. }
            | Action::DeliveryDuplicated
            | Action::DeliveryReordered
            | Action::DeliveryLost
            | Action::DeliveryDelayed { .. } => Scope::Event,
        }
    }

    /// What the action needs of a request beyond the matcher, so that it cannot be used up without effect.
    fn concerns(&self, seen: &Seen<'_>) -> bool {
        match self {
            Action::StaleList { .. } => seen.is_list && seen.path == "/v1/customers",
            Action::EmptyList | Action::PageSkipped => seen.is_list,
            Action::PageRepeated => seen.is_list && seen.has_cursor,
            Action::LowerCases { .. } | Action::Automation { .. } => seen.method == Method::Post,
            Action::SavedError500 { .. } => seen.method == Method::Post,
            _ => true,
        }
    }

    fn transit(&self) -> Option<Transit> {
        Some(match self {
            Action::LostRequest => Transit::LostRequest,
            Action::LostAnswer => Transit::LostAnswer,
            Action::LateRequest { delay_ms } => Transit::Late { delay_ms: *delay_ms, arrived: false },
            Action::Unfinished { delay_ms } => Transit::Late { delay_ms: *delay_ms, arrived: true },
            Action::Duplicate => Transit::Duplicate,
            Action::SlowAnswer { millis } => Transit::Slow { millis: *millis },
            Action::TruncatedBody => Transit::Truncated,
            Action::HtmlBody => Transit::Html,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault_queue::{Drawn, Fault, Faults};

    fn post(path: &str) -> Seen<'_> {
        Seen { method: Method::Post, path, is_list: false, has_cursor: false }
    }

    fn list(has_cursor: bool) -> Seen<'static> {
        Seen { method: Method::Get, path: "/v1/customers", is_list: true, has_cursor }
    }

    fn kinds(faults: &mut Faults<Action>, seen: &Seen<'_>, times: usize) -> Vec<Option<&'static str>> {
        (0..times).map(|_| faults.draw(seen).answer.map(|a| a.kind())).collect()
    }

    #[test]
    fn nth_and_times_count_only_matches() {
        let mut faults = Faults::default();
        faults.add(Fault::next(Action::LostAnswer).on(Method::Post, "/v1/customers").nth(2).times(2));
        assert_eq!(faults.draw(&list(false)), Drawn::default());
        let hit = Some("lost_answer");
        assert_eq!(kinds(&mut faults, &post("/v1/customers"), 4), [None, hit, hit, None]);
        assert_eq!(faults.queued().count(), 0);
        assert_eq!(faults.fired()["lost_answer"], 2);
        assert_eq!(faults.fired()["lost_request"], 0);
    }

    #[test]
    fn one_answer_fault_for_each_request_in_order() {
        let mut faults = Faults::default();
        faults.add(Fault::next(Action::Unavailable503));
        faults.add(Fault::next(Action::LockTimeout429));
        faults.add(Fault::always(Action::LowerCases { field: "email".into() }));
        let first = faults.draw(&post("/v1/customers"));
        assert_eq!((first.answer, first.shapes.len()), (Some(Action::Unavailable503), 1));
        let second = faults.draw(&post("/v1/customers"));
        assert_eq!((second.answer, second.shapes.len()), (Some(Action::LockTimeout429), 1));
        faults.clear();
        assert_eq!(faults.draw(&post("/v1/customers")), Drawn::default());
    }

    #[test]
    fn faults_wait_for_a_request_they_can_change() {
        let mut faults = Faults::default();
        faults.add(Fault::next(Action::PageRepeated));
        faults.add(Fault::next(Action::DeliveryLost).on_event("customer."));
        assert!(faults.draw(&list(false)).shapes.is_empty());
        assert_eq!(faults.draw(&list(true)).shapes, [Action::PageRepeated]);
        assert!(faults.draw_for_event("invoice.created").is_empty());
        assert_eq!(faults.draw_for_event("customer.updated"), [Action::DeliveryLost]);
        assert_eq!(faults.fired()["delivery_lost"], 1);
    }

    #[test]
    fn every_kind_has_a_counter_and_a_json_form() {
        for kind in Action::KINDS {
            let with = serde_json::json!({
                "delay_ms": 1, "executed": true, "retry_after": 1, "millis": 1, "field": "email", "value": null,
                "seconds": 1, "version": "x",
            });
            // Each variant accepts its own keys alone, so offer them one set at a time.
            let sets: [&[&str]; 9] = [
                &[],
                &["delay_ms"],
                &["executed"],
                &["retry_after"],
                &["millis"],
                &["field", "value"],
                &["seconds"],
                &["field"],
                &["version"],
            ];
            let read = sets.iter().find_map(|keys| {
                let mut json = serde_json::Map::from_iter([("kind".to_owned(), Value::from(kind))]);
                json.extend(keys.iter().map(|key| ((*key).to_owned(), with[*key].clone())));
                serde_json::from_value::<Action>(Value::Object(json)).ok()
            });
            assert_eq!(read.map(|action| action.kind()), Some(kind));
        }
    }
}
