//! Erasing what is remembered of a record, so that the bytes are gone from the file as well.

use crate::connect::Held;
use crate::error::{ours, refused};
use crate::statement::{Arg, execute, fetch, list};
use crate::stored::{from_json, get, json};
use bothways_model::{LocalId, PairId, RemoteId};
use bothways_store::{Erased, LinkBody, Result};

/// Links with one of the ids; `?1` pair, `?2` local id, `?3` remote id. Null is equal to nothing. One that let go of its row only
/// remembers which it was.
const MEANT: &str = "pair = ?1 AND (local_id = ?2 OR remote_id = ?3 \
    OR live = 0 AND local_id IS NULL AND json_extract(body, '$.former_local') = ?2)";

pub(crate) async fn erase(
    writer: &mut Held<'_>,
    pair: PairId,
    local: Option<&LocalId>,
    remote: Option<&RemoteId>,
) -> Result<Erased> {
    // What is deleted or overwritten is zeroed in the file, and the log is emptied into it at the end.
    execute(writer, "PRAGMA secure_delete = ON", []).await.map_err(ours)?;
    let erased = erase_all(writer, pair, local, remote).await;
    let back = execute(writer, "PRAGMA secure_delete = OFF", []).await;
    let erased = erased?;
    back.map_err(ours)?;
    fetch(writer, "PRAGMA wal_checkpoint(TRUNCATE)", []).await.map_err(ours)?;
    Ok(erased)
}

async fn erase_all(
    writer: &mut Held<'_>,
    pair: PairId,
    local: Option<&LocalId>,
    remote: Option<&RemoteId>,
) -> Result<Erased> {
    let args = || -> [Arg; 3] {
        [pair.0.into(), local.map(LocalId::as_str).into(), remote.map(RemoteId::as_str).into()]
    };
    let mut tx = writer.begin().await?;
    let sql = format!("SELECT id, live, body FROM bothways_links WHERE {MEANT}");
    let links = fetch(&mut tx, sql, args()).await.map_err(ours)?;
    let mut erased = Erased { links: links.len() as u64, ..Erased::default() };
    let mut ids = Vec::with_capacity(links.len());
    for row in &links {
        if get::<bool>(row, 1)? {
            return Err(refused("a live link has this id"));
        }
        let body: LinkBody = from_json(get(row, 2)?, "a link")?;
        let sql = "UPDATE bothways_links SET body = ?1, conflicts = 0, choice = 0 WHERE id = ?2";
        let id: &str = get(row, 0)?;
        ids.push(id);
        execute(&mut tx, sql, [json(&body.erased()).into(), id.into()]).await.map_err(ours)?;
    }
    let of_links = "link IN (SELECT value FROM json_each(?4))";
    let intents = format!("DELETE FROM bothways_intents WHERE pending = 0 AND pair = ?1 AND {of_links}");
    let history = format!(
        "UPDATE bothways_history SET fields = '{{}}' WHERE fields <> '{{}}' AND pair = ?1 \
         AND (local_id = ?2 OR remote_id = ?3 OR {of_links})"
    );
    for (count, sql) in [(&mut erased.intents, intents), (&mut erased.history, history)] {
        let args = args().into_iter().chain([list(&ids)]);
        *count = execute(&mut tx, sql, args).await.map_err(ours)?;
    }
    // Group work is named by a match value, which only the keys can tell: it goes before them.
    let parked = format!(
        "DELETE FROM bothways_work WHERE pair = ?1 AND reason IS NOT NULL AND (kind = 'local' AND subject = ?2 \
         OR kind = 'remote' AND subject = ?3 OR kind = 'group' AND subject IN (SELECT value FROM bothways_keys WHERE {KEYS}))"
    );
    let keys = format!("DELETE FROM bothways_keys WHERE {KEYS}");
    for (count, sql) in [(&mut erased.parked, parked), (&mut erased.keys, keys)] {
        *count = execute(&mut tx, sql, args()).await.map_err(ours)?;
    }
    tx.commit().await.map_err(ours)?;
    Ok(erased)
}

/// The match keys of the ids.
const KEYS: &str = "pair = ?1 AND (side = 'local' AND id = ?2 OR side = 'remote' AND id = ?3)";
