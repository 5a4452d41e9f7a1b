//! What all handlers share.

use crate::access::{Names, Sessions, Throttle};
use crate::api::PlanPlaces;
use crate::beside::Beside;
use crate::server::Metrics;
use crate::settings::Settings;
use bothways_engine::{Engine, Operations, Records};
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Requests of the main listener at once; event streams are counted apart.
const PLACES: usize = 128;
/// Event streams at once.
const STREAMS: usize = 64;

/// What all handlers share; cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) records: Records,
    pub(crate) operations: Operations,
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    pub(crate) sessions: Sessions,
    pub(crate) throttle: Throttle,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) plans: PlanPlaces,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) beside: Option<Arc<dyn Beside>>,
    /// Becomes true when the server stops, so that streams end.
    pub(crate) stopping: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        settings: Settings,
        metrics: Option<Metrics>,
        beside: Option<Arc<dyn Beside>>,
    ) -> Self {
        Self(Arc::new(Shared {
            records: Records::new(engine.clone()),
            operations: Operations::new(engine.clone()),
            names: Names::new(&settings),
            settings,
            sessions: Sessions::default(),
            throttle: Throttle::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            plans: PlanPlaces::default(),
            metrics,
            beside,
            stopping: watch::channel(false).0,
        }))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
