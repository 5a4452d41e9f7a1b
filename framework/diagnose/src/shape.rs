//! The shape pass: the published schema on the very tree that is loaded, every mistake at its key.
//!
//! Raw errors of `anyOf` and `oneOf` say nothing ("not valid under any of the schemas"); here the branch that was meant is
//! picked, and its own errors are told.

mod choice;
mod guide;

use crate::schema::of_kind;
use bothways_mapping::tree::{Node, join};
use bothways_mapping::{Code, DocumentKind, Finding, Severity, Span, nearest};
use guide::Guide;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value as Json;
use std::sync::{Arc, OnceLock};

/// The schemas, compiled once.
struct Shape {
    kind: DocumentKind,
    schema: Json,
    validator: Option<Validator>,
}

fn shapes() -> &'static [Shape] {
    static SHAPES: OnceLock<Vec<Shape>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let shape = |kind| {
            let schema = of_kind(kind);
            // Our own schema compiles; a test proves it, and without it the typed reading still finds the first mistake.
            let validator = jsonschema::validator_for(&schema).ok();
            Shape { kind, schema, validator }
        };
        DocumentKind::ALL.map(shape).into_iter().collect()
    })
}

/// Every mistake in the shape of one document.
pub(crate) fn check(file: &Arc<str>, node: &Node, kind: DocumentKind) -> Vec<Finding> {
    let Some(shape) = shapes().iter().find(|s| s.kind == kind) else { return Vec::new() };
    let Some(validator) = &shape.validator else { return Vec::new() };
    let guide = Guide::new(&shape.schema);
    let json = guide.typed(node);
    let mut teller = Teller { file, node, schema: &shape.schema, guide: &guide, findings: Vec::new() };
    for error in validator.iter_errors(&json) {
        teller.tell(&error);
    }
    teller.indentation();
    teller.findings
}

/// So many unknown keys of one map are named.
const MOST_KEYS: usize = 50;

/// Turns errors of one document into findings.
struct Teller<'a> {
    file: &'a Arc<str>,
    node: &'a Node,
    schema: &'a Json,
    guide: &'a Guide<'a>,
    findings: Vec<Finding>,
}

