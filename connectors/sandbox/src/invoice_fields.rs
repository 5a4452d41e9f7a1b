//! The fields of an invoice: what a new draft looks like, what each parameter does to it, and the steps of its life. Lines are not
//! modelled: a person at the dashboard sets what they would add up to.
//!
//! Shapes and errors from Stripe's API reference, from general knowledge.

use crate::customer_fields::apply_metadata;
use crate::errors::ApiError;
use crate::params::Reader;
use serde_json::{Map, Value, json};

const DAY: i64 = 86_400;

/// A draft for a customer, without any parameter applied.
pub(crate) fn blank(
    id: &str,
    customer: &str,
    payer: &Map<String, Value>,
    created: i64,
) -> Map<String, Value> {
    let currency = payer.get("currency").and_then(Value::as_str).unwrap_or("usd");
    let blank = json!({
        "id": id,
        "object": "invoice",
        "amount_due": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "attempted": false,
        "auto_advance": false,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": created,
        "currency": currency,
        "customer": customer,
        "customer_email": payer.get("email").cloned().unwrap_or_default(),
        "customer_name": payer.get("name").cloned().unwrap_or_default(),
        "description": null,
        "due_date": null,
        "footer": null,
        "livemode": false,
        "metadata": {},
        "number": null,
        "status": "draft",
        "status_transitions": {
            "finalized_at": null,
            "marked_uncollectible_at": null,
            "paid_at": null,
            "voided_at": null,
        },
        "subtotal": 0,
        "total": 0,
    });
    match blank {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Who writes an invoice. A person at the dashboard may set what comes of lines that are not modelled here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// An API request makes it.
    Creating,
    /// An API request changes it.
    Updating,
    /// A person makes it.
    PersonCreating,
    /// A person changes it.
    PersonUpdating,
}

impl By {
    fn is_creating(self) -> bool {
        matches!(self, By::Creating | By::PersonCreating)
    }

    fn is_person(self) -> bool {
        matches!(self, By::PersonCreating | By::PersonUpdating)
    }
}

/// Applies the parameters of a create (but `customer`, which is read before) or of an update.
pub(crate) fn apply(invoice: &mut Map<String, Value>, mut reader: Reader, by: By) -> Result<(), ApiError> {
    let is_draft = invoice.get("status") == Some(&"draft".into());
    for (name, max) in [("description", 1_500), ("footer", 5_000)] {
        if let Some(text) = reader.text(name, max)? {
            editable(is_draft, name)?;
            invoice.insert(name.into(), text.into_option().into());
        }
    }
    // Only a new one says it; later it is a parameter that nobody knows.
    if by.is_creating()
        && let Some(currency) = reader.solid_text("currency", 3)?
    {
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(ApiError::invalid(format!("Invalid currency: {currency}")).of("currency"));
        }
        invoice.insert("currency".into(), currency.to_lowercase().into());
    }
    if let Some(method) = reader.solid_text("collection_method", 64)? {
        if !["charge_automatically", "send_invoice"].contains(&method.as_str()) {
            let text = "Invalid collection_method: must be one of charge_automatically or send_invoice";
            return Err(ApiError::invalid(text).of("collection_method"));
        }
        invoice.insert("collection_method".into(), method.into());
    }
    let created = invoice.get("created").and_then(Value::as_i64).unwrap_or_default();
    if let Some(days) = reader.integer("days_until_due")? {
        invoice.insert("due_date".into(), (created + days.clamp(0, 3650) * DAY).into());
    }
    if let Some(date) = reader.text("due_date", 20)? {
        let moment = match date.into_option() {
            None => Value::Null,
            Some(text) => {
                let bad = || ApiError::invalid(format!("Invalid timestamp: {text}")).of("due_date");
                text.parse::<i64>().map_err(|_| bad())?.into()
            }
        };
        editable(is_draft || invoice.get("due_date") == Some(&moment), "due_date")?;
        invoice.insert("due_date".into(), moment);
    }
    if let Some(advance) = reader.boolean("auto_advance")? {
        invoice.insert("auto_advance".into(), advance.into());
    }
    if let Some(given) = reader.hash("metadata")?
        && let Some(metadata) = invoice.get_mut("metadata").and_then(Value::as_object_mut)
    {
        apply_metadata(metadata, given)?;
    }
    if by.is_person()
        && let Some(total) = reader.integer("total")?
    {
        editable(is_draft, "total")?;
        for name in ["subtotal", "total", "amount_due", "amount_remaining"] {
            invoice.insert(name.into(), total.into());
        }
    }
    reader.finish()
}

fn editable(editable: bool, name: &str) -> Result<(), ApiError> {
    if editable {
        return Ok(());
    }
    let text = format!("Finalized invoices can't be updated in this way: {name}");
    Err(ApiError::invalid(text).with_code("invoice_not_editable").of(name))
}

/// An invoice that is sent says when it is due, and one that is charged does not.
pub(crate) fn check_terms(invoice: &Map<String, Value>) -> Result<(), ApiError> {
    let sent = invoice.get("collection_method") == Some(&"send_invoice".into());
    let due = invoice.get("due_date").is_some_and(|due| !due.is_null());
    match (sent, due) {
        (true, false) => Err(ApiError::invalid(
            "If collection_method=send_invoice, you must specify one of: days_until_due or due_date.",
        )
        .of("due_date")),
        (false, true) => Err(ApiError::invalid(
            "You can only set due_date if the invoice has collection_method=send_invoice.",
        )
        .of("due_date")),
        _ => Ok(()),
    }
}

