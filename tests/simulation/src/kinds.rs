//! Which kinds of records a run is about: catalogs with their tables, and the places where their records live.
//!
//! All kinds have four fields, which play the same part in each: what records are matched by ([`MATCH`]), a name that a service may
//! have its own mind about ([`NAME`]), one that may travel one way only ([`WAY`]), and one more, which in kinds that refer to another
//! is the reference ([`LAST`]).

use crate::ledger::Cells;
use bothways_model::{LocalRow, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// What records are matched by at first contact, in kinds that are matched at all.
pub(crate) const MATCH: usize = 0;
/// A name.
pub(crate) const NAME: usize = 1;
/// Travels the way that the plan says.
pub(crate) const WAY: usize = 2;
/// A reference, in kinds that have one.
pub(crate) const LAST: usize = 3;

/// A catalog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) catalog: &'static str,
    /// Its document.
    pub(crate) document: &'static str,
    /// How its table is made in SQLite.
    pub(crate) table: &'static str,
    /// What its fields are called, here and in the mapping.
    pub(crate) labels: [&'static str; 4],
    /// Whether rows and records are matched, by [`MATCH`].
    pub(crate) is_matched: bool,
    /// What [`LAST`] refers to.
    pub(crate) parent: Option<&'static Kind>,
    /// Whether that stays as it was at the beginning.
    pub(crate) stays: bool,
    /// Whether [`WAY`] is an amount, which comes from the service alone and is nothing at first.
    pub(crate) has_amount: bool,
}

/// Who keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Stripe,
    Salesforce,
}

impl Service {
    /// The connection to it.
    pub(crate) fn connection(self) -> &'static str {
        match self {
            Service::Stripe => "stripe",
            Service::Salesforce => "salesforce",
        }
    }

    /// Where it is.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Service::Stripe => "http://127.0.0.1:1",
            Service::Salesforce => "http://127.0.0.1:2",
        }
    }
}

/// Where records of a kind live: the remote end of one mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) kind: &'static Kind,
    pub(crate) service: Service,
    /// What the service calls them in addresses.
    pub(crate) resource: &'static str,
    /// The mapping's name.
    pub(crate) mapping: &'static str,
    /// What ids begin with.
    pub(crate) prefix: &'static str,
    /// What the service calls the fields, those within others with a dot.
    pub(crate) names: [&'static str; 4],
    /// Whether an update is refused once somebody changed the record since it was read.
    pub(crate) is_guarded: bool,
}

static CUSTOMERS: Kind = Kind {
    catalog: "customers",
    document: "
catalog: customers
table: customers
key: id
fields: { id: int, name: text?, email: text?, phone: text?, about: text?, note: text? }
",
    table: "CREATE TABLE customers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT, phone TEXT, about TEXT, note TEXT)",
    labels: ["email", "name", "phone", "about"],
    is_matched: true,
    parent: None,
    stays: false,
    has_amount: false,
};

static INVOICES: Kind = Kind {
    catalog: "invoices",
    document: "
catalog: invoices
table: invoices
key: id
fields: { id: int, po: text?, memo: text?, footer: text?, customer_id: { ref: customers }, note: text? }
",
    table: "CREATE TABLE invoices (
    id INTEGER PRIMARY KEY AUTOINCREMENT, po TEXT, memo TEXT, footer TEXT, customer_id INTEGER NOT NULL, note TEXT)",
    labels: ["po", "memo", "footer", "customer_id"],
    is_matched: false,
    parent: Some(&CUSTOMERS),
    stays: true,
    has_amount: false,
};

static BILLS: Kind = Kind {
    catalog: "bills",
    document: "
catalog: bills
table: bills
key: id
fields: { id: int, po: text?, memo: text?, total: int?, customer_id: { ref: customers }, note: text? }
",
    table: "CREATE TABLE bills (
    id INTEGER PRIMARY KEY AUTOINCREMENT, po TEXT, memo TEXT, total INTEGER, customer_id INTEGER NOT NULL, note TEXT)",
    labels: ["po", "memo", "total", "customer_id"],
    has_amount: true,
    ..INVOICES
};

