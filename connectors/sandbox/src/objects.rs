//! The objects of one kind in one account: stored as the JSON text they are answered with, in list order, found by id and by what
//! lists of their kind can be asked for.

use crate::errors::ApiError;
use crate::form::Params;
use crate::list::{Key, ListQuery, Page, Slip};
use crate::params::Reader;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How far back a list can be made to lag.
const LOOK_BACK: TimeDelta = TimeDelta::hours(1);

/// An object as the text it is answered with. Cheap to keep, to share with events and to put into lists.
pub(crate) type Text = Arc<RawValue>;

/// Renders an object as its text.
pub(crate) fn to_text(object: &Map<String, Value>) -> Text {
    serde_json::value::to_raw_value(object).map_or_else(|_| RawValue::NULL.to_owned().into(), Arc::from)
}

/// Reads an object's text.
pub(crate) fn to_map(text: &RawValue) -> Map<String, Value> {
    serde_json::from_str(text.get()).unwrap_or_default()
}

#[derive(Clone, Debug)]
struct Entry {
    id: String,
    asked: Option<String>,
    text: Text,
}

/// What stood at a key before a change.
#[derive(Clone, Debug)]
struct Before {
    at: Timestamp,
    key: Key,
    entry: Option<Entry>,
}

/// What is particular about a kind of objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The word in `object`.
    pub(crate) object: &'static str,
    /// The field that lists can be asked for, exactly.
    pub(crate) filter: &'static str,
    /// Whether a deleted one can still be read, as deleted.
    pub(crate) leaves_tombstone: bool,
}

/// Customers.
pub(crate) const CUSTOMERS: Kind = Kind { object: "customer", filter: "email", leaves_tombstone: true };
/// Invoices: a deleted draft is gone.
pub(crate) const INVOICES: Kind = Kind { object: "invoice", filter: "customer", leaves_tombstone: false };

/// All objects of one kind in one account.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    kind: Kind,
    live: BTreeMap<Key, Entry>,
    ids: BTreeMap<String, Key>,
    asked: BTreeMap<String, BTreeSet<Key>>,
    deleted: BTreeSet<String>,
    changes: VecDeque<Before>,
    seq: u64,
}

impl Objects {
    /// None yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            live: BTreeMap::new(),
            ids: BTreeMap::new(),
            asked: BTreeMap::new(),
            deleted: BTreeSet::new(),
            changes: VecDeque::new(),
            seq: 0,
        }
    }

    /// A live object's text.
    pub(crate) fn live(&self, id: &str) -> Option<&Text> {
        self.ids.get(id).and_then(|key| self.live.get(key)).map(|entry| &entry.text)
    }

    /// All live objects, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Text> {
        self.live.values().map(|entry| &entry.text)
    }

    /// How many are live.
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// What a GET answers: a live object, or what is left of a deleted one.
    pub(crate) fn get(&self, id: &str) -> Result<Text, ApiError> {
        match self.live(id) {
            Some(text) => Ok(text.clone()),
            None if self.deleted.contains(id) && self.kind.leaves_tombstone => Ok(tombstone(self.kind, id)),
            None => Err(ApiError::missing(self.kind.object, id)),
        }
    }

    /// Adds an object under a new id.
    pub(crate) fn insert(&mut self, id: String, object: &Map<String, Value>, now: Timestamp) -> Text {
        let key = Key { created: now.timestamp(), seq: self.seq };
        self.seq += 1;
        self.ids.insert(id.clone(), key);
        self.put(key, Some(self.entry(id, object)), now)
    }

    /// Replaces a live object.
    pub(crate) fn replace(
        &mut self,
        id: &str,
        object: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Text, ApiError> {
        let key = *self.ids.get(id).ok_or_else(|| ApiError::missing(self.kind.object, id))?;
        Ok(self.put(key, Some(self.entry(id.to_owned(), object)), now))
    }

    /// Deletes a live object and returns what it was. A second delete finds nothing, as at Stripe.
    pub(crate) fn delete(&mut self, id: &str, now: Timestamp) -> Result<Text, ApiError> {
        let was = self.live(id).cloned().ok_or_else(|| ApiError::missing(self.kind.object, id))?;
        if let Some(key) = self.ids.remove(id) {
            self.put(key, None, now);
        }
        self.deleted.insert(id.to_owned());
        Ok(was)
    }

    /// A list as the API gives it.
    pub(crate) fn list(&self, params: Params, slip: Slip) -> Result<Page<&RawValue>, ApiError> {
        let mut reader = Reader::new(params);
        let query = ListQuery::read(&mut reader)?;
        let asked = reader.solid_text(self.kind.filter, 512)?;
        reader.finish()?;
        let at = match query.cursor() {
            None => None,
            Some((id, param)) => {
                let key =
                    self.ids.get(id).ok_or_else(|| ApiError::missing_cursor(self.kind.object, id, param))?;
                Some(*key)
            }
        };
        Ok(match asked {
            None => query.page(query.range(&self.live, at, slip).map(|(key, e)| (key, &*e.text)), at, slip),
            Some(asked) => {
                let keys = self.asked.get(&asked).into_iter().flatten();
                let found = keys.filter_map(|key| self.live.get(key).map(|e| (*key, &*e.text)));
                query.page(found, at, slip)
            }
        })
    }

    /// The objects as they were at `then`, as far back as an hour.
    pub(crate) fn as_of(&self, then: Timestamp) -> Self {
        let mut past = self.clone();
        for change in self.changes.iter().rev().take_while(|change| change.at > then) {
            match &change.entry {
                Some(entry) => past.ids.insert(entry.id.clone(), change.key),
                None => past.live.get(&change.key).map(|e| e.id.clone()).and_then(|id| past.ids.remove(&id)),
            };
            past.set(change.key, change.entry.clone());
        }
        past
    }

    /// Sets what stands at `key` and remembers what stood there.
    fn put(&mut self, key: Key, entry: Option<Entry>, now: Timestamp) -> Text {
        let text = entry.as_ref().map_or_else(|| RawValue::NULL.to_owned().into(), |e| e.text.clone());
        let before = self.set(key, entry);
        while self.changes.front().is_some_and(|change| change.at < now - LOOK_BACK) {
            self.changes.pop_front();
        }
        self.changes.push_back(Before { at: now, key, entry: before });
        text
    }

    fn entry(&self, id: String, object: &Map<String, Value>) -> Entry {
        let asked = object.get(self.kind.filter).and_then(Value::as_str).map(str::to_owned);
        Entry { id, asked, text: to_text(object) }
    }

    fn set(&mut self, key: Key, entry: Option<Entry>) -> Option<Entry> {
        let asked = entry.as_ref().and_then(|e| e.asked.clone());
        let before = match entry {
            Some(entry) => self.live.insert(key, entry),
            None => self.live.remove(&key),
        };
        if let Some(old) = before.as_ref().and_then(|e| e.asked.as_ref())
            && let Some(keys) = self.asked.get_mut(old)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.asked.remove(old);
            }
        }
        if let Some(asked) = asked {
            self.asked.entry(asked).or_default().insert(key);
        }
        before
    }
}

