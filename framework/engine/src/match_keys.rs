//! Match keys of linked records follow what the records hold: linked candidates count at first contact, by their present values
//! (rule 27).

use crate::decide::{Action, Decision};
use crate::look::Look;
use crate::read::Seen;
use bothways_mapping::Mapping;
use bothways_model::{LocalRow, Record, Value};
use bothways_store::{KeyWrite, Link, LinkBody, Side};

impl Look {
    /// Keys of the link's row and record whose match value is not the one of its bases any more, or not the one that its conflicts
    /// had. `seen` is the record after a push.
    pub(crate) fn moved_keys(&self, row: &LocalRow, seen: &Seen, decision: &Decision) -> Vec<KeyWrite> {
        let mapping = &self.pair.mapping;
        let Some(link) = self.taken.link.as_ref().filter(|_| !mapping.identity.matching.is_empty()) else {
            return Vec::new();
        };
        let mut local = mapping.read_local(&row.fields);
        for verdict in decision.verdicts.iter().filter(|verdict| verdict.action == Action::Pull) {
            if let Some(value) = &verdict.remote {
                local.set(verdict.label.clone(), value.clone());
            }
        }
        let mut writes = Vec::new();
        if let Some(id) = &link.local_id {
            writes.extend(self.moved(link, Side::Local, id.as_str(), mapping.match_key(&local)));
        }
        if let Some(id) = &link.remote_id {
            writes.extend(self.moved(link, Side::Remote, id.as_str(), mapping.match_key(&seen.fields)));
        }
        writes
    }

    fn moved(&self, link: &Link, side: Side, id: &str, value: Option<String>) -> Option<KeyWrite> {
        let mapping = &self.pair.mapping;
        // Unknown: it may be another one.
        let differs = |known: Option<Record>| known.is_none_or(|known| mapping.match_key(&known) != value);
        let labels = &mapping.identity.matching;
        let is_news = differs(all(labels, |label| base(&link.body, label, side)))
            || differs(all(labels, |label| last_held(&link.body, label, side)));
        is_news.then(|| self.key(side, id, value.clone()))
    }
}

/// These fields, if all of them are known.
fn all(labels: &[String], known: impl Fn(&str) -> Option<Value>) -> Option<Record> {
    let mut fields = Record::new();
    for label in labels {
        fields.set(label.clone(), known(label)?);
    }
    Some(fields)
}

fn base(body: &LinkBody, label: &str, side: Side) -> Option<Value> {
    let base = body.base.get(label)?;
    match side {
        Side::Local => base.local.clone(),
        Side::Remote => base.remote.clone(),
    }
}

/// While a field differs its bases stand still: what each side holds its conflict says.
fn last_held(body: &LinkBody, label: &str, side: Side) -> Option<Value> {
    match (body.conflicts.get(label), side) {
        (None, _) => base(body, label, side),
        (Some(conflict), Side::Local) => conflict.local.clone(),
        (Some(conflict), Side::Remote) => conflict.remote.clone(),
    }
}

/// The match fields as one side of a live link last held them, if all of them are known.
pub(crate) fn match_fields(mapping: &Mapping, body: &LinkBody, side: Side) -> Option<Record> {
    all(&mapping.identity.matching, |label| last_held(body, label, side))
}
