//! Edits of the service that nobody could have seen: Stripe knows no conditional write, so what a person writes there between our read
//! and our write is replaced by the write. The sandbox's log shows whether an edit fell into that gap, and only then it is excused.

use crate::real::peer::Peer;
use reqwest::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A person's update.
    Theirs,
    /// An update of ours that changed something.
    Ours,
    /// A read of this one record.
    Read,
}

/// What happened to each record at the service, in order.
pub(crate) struct Races(BTreeMap<String, Vec<Seen>>);

impl Races {
    /// Reads the sandbox's log.
    pub(crate) async fn read(peer: &Peer) -> Self {
        let log = peer.steer(Method::GET, "/requests", None).await;
        let mut all: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        for request in log["requests"].as_array().expect("a log") {
            let Some(id) = request["path"].as_str().and_then(|path| path.strip_prefix("/v1/customers/"))
            else {
                continue;
            };
            let seen = match (request["method"].as_str(), &request["idempotency_key"]) {
                (Some("GET"), _) => Seen::Read,
                (_, Json::Null) => Seen::Theirs,
                _ if request["effective"] == true => Seen::Ours,
                _ => continue,
            };
            all.entry(id.to_owned()).or_default().push(seen);
        }
        Self(all)
    }

    /// Whether the record was not read between its `number`th update by people, from 0, and our next one.
    pub(crate) fn fell_between(&self, id: &str, number: usize) -> bool {
        let seen = self.0.get(id).map_or(&[][..], Vec::as_slice);
        let theirs = seen.iter().enumerate().filter(|(_, seen)| **seen == Seen::Theirs).nth(number);
        let Some((at, _)) = theirs else { return false };
        let next = seen[at + 1..].iter().find(|seen| **seen != Seen::Theirs);
        next == Some(&Seen::Ours)
    }
}
