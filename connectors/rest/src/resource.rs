//! A resource of a document: operations into exchanges.

use crate::answer;
use crate::conversation::{Conversation, Reader};
use crate::core::Core;
use crate::list::{Asked, List};
use crate::lookup::Names;
use crate::paging;
use crate::place::Place;
use crate::request::{Draft, Slots, invalid};
use crate::write;
use bothways_connector::{
    Exchange, FieldWrites, Operation, Outcome, PageCursor, Params, Resource, ResourceQuery, StoredRequest,
    SyncToken, WriteKind,
};
use bothways_mapping::connector::{Call, Delete, Fact, IfMatch, ResourceSpec, Sends, TimeFormat, Update};
use bothways_mapping::template::flat;
use bothways_model::{Capabilities, ErrorClass, Failure, Observed, RemoteId, SingularPath, Timestamp};
use serde_json::Value as Json;
use std::sync::Arc;

pub(crate) struct RestResource {
    core: Arc<Core>,
    spec: Arc<ResourceSpec>,
    capabilities: Capabilities,
    params: Params,
    /// What `{fields}` lists.
    fields: Vec<String>,
    /// What an update sends where the service wants all mapped fields.
    written: Vec<SingularPath>,
    /// Where our stamp goes, for creating by our own key.
    stamp: Option<SingularPath>,
    /// The names for ids that mappings use.
    names: Names,
}

impl RestResource {
    pub(crate) fn new(core: &Arc<Core>, spec: &ResourceSpec, query: &ResourceQuery) -> Self {
        let mut capabilities = core.spec().capabilities(&spec.name);
        let names = Names::new(core, spec, query);
        // The other elements of a list go along; and what a name is the id of is read right before.
        capabilities.update_overwrites |=
            names.are_written() || query.written.iter().any(|path| path.keyed_list().is_some());
        Self {
            capabilities,
            fields: spec.fields(&query.paths),
            core: Arc::clone(core),
            spec: Arc::new(spec.clone()),
            params: query.params.clone(),
            written: query.written.iter().map(|path| spec.held_at(path).clone()).collect(),
            names,
            stamp: query.stamp.clone(),
        }
    }

    /// The values that make `id`, where they are several.
    fn id_parts(&self, id: &RemoteId) -> Result<Vec<String>, Failure> {
        self.spec
            .id
            .split(id.as_str())
            .ok_or_else(|| invalid("the id is not made of as many values as the document says"))
    }

