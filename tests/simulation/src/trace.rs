//! What happened, as a hash that two runs of one seed must share, and as lines for whoever asks.

use crate::counters::Counters;
use std::fmt::Write as _;

/// The story of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    print: bool,
    /// How often each kind of fault and event fired.
    pub(crate) counters: Counters,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, print, counters: Counters::default() }
    }

    /// Adds to the hash: what, and two numbers that say which.
    pub(crate) fn note(&mut self, what: &str, a: u64, b: u64) {
        self.mix_bytes(what.as_bytes());
        self.mix(a);
        self.mix(b);
    }

    /// Adds bytes to the hash.
    pub(crate) fn content(&mut self, bytes: &[u8]) {
        self.mix_bytes(bytes);
    }

    /// A line for people. It is not hashed, so that a run with lines has the hash of one without.
    pub(crate) fn say(&mut self, now: u64, line: impl FnOnce() -> String) {
        if self.print {
            let line = line();
            let mut text = String::new();
            let _ = write!(text, "{:>10.3}  {line}", now as f64 / 1e6);
            print_line(&text);
        }
    }

    pub(crate) fn prints(&self) -> bool {
        self.print
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01B3);
        self.hash ^= self.hash >> 29;
    }

    fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }
}

/// Standard output is what this program is for.
#[allow(clippy::print_stdout)]
pub(crate) fn print_line(line: &str) {
    println!("{line}");
}
