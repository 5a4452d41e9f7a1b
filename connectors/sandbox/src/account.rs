//! One account: its customers, events, endpoints, deliveries and keys, and the changes that touch several of them.

use crate::customer_fields;
use crate::deliveries::{Deliveries, Schedule};
use crate::endpoints::Endpoints;
use crate::errors::ApiError;
use crate::events::{Cause, EventRecord, Events, previous_attributes};
use crate::fault_queue::Faults;
use crate::faults::Action;
use crate::form::Params;
use crate::idempotency::IdempotencyKeys;
use crate::ids::Ids;
use crate::invoice_fields::{self, By};
use crate::objects::{CUSTOMERS, INVOICES, Objects, Text, to_map, tombstone};
use crate::params::Reader;
use crate::rate::Bucket;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde_json::{Value, json};

/// What changes need besides the account.
pub(crate) struct Tools<'a> {
    pub(crate) ids: &'a mut Ids,
    pub(crate) faults: &'a mut Faults<Action>,
    pub(crate) api_version: &'a str,
    pub(crate) now: Timestamp,
}

/// Everything of one account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) customers: Objects,
    pub(crate) invoices: Objects,
    pub(crate) events: Events,
    pub(crate) endpoints: Endpoints,
    pub(crate) deliveries: Deliveries,
    pub(crate) keys: IdempotencyKeys,
    pub(crate) bucket: Bucket,
    /// Grows with every change of a customer, an event or an endpoint.
    pub(crate) revision: u64,
}

/// A customer after a write, and whether the write changed it.
pub(crate) struct Written {
    pub(crate) text: Text,
    pub(crate) changed: bool,
}

impl Account {
    pub(crate) fn new(id: String) -> Self {
        Self {
            id,
            customers: Objects::new(CUSTOMERS),
            invoices: Objects::new(INVOICES),
            events: Events::default(),
            endpoints: Endpoints::default(),
            deliveries: Deliveries::default(),
            keys: IdempotencyKeys::default(),
            bucket: Bucket::default(),
            revision: 0,
        }
    }

