//! The power is cut after every call of a working day, and whatever was not synced is lost from some frame of the log on: nothing that was
//! promised to anybody is gone, and no number, key or fact that got out can come again. The argument is in `src/durability.rs`.

use crate::foreign::{Program, at, claim, pair, quick_folder};
use bothways_model::{LinkId, PairId, Seq};
use bothways_sql::{Sql, gated};
use bothways_store::contract::catalogs;
use bothways_store::contract::interleave::Gate;
use bothways_store::{
    Capture, Cursor, Delivery, Guard, Intake, Intent, IntentState, IntentWrite, LeaseAction, Links,
    PageCommit, Signal, Subject, Take, Taken, Unit, UnitOutcome, WorkQueue, WorkWrite,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What somebody outside has been told.
#[derive(Clone, Debug)]
enum Promise {
    /// The user's program: this row is stored. The user's row counts as seen by us, too.
    Row(i64),
    /// The service: this event is accepted.
    Event(String),
    /// The service has got a request with this intent's key.
    Sent(LinkId, u32),
    /// The service's answer to it is known.
    Confirmed(LinkId, u32),
    /// The feed was read up to here.
    Cursor(i64),
}

/// The log's header, and a frame: its own header and a page.
const HEADER: u64 = 32;
const FRAME: u64 = 24 + 4096;

struct Day {
    program: Program,
    file: PathBuf,
    promises: Vec<Promise>,
    /// This much of the log has been synced.
    synced: u64,
    cuts: usize,
    lost: usize,
}

fn log_of(file: &Path) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push("-wal");
    name.into()
}

impl Day {
    async fn new() -> Self {
        let program = Program::new().await;
        let file = PathBuf::from(program.url.trim_start_matches("sqlite://"));
        program.sql("PRAGMA wal_autocheckpoint = 0").await;
        // This connection learns that there is a log when it reads. The log begins empty, as soon as nobody else reads it any more.
        program.number("SELECT count(*) FROM sqlite_schema").await;
        while program.number("PRAGMA wal_checkpoint(TRUNCATE)").await != 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(std::fs::metadata(log_of(&file)).map_or(0, |m| m.len()), 0);
        Self { program, file, promises: Vec::new(), synced: 0, cuts: 0, lost: 0 }
    }

    /// Makes a call of the store, after which `told` is known outside, and cuts the power at every place it can take effect.
    async fn call<T>(&mut self, call: impl Future<Output = T>, told: impl FnOnce(&T) -> Vec<Promise>) -> T {
        let gate = Gate::always_open();
        let answer = gated(gate.clone(), call).await;
        let told = told(&answer);
        self.cut(gate.was_durable(), told).await;
        answer
    }

    /// Something was committed: synced, if it was durable.
    async fn cut(&mut self, durable: bool, told: Vec<Promise>) {
        let length = std::fs::metadata(log_of(&self.file)).map_or(0, |m| m.len());
        let before = self.promises.clone();
        self.promises.extend(told);
        let mut places: Vec<u64> = (0..).map(|n| HEADER + n * FRAME).take_while(|at| *at < length).collect();
        // Torn, too.
        places.extend(places.clone().iter().map(|at| at + FRAME / 2).filter(|at| *at < length));
        places.retain(|at| *at >= self.synced);
        places.push(length);
        for place in places {
            // Until a durable commit is synced nobody is told of it.
            let promises = if durable && place < length { &before } else { &self.promises };
            self.lost += usize::from(place < length);
            self.cuts += 1;
            check(&self.file, place, promises).await;
        }
        if durable {
            self.synced = length;
        }
    }
}

