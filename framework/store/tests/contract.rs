//! The in-memory store keeps the contract.

use async_trait::async_trait;
use bothways_model::{LocalId, Record, Timestamp, Value};
use bothways_store::contract::{Bench, catalogs, seats};
use bothways_store::{Capture, MemoryStore, PairSpec, Pairs, Store, WorkQueue};

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

async fn composite() -> Memory {
    Memory(MemoryStore::new([seats()]).unique("seats", &["badge"]))
}

bothways_store::composite_contract!(composite());

/// P15. Numbers are given out before commits, so a larger one may be seen first.
#[tokio::test]
async fn a_change_that_commits_after_one_with_a_larger_number_is_relayed() {
    let Memory(store) = memory().await;
    let spec = PairSpec {
        catalog: "customers".into(),
        connection: "a".into(),
        resource: "customers".into(),
        mapping: "m".into(),
    };
    let pair = store.ensure_pair(&spec).await.unwrap().id;
    let named = |name: &str| Record::from_iter([("name", Value::Text(name.into()))]);
    let foreign = store.foreign();
    let slow = foreign.insert("customers", named("slow"), now()).unwrap();
    let quick = foreign.insert("customers", named("quick"), now()).unwrap();
    store.relay(now(), 10).await.unwrap();
    let due = async |id: &LocalId| store.work_of(pair, Some(id), None).await.unwrap()[0].generation;
    let before = due(&slow).await;
    let held = foreign.begin();
    foreign.update("customers", &quick, named("quicker"), now()).unwrap();
    assert_eq!(store.relay(now(), 10).await.unwrap().entries, 1);
    assert!(held.update("customers", &slow, named("slower"), now()).unwrap());
    assert_eq!(store.relay(now(), 10).await.unwrap().entries, 1);
    assert!(due(&slow).await > before, "the change that committed later was told");
}
