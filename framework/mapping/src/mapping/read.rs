//! Records of both sides, field by field.
//!
//! Records here are keyed by *label*, so that both sides can be compared; [`Mapping::to_row`] turns labels into local names.

use super::{Field, Mapping};
use crate::lens::{Refusal, RefusalKind};
use bothways_model::planted::{self, Bug};
use bothways_model::{Record, Segment, SingularPath, Value};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// What was read from one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Label to value, normalised; an absent field is missing.
    pub record: Record,
    /// Labels of fields whose value was refused, with the reason.
    pub refusals: Vec<(String, Refusal)>,
}

impl Mapping {
    /// Reads the mapped fields of a remote record. A field that is refused does not keep others from being read. Absent fields
    /// are missing, but null below a sparse path, and where something on the way to them is null. Ask `gone` first.
    pub fn read_remote(&self, body: &Json) -> Reading {
        let mut reading = Reading::default();
        for field in &self.fields {
            match self.read_field(field, body) {
                Ok(Some(value)) => reading.record.set(&field.label, value),
                Ok(None) => {}
                Err(refusal) => reading.refusals.push((field.label.clone(), refusal)),
            }
        }
        reading
    }

    /// Reads one field of a remote record.
    pub fn read_field(&self, field: &Field, body: &Json) -> Result<Option<Value>, Refusal> {
        let wire = self.wire(field, body);
        let value = field.lens.inward(wire.as_deref(), body)?;
        Ok(value.map(|value| match (&field.default, value) {
            (Some(default), Value::Null) => default.clone(),
            (_, value) => field.normalize.apply(&value),
        }))
    }

