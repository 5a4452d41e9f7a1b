//! Reading links and intents, leasing one, committing units.

use crate::Sql;
use crate::connect::draw;
use crate::error::ours;
use crate::queue::links_of_subjects;
use crate::statement::{Arg, fetch, fetch_optional};
use crate::stored::{INTENT, LINK, read_intent, read_link};
use async_trait::async_trait;
use bothways_model::{LinkId, LocalId, PairId, RemoteId, Seq, Timestamp};
use bothways_store::{Intent, Link, LinkFilter, Links, Result, Subject, Taken, Unit, UnitOutcome};

impl Sql {
    async fn answering(&self, pair: PairId, subjects: Vec<Subject>) -> Result<Vec<Option<Link>>> {
        let subjects: Vec<_> = subjects.into_iter().map(|subject| (pair, subject)).collect();
        let mut c = self.database.reader().await?;
        let found = links_of_subjects(&mut c, &subjects).await?;
        Ok(subjects.iter().map(|at| found.get(at).map(|stored| stored.link.clone())).collect())
    }
}

#[async_trait]
impl Links for Sql {
    async fn link(&self, id: LinkId) -> Result<Option<Link>> {
        let mut c = self.database.reader().await?;
        let sql = format!("SELECT {LINK} FROM bothways_links WHERE id = ?");
        let row = fetch_optional(&mut c, sql, [id.to_string().into()]).await.map_err(ours)?;
        row.map(|row| Ok(read_link(&row)?.link)).transpose()
    }

    async fn links(&self, filter: &LinkFilter, after: Option<LinkId>, limit: usize) -> Result<Vec<Link>> {
        let mut conditions = vec!["id > ?1".to_owned()];
        let mut args: Vec<Arg> = vec![after.map_or_else(String::new, |id| id.to_string()).into()];
        let mut add = |condition: &str, arg: Option<Arg>| {
            if let Some(arg) = arg {
                args.push(arg);
                conditions.push(format!("{condition} = ?{}", args.len()));
            }
        };
        add("pair", filter.pair.map(|pair| pair.0.into()));
        add("state", filter.state.map(|state| state.as_str().into()));
        add("conflicts", filter.conflicts.then(|| 1_i64.into()));
        add("local_id", filter.local_id.as_ref().map(|id| id.as_str().into()));
        add("remote_id", filter.remote_id.as_ref().map(|id| id.as_str().into()));
        let conditions = conditions.join(" AND ");
        let one_record = filter.local_id.is_some() || filter.remote_id.is_some();
        let of = |more: &str| format!("SELECT {LINK} FROM bothways_links WHERE {conditions}{more}");
        let all = if one_record {
            // In two halves and pair by pair, as the indexes are.
            let pairs = "AND pair IN (SELECT id FROM bothways_pairs)";
            format!(
                "{} UNION ALL {}",
                of(&format!(" {pairs} AND live = 1")),
                of(&format!(" {pairs} AND live = 0"))
            )
        } else {
            of("")
        };
        args.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let sql = format!("{all} ORDER BY id LIMIT ?{}", args.len());
        let mut c = self.database.reader().await?;
        let rows = fetch(&mut c, sql, args).await.map_err(ours)?;
        rows.iter().map(|row| Ok(read_link(row)?.link)).collect()
    }

    async fn links_of_remote(&self, pair: PairId, ids: &[RemoteId]) -> Result<Vec<Option<Link>>> {
        self.answering(pair, ids.iter().cloned().map(Subject::Remote).collect()).await
    }

    async fn links_of_local(&self, pair: PairId, ids: &[LocalId]) -> Result<Vec<Option<Link>>> {
        self.answering(pair, ids.iter().cloned().map(Subject::Local).collect()).await
    }

    async fn lease(&self, id: LinkId, now: Timestamp, until: Timestamp) -> Result<Option<Taken>> {
        self.database.lease(id, now, until).await
    }

    async fn end_leases(&self, now: Timestamp) -> Result<u64> {
        self.database.end_leases(now).await
    }

    async fn commit(&self, now: Timestamp, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
        self.database.commit(now, units).await
    }

    async fn intents(&self, link: LinkId, limit: usize) -> Result<Vec<Intent>> {
        let mut c = self.database.reader().await?;
        let sql =
            format!("SELECT {INTENT} FROM bothways_intents WHERE link = ? ORDER BY number DESC LIMIT ?");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = fetch(&mut c, sql, [link.to_string().into(), limit.into()]).await.map_err(ours)?;
        rows.iter().map(read_intent).collect()
    }

    async fn creates_in_flight(&self, pair: PairId, limit: usize) -> Result<Vec<Intent>> {
        let mut c = self.database.reader().await?;
        let sql = format!(
            "SELECT {INTENT} FROM bothways_intents WHERE pair = ? AND kind = ? AND pending = 1 \
             ORDER BY link, number LIMIT ?"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let args = [pair.0.into(), Intent::CREATE.into(), limit.into()];
        let rows = fetch(&mut c, sql, args).await.map_err(ours)?;
        rows.iter().map(read_intent).collect()
    }

    async fn draw(&self, count: u32) -> Result<Seq> {
        let mut writer = self.database.quick_writer().await?;
        draw(&mut writer, count as usize).await.map(Seq)
    }
}