impl Teller<'_> {
    fn say(&mut self, code: Code, span: Span, pointer: &str, message: String, help: Option<String>) {
        self.findings.push(Finding {
            code,
            severity: Severity::Error,
            file: Arc::clone(self.file),
            span,
            pointer: pointer.to_owned(),
            message,
            help,
            masked: false,
        });
    }

    /// Where a value is; the key, if the value is nothing or a map.
    fn span(&self, pointer: &str) -> Span {
        match self.node.at(pointer) {
            Some(node) if !node.is_nothing() && node.entries().is_empty() => node.span,
            _ if pointer.is_empty() => self.node.entries().first().map_or(self.node.span, |e| e.key_span),
            _ => self.node.key_place(pointer),
        }
    }

    /// The schema that an error's keyword is in.
    fn schema_of(&self, error: &ValidationError<'_>) -> Option<&Json> {
        let path = error.schema_path().as_str();
        self.schema.pointer(path.rsplit_once('/').map_or("", |(parent, _)| parent))
    }

    fn tell(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str().to_owned();
        match error.kind() {
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                choice::tell(self, &pointer, context);
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.schema_of(error).and_then(|s| s.get("properties")).and_then(Json::as_object);
                let known: Vec<String> = known.map(|p| p.keys().cloned().collect()).unwrap_or_default();
                // A person mends a few at a time; a hostile file has thousands.
                for key in unexpected.iter().take(MOST_KEYS) {
                    let at = join(&pointer, key);
                    let help = suggestion(key, known.iter().map(String::as_str));
                    self.say(
                        Code::Y102,
                        self.node.key_place(&at),
                        &at,
                        format!("there is no key `{key}` here"),
                        help,
                    );
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let message = format!("the key `{key}` is missing");
                self.say(Code::Y103, self.span(&pointer), &pointer, message, Some(format!("add `{key}: …`")));
            }
            ValidationErrorKind::Type { kind } => self.wrong_type(&pointer, &expected(kind)),
            ValidationErrorKind::Enum { options } => {
                let words: Vec<&str> =
                    options.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
                self.wrong_word(&pointer, &words);
            }
            ValidationErrorKind::Constant { expected_value } => {
                let words: Vec<&str> = expected_value.as_str().into_iter().collect();
                self.wrong_word(&pointer, &words);
            }
            ValidationErrorKind::Pattern { .. } => self.wrong_form(error, &pointer),
            _ => {
                let help = self
                    .schema_of(error)
                    .and_then(|s| s.get("description"))
                    .and_then(Json::as_str)
                    .map(str::to_owned);
                let message = match error.kind() {
                    ValidationErrorKind::Minimum { limit } => format!("the number must be {limit} or more"),
                    ValidationErrorKind::Maximum { limit } => format!("the number must be {limit} or less"),
                    ValidationErrorKind::MinItems { limit } => {
                        format!("the list needs {limit} or more entries")
                    }
                    ValidationErrorKind::MinProperties { limit } => {
                        format!("the map needs {limit} or more keys")
                    }
                    ValidationErrorKind::MaxProperties { limit } => {
                        format!("the map takes {limit} or fewer keys")
                    }
                    _ => "this does not fit here".to_owned(),
                };
                self.say(Code::Y108, self.span(&pointer), &pointer, message, help);
            }
        }
    }

    fn wrong_type(&mut self, pointer: &str, expected: &str) {
        let span = self.span(pointer);
        let Some(node) = self.node.at(pointer) else { return };
        if let Some(word) = spelled_out(node) {
            let message = format!("`{word}` means nothing in YAML, and {expected} is expected");
            self.say(
                Code::Y106,
                node.span,
                pointer,
                message,
                Some(format!("quote it if it is text: `\"{word}\"`")),
            );
            return;
        }
        if node.is_nothing() {
            let message = format!("nothing is here, and {expected} is expected");
            self.say(Code::Y106, span, pointer, message, Some("give a value, or remove the key".into()));
            return;
        }
        let braces = !node.entries().is_empty() && node.entries().iter().all(|e| e.value.is_nothing());
        let help = (braces && expected.contains("text"))
            .then(|| "quote the text if the braces belong to it".to_owned());
        self.say(
            Code::Y104,
            span,
            pointer,
            format!("{} is here, and {expected} is expected", found(node)),
            help,
        );
    }

    fn wrong_word(&mut self, pointer: &str, words: &[&str]) {
        let span = self.span(pointer);
        let Some(word) = self.node.at(pointer).and_then(text_of) else {
            self.wrong_type(pointer, "one of the words that fit here");
            return;
        };
        let optional = word.strip_suffix('?').filter(|w| words.contains(w));
        let help = match optional {
            Some(plain) if pointer.ends_with("/type") => {
                Some(format!("write `{plain}`, and `optional: true` beside it"))
            }
            _ => synonym(word, words).or_else(|| suggestion(word, words.iter().copied())),
        };
        let message = format!("`{word}` is not one of the words that fit here");
        self.say(Code::Y105, span, pointer, message, help);
    }

    fn wrong_form(&mut self, error: &ValidationError<'_>, pointer: &str) {
        let schema = self.schema_of(error);
        let text = |key: &str| schema.and_then(|s| s.get(key)).and_then(Json::as_str).map(str::to_owned);
        let title = text("title").unwrap_or_else(|| "text of this form".into());
        let code = match title.as_str() {
            "JSONPath" => Code::Y109,
            "Call" => Code::Y111,
            _ => Code::Y108,
        };
        let help = text("description");
        self.say(code, self.span(pointer), pointer, format!("this is not {}", with_article(&title)), help);
    }

    /// A key that belongs one level deeper makes three findings that blame the wrong thing; one says what happened.
    fn indentation(&mut self) {
        let stray: Vec<(String, String, String)> = self
            .findings
            .iter()
            .filter(|f| f.code == Code::Y102)
            .filter_map(|f| {
                let (parent, key) = f.pointer.rsplit_once('/')?;
                let entries = self.node.at(parent)?.entries();
                let before = entries.iter().take_while(|e| e.key != key);
                let home = before.filter(|e| e.value.is_nothing()).last()?;
                let at = join(parent, &home.key);
                self.guide
                    .keys(&at, self.node)
                    .iter()
                    .any(|k| k == key)
                    .then(|| (f.pointer.clone(), at, home.key.clone()))
            })
            .collect();
        for (pointer, home, name) in stray {
            let key = pointer.rsplit('/').next().unwrap_or_default().to_owned();
            self.findings.retain(|f| !(f.code == Code::Y106 && f.pointer == home));
            if let Some(finding) = self.findings.iter_mut().find(|f| f.pointer == pointer) {
                finding.code = Code::Y008;
                finding.message = format!("`{key}` belongs to `{name}`, and is not indented below it");
                finding.help = Some("indent it by two more spaces".into());
            }
        }
    }
}

