//! The `resources` part of connector documents.

use super::call::{Kind, Lists, Parts, build};
use super::events::{fact, time_at};
use super::paging::Named;
use super::{Cx, record, sub};
use crate::check;
use crate::check::vars::Uses;
use crate::connector::{
    Call, Delete, Delta, EventRule, Find, Pages, Recover, ResourceSpec, Returns, Since, TimeAt, TimeFormat,
    Update,
};
use crate::doc::{
    CallText, CreateDoc, DeleteDoc, FilterText, FindDoc, ListDoc, ReadDoc, ResourceDoc, ReturnsDoc, SinceDoc,
    UpdateDoc,
};
use crate::filter::Filter;
use crate::finding::{Code, Severity};
use crate::lens::Normalizer;
use crate::path::Query;
use crate::template::ID_PARTS;
use std::time::Duration;

/// What all calls of one resource share.
struct Shared<'a> {
    pointer: &'a str,
    params: &'a [String],
    lists: &'a Lists,
    /// How many values make a record's id.
    id_parts: usize,
}

pub(super) fn resource(
    cx: &mut Cx<'_>,
    pointer: &str,
    name: &str,
    doc: &ResourceDoc,
    lists: &Lists,
    event_time: Option<TimeFormat>,
    uses: &mut Uses,
) -> ResourceSpec {
    let params: Vec<String> = doc.params.iter().flatten().map(|p| p.0.clone()).collect();
    check_params(cx, pointer, &params);
    let id = record::id(cx, &sub(pointer, "id"), &doc.id);
    let shared = Shared { pointer, params: &params, lists, id_parts: id.parts() };
    let at = |key: &str| sub(pointer, key);
    let changed_at = doc.changed_at.as_ref().map(|t| time_at(cx, &at("changed_at"), t));
    let since = doc.since.as_ref().and_then(|since| shared.since(cx, since, uses));
    let delta = doc.since.as_ref().and_then(|since| shared.delta(cx, since, uses));
    let time = since.as_ref().map(|s| s.send).or(changed_at.as_ref().map(|t| t.format)).or(event_time);
    let mut sparse = Vec::new();
    for (index, path) in doc.sparse.iter().flatten().enumerate() {
        sparse.extend(cx.singular(&sub(&at("sparse"), &index.to_string()), path.as_str()));
    }
    let mut find = Vec::new();
    for (path, lookup) in doc.find.iter() {
        find.extend(shared.find(cx, path, lookup, uses));
    }
    let mut lookups = Vec::new();
    for (path, lookup) in doc.lookups.iter() {
        lookups.extend(record::lookup(cx, &sub(&at("lookups"), path), path, lookup));
    }
    let fields_under = doc.fields_under.as_ref().and_then(|p| cx.singular(&at("fields_under"), p.as_str()));
    let version = doc.version.as_ref().map(|place| fact(cx, &at("version"), place));
    let update = doc.update.as_ref().map(|call| shared.update(cx, call, uses));
    let spec = ResourceSpec {
        name: name.to_owned(),
        id,
        item: doc.item.as_ref().map_or_else(Query::root, |p| cx.query(&at("item"), p.as_str())),
        wrap: doc.wrap.as_ref().map(|p| record::wrap(cx, &at("wrap"), p.as_str())).unwrap_or_default(),
        version,
        fields_under: fields_under.unwrap_or_default(),
        extra_fields: doc.extra_fields.iter().flatten().map(|f| f.0.clone()).collect(),
        sparse,
        changed_at,
        lookups,
        list: doc.list.as_ref().map(|call| shared.list(cx, "list", call, Kind::List, uses)),
        get: doc.get.as_ref().map(|call| shared.read(cx, call, uses)),
        create: doc.create.as_ref().map(|call| shared.create(cx, "create", call, Kind::Create, uses)),
        update,
        delete: doc.delete.as_ref().map(|call| shared.delete(cx, call, uses)),
        upsert: doc.upsert.as_ref().map(|call| shared.create(cx, "upsert", call, Kind::Upsert, uses)),
        find,
        recover: doc.recover.as_ref().map(|call| Recover {
            call: shared.list(cx, "recover", call, Kind::Recover, uses),
            send: time.unwrap_or(TimeFormat::Iso8601),
        }),
        since,
        delta,
        gone: doc.gone.as_ref().and_then(|f| cx.filter(&at("gone"), f.as_str())),
        events: doc.events.iter().map(|(kind, effect)| (kind.to_owned(), EventRule::from(*effect))).collect(),
        source: cx.place.key_source(pointer),
        params: params.clone(),
    };
    check::resources::check(cx, pointer, &spec);
    spec
}

