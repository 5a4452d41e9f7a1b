//! A mapping's own test cases: `cases/<mapping>.yaml`, a list of `{ name, local, remote }`, where each side gives the other,
//! and of `{ name, remote, parks }`, where a record must be refused.

use crate::doc::{Free, Ordered, Text};
use crate::finding::{Code, Finding, Severity, Span};
use crate::mapping::Mapping;
use crate::project::SourceFile;
use crate::tree::{Content, Node, join};
use crate::{typed, yaml};
use bothways_model::{FieldType, Record, Value};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use std::sync::Arc;

/// One case of a mapping.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Case")]
pub struct CaseDoc {
    /// What it shows.
    pub name: Text,
    /// The row, by local field.
    #[serde(default)]
    #[schemars(with = "Ordered<Free>")]
    pub local: Option<Ordered<Free>>,
    /// The remote record, as far as it matters.
    #[serde(default)]
    #[schemars(with = "Free")]
    pub remote: Option<Free>,
    /// The record must be refused: a word (`type`, `range`, `word`, `form`, `currency`, `required`) or part of the reason.
    #[serde(default)]
    #[schemars(with = "Text")]
    pub parks: Option<Text>,
}

/// What running a mapping's cases gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseReport {
    /// Names of the cases that hold.
    pub passed: Vec<String>,
    /// Names of those that do not.
    pub failed: Vec<String>,
    /// Why, and whatever is wrong with the file itself.
    pub findings: Vec<Finding>,
}

/// Runs the cases in `file` on `mapping`.
pub fn run(mapping: &Mapping, file: &SourceFile) -> CaseReport {
    let name: Arc<str> = Arc::from(file.name.as_str());
    let (documents, findings) = yaml::parse(&name, &file.text);
    let mut report = CaseReport { findings, ..CaseReport::default() };
    for document in &documents {
        let Content::List(items) = &document.content else {
            report.findings.push(finding(
                &name,
                document.span,
                Code::Y104,
                "",
                "a file of cases is a list".into(),
                "start each case with `- name: …`",
            ));
            continue;
        };
        for (index, node) in items.iter().enumerate() {
            let pointer = format!("/{index}");
            match typed::read::<CaseDoc>(node) {
                Ok(doc) => {
                    let mut case = Case { mapping, file: &name, node, pointer, findings: Vec::new() };
                    case.run(&doc);
                    let names =
                        if case.findings.is_empty() { &mut report.passed } else { &mut report.failed };
                    names.push(doc.name.0);
                    report.findings.append(&mut case.findings);
                }
                Err(error) => {
                    let pointer = format!("{pointer}{}", error.pointer());
                    let mut shape = finding(
                        &name,
                        error.place.unwrap_or(node.span),
                        error.code,
                        &pointer,
                        error.message,
                        "",
                    );
                    shape.help = error.help;
                    report.findings.push(shape);
                }
            }
        }
    }
    report
}

fn finding(file: &Arc<str>, span: Span, code: Code, pointer: &str, message: String, help: &str) -> Finding {
    Finding {
        code,
        severity: Severity::Error,
        file: Arc::clone(file),
        span,
        pointer: pointer.to_owned(),
        message,
        help: Some(help.to_owned()).filter(|h| !h.is_empty()),
        masked: false,
    }
}

struct Case<'a> {
    mapping: &'a Mapping,
    file: &'a Arc<str>,
    node: &'a Node,
    pointer: String,
    findings: Vec<Finding>,
}