/// Nothing that was written: `null` or `~`.
fn spelled_out(node: &Node) -> Option<&str> {
    match &node.content {
        bothways_mapping::tree::Content::Scalar { text, .. } if node.is_nothing() && !text.is_empty() => {
            Some(text)
        }
        _ => None,
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.content {
        bothways_mapping::tree::Content::Scalar { text, .. } if !node.is_nothing() => Some(text),
        _ => None,
    }
}

/// What other systems call our types.
fn synonym(word: &str, words: &[&str]) -> Option<String> {
    let (plain, mark) = word.strip_suffix('?').map_or((word, ""), |plain| (plain, "?"));
    let ours = match plain.to_ascii_lowercase().as_str() {
        "string" | "str" | "varchar" | "char" => "text",
        "integer" | "bigint" | "number" | "long" => "int",
        "boolean" => "bool",
        "datetime" | "timestamptz" | "instant" => "timestamp",
        "numeric" | "money" | "float" | "double" => "decimal",
        "guid" => "uuid",
        "object" | "jsonb" => "json",
        _ => return None,
    };
    let ours = format!("{ours}{mark}");
    words.contains(&ours.as_str()).then(|| format!("did you mean `{ours}`?"))
}

/// `did you mean`, or what there is.
fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => {
            // `text?` is there where `text` is.
            let plain: Vec<&str> = known.iter().copied().filter(|k| !k.ends_with('?')).collect();
            Some(format!("known here: {}", plain.join(", ")))
        }
    }
}

fn found(node: &Node) -> &'static str {
    use bothways_mapping::tree::Content;
    match &node.content {
        Content::List(_) => "a list",
        Content::Map(_) => "a map",
        Content::Scalar { text, plain } => {
            match if *plain { bothways_mapping::tree::typed_scalar(text) } else { Json::Null } {
                Json::Number(_) => "a number",
                Json::Bool(_) => "a boolean",
                _ => "text",
            }
        }
    }
}

fn expected(kind: &TypeKind) -> String {
    let name = |ty: JsonType| match ty {
        JsonType::String => "text",
        JsonType::Object => "a map",
        JsonType::Array => "a list",
        JsonType::Integer => "a whole number",
        JsonType::Number => "a number",
        JsonType::Boolean => "`true` or `false`",
        JsonType::Null => "nothing",
    };
    match kind {
        TypeKind::Single(ty) => name(*ty).to_owned(),
        TypeKind::Multiple(types) => {
            let all = [
                JsonType::String,
                JsonType::Object,
                JsonType::Array,
                JsonType::Integer,
                JsonType::Number,
                JsonType::Boolean,
            ];
            let names: Vec<&str> = all.into_iter().filter(|ty| types.contains(*ty)).map(name).collect();
            // Wherever text, numbers and booleans are all welcome, text is what is meant.
            if names.first() == Some(&"text") { "text".to_owned() } else { names.join(" or ") }
        }
    }
}

fn with_article(title: &str) -> String {
    let name = lower_first(title);
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn lower_first(text: &str) -> String {
    // `JSONPath` stays as it is.
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
