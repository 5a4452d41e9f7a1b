//! `new catalog`: a table as a catalog document, with its key, types, what may be null, and what could mark a deleted row.

use super::{Draft, Lines, yaml_text};
use crate::cli::NewCatalog;
use crate::database::Database;
use crate::settings::Settings;
use anyhow::bail;
use bothways_diagnose::modeline;
use bothways_engine::EngineError;
use bothways_mapping::{ColumnFacts, ColumnKind, TableFacts};
use bothways_model::Ident;

/// Names under which products keep the moment of a deletion.
const DELETED: [&str; 6] =
    ["deleted_at", "archived_at", "removed_at", "deactivated_at", "deleted_on", "deleted"];

pub(super) async fn draft(settings: &Settings, args: &NewCatalog) -> anyhow::Result<Draft> {
    let table = args.table.as_deref().unwrap_or(&args.name);
    let text = if args.from_database {
        let database = Database::parse(&settings.database)?;
        if !database.exists() {
            bail!("there is no {}; --database names another database", database.shown());
        }
        match database.table(&Ident::new(table)?).await? {
            Some(facts) => of_table(&args.name, table, &facts)?,
            None => {
                let message = format!("table `{table}` in {}; --table names another", database.shown());
                return Err(EngineError::NotFound(message).into());
            }
        }
    } else {
        skeleton(&args.name, table)
    };
    let next = vec![
        "read the types: what the database calls text may be a `timestamp`, a `date` or a `decimal` to you"
            .into(),
        "bothways validate                     # compares it with the table".into(),
        format!("bothways new mapping NAME --local {} --remote CONNECTOR/RESOURCE", args.name),
    ];
    Ok(Draft { name: args.name.clone(), text, next })
}

/// A catalog of a table that is not there yet: `bothways migrate` can make it.
fn skeleton(name: &str, table: &str) -> String {
    let mut lines = head(name, table);
    lines.push("key: id", "made by the database");
    lines.push("fields:", "");
    lines.push("  id: int", "");
    lines.push("  # name: text?", "text int decimal bool timestamp date uuid json; `?`: may be null");
    lines.text()
}

fn head(name: &str, table: &str) -> Lines {
    let mut lines = Lines::default();
    lines.push(modeline("schema/catalog.schema.json"), "");
    lines.push(format!("catalog: {name}"), "");
    lines.push(format!("table: {}", yaml_text(table)), "");
    lines
}

fn of_table(name: &str, table: &str, facts: &TableFacts) -> anyhow::Result<String> {
    let key = key(table, facts)?;
    let mut lines = head(name, table);
    match &key[..] {
        [one] => {
            let made = one.has_default || one.kind == ColumnKind::Int;
            match one.kind {
                ColumnKind::Uuid | ColumnKind::Text | ColumnKind::Any if !made => {
                    lines.push(
                        format!("key: {{ field: {}, made_by: engine }}", one.name),
                        "UUIDs; nothing in the database makes this key",
                    );
                }
                _ => lines.push(format!("key: {}", one.name), "made by the database"),
            }
        }
        several => {
            let names: Vec<&str> = several.iter().map(|column| column.name.as_str()).collect();
            lines.push(
                format!("key: [{}]", names.join(", ")),
                "whoever inserts a row gives them: a mapping that creates rows has to fill them",
            );
        }
    }
    let marks = |column: &&ColumnFacts| {
        let moment = matches!(column.kind, ColumnKind::Timestamp | ColumnKind::Text | ColumnKind::Any);
        column.nullable && moment && DELETED.contains(&column.name.to_lowercase().as_str())
    };
    let marked: Vec<&ColumnFacts> = facts.columns.iter().filter(marks).collect();
    for column in &marked {
        lines.push(
            format!("# deleted_at: {}", column.name),
            "uncomment it if a row with a value there counts as deleted, in both directions",
        );
    }
    lines.push("fields:", "");
    for column in facts.columns.iter().filter(|column| !marked.iter().any(|m| m.name == column.name)) {
        field(&mut lines, column, key.iter().any(|part| part.name == column.name));
    }
    Ok(lines.text())
}