/// The database after a power cut that left this much of the log.
async fn check(file: &Path, place: u64, promises: &[Promise]) {
    let folder = quick_folder();
    let copy = folder.path().join("left.db");
    std::fs::copy(file, &copy).unwrap();
    let log = std::fs::read(log_of(file)).unwrap_or_default();
    std::fs::write(log_of(&copy), &log[..usize::try_from(place).unwrap().min(log.len())]).unwrap();
    let mut c = SqliteConnectOptions::new().filename(&copy).connect().await.unwrap();
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut c).await.unwrap();
    assert_eq!(whole, "ok");
    // Everything in it agrees.
    for (what, sql) in [
        (
            "a number that the counter has not passed",
            "SELECT count(*) FROM (SELECT token AS n FROM bothways_links UNION ALL SELECT generation FROM bothways_work \
             UNION ALL SELECT taken FROM bothways_work UNION ALL SELECT seen FROM bothways_keys) \
             WHERE n > (SELECT value FROM bothways_counter)",
        ),
        (
            "a fact whose name can be given again",
            "SELECT count(*) FROM bothways_work, json_each(coalesce(facts, '[]')) AS f \
             WHERE f.value ->> '$.deleted.change' > (SELECT seq FROM sqlite_sequence WHERE name = 'bothways_changes')",
        ),
        (
            "a row that nobody has noticed",
            "SELECT count(*) FROM customers AS r \
             WHERE NOT EXISTS (SELECT 1 FROM bothways_changes WHERE key = CAST(r.id AS TEXT)) \
             AND NOT EXISTS (SELECT 1 FROM bothways_work WHERE kind = 'local' AND subject = CAST(r.id AS TEXT)) \
             AND NOT EXISTS (SELECT 1 FROM bothways_links WHERE local_id = CAST(r.id AS TEXT))",
        ),
        (
            "an intent beyond what its link has counted",
            "SELECT count(*) FROM bothways_intents AS i WHERE number > (SELECT intents FROM bothways_links WHERE id = i.link)",
        ),
    ] {
        assert_eq!(number(&mut c, sql).await, 0, "{what}, at byte {place}");
    }
    let url = format!("sqlite://{}", copy.display());
    let store = Sql::open(&url, catalogs()).await.unwrap();
    store.end_leases(at(9_000)).await.unwrap();
    for promise in promises {
        let context = format!("{promise:?} at byte {place}");
        match promise {
            Promise::Row(id) => {
                let there = number(&mut c, &format!("SELECT count(*) FROM customers WHERE id = {id}")).await;
                assert_eq!(there, 1, "{context}");
            }
            Promise::Event(event) => {
                let again = Delivery {
                    connection: "stripe".into(),
                    event: event.clone(),
                    about: None,
                    signals: vec![],
                };
                assert_eq!(store.intake(at(9_000), &[again]).await.unwrap(), [false], "{context}");
            }
            Promise::Sent(link, sent) | Promise::Confirmed(link, sent) => {
                let intents = store.intents(*link, 99).await.unwrap();
                let intent = intents.iter().find(|i| i.number == *sent);
                let intent = intent.unwrap_or_else(|| panic!("{context}"));
                let known = intent.state == IntentState::Confirmed;
                assert!(known || !matches!(promise, Promise::Confirmed(..)), "{context}");
                let taken = store.lease(*link, at(9_000), at(9_000)).await.unwrap().expect("free");
                assert!(taken.next_intent > *sent, "{context}: its key would be used again");
            }
            Promise::Cursor(value) => {
                let there = store.cursor("feed/stripe").await.unwrap().and_then(|v| v.as_i64());
                assert!(there >= Some(*value), "{context}");
            }
        }
    }
}

async fn number(c: &mut SqliteConnection, sql: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(c).await.unwrap()
}

fn intent(link: LinkId, pair: PairId, number: u32) -> IntentWrite {
    IntentWrite::Open(Box::new(Intent {
        link,
        number,
        pair,
        kind: Intent::UPDATE.into(),
        request: serde_json::json!({}),
        fields: Vec::new(),
        key: format!("{link}/{number}"),
        state: IntentState::Open,
        at: at(0),
        sent_at: at(0),
        outcome: None,
        service_at: None,
    }))
}

fn close(link: LinkId, number: u32) -> IntentWrite {
    IntentWrite::Close { link, number, state: IntentState::Confirmed, outcome: "ok".into() }
}

/// A unit under the lease of `taken`, which keeps it.
fn keeping(taken: &Taken, link: LinkId, second: i64) -> Unit {
    let mut unit = Unit::new(Guard::Token { link, token: taken.token });
    unit.lease = LeaseAction::Renew(at(second + 60));
    unit
}

fn is_done(outcomes: &[UnitOutcome]) -> bool {
    matches!(outcomes, [UnitOutcome::Done { .. }])
}

