//! Texts of people replaced: the same text always by the same other one, in the same form. Numbers, times, ids and words that the
//! documents name stay, and so do addresses of the service itself, but for what was replaced elsewhere.

use crate::moment::is_moment;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Shorter texts are in everything, and are not looked for inside addresses.
const SHORTEST_INSIDE: usize = 5;

/// Shorter texts are as well numbers of pages and the like.
const SHORTEST_WHOLE: usize = 3;

/// What is encoded in a part of an address: all but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Between these stand the parts of an address, and the addresses of a header.
const DELIMITERS: [char; 14] = ['/', '?', '&', '=', '#', ';', ',', '<', '>', '"', ' ', '\t', '(', ')'];

/// Replaces texts. What replaces a text cannot be turned back without the salt, which is not kept.
pub(crate) struct Anonymiser {
    salt: [u8; 16],
    /// The documents, whose words are not personal.
    documents: String,
    /// Texts that stay: ids, and what a codec would refuse otherwise.
    keep: BTreeSet<String>,
    /// Scheme, host and port of the service: addresses there lead on.
    origins: BTreeSet<String>,
    /// Lower-case text, trimmed, and what stands for it.
    known: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Anonymiser {
    pub(crate) fn new(
        salt: [u8; 16],
        documents: String,
        keep: BTreeSet<String>,
        origins: BTreeSet<String>,
    ) -> Self {
        Self { salt, documents, keep, origins, known: BTreeMap::new(), taken: BTreeSet::new() }
    }

    /// All texts of an answer but the addresses of the service, which may hold texts that are found later.
    pub(crate) fn texts(&mut self, json: &mut Json) {
        leaves(json, &mut |text| self.text(text));
    }

    /// The addresses of the service in an answer, when all texts are known.
    pub(crate) fn addresses(&self, json: &mut Json) {
        leaves(json, &mut |text| match self.is_own_address(text) {
            true => self.address(text),
            false => text.to_owned(),
        });
    }

    /// The value of a header, when all texts are known: what was replaced elsewhere, and addresses that are not the service's.
    pub(crate) fn header(&mut self, name: &str, value: &str) -> String {
        if name.eq_ignore_ascii_case("content-type") {
            return value.to_owned();
        }
        if !value.contains("://") {
            return self.inside(value);
        }
        let mut said = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(at) = ["https://", "http://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
            let (before, from) = rest.split_at(at);
            let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ',' | ';');
            let (address, after) = from.split_at(from.find(ends).unwrap_or(from.len()));
            said.push_str(&self.inside(before));
            let instead =
                if self.is_own_address(address) { self.address(address) } else { self.text(address) };
            said.push_str(&instead);
            rest = after;
        }
        said + &self.inside(rest)
    }

    /// An address that a next page may have.
    fn is_own_address(&self, text: &str) -> bool {
        !text.contains(char::is_whitespace)
            && ((text.starts_with('/') && !text.starts_with("//")) || self.origin_of(text).is_some())
    }

    /// How much of an address is the service's origin.
    fn origin_of(&self, text: &str) -> Option<usize> {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
        self.origins
            .iter()
            .find(|origin| text.strip_prefix(origin.as_str()).is_some_and(ends))
            .map(String::len)
    }

    /// An address of the service, with other texts where it holds known ones.
    fn address(&self, text: &str) -> String {
        let (origin, rest) = text.split_at(self.origin_of(text).unwrap_or(0));
        format!("{origin}{}", self.inside(rest))
    }

    /// Known texts replaced, as they are and as addresses encode them. Everything else stays as it is spelled.
    fn inside(&self, text: &str) -> String {
        let text = self.swap(text);
        let parts = text.split_inclusive(DELIMITERS);
        parts
            .map(|part| {
                let (name, end) = match part.strip_suffix(DELIMITERS) {
                    Some(name) => part.split_at(name.len()),
                    None => (part, ""),
                };
                self.encoded(name) + end
            })
            .collect()
    }

