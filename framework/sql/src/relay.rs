//! The relay: the change log becomes signals, facts and moved links, in one transaction (rules 29, 36, 37, 40).

use crate::connect::{DRAW, first_drawn};
use crate::connection::Connection;
use crate::error::ours;
use crate::statement::{Arg, Bulk, Joint, Writes, columns_of, fetch, fetch_optional, list};
use crate::stored::{WORK, get, time};
use crate::tuple::Tuple;
use crate::work_book::WorkBook;
use bothways_model::{FieldType, LocalId, PairId, Seq, Timestamp, Value};
use bothways_store::transition::displaced;
use bothways_store::{Fact, Relayed, Result, Signal, Subject};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

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

/// Asks for the number of the last key change that is not relayed yet, and whether there are such deletes.
pub(crate) const WAITING: &str = "SELECT (SELECT max(id) FROM bothways_changes WHERE op = 'rekey'), \
                                  EXISTS (SELECT 1 FROM bothways_changes WHERE op = 'delete')";
const LAST_REKEY: &str = "SELECT max(id) FROM bothways_changes WHERE op = 'rekey'";

/// The number of the last key change that is not relayed yet.
pub(crate) async fn last_rekey(c: &mut Connection) -> Result<Option<i64>> {
    let row = fetch_optional(c, LAST_REKEY, []).await.map_err(ours)?;
    row.map_or(Ok(None), |row| get(&row, 0))
}

/// Relays everything up to change number `upto`.
pub(crate) async fn relay_upto(c: &mut Connection, now: Timestamp, upto: i64) -> Result<()> {
    let changes = read_all(c, "id <= ?", upto).await?;
    let [pairs] = Joint::default().then(PAIRS, []).fetch(c).await.map_err(ours)?;
    let mut writes = Writes::new(c);
    carry(&mut writes, now, changes, &read_pairs(&pairs)?, None).await?;
    writes.connection().await.map(drop).map_err(ours)
}

/// Relays the captured deletes of these rows, so that a row that has such an id now is never taken for it (rule 30). False if there
/// are none.
pub(crate) async fn relay_deletes(
    c: &mut Connection,
    now: Timestamp,
    rows: impl Iterator<Item = (PairId, &LocalId)>,
) -> Result<bool> {
    let [pairs] = Joint::default().then(PAIRS, []).fetch(c).await.map_err(ours)?;
    let pairs = read_pairs(&pairs)?;
    let mut ids: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (pair, id) in rows {
        if let Some(of) = pairs.iter().find(|of| of.id == pair) {
            ids.entry(of.catalog.as_str()).or_default().insert(id.as_str());
        }
    }
    let mut changes = Vec::new();
    for (catalog, ids) in ids {
        let sql = format!(
            "SELECT {CHANGE} FROM bothways_changes WHERE op = 'delete' AND catalog = ? AND key IN (SELECT value FROM json_each(?))"
        );
        let ids = list(&ids.into_iter().collect::<Vec<_>>());
        for row in fetch(c, sql, [catalog.into(), ids]).await.map_err(ours)? {
            changes.push(read_change(&row)?);
        }
    }
    if changes.is_empty() {
        return Ok(false);
    }
    changes.sort_by_key(|change| change.id);
    let mut writes = Writes::new(c);
    carry(&mut writes, now, changes, &pairs, None).await?;
    writes.connection().await.map_err(ours)?;
    Ok(true)
}

