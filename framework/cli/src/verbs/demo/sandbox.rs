//! The right pane of the demo's page: the sandbox's records, edited as a person would in the browser. What a record is made of, the
//! mappings say; what a service alone knows is said here.

use async_trait::async_trait;
use bothways_connector_sandbox::{Refused, Sandbox};
use bothways_mapping::lens::{Codec, Kind};
use bothways_mapping::{Direction, Field, Mapping};
use bothways_model::{FieldType, SingularPath};
use bothways_server::{Beside, BesideColumn, BesideError, BesideKind, BesideRecord, Editable};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The sandbox beside the catalogs.
pub(super) struct BesideSandbox {
    sandbox: Sandbox,
    kinds: Vec<BesideKind>,
    /// By the mapping's name.
    shelves: BTreeMap<String, Shelf>,
}

/// Where the records of a mapping are.
struct Shelf {
    mapping: Arc<Mapping>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Customers,
    Invoices,
    /// An object at Salesforce, by its name.
    Object(String),
}

impl Place {
    fn of(mapping: &Mapping) -> Option<Self> {
        let remote = &mapping.remote;
        match (remote.connector.as_str(), remote.resource.as_str()) {
            ("stripe", "customers") => Some(Place::Customers),
            ("stripe", "invoices") => Some(Place::Invoices),
            ("salesforce", "sobject") => remote.params.get("object").cloned().map(Place::Object),
            _ => None,
        }
    }

    fn system(&self) -> &'static str {
        match self {
            Place::Customers | Place::Invoices => "Stripe (sandbox)",
            Place::Object(_) => "Salesforce (sandbox)",
        }
    }

    fn resource(&self) -> String {
        match self {
            Place::Customers => "customers".into(),
            Place::Invoices => "invoices".into(),
            Place::Object(name) => format!("{name} records"),
        }
    }

    fn id(&self) -> &'static str {
        match self {
            Place::Customers | Place::Invoices => "id",
            Place::Object(_) => "Id",
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Place::Customers => return None,
            Place::Invoices => {
                "Stripe takes an invoice only with a due date. Number, total and status are Stripe's own: set the total \
                 there while it is a draft, then its status to open and to paid."
            }
            Place::Object(_) => "Salesforce tells nobody of a change, so it is asked every 3 seconds.",
        };
        Some(text.into())
    }

    /// When a person there can set what is at `path`.
    fn editable(&self, path: &str) -> Editable {
        match (self, path) {
            (Place::Invoices, "$.number") => Editable::Never,
            (Place::Invoices, "$.status") => Editable::Later,
            _ => Editable::Always,
        }
    }
}

impl BesideSandbox {
    /// The sandbox beside what `mappings` map of it, in their order.
    pub(super) fn new(sandbox: Sandbox, mappings: &[Arc<Mapping>]) -> Self {
        let shelves = mappings.iter().filter_map(|mapping| {
            let shelf = Shelf { mapping: mapping.clone(), place: Place::of(mapping)? };
            Some((mapping.name.clone(), shelf))
        });
        let shelves: BTreeMap<String, Shelf> = shelves.collect();
        let kinds = mappings.iter().filter_map(|mapping| Some(kind(shelves.get(&mapping.name)?, mappings)));
        Self { sandbox, kinds: kinds.collect(), shelves }
    }

    fn shelf(&self, mapping: &str) -> Result<&Shelf, BesideError> {
        self.shelves.get(mapping).ok_or_else(|| BesideError(format!("nothing here is of `{mapping}`")))
    }
}

fn kind(shelf: &Shelf, mappings: &[Arc<Mapping>]) -> BesideKind {
    let Shelf { mapping, place } = shelf;
    let mut columns: Vec<BesideColumn> =
        mapping.fields.iter().map(|field| column(shelf, field, mappings)).collect();
    columns.sort_by_key(|column| !column.names_it());
    BesideKind {
        mapping: mapping.name.clone(),
        catalog: mapping.catalog.name.clone(),
        system: place.system().into(),
        resource: place.resource(),
        hint: place.hint(),
        columns,
    }
}

