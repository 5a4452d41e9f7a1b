//! Identifiers that look like the real ones and depend on nothing but the seed, so that a run can be repeated exactly.

pub(crate) const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A seeded source of identifiers and of shuffles (splitmix64). Not secret: a sandbox guards nothing.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `prefix` followed by `length` letters and digits.
    pub(crate) fn make(&mut self, prefix: &str, length: usize) -> String {
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        for _ in 0..length {
            let at = (self.next() % ALPHABET.len() as u64) as usize;
            id.push(char::from(ALPHABET[at]));
        }
        id
    }

    /// Eight capitals and digits, as Stripe numbers a customer's invoices.
    pub(crate) fn invoice_prefix(&mut self) -> String {
        (0..8).map(|_| char::from(ALPHABET[(self.next() % 36) as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_ids() {
        let (mut a, mut b, mut c) = (Ids::new(7), Ids::new(7), Ids::new(8));
        let first = a.make("cus_", 14);
        assert_eq!(first, b.make("cus_", 14));
        assert_ne!(first, c.make("cus_", 14));
        assert_ne!(first, a.make("cus_", 14));
        assert_eq!(first.len(), 18);
    }
}
