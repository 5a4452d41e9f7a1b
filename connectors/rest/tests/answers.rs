//! What answers mean: pages, errors, writes, and nonsense.

mod support;

use bothways_connector::{Connector, Operation, Outcome, Page, PageCursor, Resource};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, Failure, Mode, Response, Timestamp};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::{Arc, LazyLock};
use support::{answered, call, connect, end, path, resource};

fn document(pages: &str) -> String {
    format!(
        r#"
connector: shop
http:
  base_url: https://shop.example/v1
  errors:
    message: $.errors[0].text
    code: $.errors[0].number
    codes: {{ "17": duplicate, "18": missing, "19": forbidden }}
    statuses: {{ "422": conflict, "403": auth }}
account: {{ call: GET /whoami, id: $.shop.id }}
lists: {{ items: $.items, pages: {pages} }}
resources:
  orders:
    id: $.id
    changed_at: {{ path: $.changed, as: unix }}
    gone: "@.state == 'void'"
    list: GET /orders
    get: GET /orders/{{id}}
    create: {{ call: POST /orders, returns: {{ id: $.order.id }} }}
    update: POST /orders/{{id}}
    delete: DELETE /orders/{{id}}
    find: {{ $.code: {{ call: "GET /codes/{{value}}", items: $ }} }}
    since:
      call: GET /changes?from={{since}}
      cursor: {{ path: $.at, as: unix_ms, lag: 2s }}
      cap: 5
"#
    )
}

fn shop(pages: &str) -> RestConnector {
    connect(&document(pages), &[])
}

fn orders(pages: &str) -> Arc<dyn Resource> {
    resource(&shop(pages), "orders")
}

fn get(answer: Response) -> Outcome {
    answered(orders("none").start(Operation::Get { id: "1".into() }).expect("it is sent"), answer)
}

fn failed(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("ended in {other:?}"),
    }
}

/// One page, and the URL that was asked.
fn page(pages: &str, cursor: Option<&PageCursor>, answer: Response) -> (String, Result<Page, Failure>) {
    let mut listing = orders(pages).start(Operation::List { page: cursor.cloned() }).expect("it is sent");
    let url = call(&mut listing, None).request.url;
    match end(&mut listing, answer) {
        Outcome::Page(page) => (url, Ok(page)),
        Outcome::Failed(failure) => (url, Err(failure)),
        other => panic!("ended in {other:?}"),
    }
}

fn items(ids: &[u32]) -> Json {
    Json::Array(ids.iter().map(|id| json!({"id": id})).collect())
}

#[test]
fn records_say_what_they_are() {
    let Outcome::Record(seen) =
        get(Response::json(200, &json!({"id": 12, "state": "void", "changed": 1700000000})))
    else {
        panic!("no record")
    };
    assert_eq!(seen.id.as_str(), "12");
    assert!(seen.gone);
    assert_eq!(seen.changed_at, Timestamp::from_timestamp(1_700_000_000, 0));
    let Outcome::Record(seen) = get(Response::json(200, &json!({"id": "other", "changed": "soon"}))) else {
        panic!("no record")
    };
    assert_eq!((seen.id.as_str(), seen.gone, seen.changed_at), ("other", false, None));
    for body in [
        json!({}),
        json!({"id": ""}),
        json!({"id": null}),
        json!({"id": true}),
        json!([{"id": 1}]),
        json!("x"),
    ] {
        assert_eq!(failed(get(Response::json(200, &body))).class, ErrorClass::Malformed, "{body}");
    }
}

