//! Names that reach SQL. A name from YAML becomes SQL text only through [`Ident`] (`RULES.md` S18).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A table, column or schema name that is safe to quote: `^[A-Za-z_][A-Za-z0-9_]{0,62}$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// The text is not a name that Bothways passes to a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a plain name: letters, digits and `_` only, not starting with a digit, at most 63 characters"
)]
pub struct BadIdent(pub String);

impl Ident {
    /// Checks `text`; fails unless it matches the pattern above.
    pub fn new(text: impl Into<String>) -> Result<Self, BadIdent> {
        let text = text.into();
        let mut bytes = text.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let tail = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if head && tail && text.len() <= 63 { Ok(Self(text)) } else { Err(BadIdent(text)) }
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in double quotes, as SQLite and PostgreSQL read it. Embedded quotes cannot occur; they are doubled all the same.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl TryFrom<String> for Ident {
    type Error = BadIdent;
    fn try_from(text: String) -> Result<Self, BadIdent> {
        Self::new(text)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> Self {
        ident.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_pass() {
        for good in ["a", "_x", "Customers", "a1", &"x".repeat(63)] {
            assert!(Ident::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "a b", "a\"b", "a;drop", "ä", &"x".repeat(64)] {
            assert!(Ident::new(bad).is_err(), "{bad}");
        }
    }
}
