//! Form encoding of writes: nested objects as `a[b]`, arrays as `a[0]`.
//!
//! A form has one kind of value, text, so what it cannot say is refused instead of guessed: null and emptiness without a declared
//! spelling, and names that would read as structure.

use crate::percent;
use bothways_connector::FieldWrites;
use bothways_model::{ErrorClass, Failure, Segment};
use serde_json::Value as Json;

/// The content type of what [`encode`] makes.
pub(crate) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Encodes `writes`. `null_as` is how the service spells "set to null"; it also stands for an empty object or list, which a form
/// cannot say otherwise.
///
/// # Errors
/// Class `invalid`, naming the path, if a value has no spelling.
pub(crate) fn encode(writes: &FieldWrites, null_as: Option<&str>) -> Result<String, Failure> {
    let mut form = Form { out: String::new(), null_as };
    for (path, value) in writes {
        let mut name = String::new();
        for segment in &path.0 {
            match segment {
                Segment::Name(part) => push_part(&mut name, part)?,
                Segment::Index(index) => push_index(&mut name, *index),
                Segment::Element { .. } => {
                    return Err(refused(
                        &path.to_string(),
                        "a form has no way to choose an element of a list",
                    ));
                }
            }
        }
        form.push(&name, value)?;
    }
    Ok(form.out)
}

struct Form<'a> {
    out: String,
    null_as: Option<&'a str>,
}

impl Form<'_> {
    fn push(&mut self, name: &str, value: &Json) -> Result<(), Failure> {
        match value {
            Json::Object(members) if !members.is_empty() => members.iter().try_for_each(|(key, member)| {
                let mut inner = name.to_owned();
                push_part(&mut inner, key)?;
                self.push(&inner, member)
            }),
            Json::Array(items) if !items.is_empty() => {
                items.iter().enumerate().try_for_each(|(index, item)| {
                    let mut inner = name.to_owned();
                    push_index(&mut inner, index);
                    self.push(&inner, item)
                })
            }
            Json::String(text) => self.pair(name, text),
            Json::Bool(flag) => self.pair(name, if *flag { "true" } else { "false" }),
            Json::Number(number) => self.pair(name, &number.to_string()),
            Json::Null | Json::Object(_) | Json::Array(_) => match self.null_as {
                Some(text) => self.pair(name, text),
                None => Err(refused(name, "a form has no spelling for null or for an empty list or object")),
            },
        }
    }

    fn pair(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        if name.is_empty() {
            return Err(refused("$", "a form is made of named fields"));
        }
        percent::push_field(&mut self.out, name, value);
        Ok(())
    }
}

fn push_part(name: &mut String, part: &str) -> Result<(), Failure> {
    if part.is_empty() || part.contains(['[', ']']) {
        return Err(refused(part, "an empty name, or one with brackets, would read as structure in a form"));
    }
    if name.is_empty() {
        name.push_str(part);
    } else {
        name.push('[');
        name.push_str(part);
        name.push(']');
    }
    Ok(())
}

fn push_index(name: &mut String, index: usize) {
    name.push('[');
    name.push_str(&index.to_string());
    name.push(']');
}

fn refused(name: &str, why: &str) -> Failure {
    Failure::new(ErrorClass::Invalid, format!("`{name}` cannot be sent: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::SingularPath;
    use serde_json::json;

    fn path(parts: &[&str]) -> SingularPath {
        SingularPath(
            parts
                .iter()
                .map(|p| p.parse().map_or_else(|_| Segment::Name((*p).into()), Segment::Index))
                .collect(),
        )
    }

    #[test]
    fn nests_as_brackets() {
        let writes = vec![
            (path(&["email"]), json!("a+b@x.io")),
            (path(&["metadata", "bothways"]), json!("0190 x")),
            (path(&["address"]), json!({"line1": "1 & 2", "country": "DE"})),
            (path(&["items"]), json!([{"price": "p_1", "quantity": 2}, {"price": "p_2", "trial": true}])),
            (path(&["tags", "1"]), json!(-1.5)),
        ];
        assert_eq!(
            encode(&writes, None).unwrap(),
            "email=a%2Bb%40x.io&metadata[bothways]=0190%20x&address[line1]=1%20%26%202&address[country]=DE\
             &items[0][price]=p_1&items[0][quantity]=2&items[1][price]=p_2&items[1][trial]=true&tags[1]=-1.5"
        );
    }

    #[test]
    fn null_needs_a_spelling() {
        let writes = vec![(path(&["phone"]), Json::Null), (path(&["a"]), json!({"b": null}))];
        assert_eq!(encode(&writes, Some("")).unwrap(), "phone=&a[b]=");
        let refused = encode(&writes, None).unwrap_err();
        assert_eq!(refused.class, ErrorClass::Invalid);
        assert!(refused.message.contains("phone"), "{}", refused.message);
        assert!(encode(&vec![(path(&["list"]), json!([]))], None).is_err());
        assert_eq!(encode(&vec![(path(&["list"]), json!([]))], Some("")).unwrap(), "list=");
    }

    #[test]
    fn names_never_become_structure() {
        assert!(encode(&vec![(path(&["metadata", "a][b"]), json!("x"))], Some("")).is_err());
        assert!(encode(&vec![(path(&["metadata"]), json!({"": "x"}))], Some("")).is_err());
        assert!(encode(&vec![(SingularPath::default(), json!("x"))], Some("")).is_err());
        let odd = encode(&vec![(path(&["metadata", "a=b&c"]), json!("x"))], Some("")).unwrap();
        assert_eq!(odd, "metadata[a%3Db%26c]=x");
    }
}
