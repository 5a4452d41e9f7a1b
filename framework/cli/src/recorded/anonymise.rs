//! Texts of people replaced: the same text always by the same other one, in the same form. Numbers, times, ids and words that the
//! documents name stay.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Shorter texts are in everything, and are not looked for inside addresses.
const SHORTEST_INSIDE: usize = 5;

/// Replaces texts. What replaces a text cannot be turned back without the salt, which is not kept.
pub(crate) struct Anonymiser {
    salt: [u8; 16],
    /// The documents, whose words are not personal.
    documents: String,
    /// Texts that stay: ids, and what a codec would refuse otherwise.
    keep: BTreeSet<String>,
    /// Lower-case text, trimmed, and what stands for it.
    known: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Anonymiser {
    pub(crate) fn new(salt: [u8; 16], documents: String, keep: BTreeSet<String>) -> Self {
        Self { salt, documents, keep, known: BTreeMap::new(), taken: BTreeSet::new() }
    }

    /// All texts of an answer. Addresses keep where they lead, but for the texts that were replaced elsewhere.
    pub(crate) fn json(&mut self, json: &mut Json) {
        self.leaves(json);
        self.addresses(json);
    }

    fn leaves(&mut self, json: &mut Json) {
        match json {
            Json::String(text) => *text = self.text(text),
            Json::Array(items) => items.iter_mut().for_each(|item| self.leaves(item)),
            Json::Object(members) => members.values_mut().for_each(|value| self.leaves(value)),
            _ => {}
        }
    }

    fn addresses(&self, json: &mut Json) {
        match json {
            Json::String(text) if is_address(text) => {
                for (from, to) in self.known.iter().filter(|(from, _)| from.len() >= SHORTEST_INSIDE) {
                    for (from, to) in
                        [(from.clone(), to.clone()), (from.replace('@', "%40"), to.replace('@', "%40"))]
                    {
                        if text.to_lowercase().contains(&from) {
                            *text = text.to_lowercase().replace(&from, &to);
                        }
                    }
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.addresses(item)),
            Json::Object(members) => members.values_mut().for_each(|value| self.addresses(value)),
            _ => {}
        }
    }

    /// One text. Texts that differ only in case and outer spaces are replaced by texts that differ only so.
    pub(crate) fn text(&mut self, text: &str) -> String {
        if self.stays(text) {
            return text.to_owned();
        }
        let core = text.trim();
        let lower = core.to_lowercase();
        let instead = match self.known.get(&lower) {
            Some(instead) => instead.clone(),
            None => self.invent(&lower),
        };
        let mut cased = String::with_capacity(instead.len());
        let mut originals = core.chars();
        for c in instead.chars() {
            let upper = originals.next().is_some_and(char::is_uppercase);
            cased.push(if upper { c.to_ascii_uppercase() } else { c });
        }
        text.replacen(core, &cased, 1)
    }

    fn stays(&self, text: &str) -> bool {
        let core = text.trim();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let is_word = core.chars().count() >= 2 && core.chars().all(plain);
        core.is_empty()
            || self.keep.contains(text)
            || is_address(core)
            || is_moment(core)
            || (is_word && self.documents.split(|c: char| !plain(c)).any(|word| word == core))
    }

    fn invent(&mut self, lower: &str) -> String {
        let mut round = 0_u32;
        loop {
            let mut instead = self.scramble(lower, round);
            if round > 64 {
                // A form with few texts: one more letter has more.
                instead.push_str(&round.to_string());
            }
            if instead != lower && !self.taken.contains(&instead) || round > 10_000 {
                self.taken.insert(instead.clone());
                self.known.insert(lower.to_owned(), instead.clone());
                return instead;
            }
            round += 1;
        }
    }

    /// Letters by letters, digits by digits, everything else as it is; addresses of mail at a domain that is nobody's.
    fn scramble(&self, lower: &str, round: u32) -> String {
        let mut bytes = Stream::new(&self.salt, lower, round);
        if lower.parse::<chrono::NaiveDate>().is_ok() {
            let (month, day) = (1 + bytes.below(12), 1 + bytes.below(28));
            let year = lower.get(..4).unwrap_or_default();
            return format!("{year}-{month:02}-{day:02}");
        }
        let is_hex = lower.len() >= 16 && lower.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let letters = if is_hex { 6 } else { 26 };
        let mut letter = |c: char| match c {
            c if c.is_ascii_digit() => char::from(b'0' + bytes.below(10)),
            c if c.is_alphabetic() => char::from(b'a' + bytes.below(letters)),
            c => c,
        };
        match lower.split_once('@') {
            Some((name, domain)) if domain.contains('.') && !lower.contains(char::is_whitespace) => {
                let name: String = name.chars().map(&mut letter).collect();
                let host: String = domain.chars().take_while(|c| *c != '.').map(&mut letter).collect();
                format!("{name}@{host}.example")
            }
            _ => lower.chars().map(letter).collect(),
        }
    }
}

/// An address that a next page may have.
fn is_address(text: &str) -> bool {
    text.starts_with("http://")
        || text.starts_with("https://")
        || (text.starts_with('/') && !text.contains(' '))
}

/// A day with a time of day.
fn is_moment(text: &str) -> bool {
    let day = text.get(..10).is_some_and(|day| day.parse::<chrono::NaiveDate>().is_ok());
    day && text.get(10..11).is_some_and(|sep| matches!(sep, "T" | "t" | " ")) && text.contains(':')
}

/// Bytes that depend on a text and a salt, as many as are asked for.
struct Stream {
    seed: Vec<u8>,
    block: Vec<u8>,
    count: u32,
}

impl Stream {
    fn new(salt: &[u8; 16], text: &str, round: u32) -> Self {
        let seed = [&salt[..], &round.to_be_bytes(), text.as_bytes()].concat();
        Self { seed, block: Vec::new(), count: 0 }
    }

    fn below(&mut self, bound: u8) -> u8 {
        let byte = match self.block.pop() {
            Some(byte) => byte,
            None => {
                let mut digest = Sha256::new();
                digest.update(&self.seed);
                digest.update(self.count.to_be_bytes());
                self.count += 1;
                self.block = digest.finalize().to_vec();
                self.block.pop().unwrap_or_default()
            }
        };
        byte % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn anonymiser() -> Anonymiser {
        let documents = "values: { open: OPEN, closed: CLOSED }".to_owned();
        Anonymiser::new([7; 16], documents, BTreeSet::from(["cus_1".to_owned()]))
    }

    #[test]
    fn the_same_text_becomes_the_same_text_in_the_same_form() {
        let mut a = anonymiser();
        let mut told = json!({
            "id": "cus_1", "name": "Ada Lovelace", "email": " Ada@Example.com", "state": "OPEN", "born": "1815-12-10",
            "at": "2026-11-22T10:00:00Z", "phone": "+1 202 555 0134", "n": 42,
            "next": "https://api.example/x?q=ada%40example.com", "contacts": [{ "mail": "ada@example.com" }]
        });
        a.json(&mut told);
        let text = told.to_string();
        for gone in ["Ada", "ada", "Lovelace", "Example.com", "202 555", "1815-12-10"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        for kept in ["cus_1", "OPEN", "2026-11-22T10:00:00Z", "42", "https://api.example/x?q="] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        let mail = told["contacts"][0]["mail"].as_str().expect("text");
        assert!(mail.ends_with(".example") && mail.contains('@'), "{mail}");
        assert_eq!(told["email"].as_str().map(|e| e.trim().to_lowercase()).as_deref(), Some(mail));
        let name = told["name"].as_str().expect("text");
        assert_eq!(
            name.chars().map(|c| (c.is_uppercase(), c == ' ')).collect::<Vec<_>>(),
            "Ada Lovelace".chars().map(|c| (c.is_uppercase(), c == ' ')).collect::<Vec<_>>()
        );
        assert!(told["born"].as_str().expect("text").parse::<chrono::NaiveDate>().is_ok());
        assert!(told["next"].as_str().expect("text").contains(&mail.replace('@', "%40")));
    }

    #[test]
    fn two_texts_never_become_one() {
        let mut a = anonymiser();
        let all: BTreeSet<String> = (0..26_u8).map(|n| a.text(&char::from(b'a' + n).to_string())).collect();
        assert_eq!(all.len(), 26);
    }
}
