//! Stamps, what becomes visible late, and what is told of deletes.

use super::caller::Caller;
use bothways_connector_sandbox::salesforce::{Action, Config, Fault};
use chrono::TimeDelta;
use serde_json::json;

/// `GET /sobjects/Contact/{what}/` from so many seconds ago to so many seconds ago.
fn window(c: &mut Caller, what: &str, from: i64, to: i64) -> super::caller::Got {
    let at = |ago: i64| (c.now - TimeDelta::seconds(ago)).format("%Y-%m-%dT%H:%M:%S%%2B00:00").to_string();
    let path = format!("/sobjects/Contact/{what}/?start={}&end={}", at(from), at(to));
    c.get(&path)
}

fn deleted(c: &mut Caller, from: i64, to: i64) -> Vec<String> {
    let got = window(c, "deleted", from, to);
    let records = got.json["deletedRecords"].as_array().expect("records").iter();
    records.map(|record| record["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_bulk_edit_gives_all_its_records_one_stamp() {
    let mut c = Caller::new();
    let ids: Vec<String> = (0..3).map(|n| c.contact(&format!("c{n}"))).collect();
    c.wait(60);
    let some: Vec<&str> = ids[1..].iter().map(String::as_str).collect();
    c.org.dashboard_bulk_update(&some, &json!({ "Title": "VIP" }), c.now).expect("edited");
    let got = c.query("SELECT Id, SystemModstamp FROM Contact WHERE SystemModstamp >= 2027-01-15T08:01:00Z ORDER BY SystemModstamp, Id");
    assert_eq!(
        (got.column("Id"), got.column("SystemModstamp")),
        (some.clone(), vec!["2027-01-15T08:01:00.000+0000"; 2])
    );
    let refused = c.org.dashboard_bulk_update(&some, &json!({ "Email": "nobody" }), c.now);
    assert!(refused.is_err_and(|refused| refused.status == 400));
    assert_eq!(c.org.counts().effective_writes, 3);
}

#[test]
fn an_older_row_can_become_visible_after_a_younger_one() {
    let mut c = Caller::new();
    let known = c.contact_with(json!({ "LastName": "known", "Title": "old" }));
    c.wait(60);
    c.org.inject(Fault::next(Action::LateVisible { seconds: 90, untold: false }).on_event("Contact.create"));
    c.org.inject(Fault::next(Action::LateVisible { seconds: 90, untold: false }).on_event("Contact.update"));
    let late = c.org.dashboard_create("Contact", &json!({ "LastName": "late" }), c.now).expect("made");
    let late = late["Id"].as_str().expect("an id").to_owned();
    c.org.dashboard_update(&known, &json!({ "Title": "new" }), c.now).expect("edited");
    c.wait(60);
    let young = c.contact("young");
    let all = "SELECT Id, Title FROM Contact ORDER BY SystemModstamp, Id";
    let early = c.query(all);
    assert_eq!((early.column("Id"), early.column("Title")), (vec![&*known, &*young], vec!["old", ""]));
    assert_eq!(c.org.lagging(c.now), 2);
    // By its id it can be read at once, and the replication calls do not promise more than they can keep.
    assert_eq!(c.get(&format!("/sobjects/Contact/{late}")).status, 200);
    c.wait(20);
    let updated = window(&mut c, "updated", 140, 0).json;
    assert_eq!(
        (&updated["ids"], &updated["latestDateCovered"]),
        (&json!([known]), &json!("2027-01-15T08:01:00.000+0000"))
    );
    c.wait(10);
    let then = c.query(all);
    assert_eq!(
        (then.column("Id"), then.column("Title")),
        (vec![&*known, &*late, &*young], vec!["new", "", ""])
    );
    assert_eq!((c.org.fired()["late_visible"], c.org.lagging(c.now)), (2, 0));
}

/// What queries see late without anybody's knowing is covered by what the replication calls say all the same: whoever reads on from there
/// without an overlap passes it over.
#[test]
fn what_is_seen_late_can_be_older_than_what_is_covered() {
    let mut c = Caller::new();
    let known = c.contact("known");
    c.wait(60);
    c.org.inject(Fault::next(Action::LateVisible { seconds: 150, untold: true }).on_event("Contact.update"));
    c.org.dashboard_update(&known, &json!({ "Title": "new" }), c.now).expect("edited");
    c.wait(140);
    let updated = window(&mut c, "updated", 140, 0).json;
    assert_eq!(
        (&updated["ids"], &updated["latestDateCovered"]),
        (&json!([]), &json!("2027-01-15T08:03:00.000+0000"))
    );
    c.wait(10);
    let late = c.query("SELECT Title, SystemModstamp FROM Contact");
    assert_eq!(
        (late.column("Title"), late.column("SystemModstamp")),
        (vec!["new"], vec!["2027-01-15T08:01:00.000+0000"])
    );
}

#[test]
fn deletes_are_told_within_their_windows() {
    let mut c = Caller::new();
    let ids: Vec<String> = (0..3).map(|n| c.contact(&format!("c{n}"))).collect();
    for id in &ids[..2] {
        c.delete(&format!("/sobjects/Contact/{id}"));
        c.wait(120);
    }
    assert_eq!(deleted(&mut c, 300, 0), ids[..2]);
    assert_eq!(deleted(&mut c, 120, 0), ids[1..2]);
    assert_eq!(deleted(&mut c, 300, 120), ids[..1]);
    let got = window(&mut c, "deleted", 300, 0).json;
    assert_eq!(
        got["deletedRecords"][0],
        json!({ "id": ids[0], "deletedDate": "2027-01-15T08:00:00.000+0000" })
    );
    assert_eq!(got["latestDateCovered"], "2027-01-15T08:04:00.000+0000");
    assert_eq!(got["earliestDateAvailable"], "2026-12-31T08:04:00.000+0000");
    assert_eq!(window(&mut c, "updated", 300, 0).json["ids"], json!([ids[2]]));
    for (from, to) in [(0, 0), (0, 30), (0, 60), (31 * 86_400, 0)] {
        assert_eq!(
            window(&mut c, "deleted", from, to).error(),
            (400, "INVALID_REPLICATION_DATE"),
            "{from} {to}"
        );
    }
    assert_eq!(
        c.get("/sobjects/Contact/deleted/?start=2027-01-15T08:00:00Z").error(),
        (400, "MISSING_ARGUMENT")
    );
    assert_eq!(c.get("/sobjects/Contact/deleted/?start=x&end=y").error().1, "INVALID_REPLICATION_DATE");
    // A start of more than fifteen days ago is answered without what was forgotten.
    c.wait(15 * 86_400 - 200);
    c.log_in();
    assert_eq!(deleted(&mut c, 15 * 86_400 + 300, 0), ids[1..2]);
    assert_eq!(c.query_all("SELECT Id FROM Contact").column("Id"), ids[1..]);
}

#[test]
fn replication_has_a_limit_of_ids_and_stays_behind() {
    let lag = TimeDelta::minutes(5);
    let mut c = Caller::with(Config { replication_ids: 2, replication_lag: lag, ..Config::default() });
    for n in 0..3 {
        c.contact(&format!("c{n}"));
    }
    c.wait(240);
    let early = window(&mut c, "updated", 600, 0).json;
    assert_eq!(
        (&early["ids"], &early["latestDateCovered"]),
        (&json!([]), &json!("2027-01-15T07:59:00.000+0000"))
    );
    c.wait(180);
    assert_eq!(window(&mut c, "updated", 600, 0).error(), (400, "EXCEEDED_ID_LIMIT"));
}

#[test]
fn a_purge_takes_records_and_the_memory_of_their_deletes() {
    let mut c = Caller::new();
    let ids: Vec<String> = (0..2).map(|n| c.contact(&format!("c{n}"))).collect();
    c.delete(&format!("/sobjects/Contact/{}", ids[0]));
    c.wait(120);
    c.org.dashboard_purge_delete_log(c.now);
    assert_eq!(c.query_all("SELECT Id FROM Contact").column("Id"), ids);
    let got = window(&mut c, "deleted", 240, 0).json;
    assert_eq!(
        (&got["deletedRecords"], &got["earliestDateAvailable"]),
        (&json!([]), &json!("2027-01-15T08:02:00.000+0000"))
    );
    c.org.dashboard_delete(&ids[1], c.now).expect("deleted");
    c.wait(120);
    c.org.dashboard_empty_recycle_bin(c.now);
    assert_eq!(c.query_all("SELECT Id FROM Contact").json["totalSize"], 0);
    assert_eq!(c.get(&format!("/sobjects/Contact/{}", ids[1])).error(), (404, "NOT_FOUND"));
    assert_eq!(
        window(&mut c, "deleted", 240, 0).json["earliestDateAvailable"],
        "2027-01-15T08:04:00.000+0000"
    );
}

#[test]
fn an_undeleted_record_is_not_told_as_deleted() {
    let mut c = Caller::new();
    let id = c.contact_with(json!({ "LastName": "back", "Bothways_Id__c": "7" }));
    c.delete(&format!("/sobjects/Contact/{id}"));
    let other = c.contact_with(json!({ "LastName": "other", "Bothways_Id__c": "7" }));
    c.wait(120);
    c.org.dashboard_undelete(&id, c.now).expect("undeleted");
    assert!(deleted(&mut c, 240, 0).is_empty());
    let back = c.get(&format!("/sobjects/Contact/{id}")).json;
    assert_eq!((&back["IsDeleted"], &back["Bothways_Id__c"]), (&json!(false), &json!(null)));
    assert_eq!(c.get("/sobjects/Contact/Bothways_Id__c/7").json["Id"], other);
    assert!(c.org.dashboard_undelete(&id, c.now).is_err());
}

#[test]
fn a_merge_leaves_a_trace_and_moves_contacts() {
    let mut c = Caller::new();
    let (master, loser) = (c.account("Acme"), c.account("ACME Inc"));
    let contact = c.contact_with(json!({ "LastName": "Lee", "AccountId": loser }));
    c.wait(60);
    c.org.dashboard_merge(&master, &loser, c.now).expect("merged");
    let all = c.query_all("SELECT Id, Name, IsDeleted, MasterRecordId FROM Account WHERE IsDeleted = true");
    assert_eq!((all.column("Id"), all.column("MasterRecordId")), (vec![&*loser], vec![&*master]));
    let moved = c.query("SELECT Id, AccountId FROM Contact WHERE SystemModstamp >= 2027-01-15T08:01:00Z");
    assert_eq!((moved.column("Id"), moved.column("AccountId")), (vec![&*contact], vec![&*master]));
    assert_eq!(c.get(&format!("/sobjects/Account/{loser}")).error(), (404, "ENTITY_IS_DELETED"));
    let kept = c.get(&format!("/sobjects/Account/{master}")).json;
    assert_eq!(
        (&kept["Name"], &kept["SystemModstamp"]),
        (&json!("Acme"), &json!("2027-01-15T08:01:00.000+0000"))
    );
    assert!(c.org.dashboard_merge(&master, &master, c.now).is_err());
    assert!(c.org.dashboard_merge(&master, &contact, c.now).is_err());
}
