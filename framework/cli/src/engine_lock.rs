//! Which engines run on a database file, so that the only one need not wait for the leases of a dead one.
//!
//! Every engine process holds a shared lock on a file beside the database for as long as it lives; the operating system lets go of
//! it when the process dies, however it dies. Who can have the lock alone is alone, and may end whatever leases are left.

use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// A shared lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct EngineLock {
    _file: File,
}

impl EngineLock {
    /// Takes the lock beside the database at `path`. If this process is the only one, `alone` runs before any other can come in.
    ///
    /// # Errors
    /// The lock file cannot be opened; `alone` fails.
    pub(crate) async fn take(
        path: &Path,
        alone: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let file = open(&lock_file(path))?;
        if file.try_lock().is_ok() {
            alone().await?;
            file.unlock().context("the lock file")?;
        }
        // Somebody who is just making sure of being alone is done in a moment.
        let file = tokio::task::spawn_blocking(move || file.lock_shared().map(|()| file))
            .await
            .context("the lock file")?
            .context("the lock file")?;
        Ok(Self { _file: file })
    }

    /// Whether no engine runs on the database at `path`; runs `alone` while none can start, then removes the lock file.
    ///
    /// # Errors
    /// The lock file cannot be opened or removed; `alone` fails.
    pub(crate) async fn remove(
        path: &Path,
        alone: impl AsyncFnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let name = lock_file(path);
        let file = open(&name)?;
        if file.try_lock().is_err() {
            return Ok(false);
        }
        alone().await?;
        std::fs::remove_file(&name).with_context(|| format!("the lock file {}", name.display()))?;
        Ok(true)
    }
}

fn lock_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-engine");
    name.into()
}

fn open(name: &Path) -> anyhow::Result<File> {
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(name);
    options.with_context(|| format!("the lock file {}", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn only_the_first_is_alone_and_a_dead_one_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let times = Cell::new(0);
        let alone = async || {
            times.set(times.get() + 1);
            Ok(())
        };
        let first = EngineLock::take(&path, alone).await.unwrap();
        assert_eq!(times.get(), 1);
        let second = EngineLock::take(&path, alone).await.unwrap();
        assert_eq!(times.get(), 1, "another engine runs");
        drop(first);
        let third = EngineLock::take(&path, alone).await.unwrap();
        assert_eq!(times.get(), 1, "the second still runs");
        drop((second, third));
        let fourth = EngineLock::take(&path, alone).await.unwrap();
        assert_eq!(times.get(), 2);
        assert!(!EngineLock::remove(&path, alone).await.unwrap());
        drop(fourth);
        assert!(EngineLock::remove(&path, alone).await.unwrap());
        assert_eq!(times.get(), 3);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