    fn slots(&self) -> Slots<'_> {
        Slots { fields: &self.fields, params: Some(&self.params), ..Slots::default() }
    }

    fn get(&self, id: &RemoteId) -> Result<Box<dyn Exchange>, Failure> {
        let call = has(self.spec.get.as_ref(), "get")?;
        let id_parts = self.id_parts(id)?;
        let slots = Slots { id: Some(id.as_str()), id_parts: &id_parts, ..self.slots() };
        let request = Draft::new(&self.core, call, &slots)?.finish();
        let (core, spec) = (Arc::clone(&self.core), Arc::clone(&self.spec));
        let reader: Reader = Box::new(move |answer| {
            if !answer.is_success() {
                let failure = answer::failure(&core, &answer);
                return match failure.class {
                    ErrorClass::Missing => Outcome::Missing,
                    _ => Outcome::Failed(failure),
                };
            }
            // A record with another id than was asked for is handed on as it is: that is how services tell of merges (rule 26).
            answer::some_json(&answer)
                .and_then(|body| answer::record(&spec, &answer, body))
                .map_or_else(Outcome::Failed, Outcome::Record)
        });
        Ok(self.names.read(Conversation::start(&self.core, request, false, reader), self.names.are_written()))
    }

    fn list(
        &self,
        list: List,
        slots: &Slots<'_>,
        since: Option<(Timestamp, TimeFormat)>,
        page: Option<&PageCursor>,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let call = has(list.call(&self.spec), "list like that")?;
        let place = page.map(Place::read).transpose()?;
        let begins = place.as_ref().and_then(|p| p.since).or(since.map(|(at, _)| at));
        let begins_on_wire = begins.zip(since).map(|(at, (_, format))| format.write(&at));
        let offset = paging::offset(call, place.as_ref());
        let slots = Slots { since: begins_on_wire.as_ref(), offset, ..*slots };
        let mut draft = Draft::new(&self.core, call, &slots)?;
        paging::ask(&mut draft, call, &self.core.site, place.as_ref())?;
        let request = draft.finish();
        let asked = Asked {
            core: Arc::clone(&self.core),
            resource: Arc::clone(&self.spec),
            list,
            url: request.url.clone(),
            place,
            since: since.map(|(at, _)| at),
            token: false,
        };
        let exchange = Conversation::start(&self.core, request, false, asked.reader());
        Ok(self.names.read(exchange, page.is_none()))
    }

    /// One page of what changed since a token.
    fn delta(
        &self,
        token: Option<SyncToken>,
        page: Option<&PageCursor>,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let delta = has(self.spec.delta.as_ref(), "incremental list by token")?;
        let first = token.is_none() && page.is_none();
        let list = if first && delta.start.is_some() { List::Start } else { List::Delta };
        let call = has(list.call(&self.spec), "incremental list by token")?;
        let place = page.map(Place::read).transpose()?;
        let slots = Slots { offset: paging::offset(call, place.as_ref()), ..self.slots() };
        let mut draft = Draft::new(&self.core, call, &slots)?;
        if let (Some(SyncToken(value)), Some(send)) = (&token, &delta.send) {
            draft.cursor(send, value)?;
        }
        if let List::Delta = list {
            paging::ask(&mut draft, call, &self.core.site, place.as_ref())?;
        }
        // A token that is a URL is where the first page is; the others are where the first one says.
        if let (Some(SyncToken(value)), None, None) = (&token, &delta.send, &place) {
            let url = value.as_str().and_then(|url| paging::follow(url, url, &self.core.site).ok());
            let expired =
                || Failure::new(ErrorClass::Expired, "the stored token is not one of this service's");
            draft.go_to(url.ok_or_else(expired)?);
        }
        let request = draft.finish();
        let asked = Asked {
            core: Arc::clone(&self.core),
            resource: Arc::clone(&self.spec),
            list,
            url: request.url.clone(),
            place,
            since: None,
            token: token.is_some(),
        };
        let exchange = Conversation::start(&self.core, request, false, asked.reader());
        Ok(self.names.read(exchange, page.is_none()))
    }

    fn find(&self, path: &SingularPath, value: &str) -> Result<Box<dyn Exchange>, Failure> {
        let at = self.spec.find.iter().position(|find| find.path == *path);
        let at = at.ok_or_else(|| invalid(format!("the service has no lookup by {path}")))?;
        self.list(List::Find(at), &Slots { value: Some(value), ..self.slots() }, None, None)
    }

    fn create(&self, mut fields: FieldWrites, key: &str) -> Result<Box<dyn Exchange>, Failure> {
        let call = has(write::call(&self.spec, WriteKind::Create), "create")?;
        if self.spec.create.is_some() {
            return self.write(WriteKind::Create, call, &self.slots(), Body::of(fields), key);
        }
        // Our key is in the path of an upsert, where the service wants it, and not in the body as well.
        let missing = || invalid("creating by our own key needs a stamp");
        let stamp = self.stamp.as_ref().ok_or_else(missing)?;
        let at = fields.iter().position(|(path, _)| path == stamp).ok_or_else(missing)?;
        let (_, link) = fields.remove(at);
        let name = match stamp.0.last() {
            Some(bothways_model::Segment::Name(name)) => name,
            _ => return Err(missing()),
        };
        let slots = Slots { key: link.as_str(), stamp: Some(name), ..self.slots() };
        self.write(WriteKind::Create, call, &slots, Body::of(fields), key)
    }

    fn update(
        &self,
        id: &RemoteId,
        fields: FieldWrites,
        key: &str,
        seen: Option<&Json>,
        version: Option<&str>,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let Update { call, sends, if_match } = has(self.spec.update.as_ref(), "update")?;
        let mut body = Body::of(fields);
        let unread = || invalid("what did not change is sent along, and the record was not read");
        match sends {
            Sends::Changed => {}
            Sends::Mapped => body.complete(&self.written, seen.ok_or_else(unread)?),
            Sends::Whole => {
                let mut whole = seen.filter(|seen| seen.is_object()).ok_or_else(unread)?.clone();
                self.names.take_out(&mut whole);
                body.base = Some(whole);
            }
        }
        body.keep_elements(seen.unwrap_or(&Json::Null), &self.spec.sparse)?;
        if let Some(place) = if_match {
            body.condition(place, self.version(seen, version)?);
        }
        self.change(WriteKind::Update, call, id, body, key, seen)
    }

    fn delete(&self, id: &RemoteId, key: &str, seen: Option<&Json>) -> Result<Box<dyn Exchange>, Failure> {
        let Delete { call, if_match, .. } = has(self.spec.delete.as_ref(), "delete")?;
        let mut body = Body::default();
        if let Some(place) = if_match {
            body.condition(place, self.version(seen, None)?);
        }
        self.change(WriteKind::Delete, call, id, body, key, seen)
    }

    /// The version of the record that was read: as the record has it, where it does, so that a number stays one.
    fn version(&self, seen: Option<&Json>, version: Option<&str>) -> Result<Json, Failure> {
        let version = match &self.spec.version {
            Some(Fact::Body(query)) => seen.and_then(|seen| query.first(seen)).cloned(),
            _ => version.map(Json::from),
        };
        version.filter(|version| !version.is_null()).ok_or_else(|| {
            invalid("the service wants the record's version with this write, and it was not shown")
        })
    }

    fn change(
        &self,
        kind: WriteKind,
        call: &Call,
        id: &RemoteId,
        body: Body,
        key: &str,
        seen: Option<&Json>,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let refused = call.when.as_ref().filter(|when| !seen.is_some_and(|record| when.matches(record)));
        if let Some(when) = refused {
            let name = if kind == WriteKind::Delete { "delete" } else { "update" };
            return Err(invalid(format!("the service takes this {name} only while {}", when.text())));
        }
        let id_parts = self.id_parts(id)?;
        let slots = Slots { id: Some(id.as_str()), id_parts: &id_parts, ..self.slots() };
        self.write(kind, call, &slots, body, key)
    }

    fn write(
        &self,
        kind: WriteKind,
        call: &Call,
        slots: &Slots<'_>,
        body: Body,
        key: &str,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let mut draft = Draft::new(&self.core, call, slots)?;
        if kind != WriteKind::Delete || !body.fields.is_empty() {
            draft.write(&body.fields, &self.spec.wrap, body.base)?;
        }
        if let Some((name, value)) = body.header {
            draft.header(&name, value);
        }
        draft.idempotent(key);
        let reader = write::reader(&self.core, &self.spec, kind);
        Ok(self.names.written(Conversation::start(&self.core, draft.finish(), true, reader)))
    }
}

