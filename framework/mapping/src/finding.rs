//! What a check says: one finding, with a code, a place and words. Rendering is the business of `diagnose`.

use std::fmt;
use std::sync::Arc;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The documents cannot be used.
    Error,
    /// They can, but something will probably not do what its author expects.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word shown to people and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A place in a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub col: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last one; equal to `start` where the place is a point.
    pub end: usize,
}

/// A place in a named file, kept in checked types so that `explain` can name the line that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, as the caller named it.
    pub file: Arc<str>,
    /// Where in it.
    pub span: Span,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.span.line, self.span.col)
    }
}

/// One result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The file, as the caller named it.
    pub file: Arc<str>,
    /// Where in it.
    pub span: Span,
    /// The JSON pointer of the place within its document; empty for syntax.
    pub pointer: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The place holds what looks like a credential, and must not be shown.
    pub masked: bool,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// The closed list of checks. Each has a page, which `bothways explain-code` shows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes, in order.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The code as it is written, such as `M204`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => stringify!($name),)*
                }
            }
        }
    };
}

codes! {
    /// The text is not YAML.
    Y001
    /// An anchor, an alias or a merge key.
    Y002
    /// The document is too large, too deep or has too many nodes.
    Y003
    /// One key twice.
    Y004
    /// A character that cannot start a plain value (`@`, a backtick, `%`).
    Y005
    /// Braces or brackets that YAML reads as its own.
    Y006
    /// A tab where YAML wants spaces.
    Y007
    /// A line that is indented wrongly.
    Y008
    /// A tag, or a key that is not plain text.
    Y009
    /// A document that is none of the three kinds.
    Y101
    /// A key that does not exist.
    Y102
    /// A key that must be there.
    Y103
    /// A value of another type.
    Y104
    /// A word that is not in the list.
    Y105
    /// A key with nothing after it.
    Y106
    /// A choice needs exactly one key.
    Y107
    /// A text that is not of its form: a duration, a rate, a name.
    Y108
    /// Not a JSONPath, or not one that fits here.
    Y109
    /// Not a filter.
    Y110
    /// Not a call line.
    Y111
    /// A schema for editors that is another version's.
    Y112
    /// A name that names nothing.
    M101
    /// Variables and secrets.
    M102
    /// Two variables that read one environment variable.
    M103
    /// Two documents of one name, or two mappings on one pair.
    M104
    /// A field that goes out needs a writable path.
    M201
    /// Outgoing paths that overlap.
    M202
    /// Codecs whose types do not meet.
    M203
    /// A table of values that loses something.
    M204
    /// `default` on a field that goes out.
    M205
    /// A policy or direction without the call it needs.
    M301
    /// Nothing brings remote changes.
    M302
    /// Matching that is slow or ambiguous.
    M303
    /// A placeholder that the call does not know.
    M304
    /// A feed that is read less often than it reaches back.
    M305
    /// `newest` without a time of change.
    M306
    /// `check: blind` may overwrite what nobody saw.
    M307
    /// A `safety` that would loosen a brake.
    M308
    /// A looked-up value inside a query language.
    M309
    /// A resource that contradicts itself.
    M310
    /// A reference that cannot be followed.
    M401
    /// Two writers of one place.
    M402
    /// The documents and the database disagree.
    M501
    /// A case of a mapping does not hold.
    T001
    /// A field breaks a law.
    T002
}

impl Code {
    /// The code written as `text`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The entry of `known` nearest to `word`, if it is near enough to be meant: at most a third of its letters differ.
/// Very long words and the later of very many are not compared: comparing costs the product of two lengths.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LETTERS: usize = 100;
    const WORDS: usize = 500;
    let letters = word.chars().count();
    if letters > LETTERS {
        return None;
    }
    let limit = (letters / 3).max(1);
    known
        .into_iter()
        .take(WORDS)
        .filter(|k| k.chars().count().abs_diff(letters) <= limit)
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// The names that there are, for a help; the first of many.
pub(crate) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => format!("there is: {shown}"),
        Some(more) => format!("there is: {shown}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_not_all_listed() {
        assert_eq!(listed(&["a", "b"]), "there is: a, b");
        assert!(listed(&["x"; 20]).ends_with("x, x"));
        assert!(listed(&["x"; 9_000]).ends_with("x, and 8980 more"));
    }

    #[test]
    fn what_nobody_typed_by_mistake_costs_nothing() {
        let (one, other) = ("a".repeat(400_000), "b".repeat(400_000));
        assert_eq!(nearest(&one, [other.as_str()]), None);
        assert_eq!(nearest("a", [one.as_str(), "b"]), Some("b"));
    }

    #[test]
    fn nearest_is_near() {
        assert_eq!(nearest("normalise", ["normalize", "default"]), Some("normalize"));
        assert_eq!(nearest("usernam", ["user", "password", "username"]), Some("username"));
        assert_eq!(nearest("colour", ["phone", "email"]), None);
        assert_eq!(nearest("Emial", ["phone", "email"]), Some("email"));
    }

    #[test]
    fn codes_are_unique_and_parse() {
        for code in Code::ALL {
            assert_eq!(Code::parse(&code.as_str().to_lowercase()), Some(*code));
        }
    }
}
