//! The endpoints: which method and path does what.

use crate::account::{Account, Written};
use crate::call::Call;
use crate::errors::ApiError;
use crate::events::Cause;
use crate::fault_queue::Faults;
use crate::faults::Action;
use crate::form::Params;
use crate::invoice_fields::By;
use crate::list::{Page, Slip};
use crate::objects::{Objects, to_map};
use crate::params::Reader;
use crate::stripe::Stripe;
use bothways_model::{Method, Timestamp};
use chrono::TimeDelta;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What an endpoint answers when nothing is wrong.
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
    pub(crate) effective: bool,
}

impl Stripe {
    /// Runs the endpoint that method and path name.
    pub(crate) fn route(
        &mut self,
        call: &Call,
        params: Params,
        shapes: &[Action],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        use Method::{Delete, Get, Post};
        let unknown = || ApiError::unrecognized_url(call.method.as_str(), &call.path);
        let parts = call.parts().ok_or_else(unknown)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(unknown());
        }
        match (call.method, parts.as_slice()) {
            (Get, ["customers"]) => self.list_customers(params, shapes, now).map(Reply::read),
            (Post, ["customers"]) => self.write_customer(None, params, shapes, cause, now),
            (Post, ["customers", id]) => self.write_customer(Some(id), params, shapes, cause, now),
            (Get, ["customers", id]) => {
                no_more(params)?;
                self.account.customers.get(id).map(|text| Reply::read(text.get().into()))
            }
            (Delete, ["customers", id]) => {
                no_more(params)?;
                let (account, mut tools) = self.tools(now);
                account.delete_customer(id, cause, &mut tools).map(|written| Reply::written(&written))
            }
            (Get, ["invoices"]) => self.list_invoices(params, shapes, now).map(Reply::read),
            (Post, ["invoices"]) => {
                let (account, mut tools) = self.tools(now);
                account
                    .create_invoice(params, By::Creating, cause, &mut tools)
                    .map(|written| Reply::written(&written))
            }
            (Get, ["invoices", id]) => {
                no_more(params)?;
                self.account.invoices.get(id).map(|text| Reply::read(text.get().into()))
            }
            (Post, ["invoices", id]) => {
                let (account, mut tools) = self.tools(now);
                account
                    .update_invoice(id, params, By::Updating, cause, &mut tools)
                    .map(|written| Reply::written(&written))
            }
            (Post, ["invoices", id, step @ ("finalize" | "pay" | "void" | "mark_uncollectible")]) => {
                no_more(params)?;
                let (account, mut tools) = self.tools(now);
                account.advance_invoice(id, step, cause, &mut tools).map(|written| Reply::written(&written))
            }
            (Delete, ["invoices", id]) => {
                no_more(params)?;
                let (account, mut tools) = self.tools(now);
                account.delete_invoice(id, cause, &mut tools).map(|written| Reply::written(&written))
            }
            (Get, ["events"]) => {
                self.account.events.prune(now);
                let slip = self.slip(shapes);
                let page = self.account.events.list(params, slip)?;
                Ok(Reply::read(self.shaped(page, shapes).body("/v1/events")))
            }
            (Get, ["events", id]) => {
                no_more(params)?;
                self.account.events.prune(now);
                let event = self.account.events.get(id).ok_or_else(|| ApiError::missing("event", id))?;
                Ok(Reply::read(event.text(None).get().into()))
            }
            (Get, ["webhook_endpoints"]) => {
                let page = self.account.endpoints.list(params)?;
                Ok(Reply::read(self.shaped(page, shapes).body("/v1/webhook_endpoints")))
            }
            (Post, ["webhook_endpoints"]) => {
                let view = self.account.endpoints.create(params, &mut self.ids, now)?;
                Ok(self.endpoint_changed(&view))
            }
            (Get, ["webhook_endpoints", id]) => {
                no_more(params)?;
                self.account.endpoints.get(id).map(|view| Reply::read(view.to_string().into()))
            }
            (Post, ["webhook_endpoints", id]) => {
                let view = self.account.endpoints.update(id, params)?;
                Ok(self.endpoint_changed(&view))
            }
            (Delete, ["webhook_endpoints", id]) => {
                no_more(params)?;
                let view = self.account.endpoints.delete(id)?;
                Ok(self.endpoint_changed(&view))
            }
            (Get, ["account"]) => {
                no_more(params)?;
                Ok(Reply::read(self.account.view().to_string().into()))
            }
            (Get, ["accounts", id]) if *id == self.account.id => {
                no_more(params)?;
                Ok(Reply::read(self.account.view().to_string().into()))
            }
            _ => Err(unknown()),
        }
    }

    fn write_customer(
        &mut self,
        id: Option<&str>,
        mut params: Params,
        shapes: &[Action],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Reply, ApiError> {
        let lowered = shapes
            .iter()
            .filter(|shape| matches!(shape, Action::LowerCases { field } if params.lower(field)))
            .count();
        let (account, mut tools) = self.tools(now);
        let written = match id {
            None => account.create_customer(params, cause, &mut tools)?,
            Some(id) => account.update_customer(id, params, cause, &mut tools)?,
        };
        for _ in 0..lowered {
            self.faults.count("lower_cases");
        }
        let id = to_map(&written.text).get("id").and_then(Value::as_str).map(str::to_owned);
        for shape in shapes {
            if let (Action::Automation { field, value }, Some(id)) = (shape, &id) {
                let params = Params::from_json(&json!({ field: value }));
                let (account, mut tools) = self.tools(now);
                let set = account.update_customer(id, params, &Cause::default(), &mut tools);
                if set.is_ok_and(|set| set.changed) {
                    self.faults.count("automation");
                }
            }
        }
        Ok(Reply::written(&written))
    }

    fn list_customers(
        &mut self,
        params: Params,
        shapes: &[Action],
        now: Timestamp,
    ) -> Result<Vec<u8>, ApiError> {
        self.list_objects(|account| &account.customers, "/v1/customers", params, shapes, now)
    }

    fn list_invoices(
        &mut self,
        params: Params,
        shapes: &[Action],
        now: Timestamp,
    ) -> Result<Vec<u8>, ApiError> {
        self.list_objects(|account| &account.invoices, "/v1/invoices", params, shapes, now)
    }

    fn list_objects(
        &mut self,
        objects: fn(&Account) -> &Objects,
        path: &str,
        params: Params,
        shapes: &[Action],
        now: Timestamp,
    ) -> Result<Vec<u8>, ApiError> {
        let slip = self.slip(shapes);
        let lag = shapes.iter().find_map(|shape| match shape {
            Action::StaleList { seconds } => Some(TimeDelta::seconds(i64::from(*seconds))),
            _ => None,
        });
        let past;
        let shown = match lag {
            Some(lag) => {
                self.faults.count("stale_list");
                past = objects(&self.account).as_of(now - lag);
                &past
            }
            None => objects(&self.account),
        };
        let page: Page<&RawValue> = shown.list(params, slip)?;
        Ok(shape_page(page, shapes, &mut self.faults).body(path))
    }

    /// How this list slips, counted.
    fn slip(&mut self, shapes: &[Action]) -> Slip {
        let slip = Slip {
            repeat: shapes.contains(&Action::PageRepeated),
            skip: shapes.contains(&Action::PageSkipped),
        };
        if slip.repeat {
            self.faults.count("page_repeated");
        }
        if slip.skip {
            self.faults.count("page_skipped");
        }
        slip
    }

    fn shaped<T>(&mut self, page: Page<T>, shapes: &[Action]) -> Page<T> {
        shape_page(page, shapes, &mut self.faults)
    }

    fn endpoint_changed(&mut self, view: &Value) -> Reply {
        self.account.revision += 1;
        Reply { body: view.to_string().into(), effective: false }
    }
}

/// Empties a page where a fault says so.
fn shape_page<T>(mut page: Page<T>, shapes: &[Action], faults: &mut Faults<Action>) -> Page<T> {
    if shapes.contains(&Action::EmptyList) {
        faults.count("empty_list");
        page.items.clear();
        page.has_more = false;
    }
    page
}

/// Refuses parameters where there are none to take.
fn no_more(params: Params) -> Result<(), ApiError> {
    Reader::new(params).finish()
}

impl Reply {
    fn read(body: Vec<u8>) -> Self {
        Self { body, effective: false }
    }

    fn written(written: &Written) -> Self {
        Self { body: written.text.get().into(), effective: written.changed }
    }
}
