//! Records in which a field that is empty is left out.
//!
//! Stripe's metadata, Airtable's fields and QuickBooks' records are so: what is absent below a path that the document calls sparse is null.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, Script, conforms};
use crate::support::path;
use bothways_model::{Method, Response};
use serde_json::{Value as Json, json};

fn document(sparse: &str) -> String {
    format!(
        r#"
connector: grid
http: {{ base_url: "https://grid.example" }}
lists: {{ items: $.things, pages: {{ page: {{ query: page }} }} }}
resources:
  things:{CALLS}
    list: GET /things
    sparse: [{sparse}]
"#
    )
}

fn conforms_with(sparse: &str) {
    let mut shelf = Shelf::default();
    let record = |n: usize| [(script().record)(n), vec![(path(&["colour"]), json!("blue"))]].concat();
    let change = vec![(path(&["colour"]), Json::Null), (path(&["size"]), json!(3))];
    conforms(
        &document(sparse),
        &[],
        "things",
        Script { records: 7, record: &record, change },
        &mut |request| {
            let asked = Asked::read(request);
            if let (Method::Get, ["things"]) = (asked.method, asked.call().1.as_slice()) {
                let page = asked.query.get("page").and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
                return Response::json(200, &json!({"things": shelf.some((page - 1) * 3, 3)}));
            }
            let answer = shelf.answer(&asked);
            for thing in shelf.things.iter_mut().filter_map(Json::as_object_mut) {
                thing.retain(|_, value| !value.is_null());
            }
            answer
        },
    );
}

#[test]
fn conform_where_a_cleared_field_is_left_out() {
    conforms_with("$");
}

#[test]
#[should_panic(expected = "not `sparse`")]
fn do_not_conform_where_the_document_does_not_say_so() {
    conforms_with("$.metadata");
}
