//! Form bodies and query strings the way Stripe reads them: `a=1`, `a[b][c]=1`, `a[0]=1`, `a[]=1`.

use crate::errors::ApiError;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Deeper nesting than any real parameter has.
const MAX_DEPTH: usize = 8;
/// More pairs than any real request has.
const MAX_PAIRS: usize = 2_000;

/// One parameter's value. Lists are maps whose keys are positions, since only the receiver knows which one was meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param {
    Text(String),
    Map(Params),
}

/// Named parameters in the order given; a name occurs once, the last text given for it counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Params(pub(crate) Vec<(String, Param)>);

impl Params {
    /// Lower-cases a text. False if that changes nothing.
    pub(crate) fn lower(&mut self, name: &str) -> bool {
        let given = self.0.iter_mut().find(|(given, _)| given == name);
        let Some((_, Param::Text(text))) = given else { return false };
        let lower = text.to_lowercase();
        let changes = lower != *text;
        *text = lower;
        changes
    }

    /// Reads a query string or a form body.
    pub(crate) fn decode(text: &str) -> Result<Self, ApiError> {
        let mut params = Self::default();
        params.add(text)?;
        Ok(params)
    }

    /// Adds the pairs of another query string or form body.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), ApiError> {
        for (count, pair) in text.split('&').filter(|p| !p.is_empty()).enumerate() {
            if count >= MAX_PAIRS {
                return Err(ApiError::invalid("Too many parameters."));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (unescape(name)?, unescape(value)?);
            let segments = segments(&name);
            if segments.len() > MAX_DEPTH {
                return Err(ApiError::invalid("Parameters are nested too deeply.").of(&name));
            }
            self.insert(&segments, value, &name)?;
        }
        Ok(())
    }

    /// Reads a JSON object as if it had been sent as a form: null unsets, as the empty string does.
    pub(crate) fn from_json(json: &Value) -> Self {
        let pair = |name: String, value: &Value| {
            let param = match value {
                Value::Null => Param::Text(String::new()),
                Value::String(text) => Param::Text(text.clone()),
                Value::Array(items) if items.is_empty() => Param::Text(String::new()),
                Value::Array(_) | Value::Object(_) => Param::Map(Self::from_json(value)),
                scalar => Param::Text(scalar.to_string()),
            };
            (name, param)
        };
        Self(match json {
            Value::Object(map) => map.iter().map(|(k, v)| pair(k.clone(), v)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(i, v)| pair(i.to_string(), v)).collect(),
            _ => Vec::new(),
        })
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Param> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, p)| p)
    }

    /// A text in which two requests are equal when their parameters are, in whatever order they were sent.
    pub(crate) fn canonical(&self) -> String {
        let mut leaves = Vec::new();
        self.leaves("", &mut leaves);
        leaves.sort();
        leaves.iter().map(|(path, value)| format!("{path}={}:{value};", value.len())).collect()
    }

    fn leaves<'a>(&'a self, path: &str, into: &mut Vec<(String, &'a str)>) {
        for (name, param) in &self.0 {
            let path = format!("{path}[{}:{name}]", name.len());
            match param {
                Param::Text(text) => into.push((path, text)),
                Param::Map(map) => map.leaves(&path, into),
            }
        }
    }

    fn insert(&mut self, segments: &[&str], value: String, full: &str) -> Result<(), ApiError> {
        let Some((first, rest)) = segments.split_first() else { return Ok(()) };
        let position = self.0.len().to_string();
        let name = if first.is_empty() { position.as_str() } else { first };
        let at = match self.0.iter().position(|(n, _)| n == name) {
            Some(at) => at,
            None => {
                let empty =
                    if rest.is_empty() { Param::Text(String::new()) } else { Param::Map(Self::default()) };
                self.0.push((name.to_owned(), empty));
                self.0.len() - 1
            }
        };
        match (&mut self.0[at].1, rest.is_empty()) {
            (Param::Text(text), true) => {
                *text = value;
                Ok(())
            }
            (Param::Map(map), false) => map.insert(rest, value, full),
            _ => {
                Err(ApiError::invalid(format!("Invalid parameters: {full} is given in two shapes.")).of(full))
            }
        }
    }
}

/// `a[b][]` as `a`, `b`, and the empty string; a name with unbalanced brackets is one segment.
fn segments(name: &str) -> Vec<&str> {
    let Some((head, rest)) = name.split_once('[') else { return vec![name] };
    let Some(inner) = rest.strip_suffix(']') else { return vec![name] };
    if head.is_empty() {
        return vec![name];
    }
    std::iter::once(head).chain(inner.split("][")).collect()
}

fn unescape(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|t| t.into_owned())
        .map_err(|_| ApiError::invalid("Invalid UTF-8 in the parameters."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode(text: &str) -> Params {
        Params::decode(text).unwrap()
    }

    #[test]
    fn nested_and_listed_names_are_read() {
        let expected = Params::from_json(&json!({
            "address": {"city": "Köln am Rhein", "geo": {"x": 1}},
            "types": ["a", "b"],
            "email": "a+b@x.io",
        }));
        assert_eq!(
            decode(
                "address[city]=K%C3%B6ln+am%20Rhein&address[geo][x]=1&types[]=a&types[]=b&email=a%2Bb%40x.io"
            ),
            expected
        );
        assert_eq!(decode("types[0]=a&types[1]=b"), decode("types[]=a&types[]=b"));
        assert_eq!(decode("metadata%5Bk%5D=v"), decode("metadata[k]=v"));
    }

    #[test]
    fn canonical_ignores_order_but_nothing_else() {
        let base = decode("a=1&b[c]=2&b[d]=3").canonical();
        assert_eq!(decode("b[d]=3&b[c]=2&a=1").canonical(), base);
        for other in ["a=1&b[c]=2", "a=1&b[c]=2&b[d]=", "a=1&b[c]=3&b[d]=2", "a=1;b=2"] {
            assert_ne!(decode(other).canonical(), base, "{other}");
        }
    }

    #[test]
    fn bad_input_is_refused_not_guessed() {
        assert!(Params::decode("a=1&a[b]=2").is_err());
        assert!(Params::decode("a=%FF").is_err());
        assert!(Params::decode(&format!("a{}=1", "[b]".repeat(20))).is_err());
        assert_eq!(decode("a[b=1"), Params(vec![("a[b".into(), Param::Text("1".into()))]));
        assert_eq!(decode("&&a&"), Params(vec![("a".into(), Param::Text(String::new()))]));
    }
}
