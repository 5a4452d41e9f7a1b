//! Times on the wire.

use crate::path::Query;
use bothways_model::Timestamp;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeZone, Utc};
use serde_json::Value as Json;
use std::time::Duration;

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// ISO 8601 text; any offset is read, UTC is written.
    Iso8601,
    /// The same without an offset, which means UTC.
    Utc,
}

impl TimeFormat {
    /// Reads a time; `None` if it is not one. Numbers are also read from text, as some services quote them.
    pub fn read(self, json: &Json) -> Option<Timestamp> {
        let number = || json.as_i64().or_else(|| json.as_str()?.parse().ok());
        match self {
            TimeFormat::Unix => Utc.timestamp_opt(number()?, 0).single(),
            TimeFormat::UnixMs => Utc.timestamp_millis_opt(number()?).single(),
            TimeFormat::Iso8601 => parse_iso8601(json.as_str()?),
            TimeFormat::Utc => parse_utc(json.as_str()?),
        }
    }

    /// Writes a time, rounded down to what the format holds.
    pub fn write(self, time: &Timestamp) -> Json {
        match self {
            TimeFormat::Unix => Json::from(time.timestamp()),
            TimeFormat::UnixMs => Json::from(time.timestamp_millis()),
            TimeFormat::Iso8601 => Json::String(format_iso8601(time)),
            TimeFormat::Utc => Json::String(format_utc(time)),
        }
    }

    /// How finely times are kept in this format.
    pub fn resolution(self) -> Duration {
        match self {
            TimeFormat::Unix => Duration::from_secs(1),
            TimeFormat::UnixMs | TimeFormat::Iso8601 | TimeFormat::Utc => Duration::from_millis(1),
        }
    }
}

/// Where a time is, and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeAt {
    /// Where.
    pub path: Query,
    /// How.
    pub format: TimeFormat,
}

impl TimeAt {
    /// Reads it from `record`; `None` where it is absent or not a time.
    pub fn read(&self, record: &Json) -> Option<Timestamp> {
        self.format.read(self.path.first(record)?)
    }
}

/// Reads ISO 8601 with any offset (`Z`, `+01:00`, `+0100`, `+01`), `T` or a space. A text without an offset is not a moment.
pub(crate) fn parse_iso8601(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let parsed = DateTime::parse_from_rfc3339(text).ok().or_else(|| {
        ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z"]
            .iter()
            .find_map(|format| DateTime::parse_from_str(text, format).ok())
    });
    parsed.map(|t| t.with_timezone(&Utc))
}

/// Writes UTC with as many fractional digits as are needed.
pub(crate) fn format_iso8601(time: &Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads ISO 8601 without an offset as UTC. One that has an offset after all is a moment as well.
pub(crate) fn parse_utc(text: &str) -> Option<Timestamp> {
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text.trim(), format).ok());
    naive.map(|t| t.and_utc()).or_else(|| parse_iso8601(text))
}

/// Writes UTC without saying so.
pub(crate) fn format_utc(time: &Timestamp) -> String {
    format_iso8601(time).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_services_write() {
        let noon = Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap();
        for text in [
            "2026-11-22T12:00:00Z",
            "2026-11-22 12:00:00+00:00",
            "2026-11-22T13:00:00.000+0100",
            "2026-11-22T14:00+02",
        ] {
            assert_eq!(TimeFormat::Iso8601.read(&json!(text)), Some(noon), "{text}");
        }
        assert_eq!(TimeFormat::Iso8601.read(&json!("2026-11-22T12:00:00")), None);
        for text in [
            "2026-11-22 12:00:00",
            "2026-11-22T12:00",
            " 2026-11-22T12:00:00.000 ",
            "2026-11-22T13:00:00+01:00",
        ] {
            assert_eq!(TimeFormat::Utc.read(&json!(text)), Some(noon), "{text}");
        }
        assert_eq!(TimeFormat::Utc.read(&json!("2026-11-22")), None);
        assert_eq!(TimeFormat::Utc.write(&noon), json!("2026-11-22T12:00:00"));
        assert_eq!(TimeFormat::Unix.read(&json!(noon.timestamp())), Some(noon));
        assert_eq!(TimeFormat::UnixMs.read(&json!(noon.timestamp_millis().to_string())), Some(noon));
        assert_eq!(TimeFormat::Unix.read(&json!(i64::MAX)), None);
        assert_eq!(TimeFormat::Iso8601.write(&noon), json!("2026-11-22T12:00:00Z"));
    }
}
