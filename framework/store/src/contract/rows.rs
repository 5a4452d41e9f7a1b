//! The catalog's own tables, and reading links.

use super::Bench;
use super::kit::{at, commit, customer, linked, local, look_at, pair, relay, settle, take_one, text, unit};
use crate::{LinkFilter, LinkState, RowUpdate, RowWrite, Settled, Store, StoreErrorKind};
use bothways_model::{LocalId, Record, Value};

fn set(field: &str, value: Value) -> Record {
    Record::from_iter([(field, value)])
}

/// Changes a customer, whatever the row holds.
async fn update(store: &dyn Store, id: &LocalId, fields: &Record) -> crate::Result<RowUpdate> {
    store.update_row("customers", id, &Record::new(), fields).await
}

/// An edit that was made on what somebody saw is not carried out on something else.
pub async fn change_only_what_was_expected(bench: &dyn Bench) {
    let store = bench.store();
    let row = store.insert_row("customers", &customer("Ada", "ada@x.test")).await.unwrap();
    let edit = async |expected: Record, fields: Record| {
        store.update_row("customers", &row.id, &expected, &fields).await.unwrap()
    };
    let done = edit(set("email", text("ada@x.test")), set("email", Value::Null)).await;
    let RowUpdate::Done(now) = done else { panic!("{done:?}") };
    let other = edit(set("email", text("ada@x.test")), set("email", text("bob@x.test"))).await;
    assert_eq!(other, RowUpdate::Moved(now));
    let of_another_field = edit(set("email", Value::Null), set("name", text("Eve"))).await;
    assert!(matches!(of_another_field, RowUpdate::Done(_)), "null is what it holds: {of_another_field:?}");
    assert!(matches!(edit(set("name", Value::Null), set("name", text("Mia"))).await, RowUpdate::Moved(_)));
    assert_eq!(
        store.row("customers", &row.id).await.unwrap().unwrap().fields.get("name"),
        Some(&text("Eve"))
    );
}

/// Writes through the API are a user's writes.
pub async fn are_written_and_captured(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut fields = customer(" Ada ", "ada@x.test");
    fields.set("balance", Value::Decimal("1234567890123.45".parse().unwrap()));
    let row = store.insert_row("customers", &fields).await.unwrap();
    assert_eq!(row.fields.get("name"), Some(&text("Ada")), "as the table holds it");
    assert_eq!(row.fields.get("balance"), Some(&Value::Decimal("1234567890123.45".parse().unwrap())));
    assert_eq!((row.fields.get("joined"), row.deleted_at), (Some(&Value::Null), None));
    relay(store, 0).await;
    assert_eq!(take_one(store, pair, 0).await.row, Some(row.clone()));
    let RowUpdate::Done(changed) = update(store, &row.id, &set("email", Value::Null)).await.unwrap() else {
        panic!("it was there")
    };
    assert_eq!(changed.fields.get("email"), Some(&Value::Null));
    assert_eq!(store.row("customers", &row.id).await.unwrap(), Some(changed));
    assert!(store.delete_row("customers", &row.id).await.unwrap());
    assert!(!store.delete_row("customers", &row.id).await.unwrap());
    assert_eq!(update(store, &row.id, &set("email", Value::Null)).await.unwrap(), RowUpdate::Gone);
    relay(store, 1).await;
    let work = store.work_of(pair, Some(&row.id), None).await.unwrap();
    assert_eq!((work.len(), work[0].facts.len()), (1, 1));
}

