//! What a batch of units knows: links as they are left so far, who holds which id, and everything that is to be written.

use crate::brakes::BrakeBook;
use crate::connect::{Database, SCHEMA_VERSION};
use crate::connection::Connection;
use crate::error::{damaged, ours};
use crate::relay::{ANY_MOVED, moved_rows};
use crate::statement::{Joint, fetch, list};
use crate::stored::{LINK, StoredLink, get, read_link, scope_of_text};
use crate::table::Table;
use crate::tuple::Tuple;
use crate::work_book::WorkBook;
use bothways_model::{LinkId, LocalId, PairId, Seq, Timestamp};
use bothways_store::transition::{Effects, Run};
use bothways_store::{
    BrakeName, Guard, History, IntentState, IntentWrite, Judged, KeyWrite, LeaseAction, Link, LocalBinding,
    PauseScope, Result, Side, Signal, Subject, Unit, UnitOutcome, WorkWrite,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One of a link's two ids, in its pair.
pub(super) type Identity = (PairId, Subject);

/// A change of work, in the order of the units.
pub(super) enum WorkStep {
    Write(WorkWrite),
    Signal(Signal),
}

/// A batch under way.
pub(super) struct Batch<'u> {
    pub(super) now: Timestamp,
    pub(super) units: &'u [Unit],
    pub(super) refusal: Option<&'u str>,
    /// Tables of the pairs whose units have a row part.
    pub(super) tables: HashMap<PairId, Arc<Table>>,
    /// Links as the database has them.
    pub(super) stored: HashMap<LinkId, Arc<StoredLink>>,
    /// Links as the units have left them so far.
    pub(super) links: HashMap<LinkId, Arc<StoredLink>>,
    /// Links to write, in the order they were first changed.
    pub(super) dirty: Vec<LinkId>,
    /// Rows that may be others than their links know them as.
    pub(super) moved: HashSet<(PairId, LocalId)>,
    /// Ids that a closed link has, as far as claims of what is new ask.
    closed: HashSet<Identity>,
    /// When the records of claims that depend on it were last seen, by their match keys.
    seen: HashMap<(PairId, String), Seq>,
    holders: HashMap<Identity, LinkId>,
    asked: HashSet<Identity>,
    pub(super) brakes: BrakeBook,
    /// What is paused.
    pub(super) paused: Vec<PauseScope>,
    /// Where the intents stand that units close which keep their lease.
    standing: HashMap<(LinkId, u32), IntentState>,
    pub(super) intents: Vec<&'u IntentWrite>,
    pub(super) history: Vec<History>,
    pub(super) work: Vec<WorkStep>,
    pub(super) keys: Vec<&'u KeyWrite>,
    /// The work rows that the units name.
    pub(super) book: WorkBook,
}

impl<'u> Batch<'u> {
    pub(super) async fn load(
        database: &Database,
        c: &mut Connection,
        now: Timestamp,
        units: &'u [Unit],
        refusal: Option<&'u str>,
    ) -> Result<Self> {
        let ids: Vec<String> = units.iter().filter_map(Run::link_id).map(|id| id.to_string()).collect();
        let mut stored = HashMap::new();
        let mut book = WorkBook::default();
        let works = units.iter().flat_map(|unit| unit.work.iter().chain(&unit.work_if_refused));
        let (of_work, works) = book.want_ids(works.map(WorkWrite::id));
        let of_links =
            format!("SELECT {LINK} FROM bothways_links WHERE id IN (SELECT value FROM json_each(?))");
        let asked = Joint::default()
            .then(ANY_MOVED, [])
            .then(&of_links, [list(&ids)])
            .then(&of_work, [works])
            .then(SCHEMA_VERSION, [])
            .then("SELECT scope FROM bothways_pauses", []);
        let [any_moved, links, rows, version, pauses] = asked.fetch(c).await.map_err(ours)?;
        if units.iter().any(|unit| unit.settle.is_some()) {
            database.know_tables(c, &version).await?;
        }
        book.take_rows(&rows)?;
        for row in &links {
            let link = read_link(row)?;
            stored.insert(link.link.id, Arc::new(link));
        }
        let any_moved: bool = any_moved.first().map_or(Ok(false), |row| get(row, 0))?;
        let moved = match any_moved {
            true => moved_rows(c, known_rows(units, &stored)).await?,
            false => HashSet::new(),
        };
        let pair_of = |unit: &Unit| match &unit.guard {
            Guard::Claim(link) => Some(link.pair),
            Guard::Token { link, .. } => stored.get(link).map(|l| l.link.pair),
            Guard::Free => None,
        };
        let wanted: HashSet<PairId> =
            units.iter().filter(|u| u.settle.is_some()).filter_map(pair_of).collect();
        let tables = database.tables_of(c, wanted).await?;
        let charges = units.iter().flat_map(|unit| &unit.charges);
        let settlements = units.iter().filter_map(|unit| unit.settlement.as_ref());
        let history = units.iter().flat_map(|unit| &unit.history);
        let brakes = BrakeBook::load(c, charges, settlements, history).await?;
        let mut batch = Self {
            now,
            units,
            refusal,
            tables,
            links: stored.clone(),
            stored,
            dirty: Vec::new(),
            moved,
            closed: HashSet::new(),
            seen: HashMap::new(),
            holders: HashMap::new(),
            asked: HashSet::new(),
            brakes,
            paused: paused_scopes(&pauses)?,
            standing: HashMap::new(),
            intents: Vec::new(),
            history: Vec::new(),
            work: Vec::new(),
            keys: Vec::new(),
            book,
        };
        for link in batch.stored.values().map(|l| &l.link) {
            for identity in identities(link) {
                batch.holders.insert(identity, link.id);
            }
        }
        let wanted = units.iter().flat_map(|unit| batch.wanted(unit)).collect();
        batch.load_holders(c, wanted).await?;
        batch.load_closed(c).await?;
        batch.load_seen(c).await?;
        batch.load_standing(c).await?;
        Ok(batch)
    }