fn column(shelf: &Shelf, field: &Field, mappings: &[Arc<Mapping>]) -> BesideColumn {
    let Shelf { mapping, place } = shelf;
    let required = mapping.catalog.field(field.local_name()).is_some_and(|local| !local.optional);
    let here = match field.direction {
        Direction::In if required => Editable::AtCreation,
        Direction::In => Editable::Never,
        _ if field.immutable => Editable::AtCreation,
        _ => Editable::Always,
    };
    let there = match path(field) {
        None => Editable::Never,
        Some(_) if field.immutable => Editable::AtCreation,
        Some(path) => place.editable(&path.to_string()),
    };
    let placeholder = match field.lens.wire_kind() {
        Kind::Int if *field.ty() == FieldType::Timestamp => Some("seconds since 1970"),
        Kind::Int | Kind::Id { number: true } => Some("a whole number"),
        _ => None,
    };
    let words = match (field.lens.codecs().last(), field.lens.wire_kind()) {
        (Some(Codec::Values(words)), _) => words.iter().map(|word| shown(&word.remote)).collect(),
        (_, Kind::Words(words)) => words.clone(),
        (_, Kind::Bool) => [false, true].map(|word| word.to_string()).into(),
        _ => Vec::new(),
    };
    let of = |catalog: &str| {
        let same = |other: &&Arc<Mapping>| {
            other.catalog.name == catalog && other.remote.connection == mapping.remote.connection
        };
        Some(mappings.iter().find(same)?.name.clone())
    };
    BesideColumn {
        name: field.label.clone(),
        local: field.local_name().to_owned(),
        remote: field.read.text().trim_start_matches("$.").to_owned(),
        here,
        there,
        words,
        placeholder,
        refers_to: field.linked().map(String::as_str).and_then(of),
    }
}

fn path(field: &Field) -> Option<&SingularPath> {
    field.write.as_ref().or_else(|| field.read.singular())
}

/// A value of a record as text; empty where there is none.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn refused(error: Refused) -> BesideError {
    BesideError(error.message)
}

impl Shelf {
    fn record(&self, record: &Json) -> BesideRecord {
        let fields = self.mapping.fields.iter().map(|field| {
            let value = path(field).and_then(|path| path.get(record));
            (field.label.clone(), value.map(shown).unwrap_or_default())
        });
        let id = record.get(self.place.id()).and_then(Json::as_str).unwrap_or_default();
        BesideRecord { id: id.to_owned(), fields: fields.collect() }
    }

    /// What was typed, as the service holds it.
    fn body(&self, typed: BTreeMap<String, String>) -> Result<Json, BesideError> {
        let mut body = Json::Object(Map::new());
        for (name, text) in typed {
            let field = self.mapping.field(&name).and_then(|field| Some((field, path(field)?)));
            let Some((field, path)) = field else { continue };
            let value = to_json(field.lens.wire_kind(), text).map_err(|what| {
                BesideError(format!("{} is {what}", field.read.text().trim_start_matches("$.")))
            })?;
            path.set(&mut body, value).map_err(|error| BesideError(error.to_string()))?;
        }
        // Whoever says when it is due wants it sent.
        if self.place == Place::Invoices && body.get("due_date").is_some_and(|due| !due.is_null()) {
            body["collection_method"] = "send_invoice".into();
        }
        Ok(body)
    }
}

/// A typed text as JSON of this kind, or what it should have been.
fn to_json(kind: &Kind, text: String) -> Result<Json, &'static str> {
    if text.is_empty() {
        return Ok(Json::Null);
    }
    let parsed = || serde_json::from_str::<Json>(&text).ok();
    match kind {
        Kind::Int | Kind::Id { number: true } => parsed().filter(Json::is_i64).ok_or("a whole number"),
        Kind::Number => parsed().filter(Json::is_number).ok_or("a number"),
        Kind::Bool => parsed().filter(Json::is_boolean).ok_or("true or false"),
        Kind::List(_) | Kind::Json => parsed().ok_or("JSON"),
        _ => Ok(Json::String(text)),
    }
}

/// The step that brings an invoice to this status.
fn step_to(status: &str) -> Result<&'static str, BesideError> {
    match status {
        "open" => Ok("finalize"),
        "paid" => Ok("pay"),
        "void" => Ok("void"),
        "uncollectible" => Ok("mark_uncollectible"),
        other => Err(BesideError(format!("No invoice becomes `{other}` again."))),
    }
}

