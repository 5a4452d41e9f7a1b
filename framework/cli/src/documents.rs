//! The documents of an installation: found in its folders, checked, and what is wrong with them shown.

use crate::connections::built_in_documents;
use crate::output::talk;
use anyhow::{Context, bail};
use bothways_diagnose::{Checked, FoundSchema, Style, check_schemas, render};
use bothways_mapping::{Finding, SourceFile};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More of a file is never read; it is too large long before.
const LARGEST: u64 = 2 * 1024 * 1024;

/// Reads and checks all documents of these folders.
///
/// # Errors
/// A folder or a file cannot be read, or there is none at all. What is wrong *in* a file is a finding.
pub(crate) fn check_folders(folders: &[PathBuf]) -> anyhow::Result<Checked> {
    let files = read_folders(folders)?;
    if files.is_empty() {
        let folders: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        bail!("there is no *.yaml file in {}", folders.join(", "));
    }
    Ok(check_files(&files))
}

/// A warning for each schema beside these documents that another version wrote (Y112).
pub(crate) fn check_editors_schemas(files: &[SourceFile]) -> Vec<Finding> {
    check_schemas(files, &|document, named| {
        let path = Path::new(document).parent()?.join(named);
        let text = std::fs::read_to_string(&path).ok()?;
        Some(FoundSchema { place: path.display().to_string(), text })
    })
}

/// All documents of these folders, unchecked.
///
/// # Errors
/// A folder or a file cannot be read.
pub(crate) fn read_folders(folders: &[PathBuf]) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in folders {
        for path in list(folder)? {
            files.push(SourceFile::new(path.display().to_string(), read(&path)?));
        }
    }
    Ok(files)
}

/// Checks these files, together with the connectors that are compiled in.
pub(crate) fn check_files(files: &[SourceFile]) -> Checked {
    bothways_diagnose::check(files, &built_in_documents())
}

/// Findings as text for people.
pub(crate) fn show(checked: &Checked, findings: &[Finding], is_terminal: bool) -> String {
    let style = if is_terminal { Style::Coloured } else { Style::Plain };
    render(findings, &|file| checked.source(file), style)
}

/// The documents in a folder, by name; not in folders below it.
fn list(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let show = folder.display();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("there is no folder {show}; make it, or name another with --mappings")
        }
        Err(error) => return Err(error).with_context(|| show.to_string()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| show.to_string())?.path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("yaml") if path.is_file() => found.push(path),
            Some("yml") => talk(format!("{} is not read: only *.yaml is", path.display())),
            _ => {}
        }
    }
    found.sort();
    Ok(found)
}

/// A file's text.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let show = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .with_context(|| show.to_string())?;
    // Checking says where it is no text, or too large and cut somewhere.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_for_yaml_only_and_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.yaml", "a.yaml", "c.yml", "notes.txt"] {
            std::fs::write(folder.path().join(name), "x").expect("written");
        }
        std::fs::create_dir(folder.path().join("cases.yaml")).expect("a folder");
        let names: Vec<String> = list(folder.path())
            .expect("listed")
            .iter()
            .map(|p| p.file_name().expect("a name").to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.yaml", "b.yaml"]);
        assert!(list(&folder.path().join("none")).expect_err("none").to_string().contains("--mappings"));
    }

    #[test]
    fn a_huge_file_is_not_read_whole() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(5 * LARGEST).expect("sparse");
        assert_eq!(read(file.path()).expect("read").len() as u64, LARGEST);
    }
}
