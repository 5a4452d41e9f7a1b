//! Another program that writes the same tables: what triggers see of it, the engine sees.

use super::MemoryStore;
use super::rows::{key_value, refused};
use super::state::{Op, State};
use crate::Result;
use bothways_model::{LocalId, LocalRow, Record, Timestamp};

/// Writes rows like another program. Every call is one transaction of that program at time `at`.
pub struct Foreign<'s> {
    pub(super) store: &'s MemoryStore,
}

impl Foreign<'_> {
    /// `INSERT`.
    pub fn insert(&self, catalog: &str, fields: Record, at: Timestamp) -> Result<LocalId> {
        self.store.write(|s| Ok(s.insert_row(catalog, &fields, at)?.map_err(refused)?.id))
    }

    /// `UPDATE`, perhaps of the key too. False if there is no such row.
    pub fn update(&self, catalog: &str, id: &LocalId, fields: Record, at: Timestamp) -> Result<bool> {
        self.store.write(|s| update(s, catalog, id, &fields, at))
    }

    /// `UPDATE` of the catalog's `deleted_at`. False if there is no such row.
    pub fn archive(&self, catalog: &str, id: &LocalId, at: Timestamp) -> Result<bool> {
        self.store.write(|s| {
            let Some(row) = s.read_row(catalog, id)? else { return Ok(false) };
            s.update_row(catalog, &row, &Record::new(), Some(Some(at)), at)?.map_err(refused)?;
            Ok(true)
        })
    }

    /// `DELETE`. False if there is no such row.
    pub fn delete(&self, catalog: &str, id: &LocalId, at: Timestamp) -> Result<bool> {
        self.store.write(|s| s.delete_row(catalog, id, at))
    }

    /// `REPLACE`: rows in the way by key or by a unique list are gone without a delete trigger; they are logged as hints.
    pub fn replace(&self, catalog: &str, fields: Record, at: Timestamp) -> Result<LocalId> {
        self.store.write(|s| {
            let table = s.table_mut(catalog)?;
            if let Ok(id) = table.id_of(&fields) {
                table.remove(&id);
            }
            let wanted = LocalRow { id: LocalId(String::new()), fields: fields.clone(), deleted_at: None };
            for id in table.rivals(&wanted) {
                s.table_mut(catalog)?.remove(&id);
                s.capture(catalog, id, Op::Victim, at);
            }
            Ok(s.insert_row(catalog, &fields, at)?.map_err(refused)?.id)
        })
    }

    /// `UPDATE … SET key = new`.
    pub fn rekey(&self, catalog: &str, old: &LocalId, new: &LocalId, at: Timestamp) -> Result<bool> {
        self.store.write(|s| rekey(s, catalog, old, new, at))
    }

    /// Swaps two keys through a third, unused one, in one transaction.
    pub fn swap(
        &self,
        catalog: &str,
        a: &LocalId,
        b: &LocalId,
        spare: &LocalId,
        at: Timestamp,
    ) -> Result<()> {
        self.store.write(|s| {
            rekey(s, catalog, a, spare, at)?;
            rekey(s, catalog, b, a, at)?;
            rekey(s, catalog, spare, b, at)?;
            Ok(())
        })
    }

    /// Removes a row that no trigger sees: a restore from backup, another database file.
    pub fn lose(&self, catalog: &str, id: &LocalId) -> Result<bool> {
        self.store.write(|s| {
            s.touch();
            Ok(s.table_mut(catalog)?.remove(id).is_some())
        })
    }

    /// A transaction that has its number in the change log and commits later, perhaps after others with larger numbers: what
    /// sequences of databases with many writers allow (rule 37).
    pub fn begin(&self) -> Held<'_> {
        let mut state = self.store.lock();
        state.last_change += 1;
        Held { store: self.store, number: state.last_change }
    }

    /// Makes a row unreadable, as a text in a number column is. An update by anybody but `mend` leaves it so.
    pub fn spoil(&self, catalog: &str, id: &LocalId, message: &str, at: Timestamp) -> Result<()> {
        self.store.write(|s| {
            let table = s.table_mut(catalog)?;
            if let Some(key) = table.key(id) {
                table.spoiled.insert(key, message.to_owned());
            }
            s.capture(catalog, id.clone(), Op::Update, at);
            Ok(())
        })
    }

    /// Makes a spoiled row readable again.
    pub fn mend(&self, catalog: &str, id: &LocalId, at: Timestamp) -> Result<()> {
        self.store.write(|s| {
            let table = s.table_mut(catalog)?;
            if let Some(key) = table.key(id) {
                table.spoiled.remove(&key);
            }
            s.capture(catalog, id.clone(), Op::Update, at);
            Ok(())
        })
    }
}

/// An open transaction; dropped, it is rolled back.
pub struct Held<'s> {
    store: &'s MemoryStore,
    number: i64,
}

impl Held<'_> {
    /// `UPDATE` and `COMMIT`. False if there is no such row.
    pub fn update(self, catalog: &str, id: &LocalId, fields: Record, at: Timestamp) -> Result<bool> {
        self.store.write(|s| {
            let last = std::mem::replace(&mut s.last_change, self.number - 1);
            let done = update(s, catalog, id, &fields, at);
            s.last_change = s.last_change.max(last);
            done
        })
    }
}

fn update(s: &mut State, catalog: &str, id: &LocalId, fields: &Record, at: Timestamp) -> Result<bool> {
    let Some(row) = s.read_row(catalog, id)? else { return Ok(false) };
    s.update_row(catalog, &row, fields, None, at)?.map_err(refused)?;
    Ok(true)
}

fn rekey(s: &mut State, catalog: &str, old: &LocalId, new: &LocalId, at: Timestamp) -> Result<bool> {
    let field = s.table(catalog)?.catalog.key_field();
    let fields = Record::from_iter([(field.name.clone(), key_value(&field.ty, new).map_err(refused)?)]);
    update(s, catalog, old, &fields, at)
}
