//! Events in every form a document can describe.

mod support;

use bothways_connector::{Connector, FeedQuery, Outcome, Rejected, Unverified};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, Event, EventEffect, Failure, Response, Timestamp};
use serde_json::{Value as Json, json};
use support::{answered, connect};

const PEOPLE: &str = "people: { id: $.id, get: \"GET /people/{id}\", gone: \"@.dead == true\", \
                      events: { born: upsert, died: delete, sneezed: ignore } }";

fn connector(events: &str) -> RestConnector {
    let document = format!(
        "connector: town\nvars: {{ hook: {{ secret: true, list: true }} }}\n\
         http: {{ base_url: \"https://town.example\" }}\n\
         lists: {{ items: $.list }}\nevents: {events}\nresources:\n  {PEOPLE}\n"
    );
    connect(&document, &[("TOWN_HOOK", "one, two, one")])
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000, 0).expect("a moment")
}

fn delivery(header: &str, value: &str, body: &Json) -> Unverified {
    Unverified { headers: vec![(header.into(), value.into())], body: body.to_string().into_bytes() }
}

fn decode(connector: &RestConnector, body: &Json) -> Result<Vec<Event>, Failure> {
    let webhook = connector.webhook().expect("the document has a webhook");
    let genuine = webhook.verify(delivery("x-token", "one", body), now()).expect("it is genuine");
    webhook.decode(&genuine)
}

const TOKEN: &str = "webhook: { verify: { token: { header: X-Token, value: \"${hook}\" } } }";

#[test]
fn any_of_the_tokens_passes_and_nothing_else() {
    let connector = connector(&format!("{{ object: $, type: $.type, {TOKEN} }}"));
    let webhook = connector.webhook().expect("the document has a webhook");
    assert!(!webhook.is_unsigned());
    let verify = |header, value| webhook.verify(delivery(header, value, &json!({})), now()).map(|_| ());
    assert_eq!(verify("X-TOKEN", "one"), Ok(()));
    assert_eq!(verify("x-token", "two"), Ok(()));
    for value in ["", "on", "onee", "one, two", "Two"] {
        assert_eq!(verify("x-token", value), Err(Rejected::Mismatch), "{value}");
    }
    assert_eq!(verify("token", "one"), Err(Rejected::Unsigned));
}

#[test]
fn an_unsigned_webhook_says_so() {
    let connector = connector("{ object: $, webhook: { verify: none } }");
    let webhook = connector.webhook().expect("the document has a webhook");
    assert!(webhook.is_unsigned());
    assert!(webhook.verify(delivery("a", "b", &json!({})), now()).is_ok());
}

#[test]
fn events_with_the_whole_record() {
    let connector = connector(&format!(
        "{{ each: \"$.batch[*]\", id: $.n, type: $.what, at: {{ path: $.t, as: unix }}, object: $.who, {TOKEN} }}"
    ));
    let events = decode(
        &connector,
        &json!({"batch": [
            {"n": 1, "what": "born", "t": 1700000000, "who": {"id": "a", "name": "Ann"}},
            {"n": 2, "what": "died", "who": {"id": "b", "dead": true}},
            {"n": 3, "what": "sneezed", "who": {"id": "c"}},
            {"n": 4, "what": "something new"}
        ]}),
    )
    .expect("it can be read");
    let [born, died, sneezed, new] = events.as_slice() else { panic!("four events") };
    let subject = born.subject.as_ref().expect("it is about somebody");
    assert_eq!((born.id.as_str(), born.kind.as_str(), born.at), ("1", "born", Some(now())));
    assert_eq!(
        (subject.resource.as_str(), subject.id.as_str(), subject.effect),
        ("people", "a", EventEffect::Upsert)
    );
    assert_eq!(subject.object.as_ref().expect("with the record").body["name"], "Ann");
    let subject = died.subject.as_ref().expect("it is about somebody");
    assert_eq!(subject.effect, EventEffect::Delete);
    assert!(subject.object.as_ref().is_some_and(|seen| seen.gone));
    assert_eq!((died.at, &sneezed.subject, &new.subject), (None, &None, &None));
}

