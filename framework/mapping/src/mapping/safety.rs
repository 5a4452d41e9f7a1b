//! The numbers of the brakes (rules 56 to 60), in one place, and what a mapping may tighten.

/// How many are too many of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrakeNumbers {
    /// So many need no approval while there are fewer than `from` live links; none: any number.
    pub few: Option<u64>,
    /// From so many live links on, `percent` and `most` count.
    pub from: u64,
    /// So many in a hundred live links need no approval; none: the share does not matter.
    pub percent: Option<u64>,
    /// Never more than so many; none: only the share counts.
    pub most: Option<u64>,
}

/// Rule 56: deletes of a pair within half an hour.
pub const DELETES: BrakeNumbers =
    BrakeNumbers { few: Some(10), from: 100, percent: Some(20), most: Some(500) };
/// Rule 57: the same field emptied on one side within half an hour or one full pass.
pub const BLANKING: BrakeNumbers = BrakeNumbers { few: Some(5), from: 100, percent: Some(5), most: Some(50) };
/// Rule 58: links changed by one full pass.
pub const UPDATES: BrakeNumbers = BrakeNumbers { few: None, from: 100, percent: Some(30), most: None };
/// Rule 60: records created on the remote side within half an hour, beyond what the approved plan named.
pub const CREATES: BrakeNumbers =
    BrakeNumbers { few: Some(1_000), from: 0, percent: None, most: Some(1_000) };

/// A number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u64),
    /// So many in a hundred live links.
    Percent(u64),
}

impl Amount {
    /// Reads `50` or `5%`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
        match text.strip_suffix('%') {
            Some(text) => number(text).filter(|percent| *percent <= 100).map(Amount::Percent),
            None => number(text).map(Amount::Count),
        }
    }
}

impl BrakeNumbers {
    /// Whether this amount never lets more through than these numbers do. A share of a brake that has only a count cannot promise that
    /// for any number of links, but it never loosens: the smaller of both counts.
    pub fn is_loosened_by(&self, amount: Amount) -> bool {
        match amount {
            Amount::Count(count) => self.most.is_some_and(|most| count > most),
            Amount::Percent(percent) => self.percent.is_some_and(|own| percent > own),
        }
    }
}

/// Tighter limits than the engine's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    /// Deletes.
    pub deletes: Option<Amount>,
    /// The same field emptied.
    pub blanking: Option<Amount>,
    /// Links changed by one full pass.
    pub updates: Option<Amount>,
    /// Records created on the remote side.
    pub creates: Option<Amount>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_counts_or_shares() {
        assert_eq!(Amount::parse("50"), Some(Amount::Count(50)));
        assert_eq!(Amount::parse("0"), Some(Amount::Count(0)));
        assert_eq!(Amount::parse("5%"), Some(Amount::Percent(5)));
        for bad in ["", "%", "-1", "1.5%", "101%", "5 %", "five", "99999999999"] {
            assert_eq!(Amount::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_lets_more_through_loosens() {
        assert!(!DELETES.is_loosened_by(Amount::Count(500)) && DELETES.is_loosened_by(Amount::Count(501)));
        assert!(!DELETES.is_loosened_by(Amount::Percent(20)) && DELETES.is_loosened_by(Amount::Percent(21)));
        assert!(!UPDATES.is_loosened_by(Amount::Count(9_999)) && UPDATES.is_loosened_by(Amount::Percent(31)));
        assert!(
            !CREATES.is_loosened_by(Amount::Percent(100)) && CREATES.is_loosened_by(Amount::Count(1_001))
        );
    }
}
