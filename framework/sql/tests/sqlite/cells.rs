//! Cells: every type there and back, whatever SQLite made of it, and an error for the rest.

use bothways_model::{Catalog, CatalogField, FieldType, Ident, KeyMaker, LocalRow, Record, Track, Value};
use bothways_sql::Sql;
use bothways_store::{Rows, StoreErrorKind};
use proptest::prelude::*;
use serde_json::json;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

fn catalog(table: &str) -> Catalog {
    let field = |name: &str, ty: FieldType| CatalogField {
        name: name.into(),
        column: Ident::new(name).unwrap(),
        ty,
        optional: true,
        reference: None,
        doc: None,
    };
    Catalog {
        name: table.into(),
        schema: None,
        table: Ident::new(table).unwrap(),
        key: "id".into(),
        made_by: KeyMaker::Database,
        deleted_at: None,
        track: Track::None,
        fields: vec![
            field("id", FieldType::Int),
            field("text", FieldType::Text),
            field("int", FieldType::Int),
            field("decimal", FieldType::Decimal { scale: 2 }),
            field("bool", FieldType::Bool),
            field("timestamp", FieldType::Timestamp),
            field("date", FieldType::Date),
            field("uuid", FieldType::Uuid),
            field("json", FieldType::Json),
            field("enum", FieldType::Enum(vec!["a".into(), "b".into()])),
            field("list", FieldType::List(Box::new(FieldType::Text))),
        ],
    }
}

struct Cells {
    store: Sql,
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

/// Two tables of the same catalog: one as we create it, one whose columns lean the other way.
async fn cells() -> Cells {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    let url = format!("sqlite://{}", path.display());
    let ours = Sql::open(&url, vec![catalog("ours")]).await.unwrap();
    ours.create_table(&catalog("ours")).await.unwrap();
    let mut c = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let theirs = "CREATE TABLE theirs (id INTEGER PRIMARY KEY, text VARCHAR(9), int BIGINT, decimal NUMERIC(10, 2), bool BOOLEAN,
        timestamp INTEGER, date DATE, uuid BLOB, json JSON, enum TEXT, list)";
    sqlx::query(theirs).execute(&mut c).await.unwrap();
    let store = Sql::open(&url, vec![catalog("ours"), catalog("theirs")]).await.unwrap();
    Cells { store, path, _folder: folder }
}

fn from(json: serde_json::Value) -> Record {
    let fields = catalog("ours").fields;
    let object = json.as_object().unwrap();
    object
        .iter()
        .map(|(name, value)| {
            let field = fields.iter().find(|f| f.name == *name).unwrap();
            (name.clone(), Value::from_plain_json(&field.ty, value).unwrap())
        })
        .collect()
}

fn without_key(row: LocalRow) -> Record {
    row.fields.iter().filter(|(name, _)| *name != "id").map(|(n, v)| (n.clone(), v.clone())).collect()
}

#[tokio::test]
async fn every_type_there_and_back() {
    let cells = cells().await;
    let full = from(json!({
        "text": "0012 ünï \u{1F600} 'quoted' \"twice\"", "int": i64::MIN, "decimal": "-12.50", "bool": true,
        "timestamp": "2026-11-22T02:14:22Z", "date": "2026-02-28", "uuid": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "json": {"b": [1, null], "a": "x"}, "enum": "b", "list": ["x", "y"]
    }));
    let empty: Record = full.iter().map(|(name, _)| (name.clone(), Value::Null)).collect();
    for table in ["ours", "theirs"] {
        for record in [&full, &empty] {
            let row = cells.store.insert_row(table, record).await.unwrap();
            assert_eq!(without_key(row.clone()), *record, "{table}");
            assert_eq!(cells.store.row(table, &row.id).await.unwrap(), Some(row));
        }
    }
}

