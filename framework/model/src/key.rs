//! The key of a catalog: which fields it is, and the one text that names a row by it.
//!
//! Of one field, a row's id is the text of its value. Of several, it is their texts joined as [`join`] says, with nothing but replacing
//! and joining, which triggers can do in whatever program writes the table. Every list of texts is one id, and every id one list.

use crate::{Catalog, CatalogField, FieldType, KeyMaker, LocalId, Record, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Between the texts of an id.
pub const SEPARATOR: &str = "/";
/// What is replaced in each text before they are joined, and by what, in this order.
pub const ESCAPES: [(&str, &str); 2] = [("%", "%25"), (SEPARATOR, "%2F")];

/// Joins texts to one, so that [`split`] gives them back.
pub fn join(texts: &[String]) -> String {
    let escape = |text: &String| ESCAPES.iter().fold(text.clone(), |text, (c, by)| text.replace(c, by));
    texts.iter().map(escape).collect::<Vec<_>>().join(SEPARATOR)
}

/// The texts that were joined.
pub fn split(joined: &str) -> Vec<String> {
    let unescape =
        |text: &str| ESCAPES.iter().rev().fold(text.to_owned(), |text, (c, by)| text.replace(by, c));
    joined.split(SEPARATOR).map(unescape).collect()
}

/// The names of a catalog's key fields, in order; mostly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrimaryKey(Vec<String>);

impl PrimaryKey {
    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether this field is one of them.
    pub fn contains(&self, field: &str) -> bool {
        self.0.iter().any(|name| name == field)
    }

    /// Whether it is several fields.
    pub fn is_composite(&self) -> bool {
        self.0.len() > 1
    }

    /// The texts that an id consists of, one for each field; `None` if it is no id of this key.
    fn texts(&self, id: &LocalId) -> Option<Vec<String>> {
        if !self.is_composite() {
            return Some(vec![id.0.clone()]);
        }
        let texts = split(&id.0);
        (texts.len() == self.0.len() && join(&texts) == id.0).then_some(texts)
    }

    /// The id of these texts.
    fn id(&self, texts: &[String]) -> LocalId {
        match (texts, self.is_composite()) {
            ([text], false) => LocalId(text.clone()),
            _ => LocalId(join(texts)),
        }
    }
}

impl fmt::Display for PrimaryKey {
    /// As a document says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [name] => f.write_str(name),
            names => write!(f, "[{}]", names.join(", ")),
        }
    }
}

impl From<&str> for PrimaryKey {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<Vec<String>> for PrimaryKey {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

/// What a key field holds in a row, as far as an id says. In a table's order: whole numbers by value, everything else by bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPart {
    /// A whole number.
    Int(i64),
    /// The text of anything else.
    Text(String),
}

impl Catalog {
    /// The key fields, in order. Checking a catalog proves that there is at least one and that each exists.
    pub fn key_fields(&self) -> impl Iterator<Item = &CatalogField> + Clone {
        self.key.names().iter().filter_map(|name| self.field(name))
    }

    /// The fields that are not of the key.
    pub fn other_fields(&self) -> impl Iterator<Item = &CatalogField> + Clone {
        self.fields.iter().filter(|field| !self.key.contains(&field.name))
    }

    /// The fields that whoever inserts a row gives: all but a key that is made for it.
    pub fn given_fields(&self) -> impl Iterator<Item = &CatalogField> + Clone {
        let made = self.made_by != KeyMaker::Inserter;
        self.fields.iter().filter(move |field| !(made && self.key.contains(&field.name)))
    }

    /// What the key fields of the row with this id hold, in order; `None` if no row can have it.
    pub fn key_of(&self, id: &LocalId) -> Option<Vec<KeyPart>> {
        let part = |(text, field): (String, &CatalogField)| match field.ty {
            FieldType::Int => {
                let number: i64 = text.parse().ok()?;
                (number.to_string() == text).then_some(KeyPart::Int(number))
            }
            _ => Some(KeyPart::Text(text)),
        };
        self.key.texts(id)?.into_iter().zip(self.key_fields()).map(part).collect()
    }

