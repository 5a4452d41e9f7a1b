//! Answers and stored things as text that can be compared: what two stores, or two orders, may differ in is left out.

use super::Scene;
use crate::{
    Fact, HistoryFilter, LinkFilter, ParkedFilter, PauseScope, Store, Taken, UnitOutcome, Work, WorkId,
};
use bothways_model::Timestamp;

/// Another program's clock is its own; and a row that is made and merged in one transaction uses up a number in one store only.
fn work(mut work: Work) -> String {
    work.id = WorkId(0);
    work.changed = work.changed.map(|_| Timestamp::UNIX_EPOCH);
    for fact in &mut work.facts {
        let Fact::Deleted { at, .. } = fact;
        *at = Timestamp::UNIX_EPOCH;
    }
    format!("{work:?}")
}

pub(super) fn works(mut all: Vec<Work>) -> String {
    all.sort_by(|a, b| (a.pair, &a.subject).cmp(&(b.pair, &b.subject)));
    all.into_iter().map(work).collect::<Vec<_>>().join("\n")
}

pub(super) fn taken(taken: Taken) -> String {
    let work: Vec<String> = taken.work.iter().cloned().map(work).collect();
    format!("{work:?} {:?}", Taken { work: Vec::new(), ..taken })
}

/// The words of a refusal are the table's own.
pub(super) fn outcome(outcome: UnitOutcome) -> String {
    match outcome {
        UnitOutcome::RowRefused { .. } => "refused".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Everything that can be asked of a store, in the order of the things themselves.
pub async fn everything(store: &dyn Store, scene: &Scene) -> String {
    let mut all = Vec::new();
    let links = store.links(&LinkFilter::default(), None, 999).await.expect("links");
    for link in &links {
        all.push(format!("{link:?} {:?}", store.intents(link.id, 99).await.expect("intents")));
    }
    let mut found = Vec::new();
    for id in 0..40 {
        found.extend(store.work(WorkId(id)).await.expect("work"));
    }
    all.push(works(found));
    for row in store.rows("customers", None, None, 999).await.expect("rows").rows {
        all.push(format!("{row:?}"));
    }
    for pair in store.pairs().await.expect("pairs") {
        all.push(format!("{pair:?} {:?}", store.counts(pair.id).await.expect("counts")));
        all.push(format!("{:?}", store.unlinked_groups(pair.id, None, 99).await.expect("groups")));
    }
    all.push(works(store.parked(&ParkedFilter::default(), None, 99).await.expect("parked work")));
    all.push(format!("{:?}", store.cursor("feed/stripe").await.expect("a cursor")));
    let mut history = store.history(&HistoryFilter::default(), None, 99).await.expect("history");
    history.iter_mut().for_each(|row| row.id = 0);
    all.push(format!("{history:?}"));
    let pauses = store.pauses().await.expect("pauses");
    all.push(format!("{:?}", pauses.iter().filter(|p| p.scope != PauseScope::All).collect::<Vec<_>>()));
    all.push(format!("{:?}", store.audits(99).await.expect("audits")));
    all.push(format!("{:?}", store.next_due(&[scene.pair, scene.other]).await.expect("a time")));
    all.push(format!("{:?}", store.drained(i64::MAX).await.expect("an answer")));
    all.push(format!("{:?}", store.draw(1).await.expect("a number")));
    all.join("\n")
}
