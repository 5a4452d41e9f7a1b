//! Who may import whom: the manifests against the table of framework/ARCHITECTURE.md, which is the one place that says it.

use super::{assert_none, root, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crates from outside that would give a crate powers its "must not" line denies. Package names, not local names.
const DENIED: &[(&str, &[&str])] = &[
    ("framework/model", PURE),
    (
        "framework/mapping",
        &[
            "tokio",
            "async-trait",
            "futures",
            "reqwest",
            "sqlx",
            "rusqlite",
            "axum",
            "zeromq",
            "notify",
            "rand",
            "annotate-snippets",
        ],
    ),
    (
        "framework/diagnose",
        &[
            "tokio",
            "async-trait",
            "futures",
            "reqwest",
            "sqlx",
            "rusqlite",
            "axum",
            "zeromq",
            "notify",
            "rand",
        ],
    ),
    ("framework/connector", PURE),
    ("framework/store", &["sqlx", "rusqlite", "zeromq", "reqwest", "axum", "notify", "serde-saphyr"]),
    ("framework/queue", &["sqlx", "rusqlite", "zeromq", "reqwest", "axum", "notify", "serde-saphyr"]),
    ("framework/sql", &["reqwest", "zeromq", "axum", "serde-saphyr"]),
    ("framework/brokers", &["sqlx", "rusqlite", "reqwest", "axum", "serde-saphyr", "serde_json"]),
    (
        "framework/engine",
        &["sqlx", "rusqlite", "reqwest", "zeromq", "axum", "rand", "governor", "notify", "serde-saphyr"],
    ),
    ("framework/http", &["sqlx", "rusqlite", "zeromq", "axum", "serde-saphyr"]),
    ("framework/server", &["sqlx", "rusqlite", "reqwest", "zeromq", "serde-saphyr"]),
    ("connectors/rest", PURE),
    ("connectors/salesforce", PURE),
    ("connectors/stripe", PURE),
];

/// What no crate may have that does no I/O, is not async and reads no YAML.
const PURE: &[&str] = &[
    "tokio",
    "async-trait",
    "futures",
    "reqwest",
    "sqlx",
    "rusqlite",
    "axum",
    "zeromq",
    "notify",
    "rand",
    "serde-saphyr",
];

/// A stand-in of a service: for the demo and for tests alone.
const SANDBOX: &str = "connectors/sandbox";
const TESTS: &str = "tests";
const SIMULATION: &str = "tests/simulation";

/// Dev-dependencies beside the sandbox and test kits, each with its reason.
const TESTED_WITH: &[(&str, &str)] = &[
    // The engine's flows are tested with real connectors, against the sandbox and without a network.
    ("framework/engine", "connectors/salesforce"),
    ("framework/engine", "connectors/stripe"),
    // Versions and whole records are no matter of Stripe's: a document of a few lines has them.
    ("framework/engine", "connectors/rest"),
    // What pages and routes show of a mapping needs one that is loaded: that of a document of a few lines.
    ("framework/server", "framework/mapping"),
    ("framework/server", "connectors/rest"),
];

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let table = table();
    let packages = packages();
    let mut findings = Vec::new();
    for folder in packages.keys() {
        if !table.contains_key(folder.as_str()) {
            findings.push(format!("{folder} has no row in framework/ARCHITECTURE.md"));
        }
    }
    for folder in table.keys() {
        if !packages.contains_key(folder) {
            findings.push(format!(
                "framework/ARCHITECTURE.md has a row for {folder}, which is no crate of the workspace"
            ));
        }
    }
    for (folder, package) in &packages {
        let Some(allowed) = table.get(folder) else { continue };
        for dependency in &package.dependencies {
            let Some(target) = &dependency.folder else { continue };
            let free = dependency.dev
                && (target == folder
                    || target == SANDBOX
                    || has_testkit(&packages, target)
                    || TESTED_WITH.contains(&(folder.as_str(), target.as_str())));
            let allowed = match allowed {
                Allowed::Everything => target != SANDBOX || folder == "framework/cli" || folder == TESTS,
                Allowed::Only(folders) => folders.contains(target),
            };
            // Nobody imports what only tests.
            let allowed = allowed && ![TESTS, SIMULATION].contains(&target.as_str());
            if !allowed && !free {
                let kind = if dependency.dev { "dev-depends on" } else { "imports" };
                findings.push(format!("{folder} {kind} {target}"));
            }
        }
    }
    assert_none("edges that the table of framework/ARCHITECTURE.md does not allow", &findings);
}