#[test]
fn errors_are_classed_by_code_then_status() {
    let error = |number: i32| json!({"errors": [{"text": "no!", "number": number}]});
    for (status, body, class) in [
        (400, error(17), ErrorClass::Duplicate),
        (400, error(19), ErrorClass::Forbidden),
        (422, error(1), ErrorClass::Conflict),
        (403, error(1), ErrorClass::Auth),
        (409, error(1), ErrorClass::Conflict),
        (418, json!("teapot"), ErrorClass::Invalid),
        (408, json!({}), ErrorClass::Retry),
        (302, json!({"id": 1}), ErrorClass::Malformed),
    ] {
        let failure = failed(get(Response::json(status, &body)));
        assert_eq!((failure.class, failure.status), (class, Some(status)), "{failure}");
    }
    let failure = failed(get(Response::json(400, &error(3))));
    assert_eq!((failure.code.as_deref(), failure.message.as_str()), (Some("3"), "no!"));
    assert_eq!(get(Response::json(400, &error(18))), Outcome::Missing);
    assert_eq!(get(Response::json(410, &json!(null))), Outcome::Missing);
    let long = json!({"errors": [{"text": "ä".repeat(10_000)}]});
    assert_eq!(failed(get(Response::json(400, &long))).message.chars().count(), 500);
    // Which 409 it is stands in a code that nobody can read. What is refused is refused, whatever the page around it says.
    for body in [&b""[..], b"<html>", b"{\"errors\": [{\"number\""] {
        let answer = |status| Response { status, headers: Vec::new(), body: body.to_vec() };
        assert!(failed(get(answer(409))).is_uncertain());
        assert_eq!(failed(get(answer(400))).class, ErrorClass::Invalid);
    }
    let html = Response { status: 502, headers: Vec::new(), body: b"<html>".to_vec() };
    let failure = failed(get(html));
    assert_eq!((failure.class, failure.message.as_str()), (ErrorClass::Retry, "the service answered 502"));
}

#[test]
fn a_code_is_short_and_one_line_however_long_it_is() {
    let said = |code: String| failed(get(Response::json(409, &json!({"errors": [{"number": code}]}))));
    let long = said("x".repeat(1_000_000));
    assert_eq!(long.code, Some("x".repeat(100)));
    assert_eq!(said("A\n\u{1b}[2JB\u{85}".into()).code.as_deref(), Some("A[2JB"));
    // It is classed by all of it.
    assert_eq!(said("17".into()).class, ErrorClass::Duplicate);
    assert_eq!(said(format!("17{}", "\u{0}".repeat(3))).class, ErrorClass::Conflict);
}

#[test]
fn writes_end_in_what_their_answers_hold() {
    let create = || {
        let fields = vec![(path(&["total"]), json!(1))];
        orders("none").start(Operation::Create { fields, key: "k".into() }).expect("it is sent")
    };
    let made = Outcome::Written { id: Some("5".into()) };
    assert_eq!(answered(create(), Response::json(201, &json!({"order": {"id": 5}}))), made);
    assert_eq!(
        failed(answered(create(), Response::json(201, &json!({"id": 5})))).class,
        ErrorClass::Malformed
    );
    assert_eq!(failed(answered(create(), Response::json(404, &json!({})))).class, ErrorClass::Missing);
    let update = || {
        let operation = Operation::Update {
            id: "5".into(),
            fields: Vec::new(),
            key: "k".into(),
            seen: None,
            version: None,
        };
        orders("none").start(operation).expect("it is sent")
    };
    let empty = |status| Response { status, headers: Vec::new(), body: Vec::new() };
    assert_eq!(answered(update(), empty(204)), Outcome::Written { id: None });
    assert_eq!(answered(update(), Response::json(404, &json!({}))), Outcome::Missing);
    assert!(matches!(answered(update(), Response::json(200, &json!({"id": 5}))), Outcome::Record(_)));
    assert!(failed(answered(update(), Response::json(200, &json!("done")))).is_uncertain());
    let delete = || {
        let operation = Operation::Delete { id: "5".into(), key: "k".into(), seen: None };
        orders("none").start(operation).expect("it is sent")
    };
    assert_eq!(answered(delete(), empty(200)), Outcome::Written { id: None });
    assert_eq!(
        answered(delete(), Response::json(200, &json!({"deleted": true}))),
        Outcome::Written { id: None }
    );
    assert_eq!(answered(delete(), Response::json(410, &json!({}))), Outcome::Missing);
    let cut = Response { status: 200, headers: Vec::new(), body: b"{\"del".to_vec() };
    assert!(failed(answered(delete(), cut)).is_uncertain());
}

#[test]
fn an_exchange_driven_out_of_turn_ends() {
    let mut reading = orders("none").start(Operation::Get { id: "1".into() }).expect("it is sent");
    assert!(matches!(
        reading.next(Some(Response::json(200, &json!({"id": 1})))),
        bothways_connector::Step::Done(Outcome::Failed(_))
    ));
    assert!(matches!(reading.next(None), bothways_connector::Step::Done(Outcome::Failed(_))));
}

