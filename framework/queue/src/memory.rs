//! The in-memory queue: a broadcast channel within one process.

use crate::{Listener, Nudge, Queue, QueueError};
use async_trait::async_trait;
use tokio::sync::broadcast;

/// A queue within one process. A listener that falls behind loses the oldest nudges, which the trait allows.
#[derive(Clone, Debug)]
pub struct MemoryQueue {
    sender: broadcast::Sender<Nudge>,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self { sender: broadcast::channel(1024).0 }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn nudge(&self, nudge: Nudge) -> Result<(), QueueError> {
        // Nobody listening is not an error: nudges are hints.
        let _ = self.sender.send(nudge);
        Ok(())
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, QueueError> {
        Ok(Box::new(MemoryListener { receiver: self.sender.subscribe() }))
    }

    fn address(&self) -> String {
        "memory://".into()
    }
}

struct MemoryListener {
    receiver: broadcast::Receiver<Nudge>,
}

#[async_trait]
impl Listener for MemoryListener {
    async fn next(&mut self) -> Nudge {
        loop {
            match self.receiver.recv().await {
                Ok(nudge) => return nudge,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