/// Takes a step; what the event is called that tells of it.
pub(crate) fn advance(
    invoice: &mut Map<String, Value>,
    customer: &mut Map<String, Value>,
    step: &str,
    now: i64,
) -> Result<&'static str, ApiError> {
    let status = invoice.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (next, stamp, event) = match (step, status.as_str()) {
        ("finalize", "draft") => ("open", "finalized_at", "invoice.finalized"),
        ("pay", "open" | "uncollectible") => ("paid", "paid_at", "invoice.paid"),
        ("void", "open" | "uncollectible") => ("void", "voided_at", "invoice.voided"),
        ("mark_uncollectible", "open") => {
            ("uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")
        }
        _ => {
            let text = format!("You cannot {step} an invoice whose status is {status}.");
            return Err(ApiError::invalid(text).with_code("invoice_not_editable"));
        }
    };
    if step == "finalize" {
        let prefix = customer.get("invoice_prefix").and_then(Value::as_str).unwrap_or("INV").to_owned();
        let number = customer.get("next_invoice_sequence").and_then(Value::as_i64).unwrap_or(1);
        customer.insert("next_invoice_sequence".into(), (number + 1).into());
        invoice.insert("number".into(), format!("{prefix}-{number:04}").into());
    }
    if step == "pay" {
        let total = invoice.get("total").cloned().unwrap_or_default();
        invoice.insert("amount_paid".into(), total);
        invoice.insert("amount_remaining".into(), 0.into());
    }
    invoice.insert("status".into(), next.into());
    if let Some(transitions) = invoice.get_mut("status_transitions").and_then(Value::as_object_mut) {
        transitions.insert(stamp.into(), now.into());
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer_fields;
    use crate::form::Params;

    fn draft(form: &str) -> Map<String, Value> {
        let mut invoice = blank("in_1", "cus_1", &Map::new(), 100);
        apply(&mut invoice, Reader::new(Params::decode(form).unwrap()), By::PersonCreating).unwrap();
        invoice
    }

    fn change(invoice: &mut Map<String, Value>, form: &str, by: By) -> Result<(), ApiError> {
        apply(invoice, Reader::new(Params::decode(form)?), by)
    }

    #[test]
    fn a_draft_takes_what_stripe_takes() {
        let mut invoice = draft("currency=EUR&description=Hosting&total=1999&metadata[a]=1&days_until_due=2");
        assert_eq!((&invoice["currency"], &invoice["total"]), (&json!("eur"), &json!(1999)));
        assert_eq!(invoice["due_date"], 100 + 2 * DAY);
        change(&mut invoice, "description=&due_date=500", By::Updating).unwrap();
        assert_eq!((&invoice["description"], &invoice["due_date"]), (&Value::Null, &json!(500)));
        for (form, param) in
            [("currency=usd", "currency"), ("total=5", "total"), ("customer=cus_2", "customer")]
        {
            let error = change(&mut invoice, form, By::Updating).unwrap_err();
            assert_eq!((error.code, error.param.as_deref()), (Some("parameter_unknown"), Some(param)));
        }
    }

    #[test]
    fn what_is_sent_has_a_due_date_and_what_is_charged_has_none() {
        let mut invoice = draft("");
        assert!(check_terms(&invoice).is_ok());
        change(&mut invoice, "collection_method=send_invoice", By::Updating).unwrap();
        assert_eq!(check_terms(&invoice).unwrap_err().param.as_deref(), Some("due_date"));
        change(&mut invoice, "due_date=500", By::Updating).unwrap();
        assert!(check_terms(&invoice).is_ok());
        change(&mut invoice, "collection_method=charge_automatically", By::Updating).unwrap();
        assert!(check_terms(&invoice).is_err());
    }

    #[test]
    fn an_invoice_lives_from_draft_to_its_end() {
        let mut customer = customer_fields::blank("cus_1", 5, "AAAA0000");
        let mut invoice = draft("total=700&description=x");
        assert!(advance(&mut invoice, &mut customer, "pay", 1).is_err(), "a draft is not paid");
        assert_eq!(advance(&mut invoice, &mut customer, "finalize", 2).unwrap(), "invoice.finalized");
        assert_eq!((&invoice["status"], &invoice["number"]), (&json!("open"), &json!("AAAA0000-0001")));
        assert_eq!(customer["next_invoice_sequence"], 2);
        let refused = change(&mut invoice, "description=y", By::Updating).unwrap_err();
        assert_eq!(refused.code, Some("invoice_not_editable"));
        change(&mut invoice, "metadata[a]=1", By::Updating).unwrap();
        assert_eq!(advance(&mut invoice, &mut customer, "pay", 3).unwrap(), "invoice.paid");
        assert_eq!((&invoice["amount_paid"], &invoice["amount_remaining"]), (&json!(700), &json!(0)));
        assert!(advance(&mut invoice, &mut customer, "void", 4).is_err());
    }
}
