//! Brakes: what one transaction knows of those it charges, judged by `bothways_store` and written as a set; and their list and
//! approval.

use crate::Sql;
use crate::connection::Connection;
use crate::error::{damaged, ours};
use crate::queue::{Signaller, signal_from};
use crate::statement::{Arg, Bulk, execute, fetch, fetch_optional, list};
use crate::stored::{get, nanos, time};
use crate::tuple::Tuple;
use async_trait::async_trait;
use bothways_model::{PairId, Timestamp};
use bothways_store::transition::{
    ChargeRow, ChargeSettled, ChargeState, Ruling, SetDigest, Tally, name_approver, settled,
};
use bothways_store::{
    AuditEntry, Brake, BrakeApproval, BrakeApproved, BrakeId, BrakeKind, BrakeName, Brakes, Charge,
    ChargeKey, History, Judged, Result, Settlement, Signal, StoreError, Subject, Withheld, WithheldSet,
};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of a charge, in the order of [`charge_args`].
const CHARGE: &str = "pair, kind, part, key, state, what, at, approved_until, approved_by";

/// Links whose delete is to be expected though nobody has charged it; `?1` is the pair, `?2` whether captured deletes count.
const COMING: &str = "WITH coming(id) AS ( \
     SELECT id FROM bothways_links WHERE pair = ?1 AND state = 'missing' \
     UNION SELECT l.id FROM bothways_work AS w JOIN bothways_links AS l ON l.pair = w.pair AND l.local_id = w.subject AND l.live = 1 \
           WHERE ?2 AND w.pair = ?1 AND w.kind = 'local' AND w.facts IS NOT NULL AND w.reason IS NULL \
     UNION SELECT l.id FROM bothways_changes AS c JOIN bothways_links AS l ON l.pair = ?1 AND l.local_id = c.key AND l.live = 1 \
           WHERE ?2 AND c.op = 'delete' AND c.catalog = (SELECT catalog FROM bothways_pairs WHERE id = ?1)) \
     SELECT id FROM coming WHERE NOT EXISTS (SELECT 1 FROM bothways_charges AS o \
         WHERE o.pair = ?1 AND o.kind = 'deletes' AND o.part = '' AND o.key = coming.id)";

/// Live links of the pair `?1`; where `?2` is deletes, with those that deletes since `?3` have closed.
const LIVE: &str = "SELECT (SELECT count(*) FROM bothways_links WHERE pair = ?1 AND live = 1) + \
     (SELECT count(*) FROM bothways_charges AS o JOIN bothways_links AS l ON l.id = o.key AND l.live = 0 \
      WHERE ?2 = 'deletes' AND o.pair = ?1 AND o.kind = 'deletes' AND o.part = '' AND o.state = 'done' AND o.at >= ?3)";

fn name_args(name: &BrakeName) -> [Arg; 3] {
    [name.pair.0.into(), name.kind.as_str().into(), name.part.as_str().into()]
}

fn charge_args(name: &BrakeName, key: &ChargeKey, row: &ChargeRow) -> Vec<Arg> {
    let mut args = name_args(name).to_vec();
    args.extend([
        key.to_string().into(),
        row.state.as_str().into(),
        row.what.as_str().into(),
        nanos(row.at).into(),
        row.approved_until.map(nanos).into(),
        row.approved_by.as_deref().into(),
    ]);
    args
}

fn read_name(row: &Tuple, at: usize) -> Result<BrakeName> {
    let kind = BrakeKind::parse(get(row, at + 1)?).ok_or_else(|| damaged("a brake's kind"))?;
    Ok(BrakeName { pair: PairId(get(row, at)?), kind, part: get(row, at + 2)? })
}

fn read_charge(row: &Tuple) -> Result<(BrakeName, ChargeKey, ChargeRow)> {
    let key = ChargeKey::parse(get(row, 3)?).ok_or_else(|| damaged("a charge's key"))?;
    let charge = ChargeRow {
        state: ChargeState::parse(get(row, 4)?).ok_or_else(|| damaged("a charge's state"))?,
        what: get(row, 5)?,
        at: time(get(row, 6)?),
        approved_until: get::<Option<i64>>(row, 7)?.map(time),
        approved_by: get(row, 8)?,
    };
    Ok((read_name(row, 0)?, key, charge))
}

