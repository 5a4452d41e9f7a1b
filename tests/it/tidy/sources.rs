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
    let blocking = format!("thread::{}(", "sleep");
    let waiting = [format!("time::{}(", "sleep"), format!("time::{}_until(", "sleep")];
    let all: Vec<(String, String)> = rust_files().map(|path| (path.clone(), text(&path))).collect();
    let mut findings = Vec::new();
    for (path, text) in &all {
        let virtual_time = runs_on_virtual_time(path, &all);
        let lines: Vec<&str> = text.lines().collect();
        for number in test_lines(path, &lines) {
            let line = lines[number];
            let sleeps = line.contains(&blocking)
                || !virtual_time && waiting.iter().any(|waits| line.contains(waits.as_str()));
            if line.contains(&off) || sleeps && !is_a_condition_or_a_model(&lines[..=number]) {
                findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none("tests wait for conditions, and every one runs", &findings);
}

/// Whether every asynchronous test of the file's folder of tests runs on a paused clock, where waiting takes no time.
fn runs_on_virtual_time(path: &str, all: &[(String, String)]) -> bool {
    let Some((folder, _)) = path.split_once("/tests/") else { return false };
    let folder = format!("{folder}/tests/");
    let mut attributes = all
        .iter()
        .filter(|(other, _)| other.starts_with(&folder))
        .flat_map(|(_, text)| text.lines())
        .filter(|line| line.trim_start().starts_with("#[tokio::test"))
        .peekable();
    attributes.peek().is_some() && attributes.all(|line| line.contains("start_paused = true"))
}

/// Whether the sleep in the last line looks again and again at a condition, or stands for a delay that a stand-in models. Never so
/// directly in a test.
fn is_a_condition_or_a_model(lines: &[&str]) -> bool {
    let Some(start) = lines.iter().rposition(|line| line.contains("fn ") && line.contains('(')) else {
        return false;
    };
    let attributes = lines[..start]
        .iter()
        .rev()
        .map(|line| line.trim_start())
        .take_while(|line| line.starts_with(['#', '/']));
    let in_a_test =
        attributes.clone().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    let repeats =
        lines[start..].iter().any(|line| line.contains("loop {") || line.trim_start().starts_with("while "));
    let models = lines.last().is_some_and(|line| !line.contains("Duration::"));
    !in_a_test && (repeats || models)
}

/// The numbers of a file's lines that are test code: all of a test file, else from the first `#[cfg(test)]` on.
fn test_lines(path: &str, lines: &[&str]) -> std::ops::Range<usize> {
    let measures = path.starts_with("tests/bench/");
    let whole = path.split('/').any(|part| part == "tests")
        || path.ends_with("tests.rs")
        || path.ends_with("contract.rs");
    let start = match (measures, whole) {
        (true, _) => lines.len(),
        (false, true) => 0,
        (false, false) => {
            lines.iter().position(|line| line.trim_start().starts_with("#[cfg(test)]")).unwrap_or(lines.len())
        }
    };
    start..lines.len()
}

fn rust_files() -> impl Iterator<Item = String> {
    files().into_iter().filter(|path| path.ends_with(".rs"))
}

fn is_source(path: &str) -> bool {
    // Inputs of the fuzzers may be any bytes.
    if path.starts_with("tests/fuzz/corpus/") {
        return false;
    }
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
