//! What holds whatever is asked: nothing panics, a text escaped by the rules finds itself, ids keep their case.

use super::caller::Caller;
use bothways_connector_sandbox::salesforce::{to_15, to_18};
use proptest::prelude::*;
use serde_json::json;

/// A literal as the rules of SOQL escape it.
fn literal(text: &str) -> String {
    let mut literal = String::from("'");
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

proptest! {
    #[test]
    fn no_text_makes_a_query_panic(query in "\\PC{0,60}") {
        let mut c = Caller::new();
        let got = c.query(&query);
        prop_assert!(got.status == 200 || got.status == 400);
    }

    #[test]
    fn no_condition_makes_a_query_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "LastName", "SystemModstamp", "Id", "=", "!=", "<", "LIKE", "IN", "NOT", "AND", "OR", "(", ")", ",", "'a%'",
                "'\\%'", "null", "true", "7", "-1.5", "2027-01-15T08:00:00Z", "2027-01-15", "ORDER", "BY", "DESC", "LIMIT",
            ]),
            0..12,
        ),
    ) {
        let mut c = Caller::new();
        c.contact("a");
        let got = c.query_all(&format!("SELECT Id FROM Contact WHERE {}", words.join(" ")));
        prop_assert!(got.status == 200 || got.status == 400);
    }

    #[test]
    fn an_escaped_text_finds_itself_alone(text in "[a-z'\"\\\\%_\n\t ]{0,8}x", other in "[a-z'\"\\\\%_\n\t ]{0,8}y") {
        let mut c = Caller::new();
        let id = c.contact_with(json!({ "LastName": text }));
        c.contact_with(json!({ "LastName": other }));
        let query = format!("SELECT Id FROM Contact WHERE LastName = {}", literal(text.trim()));
        let got = c.query(&query);
        prop_assert_eq!(got.status, 200, "{}: {:?}", query, got.json);
        prop_assert_eq!(got.column("Id"), vec![id]);
    }

    #[test]
    fn an_id_survives_being_shortened(id in "[0-9a-zA-Z]{15}") {
        let long = to_18(&id).expect("an id");
        prop_assert_eq!(to_15(&long), Some(&*id));
        prop_assert_eq!(to_18(&long), Some(long.clone()));
        // The suffix tells ids apart that differ in case alone.
        let other = id.to_lowercase();
        prop_assert_eq!(to_18(&other).expect("an id").to_lowercase() == long.to_lowercase(), id == other);
    }

    #[test]
    fn a_walk_in_pages_by_stamp_and_id_sees_every_record_once(waits in prop::collection::vec(0_i64..2, 1..25), page in 1_usize..6) {
        let mut c = Caller::new();
        c.org.set_page_size(page);
        let made: Vec<String> = waits.iter().map(|wait| { c.wait(*wait); c.contact("x") }).collect();
        let mut got = c.query("SELECT Id FROM Contact ORDER BY SystemModstamp, Id");
        let mut seen = Vec::new();
        loop {
            seen.extend(got.column("Id").into_iter().map(str::to_owned));
            let Some(next) = got.json["nextRecordsUrl"].as_str() else { break };
            let next = next.strip_prefix("/services/data/v62.0").expect("its own version").to_owned();
            got = c.get(&next);
        }
        prop_assert_eq!(seen, made);
    }
}
