//! How lists go on: where the next page's position comes from, and where it goes.

use super::connector::header_name;
use super::{Cx, sub};
use crate::connector::{CursorPlace, Pages};
use crate::doc::{FilterText, NextUrlDoc, Ordered, PagesDoc, PathText, Text};
use crate::filter::Filter;
use crate::finding::Code;
use bothways_model::SingularPath;

pub(super) fn page_size(cx: &mut Cx<'_>, pointer: &str, size: &Ordered<u32>) -> Option<(String, u32)> {
    match size.0.as_slice() {
        [(name, size)] if *size > 0 => Some((name.clone(), *size)),
        [_] => {
            cx.error(Code::Y108, pointer, "a page holds at least one record");
            None
        }
        _ => {
            cx.error(Code::Y107, pointer, "exactly one parameter asks for the page size")
                .help("for example `{ limit: 100 }`");
            None
        }
    }
}

pub(super) fn pages(cx: &mut Cx<'_>, pointer: &str, doc: &PagesDoc) -> Pages {
    match doc {
        PagesDoc::None => Pages::None,
        PagesDoc::LinkHeader => Pages::LinkHeader,
        PagesDoc::NextUrl(NextUrlDoc::Short(path)) => {
            Pages::NextUrl { path: cx.query(&sub(pointer, "next_url"), path.as_str()), more: None }
        }
        PagesDoc::NextUrl(NextUrlDoc::Long(long)) => {
            let pointer = sub(pointer, "next_url");
            Pages::NextUrl {
                path: cx.query(&sub(&pointer, "path"), long.path.as_str()),
                more: more(cx, &pointer, long.more.as_ref()),
            }
        }
        PagesDoc::Page(page) => {
            let pointer = sub(pointer, "page");
            let place = Named { query: &page.query, json: &page.json, header: &page.header };
            let send = place.read(cx, &pointer, "number", "query: page");
            Pages::Page { send, first: page.first.unwrap_or(1), more: more(cx, &pointer, page.more.as_ref()) }
        }
        PagesDoc::Offset(offset) => {
            let pointer = sub(pointer, "offset");
            let place = Named { query: &offset.query, json: &offset.json, header: &offset.header };
            let send = if place.is_empty() {
                CursorPlace::Text
            } else {
                place.read(cx, &pointer, "number", "query: offset")
            };
            Pages::Offset {
                send,
                first: offset.first.unwrap_or(0),
                more: more(cx, &pointer, offset.more.as_ref()),
            }
        }
        PagesDoc::Cursor(cursor) => {
            let pointer = sub(pointer, "cursor");
            let place = Named { query: &cursor.query, json: &cursor.json, header: &cursor.header };
            Pages::Cursor {
                send: place.read(cx, &pointer, "cursor", "query: starting_after"),
                value: cx.query(&sub(&pointer, "value"), cursor.value.as_str()),
                more: more(cx, &pointer, cursor.more.as_ref()),
            }
        }
    }
}

fn more(cx: &mut Cx<'_>, pointer: &str, doc: Option<&FilterText>) -> Option<Filter> {
    doc.and_then(|filter| cx.filter(&sub(pointer, "while"), filter.as_str()))
}

/// The place of something in a request, of which the document names one.
pub(super) struct Named<'a> {
    pub(super) query: &'a Option<Text>,
    pub(super) json: &'a Option<PathText>,
    pub(super) header: &'a Option<Text>,
}

impl Named<'_> {
    fn is_empty(&self) -> bool {
        self.query.is_none() && self.json.is_none() && self.header.is_none()
    }

    pub(super) fn read(&self, cx: &mut Cx<'_>, pointer: &str, what: &str, example: &str) -> CursorPlace {
        let json =
            self.json.as_ref().map(|p| cx.singular(&sub(pointer, "json"), p.as_str()).unwrap_or_default());
        if let Some(header) = self.header {
            header_name(cx, &sub(pointer, "header"), &header.0, false);
        }
        match (self.query, json, self.header) {
            (Some(query), None, None) => CursorPlace::Query(query.0.clone()),
            (None, Some(path), None) => CursorPlace::Json(path),
            (None, None, Some(header)) => CursorPlace::Header(header.0.clone()),
            _ => {
                let message = format!("exactly one of `query`, `json` and `header` takes the {what}");
                cx.error(Code::Y107, pointer, message).help(format!("for example `{example}`"));
                CursorPlace::Json(SingularPath::default())
            }
        }
    }
}
