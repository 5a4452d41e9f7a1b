//! `plan` before anything is set up: it says what would happen and writes nothing, neither here nor there.

use crate::real::installation::{Installation, PASSES_ALONE};
use crate::real::peer::Peer;
use crate::real::table::Table;
use reqwest::Method;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

#[tokio::test]
async fn plan_before_migrate_writes_nothing_on_either_side() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    let table = Table::create(&installation.file()).await;
    for (name, email) in [("Ada", "ada@example.com"), ("Grace", "grace@example.com")] {
        table.insert(name, email).await;
    }
    table.close().await;
    peer.create(&[("name", "Grace"), ("email", "Grace@Example.com")]).await;
    peer.create(&[("name", "Alan"), ("email", "alan@example.com")]).await;
    peer.steer(Method::DELETE, "/requests", None).await;
    let before = files(installation.folder());

    let done = installation.verb(&["plan", "--format", "json"]);
    assert!(done.code == Some(0) || done.code == Some(1), "{done:?}");
    let mut lines = done.out.lines().map(|line| serde_json::from_str::<Json>(line).expect("a line of JSON"));
    let totals = lines.next_back().expect("the totals")["totals"].clone();
    for (what, expected) in [("link", 1), ("create_local", 1), ("create_remote", 1), ("ambiguous", 0)] {
        assert_eq!(totals[what], expected, "the plan says what would happen: {done:?}");
    }

    let after = files(installation.folder());
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "no file came or went");
    assert!(before == after, "every file has the bytes it had");
    let log = peer.steer(Method::GET, "/requests", None).await;
    let requests = log["requests"].as_array().expect("a log");
    assert!(!requests.is_empty(), "it has looked");
    let writes: Vec<_> = requests.iter().filter(|request| request["method"] != "GET").collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn plan_without_a_database_makes_none() {
    let mut installation = Installation::new(PASSES_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect(&peer);
    peer.create(&[("name", "Alan"), ("email", "alan@example.com")]).await;
    let done = installation.verb(&["plan"]);
    assert!(done.code == Some(0) || done.code == Some(1), "{done:?}");
    assert!(!installation.file().exists(), "{done:?}");
}

/// Every file of the folder but the logs of what runs beside.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "log") {
            all.insert(path.display().to_string(), std::fs::read(&path).expect("read"));
        }
    }
    all
}
