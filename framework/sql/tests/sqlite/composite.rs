//! Keys of several columns: triggers name rows as the engine does, whatever they hold, and notice every change of a part.

use crate::capture::log;
use crate::foreign::{Program, SEATS, at, text};
use bothways_model::{Catalog, CatalogField, FieldType, Ident, LocalId, Record, Value};
use bothways_sql::Sql;
use bothways_store::contract::seats;
use bothways_store::{Capture, PairSpec, Pairs, Rows, Subject, WorkQueue};

/// Texts that have tripped quoting, joining, JSON or LIKE somewhere.
const ODD: [&str; 24] = [
    "",
    " ",
    "/",
    "//",
    "%",
    "%2F",
    "%25",
    "%252F",
    "a/b",
    "a%",
    "\\",
    "\\\\",
    "'",
    "''",
    "\"",
    "[\"x\",1]",
    "null",
    "0",
    "é",
    "e\u{301}",
    "\u{1F600}",
    "\u{FFFD}\u{FEFF}",
    "a\nb\r\t\u{8}\u{c}\u{1}\u{7f}",
    "x_y",
];

fn id(tenant: i64, code: &str) -> LocalId {
    let fields = Record::from_iter([("tenant", Value::Int(tenant)), ("code", text(code))]);
    seats().id_of(&fields).unwrap()
}