fn count(row: &Tuple, index: usize) -> Result<u64> {
    Ok(u64::try_from(get::<i64>(row, index)?).unwrap_or(0))
}

/// One brake under way.
struct Book {
    tally: Tally,
    /// It was on in the database.
    stored: bool,
    /// The numbers it goes on with.
    on: Option<(u64, u64)>,
}

/// The brakes that one transaction charges or settles.
#[derive(Default)]
pub(crate) struct BrakeBook {
    books: BTreeMap<BrakeName, Book>,
    live: BTreeMap<BrakeName, u64>,
    dirty: BTreeSet<(BrakeName, ChargeKey)>,
    forgotten: BTreeSet<(BrakeName, ChargeKey)>,
}

impl BrakeBook {
    /// Reads whatever these charges and settlements are about.
    pub(crate) async fn load(
        c: &mut Connection,
        charges: impl Iterator<Item = &Charge> + Clone,
        settlements: impl Iterator<Item = &Settlement> + Clone,
        history: impl Iterator<Item = &History>,
    ) -> Result<Self> {
        let mut book = Self::default();
        let mut wanted: BTreeMap<&BrakeName, (&Charge, Timestamp)> = BTreeMap::new();
        let mut keys: BTreeSet<String> =
            settlements.flat_map(|settlement| &settlement.keys).map(ChargeKey::to_string).collect();
        keys.extend(history.flat_map(History::charge_keys).map(|key| key.to_string()));
        let settling = !keys.is_empty();
        for charge in charges {
            keys.insert(charge.key.to_string());
            let entry = wanted.entry(&charge.brake).or_insert((charge, charge.since));
            entry.1 = entry.1.min(charge.since);
            let captured = |c: &Charge| c.ripening.is_some_and(|r| r.captured);
            if captured(charge) && !captured(entry.0) {
                entry.0 = charge;
            }
        }
        let keys: Vec<String> = keys.into_iter().collect();
        for (name, (charge, since)) in wanted {
            book.load_tally(c, name, charge, since, &keys).await?;
        }
        if settling {
            let sql = format!(
                "SELECT {CHARGE} FROM bothways_charges WHERE state <> 'done' AND key IN (SELECT value FROM json_each(?))"
            );
            for row in fetch(c, sql, [list(&keys)]).await.map_err(ours)? {
                let (name, key, charge) = read_charge(&row)?;
                if !book.books.contains_key(&name) {
                    book.load_counts(c, &name, Timestamp::UNIX_EPOCH).await?;
                }
                if let Some(book) = book.books.get_mut(&name) {
                    book.tally.rows.entry(key).or_insert(charge);
                }
            }
        }
        Ok(book)
    }

    async fn load_counts(&mut self, c: &mut Connection, name: &BrakeName, since: Timestamp) -> Result<()> {
        let sql = "SELECT (SELECT count(*) FROM bothways_brakes WHERE pair = ?1 AND kind = ?2 AND part = ?3), \
             (SELECT count(*) FROM bothways_charges WHERE pair = ?1 AND kind = ?2 AND part = ?3 AND state = 'done' AND at >= ?4), \
             (SELECT count(*) FROM bothways_charges WHERE pair = ?1 AND kind = ?2 AND part = ?3 AND state = 'announced'), \
             (SELECT count(*) FROM bothways_charges WHERE pair = ?1 AND kind = ?2 AND part = ?3 AND state = 'withheld')";
        let args = name_args(name).into_iter().chain([nanos(since).into()]);
        let Some(row) = fetch_optional(c, sql, args).await.map_err(ours)? else { return Ok(()) };
        let (on, withheld) = (count(&row, 0)? > 0, count(&row, 3)?);
        let tally = Tally {
            on,
            done: count(&row, 1)?,
            open: count(&row, 2)? + withheld,
            withheld,
            ..Tally::default()
        };
        self.books.insert(name.clone(), Book { tally, stored: on, on: None });
        Ok(())
    }

