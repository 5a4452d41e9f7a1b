//! Changes listed in their order, by pages that are numbered: what changes while it is read goes to the end, and all behind it move up.
//!
//! Most services that sort by a time of change are so: Freshdesk, Shopify's and WooCommerce's older APIs, SQL behind a page number.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, conforms};
use crate::support::{call, connect, end, resource};
use bothways_connector::{Operation, Outcome, PageCursor};
use bothways_mapping::{Code, Severity, SourceFile, load};
use bothways_model::{ErrorClass, Method, Request, Response, Timestamp};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

fn document(more: &str) -> String {
    format!(
        r#"
connector: desk
http: {{ base_url: "https://desk.example" }}
lists: {{ items: $.things, page_size: {{ per_page: 3 }}, pages: {{ page: {{ query: page }} }} }}
resources:
  things:{CALLS}
    list: GET /things
    since:
      call: GET /things?updated_since={{since}}
      cursor: {{ path: $.at, as: unix }}{more}
"#
    )
}

/// The service. Each change is a second after the one before.
#[derive(Default)]
struct Desk {
    shelf: Shelf,
    clock: i64,
}

impl Desk {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        if let (Method::Get, ["things"]) = (asked.method, asked.call().1.as_slice()) {
            let number = |name: &str| asked.query.get(name).and_then(|n| n.parse::<i64>().ok());
            let since = number("updated_since").unwrap_or(0);
            let mut things: Vec<&Json> = self.shelf.things.iter().collect();
            things.sort_by_key(|thing| thing["at"].as_i64());
            let size = usize::try_from(number("per_page").expect("it is asked for")).expect("a size");
            let skip = usize::try_from(number("page").unwrap_or(1) - 1).expect("pages begin with 1") * size;
            let shown: Vec<&Json> = things
                .into_iter()
                .filter(|thing| thing["at"].as_i64() >= Some(since))
                .skip(skip)
                .take(size)
                .collect();
            return Response::json(200, &json!({ "things": shown }));
        }
        let answer = self.shelf.answer(&asked);
        self.clock += 1;
        let at = 1_795_000_000 + self.clock;
        match asked.method {
            Method::Post => self.shelf.things.last_mut().expect("it was made")["at"] = json!(at),
            Method::Patch => self.touch(asked.path.last().expect("it has an id"), at),
            _ => return answer,
        }
        answer
    }

    fn touch(&mut self, id: &str, at: i64) {
        if let Some(thing) = self.shelf.things.iter_mut().find(|thing| thing["id"] == id) {
            thing["at"] = json!(at);
        }
    }
}

#[test]
fn conform() {
    let mut desk = Desk::default();
    conforms(
        &document("\n      page_size: { per_page: 100 }\n      cap: 100"),
        &[],
        "things",
        script(),
        &mut |request| desk.answer(request),
    );
}

/// What a walk shows in which a record of the page that was just read changes before the next one, each time.
fn shown(document: &str) -> BTreeSet<String> {
    let mut desk = Desk { clock: 100, ..Desk::default() };
    desk.shelf.things = (1..=9).map(|n| json!({"id": format!("t{n}"), "at": 1_795_000_000 + n})).collect();
    let connector = connect(document, &[]);
    let things = resource(&connector, "things");
    let (mut shown, mut page): (_, Option<PageCursor>) = (BTreeSet::new(), None);
    for _ in 0..20 {
        let since = Timestamp::from_timestamp(1_795_000_000, 0).expect("a moment");
        let mut exchange = things.start(Operation::Since { since, page }).expect("it is asked");
        let asked = call(&mut exchange, None).request;
        let answer = desk.answer(&asked);
        let Outcome::Page(read) = end(&mut exchange, answer) else { panic!("a page") };
        shown.extend(read.items.iter().map(|seen| seen.id.as_str().to_owned()));
        if let (Some(first), ..=3) = (read.items.first(), desk.clock - 100) {
            desk.clock += 1;
            desk.touch(first.id.as_str(), 1_795_000_000 + desk.clock);
        }
        match read.next {
            Some(next) => page = Some(next),
            None => return shown,
        }
    }
    panic!("the list does not end")
}

#[test]
fn a_record_that_changes_meanwhile_moves_no_other_out_of_sight() {
    assert_eq!(shown(&document("\n      cap: 3")).len(), 9);
    assert!(shown(&document("")).len() < 9, "by number alone, somebody is not seen: hence the warning");
}

#[test]
fn numbers_alone_are_warned_of() {
    let codes = |more: &str| -> Vec<(Code, Severity)> {
        let loaded = load(&[SourceFile::new("desk.yaml", document(more))], &[]);
        loaded.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
    };
    assert_eq!(codes("\n      cap: 3"), []);
    for more in ["", "\n      cap: 300", "\n      pages: { offset: { query: from } }"] {
        assert_eq!(codes(more), [(Code::M310, Severity::Warning)], "{more}");
    }
    assert_eq!(codes("\n      pages: { cursor: { query: after, value: $.next } }"), []);
}

#[test]
fn many_records_of_one_moment_end_the_list_unless_they_fill_a_page() {
    let things = resource(&connect(&document("\n      cap: 3"), &[]), "things");
    let walk = |records: i64| {
        let mut desk = Desk::default();
        desk.shelf.things =
            (1..=records).map(|n| json!({"id": format!("t{n}"), "at": 1_795_000_009})).collect();
        let (mut page, mut met) = (None, 0);
        for _ in 0..9 {
            let since = Timestamp::from_timestamp(1_795_000_000, 0).expect("a moment");
            let mut exchange = things.start(Operation::Since { since, page }).expect("it is asked");
            let asked = call(&mut exchange, None).request;
            match end(&mut exchange, desk.answer(&asked)) {
                Outcome::Page(read) => {
                    met = met.max(read.items.len());
                    match read.next {
                        Some(next) => page = Some(next),
                        None => return Ok(met),
                    }
                }
                Outcome::Failed(failure) => return Err(failure.class),
                other => panic!("ended in {other:?}"),
            }
        }
        panic!("the list does not end")
    };
    assert_eq!(walk(2), Ok(2));
    assert_eq!(walk(4), Err(ErrorClass::Expired), "only a complete walk sees them all");
}
