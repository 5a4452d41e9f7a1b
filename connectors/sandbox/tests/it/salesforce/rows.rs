//! Creating, reading, changing, upserting and deleting single records.

use super::caller::Caller;
use bothways_connector_sandbox::salesforce::{Config, CustomField, CustomKind, DuplicateRule, to_15};
use bothways_model::Method::{Patch, Put};
use serde_json::{Value, json};

#[test]
fn a_contact_is_created_read_changed_and_deleted() {
    let mut c = Caller::new();
    let made =
        c.post("/sobjects/Contact", json!({ "LastName": " Öster ", "firstname": "Ann", "Email": "a@x.io" }));
    assert_eq!((made.status, &made.json["success"], &made.json["errors"]), (201, &json!(true), &json!([])));
    let id = made.json["id"].as_str().unwrap().to_owned();
    assert_eq!((id.len(), &id[..3]), (18, "003"));
    let path = format!("/sobjects/Contact/{id}");
    assert_eq!(made.header("location"), format!("/services/data/v62.0{path}"));

    let read = c.get(&path);
    assert_eq!(
        (read.status, &read.json["LastName"], &read.json["Name"]),
        (200, &json!("Öster"), &json!("Ann Öster"))
    );
    assert_eq!(read.json["attributes"], json!({ "type": "Contact", "url": made.header("location") }));
    assert_eq!((&read.json["Phone"], &read.json["HasOptedOutOfEmail"]), (&Value::Null, &json!(false)));
    assert_eq!(read.json["SystemModstamp"], "2027-01-15T08:00:00.000+0000");

    c.wait(10);
    let short = format!("/sobjects/Contact/{}", to_15(&id).unwrap());
    assert_eq!(c.patch(&short, json!({ "Phone": "1", "FirstName": "" })).status, 204);
    let some = c.get(&format!("{short}?fields=Phone,FirstName,Name,SystemModstamp,CreatedDate")).json;
    let expected = json!({
        "attributes": read.json["attributes"],
        "Phone": "1",
        "FirstName": null,
        "Name": "Öster",
        "SystemModstamp": "2027-01-15T08:00:10.000+0000",
        "CreatedDate": "2027-01-15T08:00:00.000+0000",
        "Id": id,
    });
    assert_eq!(some, expected);

    assert_eq!(c.delete(&path).status, 204);
    for got in [c.get(&path), c.patch(&path, json!({ "Phone": "2" })), c.delete(&path)] {
        assert_eq!(got.error(), (404, "ENTITY_IS_DELETED"));
    }
    assert_eq!((c.org.record_count("Contact"), c.org.counts().effective_writes), (0, 3));
}

