//! What metrics show of the state in the database (rule 67), asked when somebody reads them: by the store's own counts.

use crate::{EngineError, Operations};
use bothways_model::ConnectionName;
use bothways_store::BrakeKind;
use std::collections::BTreeMap;

impl Operations {
    /// Sets the gauges of what waits and is withheld, how old it is, what the last full pass found different, how much of a day's calls
    /// is used, and which circuits are open.
    ///
    /// # Errors
    /// The store fails.
    pub async fn measure(&self) -> Result<(), EngineError> {
        let engine = &self.engine;
        let now = engine.ports.clock.now();
        let brakes = engine.store.brakes(now).await?;
        let mut lags: BTreeMap<ConnectionName, f64> = BTreeMap::new();
        for pair in engine.pairs() {
            let counts = engine.store.counts(pair.id).await?;
            let mapping = &pair.mapping.name;
            let age =
                counts.oldest.map_or(0.0, |since| (now - since).num_milliseconds().max(0) as f64 / 1000.0);
            let parked: u64 = counts.parked.values().sum();
            let gauges = [
                ("bothways_oldest_seconds", age),
                ("bothways_pending", counts.pending as f64),
                ("bothways_held", counts.held as f64),
                ("bothways_parked", parked as f64),
                ("bothways_conflicts", counts.conflicts as f64),
                ("bothways_open_writes", counts.intents as f64),
            ];
            for (name, value) in gauges {
                metrics::gauge!(name, "mapping" => mapping.clone()).set(value);
            }
            for kind in BrakeKind::ALL {
                let of_kind =
                    brakes.iter().filter(|brake| brake.name.pair == pair.id && brake.name.kind == kind);
                let withheld: u64 = of_kind.map(|brake| brake.withheld).sum();
                metrics::gauge!("bothways_withheld", "mapping" => mapping.clone(), "brake" => kind.as_str())
                    .set(withheld as f64);
            }
            if let Some(drift) = engine.drift(pair.id).await? {
                let lost = drift.drifted + drift.missing;
                metrics::gauge!("bothways_drift", "mapping" => mapping.clone()).set(lost as f64);
                metrics::gauge!("bothways_drift_alert", "mapping" => mapping.clone()).set(flag(drift.alert));
            }
            let lag = lags.entry(pair.connection.clone()).or_default();
            *lag = lag.max(age);
        }
        for (connection, lag) in lags {
            metrics::gauge!("bothways_lag_seconds", "connection" => connection.0.clone()).set(lag);
            let is_out = engine.connections.is_out(&connection);
            metrics::gauge!("bothways_circuit_open", "connection" => connection.0.clone()).set(flag(is_out));
            if let Some(quota) = engine.quota(&connection).await? {
                metrics::gauge!("bothways_quota_used", "connection" => connection.0.clone())
                    .set(quota.used as f64);
                metrics::gauge!("bothways_quota_limit", "connection" => connection.0.clone())
                    .set(quota.limit as f64);
            }
        }
        Ok(())
    }
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
