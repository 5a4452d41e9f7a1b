//! What people are told of a brake: in the list, in words, in the log (rules 63, 68).

use crate::brakes::{BOTH, HOUR, approve, brake, linked, rows, wait};
use crate::harness::{Setup, World};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing::subscriber::DefaultGuard;

/// What the engine logs as an error, on the thread that all of a scenario runs on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> DefaultGuard {
        let log = self.clone();
        let layer = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_ansi(false);
        tracing::subscriber::set_default(layer.with_writer(move || log.clone()).finish())
    }

    /// The lines about brakes, without when and of which mapping.
    fn brakes(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let about = text.lines().filter_map(|line| line.find("brake-").map(|at| &line[at..]));
        about.map(|line| line.split(" pair=").next().unwrap_or_default().to_owned()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, some: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(some)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Withheld, approved and open, as the list has them.
async fn counts(world: &World) -> (u64, u64, u64) {
    let all = world.ops.brakes().await.unwrap();
    let [one] = all.as_slice() else { panic!("{all:?}") };
    (one.withheld, one.approved, one.open)
}

#[tokio::test(start_paused = true)]
async fn the_list_counts_what_a_person_would_approve_now() {
    let world = linked(Setup::with(BOTH), 50).await;
    let rows = rows(&world).await;
    rows[..15].iter().for_each(|row| world.delete(row));
    let on = brake(&world, 15).await;
    assert_eq!(counts(&world).await, (15, 0, 15));
    assert_eq!(on.why, "15 deletes done, to come or missing within 30 minutes; 10 need no approval");
    world.set_down(true);
    approve(&world, &on).await;
    assert_eq!(counts(&world).await, (15, 15, 0));
    let alone = world.ops.brake(&on.id).await.unwrap();
    assert_eq!((alone.open, alone.approved), (0, 15), "one that is asked for by itself says the same");
}

#[tokio::test(start_paused = true)]
async fn a_brake_that_goes_on_is_told_to_the_log_once() {
    let (log, mut world) = (Log::default(), linked(Setup::with(BOTH), 50).await);
    let listening = log.listen();
    let rows = rows(&world).await;
    rows[..15].iter().for_each(|row| world.delete(row));
    let first = brake(&world, 15).await;
    wait(60).await;
    let said = |id: &str, counted: u64| {
        format!(
            "{id} is on: {counted} deletes done, to come or missing within 30 minutes; 10 need no approval. See `bothways brakes {id}`"
        )
    };
    assert_eq!(log.brakes(), [said(&first.id, 15)]);
    // Whoever starts now is told once more, but not of what somebody has answered.
    world.kill();
    world.restart().await;
    wait(60).await;
    assert_eq!(log.brakes(), [said(&first.id, 15), said(&first.id, 15)]);
    world.set_down(true);
    approve(&world, &brake(&world, 15).await).await;
    world.kill();
    world.restart().await;
    wait(10).await;
    assert_eq!(log.brakes().len(), 2);
    world.set_down(false);
    world.settle().await;
    world.until("it is off", HOUR, async |w: &World| w.ops.brakes().await.unwrap().is_empty()).await;
    drop(listening);
}
