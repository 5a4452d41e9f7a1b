//! Y112: the schemas that editors read beside the documents, against those of this version. They are written once and read for as long
//! as they lie there: after an upgrade an editor would complete, and mark as wrong, what another version knew.

use crate::schema::{Workspace, schemas, workspace_schemas};
use bothways_mapping::{Code, Finding, Severity, SourceFile, Span};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// What the comment that names a schema begins with.
const MODELINE: &str = "# yaml-language-server: $schema=";

/// Schemas of another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleSchemas {
    /// Their files' names.
    pub names: Vec<&'static str>,
    /// Whether they were written to offer the names of a workspace.
    pub narrowed: bool,
}

impl StaleSchemas {
    /// What writes all of them anew, as they were meant.
    pub fn command(&self, folder: &str) -> String {
        let flags = if self.narrowed { "--workspace --write" } else { "--write" };
        format!("bothways schema {flags} {folder}")
    }
}

/// Which schemas of a folder another version or a person wrote; `None` where there are none. `read` gives a file's text by its name.
pub fn stale_schemas(read: &dyn Fn(&str) -> Option<String>) -> Option<StaleSchemas> {
    let mut stale = StaleSchemas { names: Vec::new(), narrowed: false };
    for file in schemas() {
        let Some(text) = read(file.name) else { continue };
        let found: Json = serde_json::from_str(&text).unwrap_or_default();
        let workspace = offered(&found);
        stale.narrowed |= workspace != Workspace::default();
        let written = workspace_schemas(&workspace);
        if !written.iter().any(|written| written.name == file.name && written.schema == found) {
            stale.names.push(file.name);
        }
    }
    (!stale.names.is_empty()).then_some(stale)
}

/// The names that a schema offers.
fn offered(schema: &Json) -> Workspace {
    let words = |pointers: &[&str]| -> Vec<String> {
        let list = pointers.iter().find_map(|pointer| schema.pointer(pointer)?.as_array());
        list.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    Workspace {
        catalogs: words(&["/properties/local/enum", "/$defs/Mapping/properties/local/enum"]),
        resources: words(&["/$defs/RemoteDoc/anyOf/0/enum"]),
    }
}

/// A schema file that a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSchema {
    /// Its path, as people are told it.
    pub place: String,
    /// What it holds.
    pub text: String,
}

/// A warning for each schema that documents name, that is there, and that is another version's; at the first document that names it.
/// `read` gives the place and the text of a schema by the document's name and the path that stands in it.
pub fn check_schemas(files: &[SourceFile], read: &dyn Fn(&str, &str) -> Option<FoundSchema>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for file in files {
        let Some((path, span)) = named_schema(&file.text) else { continue };
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let beside = |name: &str| {
            read(&file.name, &if folder.is_empty() { name.into() } else { format!("{folder}/{name}") })
        };
        let Some(named) = beside(name).filter(|found| seen.insert(found.place.clone())) else { continue };
        let place = named.place;
        let stale = stale_schemas(&|name| beside(name).map(|found| found.text));
        let Some(stale) = stale.filter(|stale| stale.names.contains(&name)) else { continue };
        let folder = place.strip_suffix(name).unwrap_or_default().trim_end_matches('/');
        let command = stale.command(if folder.is_empty() { "." } else { folder });
        findings.push(Finding {
            code: Code::Y112,
            severity: Severity::Warning,
            file: file.name.as_str().into(),
            span,
            pointer: String::new(),
            message: format!("{place} is not this version's: an editor does not know what `validate` knows"),
            help: Some(format!("`{command}` writes it anew")),
            masked: false,
        });
    }
    findings
}

/// The path of the schema that the comments at the top of a document name, and where it stands. An address is nobody's file.
fn named_schema(text: &str) -> Option<(&str, Span)> {
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.starts_with('#') && !line.trim().is_empty() && line.trim_end() != "---" {
            return None;
        }
        if let Some(path) = line.strip_prefix(MODELINE) {
            let path = path.trim_end();
            let (start, col) = (start + MODELINE.len(), MODELINE.len() + 1);
            let span = Span { line: index + 1, col, start, end: start + path.len() };
            return (!path.is_empty() && !path.contains("://")).then_some((path, span));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{SchemaFile, modeline};

    fn workspace() -> Workspace {
        Workspace { catalogs: vec!["people".into()], resources: vec!["stripe/customers".into()] }
    }

    /// What is said of a folder with these files.
    fn said(files: &[SchemaFile]) -> Option<StaleSchemas> {
        stale_schemas(&|name| files.iter().find(|file| file.name == name).map(SchemaFile::text))
    }

    #[test]
    fn what_this_version_writes_is_current_for_every_workspace() {
        let only_catalogs = Workspace { resources: Vec::new(), ..workspace() };
        for workspace in [Workspace::default(), workspace(), only_catalogs] {
            assert_eq!(said(&workspace_schemas(&workspace)), None, "{workspace:?}");
        }
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn another_versions_are_written_anew_as_they_were_meant() {
        for (workspace, command) in [
            (Workspace::default(), "bothways schema --write s"),
            (workspace(), "bothways schema --workspace --write s"),
        ] {
            let mut files = workspace_schemas(&workspace);
            files[1].schema["properties"].as_object_mut().unwrap().remove("table").unwrap();
            let stale = said(&files).unwrap();
            assert_eq!(
                (stale.names.as_slice(), stale.command("s").as_str()),
                (["catalog.schema.json"].as_slice(), command)
            );
        }
        let cut = stale_schemas(&|name| (name == "mapping.schema.json").then(|| "<cut>".to_owned()));
        assert_eq!(cut.map(|stale| stale.names), Some(vec!["mapping.schema.json"]));
    }

    #[test]
    fn each_schema_is_named_once_where_a_document_names_it() {
        let text = |path: &str| format!("# mine\n{}\ncatalog: a\n", modeline(path));
        let files = [
            SourceFile::new("m/a.yaml", text("schema/catalog.schema.json")),
            SourceFile::new("m/b.yaml", text("schema/catalog.schema.json")),
            SourceFile::new("m/c.yaml", text("https://example.com/catalog.schema.json")),
            SourceFile::new("m/d.yaml", text("schema/none.schema.json")),
            SourceFile::new(
                "m/e.yaml",
                "catalog: a\n# yaml-language-server: $schema=schema/mapping.schema.json\n",
            ),
        ];
        let read = |_: &str, path: &str| {
            (!path.contains("none"))
                .then(|| FoundSchema { place: format!("m/{path}"), text: "{}".to_owned() })
        };
        let findings = check_schemas(&files, &read);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((&*finding.file, finding.span.line), ("m/a.yaml", 2));
        assert_eq!(&files[0].text[finding.span.start..finding.span.end], "schema/catalog.schema.json");
        let help = finding.help.as_deref().unwrap();
        assert_eq!(help, "`bothways schema --write m/schema` writes it anew");
    }
}
