//! Stripe's own advice about an error answer, which counts before its status (rule 44).

use bothways_model::planted::{self, Bug};
use bothways_model::{ErrorClass, Failure, Response};

/// The code of a 429 that is about one locked object, not about the rate: trying again helps, slowing everything down does not.
const LOCKED: &str = "lock_timeout";

/// The code of a 409 for a key whose first request is still being carried out. Its outcome is open, whatever the advice.
const KEY_IN_USE: &str = "idempotency_key_in_use";

/// Corrects a failure by the answer's headers and code.
pub(crate) fn refine(answer: &Response, failure: &mut Failure) {
    let code = failure.code.as_deref();
    if answer.status == 429 && code == Some(LOCKED) {
        failure.class = ErrorClass::Retry;
    }
    if planted::is(Bug::BusyKeyTriedWithAnother) && code == Some(KEY_IN_USE) {
        failure.class = ErrorClass::Conflict;
        return;
    }
    failure.replayed = flag(answer, "idempotent-replayed") == Some(true);
    match flag(answer, "stripe-should-retry") {
        // Too fast stays too fast: that is tried again as well, and slows down besides.
        Some(true) if failure.class != ErrorClass::Throttle => failure.class = ErrorClass::Retry,
        // Trying again can only bring this answer again. Whether the request was carried out is not said by that, so a server error stays
        // uncertain, to be looked up (rule 23).
        Some(false) if answer.status >= 500 => failure.replayed = true,
        Some(false)
            if matches!(failure.class, ErrorClass::Retry | ErrorClass::Throttle)
                && code != Some(KEY_IN_USE) =>
        {
            failure.class = ErrorClass::Invalid;
        }
        _ => {}
    }
}

fn flag(answer: &Response, name: &str) -> Option<bool> {
    match answer.header(name)?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refined(status: u16, class: ErrorClass, code: Option<&str>, headers: &[(&str, &str)]) -> Failure {
        let answer =
            headers.iter().fold(Response::json(status, &json!({})), |a, (n, v)| a.with_header(n, *v));
        let mut failure = Failure::new(class, "…");
        failure.status = Some(status);
        failure.code = code.map(str::to_owned);
        refine(&answer, &mut failure);
        failure
    }

    #[test]
    fn a_lock_is_no_rate_limit() {
        assert_eq!(refined(429, ErrorClass::Throttle, Some(LOCKED), &[]).class, ErrorClass::Retry);
        assert_eq!(refined(429, ErrorClass::Throttle, Some("rate_limit"), &[]).class, ErrorClass::Throttle);
    }

    #[test]
    fn advice_counts_before_the_status() {
        let yes = [("Stripe-Should-Retry", "true")];
        assert_eq!(refined(409, ErrorClass::Conflict, None, &yes).class, ErrorClass::Retry);
        assert_eq!(refined(400, ErrorClass::Invalid, None, &yes).class, ErrorClass::Retry);
        assert_eq!(refined(429, ErrorClass::Throttle, None, &yes).class, ErrorClass::Throttle);
        let no = [("Stripe-Should-Retry", "false")];
        assert_eq!(refined(429, ErrorClass::Throttle, None, &no).class, ErrorClass::Invalid);
        assert_eq!(refined(429, ErrorClass::Throttle, Some(LOCKED), &no).class, ErrorClass::Invalid);
        assert_eq!(refined(409, ErrorClass::Retry, Some(KEY_IN_USE), &no).class, ErrorClass::Retry);
        assert_eq!(refined(402, ErrorClass::Invalid, None, &no).class, ErrorClass::Invalid);
        assert_eq!(
            refined(400, ErrorClass::Invalid, None, &[("Stripe-Should-Retry", "maybe")]).class,
            ErrorClass::Invalid
        );
    }

    #[test]
    fn a_server_error_stays_uncertain_whatever_the_advice() {
        let failure = refined(500, ErrorClass::Retry, None, &[("stripe-should-retry", "false")]);
        assert!(failure.is_uncertain() && failure.replayed);
        let failure = refined(500, ErrorClass::Retry, None, &[]);
        assert!(failure.is_uncertain() && !failure.replayed);
    }

    #[test]
    fn a_saved_answer_is_told_from_a_new_one() {
        assert!(refined(400, ErrorClass::Invalid, None, &[("Idempotent-Replayed", "true")]).replayed);
        assert!(!refined(400, ErrorClass::Invalid, None, &[("Idempotent-Replayed", "false")]).replayed);
        assert!(!refined(400, ErrorClass::Invalid, None, &[]).replayed);
    }
}