/// The primary key, or else a column that is unique and never null.
fn key<'a>(table: &str, facts: &'a TableFacts) -> anyhow::Result<Vec<&'a ColumnFacts>> {
    let column = |name: &String| facts.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
    let unique = facts.unique.iter().filter_map(|columns| match columns.as_slice() {
        [one] => column(one).filter(|c| !c.nullable),
        _ => None,
    });
    let key: Vec<&ColumnFacts> = match facts.primary_key.as_slice() {
        [] => unique.take(1).collect(),
        names => names.iter().filter_map(column).collect(),
    };
    if key.is_empty() {
        bail!(
            "`{table}` has no primary key and no unique column: a link belongs to one row, so it needs one"
        );
    }
    for column in &key {
        if Ident::new(column.name.as_str()).is_err() {
            bail!("the key `{}` of `{table}` is no plain name: letters, digits and `_`", column.name);
        }
        let holds =
            matches!(column.kind, ColumnKind::Int | ColumnKind::Text | ColumnKind::Uuid | ColumnKind::Any);
        if key.len() > 1 && !holds {
            bail!(
                "the key of `{table}` has the column `{}`, which is {}, and a key holds whole numbers, texts and UUIDs: write the \
                 catalog with a column that is unique and NOT NULL as its `key`",
                column.name,
                column.declared
            );
        }
    }
    Ok(key)
}

fn field(lines: &mut Lines, column: &ColumnFacts, is_key: bool) {
    let name = &column.name;
    if Ident::new(name.as_str()).is_err() {
        lines.push(format!("  # {}", name.replace(['\n', '\r'], " ")), "cannot be a field: no plain name");
        return;
    }
    let (ty, remark) = match column.kind {
        ColumnKind::Text if name.ends_with("_at") => ("text", "or `timestamp`, if it holds moments"),
        ColumnKind::Text if name.ends_with("_on") || name.ends_with("_date") => {
            ("text", "or `date`, if it holds days")
        }
        ColumnKind::Text => ("text", ""),
        ColumnKind::Int => ("int", ""),
        ColumnKind::Decimal => ("decimal", ""),
        ColumnKind::Float => ("decimal", "the column keeps binary floating point, which rounds"),
        ColumnKind::Bool => ("bool", ""),
        ColumnKind::Timestamp => ("timestamp", ""),
        ColumnKind::Date => ("date", ""),
        ColumnKind::Uuid => ("uuid", ""),
        ColumnKind::Json => ("json", ""),
        ColumnKind::Any => ("text", "the column has no type of its own"),
        ColumnKind::Bytes => {
            lines.push(format!("  # {name}"), "bytes; no type of a field holds them");
            return;
        }
    };
    let remark = match remark {
        "" if column.generated => "computed by the database: map it with `direction: out`",
        other => other,
    };
    let optional = if column.nullable && !is_key { "?" } else { "" };
    lines.push(format!("  {name}: {ty}{optional}"), remark);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: ColumnKind, nullable: bool) -> ColumnFacts {
        ColumnFacts {
            name: name.into(),
            declared: String::new(),
            kind,
            nullable,
            has_default: false,
            generated: false,
            folds: false,
        }
    }

    fn table(primary_key: &[&str], columns: Vec<ColumnFacts>) -> TableFacts {
        TableFacts {
            columns,
            primary_key: primary_key.iter().map(|name| (*name).to_owned()).collect(),
            ..TableFacts::default()
        }
    }

    #[test]
    fn a_key_that_nobody_makes_is_made_by_the_engine() {
        let text =
            of_table("things", "things", &table(&["ref"], vec![column("ref", ColumnKind::Uuid, false)]));
        assert!(text.expect("written").contains("key: { field: ref, made_by: engine }"));
    }

    #[test]
    fn a_key_of_several_columns_is_written_in_its_order() {
        let columns = vec![
            column("id", ColumnKind::Int, true),
            column("name", ColumnKind::Text, true),
            column("tenant", ColumnKind::Text, true),
        ];
        let text = of_table("t", "t", &table(&["tenant", "id"], columns)).expect("written");
        assert!(text.contains("\nkey: [tenant, id]"), "{text}");
        assert!(text.contains("\n  id: int") && text.contains("\n  tenant: text"), "{text}");
        assert!(
            !text.contains("int?") && !text.contains("tenant: text?"),
            "no part of it is optional: {text}"
        );
        let moments = vec![column("a", ColumnKind::Int, false), column("at", ColumnKind::Timestamp, false)];
        let refused = of_table("t", "t", &table(&["a", "at"], moments)).expect_err("refused").to_string();
        assert!(refused.contains("`at`"), "{refused}");
    }

    #[test]
    fn a_table_without_a_key_is_refused_with_the_reason() {
        let none = table(&[], vec![column("a", ColumnKind::Int, false)]);
        assert!(of_table("t", "t", &none).expect_err("refused").to_string().contains("no primary key"));
    }

    #[test]
    fn what_no_field_can_hold_is_a_comment() {
        let columns = vec![
            column("id", ColumnKind::Int, false),
            column("first name", ColumnKind::Text, true),
            column("photo", ColumnKind::Bytes, true),
        ];
        let text = of_table("t", "t", &table(&["id"], columns)).expect("written");
        assert!(
            text.contains("  # first name") && text.contains("  # photo") && !text.contains("\n  photo"),
            "{text}"
        );
    }
}