#[test]
fn crates_have_no_outside_dependency_that_gives_them_forbidden_powers() {
    let packages = packages();
    let mut findings = Vec::new();
    for (folder, denied) in DENIED {
        let package = packages.get(*folder).unwrap_or_else(|| panic!("{folder} is gone; mend DENIED"));
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
            if denied.contains(&dependency.name.as_str()) {
                findings.push(format!("{folder} depends on {}", dependency.name));
            }
        }
    }
    assert_none("see the crate's \"must not\" line in framework/ARCHITECTURE.md", &findings);
}

#[test]
fn packages_are_named_after_their_folders() {
    let mut findings = Vec::new();
    for (folder, package) in packages() {
        let expected = match folder.split_once('/') {
            Some(("framework", job)) => format!("bothways-{job}"),
            Some(("connectors", system)) => format!("bothways-connector-{system}"),
            Some(("tests", suite)) => format!("bothways-{suite}"),
            _ => format!("bothways-{folder}"),
        };
        if package.name != expected {
            findings.push(format!("{folder} is called {}, expected {expected}", package.name));
        }
    }
    assert_none("package names", &findings);
}

enum Allowed {
    Everything,
    Only(BTreeSet<String>),
}

/// Reads the table: crate, job, may import, must not.
fn table() -> BTreeMap<String, Allowed> {
    let document = text("framework/ARCHITECTURE.md");
    let mut rows = BTreeMap::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, job, imports, must_not] = cells.as_slice() else { continue };
        let [folder] = quoted(name)[..] else { continue };
        if !line.starts_with("| `") {
            continue;
        }
        assert!(!job.is_empty() && !must_not.is_empty(), "{folder} lacks its job or its \"must not\"");
        let folders = quoted(imports);
        let allowed = match *imports {
            "everything" => Allowed::Everything,
            "nothing of ours" => Allowed::Only(BTreeSet::new()),
            _ if folders.is_empty() => panic!("cannot read what {folder} may import: {imports}"),
            _ => Allowed::Only(folders.into_iter().map(in_full).collect()),
        };
        assert!(rows.insert(in_full(folder), allowed).is_none(), "{folder} has two rows");
    }
    assert!(rows.len() > 10, "the table of framework/ARCHITECTURE.md was not found");
    rows
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `model` is short for `framework/model`.
fn in_full(folder: &str) -> String {
    if folder.contains('/') || folder == TESTS { folder.to_owned() } else { format!("framework/{folder}") }
}

struct Package {
    name: String,
    features: BTreeSet<String>,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    dev: bool,
    /// Set for crates of ours.
    folder: Option<String>,
}

fn has_testkit(packages: &BTreeMap<String, Package>, folder: &str) -> bool {
    packages.get(folder).is_some_and(|package| package.features.contains("testkit"))
}

/// The workspace's packages by folder, as cargo reads their manifests.
fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let root = root();
    let folder = |path: &str| {
        let inside = std::path::Path::new(path).strip_prefix(&root).expect("inside the repository");
        inside.to_str().expect("UTF-8").replace('\\', "/")
    };
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let manifest = package["manifest_path"].as_str().expect("a path").trim_end_matches("/Cargo.toml");
        let dependencies =
            package["dependencies"].as_array().expect("dependencies").iter().map(|dependency| Dependency {
                name: dependency["name"].as_str().expect("a name").to_owned(),
                dev: dependency["kind"].as_str() == Some("dev"),
                folder: dependency["path"].as_str().map(folder),
            });
        let features = package["features"].as_object().expect("features").keys().cloned().collect();
        let name = package["name"].as_str().expect("a name").to_owned();
        let package = Package { name, features, dependencies: dependencies.collect() };
        packages.insert(folder(manifest), package);
    }
    packages
}
