//! The two HTTP headers that speak of time: `Date` and `Retry-After`.
//!
//! Connectors have no clock, so a `Retry-After` that is a date is measured against the `Date` of the same answer, which is the
//! service's own clock and therefore the right one.

use bothways_model::{Response, Timestamp};
use chrono::{DateTime, NaiveDateTime, Utc};
use std::time::Duration;

/// The service's clock when it answered (`Date`).
pub fn answer_date(answer: &Response) -> Option<Timestamp> {
    parse(answer.header("date")?)
}

/// A number of seconds above this is a moment in Unix seconds: nobody asks for a pause of thirty years.
const MOMENT: f64 = 1e9;

/// A moment of more digits than this is one in Unix milliseconds: in seconds it would be after the year 5000.
const SECONDS_DIGITS: usize = 11;

/// How long the service asks us to wait (`Retry-After`). `None` if it does not say so readably.
pub fn retry_after(answer: &Response) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    if let Some(wait) = seconds(text) {
        return Some(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX));
    }
    until(parse(text)?, answer)
}

/// The same out of a header of the service's own, which may also hold a moment in Unix seconds or milliseconds. Where there is none,
/// `Retry-After` is read.
pub fn retry_after_in(answer: &Response, header: &str) -> Option<Duration> {
    let Some(text) = answer.header(header).map(str::trim) else { return retry_after(answer) };
    match seconds(text) {
        Some(wait) if wait < MOMENT => Duration::try_from_secs_f64(wait).ok(),
        Some(_) => {
            let whole = text.split('.').next()?;
            let number = whole.parse().ok()?;
            let moment = match whole.len() > SECONDS_DIGITS {
                true => DateTime::from_timestamp_millis(number)?,
                false => DateTime::from_timestamp(number, 0)?,
            };
            until(moment, answer)
        }
        None => until(parse(text)?, answer),
    }
}

/// How long it is until `moment`, by the service's clock.
fn until(moment: Timestamp, answer: &Response) -> Option<Duration> {
    Some((moment - answer_date(answer)?).to_std().unwrap_or(Duration::ZERO))
}

/// Whole or decimal seconds.
fn seconds(text: &str) -> Option<f64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    text.parse().ok()
}

/// An HTTP date in any of the three forms that RFC 9110 asks recipients to read.
fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.with_timezone(&Utc));
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|date| date.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(headers: &[(&str, &str)]) -> Response {
        headers.iter().fold(Response::json(429, &json!({})), |a, (n, v)| a.with_header(n, *v))
    }

    #[test]
    fn reads_every_form_of_date() {
        let expected = DateTime::from_timestamp(784_111_777, 0).unwrap();
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(answer_date(&answer(&[("Date", text)])), Some(expected), "{text}");
        }
        assert_eq!(answer_date(&answer(&[("Date", "yesterday")])), None);
        assert_eq!(answer_date(&answer(&[])), None);
    }

    #[test]
    fn waits_as_long_as_it_is_told() {
        assert_eq!(retry_after(&answer(&[("Retry-After", "2")])), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&answer(&[("Retry-After", " 0.25 ")])), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&answer(&[("Retry-After", "99999999999999999999999")])), Some(Duration::MAX));
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            retry_after(&answer(&[date, ("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT")])),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            retry_after(&answer(&[date, ("Retry-After", "Sun, 06 Nov 1994 08:49:00 GMT")])),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after(&answer(&[("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT")])), None);
        for bad in ["", "-1", "1.2.3", "soon", "1e3", "."] {
            assert_eq!(retry_after(&answer(&[("Retry-After", bad)])), None, "{bad}");
        }
    }

    #[test]
    fn a_header_of_the_services_own_may_hold_a_moment() {
        let wait = |headers: &[(&str, &str)]| retry_after_in(&answer(headers), "X-Reset");
        assert_eq!(wait(&[("x-reset", "30"), ("Retry-After", "2")]), Some(Duration::from_secs(30)));
        assert_eq!(wait(&[("Retry-After", "2")]), Some(Duration::from_secs(2)));
        let now = ("Date", "Sun, 22 Nov 2026 10:00:00 GMT");
        assert_eq!(wait(&[now, ("x-reset", "1795341620")]), Some(Duration::from_secs(20)));
        assert_eq!(wait(&[now, ("x-reset", "1795341500")]), Some(Duration::ZERO));
        assert_eq!(wait(&[now, ("x-reset", "1795341620500")]), Some(Duration::from_millis(20_500)));
        assert_eq!(wait(&[now, ("x-reset", "1795341500000.25")]), Some(Duration::ZERO));
        assert_eq!(wait(&[("x-reset", "1795341620")]), None, "there is no clock to measure it by");
        assert_eq!(wait(&[now, ("x-reset", "Sun, 22 Nov 2026 10:00:07 GMT")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[now, ("x-reset", "99999999999999999999999")]), None);
        assert_eq!(wait(&[now, ("x-reset", "soon")]), None);
    }
}
