//! `parked`: sees and decides what waits for a person.

mod all;

use crate::cli::{DeleteWord, Item as ItemArg, KeepSide, Parked, ParkedList, Resolve};
use crate::opened::{Opened, person};
use crate::output::{Ended, Output, moment_of, talk};
use crate::settings::Settings;
use anyhow::{Context, bail};
use bothways_engine::{ConflictView, Item, KeepText, Resolution};
use bothways_mapping::Mapping;
use bothways_model::FieldType;
use bothways_store::DeleteChoice;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn run(settings: &Settings, args: &Parked, out: Output) -> anyhow::Result<Ended> {
    let opened = Opened::open(settings).await?;
    match args {
        Parked::List(args) => list(&opened, args, out).await,
        Parked::Show(ItemArg { id }) => show(&opened, id, out).await,
        Parked::Resolve(args) if args.all => all::run(&opened, args, out).await,
        Parked::Resolve(args) => resolve(&opened, args, out).await,
        Parked::Replay(ItemArg { id }) => {
            opened.operations.replay(id, &person()).await?;
            done(
                out,
                "replay",
                id,
                "it is planned afresh and tried again by the running engine, or by `bothways sync`",
            )
        }
        Parked::Dismiss(ItemArg { id }) => {
            opened.operations.dismiss(id, &person()).await?;
            done(
                out,
                "dismiss",
                id,
                "nothing was written; the next change of the record is looked at as usual",
            )
        }
    }
}

fn done(out: Output, action: &str, id: &str, what: &str) -> anyhow::Result<Ended> {
    if out.is_json() {
        out.json(&json!({ "item": id, "action": action }))?;
    } else {
        talk(format!("{action} {id}: {what}"));
    }
    Ok(Ended::Well)
}

async fn list(opened: &Opened, args: &ParkedList, out: Output) -> anyhow::Result<Ended> {
    let items = opened.operations.parked(args.mapping.as_deref(), args.reason.as_deref(), args.limit).await?;
    if out.is_json() {
        out.json(&items)?;
    } else {
        let rows = items.iter().map(|item| {
            [
                item.id.clone(),
                item.reason.clone(),
                item.mapping.clone(),
                item.local_id.clone().unwrap_or_else(|| "-".into()),
                item.remote_id.clone().unwrap_or_else(|| "-".into()),
                moment_of(&item.since),
                item.message.clone(),
            ]
        });
        out.table(["id", "reason", "mapping", "local", "remote", "since (UTC)", "what"], rows.collect())?;
        if items.is_empty() {
            talk("nothing waits");
        }
        for mapping in several(&items) {
            talk(format!(
                "several conflicts of {mapping}: `bothways parked resolve --all --mapping {mapping}` says how to decide them at once"
            ));
        }
    }
    Ok(Ended::waiting_if(!items.is_empty()))
}

/// The mappings with more than one conflict in the list.
fn several(items: &[Item]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    let conflicts = items.iter().filter(|item| item.reason == "conflict").map(|item| item.mapping.as_str());
    conflicts.filter(|mapping| !seen.insert(*mapping)).collect()
}

async fn show(opened: &Opened, id: &str, out: Output) -> anyhow::Result<Ended> {
    let item = opened.operations.item(id).await?;
    if out.is_json() {
        out.json(&item)?;
        return Ok(Ended::Well);
    }
    let mut lines = vec![
        format!("{} ({}), mapping {}", item.id, item.reason, item.mapping),
        format!("local {}, remote {}", or_none(&item.local_id), or_none(&item.remote_id)),
        format!("since {} UTC", moment_of(&item.since)),
        item.message.clone(),
        what_to_say(&item),
    ];
    lines.push(String::new());
    out.line(&lines.join("\n"))?;
    let text = |value: &Option<Json>| value.as_ref().map_or_else(|| "-".to_owned(), Json::to_string);
    let row = |(label, view): (&String, &ConflictView)| {
        let chosen = if view.chosen { "decided, not carried out yet" } else { "" };
        [label.clone(), text(&view.base), text(&view.local), text(&view.remote), chosen.to_owned()]
    };
    out.table(["field", "last agreed", "local", "remote", ""], item.fields.iter().map(row).collect())?;
    Ok(Ended::Well)
}

