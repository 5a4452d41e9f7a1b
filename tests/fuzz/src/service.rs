//! The connectors that inputs are fed to: Stripe, and a service with every style of paging.

use bothways_connector::{Connector, Resource, ResourceQuery};
use bothways_connector_rest::{RestConnector, Vendor};
use bothways_mapping::{ConnectorSpec, SourceFile};
use std::sync::{Arc, LazyLock};

/// The secrets that deliveries of Stripe may be signed with.
pub const SECRETS: [&str; 2] = ["whsec_the_first_secret_of_two", "whsec_the_other_secret_of_two"];

/// Where the service with many pages is.
pub const PAGED_ORIGIN: &str = "https://paged.example";

/// Its resources, one for each style.
pub const PAGED: [&str; 6] = ["cursors", "bodies", "numbers", "offsets", "urls", "links"];

const DOCUMENT: &str = r#"
connector: paged
http: { base_url: "https://paged.example/v1" }
account: { call: GET /me, id: $.id }
lists: { items: $.items, pages: none }
resources:
  cursors:
    id: $.id
    list: { call: GET /cursors, pages: { cursor: { query: after, value: "$.items[-1].id", while: "@.more == true" } } }
  bodies:
    id: $.id
    list: { call: POST /bodies/search, json: { limit: 3 }, pages: { cursor: { json: $.page.after, value: $.next } } }
  numbers:
    id: $.id
    list: { call: GET /numbers, pages: { page: { query: page } } }
  offsets:
    id: $.id
    list: { call: GET /offsets, pages: { offset: { query: skip } } }
  urls:
    id: $.id
    list: { call: GET /urls, pages: { next_url: $.next } }
  links:
    id: $.id
    list: { call: GET /links, pages: link_header }
"#;

static STRIPE: LazyLock<RestConnector> = LazyLock::new(|| {
    let document =
        SourceFile::new(bothways_connector_stripe::DOCUMENT_NAME, bothways_connector_stripe::DOCUMENT);
    let lookup = |name: &str| match name {
        "STRIPE_API_KEY" => Some("sk_test_nobodys".to_owned()),
        "STRIPE_WEBHOOK_SECRET" => Some(SECRETS.join(",")),
        _ => None,
    };
    let spec = spec(document);
    let resolved = spec.resolve(&"stripe".into(), &lookup).expect("every variable has a value");
    bothways_connector_stripe::connector(resolved).expect("the base URL is one")
});

static SERVICE: LazyLock<RestConnector> = LazyLock::new(|| {
    let spec = spec(SourceFile::new("paged.yaml", DOCUMENT));
    let resolved = spec.resolve(&"paged".into(), &|_| None).expect("it has no variables");
    RestConnector::new(resolved, Vendor::default()).expect("the base URL is one")
});

fn spec(document: SourceFile) -> Arc<ConnectorSpec> {
    let loaded = bothways_mapping::load(&[document], &[]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    project.connectors.into_values().next().expect("the document is a connector")
}

/// Stripe, with both secrets.
pub fn stripe() -> &'static RestConnector {
    &STRIPE
}

/// The service with many pages.
pub fn paged() -> &'static RestConnector {
    &SERVICE
}

/// A resource of a connector.
pub fn resource(connector: &RestConnector, name: &str) -> Arc<dyn Resource> {
    connector
        .resource(&ResourceQuery { name: name.into(), ..ResourceQuery::default() })
        .expect("the document has it")
}