/// Whole numbers count as numbers.
pub async fn page_in_key_order(bench: &dyn Bench) {
    let store = bench.store();
    for n in 1..=12 {
        bench.insert("customers", customer(&format!("n{n}"), &format!("e{n}@x.test"))).await;
    }
    assert_eq!(store.count_rows("customers").await.unwrap(), 12);
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = store.rows("customers", None, after.as_ref(), 5).await.unwrap();
        ids.extend(page.rows.iter().map(|r| r.id.as_str().parse::<i64>().unwrap()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, (1..=12).collect::<Vec<_>>());
    assert_eq!(store.rows("customers", None, None, 12).await.unwrap().next, None, "no page after the last");
    for code in ["b", "Ba", "a"] {
        bench.insert("tags", set("code", text(code))).await;
    }
    let tags = store.rows("tags", None, Some(&"Ba".into()), 9).await.unwrap();
    assert_eq!(tags.rows.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

/// In a text field or as key; wildcards are plain characters.
pub async fn search_finds_text_in_any_case(bench: &dyn Bench) {
    let store = bench.store();
    let mut ids = Vec::new();
    for (name, email) in [("Ada Lovelace", "ada@x.test"), ("Bob", "bob@100%.test"), ("Cid", "c_d@x.test")] {
        ids.push(bench.insert("customers", customer(name, email)).await);
    }
    let find = async |needle: &str| {
        let page = store.rows("customers", Some(needle), None, 9).await.unwrap();
        page.rows.into_iter().map(|r| r.id).collect::<Vec<LocalId>>()
    };
    assert_eq!(find("LOVE").await, [ids[0].clone()]);
    assert_eq!(find("x.TEST").await, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(find("100%").await, [ids[1].clone()]);
    assert_eq!(find("c_d").await, [ids[2].clone()]);
    assert_eq!(find(ids[1].as_str()).await.first(), Some(&ids[1]).filter(|id| id.as_str() != "1"));
    assert!(find("nobody").await.is_empty());
}

/// One bad row does not hide the others.
pub async fn say_what_is_unreadable(bench: &dyn Bench) {
    let store = bench.store();
    let good = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let bad = bench.insert("customers", customer("Bob", "bob@x.test")).await;
    bench.spoil(&bad).await;
    let page = store.rows("customers", None, None, 9).await.unwrap();
    assert_eq!(page.rows.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), std::slice::from_ref(&good));
    assert_eq!(page.unreadable.len(), 1);
    assert_eq!(page.unreadable[0].id, bad);
    assert!(page.unreadable[0].message.contains("customers.balance"), "{}", page.unreadable[0].message);
    let first = store.rows("customers", None, None, 1).await.unwrap();
    assert_eq!(first.next, Some(good));
    let second = store.rows("customers", None, first.next.as_ref(), 1).await.unwrap();
    assert_eq!((second.rows.len(), second.unreadable.len(), second.next), (0, 1, None));
    assert_eq!(store.row("customers", &bad).await.unwrap_err().kind, StoreErrorKind::Refused);
}

/// The table's refusal is an error that names no value.
pub async fn refuse_what_the_table_refuses(bench: &dyn Bench) {
    let store = bench.store();
    let row = store.insert_row("customers", &customer("Ada", "secret@x.test")).await.unwrap();
    let twice = store.insert_row("customers", &customer("Eve", "secret@x.test")).await.unwrap_err();
    assert_eq!(twice.kind, StoreErrorKind::Refused);
    assert!(!twice.to_string().contains("secret"), "{twice}");
    let nameless = store.insert_row("customers", &set("email", Value::Null)).await.unwrap_err();
    assert_eq!(nameless.kind, StoreErrorKind::Refused);
    let raised = update(store, &row.id, &set("name", text("forbidden"))).await.unwrap_err();
    assert_eq!(raised.kind, StoreErrorKind::Refused);
    let unknown = store.insert_row("customers", &set("nonsense", text("x"))).await.unwrap_err();
    assert_eq!(unknown.kind, StoreErrorKind::Refused);
    assert_eq!(store.count_rows("customers").await.unwrap(), 1);
}

/// A catalog nobody loaded.
pub async fn name_unknown_catalogs(bench: &dyn Bench) {
    let store = bench.store();
    assert_eq!(store.count_rows("nobody").await.unwrap_err().kind, StoreErrorKind::Unknown);
    assert_eq!(store.row("nobody", &"1".into()).await.unwrap_err().kind, StoreErrorKind::Unknown);
    assert_eq!(store.row("customers", &"not a number".into()).await.unwrap(), None);
    assert_eq!(store.row("customers", &"007".into()).await.unwrap(), None, "ids are bytes");
}

/// In the order asked; one field of them, whatever is wrong with another.
pub async fn say_what_they_hold(bench: &dyn Bench) {
    let store = bench.store();
    let ada = bench.insert("customers", customer("Ada", "ada@x.test")).await;
    let bob = bench.insert("customers", set("name", text("Bob"))).await;
    bench.spoil(&bob).await;
    let asked = [bob.clone(), "77".into(), ada.clone(), "x".into(), bob.clone()];
    let held = async |field: &str| store.held_by("customers", field, &asked).await.unwrap();
    let (a, b) = (Some(text("Ada")), Some(text("Bob")));
    assert_eq!(held("name").await, [b.clone(), None, a, None, b]);
    assert_eq!(held("email").await[0], Some(Value::Null));
    assert_eq!(held("id").await[2], Some(Value::Int(ada.as_str().parse().unwrap())));
    assert!(store.held_by("customers", "name", &[]).await.unwrap().is_empty());
    assert_eq!(store.held_by("tags", "label", &["1".into()]).await.unwrap(), [None]);
    let unknown = store.held_by("customers", "nonsense", &asked).await.unwrap_err();
    assert_eq!(unknown.kind, StoreErrorKind::Unknown);
}

/// One, several or none, by bytes; those that are archived do not count.
pub async fn are_found_by_what_they_hold(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut ids = Vec::new();
    for (n, name) in ["Ada", "Bob", "Bob", "Bob", "ada", "Old"].into_iter().enumerate() {
        ids.push(bench.insert("customers", customer(name, &format!("e{n}@x.test"))).await);
    }
    let old = linked(store, pair, 1, Some(&ids[5]), Some("cus_1")).await;
    let mut archive = unit(&look_at(store, &old, 1).await);
    archive.settle = settle(|_, _| Settled { row: RowWrite::Archive(at(2)), ..Settled::default() });
    commit(store, archive).await;
    let asked = [text("ada"), text("Bob"), text("Eve"), Value::Null, text("Old"), text("Ada"), text("ada")];
    let found = store.holders("customers", "name", &asked).await.unwrap();
    let counts: Vec<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 2, 0, 0, 0, 1, 1], "{found:?}");
    assert_eq!((&found[0][0], &found[5][0], &found[6][0]), (&ids[4], &ids[0], &ids[4]));
    assert!(found[1].iter().all(|id| ids[1..4].contains(id)), "{found:?}");
    let third = Value::Int(ids[2].as_str().parse().unwrap());
    let by_number = store.holders("customers", "id", &[third, Value::Int(77)]).await.unwrap();
    assert_eq!(by_number, [vec![ids[2].clone()], vec![]]);
    for code in ["b", "C"] {
        bench.insert("tags", Record::from_iter([("code", text(code)), ("label", text("one"))])).await;
    }
    let cased = store.holders("tags", "code", &[text("B"), text("b")]).await.unwrap();
    assert_eq!(cased, [vec![], vec![LocalId::from("b")]], "whatever the column folds");
    assert_eq!(store.holders("tags", "label", &[text("one")]).await.unwrap()[0].len(), 2);
    let unknown = store.holders("customers", "nonsense", &asked).await.unwrap_err();
    assert_eq!(unknown.kind, StoreErrorKind::Unknown);
}

/// Filters, pages, and answers in the order asked.
pub async fn links_answer_in_order(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut links = Vec::new();
    for n in 1..=4_u128 {
        links.push(linked(store, pair, n, Some(&n.to_string().into()), Some(&format!("cus_{n}"))).await);
    }
    let list = async |filter: LinkFilter, after, limit| store.links(&filter, after, limit).await.unwrap();
    assert_eq!(list(LinkFilter::default(), None, 2).await, links[..2]);
    assert_eq!(
        list(LinkFilter { pair: Some(pair), ..LinkFilter::default() }, Some(links[1].id), 9).await,
        links[2..]
    );
    assert_eq!(
        list(LinkFilter { local_id: Some("3".into()), ..LinkFilter::default() }, None, 9).await,
        links[2..3]
    );
    assert_eq!(
        list(LinkFilter { remote_id: Some("cus_2".into()), ..LinkFilter::default() }, None, 9).await,
        links[1..2]
    );
    let tombstones = LinkFilter { state: Some(LinkState::Tombstone), ..LinkFilter::default() };
    assert!(list(tombstones, None, 9).await.is_empty());
    assert!(list(LinkFilter { conflicts: true, ..LinkFilter::default() }, None, 9).await.is_empty());
    let asked = ["4", "none", "1", "4"].map(LocalId::from);
    let answers = store.links_of_local(pair, &asked).await.unwrap();
    let expected = [Some(links[3].clone()), None, Some(links[0].clone()), Some(links[3].clone())];
    assert_eq!(answers, expected);
    store.signal(at(0), &[local(pair, &"1".into())]).await.unwrap();
}
