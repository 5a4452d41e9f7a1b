//! Sound documents of other services: the language is not made for one. None may give an error or a warning.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bothways_diagnose::{Style, check, render};
use bothways_mapping::connector::{Auth, CursorPlace, HeaderValue, Pages, TimeFormat, Verify};
use bothways_mapping::template::Slot;
use bothways_mapping::{Project, Severity, SourceFile};
use serde_json::json;
use std::time::Duration;

fn sound(text: &str) -> Project {
    let files = [SourceFile::new("example.yaml", text)];
    let checked = check(&files, &[]);
    let serious: Vec<_> = checked.findings.iter().filter(|f| f.severity != Severity::Note).cloned().collect();
    assert!(serious.is_empty(), "{}", render(&serious, &|_| Some(text), Style::Plain));
    checked.project.unwrap()
}

const SALESFORCE: &str = r#"
connector: salesforce
vars:
  instance_url: { doc: "My Domain address, for example https://acme.my.salesforce.com" }
  client_id: {}
  client_secret: { secret: true }
  api: { default: v62.0 }
http:
  base_url: ${instance_url}/services/data/${api}
  auth: { oauth2: { token_url: "${instance_url}/services/oauth2/token", client_id: "${client_id}", client_secret: "${client_secret}" } }
  rate: { limit: 20/s, concurrent: 10 }
  errors:
    message: $[0].message
    code: $[0].errorCode
    codes: { REQUEST_LIMIT_EXCEEDED: throttle, INVALID_SESSION_ID: auth, ENTITY_IS_DELETED: missing, DUPLICATES_DETECTED: duplicate }
lists:
  items: $.records
  pages: { next_url: $.nextRecordsUrl }
resources:
  sobject:
    params: [object]
    id: $.Id
    extra_fields: [Id, IsDeleted, SystemModstamp]
    changed_at: { path: $.SystemModstamp, as: iso8601 }
    list: { call: GET /queryAll, query: { q: "SELECT {fields} FROM {object}" } }
    since:
      call: GET /queryAll
      query: { q: "SELECT {fields} FROM {object} WHERE SystemModstamp >= {since} ORDER BY SystemModstamp, Id" }
      cursor: { path: $.SystemModstamp, as: iso8601, tie: $.Id, lag: 2m }
    get: GET /sobjects/{object}/{id}?fields={fields}
    upsert: { call: "PATCH /sobjects/{object}/{stamp}/{key}", returns: { id: $.id } }
    update: { call: "PATCH /sobjects/{object}/{id}", returns: nothing }
    delete: DELETE /sobjects/{object}/{id}
    gone: "@.IsDeleted == true"
---
catalog: contacts
table: crm.contacts
key: { field: id, made_by: engine }
deleted_at: archived_at
fields:
  id: uuid
  first_name: text?
  last_name: text
  email: text?
  opted_out: bool
---
mapping: salesforce-contacts
local: contacts
remote: { resource: salesforce/sobject, with: { object: Contact } }
identity: { match: [email], stamp: $.Bothways_Id__c }
fields:
  first_name: $.FirstName
  last_name: { remote: $.LastName, required: true }
  email: { remote: $.Email, normalize: [trim, lower] }
  opted_out: { remote: $.HasOptedOutOfEmail, winner: remote }
conflicts: { winner: newest }
deletes: { from_remote: archive, from_local: delete }
sync: { poll: 60s, reconcile: 24h }
"#;

#[test]
fn one_resource_for_every_object() {
    let project = sound(SALESFORCE);
    let mapping = project.mapping("salesforce-contacts").unwrap();
    assert_eq!(mapping.remote.params["object"], "Contact");
    let fields = [
        "Id",
        "IsDeleted",
        "SystemModstamp",
        "FirstName",
        "LastName",
        "Email",
        "HasOptedOutOfEmail",
        "Bothways_Id__c",
    ];
    assert_eq!(mapping.remote_fields(), fields);
    let can = mapping.capabilities();
    assert!(can.upsert && !can.create && can.changed_at && can.since && !can.update_returns_record);
    assert_eq!(can.since_overlap_ms, 120_001);
    let resolved = mapping.connector.resolve(&"salesforce".into(), &|name| match name {
        "SALESFORCE_INSTANCE_URL" => Some("https://acme.my.salesforce.com".into()),
        "SALESFORCE_CLIENT_ID" => Some("me".into()),
        "SALESFORCE_CLIENT_SECRET" => Some("hidden".into()),
        _ => None,
    });
    let resolved = resolved.unwrap();
    assert_eq!(resolved.base_url, "https://acme.my.salesforce.com/services/data/v62.0");
    let Auth::Oauth2(oauth2) = &resolved.auth else { panic!("{:?}", resolved.auth) };
    assert_eq!(
        (oauth2.token_url.as_str(), oauth2.client_secret.as_ref().map(|secret| secret.expose())),
        ("https://acme.my.salesforce.com/services/oauth2/token", Some("hidden"))
    );
    assert!(!format!("{resolved:?}").contains("hidden"));
    let missing = mapping.connector.resolve(&"acme-eu".into(), &|_| None).unwrap_err();
    let names: Vec<String> = missing.iter().map(|m| m.to_string()).collect();
    assert_eq!(
        names,
        [
            "ACME_EU_INSTANCE_URL is not set (My Domain address, for example https://acme.my.salesforce.com)",
            "ACME_EU_CLIENT_ID is not set",
            "ACME_EU_CLIENT_SECRET is not set",
        ]
    );
}

