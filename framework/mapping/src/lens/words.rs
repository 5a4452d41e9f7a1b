//! One text that is two local fields: a full name, and first and last name.

use super::{Normalize, Refusal, RefusalKind};
use bothways_model::{Record, Value};

/// One of two local fields that are one text outside, split before its last space. The text is made of both, so the two change together.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The local field that holds what is before the last space.
    pub first: String,
    /// The local field that holds the last word.
    pub last: String,
    /// This one is the last word.
    pub is_last: bool,
    /// What is made alike in both before they are joined.
    pub normalize: Normalize,
}

impl Part {
    /// The whole text for a row; null where both are.
    ///
    /// # Errors
    /// Two words that would not come back as they are: a last word with a space in it, or a first one without a last.
    pub(super) fn join(&self, row: &Record) -> Result<Value, Refusal> {
        let word = |name: &str| match row.get(name).map(|value| self.normalize.apply(value)) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        let parts = (word(&self.first), word(&self.last));
        let text = match &parts {
            (None, None) => return Ok(Value::Null),
            (Some(first), Some(last)) => format!("{first} {last}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
        };
        let back = split(&text).map(|(first, last)| (first.map(str::to_owned), Some(last.to_owned())));
        if back != Some(parts) {
            let why = format!("`{}` and `{}` together would come back as other words", self.first, self.last);
            return Err(Refusal::new(RefusalKind::Form, why));
        }
        Ok(Value::Text(text))
    }

    /// This field's part of the whole text.
    pub(super) fn of(&self, text: &str) -> Result<Value, Refusal> {
        let (first, last) =
            split(text).ok_or_else(|| Refusal::new(RefusalKind::Form, "a text without a word"))?;
        let part = if self.is_last { Some(last) } else { first };
        Ok(part.map_or(Value::Null, |part| Value::Text(part.to_owned())))
    }
}

/// What is before the last space, if anything, and the last word.
fn split(text: &str) -> Option<(Option<&str>, &str)> {
    match text.trim() {
        "" => None,
        text => {
            Some(text.rsplit_once(' ').map_or((None, text), |(first, last)| (Some(first.trim_end()), last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(is_last: bool) -> Part {
        Part { first: "first".into(), last: "last".into(), is_last, normalize: Normalize::default() }
    }

    fn join(first: &str, last: &str) -> Result<Value, Refusal> {
        let value = |text: &str| if text == "-" { Value::Null } else { Value::Text(text.into()) };
        part(false).join(&Record::from_iter([("first", value(first)), ("last", value(last))]))
    }

    #[test]
    fn what_comes_back_is_joined() {
        let text = |text: &str| Ok(Value::Text(text.into()));
        assert_eq!(join("Ann", "Lee"), text("Ann Lee"));
        assert_eq!(join("Ann Maria", "Lee"), text("Ann Maria Lee"));
        assert_eq!(join("-", "Cher"), text("Cher"));
        assert_eq!(join("-", "-"), Ok(Value::Null));
        for (first, last) in [
            ("Ludwig", "van B"),
            ("-", "van B"),
            ("Ann", "-"),
            ("", "Lee"),
            ("Ann", ""),
            ("Ann ", "Lee"),
            ("", ""),
        ] {
            assert!(join(first, last).is_err(), "{first:?} {last:?}");
        }
    }

    #[test]
    fn a_text_is_split_before_its_last_space() {
        let of = |text: &str| (part(false).of(text).unwrap(), part(true).of(text).unwrap());
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(of("Ann Maria Lee"), (text("Ann Maria"), text("Lee")));
        assert_eq!(of(" Ann  Lee "), (text("Ann"), text("Lee")));
        assert_eq!(of("Cher"), (Value::Null, text("Cher")));
        assert!(part(true).of("  ").is_err());
    }
}
