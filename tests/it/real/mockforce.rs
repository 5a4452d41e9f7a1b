//! Salesforce's connector against simple-mockforce, which nobody here wrote: records one by one and simple queries, over TCP.
//!
//! It creates and changes by external id, though it does not say what it made; knows `=`, `>=` and `ORDER BY`; takes no quotes within
//! texts; has no log of deletes, no collections, no pages and no limits. What needs those is shown against the sandbox alone.

use crate::real::program::{Process, python};
use bothways_connector::{
    Connector, Exchange, FieldWrites, Operation, Outcome, Page, Part, Resource, ResourceQuery, Step,
};
use bothways_connector_salesforce::Salesforce;
use bothways_mapping::SourceFile;
use bothways_model::{Observed, RemoteId, Request, Response, Segment, SingularPath, Timestamp};
use chrono::{TimeDelta, Utc};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const FRONT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/real/mockforce.py");

/// An organisation in a process of its own, and our connection to it.
struct Org {
    connector: Salesforce,
    accounts: Arc<dyn Resource>,
    client: reqwest::Client,
    _process: Process,
}

fn path(name: &str) -> SingularPath {
    SingularPath(vec![Segment::Name(name.into())])
}

impl Org {
    async fn start(folder: &Path) -> Self {
        let mut command = Command::new(python());
        command.args(["-u", FRONT]);
        let what = "simple-mockforce (tests/run installs it into tests/.cache/venv)";
        let mut process = Process::start(what, &mut command, folder.join("mockforce.log"));
        let url = process
            .hear("its address", |line| line.starts_with("http://127.0.0.1:").then(|| line.to_owned()))
            .await;
        let connector = connect(&url);
        let query = ResourceQuery {
            name: "sobject".into(),
            params: [("object".to_owned(), "Account".to_owned())].into(),
            paths: ["Name", "Phone", "Bothways_Id__c"].map(path).to_vec(),
            stamp: Some(path("Bothways_Id__c")),
            ..ResourceQuery::default()
        };
        let accounts = connector.resource(&query).expect("the document has every object");
        Self { connector, accounts, client: reqwest::Client::new(), _process: process }
    }

    async fn send(&self, request: &Request) -> Response {
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes()).expect("a method");
        let secret = request.secret_headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body =
            request.secret_body.as_ref().map_or_else(|| request.body.clone(), |body| body.expose().into());
        let sent = self.client.request(method, &request.url).body(body);
        let sent = headers.chain(secret).fold(sent, |sent, (name, value)| sent.header(name, value));
        let answer = sent.send().await.expect("an answer");
        let read = answer.headers().iter();
        let headers =
            read.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
        Response {
            status: answer.status().as_u16(),
            headers,
            body: answer.bytes().await.expect("a body").to_vec(),
        }
    }

    async fn run(&self, mut exchange: Box<dyn Exchange>) -> Outcome {
        let mut answer = None;
        loop {
            match exchange.next(answer.take()) {
                Step::Call(call) => answer = Some(self.send(&call.request).await),
                Step::Renew(renewal) => {
                    let request = renewal.tokens.request(None, Utc::now()).expect("a token can be asked for");
                    let granted = self.send(&request).await;
                    let grant = renewal.tokens.read(&granted, None).expect("a token");
                    renewal.tokens.install(&grant, renewal.used.map_or(0, |used| used + 1));
                }
                Step::Done(outcome) => return outcome,
            }
        }
    }

    async fn act(&self, operation: Operation) -> Outcome {
        self.run(self.accounts.start(operation).expect("it can be asked")).await
    }

    async fn create(&self, name: &str, key: &str) -> RemoteId {
        let fields = vec![(path("Name"), json!(name)), (path("Bothways_Id__c"), json!(key))];
        let made = self.act(Operation::Create { fields, key: key.into() }).await;
        assert!(matches!(made, Outcome::Written { .. }), "{made:?}");
        match self.find("Bothways_Id__c", key).await.as_slice() {
            [one] => one.id.clone(),
            found => panic!("{found:?}"),
        }
    }

    async fn update(&self, id: &RemoteId, fields: FieldWrites) {
        let done = self.act(self.change(id, fields)).await;
        assert!(matches!(done, Outcome::Written { .. }), "{done:?}");
    }

    fn change(&self, id: &RemoteId, fields: FieldWrites) -> Operation {
        Operation::Update { id: id.clone(), fields, key: "k".into(), seen: None, version: None }
    }

    async fn get(&self, id: &RemoteId) -> Json {
        match self.act(Operation::Get { id: id.clone() }).await {
            Outcome::Record(seen) => (*seen.body).clone(),
            other => panic!("{other:?}"),
        }
    }

    async fn find(&self, field: &str, value: &str) -> Vec<Observed> {
        self.page(Operation::Find { path: path(field), value: value.into() }).await.items
    }

    async fn page(&self, operation: Operation) -> Page {
        match self.act(operation).await {
            Outcome::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }
}