    /// The same in one part of an address. A part that is a known text as a whole may be a short one.
    fn encoded(&self, part: &str) -> String {
        for plus in [part.contains('+'), false] {
            let spaced = if plus { part.replace('+', " ") } else { part.to_owned() };
            let Ok(decoded) = percent_decode_str(&spaced).decode_utf8() else { continue };
            let whole = Some(decoded.to_lowercase()).filter(|whole| whole.chars().count() >= SHORTEST_WHOLE);
            let swapped = match whole.and_then(|whole| self.known.get(&whole)) {
                Some(instead) => cased(&decoded, instead),
                None => self.swap(&decoded),
            };
            if swapped != decoded {
                let again = utf8_percent_encode(&swapped, ENCODED).to_string();
                return if plus { again.replace("%20", "+") } else { again };
            }
        }
        part.to_owned()
    }

    /// Known texts replaced wherever they stand, the longest first; upper and lower case make no difference.
    fn swap(&self, text: &str) -> String {
        let folded: Vec<(char, usize)> =
            text.char_indices().flat_map(|(at, c)| c.to_lowercase().map(move |c| (c, at))).collect();
        let long = self.known.iter().filter(|(from, _)| from.chars().count() >= SHORTEST_INSIDE);
        let mut known: Vec<(Vec<char>, &String)> =
            long.map(|(from, to)| (from.chars().collect(), to)).collect();
        known.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        let mut swapped = String::with_capacity(text.len());
        let (mut at, mut written) = (0, 0);
        while let Some(rest) = folded.get(at..).filter(|rest| !rest.is_empty()) {
            let is_here =
                |from: &[char]| rest.len() >= from.len() && from.iter().zip(rest).all(|(a, (b, _))| a == b);
            let Some((from, to)) = known.iter().find(|(from, _)| is_here(from)) else {
                at += 1;
                continue;
            };
            let start = rest.first().map_or(text.len(), |(_, at)| *at);
            at += from.len();
            let end = folded.get(at).map_or(text.len(), |(_, at)| *at);
            swapped.push_str(text.get(written..start).unwrap_or_default());
            swapped.push_str(&cased(text.get(start..end).unwrap_or_default(), to));
            written = end;
        }
        swapped + text.get(written..).unwrap_or_default()
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
        text.replacen(core, &cased(core, &instead), 1)
    }

    fn stays(&self, text: &str) -> bool {
        let core = text.trim();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let is_word = core.chars().count() >= 2 && core.chars().all(plain);
        core.is_empty()
            || self.keep.contains(text)
            || self.is_own_address(core)
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
            c if c.is_numeric() => char::from(b'0' + bytes.below(10)),
            c if c.is_alphabetic() => char::from(b'a' + bytes.below(letters)),
            c => c,
        };
        if let Some((scheme, rest)) = lower.split_once("://").filter(|(scheme, _)| is_web(scheme, lower)) {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host: String = host.chars().filter(|c| c.is_alphanumeric()).map(&mut letter).collect();
            let plain = |c: &char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
            let path: String = path.chars().filter(plain).map(letter).collect();
            return format!("{scheme}://{host}.example/{path}");
        }
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

/// Whether a text is one address, at whatever host.
fn is_web(scheme: &str, text: &str) -> bool {
    matches!(scheme, "http" | "https") && !text.contains(char::is_whitespace)
}

/// A text with upper case where the original has it.
fn cased(original: &str, instead: &str) -> String {
    let mut originals = original.chars();
    let upper = |c: char| match originals.next().is_some_and(char::is_uppercase) {
        true => c.to_ascii_uppercase(),
        false => c,
    };
    instead.chars().map(upper).collect()
}

/// Every text of an answer, replaced.
fn leaves(json: &mut Json, instead: &mut impl FnMut(&str) -> String) {
    match json {
        Json::String(text) => *text = instead(text),
        Json::Array(items) => items.iter_mut().for_each(|item| leaves(item, instead)),
        Json::Object(members) => members.values_mut().for_each(|value| leaves(value, instead)),
        _ => {}
    }
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
        let (keep, origins) = ("cus_1".to_owned(), "https://api.example".to_owned());
        Anonymiser::new([7; 16], documents, BTreeSet::from([keep]), BTreeSet::from([origins]))
    }

