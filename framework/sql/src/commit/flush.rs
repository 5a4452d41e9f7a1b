//! Writing what a batch of units did to the engine's own tables, each table with few statements.

use super::batch::{Batch, WorkStep, identities};
use crate::connect::{DRAW, first_drawn};
use crate::connection::Connection;
use crate::error::ours;
use crate::keys::write_keys;
use crate::statement::{Arg, Bulk, Joint, Writes, list};
use crate::stored::{
    HISTORY, INTENT, LINK, LINK_UPSERT, StoredLink, history_args, intent_args, link_args, nanos,
};
use bothways_model::{Seq, Timestamp};
use bothways_store::{Awaited, IntentWrite, Result, WorkWrite};
use serde_json::json;

/// What a batch brings to those who wait, and who begins to (rule 35).
#[derive(Default)]
struct AwaitedHere {
    brought: Vec<String>,
    waiting: Vec<serde_json::Value>,
}

impl AwaitedHere {
    /// Makes due whoever waits for what is there, be it since now or since before they began to wait.
    fn release(&self, to: &mut Writes<'_>, now: Timestamp) {
        let due =
            "UPDATE bothways_work SET due = min(coalesce(due, ?1), ?1), awaits = NULL, held = NULL WHERE";
        if !self.brought.is_empty() {
            let sql = format!("{due} awaits IN (SELECT value FROM json_each(?2))");
            to.put(&sql, [nanos(now).into(), list(&self.brought)]);
        }
        if !self.waiting.is_empty() {
            let there = |side: &str, states: &str, found: &str| {
                format!(
                    "SELECT j.value ->> 0 FROM json_each(?2) AS j CROSS JOIN bothways_links AS l ON l.live = 1 AND \
                     l.pair = j.value ->> 1 AND l.{side}_id = j.value ->> 3 WHERE j.value ->> 2 = '{side}' AND \
                     l.state IN ({states}) AND l.local_id IS NOT NULL AND l.remote_id IS NOT NULL{found}"
                )
            };
            let row = there("local", "'linked'", " AND l.body ->> 'missing_since' IS NULL");
            let record = there("remote", "'linked', 'detached'", "");
            let sql = format!("{due} id IN ({row} UNION ALL {record})");
            to.put(&sql, [nanos(now).into(), list(&self.waiting)]);
        }
    }
}

