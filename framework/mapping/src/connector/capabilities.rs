//! What a resource can do, derived from its calls. Nothing probes a service.

use super::{ConnectorSpec, EventRule, Returns, Sends};
use bothways_model::{Capabilities, FindCapability, Idempotency};
use std::time::Duration;

impl ConnectorSpec {
    /// What `resource` can do; nothing, if there is no such resource.
    pub fn capabilities(&self, resource: &str) -> Capabilities {
        let Some(spec) = self.resources.get(resource) else { return Capabilities::default() };
        let tells = spec.events.iter().any(|(_, rule)| *rule != EventRule::Ignore);
        let events = self.events.as_ref().filter(|_| tells);
        let feed = events.and_then(|e| e.feed.as_ref());
        Capabilities {
            list: spec.list.is_some(),
            get: spec.get.is_some(),
            find: spec
                .find
                .iter()
                .map(|find| FindCapability {
                    path: find.path.clone(),
                    folds: find.folds.iter().map(|f| f.as_str().to_owned()).collect(),
                    consistent: find.consistent,
                })
                .collect(),
            create: spec.create.is_some(),
            update: spec.update.is_some(),
            delete: spec.delete.is_some(),
            irreversible_delete: spec.delete.as_ref().is_some_and(|d| d.irreversible),
            upsert: spec.upsert.is_some(),
            recover: spec.recover.is_some(),
            since: spec.since.is_some() || spec.delta.is_some(),
            since_token: spec.delta.is_some(),
            since_starts_now: spec.delta.as_ref().is_some_and(|d| d.start.is_some()),
            feed: feed.is_some(),
            webhook: events.is_some_and(|e| e.webhook.is_some()),
            changed_at: spec.changed_at.is_some(),
            update_returns_record: spec.update.as_ref().is_some_and(|u| u.call.returns == Returns::Record),
            update_is_conditional: spec.update.as_ref().is_some_and(|u| u.if_match.is_some()),
            update_overwrites: spec.update.as_ref().is_some_and(|u| u.sends != Sends::Changed),
            update_is_guarded: spec.update.as_ref().is_some_and(|u| u.call.when.is_some()),
            idempotency: self.http.idempotency.as_ref().map(|i| Idempotency { keeps_ms: ms(i.keeps) }),
            since_overlap_ms: spec.since.as_ref().map_or(0, |s| ms(s.at.format.resolution() + s.lag)),
            feed_overlap_ms: feed.map_or(0, |f| ms(f.resolution + f.lag)),
            feed_retention_ms: feed.and_then(|f| f.retention).map(ms),
            timeout_ms: ms(self.http.timeout),
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