#[tokio::test]
async fn what_other_programs_wrote_is_understood_or_refused_by_name() {
    let cells = cells().await;
    let mut c = SqliteConnectOptions::new().filename(&cells.path).connect().await.unwrap();
    let good = [
        ("decimal", "12.5", json!("12.50")),
        ("decimal", "3", json!("3")),
        ("decimal", "0.1", json!("0.1")),
        ("decimal", "'1e2'", json!("100")),
        ("bool", "0", json!(false)),
        ("bool", "'true'", json!(true)),
        ("timestamp", "1795313662", json!("2026-11-22T02:14:22Z")),
        ("timestamp", "'2026-11-22 02:14:22.5'", json!("2026-11-22T02:14:22.500Z")),
        ("timestamp", "'2026-11-22T03:14:22+01:00'", json!("2026-11-22T02:14:22Z")),
        ("uuid", "x'0190a1b2c3d47e5f8a9b0c1d2e3f4a5b'", json!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")),
        ("int", "'42'", json!(42)),
    ];
    let bad = [
        ("text", "1", "text"),
        ("text", "1.5", "text"),
        ("text", "x'00ff'", "text"),
        ("text", "CAST(x'ff' AS TEXT)", "text"),
        ("int", "1.5", "int"),
        ("int", "'many'", "int"),
        ("decimal", "'lots'", "decimal"),
        ("decimal", "9e999", "decimal"),
        ("bool", "2", "bool"),
        ("timestamp", "'yesterday'", "timestamp"),
        ("timestamp", "9223372036854775807", "timestamp"),
        ("date", "20260101", "date"),
        ("uuid", "x'00'", "uuid"),
        ("json", "'{'", "json"),
        ("enum", "'c'", "enum"),
        ("list", "'[1]'", "list"),
    ];
    sqlx::query("CREATE TABLE loose AS SELECT * FROM theirs").execute(&mut c).await.unwrap();
    sqlx::query("DROP TABLE theirs").execute(&mut c).await.unwrap();
    let untyped = "CREATE TABLE theirs (id INTEGER PRIMARY KEY, text, int, decimal, bool, timestamp, date, uuid, json, enum, list)";
    sqlx::query(untyped).execute(&mut c).await.unwrap();
    let (readable, unreadable) = (good.len(), bad.len());
    for (column, literal, expected) in good {
        let sql = format!("INSERT INTO theirs ({column}) VALUES ({literal}) RETURNING CAST(id AS TEXT)");
        let id: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut c).await.unwrap();
        let row = cells.store.row("theirs", &id.into()).await.unwrap().unwrap();
        let expected = from(json!({ column: expected }));
        assert_eq!(row.fields.get(column), expected.get(column), "{column} {literal}");
    }
    for (column, literal, ty) in bad {
        let sql = format!("INSERT INTO theirs ({column}) VALUES ({literal}) RETURNING CAST(id AS TEXT)");
        let id: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut c).await.unwrap();
        let error = cells.store.row("theirs", &id.into()).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused, "{column} {literal}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("theirs.{column} ")), "{message}");
        assert!(message.contains(ty), "{message}");
        assert!(!message.contains("lots") && !message.contains("yesterday"), "no value in {message}");
    }
    let page = cells.store.rows("theirs", None, None, 100).await.unwrap();
    assert_eq!((page.rows.len(), page.unreadable.len()), (readable, unreadable));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever text, number or decimal: what is written is what is read, in both tables as far as the column can hold it.
    #[test]
    fn values_survive(texts in proptest::collection::vec("[^\\x00]{0,40}", 8), ints in proptest::collection::vec(any::<i64>(), 8),
                      cents in proptest::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cells = cells().await;
            for ((text, int), cents) in texts.into_iter().zip(ints).zip(cents) {
                let record = Record::from_iter([
                    ("text", Value::Text(text)),
                    ("int", Value::Int(int)),
                    ("decimal", Value::Decimal(rust_decimal::Decimal::new(cents, 2))),
                ]);
                for table in ["ours", "theirs"] {
                    let row = cells.store.insert_row(table, &record).await.unwrap();
                    for (name, value) in record.iter() {
                        assert_eq!(row.fields.get(name), Some(value), "{table}");
                    }
                }
            }
        });
    }
}
