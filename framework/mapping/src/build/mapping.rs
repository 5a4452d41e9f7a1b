//! Mapping documents.

use super::{Cx, Place, field, sub};
use crate::check;
use crate::connector::{ConnectorSpec, ResourceSpec};
use crate::doc::{AmountText, IntervalText, MappingDoc, RemoteDoc, RemoteLong};
use crate::finding::{Code, Source};
use crate::mapping::{
    AgainstUpdate, Amount, Check, Conflicts, CreatePolicy, Creates, Deletes, Direction, FromLocalDelete,
    FromRemoteDelete, Identity, Mapping, OnCreate, Only, Remote, Safety, Sync, Winner, safety as numbers,
};
use crate::tree::{Content, Node};
use bothways_model::{Catalog, ConnectionName, FieldType, SingularPath, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What a mapping can refer to.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) connectors: BTreeMap<String, Arc<ConnectorSpec>>,
    pub(crate) catalogs: BTreeMap<String, Arc<Catalog>>,
    /// Documents that are there and cannot be used; referring to one is not a second mistake.
    pub(crate) broken: BTreeSet<String>,
    /// Some file could not be read, and may hold whatever is not found.
    pub(crate) incomplete: bool,
}

impl Known {
    pub(super) fn may_hold(&self, name: &str) -> bool {
        self.incomplete || self.broken.contains(name)
    }
}

/// A mapping once for each of its connections, and what is wrong with its document; none if what it refers to is not there.
pub(crate) fn mapping(cx: &mut Cx<'_>, doc: &MappingDoc, known: &Known) -> Vec<Mapping> {
    let Some(mapping) = one(cx, doc, known) else { return Vec::new() };
    let several = match &doc.remote {
        RemoteDoc::Long(long) => connections(cx, long),
        RemoteDoc::Short(_) => None,
    };
    let Some(several) = several else { return vec![mapping] };
    let on = |connection: ConnectionName| Mapping {
        name: format!("{}@{connection}", mapping.name),
        remote: Remote { connection, ..mapping.remote.clone() },
        ..mapping.clone()
    };
    several.into_iter().map(on).collect()
}

/// The connections of a mapping that names several.
fn connections(cx: &mut Cx<'_>, doc: &RemoteLong) -> Option<Vec<ConnectionName>> {
    let names = doc.connections.as_ref()?;
    if doc.connection.is_some() {
        cx.error(Code::Y107, "/remote", "`connection` and `connections` say the same, and both are here")
            .help("keep `connections`, with one name or several");
    }
    if names.is_empty() {
        cx.error(Code::Y108, "/remote/connections", "a mapping runs on at least one connection");
    }
    let mut all: Vec<ConnectionName> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let pointer = sub("/remote/connections", &index.to_string());
        cx.name(&pointer, name.as_str());
        let name = ConnectionName::from(name.as_str());
        if all.contains(&name) {
            cx.error(Code::M104, &pointer, format!("the connection `{name}` is here twice"));
        } else {
            all.push(name);
        }
    }
    Some(all)
}

fn one(cx: &mut Cx<'_>, doc: &MappingDoc, known: &Known) -> Option<Mapping> {
    cx.name("/mapping", doc.mapping.as_str());
    let catalog = catalog(cx, doc, known);
    let remote = remote(cx, doc, known);
    let (Some(catalog), Some((remote, connector))) = (catalog, remote) else {
        field::check_texts(cx, doc);
        return None;
    };
    let resource = connector.resources.get(&remote.resource)?;
    let conflicts = conflicts(cx, doc);
    let fields = field::fields(cx, doc, known, &catalog, conflicts.winner);
    let mapping = Mapping {
        name: doc.mapping.0.clone(),
        document: doc.mapping.0.clone(),
        only: only(cx, doc, &catalog),
        identity: identity(cx, doc, &catalog),
        on_create: on_create(cx, doc, &catalog),
        creates: creates(doc),
        conflicts,
        deletes: deletes(doc),
        sync: sync(cx, doc, &connector, resource),
        safety: safety(cx, doc),
        fields,
        source: cx.source("/mapping"),
        spans: spans(&cx.place),
        catalog,
        remote,
        connector: Arc::clone(&connector),
    };
    check::paths::check(cx, doc, &mapping);
    check::calls::check(cx, doc, &mapping);
    check::writers::check_mapping(cx, doc, &mapping);
    Some(mapping)
}

