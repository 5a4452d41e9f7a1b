//! The in-memory store as the model: what it gives for two calls, one after the other, is what SQLite has to give.

use crate::foreign::{at, text};
use async_trait::async_trait;
use bothways_model::{LocalId, Record, Value};
use bothways_store::contract::interleave::{Gate, Scene, Stage, Theatre, prepare};
use bothways_store::contract::{Bench, catalogs};
use bothways_store::{MemoryStore, Result, Store};
use futures::future::BoxFuture;
use std::sync::Arc;

/// Makes the prepared scene in memory.
pub(crate) struct Model;

#[async_trait]
impl Theatre for Model {
    async fn stage(&self) -> Box<dyn Stage> {
        let trim = |fields: &mut Record| {
            if let Some(Value::Text(name)) = fields.get("name").cloned() {
                fields.set("name", Value::Text(name.trim().to_owned()));
            }
            Ok(())
        };
        let store = MemoryStore::new(catalogs())
            .unique("customers", &["email"])
            .defaults("customers", Record::from_iter([("level", text("basic"))]))
            .trigger("customers", trim);
        let memory = Memory(store);
        let scene = prepare(&memory).await;
        Box::new(OnStage { memory, scene })
    }
}

struct Memory(MemoryStore);

#[async_trait]
impl Bench for Memory {
    fn store(&self) -> &dyn Store {
        &self.0
    }
    async fn insert(&self, catalog: &str, fields: Record) -> LocalId {
        self.0.foreign().insert(catalog, fields, at(0)).unwrap()
    }
    async fn update(&self, catalog: &str, id: &LocalId, fields: Record) {
        assert!(self.0.foreign().update(catalog, id, fields, at(0)).unwrap());
    }
    async fn delete(&self, catalog: &str, id: &LocalId) {
        assert!(self.0.foreign().delete(catalog, id, at(0)).unwrap());
    }
    async fn replace(&self, catalog: &str, fields: Record) -> LocalId {
        self.0.foreign().replace(catalog, fields, at(0)).unwrap()
    }
    async fn rekey(&self, catalog: &str, old: &LocalId, new: &LocalId) {
        assert!(self.0.foreign().rekey(catalog, old, new, at(0)).unwrap());
    }
    async fn swap(&self, catalog: &str, a: &LocalId, b: &LocalId, spare: &LocalId) {
        self.0.foreign().swap(catalog, a, b, spare, at(0)).unwrap();
    }
    async fn lose(&self, catalog: &str, id: &LocalId) {
        assert!(self.0.foreign().lose(catalog, id).unwrap());
    }
    async fn spoil(&self, id: &LocalId) {
        self.0.foreign().spoil("customers", id, "no decimal", at(0)).unwrap();
    }
}

struct OnStage {
    memory: Memory,
    scene: Scene,
}

/// The same edits as those of the other program on SQLite, by name. A table that refuses one leaves all as it was.
fn edit(store: &MemoryStore, name: &str) -> Result<()> {
    let (foreign, id) = (store.foreign(), |id: &str| LocalId::from(id));
    let fields = |all: &[(&str, &str)]| -> Record {
        all.iter()
            .map(|(field, value)| {
                let value = if *field == "id" { Value::Int(value.parse().unwrap()) } else { text(value) };
                ((*field).to_owned(), value)
            })
            .collect()
    };
    match name {
        "insert" => {
            foreign.insert("customers", fields(&[("name", "Gus"), ("email", "nine@x.test")]), at(0)).map(drop)
        }
        "two updates" => {
            foreign.update("customers", &id("2"), fields(&[("name", "Bobby")]), at(0))?;
            foreign.update("customers", &id("1"), fields(&[("email", "ann@b.test")]), at(0)).map(drop)
        }
        "delete" => foreign.delete("customers", &id("2"), at(0)).map(drop),
        "replace by another index" => {
            let row = fields(&[("id", "20"), ("name", "Bob III"), ("email", "bob@x.test")]);
            foreign.replace("customers", row, at(0)).map(drop)
        }
        "new key" => foreign.rekey("customers", &id("2"), &id("40"), at(0)).map(drop),
        "swap of keys" => {
            foreign.rekey("customers", &id("1"), &id("900"), at(0))?;
            foreign.rekey("customers", &id("2"), &id("1"), at(0))?;
            foreign.rekey("customers", &id("900"), &id("2"), at(0)).map(drop)
        }
        "id used again" => {
            foreign.delete("customers", &id("2"), at(0))?;
            let row = fields(&[("id", "2"), ("name", "Somebody else"), ("email", "else@x.test")]);
            foreign.insert("customers", row, at(0)).map(drop)
        }
        other => panic!("the model knows no {other}"),
    }
}

#[async_trait]
impl Stage for OnStage {
    fn store(&self, _actor: usize) -> &dyn Store {
        &self.memory.0
    }

    fn scene(&self) -> &Scene {
        &self.scene
    }

    fn gated<'a>(
        &'a self,
        _gate: Arc<Gate>,
        call: BoxFuture<'a, Result<String>>,
    ) -> BoxFuture<'a, Result<String>> {
        call
    }

    fn foreign<'a>(&'a self, _gate: Arc<Gate>, name: &'a str) -> BoxFuture<'a, Result<String>> {
        let answer = match edit(&self.memory.0, name) {
            Ok(()) => "done".to_owned(),
            Err(_) => "refused".to_owned(),
        };
        Box::pin(async move { Ok(answer) })
    }

    async fn stored(&self) -> String {
        // Whatever can be asked is asked anyway.
        String::new()
    }

    async fn pause(&self) {}
}