/// Which of these rows may be others than the engine knows them as: a captured delete or key change that names their id is not relayed
/// yet, or came in since the row was taken.
pub(crate) async fn moved_rows(
    c: &mut Connection,
    rows: HashMap<PairId, HashSet<&str>>,
) -> Result<HashSet<(PairId, LocalId)>> {
    let mut moved = HashSet::new();
    for (pair, ids) in rows {
        let part = |op: &str, column: &str| {
            format!(
                "SELECT c.{column} FROM bothways_pairs AS p CROSS JOIN bothways_changes AS c ON c.op = '{op}' AND c.catalog = p.catalog \
                 AND c.{column} IN (SELECT value FROM json_each(?2)) WHERE p.id = ?1"
            )
        };
        let known = "SELECT subject FROM bothways_work WHERE facts IS NOT NULL AND generation > taken AND pair = ?1 AND kind = 'local' \
                     AND subject IN (SELECT value FROM json_each(?2))";
        let parts = [part("delete", "key"), part("rekey", "key"), part("rekey", "old_key"), known.to_owned()];
        let ids = list(&ids.into_iter().collect::<Vec<_>>());
        for row in fetch(c, parts.join(" UNION "), [pair.0.into(), ids]).await.map_err(ours)? {
            moved.insert((pair, LocalId(get(&row, 0)?)));
        }
    }
    Ok(moved)
}

/// Asks whether there may be any such rows at all.
pub(crate) const ANY_MOVED: &str = "SELECT EXISTS (SELECT 1 FROM bothways_changes WHERE op = 'delete') \
                                    OR EXISTS (SELECT 1 FROM bothways_changes WHERE op = 'rekey') \
                                    OR EXISTS (SELECT 1 FROM bothways_work WHERE facts IS NOT NULL)";

/// Relays up to `limit` entries, and then as many as follow without a gap in a chain of key changes.
pub(crate) async fn relay(c: &mut Connection, now: Timestamp, limit: usize) -> Result<Relayed> {
    let captured = Captured::read(&Captured::questions(limit).fetch(c).await.map_err(ours)?)?;
    let mut writes = Writes::new(c);
    let relayed = captured.relay(&mut writes, now, limit).await?;
    writes.connection().await.map_err(ours)?;
    Ok(relayed)
}

const PAIRS: &str = "SELECT id, catalog, retired_at IS NOT NULL FROM bothways_pairs ORDER BY id";
const CHANGE: &str = "id, catalog, key, op, old_key, at";

/// The texts of [`Captured::questions`].
static CAPTURED: LazyLock<[String; 3]> = LazyLock::new(|| {
    let log = "SELECT catalog, key FROM bothways_changes ORDER BY id LIMIT ?";
    // Distinct, since a row that changes again and again has one work row.
    let work = format!(
        "SELECT {} FROM (SELECT DISTINCT catalog, key FROM ({log})) AS c CROSS JOIN bothways_pairs AS p ON p.catalog = c.catalog \
         CROSS JOIN bothways_work AS w ON w.pair = p.id AND w.kind = 'local' AND w.subject = c.key",
        columns_of("w", WORK)
    );
    let draw = format!(
        "UPDATE bothways_counter SET value = value + (SELECT count(*) FROM ({log}) AS c JOIN bothways_pairs AS p \
         ON p.catalog = c.catalog) \
         WHERE EXISTS (SELECT 1 FROM bothways_changes) AND NOT EXISTS (SELECT 1 FROM bothways_changes WHERE op = 'rekey') \
         RETURNING value - (SELECT count(*) FROM ({log}) AS c JOIN bothways_pairs AS p ON p.catalog = c.catalog) + 1"
    );
    [format!("SELECT {CHANGE} FROM bothways_changes ORDER BY id LIMIT ?"), work, draw]
});

/// What the log holds, and all that is needed to relay it where no key has changed.
pub(crate) struct Captured {
    changes: Vec<Change>,
    pairs: Vec<PairOf>,
    /// Work that is there already.
    work: WorkBook,
    /// The first of as many numbers as are needed; `None` if a key has changed.
    first: Option<i64>,
}

impl Captured {
    /// How many [`Captured::questions`] there are.
    pub(crate) const QUESTIONS: usize = 4;

    /// Asks for up to `limit` entries and one more, so that it shows whether there are more.
    pub(crate) fn questions(limit: usize) -> Joint {
        let one_more = || [Arg::from(limit.saturating_add(1))];
        let [changes, work, draw] = &*CAPTURED;
        Joint::default()
            .then(changes, one_more())
            .then(PAIRS, [])
            .then(work, one_more())
            .then(draw, [limit.into(), limit.into()])
    }

