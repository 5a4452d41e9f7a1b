//! Requests, byte for byte, from calls.

mod support;

use bothways_connector::{Connector, Operation, Params, Resource, ResourceQuery};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, RemoteId, Request};
use proptest::prelude::*;
use serde_json::json;
use std::sync::{Arc, LazyLock};
use support::{connect, path, request, resource};

const DOCUMENT: &str = r#"
connector: crm
vars:
  region: { default: eu }
http:
  base_url: https://crm.example/api/v2/
  headers: { X-Region: "${region}" }
resources:
  people:
    id: $.id
    fields_under: $.properties
    extra_fields: [id, changed]
    list: { call: "GET /people?archived=false", query: { fields: "{fields}", "only[]": "{fields}" } }
    get: { call: "GET /people/{id}", headers: { X-Fields: "{fields}" } }
    create: { call: POST /people, json: { source: "sync ${region}", properties: { kind: person } }, returns: { id: $.ref.id } }
    update: { call: "PATCH /people/{id}/fields", when: "@.locked != true", returns: nothing }
    delete: { call: "DELETE /people/{id}?hard=true", when: "@.state == 'draft'" }
  rows:
    params: [table]
    id: $.id
    get: GET /tables/{table}/rows/{id}
    update: PUT /tables/{table}/rows/{id}
    upsert: { call: "PATCH /tables/{table}/{stamp}/{key}", returns: { id: $.id } }
"#;

fn crm() -> RestConnector {
    connect(DOCUMENT, &[])
}

/// S14: what a document says by itself, as a default too, never leads inside.
#[test]
fn a_host_is_the_operators_only_if_the_operator_said_it() {
    let from_operator = |base: &str, vars: &[(&str, &str)]| {
        let document = format!(
            "connector: crm\nvars: {{ api: {{ default: \"http://127.0.0.1:9200\" }}, host: {{ default: inside.example }}, port: {{ default: \"8443\" }}, realm: {{ default: main }} }}\n\
             http: {{ base_url: \"{base}\" }}\nlists: {{ items: $.items }}\nresources:\n  people: {{ id: $.id, list: GET /people, get: \"GET /people/{{id}}\" }}\n"
        );
        connect(&document, vars).limits().origin_from_operator
    };
    let (api, host) = (("CRM_API", "http://127.0.0.1:1/"), ("CRM_HOST", "crm.example"));
    let (port, realm) = (("CRM_PORT", "444"), ("CRM_REALM", "other"));
    assert!(from_operator("${api}/v3/${realm}", &[api]));
    assert!(from_operator("${api}/v3/${realm}", &[api, realm]));
    assert!(!from_operator("${api}/v3/${realm}", &[realm]));
    assert!(!from_operator("${api}/v3/${realm}", &[]));
    assert!(!from_operator("https://crm.example/${realm}", &[realm]));
    assert!(!from_operator("https://crm.example?${realm}", &[realm]));
    assert!(!from_operator("https://${host}:${port}/v3", &[port]));
    assert!(!from_operator("https://${host}:${port}/v3", &[host]));
    assert!(from_operator("https://${host}:${port}/v3", &[host, port]));
}

fn sent(resource: &dyn Resource, operation: Operation) -> Request {
    request(resource.start(operation).expect("it can be sent"))
}

fn refused(resource: &dyn Resource, operation: Operation) -> String {
    match resource.start(operation) {
        Ok(_) => panic!("it was not refused"),
        Err(failure) => {
            assert_eq!(failure.class, ErrorClass::Invalid, "{failure}");
            failure.message
        }
    }
}

fn people() -> Arc<dyn Resource> {
    let query = ResourceQuery {
        name: "people".into(),
        paths: vec![path(&["properties", "email"]), path(&["properties", "first name"]), path(&["other"])],
        ..ResourceQuery::default()
    };
    crm().resource(&query).expect("it is there")
}

#[test]
fn lists_of_names_are_joined_or_repeated() {
    let list = sent(&*people(), Operation::List { page: None });
    assert_eq!(
        list.url,
        "https://crm.example/api/v2/people?archived=false&fields=id%2Cchanged%2Cemail%2Cfirst%20name\
         &only[]=id&only[]=changed&only[]=email&only[]=first%20name"
    );
    assert_eq!(list.header("x-region"), Some("eu"));
    assert_eq!(list.header("accept"), Some("application/json"));
    assert_eq!(list.header("content-type"), None, "there is no body");
    let get = sent(&*people(), Operation::Get { id: "p 1".into() });
    assert_eq!(get.url, "https://crm.example/api/v2/people/p%201");
    assert_eq!(get.header("x-fields"), Some("id,changed,email,first name"));
}

#[test]
fn fields_join_the_documents_own_body() {
    let fields = vec![
        (path(&["properties", "email"]), json!("a@x.io")),
        (path(&["properties", "phone"]), json!(null)),
        (path(&["tags"]), json!(["a", {"b": null}])),
    ];
    let create = sent(&*people(), Operation::Create { fields, key: "k".into() });
    assert_eq!(
        String::from_utf8_lossy(&create.body),
        r#"{"source":"sync eu","properties":{"kind":"person","email":"a@x.io","phone":null},"tags":["a",{"b":null}]}"#
    );
    assert_eq!(create.header("content-type"), Some("application/json"));
    let into_list = vec![(bothways_model::SingularPath(vec![bothways_model::Segment::Index(0)]), json!(1))];
    assert!(refused(&*people(), Operation::Create { fields: into_list, key: "k".into() }).contains("$[0]"));
}

