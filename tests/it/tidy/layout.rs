//! Where things lie: the visible top level, migration folders in step, a conformance test for each connector.

use super::{assert_none, files, root, text};
use std::collections::{BTreeMap, BTreeSet};

/// All that a visitor sees of the repository's first level; names with a dot in front are not counted.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "connectors",
    "framework",
    "mappings",
    "migrations",
    "tests",
];

#[test]
fn the_top_level_is_what_the_readme_shows() {
    let found: BTreeSet<String> = files()
        .iter()
        .filter_map(|path| path.split('/').next().filter(|name| !name.starts_with('.')).map(str::to_owned))
        .collect();
    let expected: BTreeSet<String> = TOP.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, expected);
}

#[test]
fn migration_folders_hold_the_same_names() {
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files() {
        if let Some((database, name)) = path.strip_prefix("migrations/").and_then(|rest| rest.split_once('/'))
        {
            folders.entry(database.to_owned()).or_default().insert(name.to_owned());
        }
    }
    assert!(folders.contains_key("sqlite"), "migrations/sqlite is empty");
    let all: BTreeSet<String> = folders.values().flatten().cloned().collect();
    let mut findings = Vec::new();
    for (database, names) in &folders {
        findings.extend(all.difference(names).map(|name| format!("migrations/{database} lacks {name}")));
    }
    assert_none("each migration is written for every database", &findings);
}

#[test]
fn every_connector_runs_the_conformance_suite() {
    let files = files();
    let connectors: BTreeSet<&str> = files
        .iter()
        .filter_map(|path| path.strip_prefix("connectors/")?.split_once('/').map(|(name, _)| name))
        // A stand-in of the services, not a connector to them.
        .filter(|name| *name != "sandbox")
        .collect();
    assert!(connectors.len() >= 2, "connectors/ was not found: {connectors:?}");
    let mut findings = Vec::new();
    for name in connectors {
        let path = format!("connectors/{name}/tests/conformance.rs");
        if !files.contains(&path) {
            findings.push(format!("{path} is missing"));
        } else if !text(&path).contains("conformance::") {
            findings.push(format!("{path} does not call the suite of framework/connector"));
        }
    }
    assert_none("connectors without conformance", &findings);
}

#[test]
fn the_architecture_names_only_what_is_there() {
    let document = text("framework/ARCHITECTURE.md");
    let mut findings = Vec::new();
    let mut paths = 0;
    for name in document.split('`').skip(1).step_by(2).filter(|name| name.contains('/')) {
        paths += 1;
        if !root().join(name).exists() && !root().join("framework").join(name).exists() {
            findings.push(name.to_owned());
        }
    }
    assert!(paths > 30, "the map was not found");
    assert_none("framework/ARCHITECTURE.md sends people to", &findings);
}
