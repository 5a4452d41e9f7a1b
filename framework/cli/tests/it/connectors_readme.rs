//! connectors/README.md is followed literally: its commands are run, its documents are written where it says, and the text of its crate
//! is the text of files that are compiled and tested.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

const README: &str = include_str!("../../../../connectors/README.md");

/// The port that the README names.
const PORT: &str = "7901";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The blocks under this heading: their kind, their text, and the last line of text before them.
fn blocks(heading: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let text = README.split_once(&format!("\n## {heading}\n")).expect("the heading").1;
    let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
    let mut parts = text.split("\n```");
    let mut before = parts.next().expect("text");
    let mut found = Vec::new();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').expect("a kind");
        found.push((kind, text, before.trim_end().lines().last().unwrap_or_default()));
        before = after;
    }
    found
}

/// The last path in backticks.
fn named(line: &str) -> &str {
    line.split('`').skip(1).step_by(2).last().expect("a file is named before the block")
}

/// The commands of the ten minutes as one program. A command that could not run (2 or more) ends it; 1 means that something waits.
fn program(port: u16) -> String {
    let mut program = String::from(
        "trap 'code=$?; [ $code -le 1 ] || exit $code' ERR\ntrap 'kill $directory 2>/dev/null' EXIT\n",
    );
    for (kind, text, before) in blocks("A new REST integration in ten minutes, without Rust") {
        match kind {
            "sh" => program.push_str(text),
            "yaml" | "json" => {
                write!(program, "cat > {} <<'END'\n{text}\nEND", named(before)).expect("written")
            }
            "text" => {}
            other => panic!("nobody follows a block of kind {other}"),
        }
        program.push('\n');
    }
    program.replace(PORT, &port.to_string())
}

/// A port that is free now. It lies below those that systems give away, so it is still free when its program comes to listen.
async fn free_port() -> u16 {
    let first = u16::try_from(std::process::id() % 1_000).expect("below 1,000");
    for tried in 0..1_000 {
        let port = 31_000 + (first + tried) % 1_000;
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
    panic!("no free port on loopback");
}

#[tokio::test]
async fn ten_minutes_without_rust() {
    let folder = TempDir::new().expect("a folder");
    let port = free_port().await;
    let binary = Path::new(env!("CARGO_BIN_EXE_bothways")).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-c", &program(port)]).current_dir(root()).stdin(Stdio::null()).kill_on_drop(true);
    bash.env_clear()
        .env("PATH", path)
        .env("TMPDIR", folder.path())
        .env("HOME", folder.path())
        .env("USER", "tester");
    let ran = bash.output().await.expect("bash runs");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{:?}\n{out}\n{err}", ran.status);
    let (_, printed, _) =
        *blocks("A new REST integration in ten minutes, without Rust").last().expect("the end");
    assert!(out.contains(&format!("{}\n", printed.trim())), "{out}\n{err}");
    // The other side, as its service has it: nobody is missing.
    assert!(
        out.contains("ada@example.com") && out.contains("directory-people: 0 of 0 cases"),
        "{out}\n{err}"
    );
}

#[test]
fn the_crate_is_the_one_that_is_tested() {
    let example = root().join("connectors/rest/tests/acme");
    let mut compared = 0;
    for (kind, text, before) in blocks("A new crate in an hour") {
        if !matches!(kind, "yaml" | "rust") {
            continue;
        }
        let file = named(before).strip_prefix("connectors/acme/").expect("a file of the crate");
        let kept = std::fs::read_to_string(example.join(file)).expect("the example has it");
        assert_eq!(
            text,
            kept.trim_end(),
            "connectors/README.md and connectors/rest/tests/acme/{file} differ"
        );
        compared += 1;
    }
    assert_eq!(compared, 3);
}

/// The commands that make a crate known, run on copies: what they write is what stands there for Stripe, with the other name.
#[tokio::test]
async fn the_binary_comes_to_know_the_crate() {
    let folder = TempDir::new().expect("a folder");
    let standin = "connectors/rest/tests/acme/tests/standin";
    let files = [
        "Cargo.toml",
        "framework/cli/Cargo.toml",
        "framework/cli/src/connections.rs",
        "framework/ARCHITECTURE.md",
        "connectors/stripe/Cargo.toml",
        "connectors/stripe/.clippy.toml",
    ];
    for file in files {
        let copy = folder.path().join(file);
        std::fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
        std::fs::copy(root().join(file), copy).expect("copied");
    }
    std::fs::create_dir_all(folder.path().join(standin)).expect("made");
    let edits = blocks("A new crate in an hour")
        .into_iter()
        .filter(|(kind, text, _)| *kind == "sh" && text.contains("sed -i"));
    let program: String = edits.map(|(_, text, _)| format!("{text}\n")).collect();
    let mut bash = Command::new("bash");
    bash.args(["-euc", &program]).current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let ran = bash.output().await.expect("bash runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).expect("there");
    for (file, line) in [
        ("Cargo.toml", "    \"connectors/acme\","),
        ("Cargo.toml", "bothways-connector-acme = { path = \"connectors/acme\" }"),
        ("framework/cli/Cargo.toml", "bothways-connector-acme.workspace = true"),
        ("connectors/acme/Cargo.toml", "name = \"bothways-connector-acme\""),
    ] {
        assert_eq!(read(file).lines().filter(|known| *known == line).count(), 1, "{file}: {line}");
    }
    let list = read("framework/cli/src/connections.rs");
    let entry = |name: &str| {
        let start = format!("    BuiltIn {{\n        name: \"{name}\",\n");
        let rest = list.split_once(&start).expect("an entry").1;
        rest.split_once("    },\n").expect("its end").0.replace(name, "NAME")
    };
    let (acme, stripe) = (entry("acme"), entry("stripe"));
    let without_mode =
        |text: &str| text.lines().filter(|line| !line.contains("mode:")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_mode(&acme), without_mode(&stripe));
    assert!(acme.contains("mode: |_| Mode::Unknown,"), "{acme}");
    let crates = read("framework/ARCHITECTURE.md");
    assert!(crates.contains("\n| `connectors/acme` | "), "the table of crates names it");
}

/// Everything that the README sends people to is there, and Stripe's manifest is fit to be copied.
#[test]
fn what_is_copied_is_there() {
    for (_, text, _) in blocks("A new crate in an hour") {
        for word in text.split_whitespace().filter(|word| {
            word.starts_with("connectors/") && !word.contains("acme/") || word.contains("tests/acme/")
        }) {
            assert!(root().join(word).exists(), "there is no {word}");
        }
    }
    let manifest =
        std::fs::read_to_string(root().join("connectors/stripe/Cargo.toml")).expect("the manifest");
    assert!(
        manifest.contains("name = \"bothways-connector-stripe\"")
            && manifest.contains("bothways-connector-rest.workspace")
    );
}
