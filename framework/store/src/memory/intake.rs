//! Durable intake.

use super::MemoryStore;
use crate::{Delivery, Intake, PageCommit, Result};
use async_trait::async_trait;
use bothways_model::Timestamp;
use std::collections::btree_map::Entry;

#[async_trait]
impl Intake for MemoryStore {
    async fn intake(&self, now: Timestamp, deliveries: &[Delivery]) -> Result<Vec<bool>> {
        self.write(|s| {
            s.at(now);
            let mut fresh = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let id = (delivery.connection.clone(), delivery.event.clone());
                let new = match s.events.entry(id) {
                    Entry::Vacant(entry) => {
                        entry.insert(now);
                        true
                    }
                    Entry::Occupied(_) => false,
                };
                if new {
                    s.touch();
                    delivery.signals.iter().for_each(|signal| s.signal(signal, None, now));
                }
                fresh.push(new);
            }
            Ok(fresh)
        })
    }

    async fn commit_page(&self, now: Timestamp, page: &PageCommit) -> Result<()> {
        self.write(|s| {
            s.at(now);
            s.touch();
            for signal in &page.signals {
                match page.pass {
                    Some(pass) => s.signal_of_pass(signal, pass, now),
                    None => s.signal(signal, None, now),
                }
            }
            page.keys.iter().for_each(|write| s.write_key(write));
            for event in &page.events {
                s.events.entry(event.clone()).or_insert(now);
            }
            if let Some(cursor) = &page.cursor {
                s.cursors.insert(cursor.name.clone(), cursor.value.clone());
            }
            Ok(())
        })
    }

    async fn cursor(&self, name: &str) -> Result<Option<serde_json::Value>> {
        Ok(self.lock().cursors.get(name).cloned())
    }

    async fn drop_cursor(&self, name: &str) -> Result<()> {
        self.write(|s| {
            s.touch();
            s.cursors.remove(name);
            Ok(())
        })
    }
}