/// What Stripe answers for a deleted object.
pub(crate) fn tombstone(kind: Kind, id: &str) -> Text {
    match json!({ "id": id, "object": kind.object, "deleted": true }) {
        Value::Object(map) => to_text(&map),
        _ => RawValue::NULL.to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_fields::blank;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn customer(id: &str, email: &str) -> Map<String, Value> {
        let mut customer = blank(id, 0, "A");
        customer.insert("email".into(), email.into());
        customer
    }

    fn listed(customers: &Objects, query: &str) -> Vec<String> {
        let page = customers.list(Params::decode(query).unwrap(), Slip::default()).unwrap();
        page.items.iter().map(|text| to_map(text)["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn email_filter_is_exact_and_follows_changes() {
        let mut all = Objects::new(CUSTOMERS);
        for (n, email) in ["a@x.io", "A@x.io", "a@x.io"].into_iter().enumerate() {
            let id = format!("cus_{n}");
            all.insert(id.clone(), &customer(&id, email), at(n as i64));
        }
        assert_eq!(listed(&all, "email=a%40x.io"), ["cus_2", "cus_0"]);
        all.replace("cus_2", &customer("cus_2", "b@x.io"), at(5)).unwrap();
        all.delete("cus_0", at(6)).unwrap();
        assert_eq!(listed(&all, "email=a%40x.io"), Vec::<String>::new());
        assert_eq!(listed(&all, "email=b%40x.io"), ["cus_2"]);
        assert_eq!(listed(&all, ""), ["cus_2", "cus_1"]);
    }

    #[test]
    fn deleted_customers_leave_a_tombstone() {
        let mut all = Objects::new(CUSTOMERS);
        all.insert("cus_0".into(), &customer("cus_0", "a@x.io"), at(0));
        all.delete("cus_0", at(1)).unwrap();
        assert_eq!(to_map(&all.get("cus_0").unwrap())["deleted"], true);
        assert_eq!(all.delete("cus_0", at(2)).unwrap_err().status, 404);
        assert_eq!(all.get("cus_9").unwrap_err().code, Some("resource_missing"));
        let cursor = all.list(Params::decode("starting_after=cus_0").unwrap(), Slip::default()).unwrap_err();
        assert_eq!((cursor.status, cursor.param.as_deref()), (400, Some("starting_after")));
    }

    #[test]
    fn the_past_can_be_listed() {
        let mut all = Objects::new(CUSTOMERS);
        all.insert("cus_0".into(), &customer("cus_0", "a@x.io"), at(0));
        all.insert("cus_1".into(), &customer("cus_1", "b@x.io"), at(10));
        all.replace("cus_0", &customer("cus_0", "c@x.io"), at(20)).unwrap();
        all.delete("cus_1", at(30)).unwrap();
        assert_eq!(listed(&all.as_of(at(25)), ""), ["cus_1", "cus_0"]);
        assert_eq!(listed(&all.as_of(at(25)), "email=c%40x.io"), ["cus_0"]);
        assert_eq!(listed(&all.as_of(at(15)), "email=a%40x.io"), ["cus_0"]);
        assert_eq!(listed(&all.as_of(at(5)), ""), ["cus_0"]);
        assert_eq!(listed(&all.as_of(at(5)), "starting_after=cus_0"), Vec::<String>::new());
        assert_eq!(
            all.as_of(at(5))
                .list(Params::decode("starting_after=cus_1").unwrap(), Slip::default())
                .unwrap_err()
                .status,
            400
        );
        assert_eq!(listed(&all.as_of(at(40)), ""), ["cus_0"]);
    }
}
