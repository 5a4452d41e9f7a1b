//! Work that is due is taken, whoever does or does not nudge (rule 39).

use crate::fleet::Fleet;
use crate::sim::Sim;
use chrono::TimeDelta;

/// Whoever looks for due work does so every few seconds.
const LATE: TimeDelta = TimeDelta::seconds(12);
/// It is found late for so long, in microseconds: whoever was kept from it a moment ago has had time.
const STAYS: u64 = 8_000_000;

/// Watches for work that is due and that nobody takes.
#[derive(Default)]
pub(crate) struct Overdue {
    since: Option<u64>,
}

impl Overdue {
    /// Looks at this moment. `is_idle` says whether nobody is kept from working, by a frozen process or an answer that is long in coming.
    pub(crate) fn look(&mut self, sim: &Sim, fleet: &Fleet, is_idle: bool) -> Option<String> {
        let late = (is_idle && fleet.is_at_work()).then(|| late_work(sim)).flatten();
        let Some(late) = late else {
            self.since = None;
            return None;
        };
        let now = sim.executor.now();
        let since = *self.since.get_or_insert(now);
        (now > since + STAYS).then(|| format!("overdue: work is due for {late} seconds, and nobody takes it"))
    }
}

/// For how many seconds the oldest work is due, if that is too long. A pause, or what waits for approval, may be why.
fn late_work(sim: &Sim) -> Option<i64> {
    let backing = sim.table.store();
    let due = async {
        if !backing.store.pauses().await?.is_empty() {
            return Ok(None);
        }
        let works = |pair: &bothways_store::Pair| {
            pair.approval.is_some() && pair.walked_at.is_some() && pair.retired_at.is_none()
        };
        let pairs = backing.store.pairs().await?;
        let pairs: Vec<_> = pairs.iter().filter(|pair| works(pair)).map(|pair| pair.id).collect();
        backing.store.next_due(&pairs).await
    };
    let due = backing.run(due)?.ok()??;
    let late = sim.machine_time() - due;
    (late > LATE).then(|| late.num_seconds())
}
