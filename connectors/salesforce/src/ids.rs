//! Record ids: 15 characters that differ by case, or the same with three more that tell the case of the first.

use bothways_model::RemoteId;

/// The letters and digits of the last three characters.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id of 18 characters, which the service always answers with. Anything but an id of 15 characters stays as it is.
pub(crate) fn normal(id: &RemoteId) -> RemoteId {
    let text = id.as_str();
    if text.len() != 15 || !is_alphanumeric(text) {
        return id.clone();
    }
    let mut long = text.to_owned();
    for five in text.as_bytes().chunks(5) {
        // One bit for each of five characters, the first one lowest: whether it is a capital.
        let bits =
            five.iter().rev().fold(0usize, |bits, byte| bits << 1 | usize::from(byte.is_ascii_uppercase()));
        long.extend(ALPHABET.get(bits).map(|byte| char::from(*byte)));
    }
    RemoteId(long)
}

/// Whether the text can be an id of 18 characters, and so may stand in a query.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 18 && is_alphanumeric(text)
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_long_ones() {
        // The pair in Salesforce's own documentation of the 18-character id, and two ends of the alphabet.
        for (short, long) in [
            ("001A0000006Vm9r", "001A0000006Vm9rIAC"),
            ("aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaAAA"),
            ("AAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAA555"),
        ] {
            assert_eq!(normal(&short.into()).as_str(), long);
            assert_eq!(normal(&long.into()).as_str(), long);
        }
        for other in ["", "001A0000006Vm9", "001A0000006Vm9'", "001A0000006Vm9é"] {
            assert_eq!(normal(&other.into()).as_str(), other);
            assert!(!is_id(other));
        }
    }
}
