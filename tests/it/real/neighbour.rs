//! Another program that wants to write to the same SQLite file again and again, and notes for how long it could not.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often it tries.
const BETWEEN: Duration = Duration::from_millis(1);

/// It.
pub(crate) struct Neighbour {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Waited>,
}

/// What it noted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waited {
    /// How often the file was free.
    #[allow(dead_code, reason = "shown by `Debug`")]
    pub(crate) free: u64,
    /// How often it was locked.
    #[allow(dead_code, reason = "shown by `Debug`")]
    pub(crate) locked: u64,
    /// The longest time in which every try met the lock.
    pub(crate) longest: Duration,
}

impl Neighbour {
    /// Begins.
    pub(crate) async fn start(file: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::ZERO);
        let mut connection = options.connect().await.expect("the database opens");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut waited = Waited::default();
            let mut free = Instant::now();
            while !stopped.load(Ordering::Acquire) {
                match connection.begin_with("begin immediate").await {
                    Ok(transaction) => {
                        transaction.rollback().await.expect("nothing was done");
                        free = Instant::now();
                        waited.free += 1;
                    }
                    Err(_) => {
                        waited.longest = waited.longest.max(free.elapsed());
                        waited.locked += 1;
                    }
                }
                tokio::time::sleep(BETWEEN).await;
            }
            waited
        });
        Self { stop, task }
    }

    /// Ends, and says what was noted.
    pub(crate) async fn stop(self) -> Waited {
        self.stop.store(true, Ordering::Release);
        self.task.await.expect("it has noted")
    }
}
