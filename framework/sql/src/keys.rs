//! Match keys and their groups (rule 27).

use crate::Sql;
use crate::connection::Connection;
use crate::error::{damaged, ours};
use crate::statement::{Arg, Bulk, Writes, columns_of, fetch, list};
use crate::stored::{KEY, get, key_args, read_key};
use crate::tuple::Tuple;
use async_trait::async_trait;
use bothways_model::PairId;
use bothways_store::{Group, GroupMember, Key, KeyWrite, Keys, LinkState, Result, Side};
use std::collections::HashMap;

/// Whether a link answers for the record of match key `k`.
const LINKED: &str = "CASE k.side \
     WHEN 'local' THEN EXISTS (SELECT 1 FROM bothways_links AS l WHERE l.live = 1 AND l.pair = k.pair AND l.local_id = k.id) \
                    OR EXISTS (SELECT 1 FROM bothways_links AS l WHERE l.live = 0 AND l.pair = k.pair AND l.local_id = k.id) \
     ELSE EXISTS (SELECT 1 FROM bothways_links AS l WHERE l.live = 1 AND l.pair = k.pair AND l.remote_id = k.id) \
       OR EXISTS (SELECT 1 FROM bothways_links AS l WHERE l.live = 0 AND l.pair = k.pair AND l.remote_id = k.id) END";

/// The state of the link that answers for the record of match key `k`.
const STATE: &str = "CASE k.side \
     WHEN 'local' THEN coalesce(\
       (SELECT l.state FROM bothways_links AS l WHERE l.live = 1 AND l.pair = k.pair AND l.local_id = k.id), \
       (SELECT l.state FROM bothways_links AS l WHERE l.live = 0 AND l.pair = k.pair AND l.local_id = k.id \
        ORDER BY l.created_at DESC, l.id DESC LIMIT 1)) \
     ELSE coalesce(\
       (SELECT l.state FROM bothways_links AS l WHERE l.live = 1 AND l.pair = k.pair AND l.remote_id = k.id), \
       (SELECT l.state FROM bothways_links AS l WHERE l.live = 0 AND l.pair = k.pair AND l.remote_id = k.id \
        ORDER BY l.created_at DESC, l.id DESC LIMIT 1)) END";

fn of_key(write: &KeyWrite) -> (PairId, Side, &str) {
    match write {
        KeyWrite::Put(key) => (key.pair, key.side, key.id.as_str()),
        KeyWrite::Linked { pair, side, id } | KeyWrite::Drop { pair, side, id } => {
            (*pair, *side, id.as_str())
        }
    }
}

/// Applies changes in order. Those of one kind go together, as far as no key is changed in two ways.
pub(crate) async fn write_keys(to: &mut Writes<'_>, writes: &[&KeyWrite]) -> Result<()> {
    let mut ways = HashMap::new();
    let mixed = writes.iter().any(|write| {
        let way = std::mem::discriminant(*write);
        *ways.entry(of_key(write)).or_insert(way) != way
    });
    let runs: Vec<Vec<&KeyWrite>> = if mixed {
        writes
            .chunk_by(|a, b| std::mem::discriminant(*a) == std::mem::discriminant(*b))
            .map(<[_]>::to_vec)
            .collect()
    } else {
        let mut kinds: [Vec<&KeyWrite>; 3] = Default::default();
        for write in writes {
            let kind = match write {
                KeyWrite::Put(_) => &mut kinds[0],
                KeyWrite::Linked { .. } => &mut kinds[1],
                KeyWrite::Drop { .. } => &mut kinds[2],
            };
            kind.push(write);
        }
        kinds.into()
    };
    for run in runs {
        write_run(to, &run).await?;
    }
    Ok(())
}

/// Applies changes of one kind.
async fn write_run(to: &mut Writes<'_>, run: &[&KeyWrite]) -> Result<()> {
    let named = |write: &KeyWrite| -> Vec<Arg> {
        let (pair, side, id) = of_key(write);
        vec![pair.0.into(), side.as_str().into(), id.into()]
    };
    let rows = run.iter().map(|write| match write {
        KeyWrite::Put(key) => key_args(key),
        other => named(other),
    });
    let rows = rows.collect();
    match run.first() {
        None => Ok(()),
        Some(KeyWrite::Put(_)) => {
            let head = format!("INSERT INTO bothways_keys ({KEY}) VALUES");
            let tail = "ON CONFLICT (pair, side, id) DO UPDATE SET value = excluded.value, seen = excluded.seen, \
                        content = excluded.content WHERE excluded.seen >= bothways_keys.seen";
            to.bulk(&Bulk { head: &head, width: 6, tail }, rows).await
        }
        Some(KeyWrite::Linked { .. }) => {
            let head = "UPDATE bothways_keys SET content = NULL WHERE (pair, side, id) IN (VALUES";
            to.bulk(&Bulk { head, width: 3, tail: ") AND content IS NOT NULL" }, rows).await
        }
        Some(KeyWrite::Drop { .. }) => {
            let head = "DELETE FROM bothways_keys WHERE (pair, side, id) IN (VALUES";
            to.bulk(&Bulk { head, width: 3, tail: ")" }, rows).await
        }
    }
    .map_err(ours)
}

