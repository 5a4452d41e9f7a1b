//! The duplicate rule: a contact with another's email, an account with another's name.

use super::access::By;
use super::errors::ApiError;
use super::records::{Record, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the organisation's duplicate rule does about a record that looks like another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateRule {
    /// There is none.
    #[default]
    Off,
    /// Warns. A program is refused too, unless it sends `Sforce-Duplicate-Rule-Header: allowSave=true`.
    Alert,
    /// Refuses, whatever is sent.
    Block,
}

impl DuplicateRule {
    /// Refuses `record` where it looks like a live one in `table`.
    pub(crate) fn check(self, table: &Table, record: &Record, by: By) -> Result<(), ApiError> {
        let may_pass = self == Self::Alert && by != By::Api { allow_save: false };
        if self == Self::Off || may_pass {
            return Ok(());
        }
        let field = if table.object.name == "Contact" { "Email" } else { "Name" };
        let Some(value) = record.text(field) else { return Ok(()) };
        let alike = |other: &&Record| {
            other.deleted.is_none()
                && other.id != record.id
                && other.text(field).is_some_and(|text| text.to_lowercase() == value.to_lowercase())
        };
        let found: Vec<&str> = table.all().filter(alike).map(|other| other.id.as_str()).collect();
        if found.is_empty() { Ok(()) } else { Err(self.refuse(table.object.name, &found)) }
    }

    /// The error with the records that were found.
    fn refuse(self, object: &str, found: &[&str]) -> ApiError {
        let matches = |id: &&str| {
            json!({
                "additionalInformation": [],
                "fieldDiffs": [],
                "matchConfidence": 100.0,
                "record": { "attributes": { "type": object }, "Id": id },
            })
        };
        let mut error = ApiError::bad("DUPLICATES_DETECTED", "Use one of these records?");
        error.duplicates = Some(Box::new(json!({
            "allowSave": self == Self::Alert,
            "duplicateRule": format!("Standard_{object}_Duplicate_Rule"),
            "duplicateRuleEntityType": object,
            "errorMessage": "Use one of these records?",
            "matchResults": [{
                "entityType": object,
                "errors": [],
                "matchEngine": "ExactMatchEngine",
                "matchRecords": found.iter().map(matches).collect::<Vec<Value>>(),
                "rule": format!("Standard_{object}_Match_Rule"),
                "size": found.len(),
                "success": true,
            }],
        })));
        error
    }
}
