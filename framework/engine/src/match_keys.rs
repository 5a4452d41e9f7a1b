//! Match keys of linked records follow what the records hold: linked candidates count at first contact, by their present values
//! (rule 27).

use crate::decide::{Action, Decision};
use crate::look::Look;
use crate::read::Seen;
use bothways_model::{LocalRow, Record, Value};
use bothways_store::{FieldBase, Key, KeyWrite, Link, Side};

impl Look {
    /// Keys of the link's row and record whose match value is not the one of its bases any more. `seen` is the record after a push.
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
            let before = self.value_of_bases(link, |base| base.local.clone());
            writes.extend(self.moved(Side::Local, id.as_str(), before, mapping.match_key(&local)));
        }
        if let Some(id) = &link.remote_id {
            let before = self.value_of_bases(link, |base| base.remote.clone());
            writes.extend(self.moved(Side::Remote, id.as_str(), before, mapping.match_key(&seen.fields)));
        }
        writes
    }

    /// The match value by one side's bases; the outer `None` if one is unknown.
    fn value_of_bases(
        &self,
        link: &Link,
        side: impl Fn(&FieldBase) -> Option<Value>,
    ) -> Option<Option<String>> {
        let mapping = &self.pair.mapping;
        let mut known = Record::new();
        for label in &mapping.identity.matching {
            known.set(label.clone(), link.body.base.get(label).and_then(&side)?);
        }
        Some(mapping.match_key(&known))
    }

    fn moved(
        &self,
        side: Side,
        id: &str,
        before: Option<Option<String>>,
        value: Option<String>,
    ) -> Option<KeyWrite> {
        let key =
            Key { pair: self.pair.id, side, id: id.to_owned(), value, seen: self.taken.token, content: None };
        (before.as_ref() != Some(&key.value)).then_some(KeyWrite::Put(key))
    }
}
