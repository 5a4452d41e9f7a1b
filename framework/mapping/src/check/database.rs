//! M501: the documents against the database, from facts that the caller read there. And M303 and M401, where a database knows
//! whether a column is unique.

use crate::build::sub;
use crate::finding::{Code, Finding, Severity, Source};
use crate::mapping::Mapping;
use crate::project::Project;
use bothways_model::{Catalog, CatalogField, FieldType, Ident, KeyMaker};
use std::sync::Arc;

/// What a database says about the table of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// Its columns, in order.
    pub columns: Vec<ColumnFacts>,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// The columns of each unique index and constraint, the primary key included.
    pub unique: Vec<Vec<String>>,
    /// The database may give the key of a deleted row to a new one (SQLite without `AUTOINCREMENT`).
    pub reuses_keys: bool,
    /// Tables whose rows are deleted, or changed, with a row of this one.
    pub cascades_to: Vec<String>,
}

/// What a database says about a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// The type as the database writes it, for messages.
    pub declared: String,
    /// What it can hold.
    pub kind: ColumnKind,
    /// Null is allowed.
    pub nullable: bool,
    /// A row can be inserted without it: a default, an identity, a generated column.
    pub has_default: bool,
    /// It is computed, and cannot be written.
    pub generated: bool,
    /// Its collation takes texts for equal that are not (case, trailing spaces).
    pub folds: bool,
}

/// What a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// Whole numbers.
    Int,
    /// Exact decimals.
    Decimal,
    /// Binary floating point.
    Float,
    /// True or false.
    Bool,
    /// Moments.
    Timestamp,
    /// Calendar dates.
    Date,
    /// UUIDs.
    Uuid,
    /// JSON.
    Json,
    /// Bytes.
    Bytes,
    /// Anything, or unknown: SQLite columns without a type.
    Any,
}

/// Checks every catalog of `project` against its table. `facts` answers `None` for a table that does not exist, which is no
/// mistake: it can be created from its document.
pub fn check_database(project: &Project, facts: &dyn Fn(&Catalog) -> Option<TableFacts>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, catalog) in &project.catalogs {
        let Some(table) = facts(catalog) else { continue };
        let mut check = Check { project, catalog, table: &table, findings: &mut findings };
        check.key();
        for field in &catalog.fields {
            check.field(field);
        }
        check.deleted_at();
        check.table();
        for mapping in project.mappings.iter().filter(|m| m.catalog.name == *name) {
            check.mapping(mapping);
        }
        for mapping in &project.mappings {
            check.lookups(mapping);
        }
    }
    findings
}

struct Check<'a> {
    project: &'a Project,
    catalog: &'a Catalog,
    table: &'a TableFacts,
    findings: &'a mut Vec<Finding>,
}

