//! The kept corpus of the fuzzers, through the same code, with every other test: what was found once is never let in again.

#[allow(unreachable_pub, reason = "a library of its own for the fuzzers, which is compiled in here")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[test]
fn every_kept_input_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut folders: Vec<PathBuf> = entries(&corpus);
    let mut failed = Vec::new();
    for (name, run) in targets::TARGETS {
        let folder = corpus.join(name);
        folders.retain(|other| *other != folder);
        let inputs = entries(&folder);
        assert!(inputs.len() >= 8, "{name} has a corpus of {}", inputs.len());
        for input in &inputs {
            let data = std::fs::read(input).expect("an input");
            if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
                failed.push(input.clone());
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(folders.is_empty(), "no target takes {folders:?}");
}

#[test]
fn every_target_can_be_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("the manifest");
    for (name, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is no program");
        let program = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).expect(name);
        assert!(program.contains(&format!("bothways_fuzz::{name}::run(data)")), "{name} runs something else");
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut all: Vec<PathBuf> = listed.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all
}
