//! Everything that is left to chance, drawn from a seed.

use std::time::Duration;

/// A stream of draws (splitmix64): the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed ^ 0x5DEE_CE66_D1CE_B00B);
        dice.next();
        dice
    }

    /// A stream of its own: drawing from one never moves another.
    pub(crate) fn fork(&self, label: u64) -> Self {
        Self::new(self.0 ^ label.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times in a million.
    pub(crate) fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// One of these, which are not none.
    pub(crate) fn one_of<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[usize::try_from(self.below(N as u64)).unwrap_or(0)]
    }

    /// Small ones as often as large ones: between `low` and `high`, evenly in magnitude.
    pub(crate) fn scale(&mut self, low: u64, high: u64) -> u64 {
        let (mut a, low) = (high.max(1), low.max(1));
        let doublings = u64::from((a / low).max(1).ilog2());
        a = low << self.below(doublings + 1);
        self.between(a, (a * 2).min(high.max(a)))
    }

    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.scale(low, high))
    }
}