impl Case<'_> {
    fn fail(&mut self, code: Code, below: &str, message: String, help: &str) {
        let pointer = format!("{}{below}", self.pointer);
        self.findings.push(finding(self.file, self.node.place(below), code, &pointer, message, help));
    }

    fn run(&mut self, doc: &CaseDoc) {
        let row = doc.local.as_ref().map(|local| self.row(local));
        if !self.findings.is_empty() {
            return;
        }
        match (&row, &doc.remote, &doc.parks) {
            (_, _, Some(parks)) => self.parks(row.as_ref(), doc.remote.as_ref().map(|r| &r.0), &parks.0),
            (Some(row), Some(remote), None) => {
                self.outward(row, &remote.0);
                self.inward(row, &remote.0);
            }
            _ => self.fail(
                Code::Y103,
                "",
                "a case has `local` and `remote`, or one of them and `parks`".into(),
                "",
            ),
        }
    }

    /// The row, typed by the catalog.
    fn row(&mut self, local: &Ordered<Free>) -> Record {
        let mut row = Record::new();
        for (name, json) in local.iter() {
            let below = join("/local", name);
            let Some(field) = self.mapping.catalog.field(name) else {
                let catalog = self.mapping.catalog.name.clone();
                let names = self.mapping.catalog.fields.iter().map(|f| f.name.as_str());
                let near = crate::finding::nearest(name, names).map(|n| format!("did you mean `{n}`?"));
                self.fail(
                    Code::M101,
                    &below,
                    format!("the catalog `{catalog}` has no field `{name}`"),
                    near.as_deref().unwrap_or_default(),
                );
                continue;
            };
            // A reference is given as what stands for it outside: which row that is, only the database knows.
            let mapped = self.mapping.fields.iter().find(|f| f.reference.is_some() && f.local_name() == name);
            let ty = match mapped {
                Some(mapped) => mapped.ty(),
                None if field.reference.is_some() => &FieldType::Text,
                None => &field.ty,
            };
            // `phone: 5010` is text where the catalog says text.
            let written = match self.node.at(&below).map(|n| &n.content) {
                Some(Content::Scalar { text, .. }) if !json.0.is_null() => Some(Value::from_text(ty, text)),
                _ => None,
            };
            match written.unwrap_or_else(|| Value::from_plain_json(ty, &json.0)) {
                Ok(value) => row.set(name, value),
                Err(error) => self.fail(Code::Y104, &below, error.to_string(), ""),
            }
        }
        row
    }

    /// The row gives the remote record, in every field that goes out.
    fn outward(&mut self, row: &Record, remote: &Json) {
        for field in self.mapping.fields.iter().filter(|f| f.direction.goes_out()) {
            let Some(path) = &field.write else { continue };
            let expected = path.get(remote).unwrap_or(&Json::Null);
            match self.mapping.image(field, row) {
                Ok(sent) if same_json(&sent, expected) => {}
                Ok(sent) => {
                    let message =
                        format!("`{}` would be sent as {sent}, and the case says {expected}", field.label);
                    self.fail(Code::T001, &pointer_of("/remote", path), message, "");
                }
                Err(refusal) => {
                    self.fail(Code::T001, "/local", format!("`{}` would park: {refusal}", field.label), "")
                }
            }
        }
    }

    /// The remote record gives the row, in every field that comes in.
    fn inward(&mut self, row: &Record, remote: &Json) {
        let reading = self.mapping.read_remote(remote);
        for (label, refusal) in &reading.refusals {
            let comes_in = self.mapping.field(label).is_some_and(|f| f.direction.comes_in());
            if comes_in {
                self.fail(Code::T001, "/remote", format!("`{label}` would park: {refusal}"), "");
            }
        }
        for field in self.mapping.fields.iter().filter(|f| f.direction.comes_in()) {
            if reading.refusals.iter().any(|(label, _)| *label == field.label) {
                continue;
            }
            let read = reading.record.get(&field.label).unwrap_or(&Value::Null);
            let expected = row.get(field.local_name()).unwrap_or(&Value::Null);
            if !field.same(read, expected) {
                let below = join("/local", field.local_name());
                let message = format!(
                    "`{}` would be read as {}, and the case says {}",
                    field.label,
                    read.to_plain_json(),
                    expected.to_plain_json()
                );
                self.fail(Code::T001, &below, message, "");
            }
        }
    }

    /// Something in the record, or in the row, is refused for this reason.
    fn parks(&mut self, row: Option<&Record>, remote: Option<&Json>, reason: &str) {
        let mut refusals = Vec::new();
        if let Some(remote) = remote {
            let reading = self.mapping.read_remote(remote);
            for field in self.mapping.fields.iter().filter(|f| f.direction.comes_in()) {
                if let Some(Err(refusal)) = reading.record.get(&field.label).map(|v| field.check_required(v))
                {
                    refusals.push(refusal);
                }
            }
            refusals.extend(reading.refusals.into_iter().map(|(_, refusal)| refusal));
        }
        if let Some(row) = row {
            let out = self.mapping.fields.iter().filter(|f| f.direction.goes_out());
            refusals.extend(out.filter_map(|field| self.mapping.image(field, row).err()));
        }
        if refusals.iter().any(|r| r.kind.as_str() == reason || r.to_string().contains(reason)) {
            return;
        }
        let message = if refusals.is_empty() {
            "nothing parks here".to_owned()
        } else {
            let all: Vec<String> = refusals.iter().map(ToString::to_string).collect();
            format!("this parks for another reason: {}", all.join("; "))
        };
        self.fail(Code::T001, "/parks", message, "");
    }
}

fn pointer_of(base: &str, path: &bothways_model::SingularPath) -> String {
    path.0.iter().fold(base.to_owned(), |pointer, segment| match segment {
        bothways_model::Segment::Name(name) => join(&pointer, name),
        bothways_model::Segment::Index(index) => join(&pointer, &index.to_string()),
        // Which element that is depends on the record: the list is near enough.
        bothways_model::Segment::Element { .. } => pointer,
    })
}

/// Equal, with numbers compared by value.
fn same_json(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
