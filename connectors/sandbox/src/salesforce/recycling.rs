//! What becomes of records after they were deleted: merged, taken back, purged, forgotten.

use super::access::{Access, By};
use super::errors::ApiError;
use super::org::Salesforce;
use super::replication::BIN;
use super::store::Store;
use super::time::to_second;
use super::write::Writing;
use crate::dashboard::Refused;
use bothways_model::Timestamp;

impl Salesforce {
    /// Merges `loser` into `master` as a person would: the master keeps its values and takes the loser's contacts, the
    /// loser goes to the recycle bin and names its master.
    pub fn dashboard_merge(&mut self, master: &str, loser: &str, now: Timestamp) -> Result<(), Refused> {
        self.by_hand(now, |store, writing| store.merge(master, loser, writing))
    }

    /// Takes a record back out of the recycle bin as a person would.
    pub fn dashboard_undelete(&mut self, id: &str, now: Timestamp) -> Result<(), Refused> {
        self.by_hand(now, |store, writing| store.undelete(id, writing))
    }

    /// Empties the recycle bin as an administrator would: deleted records are gone for good, and so is the log of deletes.
    pub fn dashboard_empty_recycle_bin(&mut self, now: Timestamp) {
        self.store.purge(now, now);
    }

    /// Shortens the log of deletes, as the platform does when it is long; the recycle bin keeps its records.
    pub fn dashboard_purge_delete_log(&mut self, now: Timestamp) {
        self.store.forget_deletes(now);
    }
}

impl Store {
    fn merge(&mut self, master: &str, loser: &str, writing: &mut Writing<'_, '_>) -> Result<(), ApiError> {
        let object = self.object_of(master).ok_or_else(ApiError::no_such_id)?;
        let master = self.find(&object, master, writing.access)?.clone();
        let loser = self.find(&object, loser, writing.access)?.clone();
        if master.id == loser.id {
            return Err(ApiError::bad("INVALID_ID_FIELD", "a record cannot be merged into itself"));
        }
        for contact in self.contacts_of(&loser.id) {
            let contacts = self.writable("Contact")?;
            let mut moved = contact.clone();
            moved.fields.insert("AccountId".into(), master.id.clone().into());
            self.put(&contacts, moved, Some(contact), None, writing)?;
        }
        self.bury(&object, loser, Some(master.id.clone()), None, writing)?;
        self.put(&object, master.clone(), Some(master), None, writing)
    }

    fn undelete(&mut self, id: &str, writing: &mut Writing<'_, '_>) -> Result<(), ApiError> {
        let object = self.object_of(id).ok_or_else(ApiError::no_such_id)?;
        let id = super::record_id::to_18(id).ok_or_else(ApiError::no_such_id)?;
        let table = self.table_mut(object.name)?;
        let old = table.get(&id).filter(|record| record.deleted.is_some()).cloned();
        let old = old.ok_or_else(|| ApiError::bad("UNDELETE_FAILED", "entity is not in the recycle bin"))?;
        table.deletes.retain(|(_, deleted)| *deleted != id);
        let mut record = old.clone();
        record.deleted = None;
        record.master = None;
        // Another record may have taken a unique value meanwhile: this one comes back without it.
        for field in object.fields.iter().filter(|field| field.is_unique) {
            let value = record.text(&field.name).unwrap_or_default().to_owned();
            if !table.by_external_id(&field.name, &value).is_empty() {
                record.fields.remove(&field.name);
            }
        }
        self.put(&object, record, Some(old), None, writing)
    }

    /// Removes the records that were deleted before or at `until`, and forgets when.
    pub(crate) fn purge(&mut self, until: Timestamp, now: Timestamp) {
        for table in self.tables_mut() {
            let gone = |record: &&super::records::Record| record.deleted.is_some_and(|at| at <= until);
            let ids: Vec<String> = table.all().filter(gone).map(|record| record.id.clone()).collect();
            for id in ids {
                table.remove(&id);
            }
            if table.deletes.iter().any(|(at, _)| *at <= until) {
                table.deletes.retain(|(at, _)| *at > until);
                table.deletes_since = Some(to_second(until.min(now)));
            }
        }
    }

    /// Removes what the recycle bin does not keep any longer.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let until = now - BIN;
        if self.tables_mut().any(|table| table.deletes.first().is_some_and(|(at, _)| *at <= until)) {
            self.purge(until, now);
        }
    }

    fn forget_deletes(&mut self, now: Timestamp) {
        for table in self.tables_mut() {
            table.deletes.clear();
            table.deletes_since = Some(to_second(now));
        }
    }
}

impl Salesforce {
    /// Acts as a person.
    pub(crate) fn by_hand<T>(
        &mut self,
        now: Timestamp,
        act: impl FnOnce(&mut Store, &mut Writing<'_, '_>) -> Result<T, ApiError>,
    ) -> Result<T, Refused> {
        let access = Access::new(By::Person, &[], now);
        let mut writing = Writing { access: &access, faults: &mut self.faults };
        Ok(act(&mut self.store, &mut writing)?)
    }
}
