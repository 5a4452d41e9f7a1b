//! Up to 200 records in one call, each judged by itself: the answer is 200 also when items failed, its results are in the order of the
//! records, and nothing of one is undone for another (`allOrNone` is false).
//!
//! Updates by id, upserts by external id and reads of the same fields go together, of one object: the platform splits a call into chunks
//! where the object changes, and takes ten of them. The body of a record's own request is its item, byte for byte. What has a condition
//! (`If-Match`) goes alone: a call has one for all of its records. Lookups by a value are one query (`finds`).

use crate::finds::Find;
use crate::{finds, ids, names};
use bothways_connector::{Collections, Part, Place};
use bothways_model::{Method, RemoteId, Request, Response};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// The platform's limit.
const MOST: usize = 200;

/// What a record is told of more fully by a call of its own (which records are like it), or may have failed at only in company: triggers
/// that are not written for many records run into the limits of the platform, and then all of them fail.
const ALONE: [&str; 5] = [
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "DUPLICATES_DETECTED",
    "DUPLICATE_EXTERNAL_ID",
    "INVALID_CROSS_REFERENCE_KEY",
    "UNKNOWN_EXCEPTION",
];

/// The calls of one organisation.
pub(crate) struct Together {
    base_url: String,
}

/// What a request does, where it may go with others.
enum Act<'r> {
    /// `GET /sobjects/{object}/{id}?fields={fields}`
    Get { object: &'r str, id: &'r str, query: &'r str },
    /// `PATCH /sobjects/{object}/{id}`
    Update { object: &'r str, id: &'r str },
    /// `PATCH /sobjects/{object}/{field}/{key}`
    Upsert { object: &'r str, field: &'r str, key: &'r str },
}

/// The answer about a record that is not there, as if it had been asked for alone.
const NOT_THERE: &str = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;

/// A record that was read.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Id")]
    id: String,
}

/// What became of one write.
#[derive(Deserialize)]
struct Written {
    id: Option<String>,
    success: bool,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    errors: Vec<WriteError>,
}

#[derive(Deserialize)]
struct WriteError {
    #[serde(rename = "statusCode")]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: Vec<String>,
}

impl Together {
    pub(crate) fn new(base_url: &str) -> Self {
        Self { base_url: base_url.to_owned() }
    }

    fn read<'r>(&self, request: &'r Request) -> Option<Act<'r>> {
        if request.headers.iter().any(|(name, _)| name.starts_with("if-")) {
            return None;
        }
        let path = request.url.strip_prefix(&self.base_url)?.strip_prefix("/sobjects/")?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method, parts.as_slice()) {
            (Method::Get, [object, id]) if names::is_name(object) && ids::is_id(id) => {
                fields(query).is_some().then_some(Act::Get { object, id, query })
            }
            (Method::Patch, _) if !query.is_empty() || item(request).is_none() => None,
            (Method::Patch, [object, id]) if names::is_name(object) && ids::is_id(id) => {
                Some(Act::Update { object, id })
            }
            (Method::Patch, [object, field, key])
                if names::is_name(object) && names::is_name(field) && is_plain(key) =>
            {
                Some(Act::Upsert { object, field, key })
            }
            _ => None,
        }
    }
}

impl Collections for Together {
    fn most(&self) -> usize {
        MOST
    }

    fn place(&self, request: &Request) -> Option<Place> {
        if let Some(find) = finds::read(&self.base_url, request) {
            return Some(find.place());
        }
        let (call, record) = match self.read(request)? {
            Act::Get { object, id, query } => (format!("{object}?{query}"), id),
            Act::Update { object, id } => (object.to_owned(), id),
            Act::Upsert { object, field, key } => (format!("{object}/{field}"), key),
        };
        Some(Place { call, record: record.to_owned() })
    }

