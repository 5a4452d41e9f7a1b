//! What holds for every source file: size, header, names, and honest tests.

use super::{assert_none, files, text};

/// Files longer than this are a mistake; aim for half of it.
const LONGEST: usize = 600;

/// Tables and generated files, which may be longer, each with its reason.
const LONG_FOR_A_REASON: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];

#[test]
fn no_file_is_too_long() {
    let mut findings = Vec::new();
    for path in files() {
        let exempt = LONG_FOR_A_REASON.iter().any(|(long, _)| *long == path);
        if exempt || !is_source(&path) {
            continue;
        }
        let lines = text(&path).lines().count();
        if lines > LONGEST {
            findings.push(format!("{path} has {lines} lines"));
        }
    }
    assert_none(&format!("longer than {LONGEST} lines"), &findings);
}

#[test]
fn every_rust_file_says_why_it_exists() {
    let findings: Vec<String> = rust_files().filter(|path| !text(path).starts_with("//! ")).collect();
    assert_none("no `//!` header in the first line", &findings);
}

#[test]
fn no_module_has_an_empty_name() {
    let mut findings = Vec::new();
    for path in rust_files() {
        let in_path = path.trim_end_matches(".rs").split('/').any(|part| EMPTY_NAMES.contains(&part));
        let inline = text(&path).lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            matches!(words.as_slice(), [.., "mod", name, "{"] if EMPTY_NAMES.contains(name))
        });
        if in_path || inline {
            findings.push(path);
        }
    }
    assert_none(&format!("modules called one of {EMPTY_NAMES:?}"), &findings);
}

#[test]
fn no_test_is_switched_off_or_sleeps() {
    // Put together here, so that this file does not find itself.
    let off = format!("#[{}", "ignore");
    let sleeps =
        [format!("thread::{}(", "sleep"), format!("time::{}(", "sleep"), format!("time::{}_until(", "sleep")];
    let mut findings = Vec::new();
    for path in rust_files() {
        for (number, line) in test_lines(&path, &text(&path)) {
            if line.contains(&off) || sleeps.iter().any(|sleep| line.contains(sleep.as_str())) {
                findings.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none("tests wait for conditions, and every one runs", &findings);
}

/// The lines of a file that are test code: all of a test file, else from the first `#[cfg(test)]` on.
fn test_lines(path: &str, text: &str) -> Vec<(usize, String)> {
    let whole = path.split('/').any(|part| part == "tests")
        || path.ends_with("tests.rs")
        || path.ends_with("contract.rs");
    let measures = path.starts_with("tests/bench/");
    let mut inside = whole && !measures;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        inside |= line.trim_start().starts_with("#[cfg(test)]");
        if inside {
            lines.push((index + 1, line.to_owned()));
        }
    }
    lines
}

fn rust_files() -> impl Iterator<Item = String> {
    files().into_iter().filter(|path| path.ends_with(".rs"))
}

fn is_source(path: &str) -> bool {
    let extension =
        path.rsplit('/').next().and_then(|name| name.split_once('.')).map(|(_, extension)| extension);
    match extension {
        Some(extension) => {
            let last = extension.rsplit('.').next().unwrap_or(extension);
            matches!(last, "rs" | "html" | "js" | "mjs" | "css" | "sh" | "py")
        }
        // Scripts without an extension, such as tests/run.
        None => !path.ends_with("LICENSE") && text(path).starts_with("#!"),
    }
}
