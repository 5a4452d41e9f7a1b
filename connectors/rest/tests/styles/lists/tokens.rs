//! Changes by a token of the service's own: the list ends with it, and given back it shows what came after.
//!
//! Google's Calendar and People (`syncToken`, `nextSyncToken`, 410 or a code when it is too old), Microsoft Graph (`@odata.deltaLink`, a
//! URL), Dropbox (`cursor` in the body, for pages and changes alike), Box (`stream_position=now`) and Todoist are so.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, conforms};
use crate::support::{answered, connect, resource};
use bothways_connector::{Operation, Outcome, PageCursor, SyncToken};
use bothways_model::{ErrorClass, Method, Request, Response};
use serde_json::{Value as Json, json};

fn document(since: &str) -> String {
    format!(
        r#"
connector: depot
http:
  base_url: https://depot.example
  errors: {{ code: $.code, codes: {{ OLD_TOKEN: expired }} }}
lists: {{ items: $.things }}
resources:
  things:{CALLS}
    gone: "@.removed == true"
    since: {since}
"#
    )
}

const QUERY: &str = r#"{ call: GET /changes, pages: { cursor: { query: page, value: $.page } }, token: { query: token, value: $.token } }"#;
const URL: &str =
    r#"{ call: GET /changes, pages: { next_url: $.next }, token: { url: true, value: $.delta } }"#;
const BODY: &str = r#"{ call: POST /changes, json: { at_most: 3 }, pages: { cursor: { json: $.cursor, value: $.cursor, while: "@.more == true" } }, token: { json: $.cursor, value: $.cursor, start: "GET /changes/now" } }"#;

/// The service: a log of ids, in which a position is a token.
#[derive(Default)]
struct Depot {
    shelf: Shelf,
    log: Vec<Json>,
}

impl Depot {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        match (asked.call(), request.method) {
            ((_, path), _) if path == ["changes", "now"] => {
                Response::json(200, &json!({"cursor": format!("c{}", self.log.len())}))
            }
            ((_, path), _) if path == ["changes"] => self.changes(&asked),
            (_, method) => {
                let answer = self.shelf.answer(&asked);
                if answer.is_success() && method != Method::Get {
                    let id = match asked.path.get(1) {
                        Some(id) => json!(id),
                        None => self.shelf.things.last().map_or(Json::Null, |thing| thing["id"].clone()),
                    };
                    self.log.push(id);
                }
                answer
            }
        }
    }

    /// Three entries of the log at most, beginning where the cursor, page or token says.
    fn changes(&self, asked: &Asked) -> Response {
        let given = asked.body["cursor"].as_str().or_else(|| {
            ["page", "from", "token"].iter().find_map(|name| asked.query.get(*name).map(String::as_str))
        });
        let Some(from) = given.map_or(Some(0), |text| text.strip_prefix('c')?.parse::<usize>().ok()) else {
            return Response::json(400, &json!({"code": "OLD_TOKEN"}));
        };
        let thing = |id: &Json| {
            let known = self.shelf.things.iter().find(|thing| thing["id"] == *id);
            known.cloned().unwrap_or_else(|| json!({"id": id, "removed": true}))
        };
        let things: Vec<Json> = self.log.iter().skip(from).take(3).map(thing).collect();
        let next = format!("c{}", from + things.len());
        let more = from + things.len() < self.log.len();
        let url = format!("https://depot.example/changes?from={next}");
        let mut answer = json!({"things": things, "cursor": next, "more": more});
        match more {
            true => (answer["page"], answer["next"]) = (json!(next), json!(url)),
            false => (answer["token"], answer["delta"]) = (json!(next), json!(url)),
        }
        Response::json(200, &answer)
    }
}

fn conform(since: &str) {
    let mut depot = Depot::default();
    conforms(&document(since), &[], "things", script(), &mut |request| depot.answer(request));
}

#[test]
fn in_the_query() {
    conform(QUERY);
}

#[test]
fn that_are_urls() {
    conform(URL);
}

#[test]
fn in_the_body_and_had_by_a_call_of_its_own() {
    conform(BODY);
}

#[test]
fn a_token_that_is_too_old_leads_to_a_full_pass() {
    let ask = |since: &str, token: &str, page: Option<&str>, answer: Response| {
        let things = resource(&connect(&document(since), &[]), "things");
        let page = page.map(|page| PageCursor(json!({"after": page}).to_string()));
        match things.start(Operation::Delta { token: Some(SyncToken(Box::new(json!(token)))), page }) {
            Ok(exchange) => match answered(exchange, answer) {
                Outcome::Failed(failure) => failure.class,
                other => panic!("it ended in {other:?}"),
            },
            Err(failure) => failure.class,
        }
    };
    let gone = || Response::json(410, &json!({}));
    assert_eq!(ask(QUERY, "c1", None, gone()), ErrorClass::Expired);
    assert_eq!(ask(QUERY, "c1", Some("c4"), gone()), ErrorClass::Expired);
    assert_eq!(
        ask(QUERY, "old", None, Response::json(400, &json!({"code": "OLD_TOKEN"}))),
        ErrorClass::Expired
    );
    // What is stored is checked as what an answer says: another origin is not asked, and sees no credential.
    assert_eq!(ask(URL, "https://evil.example/changes", None, gone()), ErrorClass::Expired);
    assert_eq!(ask(URL, "c1", None, gone()), ErrorClass::Expired);
    // An end without a token would be a beginning without an end.
    let empty = |body: Json| Response::json(200, &body);
    assert_eq!(ask(QUERY, "c1", None, empty(json!({"things": []}))), ErrorClass::Malformed);
    assert_eq!(ask(QUERY, "c1", None, empty(json!({"things": [], "token": null}))), ErrorClass::Malformed);
    let elsewhere = json!({"things": [], "delta": "https://evil.example/changes?from=c1"});
    assert_eq!(
        ask(URL, "https://depot.example/changes?from=c1", None, empty(elsewhere)),
        ErrorClass::Malformed
    );
}
