//! The relay: the change log becomes signals, facts and moved links, in one transaction (rules 29, 36, 37, 40).

use crate::connect::{DRAW, first_drawn};
use crate::error::ours;
use crate::statement::{Bulk, Joint, execute, fetch, fetch_optional, list};
use crate::stored::{get, time};
use crate::work_book::WorkBook;
use bothways_model::{FieldType, LocalId, PairId, Seq, Timestamp, Value};
use bothways_store::transition::displaced;
use bothways_store::{Fact, Relayed, Result, Signal, Subject};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::{HashMap, HashSet};

struct Change {
    id: i64,
    catalog: String,
    key: LocalId,
    op: String,
    old: Option<LocalId>,
    at: Timestamp,
}

struct PairOf {
    id: PairId,
    catalog: String,
    retired: bool,
}

/// Asks for the number of the last key change that is not relayed yet.
pub(crate) const LAST_REKEY: &str = "SELECT max(id) FROM bothways_changes WHERE op = 'rekey'";

/// The number of the last key change that is not relayed yet.
pub(crate) async fn last_rekey(c: &mut SqliteConnection) -> Result<Option<i64>> {
    let row = fetch_optional(c, LAST_REKEY, []).await.map_err(ours)?;
    row.map_or(Ok(None), |row| get(&row, 0))
}

/// Relays everything up to change number `upto`.
pub(crate) async fn relay_upto(c: &mut SqliteConnection, now: Timestamp, upto: i64) -> Result<()> {
    let changes = read(c, "id <= ?", upto, i64::MAX).await?;
    carry(c, now, changes).await
}

/// Relays up to `limit` entries, and then as many as follow without a gap in a chain of key changes.
pub(crate) async fn relay(c: &mut SqliteConnection, now: Timestamp, limit: usize) -> Result<Relayed> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut changes = read(c, "id > ?", 0, limit.saturating_add(1)).await?;
    let mut more = changes.len() as i64 > limit;
    if more {
        let last = changes.pop();
        if last.is_some_and(|change| change.op == "rekey") {
            let from = changes.last().map_or(0, |change| change.id);
            let rest = read(c, "id > ?", from, i64::MAX).await?;
            let chain = rest.iter().take_while(|change| change.op == "rekey").count();
            more = chain < rest.len();
            changes.extend(rest.into_iter().take(chain));
        }
    }
    let entries = changes.len() as u64;
    carry(c, now, changes).await?;
    Ok(Relayed { entries, more })
}

async fn read(c: &mut SqliteConnection, filter: &str, bound: i64, limit: i64) -> Result<Vec<Change>> {
    let sql = format!(
        "SELECT id, catalog, key, op, old_key, at FROM bothways_changes WHERE {filter} ORDER BY id LIMIT ?"
    );
    let rows = fetch(c, sql, [bound.into(), limit.into()]).await.map_err(ours)?;
    rows.iter()
        .map(|row| {
            // Written by a trigger; whatever is wrong with it, the change itself counts.
            let at = match Value::from_text(&FieldType::Timestamp, get(row, 5)?) {
                Ok(Value::Timestamp(at)) => at,
                _ => time(0),
            };
            Ok(Change {
                id: get(row, 0)?,
                catalog: get(row, 1)?,
                key: get::<String>(row, 2)?.into(),
                op: get(row, 3)?,
                old: get::<Option<String>>(row, 4)?.map(Into::into),
                at,
            })
        })
        .collect()
}

async fn carry(c: &mut SqliteConnection, now: Timestamp, changes: Vec<Change>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
    let joint = Joint::default()
        .then("DELETE FROM bothways_changes WHERE id IN (SELECT value FROM json_each(?))", [list(&ids)])
        .then("SELECT id, catalog, retired_at IS NOT NULL FROM bothways_pairs ORDER BY id", []);
    let [_, found] = joint.fetch(c).await.map_err(ours)?;
    let pairs = pairs(&found)?;
    let mut of_catalog: HashMap<&str, Vec<&PairOf>> = HashMap::new();
    for pair in &pairs {
        of_catalog.entry(pair.catalog.as_str()).or_default().push(pair);
    }
    let reached: Vec<(&Change, &PairOf)> = changes
        .iter()
        .flat_map(|change| {
            of_catalog.get(change.catalog.as_str()).into_iter().flatten().map(move |p| (change, *p))
        })
        .collect();
    if reached.is_empty() {
        return Ok(());
    }
    let mut work = WorkBook::default();
    let mut moves = Moves::default();
    moves.load(c, &reached).await?;
    let mut subjects: HashSet<(PairId, Subject)> = HashSet::new();
    for (change, pair) in &reached {
        subjects.insert((pair.id, Subject::Local(change.key.clone())));
        if let Some(old) = &change.old {
            subjects.insert((pair.id, Subject::Local(old.clone())));
        }
    }
    let (sql, subjects) = work.want(subjects);
    let joint = Joint::default().then(DRAW, [reached.len().into()]).then(&sql, [subjects]);
    let [drawn, found] = joint.fetch(c).await.map_err(ours)?;
    work.take_rows(&found)?;
    let mut generation = first_drawn(&drawn, reached.len())?;
    for (change, pair) in reached {
        if let Some(old) = &change.old {
            moves.rekey(&mut work, now, change.id, pair.id, old, &change.key);
        }
        if !pair.retired {
            let fact = (change.op == "delete").then_some(Fact::Deleted { change: change.id, at: change.at });
            let subject = Subject::Local(change.key.clone());
            let signal = Signal { pair: pair.id, subject, look: false, not_before: None };
            work.signal(&signal, fact, Seq(generation), now);
            generation += 1;
        }
    }
    moves.flush(c).await?;
    work.flush(c).await
}