fn check_params(cx: &mut Cx<'_>, pointer: &str, params: &[String]) {
    const TAKEN: [&str; 12] = [
        "id",
        "key",
        "stamp",
        "value",
        "since",
        "offset",
        "fields",
        "event_types",
        "timestamp",
        "signature",
        "body",
        "token",
    ];
    for (index, param) in params.iter().enumerate() {
        let pointer = sub(&sub(pointer, "params"), &index.to_string());
        let fits = param.starts_with(|c: char| c.is_ascii_lowercase())
            && param.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !fits {
            cx.error(Code::Y108, &pointer, format!("`{param}` is not a placeholder's name"))
                .help("use lower case letters, digits and `_`");
        } else if TAKEN.contains(&param.as_str()) || ID_PARTS.contains(&param.as_str()) {
            cx.error(Code::M304, &pointer, format!("`{{{param}}}` already means something else"))
                .help("give the parameter another name");
        }
    }
}

impl Shared<'_> {
    fn at(&self, key: &str) -> String {
        sub(self.pointer, key)
    }

    fn line<'d>(&self, call: &'d CallText, at: &'d str) -> Parts<'d> {
        Parts { id_parts: self.id_parts, ..Parts::line(call, at) }
    }

    fn list(&self, cx: &mut Cx<'_>, key: &str, doc: &ListDoc, kind: Kind, uses: &mut Uses) -> Call {
        let at = self.at(key);
        let parts = match doc {
            ListDoc::Short(call) => self.line(call, &at),
            ListDoc::Long(long) => Parts {
                long: true,
                query: Some(&long.query),
                json: long.json.as_ref(),
                headers: Some(&long.headers),
                rate: long.rate.as_ref(),
                items: long.items.as_ref(),
                pages: long.pages.as_ref(),
                page_size: long.page_size.as_ref(),
                ..self.line(&long.call, &at)
            },
        };
        build(cx, parts, kind, self.params, self.lists, uses)
    }

    fn read(&self, cx: &mut Cx<'_>, doc: &ReadDoc, uses: &mut Uses) -> Call {
        let at = self.at("get");
        let parts = match doc {
            ReadDoc::Short(call) => self.line(call, &at),
            ReadDoc::Long(long) => Parts {
                long: true,
                query: Some(&long.query),
                json: long.json.as_ref(),
                headers: Some(&long.headers),
                rate: long.rate.as_ref(),
                ..self.line(&long.call, &at)
            },
        };
        build(cx, parts, Kind::Get, self.params, self.lists, uses)
    }

    fn create(&self, cx: &mut Cx<'_>, key: &str, doc: &CreateDoc, kind: Kind, uses: &mut Uses) -> Call {
        let at = self.at(key);
        let parts = match doc {
            CreateDoc::Short(call) => self.line(call, &at),
            CreateDoc::Long(long) => Parts {
                long: true,
                query: Some(&long.query),
                json: long.json.as_ref(),
                headers: Some(&long.headers),
                rate: long.rate.as_ref(),
                returns: returns(cx, &at, long.returns.as_ref()),
                ..self.line(&long.call, &at)
            },
        };
        build(cx, parts, kind, self.params, self.lists, uses)
    }

    fn update(&self, cx: &mut Cx<'_>, doc: &UpdateDoc, uses: &mut Uses) -> Update {
        let at = self.at("update");
        let mut more = (None, None);
        let parts = match doc {
            UpdateDoc::Short(call) => self.line(call, &at),
            UpdateDoc::Long(long) => {
                more = (long.sends, long.if_match.as_ref());
                Parts {
                    long: true,
                    query: Some(&long.query),
                    json: long.json.as_ref(),
                    headers: Some(&long.headers),
                    rate: long.rate.as_ref(),
                    returns: returns(cx, &at, long.returns.as_ref()),
                    when: when(cx, &at, long.when.as_ref()),
                    ..self.line(&long.call, &at)
                }
            }
        };
        Update {
            call: build(cx, parts, Kind::Update, self.params, self.lists, uses),
            sends: more.0.map_or_else(Default::default, Into::into),
            if_match: more.1.and_then(|place| record::if_match(cx, &sub(&at, "if_match"), place)),
        }
    }

    fn delete(&self, cx: &mut Cx<'_>, doc: &DeleteDoc, uses: &mut Uses) -> Delete {
        let at = self.at("delete");
        let (parts, irreversible, if_match) = match doc {
            DeleteDoc::Short(call) => (self.line(call, &at), false, None),
            DeleteDoc::Long(long) => {
                let parts = Parts {
                    long: true,
                    query: Some(&long.query),
                    json: long.json.as_ref(),
                    headers: Some(&long.headers),
                    rate: long.rate.as_ref(),
                    returns: returns(cx, &at, long.returns.as_ref()),
                    when: when(cx, &at, long.when.as_ref()),
                    ..self.line(&long.call, &at)
                };
                (parts, long.irreversible.unwrap_or(false), long.if_match.as_ref())
            }
        };
        Delete {
            call: build(cx, parts, Kind::Delete, self.params, self.lists, uses),
            irreversible,
            if_match: if_match.and_then(|place| record::if_match(cx, &sub(&at, "if_match"), place)),
        }
    }

    fn find(&self, cx: &mut Cx<'_>, path: &str, doc: &FindDoc, uses: &mut Uses) -> Option<Find> {
        let at = sub(&self.at("find"), path);
        let singular = cx.singular_key(&at, path);
        let parts = Parts {
            long: true,
            query: Some(&doc.query),
            json: doc.json.as_ref(),
            headers: Some(&doc.headers),
            rate: doc.rate.as_ref(),
            items: doc.items.as_ref(),
            escape: doc.escape.map(Into::into),
            ..self.line(&doc.call, &at)
        };
        for (index, word) in doc.folds.iter().flatten().enumerate() {
            if Normalizer::from(*word).is_of_lists() {
                cx.error(
                    Code::Y105,
                    &sub(&sub(&at, "folds"), &index.to_string()),
                    "a lookup compares one text, and this is about lists",
                );
            }
        }
        let mut call = build(cx, parts, Kind::Find, self.params, self.lists, uses);
        let single = doc.items.is_some() && call.items.is_root();
        if single {
            // The answer is no list, so there is nothing to ask a page of.
            call.page_size = None;
        }
        Some(Find {
            path: singular?,
            single,
            call,
            folds: doc.folds.iter().flatten().map(|f| (*f).into()).collect(),
            consistent: doc.consistent.unwrap_or(false),
        })
    }

    /// The incremental list by time; `None` if it goes on by a token.
    fn since(&self, cx: &mut Cx<'_>, doc: &SinceDoc, uses: &mut Uses) -> Option<Since> {
        let at = self.at("since");
        if doc.cursor.is_some() == doc.token.is_some() {
            cx.error(Code::Y107, &at, "exactly one of `cursor` and `token` says where the list goes on")
                .help("give `cursor` where records carry their times, `token` where the service gives one");
        }
        let doc_cursor = doc.cursor.as_ref()?;
        let call = build(cx, since_parts(doc, &at), Kind::Since, self.params, self.lists, uses);
        by_number(cx, &at, &call, doc.cap);
        let cursor = sub(&at, "cursor");
        let format = TimeFormat::from(doc_cursor.format);
        Some(Since {
            call,
            at: TimeAt { path: cx.query(&sub(&cursor, "path"), doc_cursor.path.as_str()), format },
            send: doc_cursor.send.map_or(format, TimeFormat::from),
            tie: doc_cursor.tie.as_ref().map(|p| cx.query(&sub(&cursor, "tie"), p.as_str())),
            lag: cx.duration_or(&sub(&cursor, "lag"), doc_cursor.lag.as_ref(), Duration::ZERO),
            cap: doc.cap,
        })
    }

    /// The incremental list by token; `None` if it goes on by time.
    fn delta(&self, cx: &mut Cx<'_>, doc: &SinceDoc, uses: &mut Uses) -> Option<Delta> {
        let token = doc.token.as_ref().filter(|_| doc.cursor.is_none())?;
        let at = self.at("since");
        if doc.cap.is_some() {
            cx.error(
                Code::Y107,
                &sub(&at, "cap"),
                "a list that goes on by a token cannot begin again elsewhere",
            )
            .help("remove `cap`");
        }
        let call = build(cx, since_parts(doc, &at), Kind::Delta, self.params, self.lists, uses);
        let url = token.url == Some(true);
        if url && matches!(call.pages, Pages::Cursor { .. } | Pages::Page { .. } | Pages::Offset { .. }) {
            let said = if doc.pages.is_some() { sub(&at, "pages") } else { sub(&sub(&at, "token"), "url") };
            cx.error(
                Code::M310,
                &said,
                "the token is a whole URL, and the second page of these would be asked for without it",
            )
            .help("say `pages: { next_url: … }`, `link_header` or `none`, as the service does it");
        }
        let at = sub(&at, "token");
        let named = token.query.is_some() || token.json.is_some() || token.header.is_some();
        let send = if url {
            if named {
                cx.error(Code::Y107, &at, "a token that is a URL goes nowhere else")
                    .help("remove `url: true`, or what stands beside it");
            }
            None
        } else {
            let place = Named { query: &token.query, json: &token.json, header: &token.header };
            Some(place.read(cx, &at, "token", "query: syncToken"))
        };
        let start = token.start.as_ref().map(|start| {
            let at = sub(&at, "start");
            build(cx, Parts::line(start, &at), Kind::Start, self.params, self.lists, uses)
        });
        Some(Delta { call, send, value: cx.query(&sub(&at, "value"), token.value.as_str()), start })
    }
}

