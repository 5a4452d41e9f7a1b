//! Texts with holes: `${name}` is a declared variable, filled once when a connection is resolved; `{name}` is a
//! placeholder, filled at each call. There is nothing else to them: no expressions, no escapes.

use serde_json::Value as Json;
use std::fmt;

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `{id}`: the remote record's id.
    Id,
    /// `{id_1}`, `{id_2}`, …: a part of the remote record's id, where several values make it.
    IdPart(u8),
    /// `{key}`: the link's UUID.
    Key,
    /// `{stamp}`: the name of the stamp's field.
    Stamp,
    /// `{value}`: what is looked up.
    Value,
    /// `{since}`: a time, already written as the call wants it.
    Since,
    /// `{offset}`: which record a page begins with.
    Offset,
    /// `{fields}`: the names of the fields in use, a list.
    Fields,
    /// `{event_types}`: the event types in use, a list.
    EventTypes,
    /// `{timestamp}`, in `format` and `signs` of a signature only.
    Timestamp,
    /// `{signature}`, in `format` of a signature only.
    Signature,
    /// `{body}`, in `signs` of a signature only.
    Body,
    /// `{token}`, in the header that carries a session token only.
    Token,
    /// A name from the resource's `params`.
    Param(String),
}

/// The names of an id's parts.
pub(crate) const ID_PARTS: [&str; 9] =
    ["id_1", "id_2", "id_3", "id_4", "id_5", "id_6", "id_7", "id_8", "id_9"];

impl Slot {
    /// The slot called `name`; any name that is not of the closed list is a parameter.
    pub fn named(name: &str) -> Self {
        match name {
            "id" => Slot::Id,
            "key" => Slot::Key,
            "stamp" => Slot::Stamp,
            "value" => Slot::Value,
            "since" => Slot::Since,
            "offset" => Slot::Offset,
            "fields" => Slot::Fields,
            "event_types" => Slot::EventTypes,
            "timestamp" => Slot::Timestamp,
            "signature" => Slot::Signature,
            "body" => Slot::Body,
            "token" => Slot::Token,
            other => match ID_PARTS.iter().zip(1..).find(|(name, _)| **name == other) {
                Some((_, part)) => Slot::IdPart(part),
                None => Slot::Param(other.to_owned()),
            },
        }
    }

    /// The name between the braces.
    pub fn name(&self) -> &str {
        match self {
            Slot::Id => "id",
            Slot::IdPart(part) => ID_PARTS.get(usize::from(*part).saturating_sub(1)).copied().unwrap_or("id"),
            Slot::Key => "key",
            Slot::Stamp => "stamp",
            Slot::Value => "value",
            Slot::Since => "since",
            Slot::Offset => "offset",
            Slot::Fields => "fields",
            Slot::EventTypes => "event_types",
            Slot::Timestamp => "timestamp",
            Slot::Signature => "signature",
            Slot::Body => "body",
            Slot::Token => "token",
            Slot::Param(name) => name,
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// A declared variable. None are left in a resolved connector.
    Var(String),
    /// A placeholder.
    Slot(Slot),
}

/// A text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

impl Template {
    /// Splits `text`. Braces that do not enclose a name are text.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from_brace) = rest.split_at(at);
            let name = from_brace.get(1..).and_then(|inner| inner.split_once('}')).map(|(name, _)| name);
            match name.filter(|n| is_name(n)) {
                Some(name) => {
                    let var = before.ends_with('$');
                    plain.push_str(if var { before.strip_suffix('$').unwrap_or(before) } else { before });
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(if var { Part::Var(name.to_owned()) } else { Part::Slot(Slot::named(name)) });
                    rest = from_brace.get(name.len() + 2..).unwrap_or_default();
                }
                None => {
                    plain.push_str(before);
                    plain.push('{');
                    rest = from_brace.get(1..).unwrap_or_default();
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Self(parts)
    }

    /// Fills every placeholder with what `slot` says and joins the pieces.
    pub fn render<E>(&self, mut slot: impl FnMut(&Slot) -> Result<String, E>) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Var(name) => text.extend(["${", name, "}"]),
                Part::Slot(name) => text.push_str(&slot(name)?),
            }
        }
        Ok(text)
    }

    /// The placeholder, if the template is exactly one and nothing else.
    pub fn only_slot(&self) -> Option<&Slot> {
        match self.0.as_slice() {
            [Part::Slot(slot)] => Some(slot),
            _ => None,
        }
    }