const HUBSPOT: &str = r#"
connector: hubspot
vars: { token: { secret: true } }        # HUBSPOT_TOKEN
http:
  base_url: https://api.hubapi.com
  auth: { bearer: "${token}" }
  rate: { limit: 10/s }
  errors: { message: $.message, code: $.category, codes: { CONFLICT: duplicate } }
lists:
  items: $.results
  page_size: { limit: 100 }
  pages: { cursor: { query: after, value: $.paging.next.after } }
resources:
  contacts:
    id: $.id
    fields_under: $.properties
    list: GET /crm/v3/objects/contacts?properties={fields}
    get: GET /crm/v3/objects/contacts/{id}?properties={fields}
    find: { $.properties.email: { call: "GET /crm/v3/objects/contacts/{value}?idProperty=email", items: $, folds: [lower], consistent: true } }
    create: POST /crm/v3/objects/contacts
    update: PATCH /crm/v3/objects/contacts/{id}
    delete: DELETE /crm/v3/objects/contacts/{id}
    since:
      call: POST /crm/v3/objects/contacts/search
      json:
        filterGroups: [{ filters: [{ propertyName: lastmodifieddate, operator: GTE, value: "{since}" }] }]
        sorts: [{ propertyName: lastmodifieddate, direction: ASCENDING }]
        properties: "{fields}"
        limit: 100
      pages: { cursor: { json: $.after, value: $.paging.next.after } }
      cursor: { path: $.properties.lastmodifieddate, as: iso8601, send: unix_ms, lag: 30s }
      cap: 10000
---
catalog: people
table: people
key: id
fields:
  id: int
  email: text
  first_name: text?
  last_name: text?
---
mapping: hubspot-contacts
local: people
remote: hubspot/contacts
identity: { match: [email] }
fields:
  email: { remote: $.properties.email, normalize: [trim, lower], required: true }
  first_name: $.properties.firstname
  last_name: $.properties.lastname
sync: { poll: 60s }
"#;

#[test]
fn a_whole_integration_in_one_file() {
    let project = sound(HUBSPOT);
    let mapping = project.mapping("hubspot-contacts").unwrap();
    assert_eq!(mapping.remote_fields(), ["email", "firstname", "lastname"]);
    assert_eq!(mapping.sync.feed, None);
    assert_eq!(mapping.sync.reconcile, Some(Duration::from_secs(86_400)));
    let resource = mapping.resource().unwrap();
    assert!(resource.find[0].single);
    let since = resource.since.as_ref().unwrap();
    assert_eq!(
        (since.send, since.cap, since.lag),
        (TimeFormat::UnixMs, Some(10_000), Duration::from_secs(30))
    );
    let Pages::Cursor { send: CursorPlace::Json(path), .. } = &since.call.pages else {
        panic!("{:?}", since.call.pages)
    };
    assert_eq!(path.to_string(), "$.after");
    let body = since.call.json.as_ref().unwrap().render(&mut |slot| match slot {
        Slot::Since => Ok(json!(1_700_000_000_000_u64)),
        Slot::Fields => Ok(json!(["email"])),
        other => Err(other.name().to_owned()),
    });
    let body = body.unwrap();
    assert_eq!(body["filterGroups"][0]["filters"][0]["value"], json!(1_700_000_000_000_u64));
    assert_eq!((&body["properties"], &body["limit"]), (&json!(["email"]), &json!(100)));
}

const SHOP: &str = r#"
# Everything the other examples do not use.
connector: shop
vars:
  user: { default: bothways }
  password: { secret: true }
  hook: { secret: true, list: true }
  rate: { default: 100/10s }
http:
  base_url: https://shop.example/api/
  auth: { basic: { user: "${user}", password: "${password}" } }
  headers: { X-Api-Version: 2022-06-28, X-Secret: "v1 ${password}" }
  body: json
  null_as: ""
  rate: { limit: "${rate}", concurrent: 2, burst: 5 }
  timeout: 500ms
  retry: { attempts: 3, first: 1s, max: 1m }
  errors: { statuses: { 423: retry } }
lists: { items: "$.pages[*].items[*]", pages: { page: { query: page, first: 0 } }, page_size: { per_page: 50 } }
events:
  each: $.events
  type: $.topic
  at: { path: $.at, as: unix_ms }
  id_of: $.subject.id
  webhook:
    path: /incoming/shop
    verify: { hmac: { secret: "${hook}", header: X-Signature, hash: sha512, encoding: base64, timestamp: X-Time, signs: "{timestamp}:{body}", tolerance: 1m } }
  feed: { call: GET /events, query: { since: "{since}", "topics[]": "{event_types}" }, order: oldest_first, resolution: 1s, lag: 5s, retention: 7d }
