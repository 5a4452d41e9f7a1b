//! Catalog documents.

use super::{Cx, sub, words};
use crate::doc::{CatalogDoc, FieldDoc, FieldLong, KeyDoc, Name, TypeWord};
use crate::finding::Code;
use bothways_model::{Catalog, CatalogField, FieldType, Ident, KeyMaker, PrimaryKey, Track};
use std::collections::BTreeMap;

/// The key of each catalog, by the catalog's name: what references need.
pub(crate) type KeyTypes = BTreeMap<String, KeyType>;

/// What a reference to a catalog would hold.
pub(crate) enum KeyType {
    /// A value of this type.
    One(FieldType),
    /// A value for each of these fields.
    Several(Vec<String>),
    /// Nothing: the key is a reference itself, or not said rightly.
    Unsaid,
}

/// The type of the key that a document names.
pub(crate) fn key_type(doc: &CatalogDoc) -> KeyType {
    let name = match &doc.key {
        KeyDoc::Field(name) => name,
        KeyDoc::Fields(names) => return KeyType::Several(names.iter().map(|name| name.0.clone()).collect()),
        KeyDoc::Long(long) => &long.field,
    };
    let word = match doc.fields.get(name.as_str()) {
        Some(FieldDoc::Short(word)) => TypeWord::ALL.into_iter().find(|known| known.as_str() == word.0),
        Some(FieldDoc::Long(long)) => long.ty,
        None => None,
    };
    word.map_or(KeyType::Unsaid, |word| KeyType::One(simple(word)))
}

/// Digits after the point where a catalog gives no number: as many as there can be.
const ANY_SCALE: u32 = 28;

/// A catalog, and what is wrong with its document; `None` if a name in it cannot be passed to a database.
pub(crate) fn catalog(cx: &mut Cx<'_>, doc: &CatalogDoc, keys: &KeyTypes) -> Option<Catalog> {
    cx.name("/catalog", doc.catalog.as_str());
    let (schema, table) = match doc.table.0.split_once('.') {
        Some((schema, table)) => (Some(ident(cx, "/table", schema)), ident(cx, "/table", table)),
        None => (None, ident(cx, "/table", &doc.table.0)),
    };
    let deleted_at = doc.deleted_at.as_ref().map(|column| ident(cx, "/deleted_at", &column.0));
    let fields: Vec<_> = doc.fields.iter().map(|(name, doc)| field(cx, name, doc, keys)).collect();
    if fields.is_empty() {
        cx.error(Code::Y103, "/fields", "a catalog has at least its key field");
    }
    check_columns(cx, &fields);
    let key = key(cx, doc, &fields);
    let (key, made_by) = key?;
    Some(Catalog {
        name: doc.catalog.0.clone(),
        schema: schema.map_or(Some(None), |s| s.map(Some))?,
        table: table?,
        key,
        made_by,
        deleted_at: deleted_at.map_or(Some(None), |d| d.map(Some))?,
        track: doc.track.map_or(Track::Trigger, words::track),
        fields: fields.into_iter().collect::<Option<_>>()?,
    })
}

fn ident(cx: &mut Cx<'_>, pointer: &str, text: &str) -> Option<Ident> {
    match Ident::new(text) {
        Ok(ident) => Some(ident),
        Err(_) => {
            cx.error(
                Code::Y108,
                pointer,
                format!("`{text}` is not a name that Bothways passes to a database"),
            )
            .within(text)
            .help("use letters, digits and `_`, not starting with a digit, at most 63 characters");
            None
        }
    }
}

