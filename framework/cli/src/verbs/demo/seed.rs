//! What the demo begins with: a few people and companies on both sides, some of them the same.

use bothways_connector_sandbox::Sandbox;
use bothways_model::{Record, Value};
use bothways_store::Store;
use chrono::SubsecRound;
use serde_json::{Value as Json, json};

/// Rows of customers.
const ROWS: [(&str, &str, &str); 3] = [
    ("Ada Lovelace", "ada@example.com", "+44 20 7946 0101"),
    ("Grace Hopper", "grace@example.com", "+1 202 555 0134"),
    ("Alan Turing", "alan@example.com", "+44 161 496 0912"),
];
/// Customers of the sandbox Stripe; one is somebody of [`ROWS`], by e-mail.
const RECORDS: [(&str, &str, &str); 3] = [
    ("Grace Hopper", "Grace@Example.com", "+1 202 555 0134"),
    ("Katherine Johnson", "katherine@example.com", "+1 757 555 0162"),
    ("Edsger Dijkstra", "edsger@example.com", "+31 20 555 0177"),
];

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Customers on both sides, and an invoice for one of them on each.
pub(super) async fn customers(store: &dyn Store, sandbox: &Sandbox) -> anyhow::Result<()> {
    let mut debtor = None;
    for (name, email, phone) in ROWS {
        let row = [("name", name), ("email", email), ("phone", phone)];
        let row = Record::from_iter(row.map(|(field, value)| (field, text(value))));
        debtor = Some(store.insert_row("customers", &row).await?);
    }
    for (name, email, phone) in RECORDS {
        let fields = json!({ "name": name, "email": email, "phone": phone });
        let made = sandbox.with(|stripe, now| stripe.dashboard_create(&fields, now))?;
        if email.starts_with("katherine") {
            let invoice = json!({
                "customer": made["id"], "currency": "usd", "description": "Trajectories", "total": 4_200,
            });
            sandbox.with(|stripe, now| stripe.dashboard_invoice(&invoice, now))?;
        }
    }
    if let Some(debtor) = debtor.and_then(|row| row.fields.get("id").cloned()) {
        let due = chrono::Utc::now().trunc_subsecs(0) + chrono::TimeDelta::days(30);
        let invoice = Record::from_iter([
            ("customer_id", debtor),
            ("currency", text("gbp")),
            ("status", text("draft")),
            ("memo", text("Enigma, repaired")),
            ("due_at", Value::Timestamp(due)),
        ]);
        store.insert_row("invoices", &invoice).await?;
    }
    Ok(())
}

/// Accounts on both sides, one of them the same by its name, and a contact of one on each.
pub(super) async fn accounts(store: &dyn Store, sandbox: &Sandbox) -> anyhow::Result<()> {
    let mut employer = None;
    for (name, website) in [
        ("Flow-Matic Systems", "https://flow-matic.example"),
        ("Analytical Engines", "https://engines.example"),
    ] {
        let row = Record::from_iter([("name", text(name)), ("website", text(website))]);
        employer = Some(store.insert_row("accounts", &row).await?);
    }
    if let Some(employer) = employer.and_then(|row| row.fields.get("id").cloned()) {
        let contact = Record::from_iter([
            ("account_id", employer),
            ("first_name", text("Ada")),
            ("last_name", text("Lovelace")),
            ("email", text("ada@engines.example")),
            ("opted_out", Value::Bool(false)),
        ]);
        store.insert_row("contacts", &contact).await?;
    }
    let make = |object: &str, fields: Json| {
        sandbox.salesforce(|org, now| org.dashboard_create(object, &fields, now))
    };
    make("Account", json!({ "Name": "Flow-Matic Systems", "Phone": "+1 202 555 0134" }))?;
    let employer = make("Account", json!({ "Name": "Orbital Mechanics", "Industry": "Aerospace" }))?;
    let contact = json!({
        "AccountId": employer["Id"], "FirstName": "Katherine", "LastName": "Johnson", "Email": "katherine@orbital.example",
    });
    make("Contact", contact)?;
    Ok(())
}
