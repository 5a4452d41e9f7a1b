//! Tables of keys, from what the schemas say about them.

use bothways_diagnose::schemas;
use serde_json::Value as Json;

/// The table of all keys of one kind of document.
pub(crate) fn keys(kind: &str) -> String {
    let name = format!("{kind}.schema.json");
    let schema = schemas().into_iter().find(|file| file.name == name).unwrap().schema;
    let mut table = Table { root: &schema, rows: Vec::new() };
    table.keys(&schema, "");
    let mut text = String::from("| key | meaning |\n|---|---|\n");
    for row in merged(table.rows) {
        let required = if row.required { "*" } else { "" };
        text.push_str(&format!("| `{}`{required} | {} |\n", row.key, row.meaning.replace('|', "\\|")));
    }
    text
}

struct Row {
    key: String,
    required: bool,
    meaning: String,
}

struct Table<'a> {
    root: &'a Json,
    rows: Vec<Row>,
}

impl<'a> Table<'a> {
    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| &self.root["$defs"][name])
    }

    /// A row for every key below this schema.
    fn keys(&mut self, schema: &'a Json, prefix: &str) {
        let schema = self.resolve(schema);
        for variant in list(&schema["anyOf"]) {
            self.keys(variant, prefix);
        }
        // Of one of several choices the key itself is required, which says nothing.
        for choice in list(&schema["oneOf"]) {
            self.properties(choice, prefix, false);
        }
        self.properties(schema, prefix, true);
        if schema["items"].is_object() {
            self.keys(&schema["items"], prefix);
        }
        if schema["additionalProperties"].is_object() {
            self.keys(&schema["additionalProperties"], &format!("{prefix}.<name>"));
        }
    }

    fn properties(&mut self, schema: &'a Json, prefix: &str, may_require: bool) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let required = may_require && list(&schema["required"]).any(|one| one == name);
            let said =
                [property, self.resolve(property)].into_iter().find_map(|one| one["description"].as_str());
            let mut meaning = said.unwrap_or_default().to_owned();
            self.words(property, &mut meaning);
            // A codec and each of a list of codecs have the same keys.
            if !self.rows.iter().any(|row| row.key == key) {
                self.rows.push(Row { key: key.clone(), required, meaning });
                self.keys(property, &key);
            }
        }
    }

    /// The words that a value may be.
    fn words(&self, schema: &'a Json, meaning: &mut String) {
        let schema = self.resolve(schema);
        for choice in list(&schema["oneOf"]) {
            if let Some(word) = choice["const"].as_str() {
                meaning.push_str(&format!(
                    "<br>`{word}`: {}",
                    choice["description"].as_str().unwrap_or_default()
                ));
            }
        }
        for part in list(&schema["anyOf"]).chain(Some(&schema["items"]).filter(|items| items.is_object())) {
            // A list of words has the words of one.
            let mut more = String::new();
            self.words(part, &mut more);
            if !meaning.contains(&more) {
                meaning.push_str(&more);
            }
        }
    }
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

/// Keys of one name and one meaning side by side are one row: `list.query` and `get.query` are `{list, get}.query`.
fn merged(rows: Vec<Row>) -> Vec<Row> {
    let mut all: Vec<(Vec<String>, Row)> = Vec::new();
    for row in rows {
        let parts: Vec<&str> = row.key.split('.').collect();
        let Some([above @ .., parent, name]) = parts.get(..) else {
            all.push((Vec::new(), row));
            continue;
        };
        let (above, parent, name) = (above.join("."), (*parent).to_owned(), (*name).to_owned());
        let same = all.iter_mut().find(|(parents, other)| {
            let beside =
                other.key.strip_prefix(&above).and_then(|rest| rest.strip_suffix(&format!(".{name}")));
            let alone = beside.is_some_and(|middle| !middle.trim_start_matches('.').contains('.'));
            !parents.is_empty()
                && alone
                && !above.is_empty()
                && other.meaning == row.meaning
                && other.required == row.required
        });
        match same {
            Some((parents, _)) => parents.push(parent),
            None => all.push((vec![parent], row)),
        }
    }
    let together = |(parents, row): (Vec<String>, Row)| {
        let [first, _, ..] = parents.as_slice() else { return row };
        let key = row.key.replacen(&format!(".{first}."), &format!(".{{{}}}.", parents.join(", ")), 1);
        Row { key, ..row }
    };
    all.into_iter().map(together).collect()
}
