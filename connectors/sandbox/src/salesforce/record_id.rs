//! Record ids: fifteen case-sensitive characters that begin with the object's prefix, and three more that make them safe
//! to compare without case.

use crate::ids::ALPHABET;

/// The characters of the suffix, by the five case bits they stand for.
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character form of an id of 15 or 18 characters; none for anything else. The suffix of 18 characters must be right.
pub fn to_18(id: &str) -> Option<String> {
    let head = to_15(id)?;
    let full = format!("{head}{}", suffix(head));
    (id.len() == 15 || id == full).then_some(full)
}

/// The first 15 characters of an id of 15 or 18 letters and digits.
pub fn to_15(id: &str) -> Option<&str> {
    let right = matches!(id.len(), 15 | 18) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if right { id.get(..15) } else { None }
}

/// Three characters, each telling which of five characters are capitals.
fn suffix(head: &str) -> String {
    let bits = |chunk: &[u8]| {
        chunk.iter().enumerate().fold(0, |bits, (at, b)| bits | usize::from(b.is_ascii_uppercase()) << at)
    };
    head.as_bytes().chunks(5).map(|chunk| char::from(SUFFIX[bits(chunk) % SUFFIX.len()])).collect()
}

/// Hands out ids that grow, as a database does.
#[derive(Clone, Debug)]
pub(crate) struct RecordIds {
    /// Two characters for the instance and three that keep organisations of different seeds apart.
    middle: String,
    next: u64,
}

impl RecordIds {
    /// `middle` has five characters.
    pub(crate) fn new(middle: String) -> Self {
        Self { middle, next: 0 }
    }

    /// A new 18-character id.
    pub(crate) fn make(&mut self, prefix: &str) -> String {
        let (mut digits, mut left) = ([b'0'; 7], self.next);
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(left % ALPHABET.len() as u64) as usize];
            left /= ALPHABET.len() as u64;
        }
        self.next += 1;
        let tail: String = digits.iter().map(|b| char::from(*b)).collect();
        let head = format!("{prefix}{}{tail}", self.middle);
        let suffix = suffix(&head);
        head + &suffix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_salesforces() {
        // Ids from the examples of the REST API's documentation.
        for id in ["001D000000IqhSLIAZ", "001R00000033I6AIAU", "001RM000003oLrHYAU", "a00D0000008pQRAIA2"] {
            assert_eq!(to_18(&id[..15]).as_deref(), Some(id));
            assert_eq!(to_18(id).as_deref(), Some(id));
            assert_eq!(to_15(id), Some(&id[..15]));
        }
        for bad in ["", "001D000000IqhSLIAA", "001D000000IqhS", "001D000000IqhS/", "001d000000iqhsliaz"] {
            assert_eq!(to_18(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_grow_and_carry_their_prefix() {
        let mut ids = RecordIds::new("Sb0AA".into());
        let made: Vec<String> = (0..200).map(|_| ids.make("003")).collect();
        assert!(made.is_sorted());
        assert!(made.iter().all(|id| id.starts_with("003Sb0AA") && to_18(id).as_ref() == Some(id)));
    }
}
