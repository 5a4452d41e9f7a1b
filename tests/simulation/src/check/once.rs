//! One record per row (invariant 5): links are a bijection, and nothing was made twice.

use super::Snapshot;
use crate::ledger::Ledger;
use crate::sim::Sim;
use std::collections::BTreeMap;

/// What there is more than once.
pub(crate) fn once(snapshot: &Snapshot, sim: &Sim) -> Vec<String> {
    let (place, ledger) = (snapshot.place, &*sim.ledger(snapshot.place.kind));
    let mut findings = Vec::new();
    let mut rows: BTreeMap<&str, u32> = BTreeMap::new();
    let mut records: BTreeMap<&str, u32> = BTreeMap::new();
    for link in snapshot.live_links() {
        if let Some(id) = &link.local_id {
            *rows.entry(id.as_str()).or_default() += 1;
        }
        if let Some(id) = &link.remote_id {
            *records.entry(id.as_str()).or_default() += 1;
        }
    }
    let twice = |side: &str, of: BTreeMap<&str, u32>| -> Vec<String> {
        of.iter().filter(|(_, n)| **n > 1).map(|(id, n)| format!("{side} {id} has {n} live links")).collect()
    };
    findings.extend(twice("row", rows));
    findings.extend(twice("record", records));
    // One create of ours for each link.
    let mut stamps: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, record) in &snapshot.records {
        if let Some(stamp) = place.stamp(record) {
            stamps.entry(stamp).or_default().push(id);
        }
    }
    for (stamp, ids) in stamps.iter().filter(|(_, ids)| ids.len() > 1) {
        findings.push(format!("records {} all carry the stamp {stamp}", ids.join(", ")));
    }
    // One live record of ours for each row that lives.
    let mut made: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let made_here = ledger.records.iter().filter(|(id, thing)| place.owns(id) && thing.born_by.is_engine());
    for (id, thing) in made_here {
        let Some(link) =
            thing.stamp.as_ref().and_then(|stamp| snapshot.links.iter().find(|l| l.id.to_string() == *stamp))
        else {
            findings.push(format!("record {id} was created for a link that nobody knows"));
            continue;
        };
        for row in ledger.claimed_by(link.id).filter(|row| ledger.row(*row).is_some()) {
            made.entry(row).or_default().push(id);
        }
    }
    for (row, ids) in made.iter().filter(|(_, ids)| ids.len() > 1) {
        findings
            .push(format!("records {} were all created for one living row (entity {row})", ids.join(", ")));
    }
    findings.extend(rows_made_twice(snapshot, ledger));
    findings
}

/// Rows that engines made of one record which still lives.
fn rows_made_twice(snapshot: &Snapshot, ledger: &Ledger) -> Vec<String> {
    let mut made: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for link in &snapshot.links {
        let Some(remote) = link.remote_id.as_ref().filter(|id| ledger.records.contains_key(id.as_str()))
        else {
            continue;
        };
        let of_engines = |row: &u64| ledger.row(*row).is_some_and(|row| row.born_by.is_engine());
        // What its link brought along from a record that was merged into this one was made of that one (rule 26).
        let of_this = |row: &u64| !ledger.is_made_of_another(*row, remote.as_str());
        let rows = ledger.claimed_by(link.id).filter(of_engines).filter(of_this);
        let rows = rows.map(|row| row.to_string());
        made.entry(remote.as_str()).or_default().extend(rows);
    }
    let twice = made.into_iter().filter(|(_, rows)| rows.len() > 1);
    twice
        .map(|(record, rows)| format!("rows (entities {}) were all made of record {record}", rows.join(", ")))
        .collect()
}