    async fn load_tally(
        &mut self,
        c: &mut Connection,
        name: &BrakeName,
        charge: &Charge,
        since: Timestamp,
        keys: &[String],
    ) -> Result<()> {
        self.load_counts(c, name, since).await?;
        let Some(book) = self.books.get_mut(name) else { return Ok(()) };
        let sql = format!(
            "SELECT {CHARGE} FROM bothways_charges WHERE pair = ? AND kind = ? AND part = ? \
             AND key IN (SELECT value FROM json_each(?))"
        );
        let args = name_args(name).into_iter().chain([list(keys)]);
        for row in fetch(c, sql, args).await.map_err(ours)? {
            let (_, key, charge) = read_charge(&row)?;
            book.tally.rows.insert(key, charge);
        }
        if let Some(ripening) = charge.ripening {
            let args = || [name.pair.0.into(), ripening.captured.into()];
            let sql = format!("SELECT count(*) FROM ({COMING})");
            if let Some(row) = fetch_optional(c, sql, args()).await.map_err(ours)? {
                book.tally.coming = count(&row, 0)?;
            }
            if book.tally.coming > 0 {
                let sql = format!("{COMING} AND id IN (SELECT value FROM json_each(?3))");
                let args = args().into_iter().chain([list(keys)]);
                for row in fetch(c, sql, args).await.map_err(ours)? {
                    book.tally.coming_too.extend(ChargeKey::parse(get(&row, 0)?));
                }
            }
        }
        Ok(())
    }

    /// Judges all charges of a unit; `more` says how many of a brake's will be counted before them.
    pub(crate) async fn judge(
        &mut self,
        c: &mut Connection,
        now: Timestamp,
        charges: &[Charge],
        more: impl Fn(&BrakeName) -> u64,
    ) -> Result<Vec<Judged>> {
        let mut all = Vec::with_capacity(charges.len());
        for charge in charges {
            let nothing = Tally::default();
            let tally = self.books.get(&charge.brake).map_or(&nothing, |book| &book.tally);
            let more = more(&charge.brake);
            let ruling = tally.judge(charge, now, more, self.live.get(&charge.brake).copied());
            all.push(match ruling {
                Ruling::Is(judged) => judged,
                Ruling::CountLinks => {
                    let name = &charge.brake;
                    let args = [name.pair.0.into(), name.kind.as_str().into(), nanos(charge.since).into()];
                    let row = fetch_optional(c, LIVE, args).await.map_err(ours)?;
                    let live = row.map_or(Ok(0), |row| count(&row, 0))?;
                    self.live.insert(name.clone(), live);
                    match tally.judge(charge, now, more, Some(live)) {
                        Ruling::Is(judged) => judged,
                        Ruling::CountLinks => Judged::Withheld { counted: 0, most: 0 },
                    }
                }
            });
        }
        Ok(all)
    }

    /// How many of these charges would be counted anew, by brake.
    pub(crate) fn is_new(&self, charge: &Charge) -> bool {
        self.books.get(&charge.brake).is_none_or(|book| {
            !book.tally.rows.contains_key(&charge.key) && !book.tally.coming_too.contains(&charge.key)
        })
    }

    /// Takes in what was judged.
    pub(crate) fn record(&mut self, now: Timestamp, charge: &Charge, judged: Judged) {
        let Some(book) = self.books.get_mut(&charge.brake) else { return };
        let was_on = book.tally.on;
        book.tally.record(charge, judged, now);
        if let (Judged::Withheld { counted, most }, false) = (judged, was_on) {
            book.on = Some((counted, most));
        }
        let at = (charge.brake.clone(), charge.key.clone());
        self.forgotten.remove(&at);
        self.dirty.insert(at);
    }

    /// Names in history who approved what was withheld.
    pub(crate) fn name_approvers(&self, history: &mut [History]) {
        for entry in history {
            let keys: Vec<ChargeKey> = entry.charge_keys().collect();
            let rows = self.books.iter().flat_map(|(name, book)| {
                keys.iter().filter_map(move |key| Some((name, book.tally.rows.get(key)?)))
            });
            name_approver(entry, rows);
        }
    }

