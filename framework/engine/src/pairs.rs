//! The pairs this process has loaded: stored pair, mapping, connector, resource.

use crate::EngineError;
use crate::terms::{HeldChange, Terms};
use bothways_connector::{Connector, Resource, ResourceQuery};
use bothways_mapping::Mapping;
use bothways_model::planted::{self, Bug};
use bothways_model::{Capabilities, ConnectionName, PairId, RemoteId};
use bothways_store::{Approval, Pair, PairSpec, Store};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// By how much a lease outlasts a call.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// A mapping with the connection it runs on.
#[derive(Clone)]
pub struct Loaded {
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// The connection's name.
    pub connection: ConnectionName,
    /// The connection itself.
    pub connector: Arc<dyn Connector>,
}

/// A pair this process can work on.
pub struct PairRuntime {
    /// Its number.
    pub id: PairId,
    /// The mapping: as it was approved, while a change of it is held (rule 62).
    pub mapping: Arc<Mapping>,
    /// The connection's name.
    pub connection: ConnectionName,
    /// The connection.
    pub connector: Arc<dyn Connector>,
    /// The resource.
    pub resource: Arc<dyn Resource>,
    /// The digest of what an approval of the mapping as it is written would cover (rule 62).
    pub digest: String,
    /// The digest of all of the mapping that matters, whatever an approval covers.
    pub mapping_digest: String,
    pub(crate) terms: Terms,
    held: Option<HeldChange>,
    stored: RwLock<Arc<Pair>>,
    /// Labels that were absent from reads in a row, and how often (rule 17).
    absent: Mutex<BTreeMap<String, u32>>,
}

impl PairRuntime {
    /// Finds or makes the stored pair of a mapping and binds its resource. Where what was approved is something else, the pair goes on
    /// as it was approved.
    ///
    /// # Errors
    /// The store fails, or the connector has no such resource.
    pub(crate) async fn open(store: &dyn Store, loaded: &Loaded) -> Result<Self, EngineError> {
        let spec = spec_of(&loaded.mapping, &loaded.connection);
        let stored = store.ensure_pair(&spec).await?;
        Self::approved(stored, loaded)
    }

    /// Binds a stored pair to the mapping as it was approved.
    pub(crate) fn approved(stored: Pair, loaded: &Loaded) -> Result<Self, EngineError> {
        let (mapping, held) = match &stored.approval {
            Some(approval) => approved_form(approval, &loaded.mapping),
            None => (loaded.mapping.clone(), None),
        };
        if let Some(change) = &held {
            let name = &loaded.mapping.name;
            tracing::info!(
                mapping = name,
                differs = change.differs.join("; "),
                stopped = change.stopped,
                "the mapping changed since its plan was approved: the change is held until it is (`bothways plan {name}`)"
            );
        }
        let form = Loaded { mapping, ..loaded.clone() };
        Ok(Self { held, ..Self::bind_form(stored, &form, &loaded.mapping)? })
    }

    /// Binds a pair to a mapping as it is written, approved or not: for a plan. The pair may be one that is not stored.
    ///
    /// # Errors
    /// The connector has no such resource.
    pub fn bind(stored: Pair, loaded: &Loaded) -> Result<Self, EngineError> {
        Self::bind_form(stored, loaded, &loaded.mapping)
    }

    fn bind_form(stored: Pair, loaded: &Loaded, written: &Mapping) -> Result<Self, EngineError> {
        let mapping = loaded.mapping.clone();
        let query = ResourceQuery {
            name: mapping.remote.resource.clone(),
            params: mapping.remote.params.clone(),
            paths: mapping.paths(),
            written: mapping.written_paths(),
            stamp: mapping.identity.stamp.clone(),
        };
        let resource = loaded.connector.resource(&query)?;
        let terms = Terms::of(written);
        Ok(Self {
            id: stored.id,
            digest: terms.digest(),
            mapping_digest: mapping_digest(written),
            terms,
            held: None,
            mapping,
            connection: loaded.connection.clone(),
            connector: loaded.connector.clone(),
            resource,
            stored: RwLock::new(Arc::new(stored)),
            absent: Mutex::default(),
        })
    }

    /// The id of a record as the service answers with it, for one that a person or a row gives.
    pub fn remote_id(&self, given: &str) -> RemoteId {
        self.resource.normal_id(RemoteId::from(given))
    }

    /// The change of the mapping that waits for its approval (rule 62).
    pub fn held(&self) -> Option<&HeldChange> {
        self.held.as_ref()
    }

    /// Why nothing of this pair is done until a change is approved, if so.
    pub(crate) fn stopped(&self) -> Option<&str> {
        self.held.as_ref().and_then(|change| change.stopped.as_deref())
    }

