//! The shared suite against the sandbox, and what only Salesforce does.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bothways_connector::conformance::{Bench, check};
use bothways_connector::{
    Connector, Exchange, FieldWrites, Operation, Outcome, Page, Resource, ResourceQuery, Step,
};
use bothways_connector_salesforce::Salesforce as Connection;
use bothways_connector_sandbox::salesforce::{
    Action, Config, CustomField, CustomKind, DuplicateRule, Fault, Salesforce, to_15,
};
use bothways_model::{
    AccountId, ErrorClass, Failure, Method, Mode, RemoteId, Request, Response, Segment, SingularPath,
    Timestamp,
};
use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::sync::Arc;

const BASE: &str = "http://127.0.0.1:1";

/// A connection with these variables beside the address.
fn connect(vars: &[(&str, &str)]) -> Connection {
    let file = bothways_mapping::SourceFile::new(
        bothways_connector_salesforce::DOCUMENT_NAME,
        bothways_connector_salesforce::DOCUMENT,
    );
    let loaded = bothways_mapping::load(&[], &[file]);
    let project = loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let lookup = |name: &str| match name {
        "SALESFORCE_INSTANCE_URL" => Some(BASE.to_owned()),
        "SALESFORCE_CLIENT_ID" => Some(Config::default().client_id),
        name => vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()),
    };
    let resolved = project.connectors["salesforce"]
        .resolve(&"salesforce".into(), &lookup)
        .expect("all variables are set");
    bothways_connector_salesforce::connector(resolved).expect("the base URL is one")
}

fn connector() -> Connection {
    connect(&[("SALESFORCE_CLIENT_SECRET", &Config::default().client_secret)])
}

fn query(object: &str) -> ResourceQuery {
    let fields = ["Name", "Phone", "Website", "Description", "Bothways_Id__c"];
    ResourceQuery {
        name: "sobject".into(),
        params: [("object".to_owned(), object.to_owned())].into(),
        paths: fields.iter().map(|name| path(name)).collect(),
        stamp: Some(path("Bothways_Id__c")),
        ..ResourceQuery::default()
    }
}

fn accounts(connector: &Connection) -> Arc<dyn Resource> {
    connector.resource(&query("Account")).expect("the document has every object")
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000, 0).expect("a moment")
}

fn path(name: &str) -> SingularPath {
    SingularPath(vec![Segment::Name(name.into())])
}

/// One exchange; `None` if its connection was dropped.
fn run_at(org: &mut Salesforce, exchange: Box<dyn Exchange>, now: Timestamp) -> Option<Outcome> {
    run_with(&mut |request| org.handle(request, now).response(), exchange, now)
}

/// One exchange with whoever answers; `None` where nobody does.
fn run_with(
    send: &mut dyn FnMut(&Request) -> Option<Response>,
    mut exchange: Box<dyn Exchange>,
    now: Timestamp,
) -> Option<Outcome> {
    let mut answer = None;
    loop {
        match exchange.next(answer.take()) {
            Step::Done(outcome) => return Some(outcome),
            Step::Call(call) => answer = Some(send(&call.request)?),
            Step::Renew(renewal) => {
                let request = renewal.tokens.request(None, now).expect("a token can be asked for");
                let answer = send(&request)?;
                match renewal.tokens.read(&answer, None) {
                    Ok(grant) => renewal.tokens.install(&grant, renewal.used.map_or(0, |used| used + 1)),
                    Err(failure) => return Some(Outcome::Failed(failure)),
                }
            }
        }
    }
}

fn run(org: &mut Salesforce, exchange: Box<dyn Exchange>) -> Option<Outcome> {
    run_at(org, exchange, now())
}

fn start(resource: &dyn Resource, operation: Operation) -> Box<dyn Exchange> {
    resource.start(operation).unwrap_or_else(|failure| panic!("refused: {failure}"))
}

fn failed(outcome: Option<Outcome>) -> Failure {
    match outcome {
        Some(Outcome::Failed(failure)) => failure,
        other => panic!("ended in {other:?}"),
    }
}

fn create(name: &str, key: &str) -> Operation {
    let fields = vec![(path("Name"), json!(name)), (path("Bothways_Id__c"), json!(key))];
    Operation::Create { fields, key: key.into() }
}

fn made(org: &mut Salesforce, name: &str) -> RemoteId {
    let made = org.dashboard_create("Account", &json!({ "Name": name }), now()).expect("created");
    RemoteId(made["Id"].as_str().expect("an id").to_owned())
}

