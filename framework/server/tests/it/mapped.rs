//! A world with a mapping that is loaded, and a service that never answers.

use crate::world::World;
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_engine::{Loaded, Quota};
use bothways_mapping::SourceFile;
use bothways_model::ConnectionName;
use bothways_server::{Metrics, Server, Settings};
use std::sync::Arc;

/// The mapping.
pub(crate) const MAPPING: &str = "elsewhere-things";

const DOCUMENTS: &str = r#"
connector: elsewhere
vars: { url: {} }
http: { base_url: "${url}" }
lists: { items: $.items }
resources:
  things: { id: $.id, list: GET /things, get: "GET /things/{id}", update: "PATCH /things/{id}" }
---
catalog: things
table: things
key: id
fields: { id: int, name: text, note: text? }
---
mapping: elsewhere-things
local: things
remote: elsewhere/things
fields: { name: $.name, note: $.note }
creates: { from_local: ignore, from_remote: manual }
"#;

/// The world; so many calls of the day are used, and `/metrics` shows this.
pub(crate) async fn world(quota: Option<Quota>, metrics: Option<Metrics>) -> World {
    let loaded = bothways_mapping::load(&[SourceFile::new("all.yaml", DOCUMENTS)], &[]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let mapping = project.mappings[0].clone();
    let connection = ConnectionName("elsewhere".into());
    let lookup = |name: &str| (name == "ELSEWHERE_URL").then(|| "https://elsewhere.example".to_owned());
    let resolved = mapping.connector.resolve(&connection, &lookup).unwrap();
    let connector = Arc::new(RestConnector::new(resolved, Vendor::default()).unwrap());
    let serve = |engine| {
        let settings = Settings::new("127.0.0.1:7171".parse().unwrap());
        Server::with(engine, settings, metrics, None)
    };
    World::open(&[Loaded { mapping, connection, connector }], quota, serve).await
}
