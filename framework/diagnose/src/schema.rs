//! The JSON Schemas (draft 2020-12), generated from the document types: what editors complete and hover, and what the shape
//! pass checks.

use bothways_mapping::DocumentKind;
use bothways_mapping::doc::{CatalogDoc, ConnectorDoc, MappingDoc};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

/// One schema file.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaFile {
    /// Its name, such as `mapping.schema.json`.
    pub name: &'static str,
    /// The schema.
    pub schema: Json,
}

impl SchemaFile {
    /// The file's text.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.schema)
    }
}

/// Names that a schema can offer where a document refers to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Catalogs, for `local`.
    pub catalogs: Vec<String>,
    /// `connector/resource`, for `remote`.
    pub resources: Vec<String>,
}

/// The comment that makes an editor use the schema at `path`.
pub fn modeline(path: &str) -> String {
    format!("# yaml-language-server: $schema={path}")
}

/// The schema of each kind of document, then the one for files that hold several.
pub fn schemas() -> Vec<SchemaFile> {
    workspace_schemas(&Workspace::default())
}

/// The same, offering what is there: `local` and `remote` become lists of words.
pub fn workspace_schemas(workspace: &Workspace) -> Vec<SchemaFile> {
    let connector = of_kind(DocumentKind::Connector);
    let catalog = of_kind(DocumentKind::Catalog);
    let mut mapping = of_kind(DocumentKind::Mapping);
    offer(&mut mapping, workspace);
    let any = any_of([("Connector", &connector), ("Catalog", &catalog), ("Mapping", &mapping)]);
    vec![
        SchemaFile { name: "connector.schema.json", schema: connector },
        SchemaFile { name: "catalog.schema.json", schema: catalog },
        SchemaFile { name: "mapping.schema.json", schema: mapping },
        SchemaFile { name: "bothways.schema.json", schema: any },
    ]
}

/// The schema of one kind.
pub(crate) fn of_kind(kind: DocumentKind) -> Json {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match kind {
        DocumentKind::Connector => generator.into_root_schema_for::<ConnectorDoc>(),
        DocumentKind::Catalog => generator.into_root_schema_for::<CatalogDoc>(),
        DocumentKind::Mapping => generator.into_root_schema_for::<MappingDoc>(),
    };
    let mut schema = schema.to_value();
    tidy(&mut schema);
    schema
}

/// Copies what is said about a choice onto its key, where editors show it, and drops defaults that say nothing.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Object(object) => {
            if object.get("default").is_some_and(|d| d.is_null() || d.as_object().is_some_and(Map::is_empty))
            {
                object.remove("default");
            }
            describe_choice(object);
            if let Some(Json::String(description)) = object.get_mut("description") {
                // Comments are wrapped for the source; a hover is not.
                *description = description.replace('\n', " ");
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn describe_choice(object: &mut Map<String, Json>) {
    let Some(description) = object.get("description").cloned() else { return };
    let single = object.get("required").and_then(Json::as_array).is_some_and(|r| r.len() == 1);
    let Some(properties) = object.get_mut("properties").and_then(Json::as_object_mut) else { return };
    if !single || properties.len() != 1 {
        return;
    }
    for property in properties.values_mut() {
        if let Some(property) = property.as_object_mut() {
            property.entry("description").or_insert_with(|| description.clone());
        }
    }
}

/// Makes the names in `workspace` words that an editor completes.
fn offer(mapping: &mut Json, workspace: &Workspace) {
    let mut put = |pointer: &str, words: &[String]| {
        if let Some(Json::Object(schema)) = mapping.pointer_mut(pointer).filter(|_| !words.is_empty()) {
            schema.remove("$ref");
            schema.remove("type");
            schema.insert("enum".into(), json!(words));
        }
    };
    put("/properties/local", &workspace.catalogs);
    put("/$defs/RowLookupDoc/properties/catalog", &workspace.catalogs);
    put("/$defs/RemoteDoc/anyOf/0", &workspace.resources);
    put("/$defs/RemoteLong/properties/resource", &workspace.resources);
}

/// One schema for a file of several documents. Definitions of one name are the same definition.
fn any_of<const N: usize>(kinds: [(&str, &Json); N]) -> Json {
    let mut defs = Map::new();
    let mut branches = Vec::new();
    for (name, schema) in kinds {
        let Json::Object(mut schema) = schema.clone() else { continue };
        if let Some(Json::Object(own)) = schema.remove("$defs") {
            defs.extend(own);
        }
        schema.remove("$schema");
        defs.insert(name.to_owned(), Json::Object(schema));
        branches.push(json!({ "$ref": format!("#/$defs/{name}") }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bothways document",
        "description": "A connector (how to talk to an API), a catalog (what a table holds) or a mapping (which field is which).",
        "anyOf": branches,
        "$defs": defs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every object of a schema, with its pointer.
    fn walk<'a>(json: &'a Json, pointer: String, found: &mut Vec<(String, &'a Map<String, Json>)>) {
        match json {
            Json::Object(object) => {
                found.push((pointer.clone(), object));
                for (key, value) in object {
                    walk(value, format!("{pointer}/{key}"), found);
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, format!("{pointer}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_key_is_described_and_every_object_closed() {
        for file in schemas() {
            let mut objects = Vec::new();
            walk(&file.schema, String::new(), &mut objects);
            for (pointer, object) in objects {
                if let Some(Json::Object(properties)) =
                    object.get("properties").filter(|_| !pointer.ends_with("/properties"))
                {
                    assert!(object.contains_key("additionalProperties"), "{}{pointer} is open", file.name);
                    for (key, property) in properties {
                        assert!(
                            property.get("description").is_some(),
                            "{}{pointer}: `{key}` has no description",
                            file.name
                        );
                    }
                }
                let nullable = object.get("type").is_some_and(|t| t.to_string().contains("null"))
                    || object.get("anyOf").is_some_and(|a| a.to_string().contains("\"null\""));
                assert!(!nullable, "{}{pointer} allows null", file.name);
                let is_schema = !pointer.ends_with("/properties");
                assert!(
                    !(is_schema && object.contains_key("default")),
                    "{}{pointer} has a default",
                    file.name
                );
            }
        }
    }

    #[test]
    fn a_workspace_offers_its_names() {
        let workspace =
            Workspace { catalogs: vec!["customers".into()], resources: vec!["stripe/customers".into()] };
        let mapping = workspace_schemas(&workspace)
            .into_iter()
            .find(|f| f.name == "mapping.schema.json")
            .unwrap()
            .schema;
        assert_eq!(mapping["properties"]["local"]["enum"], json!(["customers"]));
        assert_eq!(mapping["$defs"]["RowLookupDoc"]["properties"]["catalog"]["enum"], json!(["customers"]));
        assert_eq!(mapping["$defs"]["RemoteDoc"]["anyOf"][0]["enum"], json!(["stripe/customers"]));
        assert_eq!(
            mapping["$defs"]["RemoteLong"]["properties"]["resource"]["enum"],
            json!(["stripe/customers"])
        );
        assert!(mapping["properties"]["local"]["description"].is_string());
    }
}