    /// The stored pair as last read.
    pub fn stored(&self) -> Arc<Pair> {
        self.stored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn refresh(&self, pair: Pair) {
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }

    /// Labels that the mapping, as it is written, has elsewhere than what was approved, or not at all.
    pub(crate) fn moved(&self) -> Vec<String> {
        let stored = self.stored();
        let was =
            stored.approval.as_ref().and_then(|approval| Terms::deserialize(approval.terms.as_ref()?).ok());
        was.map(|was| was.moved(&self.terms)).unwrap_or_default()
    }

    /// Whether its plan is approved: until then it only observes (rule 61).
    pub fn is_approved(&self) -> bool {
        self.stored().approval.is_some()
    }

    /// Whether its first complete walk was matched: until then nothing is created (rule 27).
    pub fn is_walked(&self) -> bool {
        self.stored().walked_at.is_some()
    }

    /// Whether what a full pass that begins now changes is covered by an approval: the pair was never walked, or its plan was approved
    /// since its last full pass (rule 58).
    pub(crate) fn changes_are_approved(&self) -> bool {
        let stored = self.stored();
        match (stored.walked_at, stored.passed_at, &stored.approval) {
            (None, _, _) => true,
            (Some(_), Some(passed), Some(approval)) => approval.at > passed,
            _ => false,
        }
    }

    /// What the resource can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.resource.capabilities()
    }

    /// The deadline of one call.
    pub fn timeout(&self) -> Duration {
        self.connector.limits().timeout
    }

    /// How long a lease lasts: a call, which may wait for its turn as long as it takes, and a margin (rule 24).
    pub(crate) fn lease(&self) -> Duration {
        lease_of(self.timeout())
    }

    /// How long after a lease was taken every call of a write is over: well before the lease ends (rule 24).
    pub(crate) fn lease_for_calls(&self) -> Duration {
        self.timeout() * 2 + LEASE_MARGIN / 2
    }

    /// Notes which fields with a value as base a read did not show; returns one that was absent three times in a row.
    pub(crate) fn note_absent(&self, labels: &[(String, bool)]) -> Option<String> {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        for (label, is_absent) in labels {
            if *is_absent {
                let count = absent.entry(label.clone()).or_default();
                *count += 1;
                if *count >= 3 {
                    return Some(label.clone());
                }
            } else {
                absent.remove(label);
            }
        }
        None
    }
}

/// How long a lease lasts with calls of this deadline.
pub(crate) fn lease_of(timeout: Duration) -> Duration {
    if planted::is(Bug::LeaseShorterThanCall) {
        return timeout / 4;
    }
    timeout * 2 + LEASE_MARGIN
}

/// The identity of a mapping's pair.
pub fn spec_of(mapping: &Mapping, connection: &ConnectionName) -> PairSpec {
    let mut resource = mapping.remote.resource.clone();
    for (index, (name, value)) in mapping.remote.params.iter().enumerate() {
        resource.push(if index == 0 { '?' } else { '&' });
        resource.push_str(&format!("{name}={value}"));
    }
    PairSpec {
        catalog: mapping.catalog.name.clone(),
        connection: connection.clone(),
        resource,
        mapping: mapping.name.clone(),
    }
}

/// The mapping as it was approved, and what is held of it.
fn approved_form(approval: &Approval, written: &Arc<Mapping>) -> (Arc<Mapping>, Option<HeldChange>) {
    let terms = approval.terms.as_ref().and_then(|terms| Terms::deserialize(terms).ok());
    match terms {
        Some(terms) => {
            let (mapping, held) = terms.hold(written);
            (if held.is_some() { Arc::new(mapping) } else { written.clone() }, held)
        }
        None if approval.digest == Terms::of(written).digest() => (written.clone(), None),
        None => {
            let stopped = Some("what was approved is not known".to_owned());
            (written.clone(), Some(HeldChange { differs: Vec::new(), stopped }))
        }
    }
}

/// The digest of everything that decides what happens to records; where it is written does not matter.
fn mapping_digest(mapping: &Mapping) -> String {
    let Mapping { name, catalog, remote, connector, on_create, conflicts, fields, .. } = mapping;
    let fields: Vec<_> = fields
        .iter()
        .map(|f| (&f.label, &f.lens, f.lookup(), &f.normalize, &f.default, f.required, f.winner, f.unit))
        .collect();
    let text = format!(
        "{} {name} {:?} {remote:?} {} {on_create:?} {conflicts:?} {fields:?}",
        Terms::of(mapping).digest(),
        catalog.fields,
        connector.name
    );
    hex::encode(&Sha256::digest(text.as_bytes())[..12])
}

/// The pairs of an engine, by number. One is replaced as a whole when what is approved of it changes; whoever works on it meanwhile
/// goes on with the one it has.
pub(crate) struct PairSet(RwLock<Arc<BTreeMap<PairId, Arc<PairRuntime>>>>);

impl PairSet {
    pub(crate) fn new(pairs: BTreeMap<PairId, Arc<PairRuntime>>) -> Self {
        Self(RwLock::new(Arc::new(pairs)))
    }

    /// All of them as they are now.
    pub(crate) fn now(&self) -> Arc<BTreeMap<PairId, Arc<PairRuntime>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn get(&self, id: &PairId) -> Option<Arc<PairRuntime>> {
        self.now().get(id).cloned()
    }

    pub(crate) fn put(&self, pair: Arc<PairRuntime>) {
        let mut pairs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = BTreeMap::clone(&pairs);
        changed.insert(pair.id, pair);
        *pairs = Arc::new(changed);
    }
}
