//! The bans that keep engine and connectors simulable are really in force.

use super::{assert_none, files, root, text};

/// Crates that reach time, tasks, randomness and the outside world only through ports.
const PORTS_ONLY: &[&str] = &[
    "framework/model",
    "framework/mapping",
    "framework/connector",
    "framework/store",
    "framework/engine",
    "connectors/rest",
    "connectors/salesforce",
    "connectors/stripe",
];

/// What their clippy configuration must name at least.
const BANNED: &[&str] = &[
    "tokio::spawn",
    "tokio::task::spawn",
    "tokio::task::spawn_blocking",
    "tokio::task::JoinSet",
    "tokio::time::sleep",
    "tokio::time::sleep_until",
    "tokio::time::timeout",
    "tokio::time::timeout_at",
    "tokio::time::interval",
    "tokio::time::interval_at",
    "tokio::time::Instant",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "chrono::Utc::now",
    "uuid::Uuid::now_v7",
    "uuid::Uuid::new_v4",
    "rand::rng",
    "rand::random",
    "rand::rngs::ThreadRng",
    "futures::select",
    "std::collections::HashMap",
    "std::collections::HashSet",
];

#[test]
fn every_crate_behind_ports_has_the_bans() {
    let mut findings = Vec::new();
    for folder in PORTS_ONLY {
        let path = format!("{folder}/.clippy.toml");
        let configuration = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        for banned in BANNED {
            let entry = format!("{{ path = \"{banned}\", reason = \"");
            if !configuration.lines().any(|line| line.trim_start().starts_with(&entry)) {
                findings.push(format!("{path} does not ban {banned}"));
            }
        }
    }
    assert_none("bans that are missing, or lack a reason", &findings);
}

#[test]
fn bans_are_not_lifted_in_running_code() {
    let mut findings = Vec::new();
    for (path, text) in running_code() {
        for (index, line) in text.lines().enumerate() {
            if line.contains("clippy::disallowed_") {
                findings.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert_none("a port exists for this", &findings);
}

#[test]
fn every_select_has_a_fixed_order() {
    let mut findings = Vec::new();
    for (path, text) in running_code() {
        for (before, after) in
            text.match_indices("select! {").map(|(at, found)| text.split_at(at + found.len()))
        {
            // `futures::select_biased!` has a fixed order by itself.
            if !after.trim_start().starts_with("biased;") {
                findings.push(format!("{path}:{}", before.lines().count()));
            }
        }
    }
    assert_none("`select!` without `biased;` chooses at random", &findings);
}

/// Path and text of the crates behind ports, up to each file's tests.
fn running_code() -> Vec<(String, String)> {
    let mut code = Vec::new();
    for path in files() {
        let inside = PORTS_ONLY.iter().any(|folder| path.starts_with(&format!("{folder}/src/")));
        if inside && path.ends_with(".rs") && !path.ends_with("tests.rs") {
            let text = text(&path);
            let end = text.find("#[cfg(test)]").unwrap_or(text.len());
            code.push((path, text[..end].to_owned()));
        }
    }
    assert!(code.len() > PORTS_ONLY.len(), "the sources were not found");
    code
}

/// Powers that one place has: a word of code, and where it may stand.
const ONE_PLACE: &[(&str, &[&str])] = &[
    // SQL text made at run time is vouched for in one file (`Ident` proves names, values are bound).
    ("AssertSqlSafe", &["framework/sql/src/statement.rs"]),
    // Requests leave through the HTTP port, which holds budgets, limits and address rules; the sandbox sends its webhooks.
    ("reqwest::", &["framework/http/", "connectors/sandbox/"]),
    // The YAML library has one user, so that it can be exchanged.
    ("serde_yaml::", &["framework/mapping/src/yaml.rs"]),
];

#[test]
fn some_powers_are_in_one_place() {
    let mut findings = Vec::new();
    for path in files() {
        let source =
            path.ends_with(".rs") && (path.starts_with("framework/") || path.starts_with("connectors/"));
        if !source || path.contains("/tests/") {
            continue;
        }
        let text = text(&path);
        for (word, places) in ONE_PLACE {
            if text.contains(word) && !places.iter().any(|place| path.starts_with(place)) {
                findings.push(format!("{path} uses {word}"));
            }
        }
    }
    assert_none("this belongs elsewhere", &findings);
}

#[test]
fn releases_check_for_overflow() {
    let manifest = text("Cargo.toml");
    let profile = manifest.split("[profile.release]").nth(1).expect("a release profile");
    let profile = profile.split("\n[").next().unwrap_or_default();
    assert!(profile.lines().any(|line| line.trim() == "overflow-checks = true"), "{profile}");
    assert!(manifest.contains("unsafe_code = \"forbid\""), "unsafe code is forbidden");
}
