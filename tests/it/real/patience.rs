//! Waiting for conditions. Limits are generous: they are there to end a test that has failed, not to measure.

use std::ops::AsyncFnMut;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Enough for anything that happens within seconds on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Enough for hundreds of records, and for the back-off after an outage.
pub(crate) const EVENTUALLY: Duration = Duration::from_secs(180);
/// How long is waited between the first two looks, and at most between later ones.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// Looks until there is something to return; an error says what is still missing. How long it took is said, for whoever reads the
/// output of a test.
///
/// # Panics
/// With what was missing last, when the limit is over.
#[allow(clippy::print_stderr, reason = "read with the failure of a test")]
pub(crate) async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    let mut between = BETWEEN.0;
    loop {
        match look().await {
            Ok(found) => {
                eprintln!("{:6} ms  {what}", start.elapsed().as_millis());
                return found;
            }
            Err(missing) => {
                assert!(start.elapsed() < limit, "{what}: not within {limit:?}: {missing}");
            }
        }
        sleep(between).await;
        between = (between * 5 / 4).min(BETWEEN.1);
    }
}

/// [`Ok`] if it holds, else what is missing.
pub(crate) fn hold(holds: bool, missing: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(missing()) }
}
