//! From events, pushed or pulled, to signals (rules 49, 50).
//!
//! An event is a hint. Its payload may prove that a linked record shows nothing new, which saves the look; it decides nothing else.

use crate::{Engine, quiet, scope};
use bothways_model::planted::{self, Bug};
use bothways_model::{ConnectionName, Event, EventEffect, EventSubject, PairId, RemoteId};
use bothways_store::{About, Delivery, Signal, Subject};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// Events that cannot be read bring no more passes than one in this time.
const PASSES_EVERY: TimeDelta = TimeDelta::hours(1);

/// Events of one connection.
pub(crate) type Batch = (ConnectionName, Vec<Event>);

/// One event's record in one pair.
struct Hint<'e> {
    /// Which delivery it belongs to.
    delivery: usize,
    subject: &'e EventSubject,
}

impl Engine {
    /// What these events signal, one delivery for each, in order. Links are read in sets, one read for each pair.
    pub(crate) async fn deliveries(&self, batches: &[Batch]) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let mut hints: BTreeMap<PairId, Vec<Hint<'_>>> = BTreeMap::new();
        for (connection, events) in batches {
            for event in events {
                if event.unreadable {
                    count(connection, "unreadable");
                }
                match &event.subject {
                    Some(subject) => {
                        for pair in self.pairs_of(connection, &subject.resource) {
                            hints.entry(pair).or_default().push(Hint { delivery: deliveries.len(), subject });
                        }
                    }
                    None if event.unreadable => {}
                    None => count(connection, "unknown"),
                }
                deliveries.push(Delivery {
                    connection: connection.clone(),
                    event: event.id.clone(),
                    about: event.subject.as_ref().map(about),
                    signals: Vec::new(),
                });
            }
        }
        for (pair, hints) in hints {
            let wanted = self.wanted(pair, &hints).await;
            for (hint, wanted) in hints.iter().zip(wanted) {
                if !wanted {
                    // Most often of our own writes: their share of what is accepted is the echo ratio.
                    if let Some(delivery) = deliveries.get(hint.delivery) {
                        count(&delivery.connection, "nothing_new");
                    }
                    continue;
                }
                if let Some(delivery) = deliveries.get_mut(hint.delivery) {
                    delivery.signals.push(look_at(pair, hint.subject.id.clone()));
                }
            }
        }
        deliveries
    }

    /// Commits deliveries: ids and signals in one transaction.
    pub(crate) async fn take_in(&self, deliveries: &[Delivery]) -> bothways_store::Result<Vec<bool>> {
        if planted::is(Bug::EventKnownBeforeSignalled) {
            return self.take_in_by_two_commits(deliveries).await;
        }
        self.store.intake(self.ports.clock.now(), deliveries).await
    }

    /// Has full passes find out what events told of that could not be read; `new` says which of them were not known. A service that sends
    /// nothing else is not walked without end.
    pub(crate) async fn make_up_for_unreadable(&self, batches: &[Batch], new: &[bool]) {
        for connection in self.to_be_walked(batches, new) {
            tracing::warn!(connection = %connection, "an event cannot be read: full passes follow");
            for pair in self.pairs().filter(|pair| pair.connection == connection && pair.is_approved()) {
                if let Err(error) = self.want_pass(pair.id).await {
                    tracing::error!(pair = %pair.id, error = error.in_log(), "a full pass could not be asked for");
                }
            }
        }
    }

    /// The connections that told of something new which cannot be read, and were not walked for that lately.
    fn to_be_walked(&self, batches: &[Batch], new: &[bool]) -> Vec<ConnectionName> {
        let now = self.ports.clock.now();
        let mut asked = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut walked = Vec::new();
        let mut new = new.iter();
        for (connection, events) in batches {
            let told =
                events.iter().zip(new.by_ref()).filter(|(event, new)| event.unreadable && **new).count();
            let lately = asked.get(connection).is_some_and(|at| now - *at < PASSES_EVERY);
            if told > 0 && !lately {
                asked.insert(connection.clone(), now);
                walked.push(connection.clone());
            }
        }
        walked
    }

    /// Which of these hints deserve a look. If the links cannot be read, all do.
    async fn wanted(&self, pair: PairId, hints: &[Hint<'_>]) -> Vec<bool> {
        let Some(runtime) = self.pairs.get(&pair) else { return vec![false; hints.len()] };
        let ids: Vec<RemoteId> = hints.iter().map(|hint| hint.subject.id.clone()).collect();
        let links = match self.store.links_of_remote(pair, &ids).await {
            Ok(links) => links,
            Err(error) => {
                tracing::debug!(pair = %pair, error = %error, "links could not be read; every event gets a look");
                return vec![true; hints.len()];
            }
        };
        if planted::is(Bug::EventPayloadIsTheRecord) {
            let objects = hints.iter().map(|hint| hint.subject.object.as_ref());
            self.apply_all(&runtime, objects.zip(&links)).await;
        }
        let wanted = |(hint, link): (&Hint<'_>, Option<bothways_store::Link>)| {
            let seen = hint.subject.object.as_ref().filter(|_| hint.subject.effect == EventEffect::Upsert);
            match (link, seen) {
                // A closed link answers for the record; late events revive nothing (rule 34).
                (Some(link), seen) if !link.state.is_live() => {
                    let may_be_back = link.body.left_scope.is_some()
                        && seen.is_none_or(|seen| scope::is_back_there(&runtime.mapping, &link, seen));
                    may_be_back || planted::is(Bug::TombstoneRevived)
                }
                (Some(link), Some(seen)) => !quiet::remote(&runtime, &link, seen),
                (None, Some(seen)) => !seen.gone && runtime.mapping.remote_in_scope(&seen.body),
                (_, None) => true,
            }
        };
        hints.iter().zip(links).map(wanted).collect()
    }

    /// The loaded pairs of a connection's resource.
    fn pairs_of(&self, connection: &ConnectionName, resource: &str) -> impl Iterator<Item = PairId> {
        self.pairs()
            .filter(move |pair| pair.connection == *connection && pair.mapping.remote.resource == resource)
            .map(|pair| pair.id)
    }
}

fn about(subject: &EventSubject) -> About {
    About { resource: subject.resource.clone(), record: subject.id.clone(), effect: subject.effect }
}

/// Look at this remote record.
pub(crate) fn look_at(pair: PairId, id: RemoteId) -> Signal {
    Signal { pair, subject: Subject::Remote(id), look: true, not_before: None }
}

/// Counts what became of an event (rules 49, 67).
pub(crate) fn count(connection: &ConnectionName, outcome: &'static str) {
    metrics::counter!("bothways_events_total", "connection" => connection.0.clone(), "outcome" => outcome)
        .increment(1);
}
