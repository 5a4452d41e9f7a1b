//! The objects and their fields: what is required, what can be written, and how long a text may be. Lengths are from the
//! object reference of the platform.

use super::custom_field::{CustomField, CustomKind};

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Id,
    Text(usize),
    /// Cannot be filtered or ordered by.
    LongText(usize),
    Email,
    Boolean,
    Integer,
    Number,
    Date,
    DateTime,
    /// The id of a record of this object.
    Reference(&'static str),
}

/// One field of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) is_writable: bool,
    pub(crate) is_required: bool,
    pub(crate) is_external_id: bool,
    pub(crate) is_unique: bool,
}

impl Field {
    fn new(name: &str, kind: Kind) -> Self {
        let name = name.to_owned();
        Self { name, kind, is_writable: true, is_required: false, is_external_id: false, is_unique: false }
    }

    fn read_only(name: &str, kind: Kind) -> Self {
        Self { is_writable: false, ..Self::new(name, kind) }
    }

    fn required(name: &str, kind: Kind) -> Self {
        Self { is_required: true, ..Self::new(name, kind) }
    }

    fn custom(name: &str, kind: CustomKind) -> Self {
        match kind {
            CustomKind::ExternalId { length, unique } => {
                Self { is_external_id: true, is_unique: unique, ..Self::new(name, Kind::Text(length)) }
            }
            CustomKind::Text { length } => Self::new(name, Kind::Text(length)),
            CustomKind::Checkbox => Self::new(name, Kind::Boolean),
            CustomKind::Number => Self::new(name, Kind::Number),
        }
    }

    /// Whether a query may filter and order by it.
    pub(crate) fn is_filterable(&self) -> bool {
        !matches!(self.kind, Kind::LongText(_))
    }

    /// The relationship's name, for a reference: `Account` for `AccountId`.
    pub(crate) fn relationship(&self) -> Option<&str> {
        matches!(self.kind, Kind::Reference(_)).then(|| self.name.strip_suffix("Id")).flatten()
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) name: &'static str,
    /// The first three characters of its records' ids.
    pub(crate) prefix: &'static str,
    /// Whether its records can be written.
    pub(crate) is_writable: bool,
    pub(crate) fields: Vec<Field>,
}

impl Object {
    /// A field by its name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }
}

/// All objects of the organisation.
pub(crate) fn all(custom: &[CustomField]) -> Vec<Object> {
    let mut objects = vec![
        Object { name: "Account", prefix: "001", is_writable: true, fields: account() },
        Object { name: "Contact", prefix: "003", is_writable: true, fields: contact() },
        Object { name: "Organization", prefix: "00D", is_writable: false, fields: organization() },
        Object { name: "User", prefix: "005", is_writable: false, fields: user() },
    ];
    for custom in custom {
        if let Some(object) = objects.iter_mut().find(|o| o.name.eq_ignore_ascii_case(&custom.object)) {
            object.fields.push(Field::custom(&custom.name, custom.kind));
        }
    }
    objects
}

/// The fields that every record has, in front and behind.
fn framed(object: &'static str, own: Vec<Field>) -> Vec<Field> {
    let mut fields = vec![
        Field::read_only("Id", Kind::Id),
        Field::read_only("IsDeleted", Kind::Boolean),
        Field::read_only("MasterRecordId", Kind::Reference(object)),
    ];
    fields.extend(own);
    fields.push(Field::new("OwnerId", Kind::Reference("User")));
    for (by, at) in [("CreatedById", "CreatedDate"), ("LastModifiedById", "LastModifiedDate")] {
        fields.push(Field::read_only(at, Kind::DateTime));
        fields.push(Field::read_only(by, Kind::Reference("User")));
    }
    fields.push(Field::read_only("SystemModstamp", Kind::DateTime));
    fields
}

fn address(prefix: &str) -> Vec<Field> {
    let parts = [("Street", 255), ("City", 40), ("State", 80), ("PostalCode", 20), ("Country", 80)];
    parts.iter().map(|(part, max)| Field::new(&format!("{prefix}{part}"), Kind::Text(*max))).collect()
}

fn account() -> Vec<Field> {
    let mut own = vec![
        Field::required("Name", Kind::Text(255)),
        Field::new("Type", Kind::Text(255)),
        Field::new("ParentId", Kind::Reference("Account")),
    ];
    own.extend(address("Billing"));
    own.extend(address("Shipping"));
    own.extend([
        Field::new("Phone", Kind::Text(40)),
        Field::new("Fax", Kind::Text(40)),
        Field::new("AccountNumber", Kind::Text(40)),
        Field::new("Website", Kind::Text(255)),
        Field::new("Industry", Kind::Text(255)),
        Field::new("AnnualRevenue", Kind::Number),
        Field::new("NumberOfEmployees", Kind::Integer),
        Field::new("Description", Kind::LongText(32_000)),
    ]);
    framed("Account", own)
}

fn contact() -> Vec<Field> {
    let mut own = vec![
        Field::new("AccountId", Kind::Reference("Account")),
        Field::required("LastName", Kind::Text(80)),
        Field::new("FirstName", Kind::Text(40)),
        Field::new("Salutation", Kind::Text(40)),
        Field::read_only("Name", Kind::Text(121)),
    ];
    own.extend(address("Mailing"));
    own.extend([
        Field::new("Phone", Kind::Text(40)),
        Field::new("MobilePhone", Kind::Text(40)),
        Field::new("Email", Kind::Email),
        Field::new("Title", Kind::Text(128)),
        Field::new("Department", Kind::Text(80)),
        Field::new("LeadSource", Kind::Text(255)),
        Field::new("Birthdate", Kind::Date),
        Field::new("HasOptedOutOfEmail", Kind::Boolean),
        Field::new("DoNotCall", Kind::Boolean),
        Field::new("Description", Kind::LongText(32_000)),
    ]);
    framed("Contact", own)
}

fn organization() -> Vec<Field> {
    vec![
        Field::read_only("Id", Kind::Id),
        Field::read_only("Name", Kind::Text(80)),
        Field::read_only("IsSandbox", Kind::Boolean),
        Field::read_only("InstanceName", Kind::Text(5)),
        Field::read_only("OrganizationType", Kind::Text(40)),
        Field::read_only("SystemModstamp", Kind::DateTime),
    ]
}

fn user() -> Vec<Field> {
    vec![
        Field::read_only("Id", Kind::Id),
        Field::read_only("Username", Kind::Text(80)),
        Field::read_only("IsActive", Kind::Boolean),
        Field::read_only("SystemModstamp", Kind::DateTime),
    ]
}