#[test]
fn null_is_written_as_the_service_wants_it() {
    let fields = vec![(path(&["phone"]), json!(null)), (path(&["name"]), json!("x"))];
    let update = |http: &str| {
        let document = format!(
            "connector: c\nhttp: {{ base_url: \"https://c.example\", {http} }}\n\
             resources: {{ r: {{ id: $.id, get: \"GET /r/{{id}}\", update: \"POST /r/{{id}}\" }} }}\n"
        );
        let resource = resource(&connect(&document, &[]), "r");
        resource.start(Operation::Update {
            id: "1".into(),
            fields: fields.clone(),
            key: "k".into(),
            seen: None,
            version: None,
        })
    };
    let body = |http: &str| String::from_utf8(request(update(http).expect("it is sent")).body).expect("text");
    assert_eq!(body("body: json"), r#"{"phone":null,"name":"x"}"#);
    assert_eq!(body("null_as: \"-\""), r#"{"phone":"-","name":"x"}"#);
    assert_eq!(body("body: form, null_as: \"\""), "phone=&name=x");
    let Err(failure) = update("body: form") else { panic!("a form has no null of its own") };
    assert_eq!(failure.class, ErrorClass::Invalid);
    assert!(failure.message.contains("phone"), "{failure}");
}

#[test]
fn a_call_that_does_not_fit_the_record_is_not_made() {
    let update = |seen: Option<serde_json::Value>| Operation::Update {
        id: "1".into(),
        fields: Vec::new(),
        key: "k".into(),
        seen: seen.map(Arc::new),
        version: None,
    };
    assert_eq!(
        sent(&*people(), update(Some(json!({"locked": false})))).url,
        "https://crm.example/api/v2/people/1/fields"
    );
    assert!(refused(&*people(), update(Some(json!({"locked": true})))).contains("@.locked != true"));
    assert!(refused(&*people(), update(None)).contains("only while"), "unknown is not allowed");
    let delete = |state: &str| Operation::Delete {
        id: "1".into(),
        key: "k".into(),
        seen: Some(Arc::new(json!({"state": state}))),
    };
    let request = sent(&*people(), delete("draft"));
    assert_eq!(
        (request.method.as_str(), &*request.url),
        ("DELETE", "https://crm.example/api/v2/people/1?hard=true")
    );
    assert!(request.body.is_empty());
    refused(&*people(), delete("sent"));
}

#[test]
fn what_the_service_cannot_do_is_refused() {
    let since = chrono::DateTime::UNIX_EPOCH;
    for operation in [
        Operation::Since { since, page: None },
        Operation::Recover { since, page: None },
        Operation::Find { path: path(&["email"]), value: "x".into() },
    ] {
        refused(&*people(), operation);
    }
}

fn rows(stamp: Option<&str>) -> Arc<dyn Resource> {
    let query = ResourceQuery {
        name: "rows".into(),
        params: Params::from([("table".into(), "a/b".into())]),
        stamp: stamp.map(|name| path(&[name])),
        ..ResourceQuery::default()
    };
    crm().resource(&query).expect("it is there")
}

#[test]
fn parameters_are_needed_and_known() {
    assert_eq!(
        sent(&*rows(None), Operation::Get { id: "1".into() }).url,
        "https://crm.example/api/v2/tables/a%2Fb/rows/1"
    );
    for params in [Params::new(), Params::from([("table".into(), "a".into()), ("other".into(), "b".into())])]
    {
        let query = ResourceQuery { name: "rows".into(), params, ..ResourceQuery::default() };
        assert!(crm().resource(&query).is_err());
    }
}

#[test]
fn creating_by_our_own_key_puts_the_stamp_into_the_path_alone() {
    let fields = vec![(path(&["Name"]), json!("x")), (path(&["Our_Id__c"]), json!("0190-a"))];
    let create =
        sent(&*rows(Some("Our_Id__c")), Operation::Create { fields: fields.clone(), key: "k".into() });
    assert_eq!(create.url, "https://crm.example/api/v2/tables/a%2Fb/Our_Id__c/0190-a");
    assert_eq!(create.body, br#"{"Name":"x"}"#);
    refused(&*rows(None), Operation::Create { fields, key: "k".into() });
    refused(&*rows(Some("Our_Id__c")), Operation::Create { fields: Vec::new(), key: "k".into() });
}

#[test]
fn an_id_that_would_lead_elsewhere_is_refused() {
    for id in ["", ".", ".."] {
        let message = refused(&*people(), Operation::Get { id: id.into() });
        assert!(message.contains("another path"), "{message}");
    }
}

static PEOPLE: LazyLock<Arc<dyn Resource>> = LazyLock::new(people);

proptest! {
    /// Whatever an id holds, it stays one segment of its path, and comes out of the URL as it went in.
    #[test]
    fn an_id_stays_in_its_segment(id in "(\\PC|[./?#%\\\\\\u{0}-\\u{20}]){0,12}") {
        match PEOPLE.start(Operation::Get { id: RemoteId(id.clone()) }) {
            Ok(exchange) => {
                let url = url::Url::parse(&request(exchange).url).expect("a URL");
                let segments: Vec<_> = url.path_segments().expect("a path").collect();
                prop_assert_eq!(&segments[..3], &["api", "v2", "people"]);
                prop_assert_eq!(segments.len(), 4);
                let decoded = percent_encoding::percent_decode_str(segments[3]).decode_utf8().expect("UTF-8");
                prop_assert_eq!(decoded.as_ref(), id.as_str());
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
            Err(failure) => {
                prop_assert_eq!(failure.class, ErrorClass::Invalid);
                prop_assert!(matches!(id.as_str(), "" | "." | ".."));
            }
        }
    }
}
