//! What a person at the dashboard sees and does: all records as JSON, and edits that are no API requests.

use crate::errors::ApiError;
use crate::events::Cause;
use crate::form::Params;
use crate::invoice_fields::By;
use crate::objects::to_map;
use crate::stripe::Stripe;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// An edit was refused, for the reason an API request would have been.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The status that the API would have answered.
    pub status: u16,
    /// The parameter at fault.
    pub param: Option<String>,
    /// Why, for people.
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self { status: error.status, param: error.param, message: error.message }
    }
}

impl Stripe {
    /// The account's id.
    pub fn account_id(&self) -> &str {
        &self.account.id
    }

    /// All live customers, oldest first.
    pub fn customers(&self) -> Vec<Value> {
        self.account.customers.all().map(|text| Value::Object(to_map(text))).collect()
    }

    /// All live customers as their JSON texts, oldest first; cheap even when there are many.
    pub fn customer_texts(&self) -> impl Iterator<Item = &str> {
        self.account.customers.all().map(|text| text.get())
    }

    /// How many customers are live.
    pub fn customer_count(&self) -> usize {
        self.account.customers.len()
    }

    /// One live customer.
    pub fn customer(&self, id: &str) -> Option<Value> {
        self.account.customers.live(id).map(|text| Value::Object(to_map(text)))
    }

    /// All events of the last 30 days, oldest first.
    pub fn events(&self) -> Vec<Value> {
        let event = |text: Arc<RawValue>| Value::Object(to_map(&text));
        self.account.events.all().map(|e| event(e.text(None))).collect()
    }

    /// One event of the last 30 days.
    pub fn event(&self, id: &str) -> Option<Value> {
        self.account.events.get(id).map(|event| Value::Object(to_map(&event.text(None))))
    }

    /// Creates a customer as a person would. `fields` are the API's parameters as JSON; null and "" unset.
    pub fn dashboard_create(&mut self, fields: &Value, now: Timestamp) -> Result<Value, Refused> {
        let params = Params::from_json(fields);
        let (account, mut tools) = self.tools(now);
        let written = account.create_customer(params, &Cause::default(), &mut tools)?;
        Ok(Value::Object(to_map(&written.text)))
    }

    /// Changes a customer as a person would.
    pub fn dashboard_update(&mut self, id: &str, fields: &Value, now: Timestamp) -> Result<Value, Refused> {
        let params = Params::from_json(fields);
        let (account, mut tools) = self.tools(now);
        let written = account.update_customer(id, params, &Cause::default(), &mut tools)?;
        Ok(Value::Object(to_map(&written.text)))
    }

    /// Deletes a customer as a person would.
    pub fn dashboard_delete(&mut self, id: &str, now: Timestamp) -> Result<(), Refused> {
        let (account, mut tools) = self.tools(now);
        account.delete_customer(id, &Cause::default(), &mut tools)?;
        Ok(())
    }

    /// All invoices, oldest first.
    pub fn invoices(&self) -> Vec<Value> {
        self.account.invoices.all().map(|text| Value::Object(to_map(text))).collect()
    }

    /// One invoice.
    pub fn invoice(&self, id: &str) -> Option<Value> {
        self.account.invoices.live(id).map(|text| Value::Object(to_map(text)))
    }

    /// Drafts an invoice as a person would; `total` is what its lines add up to, in minor units.
    pub fn dashboard_invoice(&mut self, fields: &Value, now: Timestamp) -> Result<Value, Refused> {
        let params = Params::from_json(fields);
        let (account, mut tools) = self.tools(now);
        let written = account.create_invoice(params, By::PersonCreating, &Cause::default(), &mut tools)?;
        Ok(Value::Object(to_map(&written.text)))
    }

    /// Changes an invoice as a person would.
    pub fn dashboard_update_invoice(
        &mut self,
        id: &str,
        fields: &Value,
        now: Timestamp,
    ) -> Result<Value, Refused> {
        let params = Params::from_json(fields);
        let (account, mut tools) = self.tools(now);
        let written =
            account.update_invoice(id, params, By::PersonUpdating, &Cause::default(), &mut tools)?;
        Ok(Value::Object(to_map(&written.text)))
    }

    /// Takes a step in an invoice's life as a person would: `finalize`, `pay`, `void` or `mark_uncollectible`.
    pub fn dashboard_advance(&mut self, id: &str, step: &str, now: Timestamp) -> Result<Value, Refused> {
        let (account, mut tools) = self.tools(now);
        let written = account.advance_invoice(id, step, &Cause::default(), &mut tools)?;
        Ok(Value::Object(to_map(&written.text)))
    }

    /// Deletes a draft as a person would.
    pub fn dashboard_delete_invoice(&mut self, id: &str, now: Timestamp) -> Result<(), Refused> {
        let (account, mut tools) = self.tools(now);
        account.delete_invoice(id, &Cause::default(), &mut tools)?;
        Ok(())
    }

    /// Emits an event of any type about any object, such as one that a later version of the service may send.
    pub fn dashboard_emit(&mut self, kind: &str, object: &Map<String, Value>, now: Timestamp) {
        let (account, mut tools) = self.tools(now);
        account.emit(kind, crate::objects::to_text(object), None, &Cause::default(), &mut tools);
    }

    /// Adds a webhook endpoint for `url` and returns its id and its secret. No events named means all.
    pub fn dashboard_endpoint(
        &mut self,
        url: &str,
        events: &[&str],
        now: Timestamp,
    ) -> Result<(String, String), Refused> {
        let events = if events.is_empty() { &["*"] } else { events };
        let params = Params::from_json(&serde_json::json!({ "url": url, "enabled_events": events }));
        let view = self.account.endpoints.create(params, &mut self.ids, now)?;
        let text = |name: &str| view.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok((text("id"), text("secret")))
    }

    /// Makes a new secret for an endpoint. The old one signs too for `overlap`.
    pub fn dashboard_roll_secret(
        &mut self,
        endpoint: &str,
        overlap: TimeDelta,
        now: Timestamp,
    ) -> Result<String, Refused> {
        Ok(self.account.endpoints.roll(endpoint, overlap, &mut self.ids, now)?)
    }
}