fn field(cx: &mut Cx<'_>, name: &str, doc: &FieldDoc, keys: &KeyTypes) -> Option<CatalogField> {
    let pointer = sub("/fields", name);
    let before = cx.count();
    cx.key_name(&pointer, name);
    let named = cx.count() == before;
    let (ty, optional, column, note) = match doc {
        FieldDoc::Short(word) => {
            let (word, optional) = match word.0.strip_suffix('?') {
                Some(word) => (word, true),
                None => (word.0.as_str(), false),
            };
            let known = TypeWord::ALL.into_iter().find(|t| t.as_str() == word);
            if known.is_none() {
                cx.error(Code::Y105, &pointer, format!("`{word}` is not a type"))
                    .did_you_mean(word, TypeWord::ALL.iter().map(|t| t.as_str()));
            }
            (known.map(simple), optional, None, None)
        }
        FieldDoc::Long(long) => {
            let note = long.doc.as_ref().map(|d| d.0.clone());
            (long_type(cx, &pointer, long, keys), long.optional.unwrap_or(false), long.column.as_ref(), note)
        }
    };
    let column = match column {
        Some(column) => ident(cx, &sub(&pointer, "column"), &column.0),
        None => Ident::new(name).ok().or_else(|| {
            if !named {
                return None;
            }
            cx.key_error(Code::Y108, &pointer, format!("`{name}` cannot be a column's name"))
                .help("name the column with `column: …`");
            None
        }),
    };
    let reference = match doc {
        FieldDoc::Long(long) => long.reference.as_ref().map(|catalog| catalog.0.clone()),
        FieldDoc::Short(_) => None,
    };
    Some(CatalogField { name: name.to_owned(), column: column?, ty: ty?, optional, reference, doc: note })
}

fn simple(word: TypeWord) -> FieldType {
    match word {
        TypeWord::Text => FieldType::Text,
        TypeWord::Int => FieldType::Int,
        TypeWord::Decimal => FieldType::Decimal { scale: ANY_SCALE },
        TypeWord::Bool => FieldType::Bool,
        TypeWord::Timestamp => FieldType::Timestamp,
        TypeWord::Date => FieldType::Date,
        TypeWord::Uuid => FieldType::Uuid,
        TypeWord::Json => FieldType::Json,
    }
}

fn long_type(cx: &mut Cx<'_>, pointer: &str, doc: &FieldLong, keys: &KeyTypes) -> Option<FieldType> {
    let others = doc.ty.is_some() || doc.words.is_some() || doc.decimal.is_some() || doc.list.is_some();
    if let Some(reference) = doc.reference.as_ref().filter(|_| !others) {
        return referred(cx, &sub(pointer, "ref"), reference.as_str(), keys);
    }
    if doc.reference.is_some() {
        return one_of_them(cx, pointer);
    }
    match (doc.ty, &doc.words, doc.decimal, doc.list) {
        (Some(word), None, None, None) => Some(simple(word)),
        (None, None, None, Some(word)) => Some(FieldType::List(Box::new(simple(word)))),
        (None, None, Some(scale), None) if scale <= ANY_SCALE => Some(FieldType::Decimal { scale }),
        (None, None, Some(_), None) => {
            cx.error(
                Code::Y108,
                &sub(pointer, "decimal"),
                format!("at most {ANY_SCALE} digits after the point"),
            );
            None
        }
        (None, Some(words), None, None) => {
            let words: Vec<String> = words.iter().map(|w| w.0.clone()).collect();
            for (index, word) in words.iter().enumerate() {
                if words.iter().take(index).any(|w| w == word) {
                    let pointer = sub(&sub(pointer, "enum"), &index.to_string());
                    cx.error(Code::Y108, &pointer, format!("the word `{word}` is here twice"));
                }
            }
            if words.is_empty() {
                cx.error(Code::Y108, &sub(pointer, "enum"), "an enum has at least one word");
            }
            Some(FieldType::Enum(words))
        }
        _ => one_of_them(cx, pointer),
    }
}

fn one_of_them(cx: &mut Cx<'_>, pointer: &str) -> Option<FieldType> {
    cx.error(Code::Y107, pointer, "a field has exactly one of `type`, `ref`, `enum`, `decimal` and `list`")
        .help("for example `{ type: text, optional: true }`");
    None
}

