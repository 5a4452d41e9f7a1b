//! One line of history, told as a sentence.

use super::path;
use crate::api::HistoryEntry;
use serde_json::Value as Json;

/// One line of history.
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) at: String,
    /// Which way it went.
    pub(super) arrow: &'static str,
    /// The style's class: `out`, `in`, `ok`, `bad`, `off`.
    pub(super) tone: &'static str,
    pub(super) sentence: String,
    /// The record, in words.
    pub(super) subject: String,
    /// Its page, if it has one.
    pub(super) url: Option<String>,
    pub(super) remote: Option<String>,
    pub(super) changes: Vec<Change>,
    pub(super) cause: String,
    pub(super) approved_by: Option<String>,
    /// Where it can be put back, if it can be asked for.
    pub(super) undo: Option<String>,
}

/// One changed field.
pub(super) struct Change {
    pub(super) label: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// A value as one line; empty where there is none.
pub(super) fn plain(value: &Json) -> String {
    match value {
        Json::Null => "(empty)".into(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl From<HistoryEntry> for Line {
    fn from(entry: HistoryEntry) -> Self {
        let there = entry.connection.clone().unwrap_or_else(|| "the other side".into());
        let here = entry.catalog.clone().unwrap_or_else(|| "the catalog".into());
        let outward = entry.side == "remote";
        let target = if outward { format!("in {there}") } else { "here".to_owned() };
        let (arrow, tone) = match (entry.op, outward) {
            ("conflict" | "altered", _) => ("!", "bad"),
            ("resolved", _) => ("✓", "ok"),
            ("link", _) => ("∞", "ok"),
            ("unlink" | "echo", _) => ("·", "off"),
            (_, true) => ("→", "out"),
            (_, false) => ("←", "in"),
        };
        let sentence = match entry.op {
            "create" => format!("Created {target}"),
            "update" => format!("Changed {target}"),
            "delete" => format!("Deleted {target}"),
            "link" => format!("Linked with {there}"),
            "unlink" => "Link closed".to_owned(),
            "conflict" => "Conflict: changed on both sides".to_owned(),
            "resolved" => "Conflict ended".to_owned(),
            "echo" => "Our own late write recognised".to_owned(),
            "altered" if outward => format!("{there} changed what was written"),
            "altered" => "The table changed what was written".to_owned(),
            other => other.to_owned(),
        };
        let changes = entry.fields.into_iter().map(|(label, change)| Change {
            label,
            before: change.before.as_ref().filter(|b| !b.is_null()).map(plain),
            after: change.after.as_ref().map(plain),
        });
        let undoable = matches!((entry.op, outward), ("update", _) | ("create", false));
        let undo = entry.local_id.as_ref().filter(|_| undoable).map(|id| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("record", id).append_pair("mapping", &entry.mapping);
            query.append_pair("entry", &entry.id.to_string());
            format!("/revert?{}", query.finish())
        });
        let subject = entry.local_id.as_ref().map(|id| format!("{here} {id}")).unwrap_or_default();
        Self {
            id: entry.id,
            at: entry.at,
            arrow,
            tone,
            sentence,
            subject,
            url: entry.local_id.zip(entry.catalog).map(|(id, catalog)| path(&["records", &catalog, &id])),
            remote: entry.remote_id,
            changes: changes.collect(),
            cause: entry.cause,
            approved_by: entry.approved_by,
            undo,
        }
    }
}
