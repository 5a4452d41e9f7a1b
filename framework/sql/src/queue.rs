//! Signals and leases: a batch is taken with a handful of statements, whatever its size (rules 39 to 42).

use crate::Sql;
use crate::connect::{DRAW, Database, draw, first_drawn};
use crate::connection::Connection;
use crate::error::ours;
use crate::relay::{Captured, WAITING, last_rekey, relay_deletes, relay_upto};
use crate::rows::{found_rows, row_of, row_question};
use crate::statement::{Arg, Bulk, Joint, Writes, columns_of, execute, fetch, fetch_optional, list};
use crate::stored::{INTENT, LINK, StoredLink, WORK, get, nanos, read_intent, read_link, read_work, time};
use crate::tuple::Tuple;
use crate::work_book::WorkBook;
use async_trait::async_trait;
use bothways_model::{LinkId, LocalId, PairId, RemoteId, Seq, Timestamp};
use bothways_store::transition::{WorkRow, deferred};
use bothways_store::{
    Intent, Lease, Link, Parked, ParkedFilter, PassMark, Relayed, Result, Signal, Subject, Take, Taken, Work,
    WorkId, WorkQueue,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

/// Who signals.
#[derive(Clone, Copy)]
pub(crate) enum Signaller {
    /// Somebody: a change, an event, a person.
    Anybody,
    /// A full pass.
    Pass(PassMark),
    /// An approval of what was withheld.
    Approval,
}

/// Signals of one call.
pub(crate) async fn signal(c: &mut Connection, now: Timestamp, signals: &[Signal]) -> Result<()> {
    signal_from(c, now, signals, Signaller::Anybody).await
}

/// Adds signals.
pub(crate) async fn signal_from(
    c: &mut Connection,
    now: Timestamp,
    signals: &[Signal],
    from: Signaller,
) -> Result<()> {
    if signals.is_empty() {
        return Ok(());
    }
    let mut work = WorkBook::default();
    work.load_subjects(c, signals.iter().map(|s| (s.pair, s.subject.clone()))).await?;
    let first = draw(c, signals.len()).await?;
    for (generation, signal) in (first..).zip(signals) {
        match from {
            Signaller::Anybody => work.signal(signal, None, Seq(generation), now),
            Signaller::Pass(pass) => work.signal_of_pass(signal, pass, Seq(generation), now),
            Signaller::Approval => work.signal_approved(signal, Seq(generation), now),
        }
    }
    work.finish(c).await
}

/// The links that answer for these subjects: the live one, else the newest closed one.
pub(crate) async fn links_of_subjects(
    c: &mut Connection,
    subjects: &[(PairId, Subject)],
) -> Result<HashMap<(PairId, Subject), StoredLink>> {
    let mut found: HashMap<(PairId, Subject), StoredLink> = HashMap::new();
    let mut asked: BTreeMap<(PairId, bool), Vec<&str>> = BTreeMap::new();
    for (pair, subject) in subjects {
        match subject {
            Subject::Local(id) => asked.entry((*pair, true)).or_default().push(id.as_str()),
            Subject::Remote(id) => asked.entry((*pair, false)).or_default().push(id.as_str()),
            Subject::Group(_) => {}
        }
    }
    for ((pair, local), ids) in asked {
        let column = if local { "local_id" } else { "remote_id" };
        let half = |live: u8| {
            format!(
                "SELECT {LINK} FROM bothways_links WHERE live = {live} AND pair = ?1 \
                 AND {column} IN (SELECT value FROM json_each(?2))"
            )
        };
        let sql = format!("{} UNION ALL {}", half(1), half(0));
        for row in fetch(c, sql, [pair.0.into(), list(&ids)]).await.map_err(ours)? {
            answer(&mut found, &read_link(&row)?);
        }
    }
    Ok(found)
}

/// The open and uncertain intents of links, by number.
fn pending_intents(rows: &[Tuple]) -> Result<HashMap<LinkId, Vec<Intent>>> {
    let mut all: HashMap<LinkId, Vec<Intent>> = HashMap::new();
    for row in rows {
        let intent = read_intent(row)?;
        all.entry(intent.link).or_default().push(intent);
    }
    Ok(all)
}

/// One record to be handed out: its link, if there is one, and the work that led to it.
struct Chosen {
    link: Option<StoredLink>,
    first: WorkRow,
}

impl Database {
    /// Leases links and takes the work of all chosen records, and reads everything needed to decide about them.
    async fn hand_out(
        &self,
        writes: &mut Writes<'_>,
        chosen: Vec<(Option<StoredLink>, Option<WorkRow>)>,
        until: Timestamp,
    ) -> Result<Vec<Taken>> {
        if chosen.is_empty() {
            writes.connection().await.map_err(ours)?;
            return Ok(Vec::new());
        }
        let links: Vec<String> =
            chosen.iter().filter_map(|(link, _)| Some(link.as_ref()?.link.id.to_string())).collect();
        // All signals of each link, whatever led here.
        let mut work = WorkBook::default();
        let both = chosen.iter().filter_map(|(link, _)| link.as_ref()).flat_map(|l| subjects_of(&l.link));
        let (of_subjects, subjects) = work.want(both);
        let of_links = format!(
            "SELECT {INTENT} FROM bothways_intents WHERE link IN (SELECT value FROM json_each(?)) AND pending = 1 \
             ORDER BY link, number"
        );
        let joint = Joint::default()
            .then(DRAW, [chosen.len().into()])
            .then(&of_links, [list(&links)])
            .then(&of_subjects, [subjects]);
        let [drawn, intents, rows] = writes.fetch(joint).await.map_err(ours)?;
        let first = first_drawn(&drawn, chosen.len())?;
        let intents = pending_intents(&intents)?;
        work.take_rows(&rows)?;
        let leases: Vec<Vec<Arg>> = (first..)
            .zip(&chosen)
            .filter_map(|(token, (link, _))| {
                Some(vec![link.as_ref()?.link.id.to_string().into(), token.into(), nanos(until).into()])
            })
            .collect();
        let mut taken_ids = Vec::new();
        let mut all = Vec::with_capacity(chosen.len());
        let mut wanted: HashMap<PairId, Vec<LocalId>> = HashMap::new();
        for (token, (stored, row)) in (first..).zip(chosen) {
            let token = Seq(token);
            let next_intent = stored.as_ref().map_or(1, |l| l.intents.saturating_add(1));
            let link = stored.map(|l| Link { lease: Some(Lease { token, until }), ..l.link });
            let rows: Vec<Work> = match &link {
                Some(link) => {
                    subjects_of(link).filter_map(|(pair, s)| Some(work.get(pair, &s)?.work.clone())).collect()
                }
                None => row.into_iter().map(|row| row.work).collect(),
            };
            taken_ids.extend(rows.iter().map(|w| w.id));
            let local = match (&link, rows.first().map(|w| &w.subject)) {
                (Some(link), _) => link.local_id.clone(),
                (None, Some(Subject::Local(id))) => Some(id.clone()),
                _ => None,
            };
            let pair = link.as_ref().map(|l| l.pair).or(rows.first().map(|w| w.pair));
            if let (Some(pair), Some(id)) = (pair, &local) {
                wanted.entry(pair).or_default().push(id.clone());
            }
            let intents = link.as_ref().and_then(|l| intents.get(&l.id)).cloned().unwrap_or_default();
            let taken =
                Taken { work: rows, link, token, until, intents, next_intent, row: None, row_error: None };
            all.push((taken, pair, local));
        }
        let head = "UPDATE bothways_links SET token = v.column2, lease_until = v.column3 FROM (VALUES";
        let tail = ") AS v WHERE bothways_links.id = v.column1";
        let sql = "UPDATE bothways_work SET taken = generation, due = max(due, ?) \
                   WHERE id IN (SELECT value FROM json_each(?))";
        writes.bulk(&Bulk { head, width: 3, tail }, leases).await.map_err(ours)?;
        writes.put(sql, [nanos(until).into(), list(&taken_ids)]);
        let rows = self.rows_of_pairs(writes, wanted).await?;
        Ok(all
            .into_iter()
            .map(|(mut taken, pair, local)| {
                if let (Some(pair), Some(id)) = (pair, local) {
                    (taken.row, taken.row_error) = row_of(&rows, pair, &id);
                }
                taken
            })
            .collect())
    }

    /// The rows of these pairs' catalogs. Carries out what waits.
    async fn rows_of_pairs(
        &self,
        writes: &mut Writes<'_>,
        wanted: HashMap<PairId, Vec<LocalId>>,
    ) -> Result<HashMap<(PairId, LocalId), crate::table::Read>> {
        let mut all = HashMap::new();
        let tables = match self.known_tables(wanted.keys().copied()) {
            Some(tables) => tables?,
            None => self.tables_of(writes.connection().await.map_err(ours)?, wanted.keys().copied()).await?,
        };
        for (pair, ids) in wanted {
            let Some(table) = tables.get(&pair) else { continue };
            let Some((sql, keys)) = row_question(table, &ids) else { continue };
            let [rows] = writes.fetch(Joint::default().then(&sql, [keys])).await.map_err(ours)?;
            all.extend(found_rows(table, &ids, &rows)?.into_iter().map(|(id, row)| ((pair, id), row)));
        }
        writes.connection().await.map_err(ours)?;
        Ok(all)
    }
}

/// The subjects of a link's signals.
fn subjects_of(link: &Link) -> impl Iterator<Item = (PairId, Subject)> {
    let local = link.local_id.clone().map(Subject::Local);
    let remote = link.remote_id.clone().map(Subject::Remote);
    let pair = link.pair;
    local.into_iter().chain(remote).map(move |subject| (pair, subject))
}

/// Pairs that one statement asks for; SQLite takes 500 parts at most.
const PAIRS: usize = 100;

/// Due work, and what has to be known before any of it is taken.
#[derive(Default)]
struct Due {
    /// Oldest first.
    rows: Vec<WorkRow>,
    /// The links that answer for it.
    links: HashMap<(PairId, Subject), StoredLink>,
    /// The number of the last key change that is not relayed yet.
    rekey: Option<i64>,
    /// Whether there are deletes that are not relayed yet.
    deletes: bool,
}

/// The statements that read the due work of so many pairs, and the links that answer for it.
fn due_of(pairs: usize) -> (String, String) {
    let part = |columns: &str| {
        format!(
            "SELECT * FROM (SELECT {columns} FROM bothways_work WHERE pair = ? AND due <= ? ORDER BY due, id LIMIT ?)"
        )
    };
    let whole = vec![part(WORK); pairs].join(" UNION ALL ");
    let subjects = vec![part("pair, kind, subject"); pairs].join(" UNION ALL ");
    let links = [("local", 1), ("local", 0), ("remote", 1), ("remote", 0)].map(|(side, live)| {
        format!(
            "SELECT {} FROM due CROSS JOIN bothways_links AS l ON l.live = {live} AND l.pair = due.pair \
             AND l.{side}_id = due.subject WHERE due.kind = '{side}'",
            columns_of("l", LINK)
        )
    });
    (whole, format!("WITH due AS MATERIALIZED ({subjects}) {}", links.join(" UNION ALL ")))
}

/// Most engines ask for one pair at a time.
static DUE_OF_ONE: LazyLock<(String, String)> = LazyLock::new(|| due_of(1));

/// Due work of these pairs. Each pair is asked by itself, so that a pair that is not asked costs nothing.
async fn due(writes: &mut Writes<'_>, take: &Take<'_>, limit: usize) -> Result<Due> {
    let mut all = Due::default();
    for pairs in take.pairs.chunks(PAIRS) {
        let args = || pairs.iter().flat_map(|pair| [pair.0.into(), nanos(take.now).into(), limit.into()]);
        let (whole, links) = match pairs.len() {
            1 => DUE_OF_ONE.clone(),
            count => due_of(count),
        };
        let joint = Joint::default().then(WAITING, []).then(&whole, args()).then(&links, args());
        let [waiting, rows, links] = writes.fetch(joint).await.map_err(ours)?;
        if let Some(waiting) = waiting.first() {
            (all.rekey, all.deletes) = (get(waiting, 0)?, get(waiting, 1)?);
        }
        for row in &rows {
            all.rows.push(read_work(row)?);
        }
        for row in &links {
            answer(&mut all.links, &read_link(row)?);
        }
    }
    all.rows.sort_by_key(|row| (row.work.due, row.work.id));
    all.rows.truncate(limit);
    Ok(all)
}

/// Lets a link answer for its ids, unless a better one does: the live one, else the newest closed one.
fn answer(found: &mut HashMap<(PairId, Subject), StoredLink>, stored: &StoredLink) {
    let rank = |l: &Link| (l.state.is_live(), l.created_at, l.id);
    for at in subjects_of(&stored.link) {
        if found.get(&at).is_none_or(|other| rank(&other.link) < rank(&stored.link)) {
            found.insert(at, stored.clone());
        }
    }
}

async fn take(database: &Database, writes: &mut Writes<'_>, take: &Take<'_>) -> Result<Vec<Taken>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut seen: HashSet<WorkId> = HashSet::new();
    let mut leased: HashSet<LinkId> = HashSet::new();
    // Rows whose link somebody else has are put off and the next ones are looked at; one round is the rule.
    while chosen.len() < take.limit {
        let want = take.limit + seen.len();
        let Due { rows, links, rekey, deletes } = due(writes, take, want).await?;
        if let Some(upto) = rekey {
            // Only before anything is chosen: whoever is asked for by an old key is looked for again.
            relay_upto(writes.connection().await.map_err(ours)?, take.now, upto).await?;
            continue;
        }
        if deletes {
            let local = |row: &'_ WorkRow| match (
                links.get(&(row.work.pair, row.work.subject.clone())),
                &row.work.subject,
            ) {
                (Some(link), _) => link.link.local_id.clone(),
                (None, Subject::Local(id)) => Some(id.clone()),
                (None, _) => None,
            };
            let ids: Vec<(PairId, LocalId)> =
                rows.iter().filter_map(|row| Some((row.work.pair, local(row)?))).collect();
            let c = writes.connection().await.map_err(ours)?;
            if relay_deletes(c, take.now, ids.iter().map(|(pair, id)| (*pair, id))).await? {
                continue;
            }
        }
        let (found, full) = (rows.len(), rows.len() == want);
        let rows: Vec<WorkRow> = rows.into_iter().filter(|row| seen.insert(row.work.id)).collect();
        if rows.is_empty() {
            break;
        }
        let mut put_off: Vec<Vec<Arg>> = Vec::new();
        for row in rows {
            if chosen.len() == take.limit {
                break;
            }
            let link = links.get(&(row.work.pair, row.work.subject.clone())).cloned();
            match link.as_ref().map(|l| (l.link.id, l.link.lease)) {
                Some((_, Some(lease))) if lease.until > take.now => {
                    put_off.push(vec![row.work.id.0.into(), nanos(deferred(take.now, lease.until)).into()]);
                }
                Some((id, _)) if !leased.insert(id) => {}
                _ => chosen.push(Chosen { link, first: row }),
            }
        }
        let deferred = put_off.len();
        let head = "UPDATE bothways_work SET due = max(due, v.column2) FROM (VALUES";
        let tail = ") AS v WHERE bothways_work.id = v.column1";
        writes.bulk(&Bulk { head, width: 2, tail }, put_off).await.map_err(ours)?;
        if !full || (deferred == 0 && found < want) {
            break;
        }
    }
    let chosen = chosen.into_iter().map(|c| (c.link, Some(c.first))).collect();
    database.hand_out(writes, chosen, take.until).await
}