    /// Reads the answers.
    pub(crate) fn read(answers: &[Vec<Tuple>; Self::QUESTIONS]) -> Result<Self> {
        let [changes, pairs, work, drawn] = answers;
        let mut book = WorkBook::default();
        book.take_rows(work)?;
        Ok(Self {
            changes: changes.iter().map(read_change).collect::<Result<_>>()?,
            pairs: read_pairs(pairs)?,
            work: book,
            first: drawn.first().map(|row| get(row, 0)).transpose()?,
        })
    }

    /// Relays.
    pub(crate) async fn relay(
        self,
        writes: &mut Writes<'_>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Relayed> {
        let Self { mut changes, pairs, work, first } = self;
        let mut more = changes.len() > limit;
        if more {
            let last = changes.pop();
            if last.is_some_and(|change| change.op == "rekey") {
                let from = changes.last().map_or(0, |change| change.id);
                let rest = read_all(writes.connection().await.map_err(ours)?, "id > ?", from).await?;
                let chain = rest.iter().take_while(|change| change.op == "rekey").count();
                more = chain < rest.len();
                changes.extend(rest.into_iter().take(chain));
            }
        }
        let entries = changes.len() as u64;
        let known = first.map(|first| (work, first));
        carry(writes, now, changes, &pairs, known).await?;
        Ok(Relayed { entries, more })
    }
}

fn read_change(row: &Tuple) -> Result<Change> {
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
}

async fn read_all(c: &mut Connection, filter: &str, bound: i64) -> Result<Vec<Change>> {
    let sql = format!("SELECT {CHANGE} FROM bothways_changes WHERE {filter} ORDER BY id");
    fetch(c, sql, [bound.into()]).await.map_err(ours)?.iter().map(read_change).collect()
}