static ACCOUNTS: Kind = Kind {
    catalog: "accounts",
    document: "
catalog: accounts
table: accounts
key: id
fields: { id: int, name: text?, website: text?, phone: text?, industry: text?, note: text? }
",
    table: "CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, website TEXT, phone TEXT, industry TEXT, note TEXT)",
    labels: ["name", "website", "phone", "industry"],
    is_matched: true,
    parent: None,
    stays: false,
    has_amount: false,
};

static CONTACTS: Kind = Kind {
    catalog: "contacts",
    document: "
catalog: contacts
table: contacts
key: id
fields: { id: int, email: text?, first_name: text?, phone: text?, account_id: { ref: accounts, optional: true }, note: text? }
",
    table: "CREATE TABLE contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, first_name TEXT, phone TEXT, account_id INTEGER, note TEXT)",
    labels: ["email", "first_name", "phone", "account_id"],
    is_matched: true,
    parent: Some(&ACCOUNTS),
    stays: false,
    has_amount: false,
};

/// Accounts in Salesforce.
pub(crate) static SALESFORCE_ACCOUNTS: Place = Place {
    kind: &ACCOUNTS,
    service: Service::Salesforce,
    resource: "Account",
    mapping: "salesforce-accounts",
    prefix: "001",
    names: ["Name", "Website", "Phone", "Industry"],
    is_guarded: false,
};

/// The same, each update under the condition that nobody has changed the account since it was read.
pub(crate) static SALESFORCE_GUARDED_ACCOUNTS: Place = Place { is_guarded: true, ..SALESFORCE_ACCOUNTS };

/// Contacts of accounts in Salesforce.
pub(crate) static SALESFORCE_CONTACTS: Place = Place {
    kind: &CONTACTS,
    service: Service::Salesforce,
    resource: "Contact",
    mapping: "salesforce-contacts",
    prefix: "003",
    names: ["Email", "FirstName", "Phone", "AccountId"],
    is_guarded: false,
};

/// Customers as contacts in Salesforce, beside those in Stripe.
pub(crate) static SALESFORCE_CUSTOMERS: Place = Place {
    kind: &CUSTOMERS,
    service: Service::Salesforce,
    resource: "Contact",
    mapping: "salesforce-customers",
    prefix: "003",
    names: ["Email", "FirstName", "Phone", "Department"],
    is_guarded: false,
};

/// Customers in Stripe.
pub(crate) static STRIPE_CUSTOMERS: Place = Place {
    kind: &CUSTOMERS,
    service: Service::Stripe,
    resource: "customers",
    mapping: "stripe-customers",
    prefix: "cus_",
    names: ["email", "name", "phone", "description"],
    is_guarded: false,
};

/// Drafts of invoices in Stripe.
pub(crate) static STRIPE_INVOICES: Place = Place {
    kind: &INVOICES,
    service: Service::Stripe,
    resource: "invoices",
    mapping: "stripe-invoices",
    prefix: "in_",
    names: ["metadata.po", "description", "footer", "customer"],
    is_guarded: false,
};

/// Invoices in Stripe with what they come to, which live on: they are finalized, and then stand as they are.
pub(crate) static STRIPE_BILLS: Place = Place {
    kind: &BILLS,
    mapping: "stripe-bills",
    names: ["metadata.po", "description", "total", "customer"],
    ..STRIPE_INVOICES
};

/// A value as a cell; null is none.
pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.to_text()),
    }
}

impl Kind {
    /// Whether this is the same kind.
    pub(crate) fn is(&self, other: &Kind) -> bool {
        self.catalog == other.catalog
    }

    /// Whether a field of records is a reference.
    pub(crate) fn refers(&self, field: usize) -> bool {
        field == LAST && self.parent.is_some()
    }

    /// A row's mapped values; a reference as it is.
    pub(crate) fn cells(&self, row: &LocalRow) -> Cells {
        self.labels.map(|label| text(row.fields.get(label)))
    }

    /// What a row of this kind is matched by, made alike.
    pub(crate) fn matched(&self, cells: &Cells) -> Option<String> {
        cells[MATCH].as_ref().filter(|_| self.is_matched).map(|value| value.trim().to_lowercase())
    }
}

