//! Malformed documents and what is said about each. Every finding is a snapshot, read by a person before it was accepted.
//!
//! Beside each fixture stand the shipped customers catalog and the Stripe connector, so that a mapping alone is enough.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bothways_diagnose::{FoundSchema, Style, check, check_schemas, page, render, summary};
use bothways_mapping::{
    Code, ColumnFacts, ColumnKind, Finding, SourceFile, TableFacts, cases, check_database, laws,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn builtin() -> Vec<SourceFile> {
    vec![SourceFile::new("stripe", include_str!("../../../connectors/stripe/connector.yaml"))]
}

fn base() -> SourceFile {
    SourceFile::new("customers.yaml", include_str!("../../../mappings/customers.yaml"))
}

/// The fixtures, by name; files of cases belong to the fixture before the dot.
fn fixtures() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".yaml")?;
        (!name.contains('.')).then(|| name.to_owned())
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn read(name: &str) -> Option<SourceFile> {
    let file = format!("{name}.yaml");
    fs::read_to_string(folder().join(&file)).ok().map(|text| SourceFile::new(file, text))
}

/// Everything that is said about a fixture: by loading it, by the database where the test has one, and by its cases.
fn findings(name: &str) -> (Vec<Finding>, Vec<SourceFile>) {
    let mut files = vec![base(), read(name).unwrap()];
    let checked = check(&files, &builtin());
    let mut findings = checked.findings;
    if name.starts_with("Y112") {
        let older = |_: &str, path: &str| Some(FoundSchema { place: path.to_owned(), text: "{}".to_owned() });
        findings.extend(check_schemas(&files[1..], &older));
    }
    if let Some(project) = &checked.project {
        if name.starts_with("M501") {
            findings.extend(check_database(project, &|catalog| match catalog.name.as_str() {
                "people" => Some(people_table()),
                "seats" => Some(seats_table()),
                _ => None,
            }));
        }
        if let Some(cases) = read(&format!("{name}.cases")) {
            findings.extend(cases::run(project.mapping("stripe-customers").unwrap(), &cases).findings);
            files.push(cases);
        }
    }
    (findings, files)
}

fn column(name: &str, declared: &str, kind: ColumnKind, nullable: bool, has_default: bool) -> ColumnFacts {
    ColumnFacts {
        name: name.into(),
        declared: declared.into(),
        kind,
        nullable,
        has_default,
        generated: false,
        folds: false,
    }
}

/// A table whose key is two columns, one of which may be null.
fn seats_table() -> TableFacts {
    TableFacts {
        columns: vec![
            column("tenant", "INTEGER", ColumnKind::Int, false, false),
            column("code", "TEXT", ColumnKind::Text, true, false),
        ],
        primary_key: vec!["tenant".into(), "code".into()],
        ..TableFacts::default()
    }
}

fn people_table() -> TableFacts {
    TableFacts {
        columns: vec![
            column("id", "INTEGER", ColumnKind::Int, false, true),
            column("nr", "INTEGER", ColumnKind::Int, false, true),
            column("email", "TEXT", ColumnKind::Text, false, false),
            column("name", "TEXT", ColumnKind::Text, false, false),
            column("age", "TEXT", ColumnKind::Text, true, false),
            column("price", "REAL", ColumnKind::Float, true, false),
            column("gone", "INTEGER", ColumnKind::Int, true, false),
            column("tenant", "TEXT", ColumnKind::Text, false, false),
        ],
        primary_key: vec!["id".into()],
        unique: vec![vec!["id".into()]],
        reuses_keys: true,
        cascades_to: vec!["orders".into()],
    }
}

#[test]
fn what_is_said_about_each_malformed_document() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("findings"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in fixtures() {
            let (findings, files) = findings(&name);
            let source = |file: &str| files.iter().find(|f| f.name == file).map(|f| f.text.as_str());
            let said = format!("{}{}", render(&findings, &source, Style::Plain), summary(&findings));
            insta::assert_snapshot!(name.clone(), said);
        }
    });
}

