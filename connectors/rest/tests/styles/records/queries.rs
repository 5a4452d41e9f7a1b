//! Natural keys inside query languages: what is looked up stays one value, whatever quotes and words it holds.

use crate::stage::{Asked, Script, conforms, members, missing};
use crate::support::{connect, path, resource};
use bothways_connector::Operation;
use bothways_model::{ErrorClass, Method, Request, Response};
use serde_json::{Value as Json, json};

fn document(query: &str, language: &str) -> String {
    format!(
        r#"
connector: desk
http: {{ base_url: "https://desk.example" }}
lists: {{ items: $.records, pages: {{ offset: {{ query: skip }} }} }}
resources:
  people:
    id: $.Id
    list: GET /people
    get: GET /people/{{id}}
    find: {{ $.Name: {{ call: GET /query, query: {{ q: "{query}" }}, escape: {language}, consistent: true }} }}
    create: POST /people
    update: PATCH /people/{{id}}
"#
    )
}

/// The service. Its queries are text before and after one literal, which it reads by the rules of its language.
struct Desk {
    before: &'static str,
    after: &'static str,
    literal: fn(&str) -> Option<(String, &str)>,
    people: Vec<Json>,
}

impl Desk {
    fn answer(&mut self, request: &Request) -> Response {
        let asked = Asked::read(request);
        match asked.call() {
            (Method::Get, path) if path == ["query"] => {
                let query = asked.query.get("q").and_then(|q| q.strip_prefix(self.before));
                match query.and_then(self.literal) {
                    Some((value, rest)) if rest == self.after => {
                        let found: Vec<&Json> = self.people.iter().filter(|p| p["Name"] == value).collect();
                        Response::json(200, &json!({"records": found}))
                    }
                    _ => Response::json(400, &json!({"error": "the query cannot be read"})),
                }
            }
            (Method::Get, path) if path == ["people"] => {
                let skip = asked.query.get("skip").and_then(|n| n.parse().ok()).unwrap_or(0);
                let page: Vec<&Json> = self.people.iter().skip(skip).take(4).collect();
                Response::json(200, &json!({"records": page}))
            }
            (Method::Post, path) if path == ["people"] => {
                let mut person = members(&asked.body);
                person.insert("Id".into(), json!(format!("p{}", self.people.len())));
                self.people.push(Json::Object(person.clone()));
                Response::json(201, &Json::Object(person))
            }
            (method, path) if path.len() == 2 => {
                let person = self.people.iter_mut().find(|p| p["Id"] == path[1]);
                match (method, person) {
                    (Method::Get, Some(person)) => Response::json(200, person),
                    (Method::Patch, Some(person)) => {
                        for (name, value) in members(&asked.body) {
                            person[name] = value;
                        }
                        Response::json(200, person)
                    }
                    _ => missing(),
                }
            }
            _ => missing(),
        }
    }
}

/// `'…'` with backslashes.
fn soql(text: &str) -> Option<(String, &str)> {
    backslashed(text, '\'')
}

/// `"…"` with backslashes.
fn lucene(text: &str) -> Option<(String, &str)> {
    backslashed(text, '"')
}

fn backslashed(text: &str, quote: char) -> Option<(String, &str)> {
    let inner = text.strip_prefix(quote)?;
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in inner.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            c if c == quote && !escaped => return Some((value, inner.get(at + 1..)?)),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    None
}

/// `'…'` with `''` inside.
fn sql(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let (piece, after) = rest.split_once('\'')?;
        value.push_str(piece);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

const NAMES: [&str; 6] = [
    "O'Neil",
    "' OR Name != '",
    "\" OR \"\"=\"",
    "100 % of_it (a*b?) && NOT x:y",
    "Ångström/Σ😀 --",
    "'; DROP TABLE people; --",
];

fn conform(mut desk: Desk, document: &str) {
    let script = Script {
        records: NAMES.len(),
        record: &|n| vec![(path(&["Name"]), json!(NAMES[n]))],
        change: vec![(path(&["Phone"]), json!("1"))],
    };
    conforms(document, &[], "people", script, &mut |request| desk.answer(request));
}

#[test]
fn conform_in_soql() {
    let desk = Desk {
        before: "SELECT FIELDS(ALL) FROM Person WHERE Name = ",
        after: " LIMIT 2",
        literal: soql,
        people: vec![],
    };
    conform(desk, &document("SELECT FIELDS(ALL) FROM Person WHERE Name = {value} LIMIT 2", "soql"));
}

#[test]
fn conform_in_sql() {
    let desk = Desk { before: "select * from people where name = ", after: "", literal: sql, people: vec![] };
    conform(desk, &document("select * from people where name = {value}", "sql"));
}

#[test]
fn conform_in_lucene() {
    let desk = Desk { before: "type:person name:", after: "", literal: lucene, people: vec![] };
    conform(desk, &document("type:person name:{value}", "lucene"));
}

#[test]
fn what_a_language_cannot_say_is_not_sent() {
    let find = |language: &str, value: &str| {
        let connector = connect(&document("Name = {value}", language), &[]);
        let operation = Operation::Find { path: path(&["Name"]), value: value.into() };
        resource(&connector, "people").start(operation).err().map(|failure| failure.class)
    };
    assert_eq!(find("sql", r"\' OR 1=1 --"), Some(ErrorClass::Invalid));
    assert_eq!(find("soql", r"\' OR 1=1 --"), None);
    for language in ["soql", "sql", "lucene"] {
        assert_eq!(find(language, "a\0b"), Some(ErrorClass::Invalid));
    }
}
