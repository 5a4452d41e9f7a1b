//! Rotating credentials. Every call is one transaction that reads the row, makes the store's own transition and writes it back.

use crate::Sql;
use crate::connection::Connection;
use crate::error::{damaged, ours};
use crate::statement::{Arg, execute, fetch_optional};
use crate::stored::{get, nanos, time};
use async_trait::async_trait;
use bothways_model::ConnectionName;
use bothways_store::{CredentialState, Credentials, RenewalAsk, RenewalEnd, Result, Sealed, Turn};

async fn read(c: &mut Connection, connection: &ConnectionName) -> Result<Option<CredentialState>> {
    let sql = "SELECT origin, number, key, sealed, last, renewing_until, refused, former FROM bothways_credentials \
               WHERE connection = ?";
    let row = fetch_optional(c, sql, [connection.as_str().into()]).await.map_err(ours)?;
    let Some(row) = row else { return Ok(None) };
    let number =
        |index: usize| u64::try_from(get::<i64>(&row, index)?).map_err(|_| damaged("a credential's number"));
    let sealed = match (get::<Option<String>>(&row, 2)?, get::<Option<String>>(&row, 3)?) {
        (Some(key), Some(text)) => Some(Sealed { key, text }),
        _ => None,
    };
    Ok(Some(CredentialState {
        origin: get(&row, 0)?,
        number: number(1)?,
        sealed,
        last: number(4)?,
        renewing_until: get::<Option<i64>>(&row, 5)?.map(time),
        refused: get(&row, 6)?,
        former: get::<String>(&row, 7)?.split_whitespace().map(str::to_owned).collect(),
    }))
}

async fn write(c: &mut Connection, connection: &ConnectionName, state: &CredentialState) -> Result<()> {
    let sql = "INSERT INTO bothways_credentials (connection, origin, number, key, sealed, last, renewing_until, refused, former) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (connection) DO UPDATE SET origin = ?2, number = ?3, \
               key = ?4, sealed = ?5, last = ?6, renewing_until = ?7, refused = ?8, former = ?9";
    let sealed = state.sealed.as_ref();
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let args: [Arg; 9] = [
        connection.as_str().into(),
        state.origin.as_str().into(),
        number(state.number).into(),
        sealed.map(|s| s.key.as_str()).into(),
        sealed.map(|s| s.text.as_str()).into(),
        number(state.last).into(),
        state.renewing_until.map(nanos).into(),
        state.refused.as_deref().into(),
        state.former.join(" ").into(),
    ];
    execute(c, sql, args).await.map(drop).map_err(ours)
}

impl Sql {
    /// Makes a transition of one connection's row; nothing is written where nothing changes.
    async fn credentials<T>(
        &self,
        connection: &ConnectionName,
        transition: impl FnOnce(&mut CredentialState) -> T + Send,
    ) -> Result<T> {
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        let before = read(&mut tx, connection).await?.unwrap_or_default();
        let mut state = before.clone();
        let result = transition(&mut state);
        if state != before {
            write(&mut tx, connection, &state).await?;
        }
        tx.commit().await.map_err(ours)?;
        Ok(result)
    }
}

#[async_trait]
impl Credentials for Sql {
    async fn begin_renewal(&self, ask: &RenewalAsk) -> Result<Turn> {
        self.credentials(&ask.connection, |state| state.begin(ask)).await
    }

    async fn end_renewal(&self, connection: &ConnectionName, number: u64, end: &RenewalEnd) -> Result<bool> {
        self.credentials(connection, |state| state.end(number, end)).await
    }

    async fn keep(&self, connection: &ConnectionName, origin: &str, sealed: &Sealed) -> Result<()> {
        self.credentials(connection, |state| state.keep(origin, sealed)).await
    }

    async fn reseal(&self, connection: &ConnectionName, number: u64, sealed: &Sealed) -> Result<bool> {
        self.credentials(connection, |state| state.reseal(number, sealed)).await
    }
}