    /// The variable, if the template is exactly one and nothing else.
    pub fn only_var(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Var(name)] => Some(name),
            _ => None,
        }
    }

    /// The text, if there is nothing to fill.
    pub fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The variables used.
    pub fn vars(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|p| if let Part::Var(name) = p { Some(name.as_str()) } else { None })
    }

    /// The placeholders used.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().filter_map(|p| if let Part::Slot(slot) = p { Some(slot) } else { None })
    }

    /// The same template with variables filled; one that `var` does not know stays.
    pub fn with_vars(&self, var: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for part in &self.0 {
            let part = match part {
                Part::Var(name) => var(name).map_or_else(|| part.clone(), Part::Text),
                other => other.clone(),
            };
            match (parts.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
                (_, part) => parts.push(part),
            }
        }
        Self(parts)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Var(name) => write!(f, "${{{name}}}"),
            Part::Slot(slot) => write!(f, "{{{}}}", slot.name()),
        })
    }
}

/// JSON with holes: a text that is exactly one placeholder takes its typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonTemplate {
    /// A text, perhaps with holes.
    Text(Template),
    /// Null, a boolean or a number.
    Fixed(Json),
    /// A list.
    List(Vec<JsonTemplate>),
    /// Members in document order; their names have no holes.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// Splits all texts in `json`.
    pub fn parse(json: &Json) -> Self {
        match json {
            Json::String(text) => JsonTemplate::Text(Template::parse(text)),
            Json::Array(items) => JsonTemplate::List(items.iter().map(Self::parse).collect()),
            Json::Object(members) => {
                JsonTemplate::Object(members.iter().map(|(k, v)| (k.clone(), Self::parse(v))).collect())
            }
            other => JsonTemplate::Fixed(other.clone()),
        }
    }

    /// Fills every placeholder. Inside a longer text, a list is joined by commas and anything else written as JSON writes it.
    pub fn render<E>(&self, slot: &mut dyn FnMut(&Slot) -> Result<Json, E>) -> Result<Json, E> {
        Ok(match self {
            JsonTemplate::Text(template) => match template.only_slot() {
                Some(only) => slot(only)?,
                None => Json::String(template.render(|s| slot(s).map(|json| flat(&json)))?),
            },
            JsonTemplate::Fixed(json) => json.clone(),
            JsonTemplate::List(items) => {
                Json::Array(items.iter().map(|i| i.render(slot)).collect::<Result<_, E>>()?)
            }
            JsonTemplate::Object(members) => {
                let mut object = serde_json::Map::new();
                for (name, value) in members {
                    object.insert(name.clone(), value.render(slot)?);
                }
                Json::Object(object)
            }
        })
    }

    /// All texts in it.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            JsonTemplate::Text(template) => vec![template],
            JsonTemplate::Fixed(_) => Vec::new(),
            JsonTemplate::List(items) => items.iter().flat_map(Self::templates).collect(),
            JsonTemplate::Object(members) => members.iter().flat_map(|(_, v)| v.templates()).collect(),
        }
    }

    /// The same with variables filled.
    pub fn with_vars(&self, var: &dyn Fn(&str) -> Option<String>) -> Self {
        match self {
            JsonTemplate::Text(template) => JsonTemplate::Text(template.with_vars(var)),
            JsonTemplate::Fixed(json) => JsonTemplate::Fixed(json.clone()),
            JsonTemplate::List(items) => JsonTemplate::List(items.iter().map(|i| i.with_vars(var)).collect()),
            JsonTemplate::Object(members) => {
                JsonTemplate::Object(members.iter().map(|(k, v)| (k.clone(), v.with_vars(var))).collect())
            }
        }
    }
}

/// JSON as a piece of text: strings without quotes, lists joined by commas.
pub fn flat(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn splits_vars_slots_and_text() {
        let t = Template::parse("${base}/v1/{id}?x={\"a\":1}&y=${");
        assert_eq!(
            t.0,
            [
                Part::Var("base".into()),
                Part::Text("/v1/".into()),
                Part::Slot(Slot::Id),
                Part::Text("?x={\"a\":1}&y=${".into())
            ]
        );
        assert_eq!(t.to_string(), "${base}/v1/{id}?x={\"a\":1}&y=${");
        let filled = t.with_vars(&|name| (name == "base").then(|| "http://h".to_owned()));
        let text = filled.render(|slot| Ok::<_, ()>(format!("<{}>", slot.name()))).unwrap();
        assert_eq!(text, "http://h/v1/<id>?x={\"a\":1}&y=${");
    }

    #[test]
    fn a_lone_placeholder_keeps_its_type() {
        let body =
            JsonTemplate::parse(&json!({"ids": "{fields}", "q": "a {fields} b", "n": 1, "s": ["{since}"]}));
        let out = body.render(&mut |slot| {
            Ok::<_, ()>(match slot {
                Slot::Fields => json!(["x", "y"]),
                _ => json!(7),
            })
        });
        assert_eq!(out.unwrap(), json!({"ids": ["x", "y"], "q": "a x,y b", "n": 1, "s": [7]}));
    }
}