resources:
  orders:
    id: $.id
    list: { call: GET /orders, pages: link_header, page_size: { limit: 10 } }
    get: { call: "GET /orders/{id}", headers: { Accept: application/json } }
    create: { call: POST /orders, returns: { id: $.order.id } }
    update: { call: "PUT /orders/{id}", when: "@.state != 'closed'" }
    delete: { call: "DELETE /orders/{id}", when: "@.state == 'open'", returns: nothing, irreversible: true }
    find: { $.number: { call: GET /orders, query: { number: "{value}" } } }
    recover: { call: GET /orders, query: { created_after: "{since}" }, pages: { offset: { query: skip } } }
    sparse: [$.attributes]
    events: { order.saved: upsert, order.removed: delete, order.viewed: ignore }
---
catalog: orders
table: orders
key: id
track: none
fields:
  id: int
  number: text
  state: { enum: [open, closed] }
  currency: { type: text, column: iso_code, doc: ISO 4217 }
  total: { decimal: 3 }
  weight: { decimal: 3, optional: true }
  tags: { list: text, optional: true }
  paid: bool
  placed: timestamp
  due: date?
  token: uuid?
  extra: json?
  remote_id: text?
---
mapping: shop-orders
local: orders
remote: { resource: shop/orders, connection: shop-eu }
only: { remote: "@.kind == 'order'", local: { state: open } }
identity: { match: [number], stamp: $.attributes.bothways, remote_id: remote_id }
fields:
  number: { remote: $.number, as: { prefix: "ORD-" }, immutable: true }
  state: { remote: $.status.code, write: $.status.code, as: { values: { open: 1, closed: 2 } } }
  currency: { remote: $.currency, normalize: [trim, upper] }
  total: { remote: $.total, as: { minor: currency } }
  weight: { remote: $.weight, as: number, winner: local }
  tags: { remote: $.tags, as: { split: "," } }
  paid: { remote: $.unpaid, as: not }
  placed: { remote: $.placed, as: unix_ms, direction: in }
  due: $.due
  token: { remote: $.token, as: [string, base64] }
  extra: { remote: $.extra, as: json }
on_create: { remote: { $.kind: order, $.flags: [a, 1, null] } }
creates: { from_remote: create, from_local: create }
conflicts: { winner: remote, check: read, skew: 5s }
deletes: { from_remote: delete, from_local: delete, confirm: irreversible, against_update: delete_wins }
sync: { feed: 30s, reconcile: never }
"#;

#[test]
fn every_other_key_is_accepted_and_kept() {
    let project = sound(SHOP);
    let mapping = project.mapping("shop-orders").unwrap();
    for field in &mapping.fields {
        let broken = bothways_mapping::laws::check_field(field, 500, 3);
        assert!(broken.is_none(), "{}", broken.unwrap());
    }
    assert_eq!(mapping.connector.event_types("orders"), ["order.saved", "order.removed"]);
    let lookup = |name: &str| match name {
        "SHOP_EU_PASSWORD" => Some("p".to_owned()),
        "SHOP_EU_HOOK" => Some("new, old".to_owned()),
        _ => None,
    };
    let resolved = mapping.connector.resolve(&mapping.remote.connection, &lookup).unwrap();
    assert_eq!(resolved.base_url, "https://shop.example/api");
    assert_eq!((resolved.rate.limit.count, resolved.rate.concurrent, resolved.rate.burst), (100, 2, 5));
    assert_eq!(resolved.headers[0], ("x-api-version".to_owned(), HeaderValue::Plain("2022-06-28".into())));
    assert!(matches!(&resolved.headers[1].1, HeaderValue::Secret(s) if s.expose() == "v1 p"));
    let Some(webhook) = resolved.webhook else { panic!("the webhook is on") };
    let Verify::Hmac { secrets, timestamp, .. } = &webhook.verify else { panic!("{:?}", webhook.verify) };
    assert_eq!(secrets.iter().map(|s| s.expose()).collect::<Vec<_>>(), ["new", "old"]);
    assert_eq!((webhook.path.as_str(), timestamp.as_deref()), ("/incoming/shop", Some("x-time")));

    let without = mapping
        .connector
        .resolve(&"shop".into(), &|name| (name == "SHOP_PASSWORD").then(|| "p".into()))
        .unwrap();
    assert_eq!((without.webhook, without.webhook_off[0].env.as_str()), (None, "SHOP_HOOK"));
    let bad = mapping
        .connector
        .resolve(&"shop".into(), &|name| Some(if name == "SHOP_RATE" { "fast" } else { "x" }.into()));
    assert!(bad.unwrap_err()[0].to_string().starts_with("SHOP_RATE must be a count and a time"));
}
