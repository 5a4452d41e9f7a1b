//! The `events` part of a connector document.

use super::short::short_form;
use super::{CallText, DurationText, Ordered, PathText, Text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How the service tells about changes: one decoder, two transports.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Events")]
pub struct EventsDoc {
    /// Where the events of one delivery are. Default: `$`, the delivery is one event.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub each: Option<PathText>,
    /// The event's id, by which deliveries are recognised. Default: a digest of the event.
    #[serde(default)]
    #[schemars(with = "FactDoc")]
    pub id: Option<FactDoc>,
    /// What happened; the words that `resources.<name>.events` explains. Where several places say it together, a list of them: their words
    /// are joined by dots, `deal.change`. Default: every event is of one type, `*`.
    #[serde(default, rename = "type")]
    #[schemars(with = "KindDoc")]
    pub kind: Option<KindDoc>,
    /// When it happened, by the service's clock. Default: when it arrived.
    #[serde(default)]
    #[schemars(with = "EventTimeDoc")]
    pub at: Option<EventTimeDoc>,
    /// Where the whole record is. Give this or `id_of`.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub object: Option<PathText>,
    /// Where the record's id is, for events that do not carry the record.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub id_of: Option<PathText>,
    /// Events pushed to us.
    #[serde(default)]
    #[schemars(with = "WebhookDoc")]
    pub webhook: Option<WebhookDoc>,
    /// The same events, pulled.
    #[serde(default)]
    #[schemars(with = "FeedDoc")]
    pub feed: Option<FeedDoc>,
}

short_form! {
    /// Something that a message says, in its body or in a header.
    FactDoc, "a JSONPath such as `$.id`, or `{ header: NAME }`", PathText, FactLong
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "In a header")]
pub struct FactLong {
    /// The header's name.
    pub header: Text,
}

/// What says the type of an event: one fact, or several whose words make it together.
#[derive(Clone, Debug, PartialEq)]
pub struct KindDoc {
    /// The facts.
    pub facts: Vec<FactDoc>,
    /// True if they were written as a list; pointers into the document differ.
    pub listed: bool,
}

impl<'de> Deserialize<'de> for KindDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = KindDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSONPath such as `$.type`, `{ header: NAME }`, or a list of them")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<KindDoc, E> {
                let fact = FactDoc::deserialize(text.into_deserializer())?;
                Ok(KindDoc { facts: vec![fact], listed: false })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KindDoc, A::Error> {
                let fact = FactDoc::deserialize(MapAccessDeserializer::new(map))?;
                Ok(KindDoc { facts: vec![fact], listed: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<KindDoc, A::Error> {
                Ok(KindDoc { facts: Vec::deserialize(SeqAccessDeserializer::new(seq))?, listed: true })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

impl JsonSchema for KindDoc {
    fn schema_name() -> Cow<'static, str> {
        "KindDoc".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<FactDoc>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 2 }] })
    }
}

/// When an event happened. Give exactly one of `path` and `header`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Time of an event")]
pub struct EventTimeDoc {
    /// Where it is in the event.
    #[serde(default)]
    #[schemars(with = "PathText")]
    pub path: Option<PathText>,
    /// The header of the delivery that says it.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub header: Option<Text>,
    /// How it is written.
    #[serde(rename = "as")]
    pub format: TimeWord,
}

/// A time in a record.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Time")]
pub struct TimeAtDoc {
    /// Where it is.
    pub path: PathText,
    /// How it is written.
    #[serde(rename = "as")]
    pub format: TimeWord,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Time format")]
pub enum TimeWord {
    /// Whole seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// Text such as `2026-11-22T10:00:00Z`.
    Iso8601,
    /// Text without an offset that means UTC, such as `2026-11-22 10:00:00`; written with a `T`.
    Utc,
}

/// Events pushed to us. Off while a variable used here is unset; the rest of the connection runs.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Webhook")]
pub struct WebhookDoc {
    /// The path on our hooks port. Default: `/hooks/<connection>`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub path: Option<Text>,
    /// How a delivery proves where it comes from. It is checked on the raw bytes.
    pub verify: VerifyDoc,
    /// How the service asks, when it is told of our address, whether we want its deliveries. Default: it does not.
    #[serde(default)]
    #[schemars(with = "ChallengeDoc")]
    pub challenge: Option<ChallengeDoc>,
}

/// A question that is answered by giving a value back.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Challenge")]
pub struct ChallengeDoc {
    /// The query parameter that holds the value. A request with it is answered with the value, as plain text, and is no delivery.
    pub query: Text,
}

/// How a delivery proves where it comes from.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Verification")]
pub enum VerifyDoc {
    /// It does not. Refused at start without `--allow-unsigned`.
    None,
    /// A keyed digest in a header.
    Hmac(HmacDoc),
    /// A fixed secret in a header.
    Token(TokenDoc),
}

/// A keyed digest in a header.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "HMAC")]
pub struct HmacDoc {
    /// The key; a secret variable. With `list: true` any of its values passes.
    pub secret: Text,
    /// The header that carries the signature.
    pub header: Text,
    /// The digest. Default: `sha256`.
    #[serde(default)]
    #[schemars(with = "HashDoc")]
    pub hash: Option<HashDoc>,
    /// How the digest is written. Default: `hex`.
    #[serde(default)]
    #[schemars(with = "EncodingDoc")]
    pub encoding: Option<EncodingDoc>,
    /// What the header looks like, with `{signature}` and, where it is there, `{timestamp}`: `t={timestamp},v1={signature}`.
    /// Parts are separated by commas; unknown parts are ignored, and of several signatures any may pass. Default: `"{signature}"`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub format: Option<Text>,
    /// The header that carries the timestamp, where `format` does not. In either place it is in Unix seconds or
    /// milliseconds, or ISO 8601.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub timestamp: Option<Text>,
    /// What is signed, with `{timestamp}` and `{body}`; variables that are no secrets may stand in it, such as the address that the
    /// service delivers to: `POST${hook_url}{body}{timestamp}`. Default: `"{body}"`.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub signs: Option<Text>,
    /// How far the timestamp may be from now, in both directions. Default: `5m`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub tolerance: Option<DurationText>,
}

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Digest")]
pub enum HashDoc {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Encoding")]
pub enum EncodingDoc {
    /// Hexadecimal.
    Hex,
    /// Base64.
    Base64,
}

/// A fixed secret in a header.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Token")]
pub struct TokenDoc {
    /// The header.
    pub header: Text,
    /// What it must hold; a secret variable.
    pub value: Text,
}

/// The same events, pulled.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Feed")]
pub struct FeedDoc {
    /// The call that lists events; `lists` says how it answers.
    pub call: CallText,
    /// Its query. `{since}` is written as `events.at` is; `{event_types}` are the types in use.
    #[serde(default)]
    pub query: Ordered<Text>,
    /// In which order it lists.
    pub order: OrderDoc,
    /// How finely the service's times are kept; so much is read again each time. Default: `0s`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub resolution: Option<DurationText>,
    /// How late an event may become visible; so much more is read again. Default: `0s`.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub lag: Option<DurationText>,
    /// How far back the feed reaches; a longer gap forces a full pass. Default: for ever.
    #[serde(default)]
    #[schemars(with = "DurationText")]
    pub retention: Option<DurationText>,
}

/// In which order events are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "Order")]
pub enum OrderDoc {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}