fn member(row: &Tuple) -> Result<GroupMember> {
    let state: Option<String> = get(row, 6)?;
    let link =
        state.map(|word| LinkState::parse(&word).ok_or_else(|| damaged("a link's state"))).transpose()?;
    Ok(GroupMember { key: read_key(row)?, link })
}

/// The groups of these values, in their order.
async fn groups_of(c: &mut Connection, pair: PairId, values: &[String]) -> Result<Vec<Group>> {
    // One more than the limit is never listed, so the window keeps hopeless groups from filling the memory.
    let sql = format!(
        "SELECT {columns}, {STATE} FROM (SELECT *, row_number() OVER (PARTITION BY value, side ORDER BY id) AS number \
         FROM bothways_keys WHERE pair = ? AND value IN (SELECT value FROM json_each(?))) AS k \
         WHERE k.number <= {limit} ORDER BY k.value, k.side, k.id",
        columns = columns_of("k", KEY),
        limit = Group::LIMIT
    );
    let mut found: HashMap<String, Group> = HashMap::new();
    for row in fetch(c, sql, [pair.0.into(), list(values)]).await.map_err(ours)? {
        let member = member(&row)?;
        let value = member.key.value.clone().unwrap_or_default();
        let group = found.entry(value.clone()).or_insert_with(|| empty(Some(value)));
        side(group, member.key.side).push(member);
    }
    let groups =
        values.iter().map(|value| found.get(value).cloned().unwrap_or_else(|| empty(Some(value.clone()))));
    Ok(groups.collect())
}

fn empty(value: Option<String>) -> Group {
    Group { value, remote: Vec::new(), local: Vec::new() }
}

fn side(group: &mut Group, side: Side) -> &mut Vec<GroupMember> {
    match side {
        Side::Local => &mut group.local,
        Side::Remote => &mut group.remote,
    }
}

/// The values after `after` that have an unlinked record.
async fn unlinked_values(c: &mut Connection, pair: PairId, after: &str, limit: usize) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT DISTINCT k.value FROM bothways_keys AS k WHERE k.pair = ? AND k.value > ? AND NOT ({LINKED}) \
         ORDER BY k.value LIMIT ?"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = fetch(c, sql, [pair.0.into(), after.into(), limit.into()]).await.map_err(ours)?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Unlinked records without a match value, after one of them: each is a group of its own.
async fn blank_groups(
    c: &mut Connection,
    pair: PairId,
    after: (&str, &str),
    limit: usize,
) -> Result<Vec<Group>> {
    let sql = format!(
        "SELECT {columns}, NULL FROM bothways_keys AS k WHERE k.pair = ? AND k.value IS NULL AND (k.side, k.id) > (?, ?) \
         AND NOT ({LINKED}) ORDER BY k.side, k.id LIMIT ?",
        columns = columns_of("k", KEY)
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let args = [pair.0.into(), after.0.into(), after.1.into(), limit.into()];
    let rows = fetch(c, sql, args).await.map_err(ours)?;
    rows.iter()
        .map(|row| {
            let member = member(row)?;
            let mut group = empty(None);
            side(&mut group, member.key.side).push(member);
            Ok(group)
        })
        .collect()
}

/// Where a group stands in the order: `v` and its value, or, after all of those, `n`, its only record's side, `:` and id.
fn position(group: &Group) -> String {
    match &group.value {
        Some(value) => format!("v{value}"),
        None => {
            let key: Option<&Key> = group.local.iter().chain(&group.remote).map(|m| &m.key).next();
            key.map_or_else(String::new, |key| format!("n{}:{}", key.side.as_str(), key.id))
        }
    }
}

#[async_trait]
impl Keys for Sql {
    async fn groups_of(&self, pair: PairId, values: &[String]) -> Result<Vec<Group>> {
        let mut c = self.database.reader().await?;
        groups_of(&mut c, pair, values).await
    }

    async fn unlinked_groups(
        &self,
        pair: PairId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Group>, Option<String>)> {
        // One state of the database for both questions.
        let mut c = self.database.snapshot().await?;
        let want = limit.saturating_add(1);
        let mut groups = Vec::new();
        let blank_after = after.and_then(|text| text.strip_prefix('n')?.split_once(':'));
        if blank_after.is_none() {
            let after = after.and_then(|text| text.strip_prefix('v')).unwrap_or("");
            let values = unlinked_values(&mut c, pair, after, want).await?;
            groups = groups_of(&mut c, pair, &values).await?;
        }
        if groups.len() < want {
            let left = want - groups.len();
            groups.extend(blank_groups(&mut c, pair, blank_after.unwrap_or(("", "")), left).await?);
        }
        let more = groups.len() > limit;
        groups.truncate(limit);
        let next = groups.last().filter(|_| more).map(position);
        Ok((groups, next))
    }

    async fn write_keys(&self, writes: &[KeyWrite]) -> Result<()> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let writes: Vec<&KeyWrite> = writes.iter().collect();
        let mut to = Writes::new(&mut tx);
        write_keys(&mut to, &writes).await?;
        to.connection().await.map_err(ours)?;
        tx.commit().await.map_err(ours)
    }
}
