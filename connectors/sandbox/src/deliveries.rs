//! Webhook deliveries: scheduled when an event happens, signed when they are sent, repeated with back-off until a 2xx.

use crate::endpoints::Endpoints;
use crate::events::Events;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};

/// After this long without a report, a delivery that was handed out is handed out again.
const REPORT_WITHIN: TimeDelta = TimeDelta::seconds(60);
/// How long a delivery waits to be overtaken before it goes anyway.
const OVERTAKE_WITHIN: TimeDelta = TimeDelta::seconds(5);

/// One attempt to deliver an event, ready to be posted.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Names this delivery when its outcome is reported with [`crate::Stripe::delivered`].
    pub id: String,
    /// The event.
    pub event: String,
    /// Where to post it.
    pub url: String,
    /// Header names in lower case and values, `stripe-signature` among them.
    pub headers: Vec<(String, String)>,
    /// The exact bytes that were signed.
    pub body: Vec<u8>,
}

/// How one delivery is to be scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) delay: TimeDelta,
    /// Waits until a later delivery to the same endpoint has been made.
    pub(crate) behind_next: bool,
}

#[derive(Clone, Debug)]
struct Outgoing {
    event: String,
    endpoint: String,
    due: Timestamp,
    failures: usize,
    behind_next: bool,
}

/// All deliveries of one account that are not finished.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deliveries {
    open: BTreeMap<u64, Outgoing>,
    due: BTreeSet<(Timestamp, u64)>,
    seq: u64,
}

impl Deliveries {
    /// How many are not finished.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    pub(crate) fn schedule(&mut self, event: &str, endpoint: &str, schedule: Schedule, now: Timestamp) {
        let wait = if schedule.behind_next { OVERTAKE_WITHIN } else { TimeDelta::zero() };
        let due = now + schedule.delay + wait;
        let outgoing = Outgoing {
            event: event.to_owned(),
            endpoint: endpoint.to_owned(),
            due,
            failures: 0,
            behind_next: schedule.behind_next,
        };
        self.due.insert((due, self.seq));
        self.open.insert(self.seq, outgoing);
        self.seq += 1;
    }

    /// Up to `limit` deliveries that are due, signed at `now`. Those of endpoints that are gone or disabled stop here.
    pub(crate) fn take_due(
        &mut self,
        events: &mut Events,
        endpoints: &Endpoints,
        limit: usize,
        now: Timestamp,
    ) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some((_, seq)) = self.due.first().copied().filter(|(due, _)| *due <= now) else { break };
            let Some(outgoing) = self.open.get(&seq) else { break };
            let endpoint = endpoints.find(&outgoing.endpoint).filter(|e| !e.disabled);
            let (Some(endpoint), Some(event)) = (endpoint, events.get(&outgoing.event)) else {
                self.give_up(seq, events);
                continue;
            };
            let body = event.text(endpoint.api_version.as_deref()).get().as_bytes().to_vec();
            let signature = sign(&endpoint.secrets(now), now.timestamp(), &body);
            taken.push(Delivery {
                id: delivery_id(seq),
                event: event.id.clone(),
                url: endpoint.url.clone(),
                headers: vec![
                    ("content-type".into(), "application/json; charset=utf-8".into()),
                    ("stripe-signature".into(), signature),
                    ("user-agent".into(), "Stripe/1.0 (+https://stripe.com/docs/webhooks)".into()),
                ],
                body,
            });
            self.postpone(seq, now + REPORT_WITHIN);
        }
        taken
    }

    /// Records the outcome of an attempt: the status that was answered, or none where there was no answer.
    pub(crate) fn report(
        &mut self,
        id: &str,
        status: Option<u16>,
        backoff: &[TimeDelta],
        events: &mut Events,
        now: Timestamp,
    ) {
        let Some(seq) = id.strip_prefix("del_").and_then(|n| n.parse().ok()) else { return };
        let Some(outgoing) = self.open.get_mut(&seq) else { return };
        let endpoint = outgoing.endpoint.clone();
        if status.is_some_and(|s| (200..300).contains(&s)) {
            if let Some(event) = events.get_mut(&outgoing.event) {
                event.pending = event.pending.saturating_sub(1);
            }
            self.remove(seq);
            self.release_overtaken(&endpoint, seq, now);
            return;
        }
        outgoing.failures += 1;
        match backoff.get(outgoing.failures - 1) {
            Some(wait) => self.postpone(seq, now + *wait),
            None => self.give_up(seq, events),
        }
    }

    /// What waited to be overtaken by delivery `seq` may go.
    fn release_overtaken(&mut self, endpoint: &str, seq: u64, now: Timestamp) {
        let waiting: Vec<u64> = self
            .open
            .range(..seq)
            .filter(|(_, o)| o.behind_next && o.endpoint == endpoint && o.due > now)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in waiting {
            if let Some(outgoing) = self.open.get_mut(&seq) {
                outgoing.behind_next = false;
            }
            self.postpone(seq, now);
        }
    }

    fn postpone(&mut self, seq: u64, until: Timestamp) {
        if let Some(outgoing) = self.open.get_mut(&seq) {
            self.due.remove(&(outgoing.due, seq));
            outgoing.due = until;
            self.due.insert((until, seq));
        }
    }

    fn give_up(&mut self, seq: u64, events: &mut Events) {
        if let Some(outgoing) = self.remove(seq)
            && let Some(event) = events.get_mut(&outgoing.event)
        {
            event.pending = event.pending.saturating_sub(1);
            event.undelivered = true;
        }
    }

    fn remove(&mut self, seq: u64) -> Option<Outgoing> {
        let outgoing = self.open.remove(&seq)?;
        self.due.remove(&(outgoing.due, seq));
        Some(outgoing)
    }
}

fn delivery_id(seq: u64) -> String {
    format!("del_{seq}")
}

/// The `Stripe-Signature` header: one `v1` for each secret in force.
pub(crate) fn sign(secrets: &[&str], at: i64, body: &[u8]) -> String {
    let mut header = format!("t={at}");
    for secret in secrets {
        // HMAC takes keys of any length; there is no error to handle.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
        mac.update(at.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        header.push_str(",v1=");
        header.push_str(&hex::encode(mac.finalize().into_bytes()));
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_stripes() {
        // Made with: printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let expected = "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
        assert_eq!(sign(&["whsec_test"], 1_700_000_000, br#"{"id":"evt_1"}"#), expected);
        assert_eq!(sign(&["a", "whsec_test"], 1, b"x").matches("v1=").count(), 2);
    }
}