    /// Carries a settlement out.
    pub(crate) fn settle(&mut self, settlement: &Settlement) {
        for key in &settlement.keys {
            self.settle_key(settlement, key);
        }
    }

    fn settle_key(&mut self, settlement: &Settlement, key: &ChargeKey) {
        for (name, book) in self.books.iter_mut().filter(|(name, _)| name.pair == settlement.pair) {
            let Some(row) = book.tally.rows.get_mut(key) else { continue };
            let at = (name.clone(), key.clone());
            match settled(settlement, settlement.keeps.contains(name), row.state) {
                Some(ChargeSettled::Forgotten) => {
                    book.tally.open = book.tally.open.saturating_sub(1);
                    if row.state == ChargeState::Withheld {
                        book.tally.withheld = book.tally.withheld.saturating_sub(1);
                        book.tally.on &= book.tally.withheld > 0;
                    }
                    book.tally.rows.remove(key);
                    self.dirty.remove(&at);
                    self.forgotten.insert(at);
                }
                Some(ChargeSettled::Spent) if row.approved_until.is_some() => {
                    row.approved_until = None;
                    self.dirty.insert(at);
                }
                _ => {}
            }
        }
    }

    /// Writes what has changed.
    pub(crate) async fn flush(self, c: &mut Connection, now: Timestamp) -> Result<()> {
        for (name, key) in &self.forgotten {
            let sql = "DELETE FROM bothways_charges WHERE pair = ? AND kind = ? AND part = ? AND key = ?";
            let args = name_args(name).into_iter().chain([key.to_string().into()]);
            execute(c, sql, args).await.map_err(ours)?;
        }
        let rows = self.dirty.iter().filter_map(|(name, key)| {
            Some(charge_args(name, key, self.books.get(name)?.tally.rows.get(key)?))
        });
        let head = format!("INSERT INTO bothways_charges ({CHARGE}) VALUES");
        let tail = "ON CONFLICT (pair, kind, part, key) DO UPDATE SET state = excluded.state, what = excluded.what, \
                    at = excluded.at, approved_until = excluded.approved_until, approved_by = excluded.approved_by";
        Bulk { head: &head, width: 9, tail }.run(c, rows.collect()).await.map_err(ours)?;
        for (name, book) in &self.books {
            match (book.stored, book.tally.on) {
                (false, true) => {
                    let (counted, most) = book.on.unwrap_or_default();
                    let sql = "INSERT INTO bothways_brakes (pair, kind, part, since, counted, most) VALUES (?, ?, ?, ?, ?, ?) \
                               ON CONFLICT (pair, kind, part) DO NOTHING";
                    let most = i64::try_from(most).unwrap_or(i64::MAX);
                    let counted = i64::try_from(counted).unwrap_or(i64::MAX);
                    let args = name_args(name).into_iter();
                    let args = args.chain([nanos(now).into(), counted.into(), most.into()]);
                    execute(c, sql, args).await.map_err(ours)?;
                }
                (true, false) => {
                    let sql = "DELETE FROM bothways_brakes WHERE pair = ? AND kind = ? AND part = ?";
                    execute(c, sql, name_args(name)).await.map_err(ours)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

async fn brake_of(c: &mut Connection, id: BrakeId) -> Result<Option<BrakeName>> {
    let sql = "SELECT pair, kind, part FROM bothways_brakes WHERE id = ?";
    let row = fetch_optional(c, sql, [id.0.into()]).await.map_err(ours)?;
    row.map(|row| read_name(&row, 0)).transpose()
}

async fn set_of(c: &mut Connection, name: &BrakeName, now: Timestamp) -> Result<(WithheldSet, Vec<String>)> {
    let sql = "SELECT key, what FROM bothways_charges WHERE pair = ? AND kind = ? AND part = ? AND state = 'withheld' \
               AND (approved_until IS NULL OR approved_until <= ?) ORDER BY key";
    let args = name_args(name).into_iter().chain([nanos(now).into()]);
    let (mut digest, mut keys) = (SetDigest::default(), Vec::new());
    for row in fetch(c, sql, args).await.map_err(ours)? {
        let key: String = get(&row, 0)?;
        digest.add(&key, get(&row, 1)?);
        keys.push(key);
    }
    Ok((digest.finish(), keys))
}

/// What to signal for each of these keys: the work that waits, so that it stays whose it is.
async fn subjects(c: &mut Connection, keys: &[String]) -> Result<Vec<Subject>> {
    let rows = keys.iter().filter_map(|key| match ChargeKey::parse(key) {
        Some(ChargeKey::Row(id)) => Some(Subject::Local(id)),
        _ => None,
    });
    let mut all: Vec<Subject> = rows.collect();
    let sql = "SELECT l.local_id, l.remote_id, EXISTS \
               (SELECT 1 FROM bothways_work AS w WHERE w.pair = l.pair AND w.kind = 'local' AND w.subject = l.local_id), EXISTS \
               (SELECT 1 FROM bothways_work AS w WHERE w.pair = l.pair AND w.kind = 'remote' AND w.subject = l.remote_id) \
               FROM bothways_links AS l WHERE l.id IN (SELECT value FROM json_each(?))";
    for row in fetch(c, sql, [list(keys)]).await.map_err(ours)? {
        let local = get::<Option<String>>(&row, 0)?.map(|id| Subject::Local(id.into()));
        let remote = get::<Option<String>>(&row, 1)?.map(|id| Subject::Remote(id.into()));
        match (get(&row, 2)?, get(&row, 3)?) {
            (false, false) => all.extend(local.or(remote)),
            (of_row, of_record) => {
                all.extend(local.filter(|_| of_row));
                all.extend(remote.filter(|_| of_record));
            }
        }
    }
    Ok(all)
}

#[async_trait]
impl Brakes for Sql {
    async fn brakes(&self, now: Timestamp) -> Result<Vec<Brake>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT b.pair, b.kind, b.part, b.id, b.since, b.counted, b.most, count(o.key), count(CASE WHEN o.approved_until > ? THEN 1 END) \
                   FROM bothways_brakes AS b LEFT JOIN bothways_charges AS o \
                   ON o.pair = b.pair AND o.kind = b.kind AND o.part = b.part AND o.state = 'withheld' GROUP BY b.id ORDER BY b.id";
        let rows = fetch(&mut c, sql, [nanos(now).into()]).await.map_err(ours)?;
        rows.iter()
            .map(|row| {
                Ok(Brake {
                    name: read_name(row, 0)?,
                    id: BrakeId(get(row, 3)?),
                    since: time(get(row, 4)?),
                    counted: count(row, 5)?,
                    most: count(row, 6)?,
                    withheld: count(row, 7)?,
                    approved: count(row, 8)?,
                })
            })
            .collect()
    }

    async fn withheld(
        &self,
        brake: BrakeId,
        after: Option<&ChargeKey>,
        limit: usize,
    ) -> Result<Vec<Withheld>> {
        let mut c = self.database.snapshot().await?;
        let Some(name) = brake_of(&mut c, brake).await? else { return Ok(Vec::new()) };
        let columns: Vec<String> = CHARGE.split(", ").map(|column| format!("o.{column}")).collect();
        let sql = format!(
            "SELECT {}, l.local_id, l.remote_id FROM bothways_charges AS o LEFT JOIN bothways_links AS l ON l.id = o.key \
             WHERE o.pair = ? AND o.kind = ? AND o.part = ? AND o.state = 'withheld' AND o.key > ? ORDER BY o.key LIMIT ?",
            columns.join(", ")
        );
        let after = after.map(ChargeKey::to_string).unwrap_or_default();
        let args = name_args(&name).into_iter().chain([after.into(), limit.into()]);
        let rows = fetch(&mut c, sql, args).await.map_err(ours)?;
        rows.iter()
            .map(|row| {
                let (_, key, charge) = read_charge(row)?;
                let named = match &key {
                    ChargeKey::Row(id) => Some(id.clone()),
                    _ => None,
                };
                Ok(Withheld {
                    what: charge.what,
                    since: charge.at,
                    local_id: get::<Option<String>>(row, 9)?.map(Into::into).or(named),
                    remote_id: get::<Option<String>>(row, 10)?.map(Into::into),
                    approved_until: charge.approved_until,
                    approved_by: charge.approved_by,
                    key,
                })
            })
            .collect()
    }

    async fn withheld_set(&self, brake: BrakeId, now: Timestamp) -> Result<Option<WithheldSet>> {
        let mut c = self.database.snapshot().await?;
        let Some(name) = brake_of(&mut c, brake).await? else { return Ok(None) };
        Ok(Some(set_of(&mut c, &name, now).await?.0))
    }

    async fn approve_withheld(
        &self,
        now: Timestamp,
        approval: &BrakeApproval,
        audit: &AuditEntry,
    ) -> Result<BrakeApproved> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let Some(name) = brake_of(&mut tx, approval.brake).await? else { return Ok(BrakeApproved::Off) };
        let (set, keys) = set_of(&mut tx, &name, now).await?;
        if set != approval.set {
            return Ok(BrakeApproved::Moved(set));
        }
        let sql = "UPDATE bothways_charges SET approved_until = ?1, approved_by = ?2 WHERE pair = ?3 AND kind = ?4 AND part = ?5 \
                   AND state = 'withheld' AND (approved_until IS NULL OR approved_until <= ?6)";
        let args: [Arg; 2] = [nanos(approval.until).into(), approval.by.as_str().into()];
        let args = args.into_iter().chain(name_args(&name)).chain([nanos(now).into()]);
        execute(&mut tx, sql, args).await.map_err(ours)?;
        let signals: Vec<Signal> = subjects(&mut tx, &keys)
            .await?
            .into_iter()
            .map(|subject| Signal { pair: name.pair, subject, look: true, not_before: None })
            .collect();
        signal_from(&mut tx, now, &signals, Signaller::Approval).await?;
        crate::operator::add_audit(&mut tx, audit).await?;
        tx.commit().await.map_err(ours)?;
        Ok(BrakeApproved::Yes)
    }

    async fn charge(&self, now: Timestamp, charge: &Charge) -> Result<Judged> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let one = std::slice::from_ref(charge);
        let mut book = BrakeBook::load(&mut tx, one.iter(), [].iter(), [].iter()).await?;
        let judged = book.judge(&mut tx, now, one, |_| 0).await?.pop();
        let judged = judged.ok_or_else(|| damaged("a charge"))?;
        book.record(now, charge, judged);
        if judged.is_free() {
            // No look will finish it.
            book.settle(&Settlement {
                pair: charge.brake.pair,
                keys: vec![charge.key.clone()],
                keeps: vec![charge.brake.clone()],
                finished: true,
            });
        }
        book.flush(&mut tx, now).await?;
        tx.commit().await.map_err(ours)?;
        Ok(judged)
    }

    async fn forget_withheld(&self, brake: &BrakeName, key: &ChargeKey) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let sql = "DELETE FROM bothways_charges WHERE pair = ? AND kind = ? AND part = ? AND key = ? \
                   AND state IN ('announced', 'withheld')";
        let args = name_args(brake).into_iter().chain([key.to_string().into()]);
        if execute(&mut tx, sql, args).await.map_err(ours)? == 0 {
            return Ok(());
        }
        let sql = "DELETE FROM bothways_brakes WHERE pair = ?1 AND kind = ?2 AND part = ?3 AND NOT EXISTS \
                   (SELECT 1 FROM bothways_charges WHERE pair = ?1 AND kind = ?2 AND part = ?3 AND state = 'withheld')";
        execute(&mut tx, sql, name_args(brake)).await.map_err(ours)?;
        tx.commit().await.map_err(ours)
    }
}

/// Forgets what was done before this moment.
pub(crate) async fn prune(c: &mut Connection, before: Timestamp) -> std::result::Result<(), StoreError> {
    let sql = "DELETE FROM bothways_charges WHERE state IN ('done', 'spent') AND at < ?";
    execute(c, sql, [nanos(before).into()]).await.map(drop).map_err(ours)
}
