//! A document as it was written: keys and values with their places, so that any JSON pointer becomes file:line:col.

use crate::finding::Span;
use serde_json::{Map, Number, Value as Json};

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it is; for a block map, from its first key to its last value.
    pub span: Span,
    /// What it is.
    pub content: Content,
}

/// What a node is. Scalars keep their text: which type it means is decided by whoever expects one.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text; `plain` if it was not quoted.
    Scalar {
        /// The text after escapes.
        text: String,
        /// Not quoted, so that it may be a number, a boolean or nothing.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in document order.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// The entries, if this is a map.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// True for a plain nothing: `key:`, `~` or `null`.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The node at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Node> {
        segments(pointer).try_fold(self, |node, segment| node.child(&segment))
    }

    fn child(&self, segment: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(_) => self.get(segment),
            Content::List(items) => items.get(segment.parse::<usize>().ok()?),
            Content::Scalar { .. } => None,
        }
    }

    /// Where the value at `pointer` is; the nearest value above it, if it is not there.
    pub fn place(&self, pointer: &str) -> Span {
        let mut node = self;
        for segment in segments(pointer) {
            match node.child(&segment) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.span
    }

    /// Where the key that leads to `pointer` is; the value's place where no key does.
    pub fn key_place(&self, pointer: &str) -> Span {
        let (parent, last) = pointer.rsplit_once('/').unwrap_or(("", ""));
        let key = unescape(last);
        let entry = self.at(parent).and_then(|node| node.entries().iter().find(|e| e.key == key));
        entry.map_or_else(|| self.place(pointer), |e| e.key_span)
    }

    /// The node without what is at `pointer`; `None` if there is nothing, or that is the node itself.
    pub(crate) fn without(&self, pointer: &str) -> Option<Node> {
        let mut less = self.clone();
        let (parent, last) = pointer.rsplit_once('/')?;
        let parent = segments(parent).try_fold(&mut less, |node, segment| node.child_mut(&segment))?;
        let key = unescape(last);
        match &mut parent.content {
            Content::Map(entries) => {
                let at = entries.iter().position(|entry| entry.key == key)?;
                drop(entries.remove(at));
            }
            Content::List(items) => {
                let at = key.parse::<usize>().ok().filter(|at| *at < items.len())?;
                drop(items.remove(at));
            }
            Content::Scalar { .. } => return None,
        }
        Some(less)
    }

    fn child_mut(&mut self, segment: &str) -> Option<&mut Node> {
        match &mut self.content {
            Content::Map(entries) => entries.iter_mut().find(|e| e.key == segment).map(|e| &mut e.value),
            Content::List(items) => items.get_mut(segment.parse::<usize>().ok()?),
            Content::Scalar { .. } => None,
        }
    }

    /// The node as JSON, scalars typed by their looks (YAML 1.2 core).
    pub fn to_json(&self) -> Json {
        match &self.content {
            Content::Scalar { text, plain: false } => Json::String(text.clone()),
            Content::Scalar { text, plain: true } => typed_scalar(text),
            Content::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Content::Map(entries) => Json::Object(
                entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// A plain scalar by its looks: null, booleans and numbers of YAML 1.2; everything else, `NO` and dates too, is text.
pub fn typed_scalar(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        && text.chars().any(|c| c.is_ascii_digit());
    if numeric {
        let plain = text.strip_prefix('+').unwrap_or(text);
        // A leading zero is somebody's code, not a number: `007` would not come back.
        let coded = plain
            .trim_start_matches('-')
            .strip_prefix('0')
            .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if !coded {
            if let Ok(whole) = plain.parse::<i64>() {
                return Json::from(whole);
            }
            if let Some(number) = plain.parse::<f64>().ok().and_then(Number::from_f64) {
                return Json::Number(number);
            }
        }
    }
    Json::String(text.to_owned())
}

/// `pointer` one step further, with `segment` escaped.
pub fn join(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(unescape)
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn looks_decide_only_what_yaml_1_2_says() {
        assert_eq!(typed_scalar("NO"), json!("NO"));
        assert_eq!(typed_scalar("on"), json!("on"));
        assert_eq!(typed_scalar("2022-06-28"), json!("2022-06-28"));
        assert_eq!(typed_scalar("007"), json!("007"));
        assert_eq!(typed_scalar("5010"), json!(5010));
        assert_eq!(typed_scalar("-1.5"), json!(-1.5));
        assert_eq!(typed_scalar("1e3"), json!(1000.0));
        assert_eq!(typed_scalar("-"), json!("-"));
        assert_eq!(typed_scalar("~"), json!(null));
        assert_eq!(typed_scalar("true"), json!(true));
    }
}
