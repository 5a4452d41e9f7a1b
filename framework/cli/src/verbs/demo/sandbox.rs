//! The right pane of the demo's page: the sandbox's customers, edited as a person would in Stripe's dashboard.

use async_trait::async_trait;
use bothways_connector_sandbox::{Refused, Sandbox};
use bothways_server::{Beside, BesideColumn, BesideError, BesideRecord};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// The columns: field there, what people call it, field of the catalog.
const COLUMNS: [(&str, &str, &str); 3] =
    [("name", "Name", "name"), ("email", "Email", "email"), ("phone", "Phone", "phone")];

/// The sandbox beside the catalog.
pub(super) struct BesideSandbox {
    sandbox: Sandbox,
}

impl BesideSandbox {
    pub(super) fn new(sandbox: Sandbox) -> Self {
        Self { sandbox }
    }
}

fn refused(error: Refused) -> BesideError {
    BesideError(error.message)
}

fn to_json(fields: BTreeMap<String, String>) -> Json {
    Json::Object(fields.into_iter().map(|(name, text)| (name, Json::String(text))).collect::<Map<_, _>>())
}

fn to_record(customer: &Json) -> BesideRecord {
    let text = |name: &str| customer.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let fields = COLUMNS.iter().map(|(name, _, _)| ((*name).to_owned(), text(name))).collect();
    BesideRecord { id: text("id"), fields }
}

#[async_trait]
impl Beside for BesideSandbox {
    fn title(&self) -> String {
        "Stripe (sandbox)".into()
    }

    fn catalog(&self) -> String {
        "customers".into()
    }

    fn mapping(&self) -> String {
        "stripe-customers".into()
    }

    fn hint(&self) -> Option<String> {
        Some("Their invoices, and accounts and contacts at a sandbox Salesforce, are under Records.".into())
    }

    fn columns(&self) -> Vec<BesideColumn> {
        let column = |(name, label, local): &(&str, &str, &str)| BesideColumn {
            name: (*name).to_owned(),
            label: (*label).to_owned(),
            local: (*local).to_owned(),
        };
        COLUMNS.iter().map(column).collect()
    }

    async fn list(&self) -> Result<Vec<BesideRecord>, BesideError> {
        let customers = self.sandbox.with(|stripe, _| stripe.customers());
        Ok(customers.iter().rev().map(to_record).collect())
    }

    async fn create(&self, fields: BTreeMap<String, String>) -> Result<String, BesideError> {
        let fields = to_json(fields);
        let made = self.sandbox.with(|stripe, now| stripe.dashboard_create(&fields, now)).map_err(refused)?;
        Ok(to_record(&made).id)
    }

    async fn update(&self, id: &str, fields: BTreeMap<String, String>) -> Result<(), BesideError> {
        let fields = to_json(fields);
        self.sandbox.with(|stripe, now| stripe.dashboard_update(id, &fields, now)).map_err(refused)?;
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), BesideError> {
        self.sandbox.with(|stripe, now| stripe.dashboard_delete(id, now)).map_err(refused)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.sandbox.changes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_connector_sandbox::{Config, Stripe};

    #[tokio::test]
    async fn edits_are_a_persons_edits() {
        let sandbox = Sandbox::new(Stripe::new(Config::default()));
        let beside = BesideSandbox::new(sandbox.clone());
        let mut changed = beside.changed();
        changed.mark_unchanged();
        let fields =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let first =
            beside.create(fields(&[("name", "Ada"), ("email", "ada@example.com")])).await.expect("created");
        assert!(changed.has_changed().expect("alive"));
        let second = beside.create(fields(&[("email", "b@example.com")])).await.expect("created");
        beside.update(&first, fields(&[("name", "")])).await.expect("updated");
        let listed = beside.list().await.expect("listed");
        assert_eq!(listed.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), [second.clone(), first.clone()]);
        assert_eq!(listed[1].fields["name"], "");
        assert_eq!(listed[1].fields["email"], "ada@example.com");
        beside.delete(&second).await.expect("deleted");
        assert_eq!(beside.list().await.expect("listed").len(), 1);
        assert!(beside.update("cus_none", fields(&[("name", "x")])).await.is_err());
    }
}