impl Batch<'_> {
    /// Writes everything.
    pub(super) async fn flush(mut self, c: &mut Connection) -> Result<()> {
        std::mem::take(&mut self.brakes).flush(c, self.now).await?;
        let mut to = Writes::new(c);
        self.flush_links(&mut to).await?;
        self.flush_intents(&mut to).await?;
        let rows = self.history.iter().map(|entry| history_args(self.now, entry)).collect();
        let head = format!("INSERT INTO bothways_history ({HISTORY}) VALUES");
        to.bulk(&Bulk { head: &head, width: 12, tail: "" }, rows).await.map_err(ours)?;
        write_keys(&mut to, &self.keys).await?;
        let awaited = self.awaited();
        let now = self.now;
        self.flush_work(&mut to).await?;
        awaited.release(&mut to, now);
        to.connection().await.map(drop).map_err(ours)
    }

    /// Links that are bound on both sides from now on, and work that begins to wait for one.
    fn awaited(&self) -> AwaitedHere {
        let mut here = AwaitedHere::default();
        for id in &self.dirty {
            let Some(after) = self.links.get(id) else { continue };
            let before = self.stored.get(id).map(|link| Awaited::of(&link.link)).unwrap_or_default();
            let brought = Awaited::of(&after.link).into_iter().filter(|brought| !before.contains(brought));
            here.brought.extend(brought.map(|brought| brought.text()));
        }
        for step in &self.work {
            if let WorkStep::Write(WorkWrite::Wait { id, on: Some(on), .. }) = step {
                here.waiting.push(json!([id, on.pair, on.side.as_str(), on.id]));
            }
        }
        here
    }

    async fn flush_links(&self, to: &mut Writes<'_>) -> Result<()> {
        let links: Vec<&StoredLink> =
            self.dirty.iter().filter_map(|id| self.links.get(id).map(|l| &**l)).collect();
        // Links that give an id up step aside first, since another one of the batch may get it.
        let leaving: Vec<String> = links
            .iter()
            .filter(|after| {
                self.stored.get(&after.link.id).is_some_and(|before| {
                    let kept = identities(&after.link);
                    identities(&before.link).iter().any(|identity| !kept.contains(identity))
                })
            })
            .map(|link| link.link.id.to_string())
            .collect();
        if !leaving.is_empty() && links.len() > 1 {
            let sql = "UPDATE bothways_links SET live = 0 WHERE id IN (SELECT value FROM json_each(?))";
            to.put(sql, [list(&leaving)]);
        }
        // Most looks find nothing to do: they end with the lease alone changed.
        let (leases, whole): (Vec<_>, Vec<_>) = links.into_iter().partition(|after| {
            self.stored.get(&after.link.id).is_some_and(|before| {
                before.intents == after.intents && before.link.is_same_but_for_lease(&after.link)
            })
        });
        let leases = leases.into_iter().map(|after| {
            let lease = after.link.lease;
            let (token, until) = (lease.map(|l| l.token.0), lease.map(|l| nanos(l.until)));
            vec![after.link.id.to_string().into(), token.into(), until.into()]
        });
        let head = "UPDATE bothways_links SET token = v.column2, lease_until = v.column3 FROM (VALUES";
        let tail = ") AS v WHERE bothways_links.id = v.column1";
        to.bulk(&Bulk { head, width: 3, tail }, leases.collect()).await.map_err(ours)?;
        let head = format!("INSERT INTO bothways_links ({LINK}) VALUES");
        let rows = whole.into_iter().map(link_args).collect();
        to.bulk(&Bulk { head: &head, width: 17, tail: LINK_UPSERT }, rows).await.map_err(ours)
    }

    async fn flush_intents(&self, to: &mut Writes<'_>) -> Result<()> {
        let (mut opened, mut closed, mut sent) = (Vec::new(), Vec::new(), Vec::new());
        for write in &self.intents {
            match write {
                IntentWrite::Open(intent) => opened.push(intent_args(intent)),
                IntentWrite::Close { link, number, state, outcome } => closed.push(vec![
                    Arg::from(link.to_string()),
                    i64::from(*number).into(),
                    state.as_str().into(),
                    state.is_pending().into(),
                    outcome.as_str().into(),
                ]),
                IntentWrite::Sent { link, number, at } => {
                    sent.push(vec![
                        Arg::from(link.to_string()),
                        i64::from(*number).into(),
                        nanos(*at).into(),
                    ]);
                }
            }
        }
        let head = format!("INSERT INTO bothways_intents ({INTENT}) VALUES");
        let tail = "ON CONFLICT (link, number) DO NOTHING";
        to.bulk(&Bulk { head: &head, width: 13, tail }, opened).await.map_err(ours)?;
        let same = ") AS v WHERE bothways_intents.link = v.column1 AND bothways_intents.number = v.column2";
        let head = "UPDATE bothways_intents SET state = v.column3, pending = v.column4, outcome = v.column5 FROM (VALUES";
        to.bulk(&Bulk { head, width: 5, tail: same }, closed).await.map_err(ours)?;
        let head = "UPDATE bothways_intents SET sent_at = v.column3 FROM (VALUES";
        to.bulk(&Bulk { head, width: 3, tail: same }, sent).await.map_err(ours)
    }

    async fn flush_work(self, to: &mut Writes<'_>) -> Result<()> {
        let (mut subjects, mut signals) = (Vec::new(), 0_usize);
        for step in &self.work {
            if let WorkStep::Signal(signal) = step {
                subjects.push((signal.pair, signal.subject.clone()));
                signals += 1;
            }
        }
        let mut book = self.book;
        let mut generation = 0;
        if signals > 0 {
            let (sql, subjects) = book.want(subjects);
            let asked = Joint::default().then(DRAW, [signals.into()]).then(&sql, [subjects]);
            let [drawn, rows] = to.fetch(asked).await.map_err(ours)?;
            generation = first_drawn(&drawn, signals)?;
            book.take_rows(&rows)?;
        }
        for step in self.work {
            match step {
                WorkStep::Write(write) => book.write(&write, self.now),
                WorkStep::Signal(signal) => {
                    book.signal(&signal, None, Seq(generation), self.now);
                    generation += 1;
                }
            }
        }
        book.flush(to).await
    }
}
