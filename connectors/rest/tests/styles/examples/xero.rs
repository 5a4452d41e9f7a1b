//! Xero's contacts, by `examples/xero.yaml`.

use crate::stage::{Asked, Script, conforms, members};
use crate::support::path;
use bothways_model::{Method, Request, Response, Segment, SingularPath};
use serde_json::{Value as Json, json};

const DOCUMENT: &str = include_str!("../../../examples/xero.yaml");
const VARS: [(&str, &str); 3] =
    [("XERO_TENANT", "org-1"), ("XERO_TOKEN", "token-1"), ("XERO_BASE_URL", "https://xero.example")];

/// The service, as its documentation shows it: every contact has its four phones and two addresses, empty ones too.
#[derive(Default)]
struct Xero(Vec<Json>);

impl Xero {
    fn answer(&mut self, request: &Request) -> Response {
        let token = request.secret_headers.iter().find(|(name, _)| name == "authorization");
        if token.is_none_or(|(_, token)| token.expose() != "Bearer token-1")
            || request.header("xero-tenant-id") != Some("org-1")
        {
            return Response::json(401, &json!({"Title": "Unauthorized"}));
        }
        let asked = Asked::read(request);
        let path: Vec<&str> = asked.path.iter().skip(2).map(String::as_str).collect();
        match (asked.method, path.as_slice()) {
            (Method::Get, ["Organisation"]) => {
                Response::json(200, &json!({"Organisations": [{"OrganisationID": "o1"}]}))
            }
            (Method::Get, ["Contacts"]) => {
                let number = |name: &str| asked.query.get(name).and_then(|n| n.parse::<usize>().ok());
                let shown: Vec<&Json> = match asked.query.get("where") {
                    Some(filter) => match named(filter) {
                        Some(name) => self.0.iter().filter(|c| c["Name"] == name && is_active(c)).collect(),
                        None => return invalid("the filter cannot be parsed"),
                    },
                    None => {
                        let (page, size) = (number("page").unwrap_or(1), number("pageSize").unwrap_or(100));
                        self.0.iter().skip((page - 1) * size).take(size).collect()
                    }
                };
                Response::json(200, &json!({"Status": "OK", "Contacts": shown}))
            }
            (Method::Get, ["Contacts", id]) => match self.at(id) {
                Some(at) => self.shown(at),
                None => missing(),
            },
            (Method::Put, ["Contacts"]) => {
                let sent = &asked.body["Contacts"][0];
                if self.0.iter().any(|c| c["Name"] == sent["Name"] && is_active(c)) {
                    return invalid("The contact name is already assigned to another contact");
                }
                let phones = ["DEFAULT", "DDI", "FAX", "MOBILE"]
                    .map(|kind| json!({"PhoneType": kind, "PhoneNumber": ""}));
                let addresses = ["STREET", "POBOX"].map(|kind| json!({"AddressType": kind, "City": ""}));
                self.0.push(json!({
                    "ContactID": format!("c-{}", self.0.len()), "ContactStatus": "ACTIVE", "Phones": phones, "Addresses": addresses
                }));
                self.write(self.0.len() - 1, sent)
            }
            (Method::Post, ["Contacts", id]) => match self.at(id) {
                Some(at) => self.write(at, &asked.body["Contacts"][0]),
                None => missing(),
            },
            _ => missing(),
        }
    }

    fn at(&self, id: &str) -> Option<usize> {
        self.0.iter().position(|contact| contact["ContactID"] == id)
    }

    fn write(&mut self, at: usize, sent: &Json) -> Response {
        for (name, value) in members(sent) {
            match (name.as_str(), value) {
                ("Phones", Json::Array(phones)) => merge(&mut self.0[at]["Phones"], "PhoneType", &phones),
                ("Addresses", Json::Array(all)) => merge(&mut self.0[at]["Addresses"], "AddressType", &all),
                (_, value) => self.0[at][name] = value,
            }
        }
        self.shown(at)
    }

    fn shown(&self, at: usize) -> Response {
        Response::json(200, &json!({"Id": "a1", "Status": "OK", "Contacts": [self.0[at]]}))
    }
}

fn merge(known: &mut Json, kind: &str, sent: &[Json]) {
    for one in sent {
        let same = known.as_array_mut().and_then(|all| all.iter_mut().find(|k| k[kind] == one[kind]));
        let same = same.expect("a type that there is");
        for (name, value) in members(one) {
            same[name] = value;
        }
    }
}

/// The name in `Name=="…"`.
fn named(filter: &str) -> Option<String> {
    serde_json::from_str(filter.strip_prefix("Name==")?).ok()
}

fn is_active(contact: &Json) -> bool {
    contact["ContactStatus"] == "ACTIVE"
}

fn missing() -> Response {
    Response {
        status: 404,
        headers: Vec::new(),
        body: b"The resource you're looking for cannot be found".to_vec(),
    }
}

fn invalid(why: &str) -> Response {
    Response::json(400, &json!({"ErrorNumber": 10, "Elements": [{"ValidationErrors": [{"Message": why}]}]}))
}

fn phone(kind: &str) -> SingularPath {
    let element = Segment::Element { name: "PhoneType".into(), is: kind.into() };
    SingularPath(vec![Segment::Name("Phones".into()), element, Segment::Name("PhoneNumber".into())])
}

#[test]
fn conform() {
    let mut xero = Xero::default();
    let script = Script {
        records: 103,
        record: &|n| {
            vec![
                (path(&["Name"]), json!(format!("O'Neil & \"Sons\" \\ {n}"))),
                (path(&["EmailAddress"]), json!(format!("a{n}@example.com"))),
                (phone("DDI"), json!("030")),
            ]
        },
        change: vec![(path(&["FirstName"]), json!("Ann")), (phone("MOBILE"), json!("555"))],
    };
    conforms(DOCUMENT, &VARS, "contacts", script, &mut |request| xero.answer(request));
    let last = xero.0.last().expect("there are contacts");
    let numbers: Vec<&Json> =
        last["Phones"].as_array().expect("a list").iter().map(|p| &p["PhoneNumber"]).collect();
    assert_eq!(numbers, ["", "030", "", "555"], "one phone was changed, and the others stayed");
}
