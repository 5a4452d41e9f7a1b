//! SOQL, pages, the recycle bin and what the user may see.

use super::caller::Caller;
use bothways_connector_sandbox::salesforce::{Action, Config, Fault};
use serde_json::json;

fn people(c: &mut Caller) {
    for (last, first, email, title, out) in [
        ("Lee", "Ann", "ann@x.io", json!("VIP"), true),
        ("O'Hara", "Bob", "bob@x.io", json!("50% off_"), false),
        ("öster", "Cid", "cid@y.io", json!(null), false),
        ("Zoe", "Dan", "dan@y.io", json!("vip"), true),
    ] {
        c.contact_with(json!({
            "LastName": last, "FirstName": first, "Email": email, "Title": title, "HasOptedOutOfEmail": out,
        }));
        c.wait(60);
    }
}

#[test]
fn conditions_find_what_they_say() {
    let mut c = Caller::new();
    people(&mut c);
    for (condition, found) in [
        ("LastName = 'Lee'", "Ann"),
        ("lastname = 'LEE'", "Ann"),
        (r"LastName = 'O\'Hara'", "Bob"),
        ("LastName = 'ÖSTER'", "Cid"),
        ("Title = null", "Cid"),
        ("Title != null", "Ann Bob Dan"),
        ("Title != 'VIP'", "Bob Cid"),
        ("Title < 'VIP'", "Bob"),
        ("Title IN ('VIP', 'x')", "Ann Dan"),
        ("Title NOT IN ('VIP', null)", "Bob"),
        ("HasOptedOutOfEmail = true AND Email LIKE '%@x.io'", "Ann"),
        ("HasOptedOutOfEmail = TRUE OR Email LIKE 'B%'", "Ann Bob Dan"),
        ("(LastName = 'Lee' OR LastName = 'Zoe') AND Email LIKE '%y.io'", "Dan"),
        ("NOT (LastName = 'Lee' OR LastName = 'Zoe')", "Bob Cid"),
        (r"Title LIKE '50\% off\_'", "Bob"),
        (r"Title LIKE '\%'", ""),
        ("Email LIKE '_nn@x.io'", "Ann"),
        ("SystemModstamp >= 2027-01-15T08:02:00Z", "Cid Dan"),
        ("SystemModstamp > 2027-01-15T09:02:00.000+01:00", "Dan"),
        ("SystemModstamp <= 2027-01-15T08:00:00.000+0000", "Ann"),
        ("CreatedDate <> 2027-01-15T08:00:00Z", "Bob Cid Dan"),
        ("Contact.Birthdate > 2000-01-01", ""),
        (r"LastName = 'L\u0065e'", "Ann"),
    ] {
        let got = c.query(&format!("SELECT FirstName FROM Contact WHERE {condition}"));
        assert_eq!(got.status, 200, "{condition}: {:?}", got.json);
        assert_eq!(got.column("FirstName").join(" "), found, "{condition}");
    }
}

#[test]
fn results_are_ordered_limited_and_counted() {
    let mut c = Caller::new();
    people(&mut c);
    for (tail, found) in [
        ("", "Ann Bob Cid Dan"),
        ("ORDER BY LastName", "Ann Bob Dan Cid"),
        ("ORDER BY FirstName DESC LIMIT 2", "Dan Cid"),
        ("ORDER BY FirstName LIMIT 2 OFFSET 1", "Bob Cid"),
        ("ORDER BY Title, FirstName DESC", "Cid Bob Dan Ann"),
        ("ORDER BY Title ASC NULLS LAST, FirstName", "Bob Ann Dan Cid"),
        ("ORDER BY SystemModstamp DESC, Id", "Dan Cid Bob Ann"),
        ("LIMIT 0", ""),
    ] {
        let got = c.query(&format!("select FirstName from Contact {tail}"));
        assert_eq!(got.column("FirstName").join(" "), found, "{tail}: {:?}", got.json);
    }
    let one = c.query("SELECT Id, email FROM contact WHERE FirstName = 'Ann'").json;
    let record = &one["records"][0];
    assert_eq!(
        (&one["totalSize"], &one["done"], record["Email"].as_str()),
        (&json!(1), &json!(true), Some("ann@x.io"))
    );
    assert_eq!(record["attributes"]["type"], "Contact");
    assert_eq!(record.as_object().unwrap().len(), 3);
    assert_eq!(
        c.query("SELECT COUNT() FROM Contact").json,
        json!({ "totalSize": 4, "done": true, "records": [] })
    );
}

