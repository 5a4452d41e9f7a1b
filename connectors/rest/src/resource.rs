//! A resource of a document: operations into exchanges.

use crate::answer;
use crate::conversation::{Conversation, Reader};
use crate::core::Core;
use crate::list::{Asked, List};
use crate::paging;
use crate::place::Place;
use crate::request::{Draft, Slots, invalid};
use crate::write;
use bothways_connector::{
    Exchange, FieldWrites, Operation, Outcome, PageCursor, Params, Resource, StoredRequest, WriteKind,
};
use bothways_mapping::connector::{Call, ResourceSpec, TimeFormat};
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
    /// Where our stamp goes, for creating by our own key.
    stamp: Option<SingularPath>,
}

impl RestResource {
    pub(crate) fn new(
        core: &Arc<Core>,
        spec: &ResourceSpec,
        params: Params,
        paths: &[SingularPath],
        stamp: Option<SingularPath>,
    ) -> Self {
        Self {
            capabilities: core.spec().capabilities(&spec.name),
            fields: spec.fields(paths),
            core: Arc::clone(core),
            spec: Arc::new(spec.clone()),
            params,
            stamp,
        }
    }

    fn slots(&self) -> Slots<'_> {
        Slots { fields: &self.fields, params: Some(&self.params), ..Slots::default() }
    }

    fn get(&self, id: &RemoteId) -> Result<Box<dyn Exchange>, Failure> {
        let call = has(self.spec.get.as_ref(), "get")?;
        let slots = Slots { id: Some(id.as_str()), ..self.slots() };
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
                .and_then(|body| answer::observe(&spec, body))
                .map_or_else(Outcome::Failed, Outcome::Record)
        });
        Ok(Conversation::start(&self.core, request, false, reader))
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
        let slots = Slots { since: begins_on_wire.as_ref(), ..*slots };
        let mut draft = Draft::new(&self.core, call, &slots)?;
        paging::ask(&mut draft, call, &self.core.origin, place.as_ref())?;
        let request = draft.finish();
        let asked = Asked {
            core: Arc::clone(&self.core),
            resource: Arc::clone(&self.spec),
            list,
            url: request.url.clone(),
            place,
            since: since.map(|(at, _)| at),
        };
        Ok(Conversation::start(&self.core, request, false, asked.reader()))
    }

    fn find(&self, path: &SingularPath, value: &str) -> Result<Box<dyn Exchange>, Failure> {
        let at = self.spec.find.iter().position(|find| find.path == *path);
        let at = at.ok_or_else(|| invalid(format!("the service has no lookup by {path}")))?;
        self.list(List::Find(at), &Slots { value: Some(value), ..self.slots() }, None, None)
    }

    fn create(&self, mut fields: FieldWrites, key: &str) -> Result<Box<dyn Exchange>, Failure> {
        let call = has(write::call(&self.spec, WriteKind::Create), "create")?;
        if self.spec.create.is_some() {
            return self.write(WriteKind::Create, call, &self.slots(), &fields, key);
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
        self.write(WriteKind::Create, call, &slots, &fields, key)
    }

    fn change(
        &self,
        kind: WriteKind,
        id: &RemoteId,
        fields: &FieldWrites,
        key: &str,
        seen: Option<&Json>,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let name = if kind == WriteKind::Delete { "delete" } else { "update" };
        let call = has(write::call(&self.spec, kind), name)?;
        let refused = call.when.as_ref().filter(|when| !seen.is_some_and(|record| when.matches(record)));
        if let Some(when) = refused {
            return Err(invalid(format!("the service takes this {name} only while {}", when.text())));
        }
        let slots = Slots { id: Some(id.as_str()), ..self.slots() };
        self.write(kind, call, &slots, fields, key)
    }

    fn write(
        &self,
        kind: WriteKind,
        call: &Call,
        slots: &Slots<'_>,
        fields: &FieldWrites,
        key: &str,
    ) -> Result<Box<dyn Exchange>, Failure> {
        let mut draft = Draft::new(&self.core, call, slots)?;
        if kind != WriteKind::Delete {
            draft.write(fields)?;
        }
        draft.idempotent(key);
        let reader = write::reader(&self.core, &self.spec, kind);
        Ok(Conversation::start(&self.core, draft.finish(), true, reader))
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
            Operation::Create { fields, key } => self.create(fields, &key),
            Operation::Update { id, fields, key, seen } => {
                self.change(WriteKind::Update, &id, &fields, &key, seen.as_deref())
            }
            Operation::Delete { id, key, seen } => {
                self.change(WriteKind::Delete, &id, &FieldWrites::new(), &key, seen.as_deref())
            }
        }
    }

    fn resume(&self, stored: StoredRequest) -> Box<dyn Exchange> {
        let reader = write::reader(&self.core, &self.spec, stored.kind);
        Conversation::start(&self.core, stored.request, true, reader)
    }

    fn observe(&self, body: Json) -> Result<Observed, Failure> {
        answer::observe(&self.spec, body)
    }
}

fn has<T>(call: Option<T>, what: &str) -> Result<T, Failure> {
    call.ok_or_else(|| invalid(format!("the service has no {what}")))
}
