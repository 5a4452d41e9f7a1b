//! The in-memory store keeps the contract.

use async_trait::async_trait;
use bothways_model::{LocalId, Record, Timestamp, Value};
use bothways_store::contract::{Bench, catalogs};
use bothways_store::{MemoryStore, Store};

struct Memory(MemoryStore);

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

#[async_trait]
impl Bench for Memory {
    fn store(&self) -> &dyn Store {
        &self.0
    }
    async fn insert(&self, catalog: &str, fields: Record) -> LocalId {
        self.0.foreign().insert(catalog, fields, now()).unwrap()
    }
    async fn update(&self, catalog: &str, id: &LocalId, fields: Record) {
        assert!(self.0.foreign().update(catalog, id, fields, now()).unwrap());
    }
    async fn delete(&self, catalog: &str, id: &LocalId) {
        assert!(self.0.foreign().delete(catalog, id, now()).unwrap());
    }
    async fn replace(&self, catalog: &str, fields: Record) -> LocalId {
        self.0.foreign().replace(catalog, fields, now()).unwrap()
    }
    async fn rekey(&self, catalog: &str, old: &LocalId, new: &LocalId) {
        assert!(self.0.foreign().rekey(catalog, old, new, now()).unwrap());
    }
    async fn swap(&self, catalog: &str, a: &LocalId, b: &LocalId, spare: &LocalId) {
        self.0.foreign().swap(catalog, a, b, spare, now()).unwrap();
    }
    async fn lose(&self, catalog: &str, id: &LocalId) {
        assert!(self.0.foreign().lose(catalog, id).unwrap());
    }
    async fn spoil(&self, id: &LocalId) {
        let message = "customers.balance does not hold a decimal";
        self.0.foreign().spoil("customers", id, message, now()).unwrap();
    }
}

async fn memory() -> Memory {
    let trim = |fields: &mut Record| {
        if let Some(Value::Text(name)) = fields.get("name").cloned() {
            if name == "forbidden" {
                return Err("this name is not allowed".to_owned());
            }
            fields.set("name", Value::Text(name.trim().to_owned()));
        }
        Ok(())
    };
    let store = MemoryStore::new(catalogs())
        .unique("customers", &["email"])
        .defaults("customers", Record::from_iter([("level", Value::Text("basic".into()))]))
        .trigger("customers", trim);
    Memory(store)
}

bothways_store::store_contract!(memory());