#[async_trait]
impl Beside for BesideSandbox {
    fn kinds(&self) -> &[BesideKind] {
        &self.kinds
    }

    async fn list(&self, mapping: &str) -> Result<Vec<BesideRecord>, BesideError> {
        let shelf = self.shelf(mapping)?;
        let records = match &shelf.place {
            Place::Customers => self.sandbox.with(|stripe, _| stripe.customers()),
            Place::Invoices => self.sandbox.with(|stripe, _| stripe.invoices()),
            Place::Object(object) => self.sandbox.salesforce(|org, _| org.records(object)),
        };
        Ok(records.iter().rev().map(|record| shelf.record(record)).collect())
    }

    async fn create(&self, mapping: &str, fields: BTreeMap<String, String>) -> Result<String, BesideError> {
        let shelf = self.shelf(mapping)?;
        let body = shelf.body(fields)?;
        let made = match &shelf.place {
            Place::Customers => self.sandbox.with(|stripe, now| stripe.dashboard_create(&body, now)),
            Place::Invoices => self.sandbox.with(|stripe, now| stripe.dashboard_invoice(&body, now)),
            Place::Object(object) => {
                self.sandbox.salesforce(|org, now| org.dashboard_create(object, &body, now))
            }
        };
        Ok(shelf.record(&made.map_err(refused)?).id)
    }

    async fn update(
        &self,
        mapping: &str,
        id: &str,
        fields: BTreeMap<String, String>,
    ) -> Result<(), BesideError> {
        let shelf = self.shelf(mapping)?;
        let mut body = shelf.body(fields)?;
        match &shelf.place {
            Place::Customers => self.sandbox.with(|stripe, now| stripe.dashboard_update(id, &body, now)),
            Place::Object(_) => self.sandbox.salesforce(|org, now| org.dashboard_update(id, &body, now)),
            Place::Invoices => {
                let status = body.as_object_mut().and_then(|body| body.remove("status"));
                let step = status.as_ref().and_then(Json::as_str).map(step_to).transpose()?;
                let is_changed = body.as_object().is_some_and(|body| !body.is_empty());
                self.sandbox.with(|stripe, now| {
                    let mut invoice = Json::Null;
                    if is_changed {
                        invoice = stripe.dashboard_update_invoice(id, &body, now)?;
                    }
                    step.map_or(Ok(invoice), |step| stripe.dashboard_advance(id, step, now))
                })
            }
        }
        .map_err(refused)?;
        Ok(())
    }