    #[test]
    fn the_same_text_becomes_the_same_text_in_the_same_form() {
        let mut a = anonymiser();
        let mut told = json!({
            "id": "cus_1", "name": "Ada Lovelace", "email": " Ada@Example.com", "state": "OPEN", "born": "1815-12-10",
            "at": "2026-11-22T10:00:00Z", "phone": "+1 202 555 0134", "n": 42,
            "next": "https://api.example/x?q=ada%40example.com", "contacts": [{ "mail": "ada@example.com" }]
        });
        a.texts(&mut told);
        a.addresses(&mut told);
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
    fn addresses_of_the_service_lead_on_without_the_texts_of_records() {
        let mut a = anonymiser();
        let mut told = json!({
            "next": "https://api.example/Find?Cursor=AbC&q=Ada+Lovelace&mail=ada%40Example.com&who=Ada%20Lovelace",
            "self": "/people/Ada%20Lovelace?Cursor=AbC&first=Ada", "first": "ada",
            "name": "Ada Lovelace", "email": "ada@example.com"
        });
        a.texts(&mut told);
        a.addresses(&mut told);
        let low = told.to_string().to_lowercase();
        assert!(!low.contains("ada") && !low.contains("lovelace"), "{told}");
        let next = url::Url::parse(told["next"].as_str().expect("text")).expect("an address");
        let field =
            |name: &str| next.query_pairs().find(|(n, _)| n == name).expect("it is there").1.into_owned();
        assert_eq!((next.path(), field("Cursor").as_str()), ("/Find", "AbC"));
        assert_eq!(Some(field("q").as_str()), told["name"].as_str());
        assert_eq!(Some(field("who").as_str()), told["name"].as_str());
        assert_eq!(Some(field("mail").to_lowercase().as_str()), told["email"].as_str());
        let link = a.header(
            "Link",
            r#"<https://api.example/x?C=AbC&q=Ada+Lovelace>; rel="next", <https://ada.example.org/x>"#,
        );
        assert!(
            link.starts_with("<https://api.example/x?C=AbC&q=")
                && link.contains(r#">; rel="next", <https://"#),
            "{link}"
        );
        assert!(!link.to_lowercase().contains("ada") && !link.contains("Lovelace"), "{link}");
        assert!(!a.header("x-who", "Ada Lovelace").contains("Ada"));
    }

    #[test]
    fn what_only_looks_like_an_address_or_a_moment_is_replaced() {
        let mut a = anonymiser();
        for text in [
            "https://ada-lovelace.example.org/photos/Ada.jpg?of=ada",
            "https://api.example.evil/ada",
            "https://api.example/ and Ada",
            "//ada.example/ada",
            "/ Ada",
            "2026-11-22 with Ada: 12:00",
            "Ada ١٢٣",
        ] {
            let instead = a.text(text);
            let low = instead.to_lowercase();
            assert!(
                !low.contains("ada") && !low.contains("lovelace") && !low.contains('١'),
                "{text}: {instead}"
            );
        }
        let photo = a.text("https://ada-lovelace.example.org/photos/Ada.jpg");
        let url = url::Url::parse(&photo).expect("an address");
        assert!(url.host_str().is_some_and(|host| host.ends_with(".example")), "{photo}");
    }

    #[test]
    fn two_texts_never_become_one() {
        let mut a = anonymiser();
        let all: BTreeSet<String> = (0..26_u8).map(|n| a.text(&char::from(b'a' + n).to_string())).collect();
        assert_eq!(all.len(), 26);
    }
}
