//! All records of the organisation.

use super::config::Config;
use super::duplicates::DuplicateRule;
use super::errors::ApiError;
use super::objects::{self, Object};
use super::record_id::{RecordIds, to_18};
use super::records::{Record, Table};
use super::time::to_second;
use crate::ids::Ids;
use bothways_model::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The tables, and what their writes need. Cloning it is how a request is rolled back.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    tables: Vec<Table>,
    pub(crate) ids: RecordIds,
    /// The user that everything belongs to.
    pub(crate) user: String,
    pub(crate) organization: String,
    pub(crate) duplicate_rule: DuplicateRule,
    /// Grows with every write of a record.
    pub(crate) revision: u64,
}

impl Store {
    pub(crate) fn new(config: &Config, ids: &mut Ids) -> Self {
        let mut records = RecordIds::new(format!("Sb{}", ids.make("", 3)));
        let made = records.make("00D");
        let organization = config.organization.as_deref().and_then(to_18).unwrap_or(made);
        let user = records.make("005");
        let tables = objects::all(&config.custom_fields).into_iter().map(Table::new).collect();
        let duplicate_rule = DuplicateRule::Off;
        let mut store = Self { tables, ids: records, user, organization, duplicate_rule, revision: 0 };
        store.found(config);
        store
    }

    /// The records that are there from the beginning: the organisation and the user.
    fn found(&mut self, config: &Config) {
        let organization = json!({
            "Name": "Sandbox",
            "IsSandbox": config.is_sandbox,
            "InstanceName": "SBX1",
            "OrganizationType": "Developer Edition",
        });
        let user = json!({ "Username": config.username, "IsActive": true });
        let begin = to_second(Timestamp::from_timestamp(1_700_000_000, 0).unwrap_or_default());
        for (object, id, fields) in
            [("Organization", self.organization.clone(), organization), ("User", self.user.clone(), user)]
        {
            let Value::Object(fields) = fields else { continue };
            if let Ok(table) = self.table_mut(object) {
                table.put(blank(id, fields, begin));
            }
        }
    }

    /// An object's table, by the object's name in any case.
    pub(crate) fn table(&self, object: &str) -> Result<&Table, ApiError> {
        self.tables
            .iter()
            .find(|t| t.object.name.eq_ignore_ascii_case(object))
            .ok_or_else(ApiError::not_found)
    }

    pub(crate) fn table_mut(&mut self, object: &str) -> Result<&mut Table, ApiError> {
        let found = self.tables.iter_mut().find(|t| t.object.name.eq_ignore_ascii_case(object));
        found.ok_or_else(ApiError::not_found)
    }

    /// The object whose records have ids that begin so.
    pub(crate) fn object_of(&self, id: &str) -> Option<Arc<Object>> {
        self.tables.iter().map(|t| &t.object).find(|o| id.starts_with(o.prefix)).cloned()
    }

    pub(crate) fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.tables.iter_mut()
    }

    /// The objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.tables.iter().map(|table| &table.object)
    }
}

/// A record of which nothing has happened but that it was made.
pub(crate) fn blank(id: String, fields: Map<String, Value>, now: Timestamp) -> Record {
    let at = to_second(now);
    Record {
        id,
        fields,
        created: at,
        modified: at,
        system_modstamp: at,
        deleted: None,
        master: None,
        version: 1,
        unseen: None,
    }
}
