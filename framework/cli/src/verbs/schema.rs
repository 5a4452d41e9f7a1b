//! `schema`: the JSON Schemas that let an editor complete the documents.

use crate::cli::{DocumentKind, Schema};
use crate::documents::check_folders;
use crate::output::{Ended, Output, talk};
use crate::settings::Settings;
use anyhow::Context;
use bothways_diagnose::{SchemaFile, Workspace, modeline, schemas, workspace_schemas};
use std::path::Path;

pub(super) fn run(settings: &Settings, args: &Schema, out: Output) -> anyhow::Result<Ended> {
    let files = if args.workspace { workspace_schemas(&workspace(settings)?) } else { schemas() };
    match &args.write {
        Some(folder) => write(folder, &files, out),
        None => {
            let wanted = format!("{}.schema.json", kind(args.document));
            let file = files.iter().find(|file| file.name == wanted).context("there is no such schema")?;
            out.text(&file.text())?;
            Ok(Ended::Well)
        }
    }
}

fn kind(document: DocumentKind) -> &'static str {
    match document {
        DocumentKind::Connector => "connector",
        DocumentKind::Catalog => "catalog",
        DocumentKind::Mapping => "mapping",
        DocumentKind::Bothways => "bothways",
    }
}

/// The names that are there. Documents with errors offer what could be read of the others.
fn workspace(settings: &Settings) -> anyhow::Result<Workspace> {
    let checked = check_folders(&settings.mappings)?;
    let project = checked.project.context(
        "the names that are there are only known once the documents are sound: see `bothways validate`",
    )?;
    let resources = project.connectors.iter().flat_map(|(connector, spec)| {
        spec.resources.keys().map(move |resource| format!("{connector}/{resource}"))
    });
    Ok(Workspace { catalogs: project.catalogs.keys().cloned().collect(), resources: resources.collect() })
}

fn write(folder: &Path, files: &[SchemaFile], out: Output) -> anyhow::Result<Ended> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for file in files {
        let path = folder.join(file.name);
        std::fs::write(&path, file.text()).with_context(|| path.display().to_string())?;
        talk(format!("wrote {}", path.display()));
    }
    talk("the first line of a document in the folder above binds it to its schema:");
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("schema");
    let lines: Vec<String> = files.iter().map(|file| modeline(&format!("{name}/{}", file.name))).collect();
    if out.is_json() {
        out.json(&lines)?
    } else {
        out.line(&lines.join("\n"))?
    }
    Ok(Ended::Well)
}
