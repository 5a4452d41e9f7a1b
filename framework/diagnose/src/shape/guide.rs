//! The schema as a guide through a tree: which type a plain scalar has, and which keys a map may have.
//!
//! YAML leaves open whether `5010` is text. The schema decides: where text is welcome and a number is not, it is text, in this
//! pass as in the typed reading.

use bothways_mapping::tree::{Content, Node, typed_scalar};
use serde_json::{Map, Value as Json};

pub(super) struct Guide<'s> {
    root: &'s Json,
}

impl<'s> Guide<'s> {
    pub(super) fn new(root: &'s Json) -> Self {
        Self { root }
    }

    /// The tree as JSON, scalars typed by the schema.
    pub(super) fn typed(&self, node: &Node) -> Json {
        self.node(node, &self.open(self.root))
    }

    /// The keys that a map at `pointer` may have.
    pub(super) fn keys(&self, pointer: &str, _node: &Node) -> Vec<String> {
        let mut schemas = self.open(self.root);
        for segment in pointer.split('/').skip(1) {
            let key = segment.replace("~1", "/").replace("~0", "~");
            schemas = self.below(&schemas, &key);
        }
        schemas
            .iter()
            .filter_map(|s| s.get("properties")?.as_object())
            .flat_map(|p| p.keys().cloned())
            .collect()
    }

    /// A schema and all branches it may mean.
    fn open(&self, schema: &'s Json) -> Vec<&'s Json> {
        let mut open = Vec::new();
        self.open_into(schema, &mut open, 0);
        open
    }

    fn open_into(&self, schema: &'s Json, open: &mut Vec<&'s Json>, depth: usize) {
        if depth > 16 {
            return;
        }
        open.push(schema);
        let Some(object) = schema.as_object() else { return };
        let target = object
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|r| self.root.pointer(r.trim_start_matches('#')));
        if let Some(target) = target {
            self.open_into(target, open, depth + 1);
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            for branch in object.get(word).and_then(Json::as_array).into_iter().flatten() {
                self.open_into(branch, open, depth + 1);
            }
        }
    }

    fn below(&self, schemas: &[&'s Json], key: &str) -> Vec<&'s Json> {
        let child = |schema: &&'s Json| {
            let object = schema.as_object()?;
            let property = object.get("properties").and_then(|p| p.get(key));
            property.or_else(|| object.get("additionalProperties").filter(|a| **a != Json::Bool(false)))
        };
        let mut below: Vec<&'s Json> = schemas.iter().filter_map(child).flat_map(|s| self.open(s)).collect();
        if schemas.iter().any(|s| is_free(s)) {
            below.push(&Json::Bool(true));
        }
        below
    }

    fn node(&self, node: &Node, schemas: &[&'s Json]) -> Json {
        match &node.content {
            Content::Scalar { text, plain: false } => Json::String(text.clone()),
            Content::Scalar { text, plain: true } => scalar(text, schemas),
            Content::List(items) => {
                let item = schemas.iter().filter_map(|s| s.get("items")).flat_map(|s| self.open(s));
                let mut item: Vec<&Json> = item.collect();
                if schemas.iter().any(|s| is_free(s)) {
                    item.push(&Json::Bool(true));
                }
                Json::Array(items.iter().map(|i| self.node(i, &item)).collect())
            }
            Content::Map(entries) => {
                let member = |e: &bothways_mapping::tree::Entry| {
                    (e.key.clone(), self.node(&e.value, &self.below(schemas, &e.key)))
                };
                Json::Object(entries.iter().map(member).collect::<Map<_, _>>())
            }
        }
    }
}

/// Anything may stand here.
fn is_free(schema: &Json) -> bool {
    match schema {
        Json::Bool(free) => *free,
        Json::Object(object) => !["type", "const", "enum", "$ref", "anyOf", "oneOf", "allOf"]
            .iter()
            .any(|k| object.contains_key(*k)),
        _ => false,
    }
}

fn scalar(text: &str, schemas: &[&Json]) -> Json {
    let looks = typed_scalar(text);
    let name = match &looks {
        Json::Number(n) if n.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::Bool(_) => "boolean",
        _ => return looks,
    };
    let welcome = |ty: &str| {
        schemas.iter().any(|schema| {
            let Some(object) = schema.as_object() else { return is_free(schema) };
            let types = match object.get("type") {
                Some(Json::String(one)) => vec![one.as_str()],
                Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
                _ if ty == "string" => {
                    let word =
                        object.get("const").is_some_and(Json::is_string) || object.get("enum").is_some();
                    return word || is_free(schema);
                }
                _ => return is_free(schema),
            };
            types.contains(&ty) || (ty == "integer" && types.contains(&"number"))
        })
    };
    if !welcome(name) && welcome("string") { Json::String(text.to_owned()) } else { looks }
}