    fn gather(&self, requests: &[&Request]) -> Option<Request> {
        let last = *requests.last()?;
        if let Some(finds) = self.finds(requests) {
            return Some(Request { url: finds::gather(&self.base_url, &finds)?, ..last.clone() });
        }
        let at = format!("{}/composite/sobjects", self.base_url);
        let (url, body) = match self.read(last)? {
            Act::Get { object, query, .. } => {
                (format!("{at}/{object}"), self.ids(requests, &fields(query)?)?)
            }
            Act::Update { .. } => (at, self.records(requests)?),
            Act::Upsert { object, field, .. } => (format!("{at}/{object}/{field}"), self.records(requests)?),
        };
        let mut request = Request { url, body: body.into_bytes(), ..last.clone() };
        if request.method == Method::Get {
            // A read whose ids do not fit into an address.
            request.method = Method::Post;
            request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Some(request)
    }

    fn part(&self, requests: &[&Request], answer: &Response) -> Vec<Part> {
        match answer.status {
            200..=299 => {}
            // Not about the records, so it is everybody's; or whether it was carried out is unknown.
            401 | 403 | 408 | 429 | 500.. => {
                return requests.iter().map(|_| Part::Answer(answer.clone())).collect();
            }
            // The fields and the object are the same for all of them.
            400 if is_about_names(answer) => {
                return requests.iter().map(|_| Part::Answer(answer.clone())).collect();
            }
            // One of them may have spoilt it for all: one value of the wrong kind does.
            _ => return requests.iter().map(|_| Part::Alone).collect(),
        }
        if let Some(finds) = self.finds(requests) {
            return finds::part(&finds, answer);
        }
        let items: Vec<&RawValue> = serde_json::from_slice(&answer.body).unwrap_or_default();
        if items.len() != requests.len() {
            // Which results are missing cannot be told, and so not whose the others are.
            return requests.iter().map(|_| Part::Silence).collect();
        }
        let parts = requests.iter().zip(items).map(|(request, item)| self.part_of(request, item, answer));
        parts.collect()
    }
}

impl Together {
    /// These requests, if they are lookups.
    fn finds<'r>(&self, requests: &[&'r Request]) -> Option<Vec<Find<'r>>> {
        requests.iter().map(|request| finds::read(&self.base_url, request)).collect()
    }

    /// The body that reads these records.
    fn ids(&self, requests: &[&Request], fields: &[String]) -> Option<String> {
        let id = |request: &&Request| match self.read(request)? {
            Act::Get { id, .. } => Some(id.to_owned()),
            _ => None,
        };
        let ids: Vec<String> = requests.iter().map(id).collect::<Option<_>>()?;
        Some(json!({ "ids": ids, "fields": fields }).to_string())
    }

    /// The body that writes these records. Names, ids and keys hold nothing that would have to be escaped.
    fn records(&self, requests: &[&Request]) -> Option<String> {
        let mut body = String::from(r#"{"allOrNone":false,"records":["#);
        for (at, request) in requests.iter().enumerate() {
            let (object, name, value) = match self.read(request)? {
                Act::Update { object, id } => (object, "Id", id),
                Act::Upsert { object, field, key } => (object, field, key),
                Act::Get { .. } => return None,
            };
            let fields = item(request)?;
            body.push_str(if at == 0 { "" } else { "," });
            body.push_str(&format!(r#"{{"attributes":{{"type":"{object}"}},"{name}":"{value}""#));
            body.push_str(if fields == "}" { "" } else { "," });
            body.push_str(fields);
        }
        body.push_str("]}");
        Some(body)
    }

    fn part_of(&self, request: &Request, item: &RawValue, answer: &Response) -> Part {
        let Some(act) = self.read(request) else { return Part::Silence };
        let told = |status: u16, body: &[u8]| {
            Part::Answer(Response { status, headers: answer.headers.clone(), body: body.to_vec() })
        };
        let is_of = |id: &str, told: &str| ids::normal(&RemoteId(told.to_owned())).as_str() == id;
        if let Act::Get { id, .. } = act {
            return match serde_json::from_str::<Option<Named>>(item.get()) {
                Ok(None) => told(404, NOT_THERE.as_bytes()),
                Ok(Some(named)) if is_of(id, &named.id) => told(200, item.get().as_bytes()),
                _ => Part::Silence,
            };
        }
        let Ok(result) = serde_json::from_str::<Written>(item.get()) else { return Part::Silence };
        match (result.success, result.errors.first(), act) {
            (true, None, Act::Update { id, .. }) => match result.id {
                // Another record's result.
                Some(other) if !is_of(id, &other) => Part::Silence,
                _ => told(204, &[]),
            },
            (true, None, Act::Upsert { .. }) if result.id.is_some() => {
                told(if result.created { 201 } else { 200 }, item.get().as_bytes())
            }
            (false, Some(error), _) if ALONE.contains(&error.code.as_str()) => Part::Alone,
            (false, Some(WriteError { code, message, fields }), _) => {
                let error = json!([{ "message": message, "errorCode": code, "fields": fields }]);
                told(400, error.to_string().as_bytes())
            }
            _ => Part::Silence,
        }
    }
}

/// What `fields={fields}` lists; `None` if the query is another one.
fn fields(query: &str) -> Option<Vec<String>> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (name, list) = pairs.next()?;
    let fields: Vec<String> = list.split(',').map(str::to_owned).collect();
    (name == "fields" && pairs.next().is_none() && fields.iter().all(|field| names::is_name(field)))
        .then_some(fields)
}

/// Whether a field or an object is not there (any more), or not for this user.
fn is_about_names(answer: &Response) -> bool {
    let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let code =
        body.as_ref().and_then(|body| body.pointer("/0/errorCode")).and_then(serde_json::Value::as_str);
    matches!(code, Some("INVALID_FIELD" | "INVALID_TYPE"))
}

/// The fields of a record's request behind the opening brace; `None` if the body is no JSON object as connectors write one.
fn item(request: &Request) -> Option<&str> {
    let body = std::str::from_utf8(&request.body).ok()?;
    if request.secret_body.is_some() || !request.secret_query.is_empty() || !body.ends_with('}') {
        return None;
    }
    body.strip_prefix('{')
}

/// A key that is in a path as it is: UUIDs are.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    const BASE: &str = "https://acme.my.salesforce.com/services/data/v62.0";
    const IDS: [&str; 3] = ["001A0000006Vm9rIAC", "001A0000006Vm9sIAC", "001A0000006Vm9tIAC"];

    fn together() -> Together {
        Together::new(BASE)
    }

    fn patch(path: &str, body: &str) -> Request {
        let mut request = Request::new(Method::Patch, format!("{BASE}/sobjects/{path}"));
        request.body = body.as_bytes().to_vec();
        request
    }

    fn get(path: &str) -> Request {
        Request::new(Method::Get, format!("{BASE}/sobjects/{path}"))
    }

    fn updates() -> Vec<Request> {
        IDS.map(|id| patch(&format!("Account/{id}"), r#"{"Phone":"1"}"#)).to_vec()
    }

    fn upserts() -> Vec<Request> {
        ["a", "b", "c"].map(|key| patch(&format!("Account/Key__c/{key}"), r#"{"Name":"A"}"#)).to_vec()
    }

    fn parts(requests: &[Request], status: u16, body: &Json) -> Vec<Part> {
        let requests: Vec<&Request> = requests.iter().collect();
        together().part(&requests, &Response::json(status, body))
    }

    fn refused(code: &str) -> Json {
        json!({ "success": false, "errors": [{ "statusCode": code, "message": "no", "fields": ["Phone"] }] })
    }

    fn status(part: &Part) -> Option<u16> {
        match part {
            Part::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }

    #[test]
    fn one_object_and_one_way_of_writing_go_together() {
        let place = |request: &Request| together().place(request).map(|place| (place.call, place.record));
        let of = |call: &str, record: &str| Some((call.to_owned(), record.to_owned()));
        assert_eq!(place(&patch(&format!("Account/{}", IDS[0]), "{}")), of("Account", IDS[0]));
        assert_eq!(place(&patch("Account/Key__c/0190-a", "{}")), of("Account/Key__c", "0190-a"));
        let read = get(&format!("Account/{}?fields=Id%2CName", IDS[0]));
        assert_eq!(place(&read), of("Account?fields=Id%2CName", IDS[0]));
        for alone in [
            patch("Account/001A", "{}"),
            patch("Account/Key__c/a%2Fb", "{}"),
            patch("Account/Key__c/a?b=c", "{}"),
            patch("Account/Key__c/a/b", "{}"),
            patch(&format!("Account/{}", IDS[0]), "[]"),
            patch(&format!("Account/{}", IDS[0]), "{}").with_header("If-Match", "\"1\""),
            get(&format!("Account/{}?fields=Id&x=y", IDS[0])),
            get(&format!("Account/{}", IDS[0])),
            get("Account/Key__c/a?fields=Id"),
            Request { method: Method::Post, ..patch(&format!("Account/{}", IDS[0]), "{}") },
            Request::new(Method::Patch, format!("https://evil.example/sobjects/Account/{}", IDS[0])),
        ] {
            assert_eq!(place(&alone), None, "{}", alone.url);
        }
    }

    #[test]
    fn bodies_stay_as_they_are_to_the_byte() {
        let bodies = ["{}", r#"{"Name":"ö \"}"}"#, r#"{"AnnualRevenue":12345678901234.10}"#];
        let requests: Vec<Request> =
            IDS.iter().zip(bodies).map(|(id, body)| patch(&format!("Account/{id}"), body)).collect();
        let gathered = together().gather(&requests.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(gathered.url, format!("{BASE}/composite/sobjects"));
        let expected = format!(
            r#"{{"allOrNone":false,"records":[{{"attributes":{{"type":"Account"}},"Id":"{}"}},{{"attributes":{{"type":"Account"}},"Id":"{}","Name":"ö \"}}"}},{{"attributes":{{"type":"Account"}},"Id":"{}","AnnualRevenue":12345678901234.10}}]}}"#,
            IDS[0], IDS[1], IDS[2]
        );
        assert_eq!(String::from_utf8(gathered.body).unwrap(), expected);
        let gathered = together().gather(&upserts().iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(gathered.url, format!("{BASE}/composite/sobjects/Account/Key__c"));
        let body: Json = serde_json::from_slice(&gathered.body).unwrap();
        assert_eq!(
            body["records"][2],
            json!({ "attributes": { "type": "Account" }, "Key__c": "c", "Name": "A" })
        );
    }

    #[test]
    fn each_result_is_its_records() {
        let ok = |id: &str| json!({ "id": id, "success": true, "errors": [] });
        let told = parts(&updates(), 200, &json!([ok(IDS[0]), refused("STRING_TOO_LONG"), ok(IDS[2])]));
        assert_eq!(told.iter().map(status).collect::<Vec<_>>(), [Some(204), Some(400), Some(204)]);
        let Part::Answer(answer) = &told[1] else { panic!("{told:?}") };
        let error: Json = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(error, json!([{ "message": "no", "errorCode": "STRING_TOO_LONG", "fields": ["Phone"] }]));

        let made = |id: &str, new: bool| json!({ "id": id, "success": true, "errors": [], "created": new });
        let told = parts(
            &upserts(),
            200,
            &json!([made(IDS[0], true), made(IDS[1], false), refused("DUPLICATES_DETECTED")]),
        );
        assert_eq!(told.iter().map(status).collect::<Vec<_>>(), [Some(201), Some(200), None]);
        assert_eq!(told[2], Part::Alone);
    }

    #[test]
    fn records_are_read_together_as_they_are() {
        let reads: Vec<Request> =
            IDS.iter().map(|id| get(&format!("Account/{id}?fields=Id%2CAmount"))).collect();
        let gathered = together().gather(&reads.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            (gathered.method, gathered.header("content-type")),
            (Method::Post, Some("application/json"))
        );
        assert_eq!(gathered.url, format!("{BASE}/composite/sobjects/Account"));
        let body: Json = serde_json::from_slice(&gathered.body).unwrap();
        assert_eq!(body, json!({ "ids": IDS, "fields": ["Id", "Amount"] }));

        let record = format!(r#"{{"Id":"{}","Amount":12345678901234.10}}"#, IDS[0]);
        let mut answer = Response::json(200, &json!([]));
        answer.body = format!(r#"[{record}, null, {{"Id":"{}"}}]"#, IDS[0]).into_bytes();
        let told = together().part(&reads.iter().collect::<Vec<_>>(), &answer);
        let Part::Answer(shown) = &told[0] else { panic!("{told:?}") };
        assert_eq!((shown.status, shown.body.as_slice()), (200, record.as_bytes()));
        assert_eq!(status(&told[1]), Some(404));
        assert_eq!(told[2], Part::Silence, "another record");
    }

    #[test]
    fn an_odd_answer_says_nothing() {
        let ok = |id: &str| json!({ "id": id, "success": true, "errors": [] });
        let silent = |part: &Part| *part == Part::Silence;
        // Too few, too many, or no list.
        for body in [json!([ok(IDS[0]), ok(IDS[1])]), json!([1, 2, 3, 4]), json!({}), json!("<html>")] {
            assert!(parts(&updates(), 200, &body).iter().all(silent), "{body}");
        }
        // Somebody else's result, one that is success and failure, one that says neither.
        let odd = json!([ok(IDS[1]), { "success": true, "errors": refused("X")["errors"] }, { "success": false, "errors": [] }]);
        assert!(parts(&updates(), 200, &odd).iter().all(silent));
        let no_id = json!([{ "success": true, "errors": [] }, null, 7]);
        assert!(parts(&upserts(), 200, &no_id).iter().all(silent));
    }

    #[test]
    fn a_whole_answer_is_everybodys_unless_one_may_have_spoilt_it() {
        for code in [401, 403, 408, 429, 500, 503] {
            let told = parts(&updates(), code, &json!([{ "errorCode": "X" }]));
            assert_eq!(told.iter().map(status).collect::<Vec<_>>(), [Some(code); 3]);
        }
        let hidden = parts(&updates(), 400, &json!([{ "errorCode": "INVALID_FIELD" }]));
        assert_eq!(hidden.iter().map(status).collect::<Vec<_>>(), [Some(400); 3]);
        for code in [300, 400, 404, 405] {
            assert_eq!(
                parts(&updates(), code, &json!([{ "errorCode": "X" }])),
                [Part::Alone, Part::Alone, Part::Alone]
            );
        }
    }
}
