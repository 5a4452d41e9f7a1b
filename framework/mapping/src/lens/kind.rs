//! What travels between codecs, and whether two of them meet.

use super::codec::Codec;
use bothways_model::FieldType;
use std::fmt;

/// The type of a value somewhere in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// One of these words.
    Words(Vec<String>),
    /// A whole number.
    Int,
    /// An exact decimal.
    Decimal,
    /// A decimal that travels as a JSON number.
    Number,
    /// True or false.
    Bool,
    /// A moment.
    Timestamp,
    /// A calendar date.
    Date,
    /// A UUID.
    Uuid,
    /// Any JSON.
    Json,
    /// A list.
    List(Box<Kind>),
    /// The id of another record: text or a whole number, and one of them when it is written.
    Id {
        /// Written as a number.
        number: bool,
    },
}

/// Codecs that do not meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChainError {
    /// Which codec of the chain; none: its outer end.
    pub index: Option<usize>,
    /// What does not meet.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl ChainError {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { index: None, message: message.into(), help: help.into() }
    }

    pub(super) fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }
}

impl Kind {
    /// The kind of a field of this type.
    pub fn of(ty: &FieldType) -> Self {
        match ty {
            FieldType::Text => Kind::Text,
            FieldType::Int => Kind::Int,
            FieldType::Decimal { .. } => Kind::Decimal,
            FieldType::Bool => Kind::Bool,
            FieldType::Timestamp => Kind::Timestamp,
            FieldType::Date => Kind::Date,
            FieldType::Uuid => Kind::Uuid,
            FieldType::Json => Kind::Json,
            FieldType::Enum(words) => Kind::Words(words.clone()),
            FieldType::List(item) => Kind::List(Box::new(Kind::of(item))),
        }
    }

    /// The codec that is meant where none is named.
    pub(super) fn default_codec(&self) -> Result<Option<Codec>, ChainError> {
        Ok(match self {
            Kind::Text
            | Kind::Words(_)
            | Kind::Int
            | Kind::Number
            | Kind::Bool
            | Kind::Json
            | Kind::Id { .. } => None,
            Kind::Decimal | Kind::Uuid => Some(Codec::String),
            Kind::Date => Some(Codec::Date),
            Kind::Timestamp => {
                return Err(ChainError::new(
                    "how the remote writes this timestamp must be said",
                    "add `as: unix`, `as: unix_ms` or `as: iso8601`",
                ));
            }
            Kind::List(item) => item.default_codec()?.map(|codec| Codec::Each(Box::new(codec))),
        })
    }

    /// Fails unless JSON can carry it.
    pub(super) fn check_wire(&self) -> Result<(), ChainError> {
        match self {
            Kind::Text
            | Kind::Words(_)
            | Kind::Int
            | Kind::Number
            | Kind::Bool
            | Kind::Json
            | Kind::Id { .. } => Ok(()),
            Kind::List(item) => item.check_wire(),
            Kind::Decimal => Err(self.does_not_travel("`string`, `number` or `{ minor: 2 }`")),
            Kind::Timestamp => Err(self.does_not_travel("`unix`, `unix_ms` or `iso8601`")),
            Kind::Date => Err(self.does_not_travel("`date`")),
            Kind::Uuid => Err(self.does_not_travel("`string`")),
        }
    }

    fn does_not_travel(&self, codecs: &str) -> ChainError {
        ChainError::new(format!("`{self}` cannot travel as it is"), format!("end the chain with {codecs}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text => f.write_str("text"),
            Kind::Words(_) => f.write_str("enum"),
            Kind::Int => f.write_str("int"),
            Kind::Decimal => f.write_str("decimal"),
            Kind::Number => f.write_str("number"),
            Kind::Bool => f.write_str("bool"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::Date => f.write_str("date"),
            Kind::Uuid => f.write_str("uuid"),
            Kind::Json => f.write_str("json"),
            Kind::List(item) => write!(f, "list of {item}"),
            Kind::Id { .. } => f.write_str("id"),
        }
    }
}