    /// The node of a field. A plural path gives its first node, or all of them as a list if the local field is one.
    fn wire<'a>(&self, field: &Field, body: &'a Json) -> Option<Cow<'a, Json>> {
        if let Some(path) = field.read.singular() {
            return self.locate(path, body).map(Cow::Borrowed);
        }
        if field.read.is_plural() && matches!(field.ty(), bothways_model::FieldType::List(_)) {
            // An empty list is known only where what the path looks into is there.
            return match self.locate(&field.read.anchor(), body)? {
                Json::Null => Some(Cow::Owned(Json::Null)),
                _ => Some(Cow::Owned(Json::Array(field.read.select(body).into_iter().cloned().collect()))),
            };
        }
        field.read.first(body).map(Cow::Borrowed)
    }

    /// The node at `path`: null below a sparse path and below null, `None` where it is absent.
    fn locate<'a>(&self, path: &SingularPath, body: &'a Json) -> Option<&'a Json> {
        static NULL: Json = Json::Null;
        let mut node = body;
        for segment in &path.0 {
            node = match (segment, node) {
                (_, Json::Null) => return Some(&NULL),
                (Segment::Name(name), Json::Object(members)) => match members.get(name) {
                    Some(next) => next,
                    None => return self.is_sparse(path, body).then_some(&NULL),
                },
                (Segment::Index(index), Json::Array(items)) => items.get(*index)?,
                // The list is shown, so an element that is not in it is known not to be there.
                (Segment::Element { .. }, Json::Array(items)) => match segment.position(items) {
                    Some(at) => items.get(at)?,
                    None => return Some(&NULL),
                },
                _ => return None,
            };
        }
        Some(node)
    }

    /// Whether an absent node at `path` means null: it is below a sparse path, and that path itself is there.
    fn is_sparse(&self, path: &SingularPath, body: &Json) -> bool {
        let sparse = self.resource().map(|r| r.sparse.as_slice()).unwrap_or_default();
        sparse.iter().any(|s| path != s && path.starts_with(s) && s.get(body).is_some())
    }

    /// The mapped fields of a row, by label, normalised. `row` is keyed by local name.
    pub fn read_local(&self, row: &Record) -> Record {
        self.fields
            .iter()
            .filter_map(|field| {
                let value = row.get(field.local_name())?;
                Some((field.label.clone(), field.normalize.apply(value)))
            })
            .collect()
    }

    /// A record by label as local fields, for those fields that come in.
    pub fn to_row(&self, by_label: &Record) -> Record {
        self.fields
            .iter()
            .filter(|field| field.direction.comes_in())
            .filter_map(|field| Some((field.local_name().to_owned(), by_label.get(&field.label)?.clone())))
            .collect()
    }

    /// What `field` of `row` (keyed by local name) is on the wire: normalised, then through the lens.
    pub fn image(&self, field: &Field, row: &Record) -> Result<Json, Refusal> {
        let value = row.get(field.local_name()).unwrap_or(&Value::Null);
        field.check_required(value)?;
        field.lens.out(&field.normalize.apply(value), row)
    }

    /// The body that creates a remote record for `row`: every field that goes out, then the constants. Null fields are left
    /// out, a new record has nothing to clear. Fails with every field that is refused.
    pub fn new_remote(&self, row: &Record) -> Result<Json, Vec<(String, Refusal)>> {
        let mut body = Json::Object(Map::new());
        let mut refusals = Vec::new();
        for field in self.fields.iter().filter(|f| f.direction.goes_out()) {
            let Some(path) = &field.write else { continue };
            match self.image(field, row) {
                Ok(Json::Null) => {}
                Ok(json) => {
                    if let Err(error) = path.set(&mut body, json) {
                        refusals.push((field.label.clone(), Refusal::new(RefusalKind::Form, error.reason)));
                    }
                }
                Err(refusal) => refusals.push((field.label.clone(), refusal)),
            }
        }
        for (path, constant) in &self.on_create.remote {
            if let Err(error) = path.set(&mut body, constant.clone()) {
                refusals.push((path.to_string(), Refusal::new(RefusalKind::Form, error.reason)));
            }
        }
        if refusals.is_empty() { Ok(body) } else { Err(refusals) }
    }

    /// The normalised match values of a record by label as one key; `None` if the mapping matches by nothing, or if any value
    /// is absent, null or blank (rule 27). Two records have one key only if each value is equal.
    pub fn match_key(&self, by_label: &Record) -> Option<String> {
        if self.identity.matching.is_empty() {
            return None;
        }
        let texts = self.identity.matching.iter().map(|label| {
            let value = self.field(label)?.normalize.apply(by_label.get(label)?);
            (!value.is_blank() || planted::is(Bug::BlanksMatch)).then(|| Json::String(plain_text(&value)))
        });
        texts.collect::<Option<Vec<_>>>().map(|texts| Json::Array(texts).to_string())
    }

    /// Equal once both are made alike.
    pub fn same(&self, field: &Field, a: &Value, b: &Value) -> bool {
        field.same(a, b)
    }

    /// Whether a remote record takes part.
    pub fn remote_in_scope(&self, body: &Json) -> bool {
        self.only.remote.as_ref().is_none_or(|filter| filter.matches(body))
    }

    /// What `only` asks of a record and this one does not show, where it is not in scope by what it shows: nobody knows then whether
    /// it takes part, since absent is unknown.
    pub fn scope_is_open(&self, body: &Json) -> Option<SingularPath> {
        let filter = self.only.remote.as_ref().filter(|filter| !filter.matches(body))?;
        filter.open_at(body, &|path| self.locate(path, body).is_some())
    }

    /// Whether a row (keyed by local name) takes part.
    pub fn local_in_scope(&self, row: &Record) -> bool {
        self.only.local.iter().all(|(field, value)| row.get(field) == Some(value))
    }

    /// The stamp that a remote record carries.
    pub fn stamp_of<'a>(&self, body: &'a Json) -> Option<&'a str> {
        self.identity.stamp.as_ref()?.get(body)?.as_str()
    }
}

/// Text in which equal values are written equally: 1.0 and 1.00 are one decimal.
fn plain_text(value: &Value) -> String {
    match value {
        Value::Decimal(d) => d.normalize().to_string(),
        other => other.to_text(),
    }
}
