//! Tables with minds of their own: conflict clauses that end the transaction, constraints that are checked at commit, triggers that
//! ignore or touch other rows. Whatever they do, a batch keeps its promise.

use crate::foreign::{Program, at, done, inserting, pair, text};
use bothways_model::Record;
use bothways_store::{
    Guard, LinkFilter, Links, RowWrite, Rows, Settled, StoreError, StoreErrorKind, Unit, UnitOutcome,
    WorkQueue,
};
use std::sync::Arc;

async fn program(customers: &str) -> Program {
    let tables = format!(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY); {customers} CREATE TABLE tags (code TEXT PRIMARY KEY, label TEXT);"
    );
    Program::with_tables(&tables).await
}

fn person(n: u128) -> Record {
    let email = if n == 7 { "e3".to_owned() } else { format!("e{n}") };
    Record::from_iter([("name", text(&format!("n{n}"))), ("email", text(&email))])
}

/// Ten inserts of which the seventh is refused: nine rows, ten links, and the store goes on working.
async fn the_seventh_is_refused(program: &Program) {
    let store = &program.store;
    let pair = pair(store).await;
    let outcomes = store.commit(at(10), &inserting(pair, 10, person)).await.unwrap();
    for (n, outcome) in (1..).zip(outcomes) {
        match outcome {
            UnitOutcome::RowRefused { .. } => assert_eq!(n, 7),
            other => {
                assert_ne!(n, 7, "{other:?}");
                let (link, row) = done(other);
                assert_eq!(link.local_id, Some(row.unwrap().id));
            }
        }
    }
    assert_eq!(program.number("SELECT count(*) FROM customers").await, 9);
    assert_eq!(store.links(&LinkFilter::default(), None, 99).await.unwrap().len(), 10);
    let first = store.draw(1).await.unwrap();
    assert!(store.draw(1).await.unwrap() > first, "the writer works");
    store.sweep(at(20)).await.unwrap();
}

#[tokio::test]
async fn a_conflict_clause_that_rolls_back_costs_one_row() {
    let table = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE ON CONFLICT ROLLBACK, balance TEXT,
        level TEXT, joined TEXT, deleted_at TEXT);";
    let program = program(table).await;
    the_seventh_is_refused(&program).await;
    let again = Record::from_iter([("email", text("e1"))]);
    assert_eq!(
        program.store.insert_row("customers", &again).await.unwrap_err().kind,
        StoreErrorKind::Refused
    );
    program.store.insert_row("customers", &Record::from_iter([("email", text("e99"))])).await.unwrap();
}

#[tokio::test]
async fn a_conflict_clause_that_fails_or_ignores_costs_one_row() {
    for clause in ["FAIL", "IGNORE", "ABORT"] {
        let table = format!(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE ON CONFLICT {clause}, balance TEXT,
             level TEXT, joined TEXT, deleted_at TEXT);"
        );
        the_seventh_is_refused(&program(&table).await).await;
    }
}

#[tokio::test]
async fn a_constraint_checked_at_commit_costs_one_row() {
    let table = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT,
            deleted_at TEXT, parent INTEGER DEFAULT 0 REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO parents (id) VALUES (0);
        CREATE TRIGGER adopt AFTER INSERT ON customers WHEN NEW.name = 'n7'
            BEGIN UPDATE customers SET parent = 99 WHERE id = NEW.id; END;";
    the_seventh_is_refused(&program(table).await).await;
}

#[tokio::test]
async fn a_trigger_that_rolls_back_costs_one_row() {
    for body in ["SELECT RAISE(ROLLBACK, 'no')", "SELECT RAISE(FAIL, 'no')", "SELECT RAISE(IGNORE)"] {
        let table = format!(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT,
                deleted_at TEXT);
             CREATE TRIGGER refuse BEFORE INSERT ON customers WHEN NEW.name = 'n7' BEGIN {body}; END;"
        );
        the_seventh_is_refused(&program(&table).await).await;
    }
}

/// A trigger that cannot even be compiled refuses every row, and nothing else.
#[tokio::test]
async fn a_broken_trigger_refuses_rows_and_loses_nothing() {
    let table = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT,
            deleted_at TEXT);
        CREATE TRIGGER broken BEFORE INSERT ON customers BEGIN INSERT INTO nowhere VALUES (1); END;";
    let program = program(table).await;
    let pair = pair(&program.store).await;
    let outcomes = program.store.commit(at(10), &inserting(pair, 5, person)).await.unwrap();
    assert!(outcomes.iter().all(|o| matches!(o, UnitOutcome::RowRefused { .. })), "{outcomes:?}");
    assert_eq!(program.store.links(&LinkFilter::default(), None, 99).await.unwrap().len(), 5);
}

