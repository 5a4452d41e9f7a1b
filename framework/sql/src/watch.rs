//! Noticing commits, whoever makes them.
//!
//! The database's folder is watched for writes to the database's files; a write is followed by a few quick looks at `data_version`, which
//! another connection's commit changes, because the log is written before the commit is visible. Only where something is captured that
//! nobody has relayed is anybody woken: most commits are the engine's own. A slow look at `data_version` covers whatever the folder does
//! not tell. The files themselves are never opened here: closing them would take SQLite's locks away. The quick looks are on the thread
//! that hears of the write, so that nobody has to be woken for them and the writing program is not interrupted by ever more tellings; all
//! others are on a thread of their own. An idle engine costs four looks a second.

use crate::connect::Database;
use crate::error::ours;
use bothways_store::{Result, StoreError, StoreErrorKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// The pause before a look in no hurry.
const SOON: Duration = Duration::from_micros(200);
/// The pauses before further looks.
const LATER: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(5)];
/// How late the folder may tell of a write of ours.
const LATE: Duration = Duration::from_micros(100);

/// The number of times that something captured was seen so far. Starts at 1, so that whoever asks first looks at what is there already.
pub(crate) struct Watch {
    changes: watch::Receiver<u64>,
    // Dropping it ends the subscription to the folder; the thread itself ends when nobody waits any more.
    _folder: Option<RecommendedWatcher>,
}

impl Watch {
    pub(crate) fn start(database: &Database) -> Result<Self> {
        let connection = database.watcher()?;
        let seen = version(&connection).map_err(ours)?;
        let (publish, changes) = watch::channel(1);
        let looker = Arc::new(Mutex::new(Looker { connection, publish, seen }));
        // One place is enough: what is heard while it is full is followed by the same looks.
        let (heard, hear) = sync_channel(1);
        let folder = match listen(&database.path(), database.own.clone(), looker.clone(), heard) {
            Ok(folder) => Some(folder),
            Err(error) => {
                tracing::warn!(%error, "cannot watch the database's folder; looking every {UNWATCHED:?} instead");
                None
            }
        };
        let rest = if folder.is_some() { SLOW } else { UNWATCHED };
        std::thread::Builder::new()
            .name("bothways-watch".to_owned())
            .spawn(move || look_on(&looker, &hear, rest))
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

fn version(connection: &rusqlite::Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// Whether something is captured that is not relayed; where that cannot be said, it may be so.
fn is_captured(connection: &rusqlite::Connection) -> bool {
    let asked = connection.prepare_cached("SELECT 1 FROM bothways_changes LIMIT 1");
    asked.and_then(|mut asked| asked.exists([])).unwrap_or(true)
}

/// When this engine itself writes. SQLite has one writer at a time, so what is heard meanwhile is ours, or of a commit just before.
pub(crate) struct OwnWrites {
    start: Instant,
    /// Nanoseconds after `start` when the last one ended; the largest number while one is open.
    ended: AtomicU64,
}

impl OwnWrites {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), ended: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn begin(&self) {
        self.ended.store(u64::MAX, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.ended.store(self.now(), Ordering::Release);
    }

    /// Whether one is open, or was a moment ago: the folder tells a little late.
    fn is_recent(&self) -> bool {
        let ended = self.ended.load(Ordering::Acquire);
        ended > 0 && self.now().saturating_sub(ended) < LATE.as_nanos() as u64
    }
}

/// Watches the folder of `database` for writes to its files.
fn listen(
    database: &Path,
    own: Arc<OwnWrites>,
    looker: Arc<Mutex<Looker>>,
    heard: SyncSender<()>,
) -> notify::Result<RecommendedWatcher> {
    let file = database.file_name().unwrap_or_default();
    let names: Vec<OsString> = ["", "-wal", "-journal"]
        .into_iter()
        .map(|suffix| {
            let mut name = file.to_owned();
            name.push(suffix);
            name
        })
        .collect();
    let meant = move |path: &PathBuf| path.file_name().is_some_and(|name| names.iter().any(|n| n == name));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let is_write = match &event {
            Ok(event) => !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(&meant),
            Err(_) => true,
        };
        if !is_write {
            return;
        }
        if own.is_recent() {
            // In no hurry: a commit of ours is a dozen writes, and tellings that nobody listens to become one.
            std::thread::sleep(SOON);
        } else {
            lock(&looker).look_quickly();
        }
        let _ = heard.try_send(());
    })?;
    let folder = database.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Looks at the database and tells.
struct Looker {
    connection: rusqlite::Connection,
    publish: watch::Sender<u64>,
    seen: i64,
}

impl Looker {
    /// Looks until something is seen, or for a while.
    fn look_quickly(&mut self) {
        let start = Instant::now();
        while !self.look() && start.elapsed() < QUICK {
            std::thread::sleep(STEP.max(start.elapsed() / 4));
        }
    }

    /// True if something was committed since the last look.
    fn look(&mut self) -> bool {
        match version(&self.connection) {
            Ok(now) if now == self.seen => false,
            Ok(now) => {
                self.seen = now;
                // After the version: whatever is committed later changes it again.
                if is_captured(&self.connection) {
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

/// Looks again after whatever was heard, ever more rarely, and now and then: what was heard before a look is mostly of the commit it has
/// seen, or of one of ours, but not certainly all of it.
fn look_on(looker: &Mutex<Looker>, hear: &Receiver<()>, rest: Duration) {
    let mut pauses = [].iter();
    loop {
        let pause = *pauses.next().unwrap_or(&rest);
        match hear.recv_timeout(pause) {
            Ok(()) => pauses = LATER.iter(),
            Err(RecvTimeoutError::Timeout) => {}
            // The folder is not watched.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
        }
        let mut looker = lock(looker);
        if looker.publish.receiver_count() == 0 {
            return;
        }
        looker.look();
    }
}

fn lock(looker: &Mutex<Looker>) -> MutexGuard<'_, Looker> {
    looker.lock().unwrap_or_else(PoisonError::into_inner)
}
