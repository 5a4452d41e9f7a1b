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
use bothways_model::Seq;
use bothways_store::{IntentWrite, Result};

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
        self.flush_work(&mut to).await?;
        to.connection().await.map(drop).map_err(ours)
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
