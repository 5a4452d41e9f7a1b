//! Intents: every remote write is one before it is sent (rule 20).

use bothways_model::{LinkId, PairId, Timestamp, Value};
use serde::{Deserialize, Serialize};

/// Where an intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntentState {
    /// Committed, perhaps sent. After a crash it counts as uncertain.
    Open,
    /// The answer never came, or proves nothing (rule 23).
    Uncertain,
    /// The service confirmed it.
    Confirmed,
    /// Definitely not carried out.
    Refused,
    /// Given up by a person, or proven never to have arrived.
    Abandoned,
}

impl IntentState {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            IntentState::Open => "open",
            IntentState::Uncertain => "uncertain",
            IntentState::Confirmed => "confirmed",
            IntentState::Refused => "refused",
            IntentState::Abandoned => "abandoned",
        }
    }

    /// Reads [`IntentState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Uncertain, Self::Confirmed, Self::Refused, Self::Abandoned]
            .into_iter()
            .find(|s| s.as_str() == text)
    }

    /// Whether it still has to be resolved.
    pub fn is_pending(self) -> bool {
        matches!(self, IntentState::Open | IntentState::Uncertain)
    }
}

/// One field of a write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentField {
    /// The field's label.
    pub field: String,
    /// The value sent, as the lens would read it back.
    pub sent: Value,
    /// The local value it came from.
    pub local: Value,
    /// What the remote side held when it was decided: history names it, also where the answer never came (rule 11).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::link::known")]
    pub before: Option<Value>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u16>,
}

/// One remote write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The link.
    pub link: LinkId,
    /// Its number on that link, from 1. The idempotency key is hash(pair, link, number) (rule 22).
    pub number: u32,
    /// The link's pair.
    pub pair: PairId,
    /// `create`, `update` or `delete`.
    pub kind: String,
    /// Method, URL and body exactly as sent, headers without credentials: a serialised `StoredRequest`.
    pub request: serde_json::Value,
    /// What was sent, field by field.
    pub fields: Vec<SentField>,
    /// The idempotency key.
    pub key: String,
    /// Where it stands.
    pub state: IntentState,
    /// When it was committed.
    pub at: Timestamp,
    /// What the service's own clock said before that, where it says so: ours may be wrong by hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_at: Option<Timestamp>,
    /// When it was last sent.
    pub sent_at: Timestamp,
    /// What became of it, in words without record values.
    pub outcome: Option<String>,
}

impl Intent {
    /// The kind of a create.
    pub const CREATE: &'static str = "create";
    /// The kind of an update.
    pub const UPDATE: &'static str = "update";
    /// The kind of a delete.
    pub const DELETE: &'static str = "delete";
}