#[test]
fn every_code_has_a_page_and_a_fixture_and_nothing_else_has() {
    let mut used = BTreeSet::new();
    for name in fixtures() {
        let (findings, _) = findings(&name);
        let expected = name.split('-').next().and_then(Code::parse);
        if let Some(code) = expected {
            assert!(findings.iter().any(|f| f.code == code), "{name} does not show {code}");
        }
        used.extend(findings.iter().map(|f| f.code));
    }
    // A broken law is found by trying values, not by reading a document.
    used.insert(Code::T002);
    let missing: Vec<_> = Code::ALL.iter().filter(|c| !used.contains(c)).collect();
    assert!(missing.is_empty(), "no fixture shows {missing:?}");
    for code in Code::ALL {
        let page = page(*code);
        assert!(page.starts_with(&format!("# {code}: ")), "{code}'s page needs its title");
        assert!(
            page.len() > 200 && page.contains("```"),
            "{code}'s page needs an explanation and an example"
        );
    }
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("codes")).unwrap();
    for file in pages {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name.strip_suffix(".md").and_then(Code::parse).is_some(), "{name} is no code's page");
    }
}

/// Where a page goes on with what the check says.
const SAID: &str = "\n## What it says\n";

/// A page ends with what its check really says of a fixture. `UPDATE_SCHEMA=1` writes it.
#[test]
fn every_page_ends_with_what_the_check_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("codes");
    let mut stale = Vec::new();
    for code in Code::ALL.iter().filter(|code| **code != Code::T002) {
        let own = format!("{code}-");
        let name = fixtures().into_iter().find(|name| name.starts_with(&own)).expect("it has a fixture");
        let (findings, files) = findings(&name);
        let finding: Vec<Finding> = findings.into_iter().filter(|f| f.code == *code).take(1).collect();
        let source = |file: &str| files.iter().find(|f| f.name == file).map(|f| f.text.as_str());
        let said = render(&finding, &source, Style::Plain);
        let written = fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        let by_hand = written.split_once(SAID).map_or(written.as_str(), |(by_hand, _)| by_hand).trim_end();
        let fresh = format!("{by_hand}\n{SAID}\n```text\n{}\n```\n", said.trim_end());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(folder.join(format!("{code}.md")), fresh).unwrap();
        } else if written != fresh {
            stale.push(code.to_string());
        }
    }
    assert!(
        stale.is_empty(),
        "the pages of {stale:?} say something else than the checks; run this test with UPDATE_SCHEMA=1"
    );
}

#[test]
fn a_broken_law_is_shown_with_its_counterexample() {
    let mapping = SourceFile::new(
        "m.yaml",
        "mapping: m\nlocal: customers\nremote: stripe/customers\nfields:\n  name: { remote: $.name, direction: out, as: { values: { a: X, b: X } } }\n  email: $.email\n",
    );
    let checked = check(&[base(), mapping], &builtin());
    let mut field = checked.project.unwrap().mapping("m").unwrap().field("name").unwrap().clone();
    assert!(laws::check_field(&field, 200, 1).is_none());
    field.direction = bothways_mapping::Direction::Both;
    assert!(laws::check_field(&field, 200, 1).is_some());
}

#[test]
fn no_secret_is_printed() {
    for name in &fixtures() {
        let (findings, files) = findings(name);
        let source = |file: &str| files.iter().find(|f| f.name == file).map(|f| f.text.as_str());
        let said = render(&findings, &source, Style::Plain)
            + &bothways_diagnose::findings_to_json(&findings).to_string();
        for secret in ["sk_live", "51Hq8Z", "ghp_", "swordfish"] {
            assert!(!said.contains(secret), "{name} prints {secret}:\n{said}");
        }
    }
}

