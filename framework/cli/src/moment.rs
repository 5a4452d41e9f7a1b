//! Whether a text is a moment: a day with a time of day and nothing else, however services write it.

use chrono::{DateTime, NaiveDateTime};

/// A day and a time, between them `T` or a space; then nothing, or an offset with or without a colon.
pub(crate) fn is_moment(text: &str) -> bool {
    const WITH_OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
    const WITHOUT: [&str; 4] =
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    // What is read must be all there is: the formats skip white space.
    let is_spaced = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    !is_spaced
        && (DateTime::parse_from_rfc3339(text).is_ok()
            || WITH_OFFSET.iter().any(|form| DateTime::parse_from_str(text, form).is_ok())
            || WITHOUT.iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_with_a_time_and_nothing_else() {
        for moment in [
            "2026-11-22T10:00:00Z",
            "2026-11-22t10:00:00.123z",
            "2026-11-22 10:00:00+02:00",
            "2026-11-22T10:00:00.000+0000",
            "2026-11-22 10:00:00",
            "2026-11-22T10:00",
        ] {
            assert!(is_moment(moment), "{moment}");
        }
        for other in [
            "2026-11-22 with Ada: 12:00",
            "2026-11-22T10:00:00Z Ada",
            "2026-11-22T: Ada",
            "2026-11-22",
            " 2026-11-22T10:00:00Z",
            "2026-13-22T10:00:00Z",
            "10:00:00",
            "",
        ] {
            assert!(!is_moment(other), "{other}");
        }
    }
}
