//! Rotating credentials.

use super::MemoryStore;
use crate::{Credentials, RenewalAsk, RenewalEnd, Result, Sealed, Turn};
use async_trait::async_trait;
use bothways_model::ConnectionName;

#[async_trait]
impl Credentials for MemoryStore {
    async fn begin_renewal(&self, ask: &RenewalAsk) -> Result<Turn> {
        self.write(|s| Ok(s.credentials.entry(ask.connection.clone()).or_default().begin(ask)))
    }

    async fn end_renewal(&self, connection: &ConnectionName, number: u64, end: &RenewalEnd) -> Result<bool> {
        self.write(|s| Ok(s.credentials.get_mut(connection).is_some_and(|kept| kept.end(number, end))))
    }

    async fn keep(&self, connection: &ConnectionName, origin: &str, sealed: &Sealed) -> Result<()> {
        self.write(|s| {
            s.credentials.entry(connection.clone()).or_default().keep(origin, sealed);
            Ok(())
        })
    }

    async fn reseal(&self, connection: &ConnectionName, number: u64, sealed: &Sealed) -> Result<bool> {
        self.write(|s| Ok(s.credentials.get_mut(connection).is_some_and(|kept| kept.reseal(number, sealed))))
    }
}