/// Hostile sizes: refused, and said so in few words. One that costs more than it should meets the runner's limit.
#[test]
fn hostile_documents_cost_little() {
    let nested = "a: ".to_owned() + &"[".repeat(20_000) + &"]".repeat(20_000);
    let braces = "a: ".to_owned() + &"{ a: ".repeat(20_000);
    let block: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let large = "a: b\n".repeat(2 * 1024 * 1024);
    let wide = "catalog: a\nfields:\n".to_owned()
        + &(0..30_000).map(|n| format!("  f{n}: int\n")).collect::<String>();
    let deep_path = format!(
        "mapping: a\nlocal: customers\nremote: stripe/customers\nfields:\n  email: \"$.a{}\"\n",
        "[?(@.b)]".repeat(5000)
    );
    let parens = format!(
        "mapping: a\nlocal: customers\nremote: stripe/customers\nonly: {{ remote: \"{}@.a{}\" }}\nfields: {{ email: $.email }}\n",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    let quoted = format!("a: \"{}\n", "x".repeat(900_000));
    let unknown = "catalog: a\n".to_owned() + &(0..9_000).map(|n| format!("key{n}: a\n")).collect::<String>();
    let duplicates = "catalog: a\n".to_owned() + &"table: a\n".repeat(9_000);
    let one_line = format!(
        "catalog: a\ntable: a\nkey: id\nfields: {{{}}}\n",
        (0..9_000).map(|n| format!("\"a {n}\": texx")).collect::<Vec<_>>().join(", ")
    );
    let long_names = format!(
        "catalog: {}\ntable: a\nkey: id\nfields: {{ id: int }}\n---\nmapping: m\nlocal: {}\nremote: stripe/customers\nfields: {{ id: $.id }}\n",
        "a".repeat(400_000),
        "b".repeat(400_000)
    );
    let many_names = format!(
        "catalog: c\ntable: a\nkey: id\nfields: {{ id: int, {} }}\n---\nmapping: m\nlocal: c\nremote: stripe/customers\nfields:\n{}",
        (0..4_000).map(|n| format!("field{n}: text")).collect::<Vec<_>>().join(", "),
        (0..4_000).map(|n| format!("  other_{n}: $.name\n")).collect::<String>()
    );
    let cases = [
        ("two names of 400,000 letters", long_names, Code::Y108),
        ("4,000 unknown fields", many_names, Code::M101),
        ("9,000 wrong fields in one line", one_line, Code::Y105),
        ("nested brackets", nested, Code::Y003),
        ("nested braces", braces, Code::Y003),
        ("nested blocks", block, Code::Y003),
        ("10 MB", large, Code::Y003),
        ("30,000 fields", wide, Code::Y003),
        ("a long chain of filters", deep_path, Code::M201),
        ("nested parentheses", parens, Code::Y110),
        ("an endless quote", quoted, Code::Y001),
        ("9,000 unknown keys", unknown, Code::Y102),
        ("9,000 duplicate keys", duplicates, Code::Y004),
    ];
    for (what, text, code) in cases {
        let file = SourceFile::new("hostile.yaml", text);
        let checked = check(&[base(), file.clone()], &builtin());
        let said = render(&checked.findings, &|_| Some(file.text.as_str()), Style::Plain);
        let codes: Vec<_> = checked.findings.iter().map(|f| f.code).collect();
        assert!(codes.contains(&code), "{what}: {codes:?}");
        assert!(said.len() < 100_000, "{what}: prints {} bytes", said.len());
    }
}

/// Every prefix of every sound and malformed document: none may panic.
#[test]
fn a_document_that_is_being_typed_never_panics() {
    let mut texts: Vec<String> = fixtures().iter().filter_map(|n| read(n)).map(|f| f.text).collect();
    texts.push(builtin()[0].text.clone());
    for text in texts {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).filter(|at| at % 7 == 0).collect();
        for end in ends {
            let file = SourceFile::new("typing.yaml", &text[..end]);
            let checked = check(std::slice::from_ref(&file), &[]);
            render(&checked.findings, &|_| Some(file.text.as_str()), Style::Plain);
        }
    }
}
