//! Why a value does not pass.

use std::fmt;

/// The kind of a refusal. Its word is what `parks:` names in a mapping's cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// A value of another type.
    Type,
    /// A value that does not fit: too large, too many digits, part of a second.
    Range,
    /// A word that is not in the table or list.
    Word,
    /// A text that is not of its form: no such prefix, not Base64.
    Form,
    /// A currency that is missing or unknown.
    Currency,
    /// Nothing, where something is required.
    Required,
}

impl RefusalKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalKind::Type => "type",
            RefusalKind::Range => "range",
            RefusalKind::Word => "word",
            RefusalKind::Form => "form",
            RefusalKind::Currency => "currency",
            RefusalKind::Required => "required",
        }
    }
}

/// A value that does not pass, and parks its change. It never holds the value itself: refusals are logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// What kind.
    pub kind: RefusalKind,
    /// What was expected, or what is missing.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}