/// The type of a reference: that of the key it refers to.
fn referred(cx: &mut Cx<'_>, pointer: &str, catalog: &str, keys: &KeyTypes) -> Option<FieldType> {
    match keys.get(catalog) {
        Some(KeyType::One(ty)) => Some(ty.clone()),
        Some(KeyType::Several(names)) => {
            cx.error(
                Code::M401,
                pointer,
                format!(
                    "the key of catalog `{catalog}` is {} together, and a reference is one field",
                    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
                ),
            )
            .help(format!(
                "if a column of `{catalog}` is unique by itself, make that its `key`; else give the field its plain type, and it travels as it is"
            ));
            None
        }
        Some(KeyType::Unsaid) => {
            cx.error(
                Code::M203,
                pointer,
                format!("the key of catalog `{catalog}` has no type that can be referred to"),
            )
            .help("a key is an `int`, a `text` or a `uuid`");
            None
        }
        None => {
            cx.error(Code::M101, pointer, format!("there is no catalog `{catalog}`"))
                .did_you_mean(catalog, keys.keys().map(String::as_str));
            None
        }
    }
}

fn check_columns(cx: &mut Cx<'_>, fields: &[Option<CatalogField>]) {
    let known: Vec<&CatalogField> = fields.iter().flatten().collect();
    for (index, field) in known.iter().enumerate() {
        let column = field.column.as_str().to_lowercase();
        if let Some(other) = known.iter().take(index).find(|f| f.column.as_str().to_lowercase() == column) {
            let message = format!("`{}` and `{}` are the same column", other.name, field.name);
            cx.key_error(Code::M402, &sub("/fields", &field.name), message).help("a column is one field");
        }
    }
}

fn key(cx: &mut Cx<'_>, doc: &CatalogDoc, fields: &[Option<CatalogField>]) -> Option<(PrimaryKey, KeyMaker)> {
    let (pointer, name, made_by) = match &doc.key {
        KeyDoc::Field(name) => ("/key", name.as_str(), KeyMaker::Database),
        KeyDoc::Long(long) => {
            ("/key/field", long.field.as_str(), long.made_by.map_or(KeyMaker::Database, words::key_maker))
        }
        KeyDoc::Fields(names) => return Some((composite(cx, doc, names, fields)?, KeyMaker::Inserter)),
    };
    key_field(cx, doc, pointer, name, made_by, fields)?;
    Some((name.into(), made_by))
}

/// A key of several fields.
fn composite(
    cx: &mut Cx<'_>,
    doc: &CatalogDoc,
    names: &[Name],
    fields: &[Option<CatalogField>],
) -> Option<PrimaryKey> {
    if names.len() < 2 {
        cx.error(Code::Y108, "/key", "a list of key fields has at least two")
            .help("write a key of one field without the brackets: `key: id`");
        return None;
    }
    let mut known = true;
    for (index, name) in names.iter().enumerate() {
        let pointer = sub("/key", &index.to_string());
        if names.iter().take(index).any(|earlier| earlier == name) {
            cx.error(Code::Y108, &pointer, format!("the field `{}` is here twice", name.as_str()));
        }
        known &= key_field(cx, doc, &pointer, name.as_str(), KeyMaker::Inserter, fields).is_some();
    }
    known.then(|| names.iter().map(|name| name.0.clone()).collect::<Vec<_>>().into())
}

/// Checks a field that is the key or a part of it; `None` if there is no such field.
fn key_field(
    cx: &mut Cx<'_>,
    doc: &CatalogDoc,
    pointer: &str,
    name: &str,
    made_by: KeyMaker,
    fields: &[Option<CatalogField>],
) -> Option<()> {
    if doc.fields.get(name).is_none() {
        cx.error(Code::M101, pointer, format!("there is no field `{name}`"))
            .did_you_mean(name, doc.fields.keys());
        return None;
    }
    let field = fields.iter().flatten().find(|f| f.name == name)?;
    let field_pointer = sub("/fields", name);
    if field.optional {
        cx.error(Code::M501, &field_pointer, "the key cannot be optional").help("remove the `?`");
    }
    match (&field.ty, made_by) {
        (FieldType::Text | FieldType::Uuid, _) => {}
        (FieldType::Int, KeyMaker::Database | KeyMaker::Inserter) => {}
        (_, KeyMaker::Engine) => {
            cx.error(Code::M203, &field_pointer, "a key that the engine makes is a UUID")
                .help("make the field `uuid` or `text`");
        }
        _ => {
            cx.error(Code::M203, &field_pointer, format!("a key cannot be of type `{}`", field.ty))
                .help("a key is an int, a text or a uuid");
        }
    }
    Some(())
}
