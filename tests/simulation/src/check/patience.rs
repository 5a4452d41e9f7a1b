//! An outage is nobody's fault: it parks nothing (rules 42, 46).

use super::Snapshot;
use bothways_store::ParkReason;

/// What the errors of a service begin with that is away or asks us to slow down.
const OUTAGES: [&str; 6] =
    ["throttle", "retry 502", "retry 503", "retry 504", "no answer", "could not connect"];

/// Work that was parked for an outage. Replays would make up for it, so this is asked before them.
pub(crate) fn patience(snapshot: &Snapshot) -> Vec<String> {
    let parked = snapshot.parked.iter().filter_map(|work| Some((work, work.parked.as_ref()?)));
    parked
        .filter(|(_, parked)| parked.reason == ParkReason::Error)
        .filter(|(_, parked)| {
            let error =
                parked.message.split_once("; last: ").map_or(parked.message.as_str(), |(_, last)| last);
            OUTAGES.iter().any(|outage| error.starts_with(outage))
        })
        .map(|(work, parked)| format!("{:?} is parked for an outage ({})", work.subject, parked.message))
        .collect()
}
