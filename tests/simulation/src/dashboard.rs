//! What people do at a service itself.

use crate::kinds::{Place, Service};
use crate::network::inject_event_fault;
use crate::sim::Sim;
use bothways_connector_sandbox::{Refused, Stripe};
use bothways_model::Timestamp;
use serde_json::Value as Json;

impl Place {
    /// Creates a record and returns its id.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn create(&self, sim: &Sim, changes: &[(usize, Option<String>)]) -> Result<String, Refused> {
        let fields = self.fields(changes);
        let made = match self.service {
            Service::Stripe => at_stripe(sim, |stripe, now| match self.resource {
                "customers" => stripe.dashboard_create(&fields, now),
                _ => stripe.dashboard_invoice(&fields, now),
            }),
        };
        made.map(|made| self.id(&made).to_owned())
    }

    /// Changes a record.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn update(&self, sim: &Sim, id: &str, fields: &Json) -> Result<(), Refused> {
        match self.service {
            Service::Stripe => at_stripe(sim, |stripe, now| match self.resource {
                "customers" => stripe.dashboard_update(id, fields, now).map(drop),
                _ => stripe.dashboard_update_invoice(id, fields, now).map(drop),
            }),
        }
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn delete(&self, sim: &Sim, id: &str) -> Result<(), Refused> {
        match self.service {
            Service::Stripe => at_stripe(sim, |stripe, now| match self.resource {
                "customers" => stripe.dashboard_delete(id, now),
                _ => stripe.dashboard_delete_invoice(id, now),
            }),
        }
    }
}

/// Something may happen to the event that tells of it.
fn at_stripe<T>(sim: &Sim, act: impl FnOnce(&mut Stripe, Timestamp) -> T) -> T {
    let mut stripe = sim.stripe();
    inject_event_fault(sim, &mut stripe);
    let done = act(&mut stripe, sim.true_time());
    stripe.clear_faults();
    done
}
