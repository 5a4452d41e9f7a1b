//! Records that hold the id of a stage, where people know the stage by its name: the names are in another list.

use crate::shelf::{CALLS, Shelf, script};
use crate::stage::{Asked, Script, conforms};
use crate::support::{call, connect, end, path};
use bothways_connector::{Connector, Operation, Outcome, Resource, ResourceQuery, Step};
use bothways_connector_rest::RestConnector;
use bothways_model::{ErrorClass, Failure, Observed, Request, Response};
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn document() -> String {
    format!(
        r#"
connector: pipe
http: {{ base_url: "https://pipe.example" }}
lists: {{ items: $.data, pages: {{ page: {{ query: page }} }} }}
resources:
  stages: {{ id: $.id, gone: "@.archived == true", list: GET /stages }}
  things:{CALLS}
    list: GET /things
    lookups: {{ $.stage: {{ from: $.stage_id, resource: stages, name: $.label }} }}
"#
    )
}

/// The service: things on a shelf, which hold the numbers of stages.
#[derive(Default)]
struct Pipe {
    shelf: Shelf,
    stages: Vec<Json>,
}

fn stage(id: u64, label: &str) -> Json {
    json!({"id": id, "label": label})
}

impl Pipe {
    fn with(stages: Vec<Json>) -> Self {
        Self { stages, shelf: Shelf::default() }
    }

    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        assert!(!request.body.windows(7).any(|w| w == b"\"stage\""), "the service knows no such field");
        let page = asked.query.get("page").and_then(|n| n.parse().ok()).unwrap_or(1) - 1;
        let shown: Vec<&Json> = match asked.path[0].as_str() {
            "stages" => self.stages.iter().skip(page * 2).take(2).collect(),
            _ if asked.path.len() == 1 && request.body.is_empty() => self.shelf.some(page * 3, 3),
            _ => return self.shelf.answer(&asked),
        };
        Response::json(200, &json!({ "data": shown }))
    }

    /// Sees an operation through; what it asked for, in order.
    fn run(
        &mut self,
        things: &dyn Resource,
        operation: Operation,
    ) -> Result<(Outcome, Vec<String>), Failure> {
        let mut exchange = things.start(operation)?;
        let (mut answer, mut asked) = (None, Vec::new());
        loop {
            match exchange.next(answer.take()) {
                Step::Call(call) => {
                    asked.push(call.request.url["https://pipe.example".len()..].to_owned());
                    answer = Some(self.answer(&call.request));
                }
                Step::Done(outcome) => return Ok((outcome, asked)),
                Step::Renew(_) => panic!("there are no tokens"),
            }
        }
    }

    fn get(&mut self, things: &dyn Resource) -> Observed {
        match self.run(things, get()) {
            Ok((Outcome::Record(seen), _)) => seen,
            other => panic!("ended in {other:?}"),
        }
    }
}

fn get() -> Operation {
    Operation::Get { id: "t1".into() }
}

fn update(name: Json) -> Operation {
    let (id, key) = ("t1".into(), "k".into());
    Operation::Update { id, fields: vec![(path(&["stage"]), name)], key, seen: None, version: None }
}

/// What a mapping that writes the stage's name has.
fn things(connector: &RestConnector) -> Arc<dyn Resource> {
    let paths = vec![path(&["stage"])];
    let query =
        ResourceQuery { name: "things".into(), written: paths.clone(), paths, ..ResourceQuery::default() };
    connector.resource(&query).expect("it is there")
}

fn refused(result: Result<(Outcome, Vec<String>), Failure>) -> Failure {
    result.expect_err("nothing is sent")
}

#[test]
fn conform() {
    let mut pipe = Pipe::with(vec![stage(1, "New"), stage(2, "Won"), stage(3, "Lost")]);
    let record = |n: usize| [(script().record)(n), vec![(path(&["stage"]), json!("New"))]].concat();
    let change = vec![(path(&["stage"]), json!("Lost"))];
    let script = Script { records: 7, record: &record, change };
    conforms(&document(), &[], "things", script, &mut |request| pipe.answer(request));
    let stages: Vec<&Json> = pipe.shelf.things.iter().map(|thing| &thing["stage_id"]).collect();
    assert!(stages.iter().all(|stage| **stage == 1), "numbers stay numbers: {stages:?}");
}

#[test]
fn a_list_that_changes_is_read_again() {
    let mut pipe = Pipe::with(vec![stage(1, "New"), stage(2, "Won")]);
    pipe.shelf.things.push(json!({"id": "t1", "stage_id": 1}));
    let things = things(&connect(&document(), &[]));
    assert!(things.capabilities().update_overwrites, "so that a record is read right before it is written");
    assert_eq!(
        refused(pipe.run(&*things, update(json!("New")))).class,
        ErrorClass::Retry,
        "nothing was read yet"
    );
    assert_eq!(pipe.get(&*things).body["stage"], "New");

    // The stages change their names; the one that is meant is the one that is called so now.
    pipe.stages = vec![stage(1, "Won"), stage(2, "Old"), stage(3, "New")];
    assert_eq!(pipe.get(&*things).body["stage"], "Won");
    pipe.run(&*things, update(json!("New"))).expect("it is sent");
    assert_eq!(pipe.shelf.things[0]["stage_id"], 3);
    pipe.run(&*things, update(json!(null))).expect("it is sent");
    assert_eq!(pipe.shelf.things[0]["stage_id"], json!(null));
    assert_eq!(pipe.get(&*things).body["stage"], json!(null));
}