#[test]
fn a_list_that_is_none_is_no_empty_list() {
    for body in [json!({}), json!([]), json!({"items": {}}), json!({"items": null}), json!({"items": [{}]})] {
        let (_, page) = page("none", None, Response::json(200, &body));
        assert_eq!(page.unwrap_err().class, ErrorClass::Malformed, "{body}");
    }
    let (_, empty) = page("none", None, Response::json(200, &json!({"items": []})));
    assert_eq!(empty.unwrap(), Page::default());
}

#[test]
fn cursors_end_where_the_service_says_so() {
    let by_value = "{ cursor: { query: after, value: $.next } }";
    for end in [json!(null), json!(""), json!(false), json!({})] {
        let (_, last) =
            page(by_value, None, Response::json(200, &json!({"items": items(&[1]), "next": end})));
        assert_eq!(last.unwrap().next, None, "{end}");
    }
    let (_, first) =
        page(by_value, None, Response::json(200, &json!({"items": items(&[1]), "next": "a/b=="})));
    let cursor = first.unwrap().next;
    let again = Response::json(200, &json!({"items": items(&[2]), "next": "a/b=="}));
    let (url, second) = page(by_value, cursor.as_ref(), again);
    assert_eq!(url, "https://shop.example/v1/orders?after=a%2Fb%3D%3D");
    assert_eq!(second.unwrap_err().class, ErrorClass::Malformed, "the same page again would never end");

    let by_last = r#"{ cursor: { query: after, value: "$.items[-1].id", while: "@.more == true" } }"#;
    let (_, nowhere) = page(by_last, None, Response::json(200, &json!({"items": [], "more": true})));
    assert_eq!(nowhere.unwrap_err().class, ErrorClass::Malformed, "there is more, and nobody knows where");
    let header = "{ cursor: { header: X-After, value: $.next } }";
    let (_, first) = page(header, None, Response::json(200, &json!({"items": [], "next": 7})));
    let listing = orders(header).start(Operation::List { page: first.unwrap().next }).expect("it is sent");
    assert_eq!(support::request(listing).header("x-after"), Some("7"));
}

