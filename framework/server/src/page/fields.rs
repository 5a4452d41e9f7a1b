//! Forms for records: which input a field gets, and what a sent form changes. Each input goes along with the value it showed, so that
//! only what a person changed is written; what sync wrote meanwhile stays.

use crate::access::Fields;
use bothways_model::{Catalog, CatalogField, FieldType, LocalRow, Record, Value};
use serde_json::{Map, Value as Json};

/// One input.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) ty: String,
    /// What is in the input.
    pub(super) value: String,
    /// What the person was shown, which goes along with the form.
    pub(super) shown: String,
    pub(super) optional: bool,
    pub(super) doc: Option<String>,
    /// The choices of an `enum` or `bool`.
    pub(super) words: Vec<String>,
    /// Whether it needs more than a line.
    pub(super) long: bool,
    /// HTML's input type.
    pub(super) kind: &'static str,
    pub(super) placeholder: Option<&'static str>,
}

/// The inputs of a row's fields but the key, with their values; of a new row those that a person gives.
pub(super) fn inputs(catalog: &Catalog, row: Option<&LocalRow>) -> Vec<Input> {
    match row {
        Some(row) => catalog.other_fields().map(|f| input(f, row.fields.get(&f.name))).collect(),
        None => catalog.given_fields().map(|f| input(f, None)).collect(),
    }
}

/// The same with what a person typed, after a refusal. What they were shown stays with the form, so that what they typed still differs
/// from it, unless the refusal says how the fields are now (`told`). What they left alone is shown as it is now.
pub(super) fn refill(mut inputs: Vec<Input>, form: &Fields, told: bool) -> Vec<Input> {
    for input in &mut inputs {
        let (typed, was) = (sent(form, "field.", &input.name), sent(form, "was.", &input.name));
        let Some(typed) = typed.filter(|typed| was.as_ref() != Some(typed)) else { continue };
        input.value = typed;
        if let Some(was) = was.filter(|_| !told) {
            input.shown = was;
        }
    }
    inputs
}

/// A value as an input shows it.
fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::Json(json)) => serde_json::to_string_pretty(json).unwrap_or_default(),
        Some(value) => value.to_text(),
        None => String::new(),
    }
}

fn input(field: &CatalogField, value: Option<&Value>) -> Input {
    let value = shown(value);
    let words = match &field.ty {
        FieldType::Enum(words) => words.clone(),
        FieldType::Bool => vec!["false".into(), "true".into()],
        _ => Vec::new(),
    };
    let (kind, placeholder) = match field.ty {
        FieldType::Date => ("date", None),
        FieldType::Timestamp => ("text", Some("2026-01-31T12:00:00Z")),
        FieldType::Int => ("text", Some("a whole number")),
        FieldType::Decimal { .. } => ("text", Some("a number such as 12.50")),
        FieldType::Uuid => ("text", Some("a UUID")),
        _ => ("text", None),
    };
    // A one-line input would drop line breaks from what it shows.
    let long = matches!(field.ty, FieldType::Json | FieldType::List(_))
        || value.contains(['\n', '\r'])
        || value.len() > 100;
    Input {
        name: field.name.clone(),
        ty: field.ty.to_string(),
        shown: value.clone(),
        value,
        optional: field.optional,
        doc: field.doc.clone(),
        words,
        long,
        kind,
        placeholder,
    }
}

fn sent(form: &Fields, prefix: &str, name: &str) -> Option<String> {
    let found = form.0.iter().find(|(key, _)| key.strip_prefix(prefix) == Some(name))?;
    // Forms send line breaks as CR LF, whatever the value held.
    Some(plain_breaks(&found.1))
}

fn plain_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// What a sent form sets in a row. Without the values it showed, every field that is not empty.
///
/// # Errors
/// A field that should hold JSON does not; the text says which.
pub(super) fn changes(catalog: &Catalog, form: &Fields) -> Result<Map<String, Json>, String> {
    set(catalog.other_fields(), form)
}

/// What a sent form gives a new row.
///
/// # Errors
/// As for [`changes`].
pub(super) fn given(catalog: &Catalog, form: &Fields) -> Result<Map<String, Json>, String> {
    set(catalog.given_fields(), form)
}

fn set<'c>(
    fields: impl Iterator<Item = &'c CatalogField>,
    form: &Fields,
) -> Result<Map<String, Json>, String> {
    let mut changed = Map::new();
    for field in fields {
        let Some(now) = sent(form, "field.", &field.name) else { continue };
        match sent(form, "was.", &field.name) {
            Some(was) if was == now => continue,
            None if now.is_empty() => continue,
            _ => {}
        }
        changed.insert(field.name.clone(), typed(field, now)?);
    }
    Ok(changed)
}

/// A field that somebody else changed since the form was shown.
pub(super) struct Moved {
    pub(super) name: String,
    /// What it holds now, as an input shows it.
    pub(super) now: String,
}

