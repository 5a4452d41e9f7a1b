//! Durable intake.

use super::MemoryStore;
use super::state::State;
use crate::{About, Delivery, Intake, PageCommit, Result, TakenEvent};
use async_trait::async_trait;
use bothways_model::{ConnectionName, RemoteId, Timestamp};
use std::collections::btree_map::Entry;

/// An event that was accepted.
#[derive(Clone, Debug)]
pub(super) struct InboxEntry {
    /// Grows with each.
    number: u64,
    pub(super) at: Timestamp,
    about: Option<About>,
    signalled: bool,
}

impl State {
    /// Remembers an event; whether it was not known.
    fn remember_event(&mut self, id: (ConnectionName, String), at: Timestamp, of: Option<&Delivery>) -> bool {
        let Entry::Vacant(entry) = self.events.entry(id) else { return false };
        self.events_taken += 1;
        entry.insert(InboxEntry {
            number: self.events_taken,
            at,
            about: of.and_then(|delivery| delivery.about.clone()),
            signalled: of.is_some_and(|delivery| !delivery.signals.is_empty()),
        });
        true
    }
}

#[async_trait]
impl Intake for MemoryStore {
    async fn intake(&self, now: Timestamp, deliveries: &[Delivery]) -> Result<Vec<bool>> {
        self.write(|s| {
            s.at(now);
            let mut fresh = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                let id = (delivery.connection.clone(), delivery.event.clone());
                let new = s.remember_event(id, now, Some(delivery));
                if new {
                    s.touch();
                    delivery.signals.iter().for_each(|signal| s.signal(signal, None, now));
                }
                fresh.push(new);
            }
            Ok(fresh)
        })
    }

    async fn events_of(
        &self,
        connection: &ConnectionName,
        resource: &str,
        record: &RemoteId,
        limit: usize,
    ) -> Result<Vec<TakenEvent>> {
        let state = self.lock();
        let is_meant = |about: &About| about.record == *record && about.resource == resource;
        let of_connection = state.events.iter().filter(|((of, _), _)| of == connection);
        let mut found: Vec<(u64, TakenEvent)> = of_connection
            .filter_map(|((_, event), entry)| {
                let about = entry.about.as_ref().filter(|about| is_meant(about))?;
                let (event, at, signalled) = (event.clone(), entry.at, entry.signalled);
                Some((entry.number, TakenEvent { event, at, effect: about.effect, signalled }))
            })
            .collect();
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        Ok(found.into_iter().take(limit).map(|(_, event)| event).collect())
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
                s.remember_event(event.clone(), now, None);
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
