//! How a service tells about changes.

use super::{Call, ConnectorSpec, Fact, TimeFormat};
use crate::path::Query;
use crate::template::{Part, Slot, Template};
use bothways_model::EventEffect;
use std::time::Duration;

/// How events look, and how they come.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// The events of one delivery; read it with [`Query::items`].
    pub each: Query,
    /// The event's id; none: a digest of the event.
    pub id: Option<Fact>,
    /// What happened: words that are joined by dots; none: every event is of the type `*`.
    pub kind: Vec<Fact>,
    /// When.
    pub at: Option<EventTime>,
    /// The whole record.
    pub object: Option<Query>,
    /// The record's id, for events without the record.
    pub id_of: Option<Query>,
    /// Pushed.
    pub webhook: Option<WebhookSpec>,
    /// Pulled.
    pub feed: Option<Feed>,
}

/// When an event happened.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTime {
    /// Where that is said.
    pub place: Fact,
    /// How it is written.
    pub format: TimeFormat,
}

/// What an event type means for one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRule {
    /// The record was created, changed or deleted.
    Effect(EventEffect),
    /// Known, and of no interest.
    Ignore,
}

impl ConnectorSpec {
    /// What the event type `kind` means, for each resource that names it.
    pub fn event(&self, kind: &str) -> impl Iterator<Item = (&str, EventRule)> {
        self.resources.values().flat_map(move |resource| {
            let rules = resource.events.iter().filter(move |(k, _)| k == kind);
            rules.map(|(_, rule)| (resource.name.as_str(), *rule))
        })
    }

    /// The event types that mean something for `resource`, for `{event_types}`.
    pub fn event_types(&self, resource: &str) -> Vec<String> {
        let rules = self.resources.get(resource).map(|r| r.events.as_slice()).unwrap_or_default();
        rules.iter().filter(|(_, rule)| *rule != EventRule::Ignore).map(|(kind, _)| kind.clone()).collect()
    }
}

/// Events pushed to us, with variables still unfilled.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookSpec {
    /// The path on the hooks port; none: `/hooks/<connection>`.
    pub path: Option<Template>,
    /// How a delivery proves where it comes from.
    pub verify: VerifySpec,
    /// The query parameter of a challenge.
    pub challenge: Option<String>,
}

/// How a delivery proves where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum VerifySpec {
    /// It does not.
    None,
    /// A keyed digest.
    Hmac {
        /// The key; a secret variable, perhaps with several values.
        secret: Template,
        /// The header with the signature.
        header: String,
        /// The digest.
        hash: Digest,
        /// How it is written.
        encoding: Encoding,
        /// What the header looks like.
        format: SignatureFormat,
        /// The header with the timestamp, where `format` has none.
        timestamp: Option<String>,
        /// What is signed.
        signs: Template,
        /// How far the timestamp may be from now, both ways.
        tolerance: Duration,
    },
    /// A fixed secret.
    Token {
        /// The header.
        header: String,
        /// What it must hold.
        value: Template,
    },
}

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal.
    Hex,
    /// Base64.
    Base64,
}

/// What a signature header looks like: parts separated by commas, each a fixed prefix and a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureFormat(Vec<(String, Slot)>);

/// What a signature header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureHeader {
    /// The timestamp, as text.
    pub timestamp: Option<String>,
    /// All signatures, of which any may pass.
    pub signatures: Vec<String>,
}

impl SignatureFormat {
    /// Reads `t={timestamp},v1={signature}`; `None` unless each part is a prefix and one slot, and one of them is `{signature}`.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.split(',').map(|part| match Template::parse(part.trim()).0.as_slice() {
            [Part::Slot(slot @ (Slot::Timestamp | Slot::Signature))] => Some((String::new(), slot.clone())),
            [Part::Text(prefix), Part::Slot(slot @ (Slot::Timestamp | Slot::Signature))] => {
                Some((prefix.clone(), slot.clone()))
            }
            _ => None,
        });
        let parts = parts.collect::<Option<Vec<_>>>()?;
        parts.iter().any(|(_, slot)| *slot == Slot::Signature).then_some(Self(parts))
    }

    /// True if the header carries a timestamp.
    pub fn has_timestamp(&self) -> bool {
        self.0.iter().any(|(_, slot)| *slot == Slot::Timestamp)
    }

    /// Takes a header apart. Parts of no known prefix are ignored; the first timestamp counts.
    pub fn read(&self, header: &str) -> SignatureHeader {
        let mut read = SignatureHeader::default();
        for part in header.split(',').map(str::trim) {
            let known =
                self.0.iter().filter_map(|(prefix, slot)| Some((part.strip_prefix(prefix.as_str())?, slot)));
            match known.max_by_key(|(value, _)| std::cmp::Reverse(value.len())) {
                Some((value, Slot::Timestamp)) if read.timestamp.is_none() => {
                    read.timestamp = Some(value.to_owned())
                }
                Some((value, Slot::Signature)) => read.signatures.push(value.to_owned()),
                _ => {}
            }
        }
        read
    }
}

/// Events pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The call; its items are events.
    pub call: Call,
    /// In which order it lists.
    pub order: FeedOrder,
    /// How finely the service's times are kept.
    pub resolution: Duration,
    /// How late an event may become visible.
    pub lag: Duration,
    /// How far back the feed reaches; none: for ever.
    pub retention: Option<Duration>,
}

/// In which order a feed lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedOrder {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_headers_come_apart() {
        let format = SignatureFormat::parse("t={timestamp},v1={signature}").unwrap();
        let read = format.read("t=12,v1=aa, v1=bb,v0=cc");
        assert_eq!(
            read,
            SignatureHeader { timestamp: Some("12".into()), signatures: vec!["aa".into(), "bb".into()] }
        );
        assert!(format.has_timestamp());
        let plain = SignatureFormat::parse("{signature}").unwrap();
        assert_eq!(plain.read("abc").signatures, ["abc"]);
        assert_eq!(
            SignatureFormat::parse("sha256={signature}").unwrap().read("sha1=x,sha256=y").signatures,
            ["y"]
        );
        for bad in ["", "t={timestamp}", "{id}", "{signature}{timestamp}", "v1={signature}x"] {
            assert!(SignatureFormat::parse(bad).is_none(), "{bad}");
        }
    }
}
