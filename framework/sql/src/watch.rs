//! Noticing commits, whoever makes them.
//!
//! The database's folder is watched for writes to the database's files; a write is followed by a few quick looks at `data_version`, which
//! another connection's commit changes, because the log is written before the commit is visible. Only where something is captured that
//! nobody has relayed is anybody woken: most commits are the engine's own. A slow look at `data_version` covers whatever the folder does
//! not tell. The files themselves are never opened here: closing them would take SQLite's locks away. All of this is on a thread of its
//! own: looks a fraction of a millisecond apart need no timer wheel, and an idle engine costs four looks a second.

use crate::connect::Database;
use crate::error::ours;
use crate::statement::fetch_optional;
use crate::stored::get;
use bothways_store::{Result, StoreError, StoreErrorKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sqlx::SqliteConnection;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often to look when nothing is heard.
const SLOW: Duration = Duration::from_millis(250);
/// The same where the folder cannot be watched.
const UNWATCHED: Duration = Duration::from_millis(25);
/// How long to look for the commit after its write was heard.
const QUICK: Duration = Duration::from_millis(8);
/// The first pause between quick looks; each is a quarter longer than the time passed, so that they get rarer.
const STEP: Duration = Duration::from_micros(50);

/// The pause between looks for what was heard just before something was seen.
const EASY: Duration = Duration::from_millis(1);

/// The number of times that something captured was seen so far. Starts at 1, so that whoever asks first looks at what is there already.
pub(crate) struct Watch {
    changes: watch::Receiver<u64>,
    // Dropping it ends the thread's subscription to the folder; the thread itself ends with its last receiver.
    _folder: Option<RecommendedWatcher>,
}

impl Watch {
    pub(crate) async fn start(database: &Database) -> Result<Self> {
        let mut connection = database.connect().await?;
        // One place is enough: what is heard while it is full is followed by the same looks.
        let (heard, hear) = sync_channel(1);
        let folder = match listen(&database.path(), heard) {
            Ok(folder) => Some(folder),
            Err(error) => {
                tracing::warn!(%error, "cannot watch the database's folder; looking every {UNWATCHED:?} instead");
                None
            }
        };
        let seen = version(&mut connection).await?;
        let (publish, changes) = watch::channel(1);
        let pause = if folder.is_some() { SLOW } else { UNWATCHED };
        std::thread::Builder::new()
            .name("bothways-watch".to_owned())
            .spawn(move || Thread { connection, hear, publish, seen }.run(pause))
            .map_err(|error| StoreError {
                kind: StoreErrorKind::Retry,
                message: "cannot start a thread".to_owned(),
                source: Some(Box::new(error)),
            })?;
        Ok(Self { changes, _folder: folder })
    }

    /// Waits until more than `seen` changes have been seen, and says how many.
    pub(crate) async fn after(&self, seen: u64) -> u64 {
        let mut changes = self.changes.clone();
        let now = changes.wait_for(|now| *now > seen).await.map(|now| *now);
        // The thread is gone only if its connection failed for good; then everything may have changed, all the time.
        now.unwrap_or_else(|_| seen.saturating_add(1))
    }
}

async fn version(connection: &mut SqliteConnection) -> Result<i64> {
    let row = fetch_optional(connection, "PRAGMA data_version", []).await.map_err(ours)?;
    row.map_or(Ok(0), |row| get(&row, 0))
}

/// Whether something is captured that is not relayed; where that cannot be said, it may be so.
async fn is_captured(connection: &mut SqliteConnection) -> bool {
    let found = fetch_optional(connection, "SELECT 1 FROM bothways_changes LIMIT 1", []).await;
    !matches!(found, Ok(None))
}

/// Watches the folder of `database` for writes to its files.
fn listen(database: &Path, heard: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let file = database.file_name().unwrap_or_default();
    let names: Vec<OsString> = ["", "-wal", "-journal"]
        .into_iter()
        .map(|suffix| {
            let mut name = file.to_owned();
            name.push(suffix);
            name
        })
        .collect();
    let ours = move |path: &PathBuf| path.file_name().is_some_and(|name| names.iter().any(|n| n == name));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let is_write = match &event {
            Ok(event) => !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(&ours),
            Err(_) => true,
        };
        if is_write {
            let _ = heard.try_send(());
        }
    })?;
    let folder = database.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

struct Thread {
    connection: SqliteConnection,
    hear: Receiver<()>,
    publish: watch::Sender<u64>,
    seen: i64,
}

impl Thread {
    fn run(mut self, pause: Duration) {
        while self.publish.receiver_count() > 0 {
            match self.hear.recv_timeout(pause) {
                Ok(()) => self.follow(),
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                }
                // The folder is not watched.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(pause);
                    self.look();
                }
            }
        }
    }

    /// Follows writes that were heard until they are seen, and listens on for a while: what was heard before a look is mostly of the
    /// commit it has seen, and looking for that again and again would take the time of those who act on it.
    fn follow(&mut self) {
        while self.look_quickly() {
            let start = Instant::now();
            loop {
                match self.hear.recv_timeout(EASY) {
                    Ok(()) => break,
                    Err(_) => self.look(),
                };
                if start.elapsed() >= QUICK {
                    return;
                }
            }
        }
    }

    /// Looks until something is seen, and says whether that was so.
    fn look_quickly(&mut self) -> bool {
        let mut start = Instant::now();
        loop {
            // A write that is heard on the way is followed just as long.
            if self.hear.try_recv().is_ok() {
                start = Instant::now();
            }
            if self.look() {
                return true;
            }
            if start.elapsed() >= QUICK {
                return false;
            }
            std::thread::sleep(STEP.max(start.elapsed() / 4));
        }
    }

    /// True if something was committed since the last look.
    fn look(&mut self) -> bool {
        match futures::executor::block_on(version(&mut self.connection)) {
            Ok(now) if now == self.seen => false,
            Ok(now) => {
                self.seen = now;
                // After the version: whatever is committed later changes it again.
                if futures::executor::block_on(is_captured(&mut self.connection)) {
                    self.publish.send_modify(|changes| *changes += 1);
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look at the database's version");
                self.publish.send_modify(|changes| *changes += 1);
                std::thread::sleep(SLOW);
                true
            }
        }
    }
}
