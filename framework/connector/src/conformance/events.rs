//! Events, pulled and pushed.

use super::Made;
use super::driver::Driver;
use crate::{Connector, FeedQuery, Outcome, Rejected, Unverified};
use bothways_model::{Event, EventEffect, Timestamp};
use chrono::TimeDelta;
use std::collections::BTreeSet;

/// The feed tells of every record that was made, each event once.
pub(super) fn pulled(
    connector: &dyn Connector,
    resource: &str,
    driver: &mut Driver<'_>,
    made: &[Made],
    now: Timestamp,
) {
    let Some(feed) = connector.feed() else { return };
    let types = feed.types(resource);
    assert!(!types.is_empty(), "the feed knows no event type for `{resource}`");
    assert!(feed.types("no such resource").is_empty());
    let mut query = FeedQuery { since: now - TimeDelta::seconds(1), types, page: None };
    let mut events = Vec::new();
    for _ in 0..10_000 {
        match driver.run(feed.start(&query)).0 {
            Outcome::Events(page) => {
                events.extend(page.events);
                query.page = page.next;
            }
            other => panic!("the feed ended in {other:?}"),
        }
        if query.page.is_none() {
            tells_of(&events, resource, made);
            let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
            assert_eq!(ids.len(), events.len(), "the feed gave an event twice");
            return;
        }
    }
    panic!("the feed does not end")
}

/// Genuine deliveries are accepted and tell of every record that was made; tampered ones are not.
pub(super) fn pushed(
    connector: &dyn Connector,
    resource: &str,
    deliveries: Vec<Unverified>,
    made: &[Made],
    now: Timestamp,
) {
    let Some(webhook) = connector.webhook() else {
        panic!("there are deliveries, and no webhook to take them")
    };
    assert!(!deliveries.is_empty(), "the stand-in delivers nothing");
    let mut events = Vec::new();
    for delivery in deliveries {
        if !webhook.is_unsigned() {
            let mut tampered = delivery.clone();
            tampered.body.push(b' ');
            assert_eq!(rejected(webhook.verify(tampered, now)), Rejected::Mismatch, "a tampered body passed");
            let bare = Unverified { headers: Vec::new(), body: delivery.body.clone() };
            assert_eq!(
                rejected(webhook.verify(bare, now)),
                Rejected::Unsigned,
                "an unsigned delivery passed"
            );
        }
        let genuine =
            webhook.verify(delivery, now).unwrap_or_else(|e| panic!("a genuine delivery was rejected: {e}"));
        events.extend(webhook.decode(&genuine).unwrap_or_else(|e| panic!("a delivery cannot be read: {e}")));
    }
    tells_of(&events, resource, made);
}

fn tells_of(events: &[Event], resource: &str, made: &[Made]) {
    assert!(events.iter().all(|event| !event.unreadable), "an event cannot be read: {events:?}");
    for record in made {
        let told = events.iter().filter_map(|event| event.subject.as_ref()).any(|subject| {
            subject.resource == resource && subject.id == record.id && subject.effect == EventEffect::Upsert
        });
        assert!(told, "no event tells of {}", record.id);
    }
}

fn rejected<T>(result: Result<T, Rejected>) -> Rejected {
    match result {
        Ok(_) => panic!("a delivery that is not genuine was accepted"),
        Err(reason) => reason,
    }
}