#[async_trait]
impl WorkQueue for Sql {
    async fn signal(&self, now: Timestamp, signals: &[Signal]) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        signal(&mut tx, now, signals).await?;
        tx.commit().await.map_err(ours)
    }

    async fn take(&self, request: Take<'_>) -> Result<Vec<Taken>> {
        let mut writer = self.database.quick_writer().await?;
        let mut tx = writer.begin().await?;
        let taken = take(&self.database, &mut Writes::new(&mut tx), &request).await?;
        tx.commit().await.map_err(ours)?;
        Ok(taken)
    }

    async fn relay_and_take(&self, limit: usize, request: Take<'_>) -> Result<(Relayed, Vec<Taken>)> {
        let mut writer = self.database.quick_writer().await?;
        let mut tx = writer.begin().await?;
        let mut writes = Writes::new(&mut tx);
        let captured = Captured::read(&writes.fetch(Captured::questions(limit)).await.map_err(ours)?)?;
        let relayed = captured.relay(&mut writes, request.now, limit).await?;
        let taken = take(&self.database, &mut writes, &request).await?;
        tx.commit().await.map_err(ours)?;
        Ok((relayed, taken))
    }

    async fn next_due(&self, pairs: &[PairId]) -> Result<Option<Timestamp>> {
        let sql = "SELECT min((SELECT min(due) FROM bothways_work WHERE pair = p.value AND due IS NOT NULL)) \
                   FROM json_each(?) AS p";
        let row = match self.database.free_writer() {
            Some(mut writer) => fetch_optional(&mut writer, sql, [list(pairs)]).await,
            None => fetch_optional(&mut self.database.reader().await?, sql, [list(pairs)]).await,
        };
        let row = row.map_err(ours)?;
        let due: Option<i64> = row.map_or(Ok(None), |row| get(&row, 0))?;
        Ok(due.map(time))
    }

    async fn parked(&self, filter: &ParkedFilter, after: Option<WorkId>, limit: usize) -> Result<Vec<Work>> {
        let mut c = self.database.reader().await?;
        let mut sql = format!("SELECT {WORK} FROM bothways_work WHERE reason IS NOT NULL AND id > ?");
        let mut args: Vec<Arg> = vec![after.map_or(i64::MIN, |id| id.0).into()];
        if let Some(pair) = filter.pair {
            sql.push_str(" AND pair = ?");
            args.push(pair.0.into());
        }
        if let Some(reason) = filter.reason {
            sql.push_str(" AND reason = ?");
            args.push(reason.as_str().into());
        }
        sql.push_str(" ORDER BY id LIMIT ?");
        args.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let rows = fetch(&mut c, sql, args).await.map_err(ours)?;
        rows.iter().map(|row| Ok(read_work(row)?.work)).collect()
    }

    async fn work(&self, id: WorkId) -> Result<Option<Work>> {
        let mut c = self.database.reader().await?;
        let sql = format!("SELECT {WORK} FROM bothways_work WHERE id = ?");
        let row = fetch_optional(&mut c, sql, [id.0.into()]).await.map_err(ours)?;
        row.map(|row| Ok(read_work(&row)?.work)).transpose()
    }

    async fn work_of(
        &self,
        pair: PairId,
        local: Option<&LocalId>,
        remote: Option<&RemoteId>,
    ) -> Result<Vec<Work>> {
        let mut c = self.database.reader().await?;
        let sql = format!(
            "SELECT {WORK} FROM bothways_work WHERE pair = ?1 AND kind = 'local' AND subject = ?2 \
             UNION ALL SELECT {WORK} FROM bothways_work WHERE pair = ?1 AND kind = 'remote' AND subject = ?3"
        );
        let args = [pair.0.into(), local.map(LocalId::as_str).into(), remote.map(RemoteId::as_str).into()];
        let rows = fetch(&mut c, sql, args).await.map_err(ours)?;
        rows.iter().map(|row| Ok(read_work(row)?.work)).collect()
    }

    async fn rows_to_delete(
        &self,
        pair: PairId,
        after: Option<&LocalId>,
        limit: usize,
    ) -> Result<Vec<LocalId>> {
        let mut c = self.database.reader().await?;
        let sql = "SELECT subject FROM bothways_work WHERE pair = ? AND facts IS NOT NULL AND kind = 'local' AND subject > ? \
                   ORDER BY subject LIMIT ?";
        let args = [pair.0.into(), after.map_or("", LocalId::as_str).into(), limit.into()];
        let rows = fetch(&mut c, sql.to_owned(), args).await.map_err(ours)?;
        rows.iter().map(|row| Ok(LocalId(get(row, 0)?))).collect()
    }

    async fn replay(&self, id: WorkId, now: Timestamp) -> Result<bool> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let sql = format!("SELECT {WORK} FROM bothways_work WHERE id = ? AND reason IS NOT NULL");
        let row = fetch_optional(&mut tx, sql, [id.0.into()]).await.map_err(ours)?;
        let Some(row) = row else { return Ok(false) };
        let row = read_work(&row)?.work;
        let generation = draw(&mut tx, 1).await?;
        let mut work = WorkBook::default();
        work.load_ids(&mut tx, &[id]).await?;
        work.change(row.pair, &row.subject, now, |row| row.replay(Seq(generation), now));
        work.finish(&mut tx).await?;
        tx.commit().await.map_err(ours)?;
        Ok(true)
    }

    async fn dismiss(&self, id: WorkId) -> Result<bool> {
        let mut writer = self.database.writer().await?;
        let sql = "DELETE FROM bothways_work WHERE id = ? AND reason IS NOT NULL";
        let done = execute(&mut writer, sql, [id.0.into()]).await.map_err(ours)?;
        Ok(done > 0)
    }

    async fn park_group(&self, pair: PairId, value: &str, parked: &Parked) -> Result<()> {
        let subject = Subject::Group(value.to_owned());
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let generation = draw(&mut tx, 1).await?;
        let mut work = WorkBook::default();
        work.load_subjects(&mut tx, [(pair, subject.clone())]).await?;
        work.change(pair, &subject, parked.at, |row| row.park_group(Seq(generation), parked));
        work.finish(&mut tx).await?;
        tx.commit().await.map_err(ours)
    }

    async fn clear_group(&self, pair: PairId, value: &str) -> Result<bool> {
        let mut writer = self.database.writer().await?;
        let sql = "DELETE FROM bothways_work WHERE pair = ? AND kind = 'group' AND subject = ?";
        let done = execute(&mut writer, sql, [pair.0.into(), value.into()]).await.map_err(ours)?;
        Ok(done > 0)
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64> {
        let mut writer = self.database.quick_writer().await?;
        let mut tx = writer.begin().await?;
        let sql = "SELECT l.pair, l.local_id, l.remote_id FROM bothways_links AS l \
                   WHERE l.id IN (SELECT id FROM bothways_links WHERE choice = 1 \
                                  UNION SELECT link FROM bothways_intents WHERE pending = 1) \
                   AND (l.lease_until IS NULL OR l.lease_until <= ?) \
                   AND NOT EXISTS (SELECT 1 FROM bothways_work AS w WHERE w.pair = l.pair AND w.kind = 'local' AND w.subject = l.local_id) \
                   AND NOT EXISTS (SELECT 1 FROM bothways_work AS w WHERE w.pair = l.pair AND w.kind = 'remote' AND w.subject = l.remote_id) \
                   ORDER BY l.id";
        // The states are said twice: the first way is the index's.
        let withheld = "SELECT o.pair, substr(o.key, 5), NULL FROM bothways_charges AS o \
                        WHERE o.state <> 'done' AND o.state = 'withheld' AND o.key >= 'row ' AND o.key < 'row!' \
                        AND NOT EXISTS (SELECT 1 FROM bothways_work AS w WHERE w.pair = o.pair AND w.kind = 'local' AND w.subject = substr(o.key, 5)) \
                        ORDER BY o.pair, o.key";
        let asked = Joint::default().then(sql, [nanos(now).into()]).then(withheld, []);
        let [of_links, of_rows] = asked.fetch(&mut tx).await.map_err(ours)?;
        let mut signals = Vec::new();
        for row in of_links.into_iter().chain(of_rows) {
            let local = get::<Option<String>>(&row, 1)?.map(|id| Subject::Local(id.into()));
            let remote = get::<Option<String>>(&row, 2)?.map(|id| Subject::Remote(id.into()));
            if let Some(subject) = remote.or(local) {
                signals.push(Signal { pair: PairId(get(&row, 0)?), subject, look: true, not_before: None });
            }
        }
        signal(&mut tx, now, &signals).await?;
        tx.commit().await.map_err(ours)?;
        Ok(signals.len() as u64)
    }

    async fn release(&self, link: LinkId, token: Seq) -> Result<()> {
        let mut writer = self.database.quick_writer().await?;
        let sql = "UPDATE bothways_links SET token = NULL, lease_until = NULL WHERE id = ? AND token = ?";
        execute(&mut writer, sql, [link.to_string().into(), token.0.into()]).await.map(drop).map_err(ours)
    }
}