/// Holds a form's changes against the row as it is: what the row has to hold still for them to be made. What it holds already need not be
/// set; it is taken out of `changed`.
///
/// # Errors
/// The fields that hold something else than the person was shown.
pub(super) fn expected(
    form: &Fields,
    row: &LocalRow,
    changed: &mut Map<String, Json>,
) -> Result<Record, Vec<Moved>> {
    let (mut expected, mut moved) = (Record::new(), Vec::new());
    changed.retain(|name, _| {
        let Some(was) = sent(form, "was.", name) else { return true };
        let value = row.fields.get(name);
        let now = shown(value);
        if plain_breaks(&now) == was {
            expected.set(name.clone(), value.cloned().unwrap_or(Value::Null));
        } else if sent(form, "field.", name) == Some(plain_breaks(&now)) {
            return false;
        } else {
            moved.push(Moved { name: name.clone(), now });
        }
        true
    });
    if moved.is_empty() { Ok(expected) } else { Err(moved) }
}

/// What a person typed, as plain JSON. An empty input empties the field; only a text that may not be null becomes the empty text.
pub(super) fn typed(field: &CatalogField, text: String) -> Result<Json, String> {
    Ok(match &field.ty {
        FieldType::Text if text.is_empty() && !field.optional => Json::String(text),
        _ if text.is_empty() => Json::Null,
        FieldType::Json => {
            serde_json::from_str(&text).map_err(|error| format!("`{}` is no JSON: {error}", field.name))?
        }
        _ => Json::String(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::{Ident, KeyMaker, Track};
    use serde_json::json;

    fn field(name: &str, ty: FieldType, optional: bool) -> CatalogField {
        CatalogField {
            name: name.into(),
            column: Ident::new(name).unwrap(),
            ty,
            optional,
            reference: None,
            doc: None,
        }
    }

    fn catalog() -> Catalog {
        Catalog {
            name: "things".into(),
            schema: None,
            table: Ident::new("things").unwrap(),
            key: "id".into(),
            made_by: KeyMaker::Database,
            deleted_at: None,
            track: Track::Trigger,
            fields: vec![
                field("id", FieldType::Int, false),
                field("name", FieldType::Text, false),
                field("note", FieldType::Text, true),
                field("count", FieldType::Int, true),
                field("more", FieldType::Json, true),
            ],
        }
    }

    fn form(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn only_what_was_changed_is_written() {
        let form = form(&[
            ("was.name", "Ada"),
            ("field.name", "Ada"),
            ("was.note", "two\r\nlines"),
            ("field.note", "two\r\nlines"),
            ("was.count", "1"),
            ("field.count", "2"),
        ]);
        assert_eq!(Json::Object(changes(&catalog(), &form).unwrap()), json!({ "count": "2" }));
    }

    #[test]
    fn an_emptied_input_is_null_unless_the_field_must_hold_text() {
        let form = form(&[
            ("was.name", "Ada"),
            ("field.name", ""),
            ("was.note", "x"),
            ("field.note", ""),
            ("was.count", "1"),
            ("field.count", ""),
        ]);
        let expected = json!({ "name": "", "note": null, "count": null });
        assert_eq!(Json::Object(changes(&catalog(), &form).unwrap()), expected);
    }

    #[test]
    fn a_new_record_leaves_empty_inputs_out_and_never_sets_the_key() {
        let form = form(&[
            ("field.id", "7"),
            ("field.name", "Ada"),
            ("field.note", ""),
            ("field.more", "{\"a\": 1}"),
        ]);
        let expected = json!({ "name": "Ada", "more": { "a": 1 } });
        assert_eq!(Json::Object(changes(&catalog(), &form).unwrap()), expected);
        assert_eq!(Json::Object(given(&catalog(), &form).unwrap()), expected);
    }

    #[test]
    fn a_key_that_comes_with_the_row_is_given_once() {
        let catalog = Catalog { made_by: KeyMaker::Inserter, ..catalog() };
        let form = form(&[("field.id", "7"), ("field.name", "Ada")]);
        let (new, changed) = (given(&catalog, &form).unwrap(), changes(&catalog, &form).unwrap());
        assert_eq!((new.get("id"), changed.get("id")), (Some(&json!("7")), None));
        let row = LocalRow { id: "7".into(), fields: Record::new(), deleted_at: None };
        let offered = |row| inputs(&catalog, row).iter().any(|input| input.name == "id");
        assert_eq!((offered(None), offered(Some(&row))), (true, false));
    }

    #[test]
    fn text_that_is_no_json_is_refused_by_name() {
        let refusal = changes(&catalog(), &form(&[("field.more", "{")])).unwrap_err();
        assert!(refusal.starts_with("`more` is no JSON"), "{refusal}");
    }

    #[test]
    fn values_of_several_lines_get_room_for_them() {
        let row = LocalRow {
            id: "1".into(),
            fields: [("name", Value::Text("a".into())), ("note", Value::Text("a\nb".into()))]
                .into_iter()
                .collect(),
            deleted_at: None,
        };
        let inputs = inputs(&catalog(), Some(&row));
        let long: Vec<(&str, bool)> = inputs.iter().map(|i| (i.name.as_str(), i.long)).collect();
        assert_eq!(long, [("name", false), ("note", true), ("count", false), ("more", true)]);
    }
}