fn connect(url: &str) -> Salesforce {
    let (name, text) =
        (bothways_connector_salesforce::DOCUMENT_NAME, bothways_connector_salesforce::DOCUMENT);
    let project = bothways_mapping::load(&[], &[SourceFile::new(name, text)]).project.expect("it is right");
    let lookup = |name: &str| match name {
        "SALESFORCE_INSTANCE_URL" => Some(url.to_owned()),
        "SALESFORCE_CLIENT_ID" | "SALESFORCE_CLIENT_SECRET" => Some("kanari-mockforce".to_owned()),
        // The one that it knows.
        "SALESFORCE_API" => Some("v42.0".to_owned()),
        _ => None,
    };
    let resolved = project.connectors["salesforce"].resolve(&"salesforce".into(), &lookup);
    bothways_connector_salesforce::connector(resolved.expect("all variables are set")).expect("a base URL")
}

fn ids(items: &[Observed]) -> Vec<&RemoteId> {
    items.iter().map(|seen| &seen.id).collect()
}

#[tokio::test]
async fn mockforce_takes_our_records_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let org = Org::start(folder.path()).await;
    let acme = org.create("Acme & Söhne", "0190-a").await;
    // What was created already is changed and not created again.
    assert_eq!(org.create("Acme", "0190-a").await, acme);
    let other = org.create("Other", "0190-b").await;
    assert_ne!(acme, other);
    assert_eq!(org.get(&acme).await["Name"], "Acme");

    org.update(&acme, vec![(path("Phone"), json!("+1 555 0100"))]).await;
    let read = org.get(&acme).await;
    assert_eq!(
        (&read["Phone"], &read["Name"], &read["IsDeleted"]),
        (&json!("+1 555 0100"), &json!("Acme"), &json!(false))
    );
    org.update(&acme, vec![(path("Phone"), Json::Null)]).await;
    assert_eq!(org.get(&acme).await["Phone"], Json::Null);
    assert_eq!(org.get(&other).await["Name"], "Other");
}

#[tokio::test]
async fn mockforce_understands_our_queries() {
    let folder = tempfile::tempdir().expect("a folder");
    let org = Org::start(folder.path()).await;
    let began: Timestamp = Utc::now() - TimeDelta::hours(24);
    let made = [org.create("Acme", "0190-a").await, org.create("Other", "0190-b").await];
    assert_eq!(ids(&org.find("Name", "Other").await), [&made[1]]);
    assert!(org.find("Name", "Nobody").await.is_empty());
    let mut listed = org.page(Operation::List { page: None }).await.items;
    listed.sort_by_key(|seen| seen.id != made[0]);
    assert_eq!(ids(&listed), [&made[0], &made[1]]);
    // What changed, the oldest first.
    let changed = org.page(Operation::Since { since: began, page: None }).await;
    assert_eq!(ids(&changed.items), [&made[0], &made[1]]);
    let none = org.page(Operation::Since { since: Utc::now() + TimeDelta::hours(24), page: None }).await;
    assert!(none.items.is_empty());

    let delete = Operation::Delete { id: made[0].clone(), key: "k".into(), seen: None };
    assert!(matches!(org.act(delete).await, Outcome::Written { .. }));
    match org.act(Operation::Get { id: made[0].clone() }).await {
        Outcome::Record(seen) => assert!(seen.gone, "the bin shows it"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn where_there_are_no_collections_each_record_goes_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let org = Org::start(folder.path()).await;
    let made = [org.create("Acme", "0190-a").await, org.create("Other", "0190-b").await];
    let collections = org.connector.collections().expect("Salesforce has some");
    let requests: Vec<Request> = made
        .iter()
        .map(|id| {
            let operation = org.change(id, vec![(path("Phone"), json!("1"))]);
            match org.accounts.start(operation).expect("it can be asked").next(None) {
                Step::Call(call) => call.request,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let requests: Vec<&Request> = requests.iter().collect();
    assert!(requests.iter().all(|request| collections.place(request).is_some_and(|p| p.call == "Account")));
    let answer = org.send(&collections.gather(&requests).expect("they go together")).await;
    assert_eq!(collections.part(&requests, &answer), [Part::Alone, Part::Alone]);
    for request in requests {
        assert_eq!(org.send(request).await.status, 204);
    }
    for id in &made {
        assert_eq!(org.get(id).await["Phone"], "1");
    }
}