    /// Finds out where the intents stand by which a repeated unit is recognised.
    async fn load_standing(&mut self, c: &mut Connection) -> Result<()> {
        let keeping = |unit: &&Unit| matches!(unit.lease, LeaseAction::Renew(_));
        let changed = self.units.iter().filter(keeping).flat_map(|unit| &unit.intents);
        let wanted: Vec<(String, u32)> = changed
            .filter_map(|write| match write {
                IntentWrite::Close { link, number, .. } => Some((link.to_string(), *number)),
                IntentWrite::Open(_) | IntentWrite::Sent { .. } => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = "SELECT i.link, i.number, i.state FROM json_each(?) AS j CROSS JOIN bothways_intents AS i \
                   ON i.link = j.value ->> 0 AND i.number = j.value ->> 1";
        for row in fetch(c, sql, [list(&wanted)]).await.map_err(ours)? {
            let link = get::<&str>(&row, 0)?.parse().map_err(|_| damaged("a link's id"))?;
            let state = IntentState::parse(get(&row, 2)?).ok_or_else(|| damaged("an intent's state"))?;
            let number = u32::try_from(get::<i64>(&row, 1)?).map_err(|_| damaged("an intent's number"))?;
            self.standing.insert((link, number), state);
        }
        Ok(())
    }

    /// Whether a change of an intent is in the store already.
    pub(super) fn is_carried_out(&self, write: &IntentWrite) -> bool {
        match write {
            IntentWrite::Open(intent) => {
                self.links.get(&intent.link).is_some_and(|link| link.intents >= intent.number)
            }
            IntentWrite::Close { link, number, state, .. } => {
                self.standing.get(&(*link, *number)) == Some(state)
            }
            // Twice is as good as once.
            IntentWrite::Sent { .. } => false,
        }
    }

    /// The ids that a unit's guard and confirmation bring into its link.
    fn wanted(&self, unit: &Unit) -> Vec<Identity> {
        let mut wanted = Vec::new();
        if let Guard::Claim(link) = &unit.guard {
            wanted.extend(identities(link));
        }
        let pair = Run::link_id(unit).and_then(|id| self.links.get(&id)).map(|l| l.link.pair);
        if let (Some(write), Some(pair)) = (&unit.confirm, pair) {
            wanted.extend(write.link.remote_id.clone().map(|id| (pair, Subject::Remote(id))));
            if let LocalBinding::Set(Some(id)) = &write.local {
                wanted.push((pair, Subject::Local(id.clone())));
            }
        }
        wanted
    }

    /// Finds out which ids of claims of what is new a closed link has.
    async fn load_closed(&mut self, c: &mut Connection) -> Result<()> {
        let mut sides: HashMap<(PairId, &str), Vec<&str>> = HashMap::new();
        for unit in self.units.iter().filter(|unit| unit.only_new) {
            let Guard::Claim(link) = &unit.guard else { continue };
            if let Some(id) = &link.local_id {
                sides.entry((link.pair, "local_id")).or_default().push(id.as_str());
            }
            if let Some(id) = &link.remote_id {
                sides.entry((link.pair, "remote_id")).or_default().push(id.as_str());
            }
        }
        for ((pair, column), ids) in sides {
            let sql = format!(
                "SELECT {column} FROM bothways_links WHERE live = 0 AND pair = ? AND {column} IN (SELECT value FROM json_each(?))"
            );
            for row in fetch(c, sql, [pair.0.into(), list(&ids)]).await.map_err(ours)? {
                let id: String = get(&row, 0)?;
                let subject = match column {
                    "local_id" => Subject::Local(id.into()),
                    _ => Subject::Remote(id.into()),
                };
                self.closed.insert((pair, subject));
            }
        }
        Ok(())
    }

    /// Whether a claim of what is new has an id of a closed link.
    pub(super) fn was_linked(&self, unit: &Unit) -> bool {
        match &unit.guard {
            Guard::Claim(link) if unit.only_new => ids(link).any(|id| self.closed.contains(&id)),
            _ => false,
        }
    }

    /// Finds out when the records of claims that depend on it were last seen.
    async fn load_seen(&mut self, c: &mut Connection) -> Result<()> {
        let mut records: HashMap<PairId, Vec<&str>> = HashMap::new();
        for ((pair, id), _) in self.units.iter().filter_map(claimed_as_seen) {
            records.entry(pair).or_default().push(id);
        }
        for (pair, ids) in records {
            let sql = "SELECT id, seen FROM bothways_keys WHERE pair = ? AND side = 'remote' \
                       AND id IN (SELECT value FROM json_each(?))";
            for row in fetch(c, sql, [pair.0.into(), list(&ids)]).await.map_err(ours)? {
                self.seen.insert((pair, get(&row, 0)?), Seq(get(&row, 1)?));
            }
        }
        Ok(())
    }

    /// Whether the record of a claim was seen anew since that was decided, or is gone.
    pub(super) fn is_seen_anew(&self, unit: &Unit) -> bool {
        claimed_as_seen(unit).is_some_and(|((pair, id), as_seen)| {
            self.seen.get(&(pair, id.to_owned())).is_none_or(|seen| *seen > as_seen)
        })
    }

    /// Takes in what a unit knows of records that later claims may be about.
    fn note_seen(&mut self, writes: &[KeyWrite]) {
        for write in writes {
            match write {
                KeyWrite::Put(key) if key.side == Side::Remote => {
                    let seen = self.seen.entry((key.pair, key.id.clone())).or_insert(key.seen);
                    *seen = (*seen).max(key.seen);
                }
                KeyWrite::Drop { pair, side: Side::Remote, id } => {
                    self.seen.remove(&(*pair, id.clone()));
                }
                KeyWrite::Put(_) | KeyWrite::Drop { .. } | KeyWrite::Linked { .. } => {}
            }
        }
    }

    /// Finds out which live links hold these ids, as far as that is not known.
    pub(super) async fn load_holders(&mut self, c: &mut Connection, wanted: Vec<Identity>) -> Result<()> {
        let mut sides: HashMap<(PairId, &str), Vec<String>> = HashMap::new();
        for identity in wanted {
            if self.holders.contains_key(&identity) || !self.asked.insert(identity.clone()) {
                continue;
            }
            match identity {
                (pair, Subject::Local(id)) => sides.entry((pair, "local_id")).or_default().push(id.0),
                (pair, Subject::Remote(id)) => sides.entry((pair, "remote_id")).or_default().push(id.0),
                (_, Subject::Group(_)) => {}
            }
        }
        for ((pair, column), ids) in sides {
            let sql = format!(
                "SELECT id, {column} FROM bothways_links WHERE live = 1 AND pair = ? \
                 AND {column} IN (SELECT value FROM json_each(?))"
            );
            for row in fetch(c, sql, [pair.0.into(), list(&ids)]).await.map_err(ours)? {
                let id: LinkId = get::<&str>(&row, 0)?.parse().map_err(|_| damaged("a link's id"))?;
                // A link of this batch holds what the batch says, not what the database still says.
                if self.links.contains_key(&id) {
                    continue;
                }
                let held: String = get(&row, 1)?;
                let subject = match column {
                    "local_id" => Subject::Local(held.into()),
                    _ => Subject::Remote(held.into()),
                };
                self.holders.insert((pair, subject), id);
            }
        }
        Ok(())
    }

    /// The other live link that has one of this live link's ids (rule 30).
    pub(super) fn rival(&self, link: &Link) -> Option<LinkId> {
        identities(link).into_iter().filter_map(|i| self.holders.get(&i)).find(|id| **id != link.id).copied()
    }

    /// Judges a unit's charges, with so many of each brake counted by units that are not applied yet. `Err` is the unit's outcome,
    /// which is remembered; `None` if it depends on what becomes of those others.
    pub(super) async fn check_brakes(
        &mut self,
        c: &mut Connection,
        unit: &'u Unit,
        before: &HashMap<&'u BrakeName, u64>,
    ) -> Result<Option<std::result::Result<Vec<Judged>, UnitOutcome>>> {
        if unit.charges.is_empty() {
            return Ok(Some(Ok(Vec::new())));
        }
        let more = |name: &BrakeName| before.get(name).copied().unwrap_or(0);
        let judged = self.brakes.judge(c, self.now, &unit.charges, more).await?;
        if judged.iter().all(|judged| judged.is_free()) {
            return Ok(Some(Ok(judged)));
        }
        if !before.is_empty() && self.brakes.judge(c, self.now, &unit.charges, |_| 0).await? != judged {
            return Ok(None);
        }
        for (charge, judged) in unit.charges.iter().zip(&judged).filter(|(_, judged)| !judged.is_free()) {
            self.brakes.record(self.now, charge, *judged);
        }
        Ok(Some(Err(UnitOutcome::Withheld { charges: judged })))
    }

    /// Takes in what a unit does. The row is written already.
    pub(super) fn apply(&mut self, unit: &'u Unit, judged: &[Judged], effects: Effects<'u>) -> UnitOutcome {
        for (charge, judged) in unit.charges.iter().zip(judged) {
            self.brakes.record(self.now, charge, *judged);
        }
        if let Some(link) = effects.link {
            let id = link.id;
            let before = self.links.get(&id);
            let intents = before.map_or(0, |l| l.intents);
            if let Some(before) = before {
                for identity in identities(&before.link) {
                    self.holders.remove(&identity);
                }
            }
            for identity in identities(&link) {
                self.holders.insert(identity, id);
            }
            if !link.state.is_live() {
                self.closed.extend(ids(&link));
            }
            if !self.dirty.contains(&id) {
                self.dirty.push(id);
            }
            self.links.insert(id, Arc::new(StoredLink { link, intents }));
        }
        for write in effects.intents {
            match write {
                IntentWrite::Open(intent) => {
                    if let Some(link) = self.links.get_mut(&intent.link) {
                        let stored = Arc::make_mut(link);
                        stored.intents = stored.intents.max(intent.number);
                    }
                }
                IntentWrite::Close { link, number, state, .. } => {
                    self.standing.entry((*link, *number)).and_modify(|known| *known = *state);
                }
                IntentWrite::Sent { .. } => {}
            }
            self.intents.push(write);
        }
        let mut history = effects.history;
        self.brakes.name_approvers(&mut history);
        self.history.extend(history);
        self.work.extend(effects.work.iter().cloned().map(WorkStep::Write));
        self.work.extend(effects.signals.into_iter().map(WorkStep::Signal));
        self.note_seen(effects.keys);
        self.keys.extend(effects.keys);
        if let Some(settlement) = effects.settlement {
            self.brakes.settle(settlement);
        }
        effects.outcome
    }
}

/// The rows that these units' links are about.
fn known_rows<'l>(
    units: &'l [Unit],
    stored: &'l HashMap<LinkId, Arc<StoredLink>>,
) -> HashMap<PairId, HashSet<&'l str>> {
    let claimed = units.iter().filter_map(|unit| match &unit.guard {
        Guard::Claim(link) => Some(&**link),
        Guard::Token { .. } | Guard::Free => None,
    });
    let mut rows: HashMap<PairId, HashSet<&str>> = HashMap::new();
    for link in claimed.chain(stored.values().map(|stored| &stored.link)) {
        if let Some(id) = &link.local_id {
            rows.entry(link.pair).or_default().insert(id.as_str());
        }
    }
    rows
}

/// The ids that nobody else may have while this link is live.
pub(super) fn identities(link: &Link) -> Vec<Identity> {
    if !link.state.is_live() {
        return Vec::new();
    }
    ids(link).collect()
}

/// The record of a claim that depends on nobody having seen it since, and as of when.
pub(super) fn claimed_as_seen(unit: &Unit) -> Option<((PairId, &str), Seq)> {
    match &unit.guard {
        Guard::Claim(link) => Some(((link.pair, link.remote_id.as_ref()?.as_str()), unit.as_seen?)),
        Guard::Token { .. } | Guard::Free => None,
    }
}

fn ids(link: &Link) -> impl Iterator<Item = Identity> {
    let local = link.local_id.clone().map(Subject::Local);
    let remote = link.remote_id.clone().map(Subject::Remote);
    local.into_iter().chain(remote).map(|subject| (link.pair, subject))
}

/// What is paused. A scope that cannot be read was written by a later version: then everything is.
fn paused_scopes(rows: &[Tuple]) -> Result<Vec<PauseScope>> {
    rows.iter().map(|row| Ok(scope_of_text(get(row, 0)?).unwrap_or(PauseScope::All))).collect()
}