#[tokio::test]
async fn nothing_that_got_out_is_lost_or_comes_again() {
    let mut day = Day::new().await;
    let store = day.program.store.clone();
    let pair = day.call(pair(&store), |_| Vec::new()).await;
    for round in 1..=4_i64 {
        let now = round * 100;
        // A user whose program syncs nothing: what it stores is promised by nobody, but is part of what follows.
        let mode = if round % 2 == 0 { "OFF" } else { "FULL" };
        day.program.sql(&format!("PRAGMA synchronous = {mode}")).await;
        day.program.sql(&format!("INSERT INTO customers (id, name) VALUES ({round}, 'n{round}')")).await;
        let told = if mode == "FULL" { vec![Promise::Row(round)] } else { Vec::new() };
        day.cut(mode == "FULL", told).await;
        day.call(store.relay(at(now), 100), |_| Vec::new()).await.unwrap();
        let take = Take { now: at(now), until: at(now + 60), limit: 9, pairs: &[pair] };
        let all = day.call(store.take(take), |_| Vec::new()).await.unwrap();
        let is_new =
            |taken: &Taken| taken.row.as_ref().is_some_and(|row| row.id.as_str() == round.to_string());
        let taken = all.into_iter().find(is_new).expect("the new row");
        // The row gets a link, whose create goes out.
        let mut link = claim(pair, u128::try_from(round).unwrap(), taken.token);
        (link.local_id, link.remote_id) = (Some(round.to_string().into()), None);
        let id = link.id;
        let mut unit = Unit::new(Guard::Claim(Box::new(link)));
        unit.intents = vec![intent(id, pair, 1)];
        unit.lease = LeaseAction::Renew(at(now + 60));
        let sent = day.call(store.commit(at(now), &[unit]), |_| vec![Promise::Sent(id, 1)]).await.unwrap();
        assert!(is_done(&sent));
        // An update follows under the same lease.
        day.call(store.draw(2), |_| Vec::new()).await.unwrap();
        let mut unit = keeping(&taken, id, now);
        unit.intents = vec![close(id, 1), intent(id, pair, 2)];
        let told = vec![Promise::Confirmed(id, 1), Promise::Sent(id, 2)];
        assert!(is_done(&day.call(store.commit(at(now), &[unit]), |_| told).await.unwrap()));
        let mut unit = Unit::new(Guard::Token { link: id, token: taken.token });
        unit.intents = vec![close(id, 2)];
        unit.work = vec![WorkWrite::Done {
            id: taken.work[0].id,
            generation: taken.work[0].generation,
            facts: Vec::new(),
        }];
        let told = vec![Promise::Confirmed(id, 2)];
        assert!(is_done(&day.call(store.commit(at(now), &[unit]), |_| told).await.unwrap()));
        // A look that finds nothing, and one by a person.
        let signal =
            |id: &str| Signal { pair, subject: Subject::Local(id.into()), look: true, not_before: None };
        let event = format!("evt_{round}");
        let delivery = Delivery {
            connection: "stripe".into(),
            event: event.clone(),
            about: None,
            signals: vec![signal(&round.to_string())],
        };
        day.call(store.intake(at(now), &[delivery]), |_| vec![Promise::Event(event)]).await.unwrap();
        let take = Take { now: at(now + 1), until: at(now + 60), limit: 9, pairs: &[pair] };
        let again = day.call(store.take(take), |_| Vec::new()).await.unwrap();
        assert!(again.iter().all(|t| t.token > taken.token && t.token > Seq(0)));
        for one in &again {
            day.call(store.release(id, one.token), |_| Vec::new()).await.unwrap();
        }
        let leased = day.call(store.lease(id, at(now + 2), at(now + 60)), |_| Vec::new()).await.unwrap();
        day.call(store.release(id, leased.expect("free").token), |_| Vec::new()).await.unwrap();
        let page = PageCommit {
            cursor: Some(Cursor { name: "feed/stripe".into(), value: round.into() }),
            ..PageCommit::default()
        };
        day.call(store.commit_page(at(now), &page), |_| vec![Promise::Cursor(round)]).await.unwrap();
        // The row goes; the fact is relayed and taken before anything is synced.
        if round == 3 {
            day.program.sql("PRAGMA synchronous = OFF; UPDATE customers SET name = 'x' WHERE id = 1").await;
            day.program
                .sql("INSERT INTO customers (id, name) VALUES (90, 'y'); DELETE FROM customers WHERE id = 90")
                .await;
            day.cut(false, Vec::new()).await;
        }
        day.call(store.relay(at(now), 1), |_| Vec::new()).await.unwrap();
        day.call(store.sweep(at(now)), |_| Vec::new()).await.unwrap();
        day.call(store.end_leases(at(now)), |_| Vec::new()).await.unwrap();
    }
    assert!(day.lost > 200, "{} of {} cuts lost something", day.lost, day.cuts);
    report(&format!("{} power cuts, {} of which lost something", day.cuts, day.lost));
}

#[allow(clippy::print_stdout, reason = "the number is part of the proof")]
fn report(line: &str) {
    println!("{line}");
}

/// A copy made by `VACUUM INTO` has no write-ahead log, and another tool may have changed the mode while nobody had the file open.
#[tokio::test]
async fn a_database_that_lost_its_log_gets_one_again() {
    let program = Program::new().await;
    let folder = quick_folder();
    let copy = folder.path().join("copy.db");
    program.sql(&format!("VACUUM INTO '{}'", copy.display())).await;
    let opened = async || -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&copy).busy_timeout(Duration::ZERO);
        options.connect().await.unwrap()
    };
    let asked = async |c: &mut SqliteConnection| -> Vec<String> {
        sqlx::query_scalar("PRAGMA journal_mode").fetch_all(c).await.unwrap()
    };
    let mut c = opened().await;
    assert_eq!(asked(&mut c).await, ["delete"]);
    sqlx::Connection::close(c).await.unwrap();
    let store = Sql::open(&format!("sqlite://{}", copy.display()), catalogs()).await.unwrap();
    let mut c = opened().await;
    assert_eq!(asked(&mut c).await, ["wal"]);
    // While the engine has it open nobody can change that.
    assert!(sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut c).await.is_err());
    store.draw(1).await.unwrap();
}