/// Relays these changes. `known` is the work of all their rows and the first of enough numbers, where no key has changed.
async fn carry(
    writes: &mut Writes<'_>,
    now: Timestamp,
    changes: Vec<Change>,
    pairs: &[PairOf],
    known: Option<(WorkBook, i64)>,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
    writes.put("DELETE FROM bothways_changes WHERE id IN (SELECT value FROM json_each(?))", [list(&ids)]);
    let mut of_catalog: HashMap<&str, Vec<&PairOf>> = HashMap::new();
    for pair in pairs {
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
    let mut moves = Moves::default();
    let (mut work, mut generation) = match known {
        Some(known) => known,
        None => {
            let c = writes.connection().await.map_err(ours)?;
            moves.load(c, &reached).await?;
            read_work_of(c, &reached).await?
        }
    };
    for (change, pair) in reached {
        if let Some(old) = &change.old {
            moves.rekey(&mut work, now, change.id, pair.id, old, &change.key);
        }
        if !pair.retired {
            let fact = (change.op == "delete").then_some(Fact::Deleted { change: change.id, at: change.at });
            let subject = Subject::Local(change.key.clone());
            let signal = Signal { pair: pair.id, subject, look: false, not_before: None };
            work.signal(&signal, fact, Seq(generation), now);
            work.change(pair.id, &signal.subject, now, |row| row.changed(change.at));
            generation += 1;
        }
    }
    moves.flush(writes).await?;
    work.flush(writes).await
}

/// The work of all rows that these changes name, by old keys too, and the first of as many numbers as there are changes.
async fn read_work_of(c: &mut Connection, reached: &[(&Change, &PairOf)]) -> Result<(WorkBook, i64)> {
    let mut subjects: HashSet<(PairId, Subject)> = HashSet::new();
    for (change, pair) in reached {
        subjects.insert((pair.id, Subject::Local(change.key.clone())));
        if let Some(old) = &change.old {
            subjects.insert((pair.id, Subject::Local(old.clone())));
        }
    }
    let mut work = WorkBook::default();
    let (sql, subjects) = work.want(subjects);
    let joint = Joint::default().then(DRAW, [reached.len().into()]).then(&sql, [subjects]);
    let [drawn, found] = joint.fetch(c).await.map_err(ours)?;
    work.take_rows(&found)?;
    Ok((work, first_drawn(&drawn, reached.len())?))
}

fn read_pairs(rows: &[Tuple]) -> Result<Vec<PairOf>> {
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
    /// What brakes withhold of rows without a link.
    charges: HashMap<(PairId, LocalId), Vec<i64>>,
    moved_charges: HashMap<i64, LocalId>,
}

impl Moves {
    /// Reads the links and match keys that any key change in `reached` can touch.
    async fn load(&mut self, c: &mut Connection, reached: &[(&Change, &PairOf)]) -> Result<()> {
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
            for row in fetch(c, sql, [pair.0.into(), ids.clone()]).await.map_err(ours)? {
                self.keys.insert((pair, LocalId(get(&row, 1)?)), get(&row, 0)?);
            }
            let sql = "SELECT rowid, substr(key, 5) FROM bothways_charges WHERE pair = ? AND state IN ('announced', 'withheld') \
                       AND key IN (SELECT 'row ' || value FROM json_each(?))";
            for row in fetch(c, sql, [pair.0.into(), ids]).await.map_err(ours)? {
                self.charges.entry((pair, LocalId(get(&row, 1)?))).or_default().push(get(&row, 0)?);
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
        if let Some(charges) = self.charges.remove(&(pair, from.clone())) {
            self.moved_charges.extend(charges.iter().map(|charge| (*charge, to.clone())));
            self.charges.insert((pair, to.clone()), charges);
        }
        work.rename(pair, &Subject::Local(from.clone()), &Subject::Local(to.clone()));
    }

    async fn flush(self, to: &mut Writes<'_>) -> Result<()> {
        if !self.moved_links.is_empty() {
            // Out of each other's way first, so that a swap meets no unique index.
            let ids: Vec<&String> = self.moved_links.keys().collect();
            let sql =
                "UPDATE bothways_links SET local_id = NULL WHERE id IN (SELECT value FROM json_each(?))";
            to.put(sql, [list(&ids)]);
            let rows = self.moved_links.into_iter().map(|(id, to)| vec![id.into(), to.0.into()]).collect();
            let head = "UPDATE bothways_links SET local_id = v.column2 FROM (VALUES";
            let tail = ") AS v WHERE bothways_links.id = v.column1";
            to.bulk(&Bulk { head, width: 2, tail }, rows).await.map_err(ours)?;
        }
        if !self.dropped_keys.is_empty() {
            let sql = "DELETE FROM bothways_keys WHERE rowid IN (SELECT value FROM json_each(?))";
            to.put(sql, [list(&self.dropped_keys)]);
        }
        if !self.moved_keys.is_empty() {
            let ids: Vec<&i64> = self.moved_keys.keys().collect();
            let sql = "UPDATE bothways_keys SET side = 'moving', id = rowid WHERE rowid IN (SELECT value FROM json_each(?))";
            to.put(sql, [list(&ids)]);
            let rows = self.moved_keys.into_iter().map(|(id, to)| vec![id.into(), to.0.into()]).collect();
            let head = "UPDATE bothways_keys SET side = 'local', id = v.column2 FROM (VALUES";
            let tail = ") AS v WHERE bothways_keys.rowid = v.column1";
            to.bulk(&Bulk { head, width: 2, tail }, rows).await.map_err(ours)?;
        }
        if !self.moved_charges.is_empty() {
            let ids: Vec<&i64> = self.moved_charges.keys().collect();
            let sql = "UPDATE bothways_charges SET key = 'moving ' || rowid WHERE rowid IN (SELECT value FROM json_each(?))";
            to.put(sql, [list(&ids)]);
            let rows = self.moved_charges.into_iter().map(|(id, to)| vec![id.into(), to.0.into()]).collect();
            let head = "UPDATE OR REPLACE bothways_charges SET key = 'row ' || v.column2 FROM (VALUES";
            let tail = ") AS v WHERE bothways_charges.rowid = v.column1";
            to.bulk(&Bulk { head, width: 2, tail }, rows).await.map_err(ours)?;
        }
        Ok(())
    }
}