#[tokio::test]
async fn a_trigger_names_rows_as_the_engine_does() {
    let program = Program::of(SEATS, vec![seats()]).await;
    let numbers = [0, 1, -1, 7, i64::MAX, i64::MIN];
    let mut all = Vec::new();
    for (n, code) in ODD.iter().enumerate() {
        let tenant = numbers[n % numbers.len()];
        let fields = Record::from_iter([("tenant", Value::Int(tenant)), ("code", text(code))]);
        let row = program.store.insert_row("seats", &fields).await.unwrap();
        assert_eq!(row.id, id(tenant, code), "as the statement names it");
        assert_eq!(row.fields.get("code"), Some(&text(code)), "as it is");
        all.push(row.id);
    }
    let inserted: Vec<String> = all.iter().map(|id| format!("insert {id}")).collect();
    assert_eq!(log(&program).await, inserted, "as the trigger names it");
    for id in &all {
        let row = program.store.row("seats", id).await.unwrap().unwrap_or_else(|| panic!("{id}"));
        let held = Record::from_iter([("holder", text("Ada"))]);
        program.store.update_row("seats", id, &row.fields, &held).await.unwrap();
        assert_eq!(log(&program).await, [format!("update {id}")]);
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = program.store.rows("seats", None, after.as_ref(), 5).await.unwrap();
        listed.extend(page.rows.into_iter().map(|row| row.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.sort_by_key(|id| seats().key_of(id));
    assert_eq!(listed, all, "every row once, in order");
    for id in &all {
        assert!(program.store.delete_row("seats", id).await.unwrap());
        assert_eq!(log(&program).await, [format!("delete {id}")]);
    }
}

#[tokio::test]
async fn uuids_and_a_null_byte_are_parts_like_any_other() {
    let field = |name: &str, ty| CatalogField {
        name: name.into(),
        column: Ident::new(name).unwrap(),
        ty,
        optional: false,
        reference: None,
        doc: None,
    };
    let catalog = Catalog {
        key: vec!["tenant".to_owned(), "code".to_owned(), "shard".to_owned()].into(),
        fields: vec![
            field("code", FieldType::Text),
            field("shard", FieldType::Int),
            field("tenant", FieldType::Uuid),
        ],
        ..seats()
    };
    let table = "CREATE TABLE seats (tenant UUID, code TEXT, shard BIGINT, PRIMARY KEY (tenant, code, shard)) WITHOUT ROWID";
    let program = Program::of(table, vec![catalog.clone()]).await;
    let uuid = uuid::Uuid::from_u128(0xA0B1_C2D3_E4F5);
    let fields =
        Record::from_iter([("tenant", Value::Uuid(uuid)), ("code", text("a\0b")), ("shard", Value::Int(-3))]);
    let row = program.store.insert_row("seats", &fields).await.unwrap();
    assert_eq!(Ok(&row.id), catalog.id_of(&fields).as_ref());
    assert_eq!(row.id, LocalId(format!("{uuid}/a\0b/-3")));
    assert_eq!(program.store.row("seats", &row.id).await.unwrap(), Some(row.clone()));
    assert!(program.store.delete_row("seats", &row.id).await.unwrap());
    assert_eq!(log(&program).await, [format!("insert {}", row.id), format!("delete {}", row.id)]);
}

#[tokio::test]
async fn a_change_of_any_part_is_a_change_of_the_key() {
    let program = Program::of(SEATS, vec![seats()]).await;
    program
        .sql("INSERT INTO seats (tenant, code, badge) VALUES (1, 'a', 'x'), (2, 'a', 'y'), (2, 'b', 'z')")
        .await;
    assert_eq!(log(&program).await, ["insert 1/a", "insert 2/a", "insert 2/b"]);
    program.sql("UPDATE seats SET holder = 'Ada' WHERE code = 'a'").await;
    assert_eq!(log(&program).await, ["update 1/a", "update 2/a"]);
    program.sql("UPDATE seats SET tenant = 3 WHERE tenant = 1").await;
    assert_eq!(log(&program).await, ["rekey 3/a 1/a"]);
    program.sql("UPDATE seats SET code = 'A/' WHERE tenant = 3").await;
    assert_eq!(log(&program).await, ["rekey 3/A%2F 3/a"]);
    // Equal to the column's collation, and another id all the same.
    program.sql("UPDATE seats SET code = 'a/' WHERE tenant = 3").await;
    assert_eq!(log(&program).await, ["rekey 3/a%2F 3/A%2F"]);
    program.sql("UPDATE seats SET tenant = tenant, code = code").await;
    let mut all = log(&program).await;
    all.sort();
    assert_eq!(all, ["update 2/a", "update 2/b", "update 3/a%2F"]);
    program.sql("UPDATE OR REPLACE seats SET code = 'a' WHERE tenant = 2 AND code = 'b'").await;
    assert_eq!(log(&program).await, ["victim 2/a", "rekey 2/a 2/b"]);
    program.sql("DELETE FROM seats WHERE tenant = 2").await;
    assert_eq!(log(&program).await, ["delete 2/a"]);
}

#[tokio::test]
async fn victims_of_replace_are_named_by_the_whole_key() {
    let program = Program::of(SEATS, vec![seats()]).await;
    program.sql("CREATE UNIQUE INDEX held ON seats (lower(holder)) WHERE holder IS NOT NULL").await;
    assert_eq!(program.store.repair().await.unwrap(), ["seats"]);
    program.sql("INSERT INTO seats (tenant, code, badge, holder) VALUES (1, 'a', 'x', 'Ada'), (2, 'a', 'y', 'Bob')").await;
    log(&program).await;
    program.sql("REPLACE INTO seats (tenant, code, badge) VALUES (1, 'b', 'x')").await;
    assert_eq!(log(&program).await, ["victim 1/a", "insert 1/b"]);
    program.sql("REPLACE INTO seats (tenant, code, holder) VALUES (3, 'a', 'BOB')").await;
    assert_eq!(log(&program).await, ["victim 2/a", "insert 3/a"]);
    program.sql("UPDATE OR REPLACE seats SET badge = 'x' WHERE tenant = 3").await;
    assert_eq!(log(&program).await, ["victim 1/b", "update 3/a"]);
    // The same key is the same row.
    program.sql("REPLACE INTO seats (tenant, code) VALUES (3, 'a')").await;
    assert_eq!(log(&program).await, ["insert 3/a"]);
}

/// What is equal to the key's own collation is displaced under another id.
#[tokio::test]
async fn a_key_that_folds_case_displaces_another_id() {
    let table = "CREATE TABLE seats (tenant INTEGER NOT NULL, code TEXT NOT NULL COLLATE NOCASE, holder TEXT, badge TEXT,
        PRIMARY KEY (tenant, code))";
    let program = Program::of(table, vec![seats()]).await;
    program.sql("INSERT INTO seats (tenant, code) VALUES (1, 'a'); REPLACE INTO seats (tenant, code) VALUES (1, 'A')").await;
    assert_eq!(log(&program).await, ["insert 1/a", "victim 1/a", "insert 1/A"]);
    assert_eq!(program.store.row("seats", &"1/a".into()).await.unwrap(), None);
    assert!(!program.store.delete_row("seats", &"1/a".into()).await.unwrap());
    assert!(program.store.row("seats", &"1/A".into()).await.unwrap().is_some());
}

/// SQLite lets a part of a key be null. Such a row has no id: nobody's write fails because of it, and it is not listed.
#[tokio::test]
async fn a_row_without_a_whole_key_takes_no_part() {
    let table =
        "CREATE TABLE seats (tenant INTEGER, code TEXT, holder TEXT, badge TEXT, PRIMARY KEY (tenant, code))";
    let program = Program::of(table, vec![seats()]).await;
    program
        .sql("INSERT INTO seats (tenant, code) VALUES (1, NULL), (NULL, 'a'), (1, 'a'), (2, NULL), (2, 'b')")
        .await;
    program
        .sql("UPDATE seats SET holder = 'x' WHERE code IS NULL; DELETE FROM seats WHERE tenant IS NULL")
        .await;
    assert_eq!(log(&program).await, ["insert 1/a", "insert 2/b"]);
    let page = program.store.rows("seats", None, None, 1).await.unwrap();
    assert_eq!((page.rows[0].id.as_str(), page.next.as_ref().map(LocalId::as_str)), ("1/a", Some("1/a")));
    let page = program.store.rows("seats", None, page.next.as_ref(), 1).await.unwrap();
    assert_eq!((page.rows[0].id.as_str(), page.next, page.unreadable.len()), ("2/b", None, 0));
}

#[tokio::test]
async fn a_table_made_from_its_document_has_the_whole_key() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("new.db").display());
    let store = Sql::open(&url, vec![seats()]).await.unwrap();
    assert_eq!(store.set_up().await.unwrap().created, ["seats"]);
    let facts = store.inspect(&Ident::new("seats").unwrap()).await.unwrap().unwrap();
    assert_eq!(facts.key, ["tenant", "code"]);
    assert!(facts.columns.iter().take(2).all(|column| column.not_null), "{facts:?}");
    let spec = PairSpec {
        catalog: "seats".into(),
        connection: "a".into(),
        resource: "r".into(),
        mapping: "m".into(),
    };
    let pair = store.ensure_pair(&spec).await.unwrap().id;
    let fields = Record::from_iter([("tenant", Value::Int(1)), ("code", text("a"))]);
    store.insert_row("seats", &fields).await.unwrap();
    assert!(store.insert_row("seats", &Record::from_iter([("tenant", Value::Int(1))])).await.is_err());
    store.relay(at(0), 9).await.unwrap();
    let work = store.work_of(pair, Some(&"1/a".into()), None).await.unwrap();
    assert_eq!(work[0].subject, Subject::Local("1/a".into()));
}