#[test]
fn queries_that_are_none_are_refused() {
    let mut c = Caller::new();
    for (query, code) in [
        ("", "MALFORMED_QUERY"),
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id Contact", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName = ", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName = 'O'Hara'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName = 'x", "MALFORMED_QUERY"),
        (r"SELECT Id FROM Contact WHERE LastName = '\x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName = \"x\"", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE (LastName = 'x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE LastName = 'x' AND Title = 'y' OR Phone = 'z'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact; DELETE", "MALFORMED_QUERY"),
        ("SELECT Nope FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Nope = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Contact ORDER BY Nope", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE SystemModstamp > '2027-01-15T08:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE LastName = 7", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Contact WHERE SystemModstamp LIKE 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Lead", "INVALID_TYPE"),
    ] {
        let got = c.query(query);
        assert_eq!(got.error(), (400, code), "{query}: {:?}", got.json);
    }
    let shown = c.query("SELECT Nope FROM Contact").json[0]["message"].as_str().unwrap().to_owned();
    assert!(shown.contains("ERROR at Row:1:Column:8\nNo such column 'Nope' on entity 'Contact'"), "{shown}");
    let deep = format!("SELECT Id FROM Contact WHERE {}Id = null{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(c.query(&deep).error().1, "MALFORMED_QUERY");
}

#[test]
fn long_results_come_in_pages_that_name_the_next() {
    let mut c = Caller::with(Config { page_size: 2, ..Config::default() });
    let ids: Vec<String> = (0..5).map(|n| c.contact(&format!("c{n}"))).collect();
    let mut page = c.query("SELECT Id, LastName FROM Contact ORDER BY LastName");
    let (mut found, mut pages) = (Vec::new(), 1);
    c.patch(&format!("/sobjects/Contact/{}", ids[4]), json!({ "LastName": "late" }));
    loop {
        assert_eq!(page.json["totalSize"], 5);
        found.extend(page.json["records"].as_array().unwrap().iter().map(|r| r["LastName"].clone()));
        let Some(next) = page.json["nextRecordsUrl"].as_str() else { break };
        assert_eq!(page.json["done"], false);
        page = c.get(next.strip_prefix("/services/data/v62.0").unwrap());
        pages += 1;
    }
    assert_eq!((page.json["done"] == true, pages), (true, 3));
    assert_eq!(json!(found), json!(["c0", "c1", "c2", "c3", "late"]));

    let next = c.query("SELECT Id FROM Contact").json["nextRecordsUrl"].as_str().unwrap().to_owned();
    let next = next.strip_prefix("/services/data/v62.0").unwrap();
    c.inject(Action::PageRepeated);
    assert_eq!(c.get(next).column("Id"), ids[..2]);
    assert_eq!(c.get(next).column("Id"), ids[2..4]);
    for bad in ["/query/01gNope-2", "/query/x", &next.replace("-2", "-9")] {
        assert_eq!(c.get(bad).error(), (400, "INVALID_QUERY_LOCATOR"), "{bad}");
    }
    c.wait(2 * 86_400);
    c.log_in();
    assert_eq!(c.get(next).error().1, "INVALID_QUERY_LOCATOR");
    c.inject(Action::EmptyList);
    assert_eq!(
        (c.query("SELECT Id FROM Contact").json["totalSize"] == 0, c.org.fired()["empty_list"]),
        (true, 1)
    );
}

#[test]
fn query_all_sees_the_recycle_bin() {
    let mut c = Caller::new();
    let (gone, stays) = (c.contact("gone"), c.contact("stays"));
    c.wait(30);
    c.delete(&format!("/sobjects/Contact/{gone}"));
    assert_eq!(c.query("SELECT Id FROM Contact").column("Id"), [&*stays]);
    let all = c.query_all("SELECT Id, IsDeleted, SystemModstamp FROM Contact ORDER BY SystemModstamp, Id");
    assert_eq!(all.column("Id"), [&*stays, &*gone]);
    assert_eq!(
        (&all.json["records"][1]["IsDeleted"], all.column("SystemModstamp")[1]),
        (&json!(true), "2027-01-15T08:00:30.000+0000")
    );
    assert_eq!(c.query_all("SELECT Id FROM Contact WHERE IsDeleted = true").column("Id"), [&*gone]);
}

#[test]
fn shrunken_permissions_hide_fields_and_records() {
    let mut c = Caller::new();
    let id = c.contact_with(json!({ "LastName": "Lee", "Phone": "1" }));
    let path = format!("/sobjects/Contact/{id}");
    c.org.inject(Fault::always(Action::HiddenField { field: "Phone".into() }));
    let seen = c.get(&path).json;
    assert_eq!((seen.get("Phone"), &seen["LastName"]), (None, &json!("Lee")));
    assert_eq!(c.query("SELECT Id, Phone FROM Contact").error(), (400, "INVALID_FIELD"));
    assert_eq!(c.get(&format!("{path}?fields=Phone")).error(), (400, "INVALID_FIELD"));
    assert_eq!(c.patch(&path, json!({ "Phone": "2" })).error(), (400, "INVALID_FIELD"));
    c.org.clear_faults();
    assert_eq!(c.get(&path).json["Phone"], "1");
    c.org.inject(Fault::always(Action::HiddenRecords { object: "Contact".into() }));
    assert_eq!(c.query_all("SELECT Id FROM Contact").json["totalSize"], 0);
    assert_eq!(c.get(&path).error(), (404, "NOT_FOUND"));
    assert_eq!(c.delete(&path).error().0, 404);
    assert_eq!(c.query("SELECT Id FROM Organization").json["totalSize"], 1);
    c.org.clear_faults();
    assert_eq!(c.query("SELECT Id FROM Contact").column("Id"), [&*id]);
}
