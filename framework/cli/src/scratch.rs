//! Match keys of one plan, in a file of its own that goes away with it: memory stays flat however many records there are.

use crate::private_folder::PrivateFolder;
use async_trait::async_trait;
use bothways_engine::{EngineError, Scratch, Scratches};
use bothways_sql::Sql;
use std::sync::Arc;

/// Makes such files.
pub(crate) struct InFiles;

#[async_trait]
impl Scratches for InFiles {
    async fn scratch(&self) -> Result<Scratch, EngineError> {
        let folder = PrivateFolder::new("bothways-plan")
            .map_err(|error| EngineError::Refused(format!("no folder for the plan's match keys: {error}")))?;
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let sql = Sql::open(&url, Vec::new()).await?;
        sql.migrate().await?;
        Ok(Scratch { keys: Arc::new(sql), guard: Box::new(folder) })
    }
}
