//! The in-memory queue keeps the transport contract.

use async_trait::async_trait;
use bothways_queue::contract::{self, Rig};
use bothways_queue::{MemoryQueue, Queue};
use std::sync::{Arc, Mutex};

/// Within one process, "another process's view" is a clone of the same channel.
#[derive(Default)]
struct Memory {
    opened: Mutex<Option<MemoryQueue>>,
}

#[async_trait]
impl Rig for Memory {
    async fn open(&self) -> Arc<dyn Queue> {
        let queue = MemoryQueue::default();
        *self.opened.lock().unwrap() = Some(queue.clone());
        Arc::new(queue)
    }

    async fn join(&self, _queue: &Arc<dyn Queue>) -> Arc<dyn Queue> {
        Arc::new(self.opened.lock().unwrap().clone().expect("open comes first"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_queue_keeps_the_contract() {
    contract::all(&Memory::default()).await;
}
