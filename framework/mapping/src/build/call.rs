//! Calls: the one-line form, what may stand in them, and the defaults of lists.

use super::connector::header_name;
use super::paging::{page_size, pages};
use super::rate::limit;
use super::{Cx, sub};
use crate::check;
use crate::check::vars::{Uses, Where};
use crate::connector::{Call, CursorPlace, Escape, Pages, Returns};
use crate::doc::{CallText, Free, ListsDoc, Ordered, PagesDoc, PathText, RateText, Text};
use crate::filter::Filter;
use crate::finding::Code;
use crate::path::Query;
use crate::template::{JsonTemplate, Slot, Template};
use bothways_model::Method;

/// What a call is for: which placeholders it knows, and which it cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Account,
    List,
    Get,
    Create,
    Update,
    Delete,
    Upsert,
    Find,
    Recover,
    Since,
    Delta,
    Start,
    Feed,
}

impl Kind {
    fn knows(self) -> &'static [Slot] {
        match self {
            Kind::Account => &[],
            Kind::List | Kind::Create | Kind::Delta | Kind::Start => &[Slot::Fields],
            Kind::Get | Kind::Update => &[Slot::Id, Slot::Fields],
            Kind::Delete => &[Slot::Id],
            Kind::Upsert => &[Slot::Key, Slot::Stamp, Slot::Fields],
            Kind::Find => &[Slot::Value, Slot::Fields],
            Kind::Recover | Kind::Since => &[Slot::Since, Slot::Fields],
            Kind::Feed => &[Slot::Since, Slot::EventTypes],
        }
    }

    fn needs(self) -> Option<Slot> {
        match self {
            Kind::Get | Kind::Update | Kind::Delete => Some(Slot::Id),
            Kind::Upsert => Some(Slot::Key),
            Kind::Find => Some(Slot::Value),
            Kind::Recover | Kind::Since => Some(Slot::Since),
            Kind::Account | Kind::List | Kind::Create | Kind::Delta | Kind::Start | Kind::Feed => None,
        }
    }

    /// What stands for a record's id of so many parts.
    fn with_id_of(parts: usize, slots: impl IntoIterator<Item = Slot>) -> Vec<Slot> {
        let of = |slot: Slot| match slot {
            Slot::Id if parts > 1 => (1..=u8::try_from(parts).unwrap_or(u8::MAX)).map(Slot::IdPart).collect(),
            other => vec![other],
        };
        slots.into_iter().flat_map(of).collect()
    }

    /// Whether the answer is a list that `lists` describes.
    fn lists(self) -> bool {
        matches!(self, Kind::List | Kind::Find | Kind::Recover | Kind::Since | Kind::Delta | Kind::Feed)
    }
}

/// The defaults of list calls.
pub(super) struct Lists {
    items: Query,
    pages: Pages,
    page_size: Option<(String, u32)>,
}

impl Lists {
    pub(super) fn new(cx: &mut Cx<'_>, doc: Option<&ListsDoc>) -> Self {
        let Some(doc) = doc else {
            return Self { items: Query::root(), pages: Pages::None, page_size: None };
        };
        Self {
            items: doc.items.as_ref().map_or_else(Query::root, |p| cx.query("/lists/items", p.as_str())),
            pages: doc.pages.as_ref().map_or(Pages::None, |p| pages(cx, "/lists/pages", p)),
            page_size: doc.page_size.as_ref().and_then(|s| page_size(cx, "/lists/page_size", s)),
        }
    }
}

/// A call as the document has it.
pub(super) struct Parts<'a> {
    pub(super) call: &'a CallText,
    /// The pointer of the call's map, or of the line where there is none.
    pub(super) pointer: &'a str,
    /// The call is a map, with the line under `call`.
    pub(super) long: bool,
    pub(super) query: Option<&'a Ordered<Text>>,
    pub(super) json: Option<&'a Free>,
    pub(super) headers: Option<&'a Ordered<Text>>,
    pub(super) items: Option<&'a PathText>,
    pub(super) pages: Option<&'a PagesDoc>,
    pub(super) page_size: Option<&'a Ordered<u32>>,
    pub(super) rate: Option<&'a RateText>,
    pub(super) returns: Returns,
    pub(super) when: Option<Filter>,
    pub(super) escape: Option<Escape>,
    /// How many values make a record's id.
    pub(super) id_parts: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn line(call: &'a CallText, pointer: &'a str) -> Self {
        Self {
            call,
            pointer,
            long: false,
            query: None,
            json: None,
            headers: None,
            items: None,
            pages: None,
            page_size: None,
            rate: None,
            returns: Returns::Record,
            when: None,
            escape: None,
            id_parts: 1,
        }
    }
}

/// A call of one line.
pub(super) fn line(
    cx: &mut Cx<'_>,
    pointer: &str,
    call: &CallText,
    kind: Kind,
    params: &[String],
    lists: &Lists,
    uses: &mut Uses,
) -> Call {
    build(cx, Parts::line(call, pointer), kind, params, lists, uses)
}

