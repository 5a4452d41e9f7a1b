//! What people do at a service itself.

use crate::faults::{inject_event_fault, inject_lag};
use crate::kinds::{Place, Service};
use crate::sim::Sim;
use bothways_connector_sandbox::salesforce::Salesforce;
use bothways_connector_sandbox::{Refused, Stripe};
use bothways_model::Timestamp;
use serde_json::{Value as Json, json};

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
            Service::Salesforce => {
                let mut fields = fields;
                if let Some((name, value)) = self.on_create() {
                    fields[name] = json!(value);
                }
                at_salesforce(sim, |org, now| org.dashboard_create(self.resource, &fields, now))
            }
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
            Service::Salesforce => {
                at_salesforce(sim, |org, now| org.dashboard_update(id, fields, now).map(drop))
            }
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
            Service::Salesforce => at_salesforce(sim, |org, now| org.dashboard_delete(id, now)),
        }
    }
}

/// People change less than there are calls, and what they change last is what nobody else tells of.
const LAG_OF_PEOPLE: u32 = 10;

/// Queries may see it only later.
fn at_salesforce<T>(sim: &Sim, act: impl FnOnce(&mut Salesforce, Timestamp) -> T) -> T {
    let mut org = sim.org();
    inject_lag(sim, &mut org, LAG_OF_PEOPLE);
    let done = act(&mut org, sim.true_time());
    org.clear_faults();
    done
}

impl Place {
    /// Merges one record into another.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn merge(&self, sim: &Sim, master: &str, loser: &str) -> Result<(), Refused> {
        sim.org().dashboard_merge(master, loser, sim.true_time())
    }

    /// What is in the recycle bin by itself, and not as a part of another record.
    pub(crate) fn deleted(&self, sim: &Sim) -> Vec<String> {
        let all = match self.service {
            Service::Stripe => Vec::new(),
            Service::Salesforce => sim.org().all_records(self.resource),
        };
        let lost =
            all.iter().filter(|record| record["IsDeleted"] == true && record["MasterRecordId"].is_null());
        lost.map(|record| self.id(record).to_owned()).collect()
    }

    /// Takes a record back out of the recycle bin.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn restore(&self, sim: &Sim, id: &str) -> Result<(), Refused> {
        at_salesforce(sim, |org, now| org.dashboard_undelete(id, now))
    }

    /// Takes a step in an invoice's life.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn advance(&self, sim: &Sim, id: &str, step: &str) -> Result<(), Refused> {
        at_stripe(sim, |stripe, now| stripe.dashboard_advance(id, step, now).map(drop))
    }

    /// Changes several records in one transaction, so that their stamps are equal.
    ///
    /// # Errors
    /// The service refuses.
    pub(crate) fn update_together(&self, sim: &Sim, ids: &[&str], fields: &Json) -> Result<(), Refused> {
        at_salesforce(sim, |org, now| org.dashboard_bulk_update(ids, fields, now))
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