/// Pages by number of a list that is in the order of its changes: what changes goes to its end, and all behind it move up by one.
fn by_number(cx: &mut Cx<'_>, at: &str, call: &Call, cap: Option<u32>) {
    let numbered = matches!(call.pages, Pages::Page { .. } | Pages::Offset { .. });
    let size = call.page_size.as_ref().map(|(_, size)| *size);
    let begins_again = cap.is_some_and(|cap| size.is_none_or(|size| cap <= size));
    if numbered && !begins_again {
        let said = if cap.is_some() { sub(at, "cap") } else { at.to_owned() };
        let message = "a record that changes between two pages moves another one onto the page that was read, where nobody sees it before the next full pass";
        cx.report(Code::M310, Severity::Warning, &said, message).help(
            "let the service list the oldest change first, and add `cap` with the size of a page: the next page then begins at the last record's time",
        );
    }
}

fn since_parts<'a>(doc: &'a SinceDoc, at: &'a str) -> Parts<'a> {
    Parts {
        long: true,
        query: Some(&doc.query),
        json: doc.json.as_ref(),
        headers: Some(&doc.headers),
        rate: doc.rate.as_ref(),
        items: doc.items.as_ref(),
        pages: doc.pages.as_ref(),
        page_size: doc.page_size.as_ref(),
        ..Parts::line(&doc.call, at)
    }
}

fn returns(cx: &mut Cx<'_>, at: &str, doc: Option<&ReturnsDoc>) -> Returns {
    match doc {
        None | Some(ReturnsDoc::Record) => Returns::Record,
        Some(ReturnsDoc::Nothing) => Returns::Nothing,
        Some(ReturnsDoc::Id(path)) => Returns::Id(cx.query(&sub(&sub(at, "returns"), "id"), path.as_str())),
    }
}

fn when(cx: &mut Cx<'_>, at: &str, doc: Option<&FilterText>) -> Option<Filter> {
    doc.and_then(|filter| cx.filter(&sub(at, "when"), filter.as_str()))
}
