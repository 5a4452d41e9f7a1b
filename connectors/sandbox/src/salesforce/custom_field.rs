//! Fields that the organisation has added to an object.

/// A field that the organisation has added to an object.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomField {
    /// The object, such as `Contact`.
    pub object: String,
    /// The field's API name, which ends in `__c`.
    pub name: String,
    /// What it holds.
    pub kind: CustomKind,
}

/// What a custom field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CustomKind {
    /// A text that names a record in another system: `upsert` finds records by it, without regard to case.
    ExternalId {
        /// At most so many characters.
        length: usize,
        /// Whether no two live records may have the same value. Without it an upsert can match several: 300.
        unique: bool,
    },
    /// A text.
    Text {
        /// At most so many characters.
        length: usize,
    },
    /// A checkbox.
    Checkbox,
    /// A number.
    Number,
}

impl CustomField {
    /// The unique external id that a connector stamps its key into.
    pub fn stamp(object: &str, name: &str) -> Self {
        let kind = CustomKind::ExternalId { length: 64, unique: true };
        Self { object: object.to_owned(), name: name.to_owned(), kind }
    }

    /// An external id that several records can share.
    pub fn key(object: &str, name: &str) -> Self {
        let kind = CustomKind::ExternalId { length: 64, unique: false };
        Self { kind, ..Self::stamp(object, name) }
    }
}