fn catalog(cx: &mut Cx<'_>, doc: &MappingDoc, known: &Known) -> Option<Arc<Catalog>> {
    let name = doc.local.as_str();
    if let Some(catalog) = known.catalogs.get(name) {
        return Some(Arc::clone(catalog));
    }
    if !known.may_hold(name) {
        cx.error(Code::M101, "/local", format!("there is no catalog `{name}`"))
            .did_you_mean(name, known.catalogs.keys().map(String::as_str));
    }
    None
}

fn remote(cx: &mut Cx<'_>, doc: &MappingDoc, known: &Known) -> Option<(Remote, Arc<ConnectorSpec>)> {
    let (pointer, text, long) = match &doc.remote {
        RemoteDoc::Short(text) => ("/remote", text, None),
        RemoteDoc::Long(long) => ("/remote/resource", &long.resource, Some(long)),
    };
    let Some((connector, resource)) = text.0.split_once('/').filter(|(c, r)| !c.is_empty() && !r.is_empty())
    else {
        cx.error(Code::Y108, pointer, format!("`{}` does not say which resource", text.0))
            .help("write `connector/resource`, for example `stripe/customers`");
        return None;
    };
    let Some(spec) = known.connectors.get(connector) else {
        if !known.may_hold(connector) {
            cx.error(Code::M101, pointer, format!("there is no connector `{connector}`"))
                .within(connector)
                .did_you_mean(connector, known.connectors.keys().map(String::as_str));
        }
        return None;
    };
    let Some(found) = spec.resources.get(resource) else {
        cx.error(Code::M101, pointer, format!("the connector `{connector}` has no resource `{resource}`"))
            .within(resource)
            .did_you_mean(resource, spec.resources.keys().map(String::as_str));
        return None;
    };
    let given: BTreeMap<String, String> = long
        .iter()
        .flat_map(|l| l.params.iter())
        .map(|(name, value)| (name.to_owned(), value.0.clone()))
        .collect();
    for name in given.keys().filter(|name| !found.params.contains(name)) {
        cx.key_error(
            Code::M101,
            &sub("/remote/with", name),
            format!("`{resource}` has no parameter `{name}`"),
        )
        .did_you_mean(name, found.params.iter().map(String::as_str));
    }
    for name in found.params.iter().filter(|name| !given.contains_key(*name)) {
        cx.error(Code::M101, "/remote", format!("`{resource}` needs the parameter `{name}`"))
            .help(format!("write `remote: {{ resource: {}, with: {{ {name}: … }} }}`", text.0));
    }
    let connection = long.and_then(|l| l.connection.as_ref());
    if let Some(connection) = connection {
        cx.name("/remote/connection", connection.as_str());
    }
    let connection = connection.map_or(connector, |c| c.as_str());
    let remote = Remote {
        connector: connector.to_owned(),
        resource: resource.to_owned(),
        params: given,
        connection: ConnectionName::from(connection),
    };
    Some((remote, Arc::clone(spec)))
}

/// A local field that something other than `fields` names.
fn local_field<'c>(
    cx: &mut Cx<'_>,
    pointer: &str,
    is_key: bool,
    name: &str,
    catalog: &'c Catalog,
) -> Option<&'c FieldType> {
    let found = catalog.field(name).map(|f| &f.ty);
    if found.is_none() {
        let message = format!("the catalog `{}` has no field `{name}`", catalog.name);
        let names = catalog.fields.iter().map(|f| f.name.as_str());
        if is_key {
            cx.key_error(Code::M101, pointer, message).did_you_mean(name, names);
        } else {
            cx.error(Code::M101, pointer, message).did_you_mean(name, names);
        }
    }
    found
}

/// A constant of a field's type.
pub(super) fn constant(cx: &mut Cx<'_>, pointer: &str, ty: &FieldType, json: &Json) -> Option<Value> {
    let read = match (ty, json) {
        // `code: 007` is text where text is meant.
        (FieldType::Text | FieldType::Enum(_), Json::Number(_) | Json::Bool(_)) => {
            let written = match cx.place.node.at(pointer).map(|n| &n.content) {
                Some(Content::Scalar { text, .. }) => text.clone(),
                _ => json.to_string(),
            };
            Value::from_text(ty, &written)
        }
        _ => Value::from_plain_json(ty, json),
    };
    match read {
        Ok(value) => Some(value),
        Err(error) => {
            cx.error(Code::Y104, pointer, error.to_string());
            None
        }
    }
}

