//! How one record is shown and taken: id, envelope, version.

use super::events::in_header;
use super::{Cx, sub};
use crate::connector::{IdSpec, IfMatch, Lookup};
use crate::doc::{FactDoc, IdDoc, LookupDoc};
use crate::finding::Code;
use bothways_model::{Segment, SingularPath};

/// The most values that make an id.
const MOST_PARTS: usize = crate::template::ID_PARTS.len();

pub(super) fn id(cx: &mut Cx<'_>, pointer: &str, doc: &IdDoc) -> IdSpec {
    if doc.paths.is_empty() || doc.paths.len() > MOST_PARTS {
        cx.error(Code::Y108, pointer, format!("an id is made of one to {MOST_PARTS} values"));
    }
    let at = |index: usize| if doc.listed { sub(pointer, &index.to_string()) } else { pointer.to_owned() };
    IdSpec(doc.paths.iter().enumerate().map(|(n, path)| cx.query(&at(n), path.as_str())).collect())
}

/// Where a record goes in a request. A list there holds this one record.
pub(super) fn wrap(cx: &mut Cx<'_>, pointer: &str, text: &str) -> SingularPath {
    let path = cx.singular(pointer, text).unwrap_or_default();
    if path.0.iter().any(|segment| matches!(segment, Segment::Index(index) if *index > 0)) {
        cx.error(Code::Y109, pointer, "a request holds one record, which is the first of its list")
            .help("write `[0]`, for example `$.contacts[0]`");
    }
    path
}

pub(super) fn if_match(cx: &mut Cx<'_>, pointer: &str, doc: &FactDoc) -> Option<IfMatch> {
    match doc {
        FactDoc::Short(path) => {
            let path = cx.singular(pointer, path.as_str())?;
            if path.0.is_empty() {
                cx.error(Code::Y109, pointer, "the version is one place in the record, not the record")
                    .help("for example `$.version`");
            }
            Some(IfMatch::Record(path))
        }
        FactDoc::Long(long) => Some(IfMatch::Header(in_header(cx, pointer, &long.header))),
    }
}

/// A name for an id. It stands at a member of the record that the service does not have.
pub(super) fn lookup(cx: &mut Cx<'_>, pointer: &str, path: &str, doc: &LookupDoc) -> Option<Lookup> {
    let at = cx.singular_key(pointer, path)?;
    let from = cx.singular(&sub(pointer, "from"), doc.from.as_str())?;
    let name = cx.query(&sub(pointer, "name"), doc.name.as_str());
    if !matches!(at.0.as_slice(), [Segment::Name(_)]) || at.overlaps(&from) {
        cx.key_error(Code::Y109, pointer, "a name that is looked up gets a member of its own beside the id")
            .help("for example `$.stage` for what `from: $.stage_id` holds");
        return None;
    }
    Some(Lookup { path: at, from, resource: doc.resource.0.clone(), name })
}
