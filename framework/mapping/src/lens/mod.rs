//! Fields as lenses: a chain of codecs between a local value and what the remote writes.
//!
//! Nobody writes two directions by hand, so they cannot drift apart: each codec is one word with both, and a law that a
//! test checks. A codec may refuse (a word that is not in the table, a fraction that does not fit); refusal parks the
//! change, and nothing is ever guessed.

mod codec;
mod kind;
mod minor;
mod normalize;
mod numbers;
mod refusal;
#[cfg(test)]
mod tests;
mod texts;
mod wire;
mod words;

pub use codec::{Codec, Word};
pub use kind::{ChainError, Kind};
pub use minor::{Currency, Minor};
pub use normalize::{Normalize, Normalizer};
pub use refusal::{Refusal, RefusalKind};
pub use words::Part;

use bothways_model::{FieldType, Record, Value};
use serde_json::Value as Json;

/// A checked chain of codecs, from the local side outward.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    ty: FieldType,
    /// Each codec with what it takes from the local side.
    steps: Vec<(Kind, Codec)>,
    wire: Kind,
}

impl Lens {
    /// Joins `codecs` for a local field of type `ty`; without any, the type's own way is taken. Fails where types do not meet.
    pub fn new(ty: &FieldType, codecs: Option<Vec<Codec>>) -> Result<Self, ChainError> {
        let mut kind = Kind::of(ty);
        let codecs = match codecs {
            Some(codecs) => codecs,
            None => kind.default_codec()?.into_iter().collect(),
        };
        let mut steps = Vec::new();
        for (index, codec) in codecs.into_iter().enumerate() {
            let wire = codec.outer(&kind).map_err(|e| e.at(index))?;
            steps.push((kind, codec));
            kind = wire;
        }
        kind.check_wire()?;
        Ok(Self { ty: ty.clone(), steps, wire: kind })
    }

    /// The way of a reference: the id of the record that a row is linked with, as text; a `number` on the wire or text there too.
    /// What stands for it locally, the links say: that is no lens's business.
    pub fn reference(number: bool) -> Self {
        Self { ty: FieldType::Text, steps: Vec::new(), wire: Kind::Id { number } }
    }

    /// The type of the local field.
    pub fn local_type(&self) -> &FieldType {
        &self.ty
    }

    /// The codecs, from the local side outward.
    pub fn codecs(&self) -> impl Iterator<Item = &Codec> {
        self.steps.iter().map(|(_, codec)| codec)
    }

    /// The label of the field beside it that says what form it has outside: its currency.
    pub fn tied_to(&self) -> Option<&str> {
        self.codecs().find_map(|codec| match codec {
            Codec::Minor(Minor::Currency(currency)) => Some(currency.label.as_str()),
            _ => None,
        })
    }

    /// The part that the local field is of what travels, where it is one.
    pub fn part(&self) -> Option<&Part> {
        match self.steps.first() {
            Some((_, Codec::Part(part))) => Some(part),
            _ => None,
        }
    }

    /// What travels.
    pub fn wire_kind(&self) -> &Kind {
        &self.wire
    }

    /// What `local` is on the wire. `row` is the row it comes from, by local field name: `minor: FIELD` reads its currency there.
    pub fn out(&self, local: &Value, row: &Record) -> Result<Json, Refusal> {
        let whole = self.part().map(|part| part.join(row)).transpose()?;
        let local = whole.as_ref().unwrap_or(local);
        if local.is_null() {
            return Ok(Json::Null);
        }
        let mut value = self.conform(local.clone())?;
        for (kind, codec) in &self.steps {
            value = codec.out(kind, value, row)?;
        }
        self.wire.write(&value)
    }

    /// What `wire` is locally; `None` where it is absent. `record` is the remote record it comes from.
    pub fn inward(&self, wire: Option<&Json>, record: &Json) -> Result<Option<Value>, Refusal> {
        let Some(wire) = wire else { return Ok(None) };
        if wire.is_null() {
            return Ok(Some(Value::Null));
        }
        let mut value = self.wire.read(wire)?;
        for (kind, codec) in self.steps.iter().rev() {
            value = codec.inward(kind, value, record)?;
        }
        self.conform(value).map(Some)
    }

    /// The value, if the local type can hold it.
    fn conform(&self, value: Value) -> Result<Value, Refusal> {
        conform(&self.ty, value)
    }
}

fn conform(ty: &FieldType, value: Value) -> Result<Value, Refusal> {
    match (ty, &value) {
        (_, Value::Null)
        | (FieldType::Text, Value::Text(_))
        | (FieldType::Int, Value::Int(_))
        | (FieldType::Bool, Value::Bool(_))
        | (FieldType::Timestamp, Value::Timestamp(_))
        | (FieldType::Date, Value::Date(_))
        | (FieldType::Uuid, Value::Uuid(_))
        | (FieldType::Json, Value::Json(_)) => Ok(value),
        (FieldType::Enum(words), Value::Text(word)) if words.contains(word) => Ok(value),
        (FieldType::Enum(words), Value::Text(_)) => {
            Err(Refusal::new(RefusalKind::Word, format!("not one of {}", words.join(", "))))
        }
        (FieldType::Decimal { scale }, Value::Decimal(d)) => {
            if d.normalize().scale() <= *scale {
                Ok(value)
            } else {
                Err(Refusal::new(RefusalKind::Range, format!("more than {scale} digits after the point")))
            }
        }
        (FieldType::List(item), Value::List(items)) => {
            for element in items {
                conform(item, element.clone())?;
            }
            Ok(value)
        }
        (ty, _) => Err(Refusal::new(RefusalKind::Type, format!("not a valid {ty}"))),
    }
}
