//! Times in UTC that do not say so.
//!
//! WooCommerce (`date_modified_gmt`), Xero's dates, Pipedrive's older API and much that hands out what its database holds are so.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, conforms};
use crate::support::{answered, connect, resource};
use bothways_connector::{Operation, Outcome};
use bothways_model::{Method, Response, Timestamp};
use serde_json::{Value as Json, json};

fn document() -> String {
    format!(
        r#"
connector: shop
http: {{ base_url: "https://shop.example" }}
lists: {{ items: $.things, pages: {{ page: {{ query: page }} }} }}
resources:
  things:{CALLS}
    list: GET /things
    changed_at: {{ path: $.changed_gmt, as: utc }}
    since:
      call: GET /things/changed
      query: {{ after: "{{since}}" }}
      pages: none
      cursor: {{ path: $.changed_gmt, as: utc, lag: 1s }}
"#
    )
}

#[test]
fn conform() {
    let mut shelf = Shelf::default();
    conforms(&document(), &[], "things", script(), &mut |request| {
        let asked = Asked::read(request);
        if let (Method::Get, ["things", "changed"]) = (asked.method, asked.call().1.as_slice()) {
            // As text: with an offset behind it this would compare as something else.
            let after = asked.query.get("after").expect("it is asked for").as_str();
            assert_eq!(after.len(), "2026-11-18T11:06:39".len(), "{after}");
            let changed = |thing: &&Json| thing["changed_gmt"].as_str() >= Some(after);
            let shown: Vec<&Json> = shelf.things.iter().filter(changed).collect();
            return Response::json(200, &json!({ "things": shown }));
        }
        if let (Method::Get, ["things"]) = (asked.method, asked.call().1.as_slice()) {
            let page = asked.query.get("page").and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
            return Response::json(200, &json!({"things": shelf.some((page - 1) * 3, 3)}));
        }
        let answer = shelf.answer(&asked);
        for thing in &mut shelf.things {
            thing["changed_gmt"] = json!("2026-11-18T11:06:40");
        }
        answer
    });
}

#[test]
fn are_read_as_utc() {
    let read = |text: &str| {
        let things = resource(&connect(&document(), &[]), "things");
        let reading = things.start(Operation::Get { id: "t1".into() }).expect("it is asked");
        match answered(reading, Response::json(200, &json!({"id": "t1", "changed_gmt": text}))) {
            Outcome::Record(seen) => seen.changed_at,
            other => panic!("ended in {other:?}"),
        }
    };
    let moment = Timestamp::from_timestamp(1_795_000_000, 0);
    for text in ["2026-11-18T11:06:40", "2026-11-18 11:06:40", "2026-11-18T11:06:40.000"] {
        assert_eq!(read(text), moment, "{text}");
    }
    assert_eq!(read("yesterday"), None);
}