#[test]
fn pages_elsewhere_are_not_asked_for() {
    let next_url = "{ next_url: $.next }";
    for elsewhere in
        ["https://evil.example/v1/orders?page=2", "//evil.example/", "http://shop.example/v1/orders"]
    {
        let (_, page) =
            page(next_url, None, Response::json(200, &json!({"items": items(&[1]), "next": elsewhere})));
        assert_eq!(page.unwrap_err().class, ErrorClass::Malformed, "{elsewhere}");
    }
    let (_, first) =
        page(next_url, None, Response::json(200, &json!({"items": items(&[1]), "next": "/v1/orders?p=2"})));
    let (url, _) = page(next_url, first.unwrap().next.as_ref(), Response::json(200, &json!({"items": []})));
    assert_eq!(url, "https://shop.example/v1/orders?p=2");
    // A cursor from the store is not believed either.
    let stored = PageCursor(r#"{"url":"https://evil.example/"}"#.into());
    let refused = orders(next_url).start(Operation::List { page: Some(stored) });
    assert_eq!(refused.err().map(|f| f.class), Some(ErrorClass::Expired));
}

#[test]
fn a_service_that_ignores_page_numbers_is_found_out() {
    let (mut cursor, mut ends) = (None, Vec::new());
    for ids in [[1, 2], [3, 4], [3, 4]] {
        let answer = Response::json(200, &json!({"items": items(&ids)}));
        let (url, page) = page("{ page: { query: p, first: 0 } }", cursor.as_ref(), answer);
        ends.push(url);
        match page {
            Ok(page) => cursor = page.next,
            Err(failure) => assert_eq!(failure.class, ErrorClass::Malformed),
        }
    }
    assert_eq!(ends, ["0", "1", "2"].map(|n| format!("https://shop.example/v1/orders?p={n}")));
}

#[test]
fn a_cursor_of_another_kind_of_paging_is_expired() {
    let (_, first) =
        page("{ page: { query: p } }", None, Response::json(200, &json!({"items": items(&[1])})));
    let cursor = first.unwrap().next;
    let other = orders("{ cursor: { query: after, value: $.next } }").start(Operation::List { page: cursor });
    assert_eq!(other.err().map(|f| f.class), Some(ErrorClass::Expired));
}

#[test]
fn a_capped_search_begins_again_where_it_got_to() {
    let orders = orders("{ offset: { query: skip } }");
    let since = Timestamp::from_timestamp_millis(1000).expect("a moment");
    let changed = |ids: &[i64]| {
        let items: Vec<_> = ids.iter().map(|n| json!({"id": n, "at": 1000 + n})).collect();
        Response::json(200, &json!({"items": items}))
    };
    let mut next = None;
    let mut asked = Vec::new();
    for ids in [&[1, 2][..], &[3, 4], &[4, 5], &[]] {
        let mut listing = orders.start(Operation::Since { since, page: next.take() }).expect("it is sent");
        let url = call(&mut listing, None).request.url;
        asked.push(url.rsplit('?').next().unwrap_or_default().to_owned());
        let Outcome::Page(page) = end(&mut listing, changed(ids)) else { panic!("no page") };
        assert!(page.items.iter().all(|item| item.changed_at.is_some()), "the cursor's time is the record's");
        next = page.next;
    }
    assert_eq!(asked, ["from=1000&skip=0", "from=1000&skip=2", "from=1004&skip=0", "from=1004&skip=2"]);
    assert_eq!(next, None);

    // More records of one moment than one search shows.
    let mut listing = orders.start(Operation::Since { since, page: None }).expect("it is sent");
    call(&mut listing, None);
    let same = [1, 2, 3].map(|id| json!({"id": id, "at": 1000}));
    let same = Response::json(200, &json!({"items": same}));
    assert_eq!(failed(end(&mut listing, same)).class, ErrorClass::Expired);
}

#[test]
fn a_lookup_that_answers_one_record() {
    let find = || {
        let operation = Operation::Find { path: path(&["code"]), value: "a/b".into() };
        orders("none").start(operation).expect("it is sent")
    };
    let Outcome::Page(none) = answered(find(), Response::json(404, &json!({}))) else { panic!("no page") };
    assert!(none.items.is_empty());
    let Outcome::Page(one) = answered(find(), Response::json(200, &json!({"id": 3}))) else {
        panic!("no page")
    };
    assert_eq!(one.items.len(), 1);
    assert_eq!(failed(answered(find(), Response::json(500, &json!({})))).class, ErrorClass::Retry);
}

#[test]
fn an_account_that_may_not_be_asked_for_is_unknown() {
    let ask = |answer| answered(shop("none").account().expect("the document has it"), answer);
    let known = Outcome::Account { id: Some("9".to_owned().into()), mode: Mode::Unknown };
    assert_eq!(ask(Response::json(200, &json!({"shop": {"id": 9}}))), known);
    let unknown = Outcome::Account { id: None, mode: Mode::Unknown };
    assert_eq!(ask(Response::json(404, &json!({}))), unknown);
    assert_eq!(failed(ask(Response::json(401, &json!({})))).class, ErrorClass::Auth);
    assert_eq!(failed(ask(Response::json(200, &json!({"shop": {}})))).class, ErrorClass::Malformed);
}

/// One resource for each style of paging that reads the most of an answer.
static SHOPS: LazyLock<[Arc<dyn Resource>; 3]> =
    LazyLock::new(|| ["link_header", "{ next_url: $.next }", "{ offset: { query: o } }"].map(orders));

proptest! {
    /// No answer whatever makes anything panic, and only JSON is believed.
    #[test]
    fn any_answer_is_survived(
        status in 100u16..600,
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "\\{\"(items|id|next|state)\":(\\[\\{\"id\":[0-9]+\\}\\]|[0-9]+|null|\"[a-z/:]*\")\\}".prop_map(String::into_bytes),
        ],
        header in "[ -~]{0,40}",
    ) {
        let headers = ["link", "date", "retry-after"].map(|name| (name.to_owned(), header.clone())).to_vec();
        let answer = Response { status, headers, body };
        let since = Timestamp::UNIX_EPOCH;
        for orders in SHOPS.iter() {
            for operation in [
                Operation::Get { id: "1".into() },
                Operation::List { page: None },
                Operation::Since { since, page: None },
                Operation::Find { path: path(&["code"]), value: "x".into() },
                Operation::Create { fields: Vec::new(), key: "k".into() },
                Operation::Delete { id: "1".into(), key: "k".into(), seen: None },
            ] {
                let exchange = orders.start(operation).expect("it is sent");
                let outcome = answered(exchange, answer.clone());
                if matches!(outcome, Outcome::Record(_) | Outcome::Page(Page { next: Some(_), .. })) {
                    prop_assert!(answer.is_success());
                    prop_assert!(serde_json::from_slice::<Json>(&answer.body).is_ok());
                }
            }
        }
    }
}
