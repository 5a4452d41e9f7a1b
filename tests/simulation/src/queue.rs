//! The queue of all processes: nudges get lost, come twice, come late.

use crate::executor::{Executor, WORLD};
use crate::process::{Kind, Process};
use async_trait::async_trait;
use bothways_queue::{Listener, MemoryQueue, Nudge, Queue, QueueError};
use std::sync::Arc;

/// One process's end of the queue.
pub(crate) struct SimQueue {
    pub(crate) process: Arc<Process>,
    pub(crate) hub: MemoryQueue,
}

#[async_trait]
impl Queue for SimQueue {
    async fn nudge(&self, nudge: Nudge) -> Result<(), QueueError> {
        self.process.at("nudge", Kind::Nudge).await;
        let sim = &self.process.sim;
        let weather = &sim.plan.weather;
        let calm = sim.is_calm();
        let (lost, twice, late) = sim.draw(|dice| {
            (
                dice.chance(weather.nudge_lost),
                dice.chance(weather.nudge_twice),
                dice.chance(weather.nudge_late),
            )
        });
        if lost && !calm {
            sim.count("nudge_lost");
            return Ok(());
        }
        if twice && !calm {
            sim.count("nudge_duplicated");
            self.hub.nudge(nudge.clone()).await?;
        }
        if late && !calm {
            sim.count("nudge_late");
            let wait = sim.draw(|dice| dice.millis(10, 10_000));
            let (hub, executor): (MemoryQueue, Arc<Executor>) = (self.hub.clone(), sim.executor.clone());
            sim.executor.spawn(WORLD, "late nudge", async move {
                executor.sleep(wait).await;
                // A nudge that is lost after all is one more fault.
                let _ = hub.nudge(nudge).await;
            });
            return Ok(());
        }
        self.hub.nudge(nudge).await?;
        self.process.alive().await;
        Ok(())
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, QueueError> {
        self.process.at("listen", Kind::Nudge).await;
        let listener = self.hub.listen().await?;
        Ok(Box::new(SimListener { process: self.process.clone(), listener }))
    }

    fn address(&self) -> String {
        "simulated://".into()
    }
}

struct SimListener {
    process: Arc<Process>,
    listener: Box<dyn Listener>,
}

#[async_trait]
impl Listener for SimListener {
    async fn next(&mut self) -> Nudge {
        let nudge = self.listener.next().await;
        self.process.alive().await;
        nudge
    }
}