fn get(id: &RemoteId) -> Operation {
    Operation::Get { id: id.clone() }
}

#[test]
fn accounts_conform() {
    conform(query("Account"));
}

#[test]
fn accounts_with_conditions_conform() {
    conform(ResourceQuery { name: "account".into(), params: Default::default(), ..query("Account") });
}

fn conform(resource: ResourceQuery) {
    let org = RefCell::new(Salesforce::new(Config { page_size: 100, ..Config::default() }));
    let connector = connector();
    check(Bench {
        connector: &connector,
        resource,
        send: &mut |request| org.borrow_mut().handle(request, now()).response(),
        deliveries: None,
        now: now(),
        records: 230,
        record: &|n| {
            vec![
                (path("Name"), json!(format!("Ann “{n}” O'Hara & Söhne = 100% \\ %_"))),
                (path("Website"), json!(format!("https://example.com/?a={n}&b=#x"))),
                (path("Bothways_Id__c"), json!(format!("0190-{n}"))),
            ]
        },
        change: vec![
            (path("Phone"), json!("+1 555 0100")),
            (path("Website"), Json::Null),
            (path("Description"), json!("a=b&c[d] 'q'")),
        ],
    });
}

#[test]
fn each_answer_says_how_much_of_the_day_is_used() {
    let mut org = Salesforce::new(Config { daily_requests: 500, ..Config::default() });
    let connector = connector();
    let used = connector.limits().used.clone().expect("the document names the header");
    let id = made(&mut org, "Acme");
    for expected in 1..=3 {
        let mut exchange = start(&*accounts(&connector), get(&id));
        let mut answer = None;
        let told = loop {
            match exchange.next(answer.take()) {
                Step::Call(call) => answer = org.handle(&call.request, now()).response(),
                Step::Renew(renewal) => {
                    let request = renewal.tokens.request(None, now()).expect("a token can be asked for");
                    let granted = org.handle(&request, now()).response().expect("an answer");
                    renewal.tokens.install(&renewal.tokens.read(&granted, None).expect("a grant"), 0);
                }
                Step::Done(outcome) => panic!("ended in {outcome:?}"),
            }
            if let Some(told) = answer.as_ref().and_then(|answer| used.read(answer)) {
                break told;
            }
        };
        assert_eq!((told.used, told.left, told.limit), (Some(expected), None, Some(500)));
    }
    // As organisations with limits by app write it.
    let value = "api-usage=18/5000; per-app-api-usage=17/250(appName=sample-connected-app)";
    let answer = bothways_model::Response::json(200, &json!({})).with_header("Sforce-Limit-Info", value);
    let usage = used.read(&answer).expect("what stands behind is ignored");
    assert_eq!((usage.used, usage.limit), (Some(18), Some(5000)));
}

#[test]
fn the_organisation_and_its_mode() {
    for (is_sandbox, mode) in [(true, Mode::Test), (false, Mode::Live)] {
        let mut org = Salesforce::new(Config { is_sandbox, ..Config::default() });
        let id = Some(AccountId(org.organization_id().to_owned()));
        let connector = connector();
        let asked = || connector.account().expect("an organisation has an id");
        assert_eq!(run(&mut org, asked()), Some(Outcome::Account { id, mode }));
        org.inject(Fault::next(Action::Forbidden403));
        let unknown = Outcome::Account { id: None, mode: Mode::Unknown };
        assert_eq!(run(&mut org, asked()), Some(unknown));
    }
}

#[test]
fn names_that_are_none_reach_no_query() {
    let connector = connector();
    for object in ["Account WHERE Name != null", "Acc'ount", ""] {
        let Err(unknown) = connector.resource(&query(object)) else { panic!("{object} is an object") };
        assert!(unknown.to_string().contains("object"), "{unknown}");
    }
    let hidden = ResourceQuery { paths: vec![path("Name, (SELECT Id FROM Contacts)")], ..query("Account") };
    assert!(connector.resource(&hidden).is_err());
}

#[test]
fn an_id_of_15_characters_is_that_of_18() {
    let mut org = Salesforce::new(Config::default());
    let id = made(&mut org, "Acme");
    let accounts = accounts(&connector());
    let short = RemoteId(to_15(id.as_str()).expect("an id").to_owned());
    assert_ne!(short, id);
    match run(&mut org, start(&*accounts, get(&short))) {
        Some(Outcome::Record(seen)) => assert_eq!(seen.id, id, "another id would mean a merge"),
        other => panic!("ended in {other:?}"),
    }
    let Step::Call(call) =
        start(&*accounts, Operation::Delete { id: short, key: "k".into(), seen: None }).next(None)
    else {
        panic!("a delete begins with a call")
    };
    assert!(call.request.url.ends_with(id.as_str()), "{}", call.request.url);
}

