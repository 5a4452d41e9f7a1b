//! Requests from the calls of a document: paths, queries, headers and bodies with their placeholders filled.

use crate::core::Core;
use crate::{form, percent};
use bothways_connector::{FieldWrites, Params};
use bothways_mapping::connector::{BodyFormat, Call, CursorPlace, Escape, KeyPlace, NullAs};
use bothways_mapping::template::{Part, Slot, Template, flat};
use bothways_model::{ErrorClass, Failure, Request, Segment, SingularPath};
use serde_json::Value as Json;

/// What the placeholders of a call stand for. A call's checked document asks for nothing else.
#[derive(Clone, Copy, Default)]
pub(crate) struct Slots<'a> {
    pub(crate) id: Option<&'a str>,
    /// The values that make the id, where they are several.
    pub(crate) id_parts: &'a [String],
    pub(crate) key: Option<&'a str>,
    pub(crate) stamp: Option<&'a str>,
    pub(crate) value: Option<&'a str>,
    pub(crate) since: Option<&'a Json>,
    /// Which record the page begins with.
    pub(crate) offset: Option<u64>,
    pub(crate) fields: &'a [String],
    pub(crate) event_types: &'a [String],
    pub(crate) params: Option<&'a Params>,
    /// The query language of the call.
    pub(crate) escape: Option<Escape>,
}

impl Slots<'_> {
    fn fill(&self, slot: &Slot) -> Result<Json, Failure> {
        let text = |known: Option<&str>| known.map(Json::from);
        let known = match slot {
            Slot::Id => text(self.id),
            Slot::IdPart(part) => {
                let part = usize::from(*part).checked_sub(1).and_then(|at| self.id_parts.get(at));
                text(part.map(String::as_str))
            }
            Slot::Key => text(self.key),
            Slot::Stamp => text(self.stamp),
            Slot::Value => match (self.value, self.escape) {
                (Some(value), Some(language)) => {
                    let unsure = || invalid("the value cannot be written in the service's query language");
                    Some(Json::from(language.literal(value).ok_or_else(unsure)?))
                }
                (value, _) => text(value),
            },
            Slot::Since => self.since.cloned(),
            Slot::Offset => self.offset.map(Json::from),
            Slot::Fields => Some(Json::from(self.fields)),
            Slot::EventTypes => Some(Json::from(self.event_types)),
            Slot::Param(name) => text(self.params.and_then(|p| p.get(name)).map(String::as_str)),
            Slot::Timestamp | Slot::Signature | Slot::Body | Slot::Token => None,
        };
        known.ok_or_else(|| invalid(format!("the call has nothing to fill `{{{}}}` with", slot.name())))
    }

    fn text(&self, template: &Template) -> Result<String, Failure> {
        template.render(|slot| self.fill(slot).map(|value| flat(&value)))
    }
}

/// A request under construction.
pub(crate) struct Draft<'a> {
    core: &'a Core,
    call: &'a Call,
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    json: Option<Json>,
    form: Option<String>,
}

impl<'a> Draft<'a> {
    /// The call with its placeholders filled.
    ///
    /// # Errors
    /// Class `invalid` if a placeholder has no value, or one that would lead to another path.
    pub(crate) fn new(core: &'a Core, call: &'a Call, slots: &Slots<'_>) -> Result<Self, Failure> {
        let mut url = core.resolved.base_url.clone();
        // A path is encoded, and no query language.
        push_path(&mut url, &call.path, slots)?;
        let slots = &Slots { escape: call.escape, ..*slots };
        let mut query = Vec::with_capacity(call.query.len() + 2);
        for (name, template) in &call.query {
            match template.only_slot().map(|slot| slots.fill(slot)).transpose()? {
                Some(Json::Array(items)) if name.ends_with("[]") => {
                    query.extend(items.iter().map(|item| (name.clone(), flat(item))));
                }
                Some(value) => query.push((name.clone(), flat(&value))),
                None => query.push((name.clone(), slots.text(template)?)),
            }
        }
        let mut headers = core.plain_headers().to_vec();
        for (name, template) in &call.headers {
            set(&mut headers, &name.to_ascii_lowercase(), slots.text(template)?);
        }
        let json = call.json.as_ref().map(|json| json.render(&mut |slot| slots.fill(slot))).transpose()?;
        Ok(Self { core, call, url, query, headers, json, form: None })
    }

    /// Sets a query parameter, whatever the document says of it.
    pub(crate) fn query(&mut self, name: &str, value: String) {
        set(&mut self.query, name, value);
    }

    /// Puts a page cursor where the service wants it.
    ///
    /// # Errors
    /// Class `invalid` if the JSON body has no such place.
    pub(crate) fn cursor(&mut self, place: &CursorPlace, value: &Json) -> Result<(), Failure> {
        match place {
            CursorPlace::Query(name) => self.query(name, flat(value)),
            CursorPlace::Header(name) => set(&mut self.headers, &name.to_ascii_lowercase(), flat(value)),
            CursorPlace::Json(path) => {
                let body = self.json.get_or_insert_with(|| Json::Object(serde_json::Map::new()));
                path.set(body, value.clone()).map_err(|e| invalid(e.to_string()))?;
            }
            // It was filled in with the other placeholders.
            CursorPlace::Text => {}
        }
        Ok(())
    }

    /// Goes to a URL that the service named; it holds its own query.
    pub(crate) fn go_to(&mut self, url: String) {
        self.url = url;
        self.query.clear();
    }