#[test]
fn what_cannot_be_stored_is_refused_with_the_fields_at_fault() {
    let mut c = Caller::new();
    let id = c.contact("Lee");
    for (body, code, fields) in [
        (json!({}), "REQUIRED_FIELD_MISSING", json!(["LastName"])),
        (json!({ "LastName": "x".repeat(81) }), "STRING_TOO_LONG", json!(["LastName"])),
        (json!({ "LastName": "x", "Email": "nobody" }), "INVALID_EMAIL_ADDRESS", json!(["Email"])),
        (json!({ "LastName": "x", "Colour": "red" }), "INVALID_FIELD", json!([])),
        (json!({ "LastName": "x", "Id": id }), "INVALID_FIELD", json!(["Id"])),
        (
            json!({ "LastName": "x", "CreatedDate": "2020-01-01T00:00:00Z" }),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            json!(["CreatedDate"]),
        ),
        (json!({ "LastName": "x", "HasOptedOutOfEmail": "yes" }), "JSON_PARSER_ERROR", json!([])),
        (json!({ "LastName": "x", "AccountId": "7" }), "MALFORMED_ID", json!(["AccountId"])),
        (
            json!({ "LastName": "x", "AccountId": "001Sb0AA0000009" }),
            "INVALID_CROSS_REFERENCE_KEY",
            json!(["AccountId"]),
        ),
        (json!({ "LastName": "x", "AccountId": id }), "FIELD_INTEGRITY_EXCEPTION", json!(["AccountId"])),
        (json!([]), "JSON_PARSER_ERROR", json!([])),
    ] {
        let got = c.post("/sobjects/Contact", body);
        assert_eq!((got.error(), &got.json[0]["fields"]), ((400, code), &fields), "{:?}", got.json);
        assert!(got.json[0]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert_eq!(
        c.patch(&format!("/sobjects/Contact/{id}"), json!({ "LastName": null })).error().1,
        "REQUIRED_FIELD_MISSING"
    );
    assert_eq!(c.post("/sobjects/Lead", json!({})).error(), (404, "NOT_FOUND"));
    assert_eq!(c.call(Put, "/sobjects/Contact", &json!({})).error(), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(c.get("/sobjects/Contact/nope").error(), (404, "NOT_FOUND"));
    assert_eq!(c.delete("/sobjects/Contact/003Sb0AA000000Z").error(), (404, "INVALID_CROSS_REFERENCE_KEY"));
    assert_eq!((c.org.record_count("Contact"), c.org.counts().effective_writes), (1, 1));
}

#[test]
fn an_upsert_creates_then_changes_and_never_guesses() {
    let mut c = Caller::new();
    let path = "/sobjects/Contact/Bothways_Id__c/u-1";
    assert_eq!(
        c.patch(&format!("{path}?updateOnly=true"), json!({ "LastName": "Lee" })).error(),
        (404, "NOT_FOUND")
    );
    let made = c.patch(path, json!({ "LastName": "Lee" }));
    assert_eq!((made.status, &made.json["created"]), (201, &json!(true)));
    let again = c.patch(&path.replace("u-1", "U-1"), json!({ "LastName": "Li" }));
    assert_eq!(
        (again.status, &again.json["created"], &again.json["id"]),
        (200, &json!(false), &made.json["id"])
    );
    assert_eq!(c.get(path).json["LastName"], "Li");
    let old = c.request(Patch, path, &json!({ "LastName": "Lo" }));
    let old = bothways_model::Request { url: old.url.replace("v62.0", "v45.0"), ..old };
    assert_eq!(c.send(&old).status, 204);
    assert_eq!(c.patch(path, json!({ "Bothways_Id__c": "u-1" })).error(), (400, "INVALID_FIELD"));
    assert_eq!(c.patch("/sobjects/Contact/Email/a", json!({})).error(), (404, "NOT_FOUND"));
    assert_eq!(
        c.post("/sobjects/Contact", json!({ "LastName": "Two", "Bothways_Id__c": "u-1" })).error(),
        (400, "DUPLICATE_VALUE")
    );
    // A deleted record has given its value back.
    assert_eq!(c.delete(path).status, 204);
    let new = c.patch(path, json!({ "LastName": "New" }));
    assert_eq!((new.status, new.json["id"] == made.json["id"]), (201, false));
    let counts = c.org.counts();
    assert_eq!((counts.effective_creates, counts.effective_writes, c.org.record_count("Contact")), (2, 5, 1));
}

#[test]
fn several_records_with_one_external_id_are_listed_and_left_alone() {
    let kind = CustomKind::ExternalId { length: 64, unique: false };
    let field = CustomField { object: "Contact".into(), name: "Key__c".into(), kind };
    let mut c = Caller::with(Config { custom_fields: vec![field], ..Config::default() });
    let one = c.contact_with(json!({ "LastName": "One", "Key__c": "ABC" }));
    let two = c.contact_with(json!({ "LastName": "Two", "Key__c": "abc" }));
    let path = "/sobjects/Contact/Key__c/abc";
    for got in [c.patch(path, json!({ "LastName": "Three" })), c.get(path), c.delete(path)] {
        let address = |id| format!("/services/data/v62.0/sobjects/Contact/{id}");
        assert_eq!((got.status, got.json), (300, json!([address(one.clone()), address(two.clone())])));
    }
    assert_eq!(c.get(&format!("/sobjects/Contact/{one}")).json["LastName"], "One");
}

#[test]
fn an_account_takes_its_contacts_with_it() {
    let mut c = Caller::new();
    let account =
        c.post("/sobjects/Account", json!({ "Name": "Acme", "Bothways_Id__c": "a 1/2" })).json["id"].clone();
    let id = account.as_str().unwrap().to_owned();
    let by_id = c.contact_with(json!({ "LastName": "One", "AccountId": to_15(&id) }));
    let by_key = c.contact_with(json!({ "LastName": "Two", "Account": { "Bothways_Id__c": "a 1/2" } }));
    assert_eq!(
        c.post("/sobjects/Contact", json!({ "LastName": "x", "Account": { "Bothways_Id__c": "?" } }))
            .error()
            .1,
        "INVALID_FIELD"
    );
    let other = c.contact("Three");
    for contact in [&by_id, &by_key] {
        assert_eq!(c.get(&format!("/sobjects/Contact/{contact}")).json["AccountId"], account);
    }
    assert_eq!(c.get("/sobjects/Account/Bothways_Id__c/a%201%2F2").json["Id"], account);
    assert_eq!(c.delete(&format!("/sobjects/Account/{id}")).status, 204);
    for contact in [&by_id, &by_key] {
        assert_eq!(c.get(&format!("/sobjects/Contact/{contact}")).error(), (404, "ENTITY_IS_DELETED"));
    }
    assert_eq!(c.get(&format!("/sobjects/Contact/{other}")).status, 200);
    let lost = c.post("/sobjects/Contact", json!({ "LastName": "x", "AccountId": id }));
    assert_eq!(lost.error(), (400, "INVALID_CROSS_REFERENCE_KEY"));
    assert_eq!(c.org.counts().effective_writes, 4 + 3);
}

#[test]
fn a_duplicate_rule_warns_or_blocks() {
    let mut c = Caller::new();
    let first = c.contact_with(json!({ "LastName": "Lee", "Email": "a@x.io" }));
    c.org.set_duplicate_rule(DuplicateRule::Alert);
    let body = json!({ "LastName": "Li", "Email": "A@x.io" });
    let refused = c.post("/sobjects/Contact", body.clone());
    assert_eq!(refused.error(), (400, "DUPLICATES_DETECTED"));
    let found = refused.json.pointer("/0/duplicateResut/matchResults/0/matchRecords/0/record/Id");
    assert_eq!(found, Some(&json!(first)));
    let request = c.request(bothways_model::Method::Post, "/sobjects/Contact", &body);
    let request =
        request.with_header("Sforce-Duplicate-Rule-Header", "allowSave=true; includeRecordDetails=true");
    assert_eq!(c.send(&request).status, 201);
    c.org.set_duplicate_rule(DuplicateRule::Block);
    assert_eq!(c.send(&request).error(), (400, "DUPLICATES_DETECTED"));
    assert_eq!(c.post("/sobjects/Contact", json!({ "LastName": "Alone" })).status, 201);
    c.org.set_duplicate_rule(DuplicateRule::Off);
    assert_eq!(c.post("/sobjects/Contact", body).status, 201);
}

#[test]
fn conditions_are_kept_for_accounts_alone() {
    let mut c = Caller::new();
    let account = format!("/sobjects/Account/{}", c.account("Acme"));
    let contact = format!("/sobjects/Contact/{}", c.contact("Lee"));
    let tag = c.get(&account).header("etag").to_owned();
    assert!(tag.ends_with("--gzip\""));
    assert_eq!(c.get(&contact).response.header("etag"), None);
    let patch = |c: &mut Caller, path: &str, name: &str, value: &str, field: &str| {
        let request = c.request(Patch, path, &json!({ field: value })).with_header(name, value);
        c.send(&request).status
    };
    assert_eq!(patch(&mut c, &account, "If-Match", &tag, "Website"), 204);
    assert_eq!(patch(&mut c, &account, "If-Match", &tag, "Website"), 412);
    assert_eq!(patch(&mut c, &contact, "If-Match", "\"other\"", "Title"), 204);
    let before = "Fri, 15 Jan 2027 08:00:00 GMT";
    assert_eq!(patch(&mut c, &account, "If-Unmodified-Since", before, "Website"), 204);
    c.wait(5);
    assert_eq!(patch(&mut c, &account, "If-Modified-Since", "then", "Website"), 400);
    assert_eq!(patch(&mut c, &account, "Accept", "json", "Website"), 204);
    assert_eq!(patch(&mut c, &account, "If-Unmodified-Since", before, "Website"), 412);
    assert_eq!(patch(&mut c, &contact, "If-Unmodified-Since", before, "Title"), 204);
    let now = c.get(&account).header("etag").to_owned();
    let request =
        c.request(bothways_model::Method::Get, &account, &Value::Null).with_header("If-None-Match", now);
    assert_eq!((c.send(&request).status, c.send(&request).response.body.len()), (304, 0));
    let stale =
        c.request(bothways_model::Method::Delete, &account, &Value::Null).with_header("If-Match", tag);
    assert_eq!(c.send(&stale).status, 204);
}