    /// `GET /v1/account`.
    pub(crate) fn view(&self) -> Value {
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": { "name": "Sandbox", "url": null },
            "business_type": null,
            "capabilities": {},
            "charges_enabled": false,
            "controller": { "type": "account" },
            "country": "US",
            "created": 1_700_000_000,
            "default_currency": "usd",
            "details_submitted": false,
            "email": null,
            "metadata": {},
            "payouts_enabled": false,
            "settings": { "dashboard": { "display_name": "Sandbox", "timezone": "Etc/UTC" } },
            "type": "standard",
        })
    }

    pub(crate) fn create_customer(
        &mut self,
        params: Params,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let (id, prefix) = (tools.ids.make("cus_", 14), tools.ids.invoice_prefix());
        let mut customer = customer_fields::blank(&id, tools.now.timestamp(), &prefix);
        customer_fields::apply(&mut customer, Reader::new(params))?;
        let text = self.customers.insert(id, &customer, tools.now);
        self.emit("customer.created", text.clone(), None, cause, tools);
        Ok(Written { text, changed: true })
    }

    pub(crate) fn update_customer(
        &mut self,
        id: &str,
        params: Params,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let old = self.customers.live(id).cloned().ok_or_else(|| ApiError::missing("customer", id))?;
        let before = to_map(&old);
        let mut after = before.clone();
        customer_fields::apply(&mut after, Reader::new(params))?;
        let Some(previous) = previous_attributes(&before, &after) else {
            return Ok(Written { text: old, changed: false });
        };
        let text = self.customers.replace(id, &after, tools.now)?;
        self.emit("customer.updated", text.clone(), Some(previous), cause, tools);
        Ok(Written { text, changed: true })
    }

    pub(crate) fn delete_customer(
        &mut self,
        id: &str,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let was = self.customers.delete(id, tools.now)?;
        self.emit("customer.deleted", was, None, cause, tools);
        Ok(Written { text: tombstone(CUSTOMERS, id), changed: true })
    }

    /// A draft.
    pub(crate) fn create_invoice(
        &mut self,
        params: Params,
        by: By,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let mut reader = Reader::new(params);
        let customer = reader.solid_text("customer", 5_000)?.ok_or_else(|| ApiError::required("customer"))?;
        let payer = self.customers.live(&customer).ok_or_else(|| ApiError::missing("customer", &customer))?;
        let id = tools.ids.make("in_", 24);
        let mut invoice = invoice_fields::blank(&id, &customer, &to_map(payer), tools.now.timestamp());
        invoice_fields::apply(&mut invoice, reader, by)?;
        invoice_fields::check_terms(&invoice)?;
        let text = self.invoices.insert(id, &invoice, tools.now);
        self.emit("invoice.created", text.clone(), None, cause, tools);
        Ok(Written { text, changed: true })
    }

    pub(crate) fn update_invoice(
        &mut self,
        id: &str,
        params: Params,
        by: By,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let mut after = self.invoice(id)?;
        invoice_fields::apply(&mut after, Reader::new(params), by)?;
        invoice_fields::check_terms(&after)?;
        self.replace_invoice(id, after, "invoice.updated", cause, tools)
    }

    /// Deletes a draft; anything else is voided instead.
    pub(crate) fn delete_invoice(
        &mut self,
        id: &str,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        if self.invoice(id)?.get("status") != Some(&"draft".into()) {
            let text = "You can only delete draft invoices. To cancel a finalized invoice, void it instead.";
            return Err(ApiError::invalid(text).with_code("invoice_not_editable"));
        }
        let was = self.invoices.delete(id, tools.now)?;
        self.emit("invoice.deleted", was, None, cause, tools);
        Ok(Written { text: tombstone(INVOICES, id), changed: true })
    }

    /// One step in the life of an invoice: `finalize`, `pay`, `void`, `mark_uncollectible`.
    pub(crate) fn advance_invoice(
        &mut self,
        id: &str,
        step: &str,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let mut after = self.invoice(id)?;
        let payer = after.get("customer").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut customer = self.customers.live(&payer).map(|text| to_map(text)).unwrap_or_default();
        let kind = invoice_fields::advance(&mut after, &mut customer, step, tools.now.timestamp())?;
        if step == "finalize" && self.customers.live(&payer).is_some() {
            self.customers.replace(&payer, &customer, tools.now)?;
        }
        self.replace_invoice(id, after, kind, cause, tools)
    }

    fn invoice(&self, id: &str) -> Result<serde_json::Map<String, Value>, ApiError> {
        self.invoices.live(id).map(|text| to_map(text)).ok_or_else(|| ApiError::missing("invoice", id))
    }

    fn replace_invoice(
        &mut self,
        id: &str,
        after: serde_json::Map<String, Value>,
        kind: &str,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) -> Result<Written, ApiError> {
        let before = self.invoice(id)?;
        let Some(previous) = previous_attributes(&before, &after) else {
            return self.invoices.get(id).map(|text| Written { text, changed: false });
        };
        let text = self.invoices.replace(id, &after, tools.now)?;
        self.emit(kind, text.clone(), Some(previous.clone()), cause, tools);
        if kind != "invoice.updated" {
            // A step tells of the change as well.
            self.emit("invoice.updated", text.clone(), Some(previous), cause, tools);
        }
        Ok(Written { text, changed: true })
    }

    /// Records an event and schedules its deliveries.
    pub(crate) fn emit(
        &mut self,
        kind: &str,
        object: Text,
        previous: Option<Value>,
        cause: &Cause,
        tools: &mut Tools<'_>,
    ) {
        self.revision += 1;
        let faults = tools.faults.draw_for_event(kind);
        if faults.contains(&Action::EventNotGenerated) {
            return;
        }
        let mut event = EventRecord {
            id: tools.ids.make("evt_", 24),
            kind: kind.to_owned(),
            created: tools.now.timestamp(),
            api_version: tools.api_version.to_owned(),
            object,
            previous,
            cause: cause.clone(),
            pending: 0,
            undelivered: false,
        };
        let (mut copies, mut schedule) = (1_u32, Schedule::default());
        for fault in faults {
            match fault {
                Action::EventVersion { version } => event.api_version = version,
                Action::DeliveryDuplicated => copies = (2 * copies).min(16),
                Action::DeliveryLost => copies = 0,
                Action::DeliveryReordered => schedule.behind_next = true,
                Action::DeliveryDelayed { millis } => schedule.delay += milliseconds(millis),
                _ => {}
            }
        }
        for endpoint in self.endpoints.iter().filter(|e| e.wants(kind)) {
            for _ in 0..copies {
                self.deliveries.schedule(&event.id, &endpoint.id, schedule, tools.now);
                event.pending += 1;
            }
        }
        self.events.push(event);
        self.events.prune(tools.now);
    }
}

/// Milliseconds as a time span, the longest one possible where they do not fit.
pub(crate) fn milliseconds(millis: u64) -> TimeDelta {
    const DECADE: i64 = 10 * 365 * 86_400_000;
    TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(DECADE).min(DECADE))
}