    /// Adds the key that makes a write idempotent.
    pub(crate) fn idempotent(&mut self, key: &str) {
        match self.core.spec().http.idempotency.as_ref().map(|idempotency| &idempotency.place) {
            Some(KeyPlace::Header(name)) => self.header(&name.to_ascii_lowercase(), key.to_owned()),
            Some(KeyPlace::Query(name)) => self.query(name, key.to_owned()),
            None => {}
        }
    }

    /// Sets a header.
    pub(crate) fn header(&mut self, name: &str, value: String) {
        set(&mut self.headers, name, value);
    }

    /// Writes fields into the record at `wrap` of the body. That record begins as `base`: all of it as it was read, or the lists in which
    /// single elements are written.
    ///
    /// # Errors
    /// Class `invalid`, naming the path, if a value cannot be put on this wire.
    pub(crate) fn write(
        &mut self,
        fields: &FieldWrites,
        wrap: &SingularPath,
        base: Option<Json>,
    ) -> Result<(), Failure> {
        let http = &self.core.spec().http;
        if http.body == BodyFormat::Form && self.call.json.is_none() {
            let null_as = if let NullAs::Text(text) = &http.null_as { Some(text.as_str()) } else { None };
            let wrapped = |path: &SingularPath| SingularPath(wrap.0.iter().chain(&path.0).cloned().collect());
            let fields = fields.iter().map(|(path, value)| (wrapped(path), value.clone())).collect();
            self.form = Some(form::encode(&fields, null_as)?);
            return Ok(());
        }
        let record = below(self.json.get_or_insert(Json::Null), wrap)?;
        if let Some(base) = base {
            let constants = std::mem::replace(record, base);
            let record =
                record.as_object_mut().ok_or_else(|| invalid("the record that was read is no object"))?;
            for (name, value) in constants.as_object().into_iter().flatten() {
                record.insert(name.clone(), value.clone());
            }
        }
        for (path, value) in fields {
            let value = match (value, &http.null_as) {
                (Json::Null, NullAs::Text(text)) => Json::from(text.as_str()),
                (Json::Null, NullAs::Refused) => {
                    return Err(invalid(format!(
                        "{path} cannot be cleared: the service has no spelling for null"
                    )));
                }
                (value, _) => value.clone(),
            };
            path.set(record, value).map_err(|e| invalid(e.to_string()))?;
        }
        Ok(())
    }

    /// The request, without credentials.
    pub(crate) fn finish(self) -> Request {
        let mut request = Request::new(self.call.method, self.url);
        request.headers = self.headers;
        for (name, value) in &self.query {
            percent::push_query(&mut request.url, name, value);
        }
        let body = match (self.form, self.json) {
            (Some(form), _) if form.is_empty() => None,
            (Some(form), _) => Some((form, form::CONTENT_TYPE)),
            (None, Some(json)) => Some((json.to_string(), "application/json")),
            (None, None) => None,
        };
        if let Some((body, kind)) = body {
            set(&mut request.headers, "content-type", kind.to_owned());
            request.body = body.into_bytes();
        }
        request
    }
}

/// The object at `wrap` of a body, made where it is not there.
fn below<'j>(body: &'j mut Json, wrap: &SingularPath) -> Result<&'j mut Json, Failure> {
    let mut node = body;
    for segment in &wrap.0 {
        if node.is_null() {
            *node = match segment {
                Segment::Name(_) => Json::Object(serde_json::Map::new()),
                _ => Json::Array(vec![Json::Null]),
            };
        }
        let next = match segment {
            Segment::Name(name) => {
                node.as_object_mut().map(|members| members.entry(name.clone()).or_insert(Json::Null))
            }
            segment => node.as_array_mut().and_then(|items| {
                let at = segment.position(items)?;
                items.get_mut(at)
            }),
        };
        node =
            next.ok_or_else(|| invalid(format!("the call's `json` has no place for a record at {wrap}")))?;
    }
    if node.is_null() {
        *node = Json::Object(serde_json::Map::new());
    }
    match node.is_object() {
        true => Ok(node),
        false => Err(invalid(format!("the call's `json` has no place for a record at {wrap}"))),
    }
}

/// Appends a path. A segment that holds a placeholder must stay the one segment it is.
fn push_path(url: &mut String, path: &Template, slots: &Slots<'_>) -> Result<(), Failure> {
    let mut segment = String::new();
    let mut filled = false;
    let check = |segment: &str, filled: bool| match filled && !percent::is_plain_segment(segment) {
        true => Err(invalid("the value leads to another path than the call's")),
        false => Ok(()),
    };
    for part in &path.0 {
        match part {
            Part::Slot(slot) => {
                percent::push_value(&mut segment, &flat(&slots.fill(slot)?));
                filled = true;
            }
            Part::Text(text) | Part::Var(text) => {
                for (at, piece) in text.split('/').enumerate() {
                    if at > 0 {
                        check(&segment, filled)?;
                        url.push_str(&segment);
                        url.push('/');
                        segment.clear();
                        filled = false;
                    }
                    segment.push_str(piece);
                }
            }
        }
    }
    check(&segment, filled)?;
    url.push_str(&segment);
    Ok(())
}

fn set(pairs: &mut Vec<(String, String)>, name: &str, value: String) {
    pairs.retain(|(known, _)| known != name);
    pairs.push((name.to_owned(), value));
}

pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorClass::Invalid, message)
}