#[test]
fn events_without_type_and_id() {
    let document = format!("{{ id_of: $.person, {TOKEN} }}");
    let plain = connector(&document);
    // Without types every event is of one type, which the document may name.
    assert_eq!(decode(&plain, &json!({"person": 5})).expect("it can be read")[0].subject, None);
    let events = |body: &Json| decode(&plain, body).expect("it can be read");
    let (one, same, other) =
        (events(&json!({"person": 5})), events(&json!({"person": 5})), events(&json!({"person": 6})));
    assert_eq!(one[0].kind, "*");
    assert_eq!(one[0].id, same[0].id, "equal events are one event");
    assert_ne!(one[0].id, other[0].id);
    // printf '{"person":5}' | sha256sum
    assert_eq!(one[0].id, "1e9aaf312a955ed35a14349e7ec5201d35924c2572571b7458ac0cf79af21f7b");
}

#[test]
fn events_that_cannot_be_read_say_so() {
    let connector = connector(&format!("{{ type: $.type, object: $.who, {TOKEN} }}"));
    for body in [
        json!({}),
        json!({"type": "born"}),
        json!({"type": "born", "who": {}}),
        json!({"type": {}}),
        json!(7),
    ] {
        let events = decode(&connector, &body).expect("the delivery is one");
        assert_eq!(events.len(), 1, "{body}");
        assert!(events[0].unreadable && events[0].subject.is_none(), "{body}");
    }
    let webhook = connector.webhook().expect("the document has a webhook");
    let cut = Unverified { headers: vec![("x-token".into(), "one".into())], body: b"{\"type\":".to_vec() };
    let genuine = webhook.verify(cut, now()).expect("it is genuine");
    assert_eq!(webhook.decode(&genuine).unwrap_err().class, ErrorClass::Malformed);
}

#[test]
fn an_odd_event_spoils_no_other() {
    let connector =
        connector(&format!("{{ each: \"$.batch[*]\", id: $.n, type: $.what, object: $.who, {TOKEN} }}"));
    let batch = json!({"batch": [
        {"n": 1, "what": "born", "who": {"id": "a"}},
        {"n": 2, "what": "born"},
        {"n": 3, "what": "died", "who": {"id": "b"}},
    ]});
    let events = decode(&connector, &batch).expect("it can be read");
    let told: Vec<_> =
        events.iter().map(|e| (e.unreadable, e.subject.as_ref().map(|s| s.id.as_str()))).collect();
    assert_eq!(told, [(false, Some("a")), (true, None), (false, Some("b"))]);
}

#[test]
fn a_feed_reads_what_a_webhook_reads() {
    let connector = connector(
        "{ id: $.n, type: $.type, id_of: $.who, at: { path: $.t, as: iso8601 }, feed: { call: GET /events, order: oldest_first, \
         query: { from: \"{since}\", \"type[]\": \"{event_types}\", kinds: \"{event_types}\" } } }",
    );
    assert!(connector.webhook().is_none());
    let feed = connector.feed().expect("the document has a feed");
    let types = feed.types("people");
    assert_eq!(types, ["born", "died"]);
    let query = FeedQuery { since: now(), types, page: None };
    assert_eq!(
        support::request(feed.start(&query)).url,
        "https://town.example/events?from=2023-11-14T22%3A13%3A20Z&type[]=born&type[]=died&kinds=born%2Cdied"
    );
    let answer = |body: Json| answered(feed.start(&query), Response::json(200, &body));
    let Outcome::Events(page) = answer(json!({"list": [{"n": "x", "type": "died", "who": "a"}]})) else {
        panic!("no events")
    };
    assert_eq!(
        page.events[0].subject.as_ref().map(|s| (s.id.as_str(), s.effect)),
        Some(("a", EventEffect::Delete))
    );
    for body in [json!({}), json!({"list": {}})] {
        let Outcome::Failed(failure) = answer(body) else { panic!("it cannot be read") };
        assert_eq!(failure.class, ErrorClass::Malformed);
    }
    let bad = FeedQuery { page: Some(bothways_connector::PageCursor("?".into())), ..query.clone() };
    let mut refused = feed.start(&bad);
    let bothways_connector::Step::Done(Outcome::Failed(failure)) = refused.next(None) else {
        panic!("it is refused")
    };
    assert_eq!(failure.class, ErrorClass::Expired);
}