fn only(cx: &mut Cx<'_>, doc: &MappingDoc, catalog: &Catalog) -> Only {
    let Some(only) = &doc.only else { return Only::default() };
    let mut local = Vec::new();
    for (name, json) in only.local.iter() {
        let pointer = sub("/only/local", name);
        if let Some(ty) = local_field(cx, &pointer, true, name, catalog) {
            local.extend(constant(cx, &pointer, ty, &json.0).map(|value| (name.to_owned(), value)));
        }
    }
    Only { remote: only.remote.as_ref().and_then(|f| cx.filter("/only/remote", f.as_str())), local }
}

fn identity(cx: &mut Cx<'_>, doc: &MappingDoc, catalog: &Catalog) -> Identity {
    let Some(identity) = &doc.identity else { return Identity::default() };
    let mut matching = Vec::new();
    let labels = field::labels(doc);
    for (index, label) in identity.matching.iter().flatten().enumerate() {
        let pointer = sub("/identity/match", &index.to_string());
        if !labels.contains(&label.as_str()) {
            let two =
                doc.fields.get(label.as_str()).and_then(|field| field::two_names(label.as_str(), field));
            match two {
                Some((first, last)) => cx
                    .error(
                        Code::M101,
                        &pointer,
                        format!("`{}` is two fields of this mapping", label.as_str()),
                    )
                    .help(format!("match by `{first}` and `{last}`")),
                None => cx
                    .error(
                        Code::M101,
                        &pointer,
                        format!("there is no field `{}` in this mapping", label.as_str()),
                    )
                    .did_you_mean(label.as_str(), labels.iter().copied()),
            };
        } else if matching.contains(&label.0) {
            cx.error(Code::M101, &pointer, format!("`{}` is here twice", label.0));
        } else {
            matching.push(label.0.clone());
        }
    }
    let remote_id = identity.remote_id.as_ref().map(|name| {
        let ty = local_field(cx, "/identity/remote_id", false, name.as_str(), catalog);
        if ty.is_some_and(|ty| *ty != FieldType::Text) {
            cx.error(
                Code::M203,
                "/identity/remote_id",
                format!("`{}` is not text, and remote ids are", name.as_str()),
            );
        }
        if catalog.key.contains(name.as_str()) {
            cx.error(
                Code::M402,
                "/identity/remote_id",
                "the key identifies the row, and cannot hold the remote id",
            )
            .help("give the remote id a column of its own");
        }
        name.0.clone()
    });
    let stamp = identity.stamp.as_ref().and_then(|p| cx.singular("/identity/stamp", p.as_str()));
    if stamp.as_ref().is_some_and(|s| s.0.is_empty()) {
        cx.error(Code::M201, "/identity/stamp", "the stamp is one place in the record, not the record");
    }
    Identity { matching, stamp, remote_id }
}

fn on_create(cx: &mut Cx<'_>, doc: &MappingDoc, catalog: &Catalog) -> OnCreate {
    let Some(on_create) = &doc.on_create else { return OnCreate::default() };
    let mut local = Vec::new();
    for (name, json) in on_create.local.iter() {
        let pointer = sub("/on_create/local", name);
        if let Some(ty) = local_field(cx, &pointer, true, name, catalog) {
            local.extend(constant(cx, &pointer, ty, &json.0).map(|value| (name.to_owned(), value)));
        }
    }
    let mut remote: Vec<(SingularPath, Json)> = Vec::new();
    for (path, json) in on_create.remote.iter() {
        let path = cx.singular_key(&sub("/on_create/remote", path), path);
        remote.extend(path.map(|path| (path, json.0.clone())));
    }
    OnCreate { local, remote }
}

fn creates(doc: &MappingDoc) -> Creates {
    let doc = doc.creates.as_ref();
    Creates {
        from_remote: doc.and_then(|d| d.from_remote).map_or(CreatePolicy::Create, Into::into),
        from_local: doc.and_then(|d| d.from_local).map_or(CreatePolicy::Create, Into::into),
    }
}

fn conflicts(cx: &mut Cx<'_>, doc: &MappingDoc) -> Conflicts {
    let doc = doc.conflicts.as_ref();
    let skew = doc.and_then(|d| d.skew.as_ref());
    Conflicts {
        winner: doc.and_then(|d| d.winner).map_or(Winner::Manual, Into::into),
        check: doc.and_then(|d| d.check).map_or(Check::Read, Into::into),
        skew: cx.duration_or("/conflicts/skew", skew, Duration::from_secs(2)),
    }
}