/// A trigger that changes another row than the one written: the unit about that row sees it.
#[tokio::test]
async fn triggers_that_reach_other_rows_are_seen_in_order() {
    let table = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT,
            deleted_at TEXT);
        CREATE TRIGGER reach AFTER UPDATE OF email ON customers WHEN NEW.email = 'all'
            BEGIN UPDATE customers SET name = 'reached' WHERE id <> NEW.id; END;";
    let program = program(table).await;
    let store = &program.store;
    let pair = pair(store).await;
    let made = store.commit(at(10), &inserting(pair, 2, person)).await.unwrap();
    let links: Vec<_> = made.into_iter().map(|o| done(o).0).collect();
    let unit = |n: usize, settle: bothways_store::Settle| {
        let mut unit = Unit::new(Guard::Token { link: links[n].id, token: links[n].lease.unwrap().token });
        unit.settle = Some(settle);
        unit
    };
    let all = Record::from_iter([("email", text("all"))]);
    let first =
        unit(0, Arc::new(move |_, _| Settled { row: RowWrite::Update(all.clone()), ..Settled::default() }));
    let second = unit(
        1,
        Arc::new(|row, _| {
            assert_eq!(row.and_then(|r| r.fields.get("name")), Some(&text("reached")));
            Settled::default()
        }),
    );
    for outcome in store.commit(at(20), &[first, second]).await.unwrap() {
        done(outcome);
    }
}

#[tokio::test]
async fn a_table_that_went_away_is_an_error_and_no_panic() {
    let program = Program::new().await;
    program.sql("DROP TABLE customers").await;
    let error = program.store.count_rows("customers").await.unwrap_err();
    assert!(error.to_string().contains("customers"), "{error}");
    use bothways_store::Capture;
    program.store.repair().await.unwrap();
    assert_eq!(program.store.count_rows("customers").await.unwrap_err().kind, StoreErrorKind::Unknown);
}

/// What RETURNING says of a write is what was there before other triggers ran: a trigger that somebody has just made counts at once.
#[tokio::test]
async fn a_trigger_made_a_moment_ago_is_read_back() {
    let table = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, balance TEXT, level TEXT, joined TEXT,
        deleted_at TEXT);";
    let program = program(table).await;
    let pair = pair(&program.store).await;
    let spaced = |n: u128| Record::from_iter([("name", text(&format!(" n{n} ")))]);
    let units = inserting(pair, 6, spaced);
    let bases = |outcomes: Vec<UnitOutcome>| -> Vec<_> {
        outcomes.into_iter().map(|o| done(o).0.body.base["name"].local.clone().unwrap()).collect()
    };
    let first = bases(program.store.commit(at(1), &units[..3]).await.unwrap());
    assert_eq!(first, [1, 2, 3].map(|n| text(&format!(" n{n} "))));
    program
        .sql("CREATE TRIGGER trimmed AFTER INSERT ON customers BEGIN UPDATE customers SET name = trim(name) WHERE id = NEW.id; END")
        .await;
    let then = bases(program.store.commit(at(2), &units[3..]).await.unwrap());
    assert_eq!(then, [4, 5, 6].map(|n| text(&format!("n{n}"))));
}

/// SQLite takes a name in double quotes that is no column's for a text: a column that is gone must not become its own name in every row.
#[tokio::test]
async fn a_column_that_was_renamed_is_an_error_and_no_text() {
    use bothways_store::Capture;
    let program = Program::new().await;
    let pair = pair(&program.store).await;
    let row = |n: u128| Record::from_iter([("name", text(&format!("n{n}")))]);
    let units = inserting(pair, 3, row);
    let made = program.store.commit(at(1), &units[..1]).await.unwrap();
    let link = done(made.into_iter().next().unwrap()).0;
    let id = link.local_id.unwrap();
    let refused = |what: &str, error: StoreError| {
        assert_eq!(error.kind, StoreErrorKind::Broken, "{what}: {error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    program.sql("ALTER TABLE customers RENAME COLUMN level TO tier").await;
    refused("level", program.store.row("customers", &id).await.unwrap_err());
    refused("level", program.store.rows("customers", None, None, 9).await.unwrap_err());
    refused("level", program.store.rows("customers", Some("n0"), None, 9).await.unwrap_err());
    refused("`level`", program.store.commit(at(2), &units[1..]).await.unwrap_err());
    assert_eq!(program.number("SELECT count(*) FROM customers").await, 1);
    assert_eq!(program.store.repair().await.unwrap(), Vec::<String>::new());
    let unfit = program.store.unfit().await.unwrap();
    assert!(unfit.len() == 1 && unfit[0].0 == "customers" && unfit[0].1.contains("`level`"), "{unfit:?}");
    refused("`level`", program.store.row("customers", &id).await.unwrap_err());
    // A key that is called otherwise takes our triggers along; they are not put back, or nobody could write.
    program.sql("ALTER TABLE customers RENAME COLUMN id TO number").await;
    program.store.repair().await.unwrap();
    program.sql("UPDATE customers SET email = 'a@example.com'").await;
    assert_eq!(program.number("SELECT count(*) FROM bothways_changes WHERE op = 'update'").await, 1);
    program.sql("ALTER TABLE customers RENAME COLUMN number TO id").await;
    program.sql("ALTER TABLE customers RENAME COLUMN tier TO level").await;
    program.store.repair().await.unwrap();
    assert_eq!(program.store.unfit().await.unwrap(), []);
    assert!(program.store.row("customers", &id).await.unwrap().is_some());
    for outcome in program.store.commit(at(3), &units[1..]).await.unwrap() {
        done(outcome);
    }
}
