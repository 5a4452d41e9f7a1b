//! Two hundred records in a request, each with its own fate.

use super::caller::{Caller, Got};
use bothways_connector_sandbox::salesforce::{Action, Fault};
use serde_json::{Value, json};

fn contact(fields: Value) -> Value {
    let mut record = fields;
    record["attributes"] = json!({ "type": "Contact" });
    record
}

/// Success or the code of the error, in the order of the results.
fn fates(got: &Got) -> Vec<&str> {
    assert_eq!(got.status, 200, "{:?}", got.json);
    let fate = |result: &'_ Value| result["success"] == true;
    let results = got.json.as_array().expect("results").iter();
    results
        .map(|r| if fate(r) { "ok" } else { r["errors"][0]["statusCode"].as_str().unwrap_or("?") })
        .collect()
}

#[test]
fn each_record_of_a_collection_has_its_own_result() {
    let mut c = Caller::new();
    let records = [
        contact(json!({ "LastName": "One" })),
        contact(json!({ "FirstName": "nameless" })),
        contact(json!({ "LastName": "Three", "Email": "nobody" })),
        contact(json!({ "LastName": "Four" })),
    ];
    let made = c.post("/composite/sobjects", json!({ "records": records }));
    assert_eq!(fates(&made), ["ok", "REQUIRED_FIELD_MISSING", "INVALID_EMAIL_ADDRESS", "ok"]);
    assert_eq!(made.json[2]["errors"][0]["fields"], json!(["Email"]));
    let ids = [0, 3].map(|at: usize| made.json[at]["id"].as_str().expect("an id").to_owned());
    assert_eq!(c.query("SELECT Id FROM Contact").column("Id"), ids);

    let gone = c.contact("gone");
    c.delete(&format!("/sobjects/Contact/{gone}"));
    let records = [
        contact(json!({ "Id": ids[0], "Phone": "1" })),
        contact(json!({ "id": gone, "Phone": "1" })),
        contact(json!({ "Phone": "1" })),
        contact(json!({ "id": ids[1], "Phone": "1" })),
    ];
    let changed = c.patch("/composite/sobjects", json!({ "allOrNone": false, "records": records }));
    assert_eq!(fates(&changed), ["ok", "ENTITY_IS_DELETED", "MISSING_ARGUMENT", "ok"]);
    let deleted = c.delete(&format!("/composite/sobjects?ids={},{gone},00x&allOrNone=false", ids[0]));
    assert_eq!(fates(&deleted), ["ok", "ENTITY_IS_DELETED", "MALFORMED_ID"]);
    let counts = c.org.counts();
    assert_eq!((counts.effective_creates, counts.effective_writes), (3, 2 + 2 + 2 + 1));
}

#[test]
fn all_or_none_takes_everything_back() {
    let mut c = Caller::new();
    let body = |second: Value| {
        let records = [contact(json!({ "LastName": "One" })), contact(second)];
        json!({ "allOrNone": true, "records": records })
    };
    let refused = c.post("/composite/sobjects", body(json!({})));
    assert_eq!(fates(&refused), ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]);
    assert_eq!((c.org.record_count("Contact"), c.org.counts().effective_writes), (0, 0));
    assert_eq!(fates(&c.post("/composite/sobjects", body(json!({ "LastName": "Two" })))), ["ok", "ok"]);
    assert_eq!(c.org.record_count("Contact"), 2);
}

#[test]
fn collections_upsert_and_read_too() {
    let mut c = Caller::new();
    let one = c.contact_with(json!({ "LastName": "One", "Bothways_Id__c": "1" }));
    let records = [
        contact(json!({ "Bothways_Id__c": "1", "LastName": "Uno" })),
        contact(json!({ "bothways_id__c": "2", "LastName": "Due" })),
        contact(json!({ "LastName": "keyless" })),
    ];
    let got = c.patch("/composite/sobjects/Contact/Bothways_Id__c", json!({ "records": records }));
    assert_eq!(fates(&got), ["ok", "ok", "MISSING_ARGUMENT"]);
    assert_eq!((&got.json[0]["created"], &got.json[1]["created"]), (&json!(false), &json!(true)));
    let two = got.json[1]["id"].as_str().expect("an id");
    let path = format!("/composite/sobjects/Contact?ids={two},003Sb0AA000000Z,{one}&fields=LastName");
    let read = c.get(&path).json;
    assert_eq!(
        (&read[0]["LastName"], &read[1], &read[2]["LastName"]),
        (&json!("Due"), &Value::Null, &json!("Uno"))
    );
    let body = json!({ "ids": [one], "fields": ["LastName", "Bothways_Id__c"] });
    assert_eq!(c.post("/composite/sobjects/Contact", body).json[0]["Bothways_Id__c"], "1");
    assert_eq!(
        c.get(&format!("/composite/sobjects/Contact?ids={one}&fields=Nope")).error(),
        (400, "INVALID_FIELD")
    );
}

