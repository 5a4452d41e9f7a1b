//! Lookups by a value, many in one query: `WHERE Email IN ('a@x.io','b@x.io')` instead of one query for each.
//!
//! Each asker is given the records that hold its value, as if it had asked alone. The service compares texts without regard to case, by
//! rules of its own; here two values count as alike a little more easily, and every asker compares once more what it is given. A record
//! that is like no value at all, or an answer that is not whole, says that the two differ after all, and then each asks alone: a match that
//! was overlooked would be created a second time (rule 27).

use crate::names;
use bothways_connector::{Part, Place};
use bothways_mapping::connector::Escape;
use bothways_model::{Method, Request, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The longest address. The platform takes 16,384 bytes, headers and the token in them included.
const LONGEST: usize = 12_000;

/// The answer about a key that no record has, as if it had been asked for alone.
const NO_SUCH_KEY: &str = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;

/// One lookup.
#[derive(Debug, PartialEq)]
pub(crate) struct Find<'r> {
    object: String,
    /// The fields to show, of which `field` is one.
    fields: String,
    field: String,
    value: String,
    by: By<'r>,
}

/// How it is asked alone, and so how it is answered.
#[derive(Debug, PartialEq)]
enum By<'r> {
    /// `GET /query?q=SELECT {fields} FROM {object} WHERE {field} = '{value}'`
    Query,
    /// `GET /sobjects/{object}/{field}/{value}?fields={fields}`
    Key(&'r str),
}

/// An answer to a query.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(rename = "totalSize")]
    total: usize,
    done: bool,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

/// Reads a request below `base_url`; `None` if it is no lookup, or one that goes alone.
pub(crate) fn read<'r>(base_url: &str, request: &'r Request) -> Option<Find<'r>> {
    let is_plain =
        request.secret_query.is_empty() && request.secret_body.is_none() && request.body.is_empty();
    let has_condition = request.headers.iter().any(|(name, _)| name.starts_with("if-"));
    if request.method != Method::Get || !is_plain || has_condition {
        return None;
    }
    let (path, query) = request.url.strip_prefix(base_url)?.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (name, text) = pairs.next()?;
    if pairs.next().is_some() {
        return None;
    }
    let find = match (path, &*name) {
        ("/query", "q") => select(&text)?,
        (path, "fields") => {
            let parts: Vec<&str> = path.strip_prefix("/sobjects/")?.split('/').collect();
            let [object, field, key] = parts.as_slice() else { return None };
            let is_key =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            let (object, field, fields) = ((*object).to_owned(), (*field).to_owned(), text.into_owned());
            is_key.then(|| Find { object, fields, field, value: (*key).to_owned(), by: By::Key(key) })?
        }
        _ => return None,
    };
    let mut shown = find.fields.split(',');
    let are_names = [&find.object, &find.field].into_iter().all(|name| names::is_name(name));
    (are_names && shown.clone().all(names::is_name) && shown.any(|name| name == find.field)).then_some(find)
}

/// Reads `SELECT {fields} FROM {object} WHERE {field} = '{value}'`.
fn select(text: &str) -> Option<Find<'static>> {
    let (fields, rest) = text.strip_prefix("SELECT ")?.split_once(" FROM ")?;
    let (object, rest) = rest.split_once(" WHERE ")?;
    let (field, literal) = rest.split_once(" = ")?;
    let fields: Vec<&str> = fields.split(',').map(str::trim).collect();
    Some(Find {
        object: object.to_owned(),
        fields: fields.join(","),
        field: field.to_owned(),
        value: unquote(literal)?,
        by: By::Query,
    })
}

/// What [`Escape::Soql`] wrote; `None` if it is anything else.
fn unquote(literal: &str) -> Option<String> {
    let mut value = String::with_capacity(literal.len());
    let mut chars = literal.strip_prefix('\'')?.strip_suffix('\'')?.chars();
    while let Some(c) = chars.next() {
        value.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            },
            c => c,
        });
    }
    // Nothing is left to chance: what is written again is what was read.
    (Escape::Soql.literal(&value)? == literal).then_some(value)
}

impl Find<'_> {
    /// Lookups of the same fields in the same field of one object go together.
    pub(crate) fn place(&self) -> Place {
        Place { call: format!("{}?{}/{}?", self.object, self.fields, self.field), record: self.value.clone() }
    }

    fn holds(&self, value: &str) -> bool {
        let (one, other) = (self.value.trim(), value.trim());
        one.to_lowercase() == other.to_lowercase() || one.to_uppercase() == other.to_uppercase()
    }

    /// What its exchange is told, if these are its records.
    fn part(&self, records: &[&RawValue], answer: &Response) -> Part {
        // An address that was asked for alone may tell a version, which is of one record.
        let headers = answer.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("etag")).cloned();
        let told = |status: u16, body: String| {
            Part::Answer(Response { status, headers: headers.collect(), body: body.into_bytes() })
        };
        match (&self.by, records) {
            (By::Query, records) => {
                let all: Vec<&str> = records.iter().map(|record| record.get()).collect();
                let (count, all) = (all.len(), all.join(","));
                told(200, format!(r#"{{"totalSize":{count},"done":true,"records":[{all}]}}"#))
            }
            (By::Key(_), []) => told(404, NO_SUCH_KEY.to_owned()),
            (By::Key(_), [one]) => told(200, one.get().to_owned()),
            // Says where they are.
            (By::Key(_), _) => Part::Alone,
        }
    }
}

