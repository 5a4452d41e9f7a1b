//! `describe`: what each resource of a connector can do, and what follows for a mapping. It reads the struct that the checks read.

mod abilities;

use crate::cli::Describe;
use crate::documents::{check_files, read_folders};
use crate::opened::read_project;
use crate::output::{Ended, Output};
use crate::settings::Settings;
use crate::unknown_name::unknown_name;
use abilities::{Ability, abilities};
use anyhow::bail;
use bothways_mapping::connector::{Lookup, ResourceSpec, Var};
use bothways_mapping::{ConnectorSpec, Project};
use serde_json::{Value as Json, json};

pub(super) fn run(settings: &Settings, args: &Describe, out: Output) -> anyhow::Result<Ended> {
    let project = project(settings)?;
    let connector = match project.connectors.get(&args.connector) {
        Some(connector) => connector,
        None => return Err(unknown_name("connector", &args.connector, project.connectors.keys())),
    };
    let resources: Vec<&ResourceSpec> = match &args.resource {
        None => connector.resources.values().collect(),
        Some(name) => match connector.resources.get(name) {
            Some(one) => vec![one],
            None => {
                let what = format!("resource of {}", connector.name);
                return Err(unknown_name(&what, name, connector.resources.keys()));
            }
        },
    };
    if out.is_json() {
        out.json(&json!({
            "connector": connector.name,
            "document": connector.source.file.as_ref(),
            "settings": connector.vars.iter().map(|var| setting(connector, var)).collect::<Vec<_>>(),
            "resources": resources.iter().map(|one| resource(connector, one)).collect::<Vec<_>>(),
        }))?;
    } else {
        print(connector, &resources, out)?;
    }
    Ok(Ended::Well)
}

/// The documents that are there. Without a folder there are still the connectors that are compiled in.
fn project(settings: &Settings) -> anyhow::Result<Project> {
    let nothing_here = settings.mappings.iter().all(|folder| !folder.exists())
        || read_folders(&settings.mappings)?.is_empty();
    if !nothing_here {
        return Ok(read_project(settings)?.0);
    }
    match check_files(&[]).project {
        Some(project) => Ok(project),
        None => bail!("the connectors that are compiled in cannot be read"),
    }
}

fn setting(connector: &ConnectorSpec, var: &Var) -> Json {
    json!({
        "name": var.name, "variable": var.env(&connector.name), "secret": var.secret, "list": var.list,
        "default": var.default, "doc": var.doc, "only_for_webhooks": var.webhook_only, "one_way_in": var.alternative,
    })
}

fn resource(connector: &ConnectorSpec, resource: &ResourceSpec) -> Json {
    let can = connector.capabilities(&resource.name);
    let one = |ability: Ability| json!({ "name": ability.name, "there": ability.there.is_some(), "how": ability.there, "means": ability.means });
    json!({
        "resource": format!("{}/{}", connector.name, resource.name),
        "params": resource.params,
        "lookups": resource.lookups.iter().map(looked_up).collect::<Vec<_>>(),
        "abilities": abilities(&can).into_iter().map(one).collect::<Vec<_>>(),
    })
}

fn looked_up(lookup: &Lookup) -> Json {
    json!({ "path": lookup.path.to_string(), "from": lookup.from.to_string(), "resource": lookup.resource, "name": lookup.name.text() })
}

fn print(connector: &ConnectorSpec, resources: &[&ResourceSpec], out: Output) -> anyhow::Result<()> {
    out.line(&format!("{} ({})", connector.name, connector.source.file))?;
    let row = |var: &Var| {
        let needed = match &var.default {
            Some(value) => format!("default {value}"),
            None if var.webhook_only => "only for webhooks".into(),
            None if var.alternative => "one way in".into(),
            None => "needed".into(),
        };
        let secret = if var.secret { "secret" } else { "" };
        [var.env(&connector.name), needed, secret.to_owned(), var.doc.clone().unwrap_or_default()]
    };
    out.table(["variable", "", "", ""], connector.vars.iter().map(row).collect())?;
    for resource in resources {
        let fills: Vec<String> = resource.params.iter().map(|name| format!("{name}: …")).collect();
        let with =
            if fills.is_empty() { String::new() } else { format!(", with {{ {} }}", fills.join(", ")) };
        out.line(&format!("\n{}/{}{with}", connector.name, resource.name))?;
        let can = connector.capabilities(&resource.name);
        let rows = abilities(&can).into_iter().map(|ability| {
            [ability.name.to_owned(), ability.there.unwrap_or_else(|| "no".into()), ability.means.to_owned()]
        });
        out.table(["can", "", "so a mapping"], rows.collect())?;
        for Lookup { path, from, resource, name } in &resource.lookups {
            out.line(&format!(
                "{path} is the name ({}) that the list `{resource}` has for {from}",
                name.text()
            ))?;
        }
    }
    Ok(())
}