#[test]
fn collections_have_limits() {
    let mut c = Caller::new();
    let many: Vec<Value> = (0..201).map(|n| contact(json!({ "LastName": n.to_string() }))).collect();
    assert_eq!(c.post("/composite/sobjects", json!({ "records": many })).error(), (400, "EXCEEDED_ID_LIMIT"));
    let fit = c.post("/composite/sobjects", json!({ "records": many[..200] }));
    assert_eq!((fates(&fit).len(), c.org.record_count("Contact")), (200, 200));
    let account = json!({ "attributes": { "type": "Account" }, "Name": "Acme" });
    let mixed: Vec<&Value> = (0..11).map(|n| if n % 2 == 0 { &account } else { &many[0] }).collect();
    assert_eq!(c.post("/composite/sobjects", json!({ "records": mixed })).error(), (400, "LIMIT_EXCEEDED"));
    assert_eq!(fates(&c.post("/composite/sobjects", json!({ "records": mixed[..10] }))), ["ok"; 10]);
    assert_eq!(c.post("/composite/sobjects", json!({})).error(), (400, "REQUIRED_FIELD_MISSING"));
    assert_eq!(
        fates(&c.post("/composite/sobjects", json!({ "records": [{ "LastName": "x" }] }))),
        ["INVALID_TYPE"]
    );
}

#[test]
fn one_locked_row_fails_alone() {
    let mut c = Caller::new();
    let ids: Vec<String> = (0..3).map(|n| c.contact(&format!("c{n}"))).collect();
    c.org.inject(Fault::next(Action::RowLocked).on_event("Contact.update").nth(2));
    let records: Vec<Value> = ids.iter().map(|id| contact(json!({ "Id": id, "Phone": "1" }))).collect();
    let got = c.patch("/composite/sobjects", json!({ "records": records }));
    assert_eq!(fates(&got), ["ok", "UNABLE_TO_LOCK_ROW", "ok"]);
    assert_eq!((&got.json[1]["id"], c.org.fired()["row_locked"]), (&json!(ids[1]), 1));
    c.inject(Action::RowLocked);
    assert_eq!(c.delete(&format!("/sobjects/Contact/{}", ids[1])).error(), (400, "UNABLE_TO_LOCK_ROW"));
    assert_eq!(c.delete(&format!("/sobjects/Contact/{}", ids[1])).status, 204);
}

#[test]
fn some_rows_are_refused_with_a_code_each() {
    let mut c = Caller::new();
    let ids: Vec<String> = (0..3).map(|n| c.contact(&format!("c{n}"))).collect();
    for (nth, code) in [(1, "REQUEST_LIMIT_EXCEEDED"), (3, "UNKNOWN_EXCEPTION")] {
        c.org.inject(
            Fault::next(Action::RowRefused { code: code.into() }).on_event("Contact.update").nth(nth),
        );
    }
    let records: Vec<Value> = ids.iter().map(|id| contact(json!({ "Id": id, "Phone": "1" }))).collect();
    let got = c.patch("/composite/sobjects", json!({ "records": records }));
    assert_eq!(fates(&got), ["REQUEST_LIMIT_EXCEEDED", "ok", "UNKNOWN_EXCEPTION"]);
    assert_eq!(c.org.fired()["row_refused"], 2);
    c.inject(Action::RowRefused { code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".into() });
    let path = format!("/sobjects/Contact/{}", ids[0]);
    assert_eq!(c.patch(&path, json!({ "Phone": "2" })).error(), (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION"));
    assert_eq!(c.patch(&path, json!({ "Phone": "2" })).status, 204);
}

#[test]
fn a_result_can_be_missing_though_its_record_was_written() {
    let mut c = Caller::new();
    c.inject(Action::ResultMissing);
    let records: Vec<Value> = ["A", "B"].map(|name| contact(json!({ "LastName": name }))).to_vec();
    let got = c.post("/composite/sobjects", json!({ "records": records }));
    assert_eq!((fates(&got).len(), c.org.record_count("Contact")), (1, 2));
    assert_eq!(c.org.fired()["result_missing"], 1);
}