pub(super) fn build(
    cx: &mut Cx<'_>,
    parts: Parts<'_>,
    kind: Kind,
    params: &[String],
    lists: &Lists,
    uses: &mut Uses,
) -> Call {
    let pointer = parts.pointer;
    let at = if parts.long { sub(pointer, "call") } else { pointer.to_owned() };
    let (method, path, mut query) = split(cx, &at, parts.call.as_str());
    let mut placed: Vec<(String, Template)> = vec![(at.clone(), path.clone())];
    placed.extend(query.iter().map(|(_, t)| (at.clone(), t.clone())));
    for (name, value) in parts.query.iter().flat_map(|q| q.iter()) {
        let template = Template::parse(&value.0);
        placed.push((sub(&sub(pointer, "query"), name), template.clone()));
        query.push((name.to_owned(), template));
    }
    let mut headers = Vec::new();
    for (name, value) in parts.headers.iter().flat_map(|h| h.iter()) {
        let pointer = sub(&sub(pointer, "headers"), name);
        header_name(cx, &pointer, name, true);
        let template = Template::parse(&value.0);
        placed.push((pointer, template.clone()));
        headers.push((name.to_owned(), template));
    }
    let json = parts.json.map(|json| JsonTemplate::parse(&json.0));
    for template in json.iter().flat_map(JsonTemplate::templates) {
        placed.push((sub(pointer, "json"), template.clone()));
    }
    let listed = kind.lists();
    let own_pages = parts.pages.map(|p| pages(cx, &sub(pointer, "pages"), p));
    let pages = own_pages.unwrap_or_else(|| if listed { lists.pages.clone() } else { Pages::None });
    check_slots(cx, &placed, &at, (kind, &pages), parts.id_parts, params);
    check::escape::check(cx, pointer, &placed, parts.escape);
    for (pointer, template) in &placed {
        uses.note(template, pointer, Where::Plain);
    }
    // A call with a JSON body says its page size there, as the service reads it there.
    let sized = listed && json.is_none();
    let own_items = parts.items.map(|p| cx.query(&sub(pointer, "items"), p.as_str()));
    let own_size = parts.page_size.map(|s| page_size(cx, &sub(pointer, "page_size"), s));
    Call {
        method,
        path,
        query,
        json,
        headers,
        items: own_items.unwrap_or_else(|| if listed { lists.items.clone() } else { Query::root() }),
        pages,
        page_size: own_size.unwrap_or_else(|| lists.page_size.clone().filter(|_| sized)),
        rate: parts.rate.map(|rate| limit(cx, &sub(pointer, "rate"), rate, uses)),
        returns: parts.returns,
        when: parts.when,
        escape: parts.escape,
        source: cx.source(&at),
    }
}

/// Method, path and query of a call line.
pub(super) fn split(
    cx: &mut Cx<'_>,
    pointer: &str,
    text: &str,
) -> (Method, Template, Vec<(String, Template)>) {
    const HELP: &str = "write method and path, for example `GET /v1/customers/{id}`";
    let (word, rest) =
        if text.starts_with('/') { ("", text) } else { text.split_once(' ').unwrap_or((text, "")) };
    let rest = rest.trim();
    let method = Method::parse(word).unwrap_or_else(|| {
        const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
        if word.is_empty() {
            cx.error(Code::Y111, pointer, "the method is missing")
                .help(format!("write `GET {text}`, or another method"));
            return Method::Get;
        }
        let mut report = cx.error(Code::Y111, pointer, format!("`{word}` is not a method"));
        match crate::finding::nearest(word, METHODS) {
            Some(near) => report.within(word).help(format!("did you mean `{near}`?")),
            None => report.within(word).help(HELP),
        };
        Method::Get
    });
    if !rest.starts_with('/') {
        cx.error(Code::Y111, pointer, "the path of a call starts with `/`; the host is `http.base_url`")
            .help(HELP);
    }
    if rest.contains(char::is_whitespace) || rest.contains('#') {
        cx.error(Code::Y111, pointer, "a path holds neither spaces nor `#`")
            .help("put parameters with spaces under `query`");
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decoded(name), Template::parse(&percent_decoded(value)))
    };
    (method, Template::parse(path), query.split('&').filter(|p| !p.is_empty()).map(pair).collect())
}

/// `%20` as a space: whoever sends the call encodes it again.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn check_slots(
    cx: &mut Cx<'_>,
    placed: &[(String, Template)],
    at: &str,
    (kind, pages): (Kind, &Pages),
    id_parts: usize,
    params: &[String],
) {
    let mut known = Kind::with_id_of(id_parts, kind.knows().iter().cloned());
    // A lookup is one page, and may say all the same where it begins.
    let by_offset = matches!(pages, Pages::Offset { send: CursorPlace::Text, .. });
    known.extend(by_offset.then_some(Slot::Offset));
    for (pointer, template) in placed {
        for slot in template.slots() {
            let fits =
                known.contains(slot) || matches!(slot, Slot::Param(name) if params.iter().any(|p| p == name));
            if !fits {
                let names = known.iter().map(Slot::name).chain(params.iter().map(String::as_str));
                let names = names.filter(|name| *name != slot.name());
                cx.error(Code::M304, pointer, format!("this call does not know `{{{}}}`", slot.name()))
                    .within(&format!("{{{}}}", slot.name()))
                    .did_you_mean(slot.name(), names);
            }
        }
    }
    let pages_need = Some(Slot::Offset).filter(|_| by_offset && kind != Kind::Find);
    for slot in Kind::with_id_of(id_parts, kind.needs().into_iter().chain(pages_need)) {
        if placed.iter().any(|(_, template)| template.slots().any(|s| *s == slot)) {
            continue;
        }
        let help = match slot {
            Slot::Offset => "its pages begin at an offset: write `{offset}` where the call says it, or name the place, for example `pages: { offset: { query: offset } }`".to_owned(),
            _ => format!("without `{{{}}}` every such call would be the same", slot.name()),
        };
        cx.error(Code::M304, at, format!("this call needs `{{{}}}` somewhere", slot.name())).help(help);
    }
}