impl Check<'_> {
    fn say(&mut self, severity: Severity, pointer: &str, message: String, help: &str) {
        let at = self.project.catalog_place(&self.catalog.name, pointer);
        self.push(Code::M501, severity, at, pointer, message, help);
    }

    fn push(
        &mut self,
        code: Code,
        severity: Severity,
        at: Option<Source>,
        pointer: &str,
        message: String,
        help: &str,
    ) {
        let at = at.unwrap_or_else(|| Source { file: Arc::from(""), span: crate::finding::Span::default() });
        self.findings.push(Finding {
            code,
            severity,
            file: at.file,
            span: at.span,
            pointer: pointer.to_owned(),
            message,
            help: Some(help.to_owned()),
            masked: false,
        });
    }

    fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))
    }

    fn is_unique(&self, column: &str) -> bool {
        self.table
            .unique
            .iter()
            .any(|columns| matches!(columns.as_slice(), [one] if one.eq_ignore_ascii_case(column)))
    }

    /// Whether these are all the columns of the key, in any order.
    fn is_key(&self, columns: &[String]) -> bool {
        let has = |column: &Ident| columns.iter().any(|one| one.eq_ignore_ascii_case(column.as_str()));
        columns.len() == self.catalog.key.names().len() && self.catalog.key_fields().all(|f| has(&f.column))
    }

    fn key(&mut self) {
        let is_key = self.is_key(&self.table.primary_key);
        if !is_key && !self.table.unique.iter().any(|columns| self.is_key(columns)) {
            let columns: Vec<String> = self.catalog.key_fields().map(|f| format!("`{}`", f.column)).collect();
            let (columns, verb) = (columns.join(" and "), if columns.len() > 1 { "are" } else { "is" });
            let message =
                format!("{columns} {verb} not the primary key of `{}`, nor unique", self.catalog.table);
            self.say(Severity::Error, "/key", message, "a link belongs to one row: name the table's key");
        }
        if is_key && self.table.reuses_keys && self.catalog.made_by == KeyMaker::Database {
            let message = format!(
                "the database may give the key of a deleted row of `{}` to a new one",
                self.catalog.table
            );
            self.say(Severity::Warning, "/key", message, "declare the key `INTEGER PRIMARY KEY AUTOINCREMENT`; until then reuse is told by the match fields");
        }
        let key: Vec<CatalogField> = self.catalog.key_fields().cloned().collect();
        for field in key {
            let Some(column) = self.column(field.column.as_str()) else { continue };
            let (unmade, nullable) = (!column.has_default, column.nullable);
            match self.catalog.made_by {
                KeyMaker::Database if unmade && field.ty != FieldType::Int => {
                    let message = format!("nothing in the database makes the key `{}`", field.column);
                    let help = "say `key: { field: …, made_by: engine }`, or give the column a default";
                    self.say(Severity::Warning, "/key", message, help);
                }
                KeyMaker::Inserter if nullable => {
                    let message =
                        format!("the column `{}` is part of the key, and may be null", field.column);
                    let help =
                        "make the column NOT NULL: a row with a null there has no key, and takes no part";
                    self.say(Severity::Warning, &sub("/fields", &field.name), message, help);
                }
                KeyMaker::Database | KeyMaker::Engine | KeyMaker::Inserter => {}
            }
        }
    }

    fn field(&mut self, field: &CatalogField) {
        let pointer = sub("/fields", &field.name);
        let Some(column) = self.column(field.column.as_str()).cloned() else {
            let names: Vec<&str> = self.table.columns.iter().map(|c| c.name.as_str()).collect();
            let near = crate::finding::nearest(field.column.as_str(), names.iter().copied());
            let help =
                near.map_or_else(|| crate::finding::listed(&names), |n| format!("did you mean `{n}`?"));
            let message = format!("`{}` has no column `{}`", self.catalog.table, field.column);
            self.say(Severity::Error, &pointer, message, &help);
            return;
        };
        if !holds(column.kind, &field.ty) {
            let message = format!(
                "the column `{}` is {}, and the field's type is `{}`",
                column.name, column.declared, field.ty
            );
            self.say(Severity::Error, &pointer, message, "make the two agree");
        } else if column.kind == ColumnKind::Float && matches!(field.ty, FieldType::Decimal { .. }) {
            let message =
                format!("the column `{}` is {}, which rounds decimals", column.name, column.declared);
            self.say(Severity::Warning, &pointer, message, "keep decimals as text or in an exact type");
        }
        let is_key = self.catalog.key.contains(&field.name);
        if column.nullable && !field.optional && !is_key {
            let message = format!("the column `{}` may be null, and the field is not optional", column.name);
            self.say(
                Severity::Warning,
                &pointer,
                message,
                "add `?`, or make the column NOT NULL: a null there parks",
            );
        }
        if !column.nullable && field.optional {
            let message = format!("the column `{}` is NOT NULL, and the field is optional", column.name);
            self.say(Severity::Error, &pointer, message, "remove the `?`, or let the column be null");
        }
    }

    fn deleted_at(&mut self) {
        let Some(name) = self.catalog.deleted_at.clone() else { return };
        match self.column(name.as_str()).cloned() {
            None => {
                let message = format!("`{}` has no column `{name}`", self.catalog.table);
                self.say(Severity::Error, "/deleted_at", message, "name a timestamp column of the table");
            }
            Some(column) if !column.nullable || !holds(column.kind, &FieldType::Timestamp) => {
                let message = format!(
                    "the column `{name}` is {}{}",
                    column.declared,
                    if column.nullable { "" } else { " NOT NULL" }
                );
                self.say(Severity::Error, "/deleted_at", message, "it must be a timestamp that may be null");
            }
            Some(_) => {}
        }
    }

    fn table(&mut self) {
        if !self.table.cascades_to.is_empty() {
            let message = format!(
                "deleting a row of `{}` also touches {}",
                self.catalog.table,
                self.table.cascades_to.join(", ")
            );
            self.say(
                Severity::Warning,
                "/table",
                message,
                "triggers see it only where that table is a catalog too",
            );
        }
    }

    fn mapping(&mut self, mapping: &Mapping) {
        for field in mapping.fields.iter().filter(|field| field.direction.comes_in()) {
            let column = self.catalog.field(field.local_name()).map(|f| f.column.as_str().to_owned());
            let Some(column) = column.filter(|name| self.column(name).is_some_and(|c| c.generated)) else {
                continue;
            };
            let pointer = sub("/fields", &field.label);
            let at = Some(mapping.said_at(&pointer).clone());
            let message =
                format!("`{}` comes in, and the database computes the column `{column}`", field.label);
            self.push(
                Code::M501,
                Severity::Error,
                at,
                &pointer,
                message,
                "say `direction: out`: the column cannot be written",
            );
        }
        let fills: Vec<&str> =
            mapping.fields.iter().filter(|f| f.direction.comes_in()).map(|f| f.local_name()).collect();
        if mapping.creates.from_remote == crate::mapping::CreatePolicy::Create {
            for column in self.table.columns.clone() {
                let field =
                    self.catalog.fields.iter().find(|f| f.column.as_str().eq_ignore_ascii_case(&column.name));
                let filled = field.is_some_and(|f| {
                    self.catalog.key.contains(&f.name)
                        || fills.contains(&f.name.as_str())
                        || mapping.on_create.local.iter().any(|(name, _)| *name == f.name)
                });
                if !column.nullable && !column.has_default && !column.generated && !filled {
                    let message = format!(
                        "the mapping `{}` creates rows, and fills nothing into `{}`, which is NOT NULL and has no default",
                        mapping.name, column.name
                    );
                    let at = Some(mapping.said_at("/creates/from_remote").clone());
                    self.push(Code::M501, Severity::Error, at, "/creates/from_remote", message, "map the column, set it with `on_create: { local: … }`, or say `creates: { from_remote: manual }`");
                }
            }
        }
        self.matching(mapping);
    }

    /// What stands for rows of this table in mappings of others should stand for one each.
    fn lookups(&mut self, mapping: &Mapping) {
        for field in mapping.fields.iter().filter(|field| field.direction.comes_in()) {
            let Some(lookup) = field.lookup().filter(|lookup| lookup.catalog == self.catalog.name) else {
                continue;
            };
            let Some(by) = self.catalog.field(&lookup.by) else { continue };
            if !self.is_unique(by.column.as_str()) {
                let message = format!(
                    "`{}` is looked up in `{}`, whose column `{}` is not unique",
                    field.label, self.catalog.table, by.column
                );
                let pointer = sub("/fields", &field.label);
                let help = "a value that several rows hold parks; a unique index would prevent that";
                let at = Some(mapping.said_at(&pointer).clone());
                self.push(Code::M401, Severity::Warning, at, &pointer, message, help);
            }
        }
    }

    fn matching(&mut self, mapping: &Mapping) {
        for (index, label) in mapping.identity.matching.iter().enumerate() {
            let Some(field) = mapping.field(label).and_then(|f| self.catalog.field(f.local_name())) else {
                continue;
            };
            let pointer = sub("/identity/match", &index.to_string());
            let at = Some(mapping.said_at(&pointer).clone());
            let unique = self.is_unique(field.column.as_str());
            let folds = self.column(field.column.as_str()).is_some_and(|c| c.folds);
            if !unique && mapping.identity.matching.len() == 1 {
                let message =
                    format!("the column `{}` is not unique, so records may be ambiguous", field.column);
                self.push(
                    Code::M303,
                    Severity::Warning,
                    at,
                    &pointer,
                    message,
                    "ambiguous records wait for a person; a unique index would prevent them",
                );
            } else if folds {
                let message =
                    format!("the collation of `{}` takes texts for equal that are not", field.column);
                self.push(
                    Code::M501,
                    Severity::Warning,
                    at,
                    &pointer,
                    message,
                    "normalise the field in the same way, for example with `lower`",
                );
            }
        }
    }
}

/// Whether a column of this kind can hold a field of this type.
fn holds(kind: ColumnKind, ty: &FieldType) -> bool {
    use ColumnKind as K;
    match ty {
        _ if kind == K::Any => true,
        FieldType::Text | FieldType::Enum(_) => matches!(kind, K::Text),
        FieldType::Int => matches!(kind, K::Int),
        FieldType::Decimal { .. } => matches!(kind, K::Decimal | K::Text | K::Float | K::Int),
        FieldType::Bool => matches!(kind, K::Bool | K::Int),
        FieldType::Timestamp => matches!(kind, K::Timestamp | K::Text),
        FieldType::Date => matches!(kind, K::Date | K::Text),
        FieldType::Uuid => matches!(kind, K::Uuid | K::Text),
        FieldType::Json | FieldType::List(_) => matches!(kind, K::Json | K::Text),
    }
}
