//! What holds for every history: the feed tells all of it, a repeated key changes nothing, pages fit together, and the
//! past can be listed.

use crate::caller::Caller;
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::Method::Post;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One step of a history. Numbers choose among the customers that there are.
#[derive(Clone, Debug)]
enum Step {
    Create(String),
    Update(usize, String),
    ByHand(usize, Option<u8>),
    Delete(usize),
    Wait(i64),
}

fn form() -> impl Strategy<Value = String> {
    let pair = prop_oneof![
        "name=[ab]?",
        "email=[abAB]%40x\\.io",
        Just("email=".to_owned()),
        "metadata\\[[abc]\\]=[xy]?",
        Just("metadata=".to_owned()),
        "address\\[(city|line1)\\]=[xy]?",
        Just("preferred_locales[]=de".to_owned()),
        Just("preferred_locales=".to_owned()),
    ];
    prop::collection::vec(pair, 0..4).prop_map(|pairs| {
        // One hash cannot be cleared and merged in one request.
        let mut seen = std::collections::BTreeSet::new();
        let name = |pair: &String| pair.split(['=', '[']).next().unwrap_or_default().to_owned();
        pairs.into_iter().filter(|pair| seen.insert(name(pair))).collect::<Vec<_>>().join("&")
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => form().prop_map(Step::Create),
        4 => (any::<usize>(), form()).prop_map(|(which, form)| Step::Update(which, form)),
        2 => (any::<usize>(), any::<Option<u8>>()).prop_map(|(which, phone)| Step::ByHand(which, phone)),
        1 => any::<usize>().prop_map(Step::Delete),
        2 => (0..20_i64).prop_map(Step::Wait),
    ]
}

fn chosen(c: &Caller, which: usize) -> Option<String> {
    let live = c.stripe.customers();
    let at = which.checked_rem(live.len())?;
    live[at]["id"].as_str().map(str::to_owned)
}

/// Sends an API write twice under one key: the second changes nothing and is answered the same.
fn twice(c: &mut Caller, number: usize, path: &str, form: &str) {
    let key = format!("key-{number}");
    let first = c.call(Post, path, form, Some(&key));
    let count = c.stripe.counts().effective_writes;
    let second = c.call(Post, path, form, Some(&key));
    assert_eq!((first.status, &first.response.body), (200, &second.response.body));
    assert_eq!(c.stripe.counts().effective_writes, count);
}

fn take(c: &mut Caller, number: usize, step: &Step) {
    let now = c.now;
    match step {
        Step::Create(form) => twice(c, number, "/v1/customers", form),
        Step::Update(which, form) => {
            if let Some(id) = chosen(c, *which) {
                twice(c, number, &format!("/v1/customers/{id}"), form);
            }
        }
        Step::ByHand(which, phone) => {
            if let Some(id) = chosen(c, *which) {
                let phone = phone.map(|phone| phone.to_string());
                c.stripe.dashboard_update(&id, &json!({ "phone": phone }), now).expect("a fitting phone");
            }
        }
        Step::Delete(which) => {
            if let Some(id) = chosen(c, *which) {
                assert_eq!(c.delete(&format!("/v1/customers/{id}")).status, 200);
            }
        }
        Step::Wait(seconds) => c.wait(*seconds),
    }
}

/// `after` with the old values laid over it.
fn undo(after: &Map<String, Value>, previous: &Map<String, Value>) -> Map<String, Value> {
    let mut before = after.clone();
    for (name, old) in previous {
        let inner = match (after.get(name), old) {
            (Some(Value::Object(after)), Value::Object(old)) => {
                let mut inner = undo(after, old);
                if name == "metadata" {
                    inner.retain(|_, value| !value.is_null());
                }
                Value::Object(inner)
            }
            _ => old.clone(),
        };
        before.insert(name.clone(), inner);
    }
    before
}

/// All customers by walking the list, newest first.
fn walk(c: &mut Caller, limit: usize, backwards: bool) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let oldest = c.stripe.customers().first().cloned();
    if backwards {
        all.extend(oldest);
    }
    loop {
        let edge = if backwards { all.first() } else { all.last() };
        let name = if backwards { "ending_before" } else { "starting_after" };
        let cursor =
            edge.map(|at| format!("&{name}={}", at["id"].as_str().expect("an id"))).unwrap_or_default();
        let page = c.get(&format!("/v1/customers?limit={limit}{cursor}"));
        let items = page.json["data"].as_array().expect("a list").clone();
        let more = page.json["has_more"] == true;
        if backwards {
            all.splice(0..0, items);
        } else {
            all.extend(items);
        }
        if !more {
            return all;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_told_paged_and_remembered(
        steps in prop::collection::vec(step(), 1..40),
        limit in 1..7_usize,
        lag in 0..60_u32,
    ) {
        let mut c = Caller::new();
        let mut past = vec![(c.now, Vec::new())];
        for (number, step) in steps.iter().enumerate() {
            take(&mut c, number, step);
            past.push((c.now, c.stripe.customers()));
        }
        let live = c.stripe.customers();

        // The feed alone leads to the same records, and each event's old values lead back.
        let mut told: BTreeMap<String, Value> = BTreeMap::new();
        for event in c.stripe.events() {
            let object = event["data"]["object"].clone();
            let id = object["id"].as_str().expect("an id").to_owned();
            if let Some(previous) = event["data"]["previous_attributes"].as_object() {
                let before = undo(object.as_object().expect("an object"), previous);
                prop_assert_eq!(Some(&Value::Object(before)), told.get(&id));
            }
            match event["type"].as_str() {
                Some("customer.deleted") => prop_assert_eq!(told.remove(&id), Some(object)),
                _ => { told.insert(id, object); }
            }
        }
        let by_id: BTreeMap<String, Value> =
            live.iter().map(|l| (l["id"].as_str().expect("an id").to_owned(), l.clone())).collect();
        prop_assert_eq!(told, by_id);

        // Walking by pages in either direction sees each record once, in order.
        let newest_first: Vec<Value> = live.iter().rev().cloned().collect();
        prop_assert_eq!(&walk(&mut c, limit, false), &newest_first);
        prop_assert_eq!(&walk(&mut c, limit, true), &newest_first);

        // A lagging list is the list as it was.
        let then = c.now - chrono::TimeDelta::seconds(i64::from(lag));
        let was = past.iter().rev().find(|(at, _)| *at <= then).map(|(_, all)| all.clone()).unwrap_or_default();
        c.stripe.inject(Fault::next(Action::StaleList { seconds: lag }));
        let lagging = c.get("/v1/customers?limit=100").json["data"].as_array().expect("a list").clone();
        prop_assert_eq!(lagging, was.into_iter().rev().collect::<Vec<_>>());
    }
}