impl Database {
    /// Ends every lease and makes the work in hand due (`WorkRow::is_in_hand`).
    pub(crate) async fn end_leases(&self, now: Timestamp) -> Result<u64> {
        let mut writer = self.quick_writer().await?;
        let mut tx = writer.begin().await?;
        let at = nanos(now);
        let sql = "UPDATE bothways_links SET lease_until = ? WHERE lease_until > ?";
        let ended = execute(&mut tx, sql, [at.into(), at.into()]).await.map_err(ours)?;
        let sql = "UPDATE bothways_work SET due = ?1 WHERE due > ?1 AND taken = generation AND held IS NULL \
                   AND (not_before IS NULL OR not_before <= ?1)";
        execute(&mut tx, sql, [at.into()]).await.map_err(ours)?;
        tx.commit().await.map_err(ours)?;
        Ok(ended)
    }

    /// Takes the lease of one link.
    pub(crate) async fn lease(&self, id: LinkId, now: Timestamp, until: Timestamp) -> Result<Option<Taken>> {
        let mut writer = self.quick_writer().await?;
        let mut tx = writer.begin().await?;
        if let Some(upto) = last_rekey(&mut tx).await? {
            relay_upto(&mut tx, now, upto).await?;
        }
        let sql = format!("SELECT {LINK} FROM bothways_links WHERE id = ?");
        let row = fetch_optional(&mut tx, sql, [id.to_string().into()]).await.map_err(ours)?;
        let stored = row.map(|row| read_link(&row)).transpose()?;
        if let Some((pair, id)) = stored.as_ref().and_then(|l| Some((l.link.pair, l.link.local_id.as_ref()?)))
        {
            relay_deletes(&mut tx, now, std::iter::once((pair, id))).await?;
        }
        let taken = match stored.filter(|l| l.link.lease.is_none_or(|lease| lease.until <= now)) {
            Some(stored) => {
                self.hand_out(&mut Writes::new(&mut tx), vec![(Some(stored), None)], until).await?.pop()
            }
            None => None,
        };
        tx.commit().await.map_err(ours)?;
        Ok(taken)
    }
}
