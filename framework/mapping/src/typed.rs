//! Trees to document types, with a place for every error.
//!
//! A scalar's type is what the document type asks for: `5010` is text where text is expected, and `NO` is never false. The
//! error stops at the first trouble of a document; the shape pass of `diagnose` finds all of them on the same tree.

use crate::doc::Free;
use crate::finding::{Code, Span};
use crate::tree::{Content, Entry, Node, join, typed_scalar};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde_json::Value as Json;
use std::fmt;

/// Why a tree is not a document, and where.
#[derive(Debug)]
pub(crate) struct ShapeError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) place: Option<Span>,
    /// The pointer's segments, innermost first.
    path: Vec<String>,
}

impl ShapeError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, place: None, path: Vec::new() }
    }

    fn at(mut self, span: Span) -> Self {
        self.place.get_or_insert(span);
        self
    }

    fn below(mut self, segment: &str) -> Self {
        self.path.push(segment.to_owned());
        self
    }

    /// Where it is, as a JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        self.path.iter().rev().fold(String::new(), |pointer, segment| join(&pointer, segment))
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ShapeError {}

fn suggestion(word: &str, known: &[&str]) -> String {
    match crate::finding::nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Code::Y104, message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unit => {
                let mut error = Self::new(Code::Y106, format!("nothing is here, and {expected} is expected"));
                error.help = Some("give a value, or remove the key".into());
                error
            }
            found => {
                Self::new(Code::Y104, format!("{} is here, and {expected} is expected", describe(found)))
            }
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Code::Y104, format!("{} is here, and {expected} is expected", describe(found)))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let mut error = Self::new(Code::Y105, format!("`{word}` is not one of the words that fit here"));
        error.help = Some(match word.strip_suffix('?').filter(|w| known.contains(w)) {
            Some(plain) => format!("write `{plain}`, and `optional: true` beside it"),
            None => suggestion(word, known),
        });
        error
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let mut error = Self::new(Code::Y102, format!("there is no key `{key}` here"));
        error.help = Some(suggestion(key, known));
        error
    }

    fn missing_field(key: &'static str) -> Self {
        let mut error = Self::new(Code::Y103, format!("the key `{key}` is missing"));
        error.help = Some(format!("add `{key}: …`"));
        error
    }
}

fn describe(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        Unexpected::Unit => "nothing",
        _ => "text",
    }
}

/// Reads `node` as `T`.
pub(crate) fn read<'de, T: de::Deserialize<'de>>(node: &'de Node) -> Result<T, ShapeError> {
    T::deserialize(Typed(node))
}

struct Typed<'a>(&'a Node);

impl<'de> Typed<'de> {
    fn text(&self) -> Option<&'de str> {
        match &self.0.content {
            Content::Scalar { text, .. } if !self.0.is_nothing() => Some(text),
            _ => None,
        }
    }

    /// The text, if it was not quoted: a quoted number is text.
    fn plain(&self) -> Option<&'de str> {
        self.text().filter(|_| matches!(self.0.content, Content::Scalar { plain: true, .. }))
    }

    fn unexpected(&self) -> Unexpected<'de> {
        match &self.0.content {
            Content::Scalar { text, .. } => {
                if self.0.is_nothing() {
                    Unexpected::Unit
                } else {
                    Unexpected::Str(text)
                }
            }
            Content::List(_) => Unexpected::Seq,
            Content::Map(_) => Unexpected::Map,
        }
    }

    fn placed<T>(&self, result: Result<T, ShapeError>) -> Result<T, ShapeError> {
        result.map_err(|e| e.at(self.0.span))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $ty:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
            let number = self.plain().and_then(|text| text.parse::<$ty>().ok());
            let result = match number {
                Some(number) => visitor.$visit(number),
                None => Err(de::Error::invalid_type(self.unexpected(), &"a whole number")),
            };
            self.placed(result)
        }
    )*};
}

