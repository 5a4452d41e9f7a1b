//! `new`: writes a document that validates, with the schemas beside it, and says what comes next. No file is overwritten unasked.

mod catalog;
mod connector;
mod mapping;
mod pairing;
mod sample;

use crate::cli::New;
use crate::documents::{check_files, read_folders, show};
use crate::opened::FindingsShown;
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use anyhow::Context;
use bothways_diagnose::{Checked, schemas, stale_schemas};
use bothways_engine::EngineError;
use bothways_mapping::{Finding, Severity, SourceFile};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// A document that is about to be written.
struct Draft {
    /// Its name, which is its file's as well.
    name: String,
    /// Its text, from the line that binds it to its schema on.
    text: String,
    /// What to do next, in order.
    next: Vec<String>,
}

pub(super) async fn run(settings: &Settings, args: &New, out: Output) -> anyhow::Result<Ended> {
    let (draft, force) = match args {
        New::Catalog(args) => (catalog::draft(settings, args).await?, args.force),
        New::Connector(args) => (connector::draft(args)?, args.force),
        New::Mapping(args) => (mapping::draft(settings, args).await?, args.force),
    };
    let folder = folder(settings)?;
    let path = folder.join(format!("{}.yaml", draft.name));
    if path.exists() && !force {
        return Err(there_already(&path));
    }
    let (checked, errors) = errors_of(settings, &path, &draft.text)?;
    if !errors.is_empty() {
        talk(show(&checked, &errors, std::io::stderr().is_terminal()).trim_end());
        talk(format!("{} was not written", path.display()));
        return Err(FindingsShown.into());
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    write(&path, &draft.text, force)?;
    let mut wrote = vec![path];
    wrote.extend(write_schemas(&folder.join("schema"))?);
    report(&wrote, &draft.next, out)?;
    Ok(Ended::Well)
}

/// Where new documents go: the first folder of documents.
fn folder(settings: &Settings) -> anyhow::Result<&PathBuf> {
    settings.mappings.first().context("--mappings names no folder")
}

fn there_already(path: &Path) -> anyhow::Error {
    EngineError::Refused(format!("{} is there already; --force writes it anew", path.display())).into()
}

/// What would be wrong with this document beside those that are there, and what it would make wrong in them. What is wrong with others
/// already is none of its business; nor is what the file that it replaces may have hidden.
fn errors_of(settings: &Settings, path: &Path, text: &str) -> anyhow::Result<(Checked, Vec<Finding>)> {
    let name = path.display().to_string();
    let folders: Vec<PathBuf> = settings.mappings.iter().filter(|folder| folder.is_dir()).cloned().collect();
    let mut files = read_folders(&folders)?;
    let errors = |checked: &Checked| -> Vec<Finding> {
        checked.findings.iter().filter(|finding| finding.severity == Severity::Error).cloned().collect()
    };
    let before = errors(&check_files(&files));
    let was_sound = !before.iter().any(|finding| *finding.file == *name);
    files.retain(|file| file.name != name);
    files.push(SourceFile::new(name.clone(), text));
    let after = check_files(&files);
    let mut new = errors(&after);
    // The help may differ: it names what is there.
    let is_known = |finding: &Finding| {
        let same = |old: &Finding| {
            (old.code, &old.file, old.span, &old.message)
                == (finding.code, &finding.file, finding.span, &finding.message)
        };
        before.iter().any(same)
    };
    new.retain(|finding| *finding.file == *name || (was_sound && !is_known(finding)));
    Ok((after, new))
}

fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        // Somebody else was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(there_already(path)),
        other => other.with_context(|| path.display().to_string()),
    }
}

/// The schemas that are missing. One that is there may be of this workspace alone (`schema --workspace`), and stays; if another version
/// wrote it, that is said.
fn write_schemas(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut wrote = Vec::new();
    for file in schemas() {
        let path = folder.join(file.name);
        if !path.exists() {
            std::fs::write(&path, file.text()).with_context(|| path.display().to_string())?;
            wrote.push(path);
        }
    }
    if let Some(stale) = stale_schemas(&|name| std::fs::read_to_string(folder.join(name)).ok()) {
        let command = stale.command(&folder.display().to_string());
        let names = stale.names.join(", ");
        talk(format!("not this version's in {}: {names}; `{command}` writes them anew", folder.display()));
    }
    Ok(wrote)
}

fn report(wrote: &[PathBuf], next: &[String], out: Output) -> anyhow::Result<()> {
    let wrote: Vec<String> = wrote.iter().map(|path| path.display().to_string()).collect();
    if out.is_json() {
        return out.json(&json!({ "wrote": wrote, "next": next }));
    }
    for path in &wrote {
        out.line(&format!("wrote {path}"))?;
    }
    talk("next:");
    for step in next {
        talk(format!("  {step}"));
    }
    Ok(())
}

/// Lines of YAML with their comments in one column.
#[derive(Default)]
struct Lines(Vec<(String, String)>);

impl Lines {
    /// One line, with what there is to say about it.
    fn push(&mut self, line: impl Into<String>, comment: impl Into<String>) {
        self.0.push((line.into(), comment.into()));
    }

    /// The lines as text. Comments start in one column, but of lines that are longer than that.
    fn text(&self) -> String {
        const COLUMN: usize = 44;
        let mut text = String::new();
        for (line, comment) in &self.0 {
            text.push_str(line);
            if !comment.is_empty() {
                let pad = COLUMN.saturating_sub(line.chars().count()).max(2);
                text.extend(std::iter::repeat_n(' ', pad));
                text.push_str("# ");
                text.push_str(comment);
            }
            text.push('\n');
        }
        text
    }
}

/// A text as a YAML value that means just this text, also inside braces.
fn yaml_text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '.' | '_' | '/' | '-');
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '$' | '/' | '_'));
    if starts_plain && text.chars().all(plain) {
        return text.to_owned();
    }
    // JSON's quotes and escapes are YAML's.
    serde_json::Value::from(text).to_string()
}