    async fn delete(&self, mapping: &str, id: &str) -> Result<(), BesideError> {
        match &self.shelf(mapping)?.place {
            Place::Customers => self.sandbox.with(|stripe, now| stripe.dashboard_delete(id, now)),
            Place::Invoices => self.sandbox.with(|stripe, now| stripe.dashboard_delete_invoice(id, now)),
            Place::Object(_) => self.sandbox.salesforce(|org, now| org.dashboard_delete(id, now)),
        }
        .map_err(refused)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.sandbox.changes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_connector_sandbox::{Config, Stripe};

    fn beside() -> BesideSandbox {
        let project = super::super::documents().expect("the demo's documents");
        let sandbox = Sandbox::new(Stripe::new(Config::default()));
        BesideSandbox::new(sandbox, &super::super::in_order(&project))
    }

    fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_documents_say_what_is_shown() {
        let beside = beside();
        let kinds: Vec<&str> = beside.kinds().iter().map(|kind| kind.mapping.as_str()).collect();
        assert_eq!(
            kinds,
            ["stripe-customers", "stripe-invoices", "salesforce-accounts", "salesforce-contacts"]
        );
        let columns = |at: usize| -> Vec<(&str, &str)> {
            let columns = beside.kinds()[at].columns.iter();
            columns.map(|column| (column.local.as_str(), column.remote.as_str())).collect()
        };
        assert_eq!(columns(0), [("name", "name"), ("email", "email"), ("phone", "phone")]);
        assert_eq!(
            columns(3)[..3],
            [("first_name", "FirstName"), ("last_name", "LastName"), ("account_id", "AccountId")]
        );
        let column = |at: usize, name: &str| {
            beside.kinds()[at].columns.iter().find(|column| column.name == name).expect("a column")
        };
        let customer = column(1, "customer_id");
        assert_eq!(customer.refers_to.as_deref(), Some("stripe-customers"));
        assert_eq!((customer.here, customer.there), (Editable::AtCreation, Editable::AtCreation));
        let (status, number) = (column(1, "status"), column(1, "number"));
        assert_eq!((status.here, status.there), (Editable::AtCreation, Editable::Later));
        assert_eq!(status.words, ["draft", "open", "paid", "void", "uncollectible"]);
        assert_eq!((number.here, number.there), (Editable::Never, Editable::Never));
        assert_eq!(column(3, "account_id").refers_to.as_deref(), Some("salesforce-accounts"));
        assert_eq!(column(3, "opted_out").words, ["false", "true"]);
    }

    #[tokio::test]
    async fn edits_are_a_persons_edits() {
        let beside = beside();
        let kind = "stripe-customers";
        let mut changed = beside.changed();
        changed.mark_unchanged();
        let first = beside.create(kind, fields(&[("name", "Ada"), ("email", "ada@example.com")])).await;
        let first = first.expect("created");
        assert!(changed.has_changed().expect("alive"));
        let second = beside.create(kind, fields(&[("email", "b@example.com")])).await.expect("created");
        beside.update(kind, &first, fields(&[("name", "")])).await.expect("updated");
        let listed = beside.list(kind).await.expect("listed");
        assert_eq!(listed.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), [second.clone(), first.clone()]);
        assert_eq!(listed[1].fields["name"], "");
        assert_eq!(listed[1].fields["email"], "ada@example.com");
        beside.delete(kind, &second).await.expect("deleted");
        assert_eq!(beside.list(kind).await.expect("listed").len(), 1);
        assert!(beside.update(kind, "cus_none", fields(&[("name", "x")])).await.is_err());
    }

    #[tokio::test]
    async fn an_invoice_goes_through_its_life() {
        let beside = beside();
        let payer =
            beside.create("stripe-customers", fields(&[("email", "a@example.com")])).await.expect("made");
        let kind = "stripe-invoices";
        let new = [
            ("customer_id", payer.as_str()),
            ("currency", "eur"),
            ("due_at", "1798761600"),
            ("total", "4200"),
        ];
        let invoice = beside.create(kind, fields(&new)).await.expect("created");
        let set =
            async |name: &str, value: &str| beside.update(kind, &invoice, fields(&[(name, value)])).await;
        let refusal = set("total", "4.2").await.expect_err("minor units are whole");
        assert_eq!(refusal.0, "total is a whole number");
        assert!(set("status", "paid").await.is_err(), "a draft is not paid");
        for status in ["open", "paid"] {
            set("status", status).await.expect("a step");
        }
        assert!(set("status", "draft").await.is_err());
        let listed = beside.list(kind).await.expect("listed").remove(0).fields;
        let shown = ["customer_id", "due_at", "total", "status"].map(|name| listed[name].as_str());
        assert_eq!(shown, [&payer, "1798761600", "4200", "paid"]);
        assert!(!listed["number"].is_empty());
    }

    #[tokio::test]
    async fn salesforce_gets_values_of_its_types() {
        let beside = beside();
        let new = [("name", "Orbital"), ("employees", "12")];
        let account = beside.create("salesforce-accounts", fields(&new)).await.expect("created");
        let new = [("last_name", "Johnson"), ("account_id", account.as_str()), ("opted_out", "true")];
        beside.create("salesforce-contacts", fields(&new)).await.expect("created");
        let contact = beside.list("salesforce-contacts").await.expect("listed").remove(0).fields;
        assert_eq!(
            (contact["account_id"].as_str(), contact["opted_out"].as_str()),
            (account.as_str(), "true")
        );
        let refusal = beside.update("salesforce-accounts", &account, fields(&[("employees", "many")])).await;
        assert_eq!(refusal.expect_err("no number").0, "NumberOfEmployees is a whole number");
    }
}