fn pairs(rows: &[SqliteRow]) -> Result<Vec<PairOf>> {
    rows.iter()
        .map(|row| Ok(PairOf { id: PairId(get(row, 0)?), catalog: get(row, 1)?, retired: get(row, 2)? }))
        .collect()
}

/// Links and match keys whose local id changes: followed in memory change by change, written as a set.
#[derive(Default)]
struct Moves {
    /// Who is where now: links by (pair, local id).
    links: HashMap<(PairId, LocalId), Vec<String>>,
    /// Match keys that are where they were, or have moved.
    keys: HashMap<(PairId, LocalId), i64>,
    moved_links: HashMap<String, LocalId>,
    moved_keys: HashMap<i64, LocalId>,
    dropped_keys: Vec<i64>,
}

impl Moves {
    /// Reads the links and match keys that any key change in `reached` can touch.
    async fn load(&mut self, c: &mut SqliteConnection, reached: &[(&Change, &PairOf)]) -> Result<()> {
        let mut ids: HashMap<PairId, HashSet<&str>> = HashMap::new();
        for (change, pair) in reached {
            if let Some(old) = &change.old {
                ids.entry(pair.id).or_default().extend([old.as_str(), change.key.as_str()]);
            }
        }
        for (pair, ids) in ids {
            let ids = list(&ids.into_iter().collect::<Vec<_>>());
            let sql = "SELECT id, local_id FROM bothways_links WHERE live = 1 AND pair = ?1 AND local_id IN (SELECT value FROM json_each(?2)) \
                       UNION ALL \
                       SELECT id, local_id FROM bothways_links WHERE live = 0 AND pair = ?1 AND local_id IN (SELECT value FROM json_each(?2))";
            for row in fetch(c, sql, [pair.0.into(), ids.clone()]).await.map_err(ours)? {
                let at = (pair, LocalId(get(&row, 1)?));
                self.links.entry(at).or_default().push(get(&row, 0)?);
            }
            let sql = "SELECT rowid, id FROM bothways_keys WHERE pair = ? AND side = 'local' AND id IN (SELECT value FROM json_each(?))";
            for row in fetch(c, sql, [pair.0.into(), ids]).await.map_err(ours)? {
                self.keys.insert((pair, LocalId(get(&row, 1)?)), get(&row, 0)?);
            }
        }
        Ok(())
    }

    fn rekey(
        &mut self,
        work: &mut WorkBook,
        now: Timestamp,
        number: i64,
        pair: PairId,
        old: &LocalId,
        new: &LocalId,
    ) {
        if self.links.contains_key(&(pair, new.clone())) {
            self.move_local(work, pair, new, &displaced(new, number));
        } else if work.get(pair, &Subject::Local(new.clone())).is_some() {
            work.change(pair, &Subject::Local(new.clone()), now, |row| row.work.facts.clear());
        }
        if let Some(key) = self.keys.remove(&(pair, new.clone())) {
            self.moved_keys.remove(&key);
            self.dropped_keys.push(key);
        }
        if let Some(key) = self.keys.remove(&(pair, old.clone())) {
            self.moved_keys.insert(key, new.clone());
            self.keys.insert((pair, new.clone()), key);
        }
        self.move_local(work, pair, old, new);
    }

    fn move_local(&mut self, work: &mut WorkBook, pair: PairId, from: &LocalId, to: &LocalId) {
        if let Some(links) = self.links.remove(&(pair, from.clone())) {
            for link in &links {
                self.moved_links.insert(link.clone(), to.clone());
            }
            self.links.insert((pair, to.clone()), links);
        }
        work.rename(pair, &Subject::Local(from.clone()), &Subject::Local(to.clone()));
    }

    async fn flush(self, c: &mut SqliteConnection) -> Result<()> {
        if !self.moved_links.is_empty() {
            // Out of each other's way first, so that a swap meets no unique index.
            let ids: Vec<&String> = self.moved_links.keys().collect();
            let sql =
                "UPDATE bothways_links SET local_id = NULL WHERE id IN (SELECT value FROM json_each(?))";
            execute(c, sql, [list(&ids)]).await.map_err(ours)?;
            let rows = self.moved_links.into_iter().map(|(id, to)| vec![id.into(), to.0.into()]).collect();
            let head = "UPDATE bothways_links SET local_id = v.column2 FROM (VALUES";
            let tail = ") AS v WHERE bothways_links.id = v.column1";
            Bulk { head, width: 2, tail }.run(c, rows).await.map_err(ours)?;
        }
        if !self.dropped_keys.is_empty() {
            let sql = "DELETE FROM bothways_keys WHERE rowid IN (SELECT value FROM json_each(?))";
            execute(c, sql, [list(&self.dropped_keys)]).await.map_err(ours)?;
        }
        if !self.moved_keys.is_empty() {
            let ids: Vec<&i64> = self.moved_keys.keys().collect();
            let sql = "UPDATE bothways_keys SET side = 'moving', id = rowid WHERE rowid IN (SELECT value FROM json_each(?))";
            execute(c, sql, [list(&ids)]).await.map_err(ours)?;
            let rows = self.moved_keys.into_iter().map(|(id, to)| vec![id.into(), to.0.into()]).collect();
            let head = "UPDATE bothways_keys SET side = 'local', id = v.column2 FROM (VALUES";
            let tail = ") AS v WHERE bothways_keys.rowid = v.column1";
            Bulk { head, width: 2, tail }.run(c, rows).await.map_err(ours)?;
        }
        Ok(())
    }
}