    /// The id of a row with these fields.
    ///
    /// # Errors
    /// The name of a key field that has no value.
    pub fn id_of<'c>(&'c self, fields: &Record) -> Result<LocalId, &'c str> {
        let text = |name: &'c String| match fields.get(name) {
            None | Some(Value::Null) => Err(name.as_str()),
            Some(value) => Ok(value.to_text()),
        };
        let texts: Vec<String> = self.key.names().iter().map(text).collect::<Result<_, _>>()?;
        Ok(self.key.id(&texts))
    }

    /// The id of a row after some of its fields were set.
    pub fn id_after(&self, id: &LocalId, fields: &Record) -> LocalId {
        let Some(mut texts) = self.key.texts(id) else { return id.clone() };
        for (name, text) in self.key.names().iter().zip(&mut texts) {
            if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
                *text = value.to_text();
            }
        }
        self.key.id(&texts)
    }

    /// How an id of a row is written, for people.
    pub fn id_form(&self) -> String {
        self.key.names().join(SEPARATOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ident, Track};

    fn catalog(key: &[(&str, FieldType)]) -> Catalog {
        let field = |(name, ty): &(&str, FieldType)| CatalogField {
            name: (*name).to_owned(),
            column: Ident::new(*name).unwrap(),
            ty: ty.clone(),
            optional: false,
            reference: None,
            doc: None,
        };
        Catalog {
            name: "things".into(),
            schema: None,
            table: Ident::new("things").unwrap(),
            key: key.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>().into(),
            made_by: KeyMaker::Inserter,
            deleted_at: None,
            track: Track::Trigger,
            fields: key.iter().map(field).collect(),
        }
    }

    const ODD: [&str; 13] = [
        "",
        "/",
        "%",
        "a/b",
        "%2F",
        "%252F",
        "/%",
        "%25",
        "a%",
        "é\u{1F600}",
        "'\"\\",
        "a\0b",
        "\n\t [\"x\",1]",
    ];

    #[test]
    fn an_id_of_one_field_is_its_text() {
        let one = catalog(&[("code", FieldType::Text)]);
        for text in ODD {
            let fields = Record::from_iter([("code", Value::Text(text.into()))]);
            assert_eq!(one.id_of(&fields), Ok(LocalId::from(text)));
            assert_eq!(one.key_of(&text.into()), Some(vec![KeyPart::Text(text.into())]));
        }
        assert_eq!((one.key.to_string(), one.id_form()), ("code".into(), "code".into()));
    }

    #[test]
    fn an_id_of_several_fields_is_theirs_alone() {
        let two = catalog(&[("a", FieldType::Text), ("b", FieldType::Text)]);
        let mut met = std::collections::BTreeSet::new();
        for a in ODD {
            for b in ODD {
                let fields = Record::from_iter([("a", Value::Text(a.into())), ("b", Value::Text(b.into()))]);
                let id = two.id_of(&fields).unwrap();
                assert_eq!(
                    two.key_of(&id),
                    Some(vec![KeyPart::Text(a.into()), KeyPart::Text(b.into())]),
                    "{id}"
                );
                assert!(met.insert(id.0), "{a:?} {b:?}");
            }
        }
        assert_eq!((two.key.to_string(), two.id_form()), ("[a, b]".into(), "a/b".into()));
    }

    #[test]
    fn what_is_no_id_is_no_row() {
        let two = catalog(&[("tenant", FieldType::Int), ("code", FieldType::Text)]);
        let parts = vec![KeyPart::Int(-7), KeyPart::Text("x/y".into())];
        assert_eq!(two.key_of(&"-7/x%2Fy".into()), Some(parts));
        for id in ["", "7", "7/a/b", "7/a%", "7/%2f", "07/a", "x/a", "9223372036854775808/a"] {
            assert_eq!(two.key_of(&id.into()), None, "{id}");
        }
    }

    #[test]
    fn a_row_keeps_what_is_not_set_of_its_id() {
        let two = catalog(&[("tenant", FieldType::Int), ("code", FieldType::Text)]);
        let after = |fields: &[(&str, Value)]| {
            let fields = fields.iter().map(|(name, value)| (*name, value.clone())).collect();
            two.id_after(&"7/a%2Fb".into(), &fields).0
        };
        assert_eq!(after(&[]), "7/a%2Fb");
        assert_eq!(after(&[("tenant", Value::Int(8)), ("other", Value::Int(1))]), "8/a%2Fb");
        assert_eq!(after(&[("code", Value::Text("%".into()))]), "7/%25");
        assert_eq!(two.id_of(&Record::from_iter([("tenant", Value::Int(1))])), Err("code"));
    }
}
