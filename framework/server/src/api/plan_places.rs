//! How many plans are made for readers at once (S13). A plan reads both sides in full and is kept for a reader that is slower than it is
//! made: each has a place from its first step until its reader has the last of it, hangs up, or has taken too long.

use super::plans::Chunk;
use crate::problem::Problem;
use axum::http::StatusCode;
use futures::stream::{self, Stream};
use futures::task::AtomicWaker;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Plans at once, of different mappings.
const PLACES: usize = 4;
/// How long one may take, its reader included.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The places.
#[derive(Clone)]
pub(crate) struct PlanPlaces {
    places: Arc<Semaphore>,
    mappings: Arc<Mutex<BTreeSet<String>>>,
}

impl Default for PlanPlaces {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), mappings: Arc::default() }
    }
}

/// The place of one plan; given back when dropped.
pub(crate) struct PlanPlace {
    _place: OwnedSemaphorePermit,
    mapping: String,
    mappings: Arc<Mutex<BTreeSet<String>>>,
}

impl PlanPlaces {
    /// Takes the place of a mapping's plan.
    ///
    /// # Errors
    /// One of the same mapping is being made, or too many of others.
    pub(crate) fn take(&self, mapping: &str) -> Result<PlanPlace, Problem> {
        let busy = |detail| Problem::later(StatusCode::SERVICE_UNAVAILABLE, "busy", detail, 10);
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| busy("too many plans are being made; try again"))?;
        let mut mappings = self.mappings.lock().unwrap_or_else(PoisonError::into_inner);
        if !mappings.insert(mapping.to_owned()) {
            return Err(busy("a plan of this mapping is being made; try again when it has been read"));
        }
        Ok(PlanPlace { _place: place, mapping: mapping.to_owned(), mappings: self.mappings.clone() })
    }
}

impl Drop for PlanPlace {
    fn drop(&mut self) {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mapping);
    }
}

/// What a reader has not got yet, with whoever makes it and the place; `None` once it has taken too long.
struct Rest<S> {
    chunks: Mutex<Option<(S, PlanPlace)>>,
    reader: AtomicWaker,
}

/// Hands chunks to a reader for as long as a plan may take.
pub(crate) fn within_patience<S>(chunks: S, place: PlanPlace) -> impl Stream<Item = Chunk>
where
    S: Stream<Item = Chunk> + Send + Unpin + 'static,
{
    until(tokio::time::sleep(PATIENCE), chunks, place)
}

/// Hands chunks to a reader until it is `late`. Whether the reader asks for more or not, all is let go of then, and the answer breaks
/// off.
fn until<S>(
    late: impl Future<Output = ()> + Send + 'static,
    chunks: S,
    place: PlanPlace,
) -> impl Stream<Item = Chunk>
where
    S: Stream<Item = Chunk> + Send + Unpin + 'static,
{
    let rest = Arc::new(Rest { chunks: Mutex::new(Some((chunks, place))), reader: AtomicWaker::new() });
    // Not one that holds on: with the answer everything is let go of at once.
    let watched = Arc::downgrade(&rest);
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        late.await;
        let Some(rest) = watched.upgrade() else { return };
        drop(rest.chunks.lock().unwrap_or_else(PoisonError::into_inner).take());
        rest.reader.wake();
    });
    let mut ended = false;
    stream::poll_fn(move |context| {
        let _watch = &watch;
        if ended {
            return Poll::Ready(None);
        }
        rest.reader.register(context.waker());
        let mut chunks = rest.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match chunks.as_mut() {
            Some((chunks, _)) => std::pin::Pin::new(chunks).poll_next(context),
            None => Poll::Ready(Some(Err(io::Error::other("the plan took too long")))),
        };
        if let Poll::Ready(None | Some(Err(_))) = &next {
            ended = true;
            drop(chunks.take());
        }
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use futures::{FutureExt as _, StreamExt as _, poll};
    use tokio::sync::oneshot;

    fn never() -> impl Stream<Item = Chunk> + Send + Unpin + 'static {
        stream::iter([Ok(Bytes::from_static(b"first"))]).chain(stream::pending())
    }

    #[tokio::test]
    async fn a_mapping_has_one_plan_at_once_and_all_have_a_few() {
        let places = PlanPlaces::default();
        let mut taken: Vec<PlanPlace> =
            (0..PLACES).map(|number| places.take(&number.to_string()).unwrap()).collect();
        assert_eq!(places.take("another").err().unwrap().code, "busy");
        taken.pop();
        assert_eq!(places.take("0").err().unwrap().code, "busy", "it has one");
        assert!(places.take("another").is_ok());
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_answer_is_read_or_dropped() {
        let places = PlanPlaces::default();
        let mut unread = Box::pin(within_patience(never(), places.take("m").unwrap()));
        assert_eq!(unread.next().await.unwrap().unwrap(), "first");
        assert!(places.take("m").is_err(), "its head was answered, and more");
        drop(unread);
        let two = stream::iter([Ok(Bytes::from_static(b"only"))]);
        let mut read = Box::pin(within_patience(two, places.take("m").unwrap()));
        assert_eq!(read.next().await.unwrap().unwrap(), "only");
        assert!(read.next().await.is_none());
        assert!(places.take("m").is_ok());
    }

    #[tokio::test]
    async fn a_plan_has_its_time() {
        let places = PlanPlaces::default();
        let (over, late) = oneshot::channel::<()>();
        let late = late.map(drop).shared();
        let mut asking = Box::pin(until(late.clone(), never(), places.take("asking").unwrap()));
        // This one's reader takes nothing at all.
        let silent = until(late, never(), places.take("silent").unwrap());
        assert_eq!(asking.next().await.unwrap().unwrap(), "first");
        assert!(poll!(asking.next()).is_pending());
        over.send(()).unwrap();
        assert!(asking.next().await.unwrap().is_err(), "nobody takes it for a whole one");
        assert!(asking.next().await.is_none());
        assert!(places.take("asking").is_ok());
        while places.take("silent").is_err() {
            tokio::task::yield_now().await;
        }
        drop(silent);
    }
}