impl Place {
    /// A record's mapped values. Stripe does not tell empty from null.
    pub(crate) fn cells(&self, record: &Json) -> Cells {
        self.names.map(|name| match name.split('.').try_fold(record, |at, part| at.get(part)) {
            Some(Json::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
            Some(Json::Number(number)) => Some(number.to_string()),
            _ => None,
        })
    }

    /// Whether a record shows a field, be it empty.
    pub(crate) fn shows(&self, record: &Json, field: usize) -> bool {
        self.names[field].split('.').try_fold(record, |at, part| at.get(part)).is_some()
    }

    /// The link that a record was made for.
    pub(crate) fn stamp(&self, record: &Json) -> Option<String> {
        let stamp = match self.service {
            Service::Stripe => &record["metadata"]["bothways"],
            Service::Salesforce => &record["Bothways_Id__c"],
        };
        stamp.as_str().map(str::to_owned)
    }

    /// A record's id.
    pub(crate) fn id<'r>(&self, record: &'r Json) -> &'r str {
        match self.service {
            Service::Stripe => record["id"].as_str().unwrap_or_default(),
            Service::Salesforce => record["Id"].as_str().unwrap_or_default(),
        }
    }

    /// The remote end as a mapping names it.
    pub(crate) fn remote(&self) -> String {
        match self.service {
            Service::Stripe => format!("stripe/{}", self.resource),
            Service::Salesforce if self.is_guarded => "salesforce/account".to_owned(),
            Service::Salesforce => {
                format!("{{ resource: salesforce/sobject, with: {{ object: {} }} }}", self.resource)
            }
        }
    }

    /// Where a record holds the link that it was made for.
    pub(crate) fn stamped(&self) -> &'static str {
        match self.service {
            Service::Stripe => "metadata.bothways",
            Service::Salesforce => "Bothways_Id__c",
        }
    }

    /// What every new record must have beside the mapped fields.
    pub(crate) fn on_create(&self) -> Option<(&'static str, &'static str)> {
        (self.resource == "Contact").then_some(("LastName", "Simulated"))
    }

    /// Whether what records are matched by may be empty.
    pub(crate) fn may_be_blank(&self) -> bool {
        self.resource != "Account"
    }

    /// Whether a deleted record can still be read, as deleted.
    pub(crate) fn shows_deleted(&self) -> bool {
        match self.service {
            Service::Stripe => self.resource == "customers",
            // Until somebody empties the recycle bin.
            Service::Salesforce => false,
        }
    }

    /// Whether a record may not be changed any more.
    pub(crate) fn is_final(&self, record: &Json) -> bool {
        self.kind.has_amount && record["status"] != "draft"
    }

    /// Whether a record with this id lives here.
    pub(crate) fn owns(&self, id: &str) -> bool {
        id.starts_with(self.prefix)
    }

    /// Fields as the service takes them.
    pub(crate) fn fields(&self, changes: &[(usize, Option<String>)]) -> Json {
        let mut fields = Map::new();
        for (field, value) in changes {
            let value = value.clone().map_or(Json::Null, Json::String);
            match self.names[*field].split_once('.') {
                Some((outer, inner)) => fields.insert(outer.to_owned(), json!({ inner: value })),
                None => fields.insert(self.names[*field].to_owned(), value),
            };
        }
        Json::Object(fields)
    }

    /// A field that no mapping has, as the service takes it.
    pub(crate) fn unmapped(&self, value: &str) -> Json {
        match self.service {
            Service::Stripe => json!({ "metadata": { "note": value } }),
            Service::Salesforce => json!({ "Description": value }),
        }
    }

    /// Which fields a body that the service took sets, and to what.
    pub(crate) fn sent(&self, body: &[u8]) -> Vec<(usize, String)> {
        if self.service == Service::Salesforce {
            let sent: Json = serde_json::from_slice(body).unwrap_or_default();
            let values = self.names.iter().enumerate();
            return values
                .filter_map(|(field, name)| Some((field, sent.get(name)?.as_str()?.to_owned())))
                .collect();
        }
        let form = String::from_utf8_lossy(body);
        let pairs: BTreeMap<&str, &str> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let named = |name: &&str| match name.split_once('.') {
            Some((outer, inner)) => format!("{outer}[{inner}]"),
            None => (*name).to_owned(),
        };
        let values = self.names.iter().enumerate();
        values
            .filter_map(|(field, name)| Some((field, pairs.get(named(name).as_str())?.replace("%40", "@"))))
            .collect()
    }
}