/// What a write sends.
#[derive(Default)]
struct Body {
    fields: FieldWrites,
    /// What the fields are set in: the whole record as it was read, or the lists in which single elements are written.
    base: Option<Json>,
    /// A header of this write.
    header: Option<(String, String)>,
}

impl Body {
    fn of(fields: FieldWrites) -> Self {
        Self { fields, ..Self::default() }
    }

    /// Sends the version that the record must still have.
    fn condition(&mut self, place: &IfMatch, version: Json) {
        match place {
            IfMatch::Record(path) => self.fields.push((path.clone(), version)),
            IfMatch::Header(name) => self.header = Some((name.clone(), flat(&version))),
        }
    }

    /// A list in which one element is written goes as it was read, so that the others stay.
    ///
    /// # Errors
    /// Class `invalid` if the record that was read does not show the list: nobody knows what it would replace.
    fn keep_elements(&mut self, seen: &Json, sparse: &[SingularPath]) -> Result<(), Failure> {
        if self.base.is_some() {
            return Ok(());
        }
        let mut base = Json::Null;
        for list in self.fields.iter().filter_map(|(path, _)| path.keyed_list()) {
            let empty = sparse.iter().any(|s| list != *s && list.starts_with(s) && s.get(seen).is_some());
            match list.get(seen) {
                Some(known @ Json::Array(_)) => {
                    list.set(&mut base, known.clone()).map_err(|e| invalid(e.to_string()))?;
                }
                Some(Json::Null) => {}
                None if empty => {}
                _ => {
                    return Err(invalid(format!(
                        "the record as it was read shows no list at {list}, and writing one element would replace the others"
                    )));
                }
            }
        }
        self.base = Some(base).filter(|base| !base.is_null());
        Ok(())
    }

    /// Adds the mapped fields that do not change, as they were read. What is empty stays so without being sent.
    fn complete(&mut self, mapped: &[SingularPath], seen: &Json) {
        for path in mapped {
            let changes = self.fields.iter().any(|(changed, _)| changed.overlaps(path));
            if let Some(value) = path.get(seen).filter(|value| !changes && !value.is_null()) {
                self.fields.push((path.clone(), value.clone()));
            }
        }
    }
}

impl Resource for RestResource {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn sparse(&self) -> &[SingularPath] {
        &self.spec.sparse
    }

    fn start(&self, operation: Operation) -> Result<Box<dyn Exchange>, Failure> {
        match operation {
            Operation::Get { id } => self.get(&id),
            Operation::List { page } => self.list(List::All, &self.slots(), None, page.as_ref()),
            Operation::Find { path, value } => self.find(&path, &value),
            Operation::Recover { since, page } => {
                let send = has(self.spec.recover.as_ref(), "list for recovery")?.send;
                self.list(List::Recover, &self.slots(), Some((since, send)), page.as_ref())
            }
            Operation::Since { since, page } => {
                let send = has(self.spec.since.as_ref(), "incremental list")?.send;
                self.list(List::Since, &self.slots(), Some((since, send)), page.as_ref())
            }
            Operation::Delta { token, page } => self.delta(token, page.as_ref()),
            Operation::Create { fields, key } => self.create(self.names.ids(fields)?, &key),
            Operation::Update { id, fields, key, seen, version } => {
                let fields = self.names.ids(fields)?;
                self.update(&id, fields, &key, seen.as_deref(), version.as_deref())
            }
            Operation::Delete { id, key, seen } => self.delete(&id, &key, seen.as_deref()),
        }
    }

    fn resume(&self, stored: StoredRequest) -> Box<dyn Exchange> {
        let reader = write::reader(&self.core, &self.spec, stored.kind);
        self.names.written(Conversation::start(&self.core, stored.request, true, reader))
    }

    fn observe(&self, body: Json) -> Result<Observed, Failure> {
        answer::observe(&self.spec, body)
    }
}

fn has<T>(call: Option<T>, what: &str) -> Result<T, Failure> {
    call.ok_or_else(|| invalid(format!("the service has no {what}")))
}
