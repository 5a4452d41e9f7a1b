//! Durations (`500ms`, `30s`, `5m`, `24h`, `30d`) and rates (`25/s`, `100/10s`, `5000/h`).

use std::fmt;
use std::time::Duration;

/// Reads a duration; fails with what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a whole number and one of `ms`, `s`, `m`, `h`, `d`";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    let ms = unit_ms(unit).ok_or(EXPECTED)?;
    number.checked_mul(ms).map(Duration::from_millis).ok_or("shorter than that")
}

fn unit_ms(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many; at least 1.
    pub count: u32,
    /// In how much time; more than nothing.
    pub per: Duration,
}

impl RateLimit {
    /// Reads a rate; fails with what was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a count and a time, such as `25/s`, `100/10s` or `5000/h`";
        let (count, per) = text.split_once('/').ok_or(EXPECTED)?;
        let count: u32 = count.parse().map_err(|_| EXPECTED)?;
        let per =
            if unit_ms(per).is_some() { parse_duration(&format!("1{per}")) } else { parse_duration(per) };
        let per = per.map_err(|_| EXPECTED)?;
        if count == 0 || per.is_zero() { Err(EXPECTED) } else { Ok(Self { count, per }) }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", self.count, self.per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_rates() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for bad in ["", "s", "5", "5 s", "1.5s", "-1s", "5w", "99999999999999999999d", "9999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(RateLimit::parse("100/10s"), Ok(RateLimit { count: 100, per: Duration::from_secs(10) }));
        assert_eq!(RateLimit::parse("25/s"), Ok(RateLimit { count: 25, per: Duration::from_secs(1) }));
        for bad in ["25", "0/s", "25/", "25/0s", "/s", "a/s"] {
            assert!(RateLimit::parse(bad).is_err(), "{bad}");
        }
    }
}