fn deletes(doc: &MappingDoc) -> Deletes {
    let doc = doc.deletes.as_ref();
    Deletes {
        from_remote: doc.and_then(|d| d.from_remote).map_or(FromRemoteDelete::Manual, Into::into),
        from_local: doc.and_then(|d| d.from_local).map_or(FromLocalDelete::Manual, Into::into),
        confirmed_irreversible: doc.is_some_and(|d| d.confirm.is_some()),
        against_update: doc.and_then(|d| d.against_update).map_or(AgainstUpdate::UpdateWins, Into::into),
    }
}

fn sync(cx: &mut Cx<'_>, doc: &MappingDoc, connector: &ConnectorSpec, resource: &ResourceSpec) -> Sync {
    let can = connector.capabilities(&resource.name);
    let doc = doc.sync.as_ref();
    let mut interval =
        |key: &str, given: Option<&IntervalText>, has: bool, default: Duration, missing: &str| {
            let pointer = sub("/sync", key);
            match given.map(IntervalText::as_str) {
                None => has.then_some(default),
                Some("never") => None,
                Some(text) => {
                    if !has {
                        let message = format!("`{}` has no {missing}", resource.name);
                        cx.error(Code::M302, &pointer, message)
                            .help(format!("remove `{key}`, or give the connector the call"));
                    }
                    let before = cx.count();
                    let interval = cx.duration(&pointer, text);
                    if cx.count() == before && interval < Duration::from_secs(1) {
                        cx.error(Code::Y108, &pointer, "at most once a second").help("write `1s` or more");
                    }
                    Some(interval)
                }
            }
        };
    let minute = Duration::from_secs(60);
    Sync {
        poll: interval(
            "poll",
            doc.and_then(|d| d.poll.as_ref()),
            can.since,
            minute,
            "incremental list (`since`)",
        ),
        feed: interval(
            "feed",
            doc.and_then(|d| d.feed.as_ref()),
            can.feed,
            minute,
            "events in a feed (`events.feed` and the resource's `events`)",
        ),
        reconcile: interval(
            "reconcile",
            doc.and_then(|d| d.reconcile.as_ref()),
            can.list,
            Duration::from_secs(24 * 3600),
            "complete list (`list`)",
        ),
    }
}

fn safety(cx: &mut Cx<'_>, doc: &MappingDoc) -> Safety {
    let Some(doc) = doc.safety.as_ref() else { return Safety::default() };
    let mut amount = |key: &str, text: Option<&AmountText>, own: numbers::BrakeNumbers| {
        let (pointer, text) = (sub("/safety", key), text?.as_str());
        let Some(amount) = Amount::parse(text) else {
            cx.error(Code::Y108, &pointer, format!("`{text}` is not an amount"))
                .help("write a count such as `50`, or a share of all links such as `5%`");
            return None;
        };
        if own.is_loosened_by(amount) {
            let most = own.most.map(|most| format!("`{most}`"));
            let percent = own.percent.map(|percent| format!("`{percent}%`"));
            let usual: Vec<String> = percent.into_iter().chain(most).collect();
            cx.error(Code::M308, &pointer, format!("`{text}` is more than the engine lets through itself"))
                .help(format!(
                    "`safety` can only tighten: write at most {}, or remove `{key}`",
                    usual.join(" or ")
                ));
        }
        Some(amount)
    };
    Safety {
        deletes: amount("deletes", doc.deletes.as_ref(), numbers::DELETES),
        blanking: amount("blanking", doc.blanking.as_ref(), numbers::BLANKING),
        updates: amount("updates", doc.updates.as_ref(), numbers::UPDATES),
        creates: amount("creates", doc.creates.as_ref(), numbers::CREATES),
    }
}

/// Where everything was said.
pub(crate) fn spans(place: &Place<'_>) -> BTreeMap<String, Source> {
    fn walk(node: &Node, pointer: &str, file: &Arc<str>, spans: &mut BTreeMap<String, Source>) {
        spans.insert(pointer.to_owned(), Source { file: Arc::clone(file), span: node.span });
        for entry in node.entries() {
            walk(&entry.value, &sub(pointer, &entry.key), file, spans);
        }
        if let Content::List(items) = &node.content {
            for (index, item) in items.iter().enumerate() {
                walk(item, &sub(pointer, &index.to_string()), file, spans);
            }
        }
    }
    let mut spans = BTreeMap::new();
    walk(place.node, "", place.file, &mut spans);
    spans.remove("");
    spans
}

/// Whether `direction` ever sends what this pointer names; for messages.
pub(super) fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Both => "travels both ways",
        Direction::In => "only comes in",
        Direction::Out => "only goes out",
    }
}