impl<'de> Deserializer<'de> for Typed<'de> {
    type Error = ShapeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let result = match &self.0.content {
            Content::Scalar { .. } => match self.text() {
                Some(text) => visitor.visit_borrowed_str(text),
                None => visitor.visit_unit(),
            },
            Content::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Content::Map(entries) => visitor.visit_map(Members { entries: entries.iter(), value: None }),
        };
        self.placed(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let result = match self.plain().map(typed_scalar) {
            Some(Json::Bool(value)) => visitor.visit_bool(value),
            _ => Err(de::Error::invalid_type(self.unexpected(), &"`true` or `false`")),
        };
        self.placed(result)
    }

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let result = match self.text() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => Err(de::Error::invalid_type(self.unexpected(), &"text")),
        };
        let braces = matches!(&self.0.content, Content::Map(entries) if entries.iter().all(|e| e.value.is_nothing()) && !entries.is_empty());
        self.placed(result).map_err(|mut error| {
            if braces && error.help.is_none() {
                error.help = Some("quote the text if the braces belong to it".into());
            }
            error
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_str(visitor)
    }

    /// A key that is there has a value: nothing is never "not given".
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        if name == Free::MARK {
            let span = self.0.span;
            let json = self.0.to_json();
            return visitor
                .visit_newtype_struct(json)
                .map_err(|e: serde_json::Error| <ShapeError as de::Error>::custom(e).at(span));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        let result = match &self.0.content {
            Content::Scalar { text, .. } if !self.0.is_nothing() => {
                visitor.visit_enum(IntoDeserializer::<ShapeError>::into_deserializer(text.as_str()))
            }
            Content::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Choice(entry)),
                entries => {
                    let mut error = ShapeError::new(
                        Code::Y107,
                        format!("exactly one choice is expected, and {} are here", entries.len()),
                    );
                    error.help = Some("keep one of the keys".into());
                    Err(error)
                }
            },
            _ => {
                Err(de::Error::invalid_type(self.unexpected(), &"one of the words or choices that fit here"))
            }
        };
        self.placed(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.0.content {
            Content::Map(_) => self.deserialize_any(visitor),
            _ => self.placed(Err(de::Error::invalid_type(self.unexpected(), &"a map"))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.0.content {
            Content::List(_) => self.deserialize_any(visitor),
            _ => self.placed(Err(de::Error::invalid_type(self.unexpected(), &"a list"))),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ShapeError;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ShapeError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Typed(node)).map(Some).map_err(|e| e.below(&index.to_string()))
    }
}

struct Members<'a> {
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, ShapeError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|e| e.at(entry.key_span).below(&entry.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ShapeError> {
        let Some(entry) = self.value.take() else { return Err(de::Error::custom("a value without its key")) };
        let place = if entry.value.is_nothing() { entry.key_span } else { entry.value.span };
        seed.deserialize(Typed(&entry.value)).map_err(|mut e| {
            // Nothing has no place of its own worth pointing at: the key does.
            if e.code == Code::Y106 && e.path.is_empty() {
                e.place = Some(place);
            }
            e.at(place).below(&entry.key)
        })
    }
}

/// An externally tagged choice: a map of one key.
struct Choice<'a>(&'a Entry);

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = ShapeError;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ShapeError> {
        let word: StrDeserializer<'_, ShapeError> = self.0.key.as_str().into_deserializer();
        let variant = seed.deserialize(word).map_err(|e| e.at(self.0.key_span).below(&self.0.key))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = ShapeError;

    fn unit_variant(self) -> Result<(), ShapeError> {
        let mut error =
            ShapeError::new(Code::Y104, format!("`{}` takes no value", self.0.key)).at(self.0.key_span);
        error.help = Some(format!("write `{}` alone", self.0.key));
        Err(error)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ShapeError> {
        seed.deserialize(Typed(&self.0.value)).map_err(|e| e.at(self.0.value.span).below(&self.0.key))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ShapeError> {
        Typed(&self.0.value).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        Typed(&self.0.value).deserialize_map(visitor)
    }
}