#[test]
fn a_create_is_one_however_often_it_is_sent() {
    let mut org = Salesforce::new(Config::default());
    let accounts = accounts(&connector());
    org.inject(Fault::next(Action::LostAnswer).on(Method::Patch, "/services/data"));
    let operation = create("Acme", "0190-1");
    assert_eq!(run(&mut org, start(&*accounts, operation.clone())), None, "the answer is lost");
    let again = run(&mut org, start(&*accounts, operation));
    let Some(Outcome::Written { id: Some(id) }) = again else { panic!("ended in {again:?}") };
    assert_eq!(org.record_count("Account"), 1);
    let found = Operation::Find { path: path("Bothways_Id__c"), value: "0190-1".into() };
    match run(&mut org, start(&*accounts, found)) {
        Some(Outcome::Page(Page { items, .. })) => assert_eq!(items[0].id, id),
        other => panic!("ended in {other:?}"),
    }
}

#[test]
fn several_records_with_our_key_are_duplicates() {
    let kind = CustomKind::ExternalId { length: 36, unique: false };
    let field = CustomField { kind, ..CustomField::stamp("Account", "Bothways_Id__c") };
    let mut org = Salesforce::new(Config { custom_fields: vec![field], ..Config::default() });
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let fields = json!({ "Name": "Acme", "Bothways_Id__c": "0190-1" });
            let made = org.dashboard_create("Account", &fields, now()).expect("created");
            made["Id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let accounts = accounts(&connector());
    let failure = failed(run(&mut org, start(&*accounts, create("Acme", "0190-1"))));
    assert_eq!((failure.class, failure.status), (ErrorClass::Duplicate, Some(300)));
    assert!(ids.iter().all(|id| failure.message.contains(id)), "{failure}");
}

#[test]
fn a_duplicate_rule_names_the_records_that_it_found() {
    let mut org = Salesforce::new(Config::default());
    let id = made(&mut org, "Acme");
    for rule in [DuplicateRule::Alert, DuplicateRule::Block] {
        org.set_duplicate_rule(rule);
        let failure = failed(run(&mut org, start(&*accounts(&connector()), create("ACME", "0190-1"))));
        assert_eq!(failure.class, ErrorClass::Duplicate);
        assert_eq!(failure.code.as_deref(), Some("DUPLICATES_DETECTED"));
        assert!(failure.message.contains(id.as_str()), "{failure}");
        assert_eq!(org.record_count("Account"), 1, "a warning is not passed by");
    }
}

#[test]
fn what_was_deleted_or_merged_says_so() {
    let mut org = Salesforce::new(Config::default());
    let accounts = accounts(&connector());
    let [master, loser, deleted, purged] = ["A", "B", "C", "D"].map(|name| made(&mut org, name));
    org.dashboard_delete(purged.as_str(), now()).expect("deleted");
    org.dashboard_empty_recycle_bin(now());
    org.dashboard_delete(deleted.as_str(), now()).expect("deleted");
    org.dashboard_merge(master.as_str(), loser.as_str(), now()).expect("merged");
    let mut look = |id: &RemoteId| run(&mut org, start(&*accounts, get(id))).expect("an answer");
    match look(&deleted) {
        Outcome::Record(seen) => assert_eq!((seen.id, seen.gone), (deleted, true)),
        other => panic!("ended in {other:?}"),
    }
    match look(&loser) {
        Outcome::Record(seen) => {
            assert_eq!((seen.id, seen.gone), (master, false), "a merge is told by another id")
        }
        other => panic!("ended in {other:?}"),
    }
    assert_eq!(look(&purged), Outcome::Missing, "which proves nothing yet");
}

#[test]
fn a_record_that_was_merged_twice_is_found_in_the_last_one() {
    let mut org = Salesforce::new(Config::default());
    let connector = connector();
    // The names of objects are told apart by nothing but their letters.
    for object in ["Account", "account"] {
        let accounts = connector.resource(&query(object)).expect("the document has every object");
        let [first, second, last] = ["A", "B", "C"].map(|name| made(&mut org, name));
        org.dashboard_merge(second.as_str(), first.as_str(), now()).expect("merged");
        org.dashboard_merge(last.as_str(), second.as_str(), now()).expect("merged");
        match run(&mut org, start(&*accounts, get(&first))) {
            Some(Outcome::Record(seen)) => {
                assert_eq!((seen.id, seen.gone), (last.clone(), false), "{object}")
            }
            other => panic!("{object}: ended in {other:?}"),
        }
        org.dashboard_delete(last.as_str(), now()).expect("deleted");
        match run(&mut org, start(&*accounts, get(&first))) {
            Some(Outcome::Record(seen)) => assert_eq!((seen.id, seen.gone), (first, true), "{object}"),
            other => panic!("{object}: ended in {other:?}"),
        }
    }
}

#[test]
fn merges_that_go_round_in_circles_end() {
    let mut org = Salesforce::new(Config::default());
    let accounts = accounts(&connector());
    let [master, loser] = ["A", "B"].map(|name| made(&mut org, name));
    org.dashboard_merge(master.as_str(), loser.as_str(), now()).expect("merged");
    let mut bin = 0;
    // Every look at the bin shows the loser under the id that was asked for, merged into the other of the two.
    let mut send = |request: &Request| {
        let mut answer = org.handle(request, now()).response()?;
        if request.url.contains("/queryAll") {
            bin += 1;
            let (own, other) = if bin % 2 == 1 { (&loser, &master) } else { (&master, &loser) };
            let record = json!({ "Id": own.as_str(), "IsDeleted": true, "MasterRecordId": other.as_str() });
            answer.body = json!({ "done": true, "records": [record] }).to_string().into_bytes();
        } else if request.method == Method::Get && request.url.contains("/sobjects/") {
            answer.status = 404;
            answer.body = not_found();
        }
        Some(answer)
    };
    let ended = run_with(&mut send, start(&*accounts, get(&loser)), now());
    assert_eq!(failed(ended).class, ErrorClass::Malformed);
    assert!(bin < 20, "{bin} looks");
}

fn not_found() -> Vec<u8> {
    json!([{ "errorCode": "NOT_FOUND", "message": "The requested resource does not exist" }])
        .to_string()
        .into_bytes()
}

#[test]
fn a_record_that_is_not_found_and_not_deleted_proves_nothing() {
    let mut org = Salesforce::new(Config::default());
    let accounts = accounts(&connector());
    let id = made(&mut org, "Acme");
    let mut send = |request: &Request| {
        let mut answer = org.handle(request, now()).response()?;
        if request.method == Method::Get && request.url.contains("/sobjects/") {
            answer.status = 404;
            answer.body = not_found();
        }
        Some(answer)
    };
    let ended = run_with(&mut send, start(&*accounts, get(&id)), now());
    assert_eq!(failed(ended).class, ErrorClass::Malformed, "not missing: that may be taken for a delete");
}

/// Every page of the changes since a moment.
fn changes(
    org: &mut Salesforce,
    accounts: &dyn Resource,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<Page>, Failure> {
    let mut pages: Vec<Page> = Vec::new();
    let mut page = None;
    loop {
        match run_at(org, start(accounts, Operation::Since { since, page }), now) {
            Some(Outcome::Page(read)) => {
                page = read.next.clone();
                pages.push(read);
                if page.is_none() {
                    return Ok(pages);
                }
            }
            other => return Err(failed(other)),
        }
    }
}

#[test]
fn deletes_come_with_the_changes_and_after_them() {
    let mut org = Salesforce::new(Config { replication_lag: TimeDelta::minutes(1), ..Config::default() });
    let accounts = accounts(&connector());
    let [binned, purged] = ["A", "B"].map(|name| made(&mut org, name));
    let (start, later) = (now() + TimeDelta::minutes(1), now() + TimeDelta::minutes(5));
    for id in [&binned, &purged] {
        org.dashboard_delete(id.as_str(), now() + TimeDelta::minutes(2)).expect("deleted");
    }
    let pages = changes(&mut org, &*accounts, start, later).expect("read");
    let gone: Vec<&RemoteId> =
        pages.iter().flat_map(|page| &page.items).filter(|item| item.gone).map(|item| &item.id).collect();
    assert_eq!(gone, [&binned, &purged, &binned, &purged], "by the recycle bin, and by the log");
    let covered = pages.last().and_then(|page| page.covered);
    assert_eq!(covered, Some(later - TimeDelta::minutes(1)), "further than this it promises nothing");
}

#[test]
fn a_log_of_deletes_that_was_shortened_needs_a_full_pass() {
    let mut org = Salesforce::new(Config::default());
    let accounts = accounts(&connector());
    org.dashboard_purge_delete_log(now() + TimeDelta::minutes(2));
    let later = now() + TimeDelta::minutes(5);
    let failure = changes(&mut org, &*accounts, now(), later).expect_err("it does not reach back");
    assert_eq!(failure.class, ErrorClass::Expired);
    changes(&mut org, &*accounts, now() + TimeDelta::minutes(3), later).expect("from there on it does");
    // An engine that was off for longer than the log is kept.
    let failure =
        changes(&mut org, &*accounts, now() - TimeDelta::days(31), later).expect_err("too long ago");
    assert_eq!(failure.class, ErrorClass::Expired);
}

#[test]
fn errors_mean_what_salesforce_says() {
    let mut org = Salesforce::new(Config::default());
    let id = made(&mut org, "Acme");
    let connector = connector();
    let accounts = accounts(&connector);
    for (fault, class) in [
        (Action::RequestLimit403, ErrorClass::Throttle),
        (Action::Forbidden403, ErrorClass::Forbidden),
        (Action::Unavailable503, ErrorClass::Retry),
        (Action::Error500, ErrorClass::Retry),
        (Action::HiddenField { field: "Phone".into() }, ErrorClass::Forbidden),
    ] {
        org.inject(Fault::next(fault.clone()).on(Method::Get, "/services/data"));
        let failure = failed(run(&mut org, start(&*accounts, get(&id))));
        assert_eq!(failure.class, class, "{fault:?}: {failure}");
        if matches!(fault, Action::HiddenField { .. }) {
            assert!(failure.message.contains("Phone"), "the field is named: {failure}");
        }
    }
    let fields: FieldWrites = vec![(path("Phone"), json!("1"))];
    let update = Operation::Update { id, fields, key: "k".into(), seen: None, version: None };
    org.inject(Fault::next(Action::RowLocked).on_event("Account.update"));
    assert_eq!(failed(run(&mut org, start(&*accounts, update))).class, ErrorClass::Conflict);
}

#[test]
fn a_refused_session_is_renewed_once() {
    let mut org = Salesforce::new(Config::default());
    let id = made(&mut org, "Acme");
    let accounts = accounts(&connector());
    let look = || start(&*accounts, get(&id));
    run(&mut org, look()).expect("an answer");
    org.dashboard_end_sessions();
    assert!(matches!(run(&mut org, look()), Some(Outcome::Record(_))));
    assert_eq!(org.tokens_issued(), 2);
    // The same code also means another instance, a locked address, a blocked client: a new session changes nothing then.
    org.inject(Fault::next(Action::InvalidSession401).times(2));
    assert_eq!(failed(run(&mut org, look())).class, ErrorClass::Auth);
    assert_eq!(org.tokens_issued(), 3);
}

#[test]
fn a_signed_statement_needs_no_secret() {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let private: Pkcs8V1Der<'_> = key.as_der().expect("a private key");
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a public key");
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    };
    let jwt_public_key = Some(pem("PUBLIC KEY", public.as_ref()));
    let config = Config { jwt_public_key, ..Config::default() };
    let private = pem("PRIVATE KEY", private.as_ref());
    let look = |org: &mut Salesforce, key: &str, user: &str| {
        let connector = connect(&[("SALESFORCE_PRIVATE_KEY", key), ("SALESFORCE_USERNAME", user)]);
        run(org, connector.account().expect("an organisation has an id"))
    };
    let mut org = Salesforce::new(config.clone());
    // As a file has it, and as a variable of one line has it.
    for key in [private.clone(), private.replace('\n', "\\n")] {
        let answer = look(&mut org, &key, &config.username);
        assert!(matches!(answer, Some(Outcome::Account { id: Some(_), .. })), "{answer:?}");
    }
    let failure = failed(look(&mut org, &private, "somebody@else.example"));
    assert_eq!((failure.class, failure.code.as_deref()), (ErrorClass::Auth, Some("invalid_grant")));
    let renewal = |key: &str| {
        let connector = connect(&[("SALESFORCE_PRIVATE_KEY", key), ("SALESFORCE_USERNAME", "x")]);
        let tokens = connector.tokens().expect("tokens");
        tokens.request(None, now()).expect_err("it is no key")
    };
    for bad in [
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----",
    ] {
        let failure = renewal(bad);
        assert_eq!(failure.class, ErrorClass::Auth);
        assert!(failure.message.contains("private key") && !failure.message.contains("AAAA"), "{failure}");
    }
}