/// The command that decides what was just shown, and nothing that has moved since.
fn what_to_say(item: &Item) -> String {
    let Item { id, digest, .. } = item;
    let resolve = format!("decide with: bothways parked resolve {id} --digest {digest}");
    match item.reason.as_str() {
        "conflict" => format!("{resolve} --keep local|remote"),
        "delete" => format!("{resolve} --delete carry|keep|recreate"),
        _ => format!("go on with: bothways parked replay {id}, or bothways parked dismiss {id}"),
    }
}

fn or_none(id: &Option<String>) -> &str {
    id.as_deref().unwrap_or("none")
}

async fn resolve(opened: &Opened, args: &Resolve, out: Output) -> anyhow::Result<Ended> {
    // Nothing but `--all` goes without them.
    let (Some(id), Some(digest)) = (&args.id, &args.digest) else { bail!("name the item and its --digest") };
    let item = opened.operations.item(id).await?;
    let resolution = match args.delete {
        Some(DeleteWord::Carry) => Resolution::Delete(DeleteChoice::Carry),
        Some(DeleteWord::Keep) => Resolution::Delete(DeleteChoice::Keep),
        Some(DeleteWord::Recreate) => Resolution::Delete(DeleteChoice::Recreate),
        None => {
            let pair = opened.operations.pair(Some(&item.mapping))?;
            Resolution::Fields(choices(args, &item, &pair.mapping)?)
        }
    };
    opened.operations.resolve(id, &resolution, Some(digest), &person()).await?;
    done(out, "resolve", id, "noted; the running engine, or `bothways sync`, carries it out")
}

fn choices(args: &Resolve, item: &Item, mapping: &Mapping) -> anyhow::Result<BTreeMap<String, KeepText>> {
    let mut choices = BTreeMap::new();
    if let Some(side) = args.keep {
        let keep = if side == KeepSide::Local { KeepText::Local } else { KeepText::Remote };
        choices.insert(String::new(), keep);
    }
    for field in &args.fields {
        let (label, choice) = field.split_once('=').with_context(|| {
            format!("--field {field}: expected NAME=local, NAME=remote or NAME=value:TEXT")
        })?;
        if !item.fields.contains_key(label) {
            let there: Vec<&str> = item.fields.keys().map(String::as_str).collect();
            bail!("--field {field}: `{label}` is not in conflict; in conflict: {}", there.join(", "));
        }
        let ty = mapping.field(label).map(bothways_mapping::Field::ty);
        choices.insert(label.to_owned(), read_choice(choice, ty)?);
    }
    Ok(choices)
}

fn read_choice(choice: &str, ty: Option<&FieldType>) -> anyhow::Result<KeepText> {
    Ok(match choice {
        "local" => KeepText::Local,
        "remote" => KeepText::Remote,
        _ => match choice.strip_prefix("value:") {
            Some(text) => KeepText::Value(read_value(text, ty)?),
            None => bail!("`{choice}`: expected local, remote or value:TEXT"),
        },
    })
}

/// Text as JSON of the field's type: texts need no quotes, but may have them (`"null"` is a text, `null` is none).
fn read_value(text: &str, ty: Option<&FieldType>) -> anyhow::Result<Json> {
    let is_literal = text == "null" || text.starts_with('"');
    match ty {
        Some(FieldType::Int | FieldType::Bool | FieldType::Json | FieldType::List(_)) => {
            serde_json::from_str(text).with_context(|| format!("`{text}` is not JSON"))
        }
        _ if is_literal => Ok(serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))),
        _ => Ok(Json::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_need_no_quotes() {
        let text = Some(&FieldType::Text);
        for (given, read) in [
            ("Ada", json!("Ada")),
            ("42", json!("42")),
            ("true", json!("true")),
            ("null", Json::Null),
            ("\"null\"", json!("null")),
            ("\"half", json!("\"half")),
            ("", json!("")),
        ] {
            assert_eq!(read_value(given, text).expect("read"), read, "{given}");
        }
        assert_eq!(read_value("42", Some(&FieldType::Int)).expect("read"), json!(42));
        assert!(read_value("many", Some(&FieldType::Int)).is_err());
    }
}
