//! What people do with rows that are archived instead of deleted, and with the archive.

use super::Users;
use bothways_model::LocalId;

impl Users {
    /// Archives a row; or takes one back out that anybody archived, edits it there, deletes it for good.
    pub(super) fn use_archive(&self, id: &LocalId) {
        let rows = self.sim.table.rows(self.kind().catalog).into_iter();
        let archived = rows.filter(|row| row.deleted_at.is_some()).map(|row| row.id.0).collect();
        let what = self.draw(|dice| dice.below(10));
        match self.one_of(archived).map(LocalId) {
            Some(other) if what < 4 => self.take_out(&other),
            Some(other) if what < 6 => {
                self.sim.count("archived_row_edited");
                let changes = self.some_changes(bothways_store::Side::Local, other.as_str());
                self.update_row(&other, &changes);
                // As a person does who sees that it is out of date, and is wanted.
                if what < 5 {
                    self.take_out(&other);
                }
            }
            Some(other) if what < 7 => {
                self.sim.count("archived_row_deleted");
                self.delete_row(&other);
            }
            _ => {
                self.archive_row(id);
                // By mistake, as its user sees at once.
                if self.draw(|dice| dice.below(5)) == 0 {
                    self.take_out(id);
                }
            }
        }
    }

    /// Archives a row, though it may be in the archive already.
    pub(crate) fn archive_row(&self, id: &LocalId) {
        let at = self.sim.machine_time();
        self.sim.count("archived_by_user");
        self.sim.table.archive(self.kind().catalog, id, Some(at), at);
        self.sim.ledger(self.kind()).touch_row(id.as_str(), self.sim.executor.now());
        self.sim.say(|| format!("user archives row {id} of {}", self.kind().catalog));
        self.rows_changed();
    }

    /// Takes a row back out of the archive.
    pub(crate) fn take_out(&self, id: &LocalId) {
        self.sim.count("taken_out_of_archive");
        self.sim.table.archive(self.kind().catalog, id, None, self.sim.machine_time());
        self.sim.ledger(self.kind()).touch_row(id.as_str(), self.sim.executor.now());
        self.sim.say(|| format!("user takes row {id} of {} back out of the archive", self.kind().catalog));
        self.rows_changed();
    }
}