#[test]
fn what_the_list_does_not_say_is_refused() {
    let archived = json!({"id": 4, "label": "Cold", "archived": true});
    let mut pipe = Pipe::with(vec![stage(1, "Same"), stage(2, "Same"), stage(3, "Won"), archived]);
    pipe.shelf.things.push(json!({"id": "t1", "stage_id": 4}));
    let things = things(&connect(&document(), &[]));
    assert_eq!(pipe.get(&*things).body["stage"], "Cold", "old records keep it");
    for (name, what) in
        [("Nowhere", "no entry"), ("Cold", "no entry"), ("won", "no entry"), ("Same", "several")]
    {
        let failure = refused(pipe.run(&*things, update(json!(name))));
        assert_eq!(failure.class, ErrorClass::Invalid);
        assert!(failure.message.contains(what) && failure.message.contains("`stages`"), "{failure}");
        assert!(!failure.message.contains(name), "values are not told: {failure}");
    }
    assert_eq!(pipe.shelf.things[0]["stage_id"], 4);
}

#[test]
fn an_id_that_is_not_listed_is_no_name() {
    let mut pipe = Pipe::with(vec![stage(1, "New")]);
    pipe.shelf.things =
        vec![json!({"id": "t1", "stage_id": 9}), json!({"id": "t2", "stage_id": "1"}), json!({"id": "t3"})];
    let things = things(&connect(&document(), &[]));
    let shown = pipe.get(&*things).body["stage"].clone();
    assert!(shown.is_object(), "neither a guess nor a null: {shown}");
    match pipe.run(&*things, Operation::List { page: None }).expect("it is asked").0 {
        Outcome::Page(page) => {
            let names: Vec<Option<&Json>> = page.items.iter().map(|seen| seen.body.get("stage")).collect();
            assert_eq!(
                names,
                [Some(&shown), Some(&json!("New")), None],
                "the others have theirs; absent stays absent"
            );
        }
        other => panic!("ended in {other:?}"),
    }
    // A write is accepted all the same; its record is read again, which says why.
    let written = pipe.run(&*things, update(json!("New"))).expect("it is sent").0;
    assert!(matches!(written, Outcome::Record(seen) if seen.body["stage"] == "New"));
    pipe.stages = vec![stage(2, "Other")];
    pipe.get(&*things);
    pipe.stages.clear();
    let odd = Operation::Update {
        id: "t1".into(),
        fields: vec![(path(&["name"]), json!("x"))],
        key: "k".into(),
        seen: None,
        version: None,
    };
    assert!(
        matches!(pipe.run(&*things, odd), Ok((Outcome::Written { id: Some(id) }, _)) if id.as_str() == "t1")
    );
}

#[test]
fn a_mapping_reads_no_more_than_it_uses() {
    let mut pipe = Pipe::with(vec![stage(1, "New")]);
    pipe.shelf.things.push(json!({"id": "t1", "stage_id": 1}));
    let connector = connect(&document(), &[]);
    let plain = connector
        .resource(&ResourceQuery { name: "things".into(), ..ResourceQuery::default() })
        .expect("there");
    assert_eq!(pipe.run(&*plain, get()).expect("asked").1, ["/things/t1"]);
    let only_in =
        ResourceQuery { name: "things".into(), paths: vec![path(&["stage"])], ..ResourceQuery::default() };
    let only_in = connector.resource(&only_in).expect("there");
    assert_eq!(
        pipe.run(&*only_in, get()).expect("asked").1,
        ["/things/t1", "/stages?page=1", "/stages?page=2"]
    );
    assert_eq!(
        pipe.run(&*only_in, get()).expect("asked").1,
        ["/things/t1"],
        "it is known, and nothing is written by it"
    );
}

#[test]
fn a_list_that_cannot_be_read_says_nothing_about_the_record() {
    let things = things(&connect(&document(), &[]));
    for (status, class) in
        [(404, ErrorClass::Invalid), (403, ErrorClass::Forbidden), (503, ErrorClass::Retry)]
    {
        let mut exchange = things.start(get()).expect("it is asked");
        call(&mut exchange, None);
        call(&mut exchange, Some(Response::json(200, &json!({"id": "t1", "stage_id": 1}))));
        match end(&mut exchange, Response::json(status, &json!({}))) {
            Outcome::Failed(failure) => {
                assert_eq!(failure.class, class);
                assert!(failure.message.contains("`stages`"), "{failure}");
            }
            other => panic!("ended in {other:?}"),
        }
    }
}

#[test]
fn a_long_list_belongs_in_a_table() {
    let mut pipe = Pipe::with((0..40).map(|n| stage(n, "x")).collect());
    pipe.shelf.things.push(json!({"id": "t1", "stage_id": 1}));
    match pipe.run(&*things(&connect(&document(), &[])), get()).expect("it is asked").0 {
        Outcome::Failed(failure) => {
            assert_eq!(failure.class, ErrorClass::Invalid);
            assert!(failure.message.contains("ref"), "{failure}");
        }
        other => panic!("ended in {other:?}"),
    }
}
