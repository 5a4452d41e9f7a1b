//! The head of the log's index, read from its file.
//!
//! Every commit in WAL mode changes the head of the `-shm` file ("The WAL-Index File Format", https://www.sqlite.org/walformat.html):
//! a counter of changes and the number of frames in the log are in its first 48 bytes. Reading them takes no lock and no connection. They may
//! be caught half changed; whoever reads takes any difference for "look", never for an answer.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The first copy of the head.
pub(crate) type Head = [u8; 48];

/// Reads the head again and again.
pub(crate) struct IndexHead {
    path: PathBuf,
    file: Option<File>,
}

impl IndexHead {
    /// The index of this database.
    pub(crate) fn new(database: &Path) -> Self {
        let mut path = OsString::from(database);
        path.push("-shm");
        Self { path: path.into(), file: None }
    }

    /// The head as it is now; `None` where there is none to read: another journal mode, another system, or a file that was replaced.
    #[cfg(unix)]
    pub(crate) fn read(&mut self) -> Option<Head> {
        use std::os::unix::fs::{FileExt, MetadataExt};
        // Whoever closes the database last removes the file, and the next one makes another.
        if self.file.as_ref().is_none_or(|file| file.metadata().map_or(true, |about| about.nlink() == 0)) {
            self.file = File::open(&self.path).ok();
        }
        let mut head = [0; 48];
        self.file.as_ref()?.read_exact_at(&mut head, 0).ok()?;
        Some(head)
    }

    #[cfg(not(unix))]
    pub(crate) fn read(&mut self) -> Option<Head> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{ConnectOptions, Connection};

    #[tokio::test]
    async fn every_commit_changes_it_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut head = IndexHead::new(&path);
        assert_eq!(head.read(), None);
        for round in 0..3 {
            let mut c = options.clone().journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
            sqlx::query("CREATE TABLE IF NOT EXISTS t (a)").execute(&mut c).await.unwrap();
            let mut before = head.read();
            assert!(before.is_some(), "round {round}");
            for _ in 0..20 {
                sqlx::query("INSERT INTO t VALUES (1)").execute(&mut c).await.unwrap();
                let after = head.read();
                assert_ne!(after, before);
                before = after;
                sqlx::query("SELECT * FROM t").execute(&mut c).await.unwrap();
                assert_eq!(head.read(), before);
            }
            // The last one out removes the index.
            c.close().await.unwrap();
        }
    }
}
