//! Moments as Salesforce writes and reads them. Stored stamps have whole seconds, so that changes of one second share one.

use bothways_model::Timestamp;
use chrono::{DateTime, NaiveDate, SubsecRound, Utc};

/// A moment as records carry it.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

/// A moment as it is stored.
pub(crate) fn to_second(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(0)
}

/// Reads a date and time with zone: `2026-01-02T03:04:05Z`, with or without fraction, `+01:00` or `+0100`.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()?;
    Some(parsed.with_timezone(&Utc))
}

/// Reads `2026-01-02`.
pub(crate) fn read_date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)
}

/// A moment as HTTP headers say it.
pub(crate) fn http_date(at: Timestamp) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads a moment of an HTTP header.
pub(crate) fn read_http_date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_and_written_in_one() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.000Z",
            "2026-01-02T04:04:05+01:00",
            "2026-01-02T03:04:05.000+0000",
        ] {
            assert_eq!(read(text).map(stamp).as_deref(), Some("2026-01-02T03:04:05.000+0000"), "{text}");
        }
        for bad in ["2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "today"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let at = read("2026-01-02T03:04:05.678Z").unwrap();
        assert_eq!(stamp(to_second(at)), "2026-01-02T03:04:05.000+0000");
        assert_eq!(read_http_date(&http_date(at)), Some(to_second(at)));
        assert_eq!(read_date("2026-1-2"), None);
        assert!(read_date("2026-01-02").is_some());
    }
}
