//! `test`: each mapping's own cases, the laws of its fields on generated values, and its recorded exchanges. All of it offline.

use crate::cli::Test;
use crate::documents::{read, show};
use crate::opened::read_project;
use crate::output::{Ended, Output, talk};
use crate::recorded::check::check;
use crate::recorded::file;
use crate::settings::Settings;
use bothways_diagnose::{Checked, findings_to_json};
use bothways_engine::EngineError;
use bothways_mapping::{Finding, Mapping, Project, SourceFile, cases, laws};
use serde_json::{Value as Json, json};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// What testing one mapping gave.
#[derive(Default)]
struct Report {
    cases_passed: usize,
    cases_failed: Vec<String>,
    laws_held: usize,
    laws_broken: Vec<String>,
    recorded_held: usize,
    recorded_broken: Vec<String>,
    notes: Vec<String>,
    findings: Vec<Finding>,
    files: Vec<SourceFile>,
}

impl Report {
    fn passed(&self) -> usize {
        self.cases_passed + self.laws_held + self.recorded_held
    }

    /// A file that cannot be read counts, even if no case of it ran.
    fn failed(&self) -> usize {
        let unread = usize::from(self.cases_failed.is_empty() && !self.findings.is_empty());
        self.cases_failed.len() + self.laws_broken.len() + self.recorded_broken.len() + unread
    }

    fn json(&self, mapping: &Mapping) -> Json {
        json!({
            "mapping": mapping.name, "passed": self.passed(), "failed": self.failed(),
            "failed_cases": self.cases_failed, "broken_laws": self.laws_broken,
            "broken_exchanges": self.recorded_broken, "notes": self.notes,
            "findings": findings_to_json(&self.findings),
        })
    }
}

pub(super) fn run(settings: &Settings, args: &Test, out: Output) -> anyhow::Result<Ended> {
    let (project, _) = read_project(settings)?;
    if let Some(name) = &args.mapping
        && project.mapping(name).is_none()
    {
        return Err(EngineError::NotFound(format!("mapping `{name}`")).into());
    }
    let wanted = |mapping: &&Arc<Mapping>| args.mapping.as_ref().is_none_or(|name| mapping.is_called(name));
    let (mut passed, mut failed) = (0, 0);
    let mut all = Vec::new();
    for mapping in project.mappings.iter().filter(wanted) {
        let report = test(&project, mapping, args, settings)?;
        passed += report.passed();
        failed += report.failed();
        if out.is_json() {
            all.push(report.json(mapping));
        } else {
            print(mapping, &report, args, out)?;
        }
    }
    if out.is_json() {
        out.json(&all)?;
    } else {
        talk(format!("{passed} passed, {failed} failed"));
    }
    Ok(Ended::waiting_if(failed > 0))
}

fn test(
    project: &Project,
    mapping: &Arc<Mapping>,
    args: &Test,
    settings: &Settings,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for folder in &settings.mappings {
        let path = folder.join("cases").join(format!("{}.yaml", mapping.document));
        if path.is_file() {
            run_cases(mapping, &path, &mut report)?;
        }
        let path = file::path(folder, &mapping.name);
        if path.is_file() {
            play(project, mapping, &path, &mut report);
        }
    }
    for field in &mapping.fields {
        match laws::check_field(field, args.values, args.seed) {
            Some(counterexample) => {
                report.laws_broken.push(format!("{}: {counterexample} (seed {})", field.source, args.seed));
            }
            None => report.laws_held += 1,
        }
    }
    Ok(report)
}

fn run_cases(mapping: &Mapping, path: &Path, report: &mut Report) -> anyhow::Result<()> {
    let file = SourceFile::new(path.display().to_string(), read(path)?);
    let ran = cases::run(mapping, &file);
    report.cases_passed += ran.passed.len();
    report.cases_failed.extend(ran.failed);
    report.findings.extend(ran.findings);
    report.files.push(file);
    Ok(())
}

/// A recording that cannot be read is one that failed.
fn play(project: &Project, mapping: &Arc<Mapping>, path: &Path, report: &mut Report) {
    match file::read(path) {
        Ok(recording) => {
            let checked = check(project, mapping, &recording);
            report.recorded_held += checked.held;
            report.recorded_broken.extend(checked.broken);
            report.notes.extend(checked.notes);
        }
        Err(error) => report.recorded_broken.push(format!("{error:#}")),
    }
}

fn print(mapping: &Mapping, report: &Report, args: &Test, out: Output) -> anyhow::Result<()> {
    let sources = report.files.iter().map(|f| (f.name.clone(), f.text.clone())).collect();
    let checked = Checked { sources, ..Checked::default() };
    out.text(&show(&checked, &report.findings, std::io::stdout().is_terminal()))?;
    for case in &report.cases_failed {
        out.line(&format!("FAIL {}: case `{case}`", mapping.name))?;
    }
    for law in &report.laws_broken {
        out.line(&format!("FAIL {law}"))?;
    }
    for broken in &report.recorded_broken {
        out.line(&format!("FAIL {}: recorded {broken}", mapping.name))?;
    }
    for note in &report.notes {
        out.line(&format!("note {}: {note}", mapping.name))?;
    }
    let cases = report.cases_passed + report.cases_failed.len();
    let fields = report.laws_held + report.laws_broken.len();
    let recorded = match (report.recorded_held, report.recorded_broken.len()) {
        (0, 0) => String::new(),
        (held, 0) => format!(", {held} recorded exchanges"),
        (held, broken) => {
            format!(", {held} recorded exchanges and {broken} differences from what was recorded")
        }
    };
    out.line(&format!(
        "{}: {} of {cases} cases, laws of {} of {fields} fields ({} values each){recorded}",
        mapping.name, report.cases_passed, report.laws_held, args.values
    ))
}
