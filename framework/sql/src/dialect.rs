//! What is SQLite's alone in the text we make: column types, times, keys as text, triggers. The seam for other databases.
//!
//! Trigger text is run by whatever program writes the table, so it uses only what SQLite 3.35 knows.

use crate::inspect::{TableFacts, UniqueFacts};
use bothways_model::key::{ESCAPES, SEPARATOR};
use bothways_model::{Catalog, FieldType, Ident, KeyMaker};

/// The prefix of everything we make in a database.
pub(crate) const PREFIX: &str = "bothways_";

/// Text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name in double quotes. For names that the database itself told us; names from documents are [`Ident`]s.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The type of a column in a table that we create.
fn column_type(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::Int | FieldType::Bool => "INTEGER",
        // Text keeps every digit; a numeric column would make a binary fraction of it.
        _ => "TEXT",
    }
}

/// Creates a catalog's table. Keys made by the database are never reused (rule 30).
pub(crate) fn create_table(catalog: &Catalog) -> String {
    let mut columns = Vec::new();
    for field in &catalog.fields {
        let name = field.column.quoted();
        columns.push(if catalog.key.contains(&field.name) {
            match catalog.made_by {
                KeyMaker::Database => format!("{name} INTEGER PRIMARY KEY AUTOINCREMENT"),
                KeyMaker::Engine => format!("{name} {} NOT NULL PRIMARY KEY", column_type(&field.ty)),
                KeyMaker::Inserter => format!("{name} {} NOT NULL", column_type(&field.ty)),
            }
        } else {
            let null = if field.optional { "" } else { " NOT NULL" };
            format!("{name} {}{null}", column_type(&field.ty))
        });
    }
    if let Some(column) = &catalog.deleted_at
        && catalog.fields.iter().all(|f| f.column != *column)
    {
        columns.push(format!("{} TEXT", column.quoted()));
    }
    if catalog.made_by == KeyMaker::Inserter {
        let key: Vec<String> = key_columns(catalog).into_iter().map(Ident::quoted).collect();
        columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {} (\n    {}\n)", catalog.table.quoted(), columns.join(",\n    "))
}

/// The columns of a catalog's key, in its order.
pub(crate) fn key_columns(catalog: &Catalog) -> Vec<&Ident> {
    catalog.key_fields().map(|field| &field.column).collect()
}

/// A row's id as [`bothways_model::key`] writes it: text, compared by bytes; null where a part of the key is.
pub(crate) fn key_text(row: &str, key: &[&Ident]) -> String {
    let text = |column: &Ident| format!("CAST({row}.{} AS TEXT)", column.quoted());
    if let [only] = key {
        return text(only);
    }
    // Functions that every SQLite has: those for JSON could be left out of the writer's.
    let escaped = |column: &&Ident| {
        ESCAPES
            .iter()
            .fold(text(column), |text, (c, by)| format!("replace({text}, {}, {})", literal(c), literal(by)))
    };
    let all: Vec<String> = key.iter().map(escaped).collect();
    format!("({})", all.join(&format!(" || {} || ", literal(SEPARATOR))))
}

/// A row's key as one value, to compare it with another row's.
pub(crate) fn key_value(row: &str, key: &[&Ident]) -> String {
    let all: Vec<String> = key.iter().map(|column| format!("{row}.{}", column.quoted())).collect();
    match &all[..] {
        [only] => only.clone(),
        all => format!("({})", all.join(", ")),
    }
}

/// Whether a row has an id.
fn has_key(row: &str, key: &[&Ident]) -> String {
    let all: Vec<String> = key.iter().map(|c| format!("{row}.{} IS NOT NULL", c.quoted())).collect();
    all.join(" AND ")
}

/// A trigger of ours.
pub(crate) struct Trigger {
    pub(crate) name: String,
    pub(crate) text: String,
    /// It holds text of the user's own, so that it counts only if the database understands it.
    pub(crate) tried: bool,
}

/// The triggers that capture a table's changes.
pub(crate) fn triggers(catalog: &Catalog, facts: &TableFacts) -> Vec<Trigger> {
    let table = catalog.table.quoted();
    let key = &key_columns(catalog)[..];
    let (new, old, victim) = (key_text("NEW", key), key_text("OLD", key), key_text("v", key));
    let (new_key, old_key, other_key) = (key_value("NEW", key), key_value("OLD", key), key_value("v", key));
    let (has_new, has_old) = (has_key("NEW", key), has_key("OLD", key));
    let name = literal(&catalog.name);
    let at = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
    let log = "INSERT INTO bothways_changes (catalog, key, op, old_key, at)";
    let prefix = trigger_prefix(catalog);
    let mut all = Vec::new();
    let mut add = |suffix: String, when: String, body: String| {
        let trigger = format!("{prefix}{suffix}");
        let text = format!("CREATE TRIGGER {} {when} BEGIN {body} END", quoted(&trigger));
        all.push(Trigger { name: trigger, text, tried: false });
    };
    // A null text key is SQLite's oddity; such a row has no id and must not make the writer fail.
    add(
        "insert".into(),
        format!("AFTER INSERT ON {table} WHEN {has_new}"),
        format!("{log} VALUES ({name}, {new}, 'insert', NULL, {at});"),
    );
    let same = format!("{old} COLLATE BINARY IS {new}");
    add(
        "update".into(),
        format!("AFTER UPDATE ON {table} WHEN {has_new} AND {has_old}"),
        format!(
            "{log} VALUES ({name}, {new}, CASE WHEN {same} THEN 'update' ELSE 'rekey' END, \
             CASE WHEN {same} THEN NULL ELSE {old} END, {at});"
        ),
    );
    add(
        "delete".into(),
        format!("AFTER DELETE ON {table} WHEN {has_old}"),
        format!("{log} VALUES ({name}, {old}, 'delete', NULL, {at});"),
    );
    // REPLACE deletes the rows in its way without a delete trigger (rule 36).
    let hint = format!("{log} SELECT {name}, {victim}, 'victim', NULL, {at} FROM {table} AS v WHERE");
    let mut inserts = String::new();
    for (number, unique) in facts.unique.iter().filter(|u| u.is_plain() && !u.is_key(key)).enumerate() {
        let equal: Vec<String> = unique
            .columns
            .iter()
            .map(|c| {
                let column = quoted(&c.name);
                format!("v.{column} = NEW.{column} COLLATE {}", quoted(&c.collation))
            })
            .collect();
        let equal = equal.join(" AND ");
        inserts.push_str(&format!("{hint} {equal}; "));
        let columns: Vec<String> = unique.columns.iter().map(|c| quoted(&c.name)).collect();
        add(
            format!("replace_{number}"),
            format!("BEFORE UPDATE OF {} ON {table}", columns.join(", ")),
            format!("{hint} {equal} AND {other_key} IS NOT {old_key};"),
        );
    }
    if !inserts.is_empty() {
        add("replace".into(), format!("BEFORE INSERT ON {table}"), inserts.trim_end().to_owned());
    }
    let columns: Vec<String> = key.iter().map(|column| column.quoted()).collect();
    let columns = columns.join(", ");
    add(
        "replace_key".into(),
        format!("BEFORE UPDATE OF {columns} ON {table} WHEN {old} COLLATE BINARY IS NOT {new}"),
        format!("{hint} {other_key} = {new_key} AND {other_key} IS NOT {old_key};"),
    );
    for (number, unique) in facts.unique.iter().filter(|u| !u.is_plain() && u.is_known()).enumerate() {
        all.extend(special_hints(catalog, facts, unique, number));
    }
    all
}

/// Hints for a unique index over expressions or over some rows only: its own text, evaluated for the rows that are there and, under the
/// table's name, for the new one.
fn special_hints(catalog: &Catalog, facts: &TableFacts, unique: &UniqueFacts, number: usize) -> [Trigger; 2] {
    let (table, key) = (catalog.table.quoted(), &key_columns(catalog)[..]);
    let new_row: Vec<String> =
        facts.columns.iter().map(|c| format!("NEW.{0} AS {0}", quoted(&c.name))).collect();
    let of_new = |text: &str| format!("(SELECT {text} FROM (SELECT {}) AS {table})", new_row.join(", "));
    let equal = unique.columns.iter().map(|c| {
        let collation = quoted(&c.collation);
        match &c.expression {
            Some(text) => format!("({text}) = {} COLLATE {collation}", of_new(text)),
            None => format!("{table}.{0} = NEW.{0} COLLATE {collation}", quoted(&c.name)),
        }
    });
    let filter = unique.filter.iter().map(|text| format!("({text}) AND {}", of_new(&format!("({text})"))));
    let conditions: Vec<String> = equal.chain(filter).collect();
    let hint = format!(
        "INSERT INTO bothways_changes (catalog, key, op, old_key, at) \
         SELECT {}, {}, 'victim', NULL, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM {table} WHERE {}",
        literal(&catalog.name),
        key_text(&table, key),
        conditions.join(" AND ")
    );
    let trigger = |suffix: &str, event: &str, body: String| {
        let name = format!("{}special_{suffix}_{number}", trigger_prefix(catalog));
        let text = format!("CREATE TRIGGER {} BEFORE {event} ON {table} BEGIN {body}; END", quoted(&name));
        Trigger { name, text, tried: true }
    };
    let other = format!("{} IS NOT {}", key_value(&table, key), key_value("OLD", key));
    [trigger("insert", "INSERT", hint.clone()), trigger("update", "UPDATE", format!("{hint} AND {other}"))]
}

/// What the names of a catalog's triggers begin with; no other catalog's triggers do. Characters that are no letters or digits are
/// written by number, so that two underscores in a row only ever end the name.
pub(crate) fn trigger_prefix(catalog: &Catalog) -> String {
    let name: String = catalog
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("_{:x}_", u32::from(c)) })
        .collect();
    format!("{PREFIX}on_{name}__")
}