/// The address of one query for all of these, which are of one [`Place::call`]; `None` if it would be too long.
pub(crate) fn gather(base_url: &str, finds: &[Find<'_>]) -> Option<String> {
    let Find { object, fields, field, .. } = finds.last()?;
    let values: Vec<String> = finds.iter().map(|f| Escape::Soql.literal(&f.value)).collect::<Option<_>>()?;
    let query = format!("SELECT {fields} FROM {object} WHERE {field} IN ({})", values.join(","));
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let url = format!("{base_url}/query?q={query}");
    (url.len() <= LONGEST).then_some(url)
}

/// The answer to [`gather`], taken apart.
pub(crate) fn part(finds: &[Find<'_>], answer: &Response) -> Vec<Part> {
    let parts = by_value(finds, answer).map(|found| {
        let parts = finds.iter().zip(&found).map(|(find, records)| find.part(records, answer));
        parts.collect()
    });
    parts.unwrap_or_else(|| finds.iter().map(|_| Part::Alone).collect())
}

/// The records of each lookup; `None` if the answer is not whole, or holds what nobody asked for.
fn by_value<'a>(finds: &[Find<'_>], answer: &'a Response) -> Option<Vec<Vec<&'a RawValue>>> {
    let found: Found<'a> = serde_json::from_slice(&answer.body).ok()?;
    if !found.done || found.total != found.records.len() {
        return None;
    }
    let mut all: Vec<Vec<&RawValue>> = vec![Vec::new(); finds.len()];
    for record in found.records {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(record.get()).ok()?;
        let mut asked = false;
        for (find, records) in finds.iter().zip(&mut all) {
            let value: String = serde_json::from_str(fields.get(&find.field)?.get()).ok()?;
            if find.holds(&value) {
                records.push(record);
                asked = true;
            }
        }
        if !asked {
            return None;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    const BASE: &str = "https://acme.my.salesforce.com/services/data/v62.0";

    fn by_query(field: &str, value: &str) -> Request {
        let literal = Escape::Soql.literal(value).unwrap();
        let query = format!("SELECT Id,Name,Email FROM Contact WHERE {field} = {literal}");
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        Request::new(Method::Get, format!("{BASE}/query?q={query}"))
    }

    fn by_key(key: &str) -> Request {
        let url = format!("{BASE}/sobjects/Contact/Key__c/{key}?fields=Id%2CKey__c");
        Request::new(Method::Get, url)
    }

    fn finds(requests: &[Request]) -> Vec<Find<'_>> {
        requests.iter().map(|request| read(BASE, request).unwrap()).collect()
    }

    fn emails(values: &[&str]) -> Vec<Request> {
        values.iter().map(|value| by_query("Email", value)).collect()
    }

    fn parts(requests: &[Request], records: &Json) -> Vec<Part> {
        let count = records.as_array().unwrap().len();
        let body = json!({ "totalSize": count, "done": true, "records": records });
        part(&finds(requests), &Response::json(200, &body).with_header("etag", "\"1\""))
    }

    /// The ids that an asker is given.
    fn shown(part: &Part) -> Vec<String> {
        let Part::Answer(answer) = part else { panic!("{part:?}") };
        assert_eq!((answer.status, answer.header("etag")), (200, None));
        let body: Json = serde_json::from_slice(&answer.body).unwrap();
        let records = body["records"].as_array().unwrap();
        assert_eq!((&body["totalSize"], &body["done"]), (&json!(records.len()), &json!(true)));
        records.iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn lookups_of_one_field_go_together() {
        let place = |request: &Request| read(BASE, request).map(|find| find.place());
        let of = |call: &str, value: &str| Some(Place { call: call.into(), record: value.into() });
        assert_eq!(place(&by_query("Email", "a@x.io")), of("Contact?Id,Name,Email/Email?", "a@x.io"));
        assert_eq!(
            place(&by_query("Name", "O'Neil \\ = 'x'")),
            of("Contact?Id,Name,Email/Name?", "O'Neil \\ = 'x'")
        );
        assert_eq!(place(&by_key("0190-a_b")), of("Contact?Id,Key__c/Key__c?", "0190-a_b"));
        let query = |text: &str| {
            let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            Request::new(Method::Get, format!("{BASE}/query?q={text}"))
        };
        for alone in [
            // Without the field that tells whose the record is.
            by_query("Phone", "1"),
            Request::new(Method::Get, format!("{BASE}/sobjects/Contact/Key__c/a?fields=Id")),
            Request::new(Method::Get, format!("{BASE}/sobjects/Contact/Key__c/a%2Fb?fields=Id%2CKey__c")),
            Request::new(Method::Get, format!("{BASE}/sobjects/Contact/Key__c/a")),
            Request { method: Method::Post, ..by_key("a") },
            by_key("a").with_header("If-Match", "1"),
            query("SELECT Id,Name FROM Contact"),
            query("SELECT Id,Name FROM Contact WHERE Name = 'a' OR Name = 'b'"),
            query("SELECT Id,Name FROM Contact WHERE Name = 'a\\'"),
            query("SELECT Id,Name FROM Contact WHERE Name = a"),
            query("SELECT Id,Name FROM Contact WHERE Name >= 'a'"),
            query("SELECT Id,(SELECT Id FROM Cases),Name FROM Contact WHERE Name = 'a'"),
            Request::new(Method::Get, format!("{}&x=y", by_query("Name", "a").url)),
            Request::new(Method::Get, by_query("Name", "a").url.replace("acme", "evil")),
        ] {
            assert_eq!(read(BASE, &alone), None, "{}", alone.url);
        }
    }

    #[test]
    fn values_stay_values() {
        let requests: Vec<Request> =
            ["a", "O'Neil", "x') OR (Name != '", "\\", "ö\n"].map(|v| by_query("Name", v)).into();
        let url = gather(BASE, &finds(&requests)).unwrap();
        let url = url::Url::parse(&url).unwrap();
        let query = url.query_pairs().next().unwrap().1;
        assert_eq!(
            query,
            r"SELECT Id,Name,Email FROM Contact WHERE Name IN ('a','O\'Neil','x\') OR (Name != \'','\\','ö\n')"
        );
        let many: Vec<Request> =
            (0..200).map(|n| by_query("Email", &format!("customer-{n:04}@example.com"))).collect();
        assert!(gather(BASE, &finds(&many)).is_some(), "a call's worth of usual values fits");
        let long: Vec<Request> =
            (0..200).map(|n| by_query("Name", &format!("{n}{}", "ö".repeat(40)))).collect();
        assert_eq!(gather(BASE, &finds(&long)), None);
        assert!(gather(BASE, &finds(&long[..40])).is_some());
    }

    #[test]
    fn each_is_given_what_holds_its_value() {
        let requests = emails(&["ann@x.io", "BEA@x.io", "cy@x.io", "bea@X.io"]);
        let record = |id: &str, email: &str| json!({ "Id": id, "Name": "N", "Email": email });
        let told = parts(
            &requests,
            &json!([record("1", "Bea@x.io"), record("2", "ann@x.io"), record("3", "ANN@X.IO ")]),
        );
        let told: Vec<Vec<String>> = told.iter().map(shown).collect();
        assert_eq!(told, [vec!["2", "3"], vec!["1"], vec![], vec!["1"]]);
    }

    #[test]
    fn records_stay_as_they_are_to_the_byte() {
        let requests = emails(&["a@x.io", "b@x.io"]);
        let record = r#"{"Id":"1","Name":12345678901234.10,"Email":"a@x.io"}"#;
        let mut answer = Response::json(200, &json!(null));
        answer.body = format!(r#"{{"totalSize":1,"done":true,"records":[{record}]}}"#).into_bytes();
        let told = part(&finds(&requests), &answer);
        let Part::Answer(shown) = &told[0] else { panic!("{told:?}") };
        assert_eq!(shown.body, answer.body);
    }

    #[test]
    fn an_answer_that_is_not_whole_is_nobodys() {
        let requests = emails(&["ann@x.io", "bea@x.io"]);
        let ann = json!({ "Id": "1", "Email": "ann@x.io" });
        for body in [
            json!({ "totalSize": 2001, "done": false, "records": [ann] }),
            json!({ "totalSize": 2, "done": true, "records": [ann] }),
            json!({ "done": true, "records": [ann] }),
            json!({ "totalSize": 1, "done": true, "records": [{ "Id": "1", "Email": "cy@x.io" }] }),
            json!({ "totalSize": 1, "done": true, "records": [{ "Id": "1", "Email": null }] }),
            json!({ "totalSize": 1, "done": true, "records": [{ "Id": "1" }] }),
            json!({ "totalSize": 1, "done": true, "records": [7] }),
            json!([ann]),
            json!("<html>"),
        ] {
            let told = part(&finds(&requests), &Response::json(200, &body));
            assert_eq!(told, [Part::Alone, Part::Alone], "{body}");
        }
    }

    #[test]
    fn a_key_is_answered_as_a_key() {
        let requests = ["a", "b", "c"].map(by_key);
        let record = |key: &str| json!({ "Id": key, "Key__c": key });
        let told = parts(&requests, &json!([record("a"), record("c"), record("C")]));
        let Part::Answer(a) = &told[0] else { panic!("{told:?}") };
        assert_eq!((a.status, serde_json::from_slice::<Json>(&a.body).unwrap()), (200, record("a")));
        let Part::Answer(b) = &told[1] else { panic!("{told:?}") };
        assert_eq!((b.status, b.body.as_slice()), (404, NO_SUCH_KEY.as_bytes()));
        assert_eq!(told[2], Part::Alone, "there are two");
    }
}
