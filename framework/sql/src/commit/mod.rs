//! Committing units: a batch is read as a set, decided in memory and written as a set. What a table refuses is found by bisecting to
//! single rows under savepoints (rule 45), so that one bad row costs only itself.

mod batch;
mod flush;
mod group;
mod wave;

use crate::connect::Database;
use crate::error::{Row, theirs};
use batch::Batch;
use bothways_model::Timestamp;
use bothways_store::{Result, StoreError, Unit, UnitOutcome};

/// Why a batch could not be committed as it is.
pub(crate) enum Trouble {
    /// Nothing was committed, and it is nobody's row.
    Error(StoreError),
    /// A row write took the whole transaction with it: a conflict clause or trigger that rolls back, a constraint checked at commit.
    Spoiled(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Error(error)
    }
}

impl Database {
    /// See [`bothways_store::Links::commit`].
    pub(crate) async fn commit(&self, now: Timestamp, units: &[Unit]) -> Result<Vec<UnitOutcome>> {
        match self.commit_batch(now, units, None).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(Trouble::Error(error)) => return Err(error),
            Err(Trouble::Spoiled(_)) => {}
        }
        // Each by itself, and the culprit without its row part. A unit that is repeated after a crash in between is stale.
        let mut outcomes = Vec::with_capacity(units.len());
        for unit in units {
            let one = std::slice::from_ref(unit);
            let outcome = match self.commit_batch(now, one, None).await {
                Err(Trouble::Spoiled(message)) => self.commit_batch(now, one, Some(&message)).await,
                other => other,
            };
            match outcome {
                Ok(outcome) => outcomes.extend(outcome),
                Err(Trouble::Error(error)) => return Err(error),
                Err(Trouble::Spoiled(message)) => return Err(crate::error::refused(message)),
            }
        }
        Ok(outcomes)
    }

    /// One transaction. With `refusal`, no row is written, and units that want to write one are refused with it.
    async fn commit_batch(
        &self,
        now: Timestamp,
        units: &[Unit],
        refusal: Option<&str>,
    ) -> std::result::Result<Vec<UnitOutcome>, Trouble> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await?;
        let mut batch = Batch::load(self, &mut tx, now, units, refusal).await?;
        let outcomes = batch.run(&mut tx).await?;
        batch.flush(&mut tx).await?;
        match tx.commit().await.map_err(theirs) {
            Ok(()) => Ok(outcomes),
            Err(Row::Refused(message)) => Err(Trouble::Spoiled(message)),
            Err(Row::Failed(error)) => Err(Trouble::Error(error)),
        }
    }
}
