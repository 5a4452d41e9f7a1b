//! `validate`: everything there is to say about the documents, and with a database about how they fit it.

use crate::database::Database;
use crate::documents::{check_editors_schemas, check_folders, show};
use crate::opened::catalogs;
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use bothways_diagnose::{Checked, findings_to_json, summary};
use bothways_mapping::{SourceFile, sort};
use std::io::IsTerminal;

pub(super) async fn run(settings: &Settings, database_named: bool, out: Output) -> anyhow::Result<Ended> {
    let mut checked = check_folders(&settings.mappings)?;
    let documents = checked.sources.iter().map(|(name, text)| SourceFile::new(name.clone(), text.clone()));
    checked.findings.extend(check_editors_schemas(&documents.collect::<Vec<_>>()));
    sort(&mut checked.findings);
    let database = Database::parse(&settings.database);
    let fits = match database {
        Ok(database) if database.exists() => Some(check_database(&mut checked, &database).await?),
        Ok(database) if database_named => {
            Some(format!("; not checked against {}, which does not exist", database.shown()))
        }
        Err(error) if database_named => return Err(error),
        _ => None,
    };
    if out.is_json() {
        out.json(&findings_to_json(&checked.findings))?;
    } else {
        out.text(&show(&checked, &checked.findings, std::io::stdout().is_terminal()))?;
        let found =
            if checked.findings.is_empty() { "no findings".to_owned() } else { summary(&checked.findings) };
        let files = checked.sources.len() - crate::connections::built_in_documents().len();
        talk(format!(
            "{found} in {files} file{}{}",
            if files == 1 { "" } else { "s" },
            fits.unwrap_or_default()
        ));
    }
    // Warnings and notes are for people to weigh; only errors keep the documents from running.
    Ok(Ended::waiting_if(checked.has_errors()))
}

/// Adds M501, what the database says about the documents; returns words for the summary.
async fn check_database(checked: &mut Checked, database: &Database) -> anyhow::Result<String> {
    let Some(project) = &checked.project else { return Ok(String::new()) };
    let facts = database.facts(&catalogs(project)).await?;
    let findings = bothways_mapping::check_database(project, &|catalog| facts.get(&catalog.name).cloned());
    checked.findings.extend(findings);
    sort(&mut checked.findings);
    Ok(format!(", checked against {}", database.shown()))
}
