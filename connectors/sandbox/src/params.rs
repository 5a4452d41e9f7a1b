//! Typed reading of parameters. A reader hands out what an endpoint knows; what is left at the end is unknown and refused.

use crate::errors::ApiError;
use crate::form::{Param, Params};

/// What was given for a parameter. Stripe reads the empty string as "unset".
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given<T> {
    Empty,
    Value(T),
}

impl<T> Given<T> {
    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Given::Empty => None,
            Given::Value(value) => Some(value),
        }
    }
}

/// The parameters of one hash, top level or nested.
pub(crate) struct Reader {
    left: Params,
    prefix: Option<String>,
}

impl Reader {
    pub(crate) fn new(params: Params) -> Self {
        Self { left: params, prefix: None }
    }

    /// The full name of a parameter of this hash, as errors show it.
    pub(crate) fn name(&self, name: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}[{name}]"),
            None => name.to_owned(),
        }
    }

    /// Whether a parameter was given as a text rather than as a hash.
    pub(crate) fn is_text(&self, name: &str) -> bool {
        matches!(self.left.get(name), Some(Param::Text(_)))
    }

    /// A text of at most `max` characters.
    pub(crate) fn text(&mut self, name: &str, max: usize) -> Result<Option<Given<String>>, ApiError> {
        let full = self.name(name);
        match self.left.take(name) {
            None => Ok(None),
            Some(Param::Map(_)) => Err(ApiError::invalid(format!("Invalid string: {full}")).of(full)),
            Some(Param::Text(text)) if text.is_empty() => Ok(Some(Given::Empty)),
            Some(Param::Text(text)) if text.chars().count() > max => Err(ApiError::invalid(format!(
                "Invalid string: {}; must be at most {max} characters",
                shorten(&text)
            ))
            .of(full)),
            Some(Param::Text(text)) => Ok(Some(Given::Value(text))),
        }
    }

    /// A text that cannot be unset.
    pub(crate) fn solid_text(&mut self, name: &str, max: usize) -> Result<Option<String>, ApiError> {
        let full = self.name(name);
        match self.text(name, max)? {
            Some(Given::Empty) => Err(ApiError::cannot_be_empty(&full)),
            given => Ok(given.and_then(Given::into_option)),
        }
    }

    /// A whole number, which cannot be unset.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let full = self.name(name);
        let Some(text) = self.solid_text(name, 64)? else { return Ok(None) };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ApiError::invalid(format!("Invalid integer: {}", shorten(&text)))
                .with_code("parameter_invalid_integer")
                .of(full)),
        }
    }

    /// True or false, which cannot be unset.
    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        let full = self.name(name);
        match self.solid_text(name, 64)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(ApiError::invalid(format!("Invalid boolean: {}", shorten(text))).of(full)),
        }
    }

    /// A nested hash.
    pub(crate) fn hash(&mut self, name: &str) -> Result<Option<Given<Reader>>, ApiError> {
        let full = self.name(name);
        match self.left.take(name) {
            None => Ok(None),
            Some(Param::Text(text)) if text.is_empty() => Ok(Some(Given::Empty)),
            Some(Param::Text(_)) => Err(ApiError::invalid("Invalid object").of(full)),
            Some(Param::Map(left)) => Ok(Some(Given::Value(Reader { left, prefix: Some(full) }))),
        }
    }

    /// A list of hashes, each with a reader of its own.
    pub(crate) fn hashes(&mut self, name: &str) -> Result<Option<Given<Vec<Reader>>>, ApiError> {
        let full = self.name(name);
        let Some(items) = self.items(name)? else { return Ok(None) };
        let Given::Value(items) = items else { return Ok(Some(Given::Empty)) };
        let read = |(index, item): (usize, Param)| match item {
            Param::Map(left) => Ok(Reader { left, prefix: Some(format!("{full}[{index}]")) }),
            Param::Text(_) => Err(ApiError::invalid("Invalid object").of(format!("{full}[{index}]"))),
        };
        Ok(Some(Given::Value(items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?)))
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Option<Given<Vec<String>>>, ApiError> {
        let full = self.name(name);
        let Some(items) = self.items(name)? else { return Ok(None) };
        let Given::Value(items) = items else { return Ok(Some(Given::Empty)) };
        let read = |item| match item {
            Param::Text(text) => Ok(text),
            Param::Map(_) => Err(ApiError::invalid("Invalid string").of(full.clone())),
        };
        Ok(Some(Given::Value(items.into_iter().map(read).collect::<Result<_, _>>()?)))
    }

    /// Names and texts as they are: metadata.
    pub(crate) fn pairs(self) -> Result<Vec<(String, String)>, ApiError> {
        let full = self.prefix.clone().unwrap_or_default();
        let read =
            |(name, param)| match param {
                Param::Text(text) => Ok((name, text)),
                Param::Map(_) => Err(ApiError::invalid(format!("Invalid string: {full}[{name}]"))
                    .of(format!("{full}[{name}]"))),
            };
        self.left.0.into_iter().map(read).collect()
    }

    /// Refuses what nobody asked for. Every endpoint accepts `expand`; there is nothing here to expand.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        if self.prefix.is_none() {
            self.left.take("expand");
        }
        let unknown: Vec<String> = self.left.0.iter().map(|(name, _)| self.name(name)).collect();
        if unknown.is_empty() { Ok(()) } else { Err(ApiError::unknown(&unknown)) }
    }

    fn items(&mut self, name: &str) -> Result<Option<Given<Vec<Param>>>, ApiError> {
        let full = self.name(name);
        match self.left.take(name) {
            None => Ok(None),
            Some(Param::Text(text)) if text.is_empty() => Ok(Some(Given::Empty)),
            Some(Param::Map(map)) if map.0.iter().all(|(n, _)| n.bytes().all(|b| b.is_ascii_digit())) => {
                Ok(Some(Given::Value(map.0.into_iter().map(|(_, item)| item).collect())))
            }
            Some(_) => Err(ApiError::invalid("Invalid array").of(full)),
        }
    }
}

/// Enough of a refused text to recognise it.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 32;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("...".chars()).collect()
}
