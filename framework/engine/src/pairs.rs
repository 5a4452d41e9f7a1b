//! The pairs this process has loaded: stored pair, mapping, connector, resource.

use crate::EngineError;
use bothways_connector::{Connector, Resource, ResourceQuery};
use bothways_mapping::Mapping;
use bothways_model::planted::{self, Bug};
use bothways_model::{Capabilities, ConnectionName, PairId};
use bothways_store::{Pair, PairSpec, Store};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

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
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// The connection's name.
    pub connection: ConnectionName,
    /// The connection.
    pub connector: Arc<dyn Connector>,
    /// The resource.
    pub resource: Arc<dyn Resource>,
    /// The digest of what an approval covers (rule 62).
    pub digest: String,
    stored: RwLock<Pair>,
    /// Labels that were absent from reads in a row, and how often (rule 17).
    absent: Mutex<BTreeMap<String, u32>>,
}

impl PairRuntime {
    /// Finds or makes the stored pair of a mapping and binds its resource.
    ///
    /// # Errors
    /// The store fails, or the connector has no such resource.
    pub(crate) async fn open(store: &dyn Store, loaded: &Loaded) -> Result<Self, EngineError> {
        let spec = spec_of(&loaded.mapping, &loaded.connection);
        let stored = store.ensure_pair(&spec).await?;
        Self::bind(stored, loaded)
    }

    /// Binds a pair that is stored, or (for a plan before anything is installed) one that is not.
    ///
    /// # Errors
    /// The connector has no such resource.
    pub fn bind(stored: Pair, loaded: &Loaded) -> Result<Self, EngineError> {
        let mapping = loaded.mapping.clone();
        let read = mapping.fields.iter().filter_map(|f| f.read.singular().cloned());
        let written = mapping.fields.iter().filter_map(|f| f.write.clone());
        let paths = read.chain(written).chain(mapping.identity.stamp.clone()).collect();
        let query = ResourceQuery {
            name: mapping.remote.resource.clone(),
            params: mapping.remote.params.clone(),
            paths,
            stamp: mapping.identity.stamp.clone(),
        };
        let resource = loaded.connector.resource(&query)?;
        Ok(Self {
            id: stored.id,
            digest: digest_of(&mapping),
            mapping,
            connection: loaded.connection.clone(),
            connector: loaded.connector.clone(),
            resource,
            stored: RwLock::new(stored),
            absent: Mutex::default(),
        })
    }

    /// The stored pair as last read.
    pub fn stored(&self) -> Pair {
        self.stored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn refresh(&self, pair: Pair) {
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = pair;
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

    /// How long a lease lasts: two calls and a margin, so that every call is dropped before the lease ends (rule 24).
    pub(crate) fn lease(&self) -> Duration {
        lease_of(self.timeout())
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
    timeout * 2 + Duration::from_secs(30)
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

/// The digest of key, match, scope, directions and deletes (rule 62).
fn digest_of(mapping: &Mapping) -> String {
    let directions: Vec<_> =
        mapping.fields.iter().map(|f| (&f.label, &f.local, f.direction, f.immutable)).collect();
    let text = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        mapping.catalog.key,
        mapping.identity,
        mapping.only,
        directions,
        mapping.creates,
        mapping.deletes,
        mapping.catalog.deleted_at,
    );
    hex::encode(&Sha256::digest(text.as_bytes())[..12])
}
