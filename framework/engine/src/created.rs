//! What a confirmed create leaves behind, and what it sends.

use crate::apply::entry;
use bothways_model::{Record, SingularPath};
use bothways_store::{FieldChange, History, HistoryOp, Link, SentField, Side};

/// The bases after a confirmed create: what was sent, and what came back where it did (rule 15).
pub(crate) fn created_bases(link: &mut Link, sent: &[SentField], shown: Option<&Record>) {
    for field in sent {
        let base = link.body.base.entry(field.field.clone()).or_default();
        base.local = Some(field.local.clone());
        base.remote = shown.and_then(|s| s.get(&field.field).cloned());
    }
}

/// The history entry of a confirmed create.
pub(crate) fn created_history(link: &Link, sent: &[SentField], why: &str) -> History {
    let fields = sent
        .iter()
        .map(|f| (f.field.clone(), FieldChange { before: None, after: Some(f.sent.clone()) }))
        .collect();
    entry(link, Side::Remote, HistoryOp::Create, fields, vec![20, 27], why.to_owned(), None)
}

/// A body as (path, value) leaves, in order.
pub(crate) fn leaves(body: &serde_json::Value) -> bothways_connector::FieldWrites {
    fn walk(
        node: &serde_json::Value,
        at: &mut Vec<bothways_model::Segment>,
        out: &mut bothways_connector::FieldWrites,
    ) {
        match node {
            serde_json::Value::Object(map) if !map.is_empty() => {
                for (name, child) in map {
                    at.push(bothways_model::Segment::Name(name.clone()));
                    walk(child, at, out);
                    at.pop();
                }
            }
            other => out.push((SingularPath(at.clone()), other.clone())),
        }
    }
    let mut out = Vec::new();
    walk(body, &mut Vec::new(), &mut out);
    out
}
