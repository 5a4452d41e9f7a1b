//! What was asked, how often, and when each customer was asked about first.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Default)]
pub(crate) struct Counts {
    accounts: AtomicU64,
    lists: AtomicU64,
    reads: AtomicU64,
    creates: AtomicU64,
    updates: AtomicU64,
    deletes: AtomicU64,
    /// By id, or by e-mail address where a call names no id: nanoseconds since 1970.
    first: Mutex<HashMap<String, u64>>,
}

impl Counts {
    pub(crate) fn account(&self) {
        self.accounts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn create(&self) {
        self.creates.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn update(&self) {
        self.updates.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delete(&self) {
        self.deletes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self, customer: &str) {
        let now = nanoseconds();
        let mut first = self.first.lock().expect("nothing panics here");
        if !first.contains_key(customer) {
            first.insert(customer.to_owned(), now);
        }
    }

    pub(crate) fn reset(&self) {
        for counter in [&self.accounts, &self.lists, &self.reads, &self.creates, &self.updates, &self.deletes]
        {
            counter.store(0, Ordering::Relaxed);
        }
        self.first.lock().expect("nothing panics here").clear();
    }

    pub(crate) fn to_json(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (creates, updates, deletes) = (read(&self.creates), read(&self.updates), read(&self.deletes));
        serde_json::json!({
            "account": read(&self.accounts),
            "list": read(&self.lists),
            "get": read(&self.reads),
            "create": creates,
            "update": updates,
            "delete": deletes,
            "writes": creates + updates + deletes,
            "customers_seen": self.first.lock().expect("nothing panics here").len(),
        })
        .to_string()
    }

    pub(crate) fn first_to_json(&self) -> String {
        serde_json::to_string(&*self.first.lock().expect("nothing panics here")).expect("strings and numbers")
    }
}

/// The wall clock, which all processes of one machine share.
pub(crate) fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}
