//! Singular paths: names, non-negative indexes and elements chosen by a text in them, split once at load so that reading a record
//! never parses a path.

use serde_json::Value as Json;
use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A member of an object.
    Name(String),
    /// An element of an array.
    Index(usize),
    /// The first element of an array whose member `name` is this text.
    Element {
        /// The member that tells elements apart.
        name: String,
        /// What it is in the element that is meant.
        is: String,
    },
}

impl Segment {
    /// Where the element that is meant stands in `items`.
    pub fn position(&self, items: &[Json]) -> Option<usize> {
        match self {
            Segment::Index(index) => (*index < items.len()).then_some(*index),
            Segment::Element { name, is } => {
                items.iter().position(|item| item.get(name).and_then(Json::as_str) == Some(is))
            }
            Segment::Name(_) => None,
        }
    }
}

/// A path that leads to at most one node, such as `$.address.line1` or `$.metadata['app.id']`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SingularPath(pub Vec<Segment>);

/// A value cannot be written at this path of this document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write at {path}: {reason}")]
pub struct PathError {
    /// The path, as JSONPath.
    pub path: String,
    /// Why.
    pub reason: &'static str,
}

impl SingularPath {
    /// The node at this path, or `None` where any step is missing (*absent*).
    pub fn get<'a>(&self, root: &'a Json) -> Option<&'a Json> {
        self.0.iter().try_fold(root, |node, segment| match segment {
            Segment::Name(name) => node.as_object()?.get(name),
            Segment::Index(index) => node.as_array()?.get(*index),
            Segment::Element { .. } => {
                let items = node.as_array()?;
                items.get(segment.position(items)?)
            }
        })
    }

    /// The node at this path, to be changed.
    pub fn get_mut<'a>(&self, root: &'a mut Json) -> Option<&'a mut Json> {
        self.0.iter().try_fold(root, |node, segment| match segment {
            Segment::Name(name) => node.as_object_mut()?.get_mut(name),
            _ => {
                let items = node.as_array_mut()?;
                let at = segment.position(items)?;
                items.get_mut(at)
            }
        })
    }

    /// Writes `value`, creating objects on the way. Array elements are replaced, never invented; but an element that is chosen by a text
    /// in it is added, with that text, where there is none.
    pub fn set(&self, root: &mut Json, value: Json) -> Result<(), PathError> {
        let fail = |reason| PathError { path: self.to_string(), reason };
        let mut node = root;
        for segment in &self.0 {
            match segment {
                Segment::Name(name) => {
                    if node.is_null() {
                        *node = Json::Object(serde_json::Map::new());
                    }
                    let object =
                        node.as_object_mut().ok_or_else(|| fail("a value on the way is not an object"))?;
                    node = object.entry(name.clone()).or_insert(Json::Null);
                }
                Segment::Index(index) => {
                    let array =
                        node.as_array_mut().ok_or_else(|| fail("a value on the way is not an array"))?;
                    node = array.get_mut(*index).ok_or_else(|| fail("the array has no such element"))?;
                }
                Segment::Element { name, is } => {
                    if node.is_null() {
                        *node = Json::Array(Vec::new());
                    }
                    let array =
                        node.as_array_mut().ok_or_else(|| fail("a value on the way is not an array"))?;
                    let at = segment.position(array).unwrap_or_else(|| {
                        array.push(serde_json::json!({ name.as_str(): is }));
                        array.len() - 1
                    });
                    node = array.get_mut(at).ok_or_else(|| fail("the array has no such element"))?;
                }
            }
        }
        *node = value;
        Ok(())
    }

    /// The path of the first list on the way whose element is chosen by a text in it: what has to be known to write here without losing
    /// the other elements.
    pub fn keyed_list(&self) -> Option<SingularPath> {
        let at = self.0.iter().position(|segment| matches!(segment, Segment::Element { .. }))?;
        self.0.get(..at).map(|before| SingularPath(before.to_vec()))
    }

    /// True if `self` is `other`, or leads to something inside it.
    pub fn starts_with(&self, other: &SingularPath) -> bool {
        self.0.starts_with(&other.0)
    }

    /// True if writing one would touch what the other writes.
    pub fn overlaps(&self, other: &SingularPath) -> bool {
        self.starts_with(other) || other.starts_with(self)
    }
}

impl fmt::Display for SingularPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for segment in &self.0 {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Element { name, is } => {
                    f.write_str("[?@['")?;
                    name.chars().try_for_each(|c| escaped(f, c))?;
                    f.write_str("'] == '")?;
                    is.chars().try_for_each(|c| escaped(f, c))?;
                    f.write_str("']")?;
                }
                Segment::Name(name) => {
                    let plain = !name.is_empty()
                        && !name.starts_with(|c: char| c.is_ascii_digit())
                        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
                    if plain {
                        write!(f, ".{name}")?;
                    } else {
                        f.write_str("['")?;
                        name.chars().try_for_each(|c| escaped(f, c))?;
                        f.write_str("']")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A character of a quoted name, in the way of RFC 9535's normalized paths.
fn escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\\' | '\'' => write!(f, "\\{c}"),
        '\u{8}' => f.write_str("\\b"),
        '\u{c}' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c)),
        c => write!(f, "{c}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(segments: &[&str]) -> SingularPath {
        SingularPath(segments.iter().map(|s| Segment::Name((*s).into())).collect())
    }

    #[test]
    fn an_element_is_chosen_by_its_text_and_leaves_the_others_alone() {
        let work = Segment::Element { name: "type".into(), is: "work".into() };
        let number = SingularPath(vec![Segment::Name("phones".into()), work, Segment::Name("number".into())]);
        let mut doc = json!({"phones": [{"type": "home", "number": "1"}, 7, {"type": "work", "number": "2", "ext": "3"}]});
        assert_eq!(number.get(&doc), Some(&json!("2")));
        number.set(&mut doc, json!("4")).unwrap();
        let phones = json!([{"type": "home", "number": "1"}, 7, {"type": "work", "number": "4", "ext": "3"}]);
        assert_eq!(doc["phones"], phones);
        for (mut doc, after) in [
            (
                json!({"phones": [{"type": "home"}]}),
                json!([{"type": "home"}, {"type": "work", "number": "5"}]),
            ),
            (json!({}), json!([{"type": "work", "number": "5"}])),
        ] {
            assert_eq!(number.get(&doc), None);
            number.set(&mut doc, json!("5")).unwrap();
            assert_eq!(doc["phones"], after);
        }
        assert!(number.set(&mut json!({"phones": "x"}), json!("5")).is_err());
        assert_eq!(number.keyed_list(), Some(path(&["phones"])));
        assert_eq!(path(&["phones"]).keyed_list(), None);
    }

    #[test]
    fn set_creates_objects_and_nothing_else() {
        let mut doc = json!({"tags": ["a"]});
        path(&["metadata", "app.id"]).set(&mut doc, json!("x")).unwrap();
        SingularPath(vec![Segment::Name("tags".into()), Segment::Index(0)])
            .set(&mut doc, json!("b"))
            .unwrap();
        assert_eq!(doc, json!({"tags": ["b"], "metadata": {"app.id": "x"}}));
        assert!(
            SingularPath(vec![Segment::Name("tags".into()), Segment::Index(1)])
                .set(&mut doc, json!(1))
                .is_err()
        );
        assert!(path(&["tags", "x"]).set(&mut doc, json!(1)).is_err());
        assert_eq!(path(&["metadata", "app.id"]).to_string(), "$.metadata['app.id']");
        assert_eq!(path(&["a\n\u{1}'\\"]).to_string(), r"$['a\n\u0001\'\\']");
    }
}
