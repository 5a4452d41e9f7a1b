//! JSONPath queries, compiled once at load. Singular paths become plain steps, which our own walker follows; the query engine
//! is left for what selects several nodes (`items`, `each`).

use crate::filter::has_nested_filter;
use bothways_model::{Segment as Step, SingularPath};
use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, JpQuery, Literal, Segment, Selector, SingularQuery,
    SingularQuerySegment,
};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value as Json;
use std::fmt;

/// Why a text is not a path or filter that fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadPath {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl BadPath {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A compiled JSONPath.
#[derive(Clone)]
pub struct Query {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Names and non-negative indexes.
    Singular(SingularPath),
    /// Names and indexes, some of which count from the end.
    FromEnd(Vec<EndStep>),
    /// Anything else, with the path that all its nodes are below.
    Many(JpQuery, SingularPath),
}

#[derive(Clone)]
enum EndStep {
    Name(String),
    Index(i64),
}

impl Query {
    /// Compiles `text`.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let query = parse(text)?;
        if query.segments.iter().any(has_nested_filter) {
            return Err(BadPath::new("a filter inside a filter is not supported"));
        }
        let kind = match singular_steps(&query.segments) {
            Some(steps) => match plain_steps(&steps) {
                Some(path) => Kind::Singular(path),
                None => Kind::FromEnd(steps),
            },
            None => {
                let below = leading(&query.segments);
                Kind::Many(query, below)
            }
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// Compiles the path of one field. Unlike elsewhere, a filter that compares one member with a text means one element of a list: the
    /// first of that kind, which can be written as well.
    pub fn parse_field(text: &str) -> Result<Self, BadPath> {
        let query = parse(text)?;
        match keyed_steps(&query.segments) {
            Some(path) => Ok(Self { text: text.to_owned(), kind: Kind::Singular(path) }),
            None => Self::parse(text),
        }
    }

    /// The query that selects the root.
    pub fn root() -> Self {
        Self::of(SingularPath::default())
    }

    /// The query that selects what `path` leads to.
    pub fn of(path: SingularPath) -> Self {
        Self { text: path.to_string(), kind: Kind::Singular(path) }
    }

    /// The query as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path, if this query is one of names and non-negative indexes.
    pub fn singular(&self) -> Option<&SingularPath> {
        match &self.kind {
            Kind::Singular(path) => Some(path),
            _ => None,
        }
    }

    /// True if this is `$`.
    pub fn is_root(&self) -> bool {
        self.singular().is_some_and(|p| p.0.is_empty())
    }

    /// True if more than one node may be selected.
    pub fn is_plural(&self) -> bool {
        matches!(self.kind, Kind::Many(..))
    }

    /// The path that all nodes selected are at or below: the query's leading names and indexes.
    pub fn anchor(&self) -> SingularPath {
        match &self.kind {
            Kind::Singular(path) => path.clone(),
            Kind::Many(_, below) => below.clone(),
            Kind::FromEnd(steps) => {
                let plain = steps.iter().map_while(|s| plain_steps(std::slice::from_ref(s)));
                SingularPath(plain.flat_map(|p| p.0).collect())
            }
        }
    }

    /// All nodes selected, in document order.
    pub fn select<'a>(&self, root: &'a Json) -> Vec<&'a Json> {
        match &self.kind {
            Kind::Many(query, _) => match js_path_process(query, root) {
                Ok(found) => found.into_iter().map(|node| node.val()).collect(),
                Err(_) => Vec::new(),
            },
            _ => self.first(root).into_iter().collect(),
        }
    }

    /// The first node selected.
    pub fn first<'a>(&self, root: &'a Json) -> Option<&'a Json> {
        match &self.kind {
            Kind::Singular(path) => path.get(root),
            Kind::FromEnd(steps) => steps.iter().try_fold(root, |node, step| match step {
                EndStep::Name(name) => node.as_object()?.get(name),
                EndStep::Index(index) => {
                    let array = node.as_array()?;
                    array.get(position(*index, array.len())?)
                }
            }),
            Kind::Many(..) => self.select(root).into_iter().next(),
        }
    }

    /// The records of an answer: a list's elements where one list is selected, else every node selected.
    pub fn items<'a>(&self, root: &'a Json) -> Vec<&'a Json> {
        match self.select(root).as_slice() {
            [Json::Array(items)] => items.iter().collect(),
            nodes => nodes.to_vec(),
        }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({})", self.text)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Compiles a path of names and non-negative indexes.
pub fn parse_singular(text: &str) -> Result<SingularPath, BadPath> {
    Query::parse(text)?.singular().cloned().ok_or_else(|| {
        BadPath::new("this path must lead to exactly one place")
            .help("use names and non-negative indexes only, such as `$.address.city` or `$.lines[0]`")
    })
}

fn parse(text: &str) -> Result<JpQuery, BadPath> {
    if !text.starts_with('$') {
        let bad = BadPath::new("a JSONPath starts with `$`");
        return Err(if text.is_empty() {
            bad
        } else {
            bad.help(format!("write `$.{}`", text.trim_start_matches('.')))
        });
    }
    check_depth(text)?;
    parse_json_path(text)
        .map_err(|error| BadPath::new(format!("not a JSONPath: {}", reason(&error.to_string()))))
}

/// Brackets of each kind may be nested so deep. The parser takes three times as long for each function within a function, and a frame of
/// the stack for each bracket.
const DEPTH: usize = 6;

/// Refuses what the parser would take minutes for, before it is asked.
pub(crate) fn check_depth(text: &str) -> Result<(), BadPath> {
    let (mut round, mut square) = (0usize, 0usize);
    let (mut quote, mut escaped) = (None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => round += 1,
            (None, ')') => round = round.saturating_sub(1),
            (None, '[') => square += 1,
            (None, ']') => square = square.saturating_sub(1),
            (None, _) => {}
        }
        if round > DEPTH || square > DEPTH {
            return Err(BadPath::new(format!("brackets are nested more than {DEPTH} deep"))
                .help("take some away: `&&` and `||` need none around each side"));
        }
    }
    Ok(())
}

/// The telling line of the parser's several.
fn reason(error: &str) -> String {
    let line = error.lines().rev().find_map(|l| l.trim().strip_prefix("= "));
    let line = line.or_else(|| error.lines().next()).unwrap_or("unreadable");
    line.trim().replace("selector", "a name, an index, `*` or a filter here")
}

fn singular_steps(segments: &[Segment]) -> Option<Vec<EndStep>> {
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Selector(Selector::Name(name)) => Some(EndStep::Name(unquoted(name))),
            Segment::Selector(Selector::Index(index)) => Some(EndStep::Index(*index)),
            _ => None,
        })
        .collect()
}

/// The names and non-negative indexes that a query begins with: whatever it selects is there or below.
pub(crate) fn leading(segments: &[Segment]) -> SingularPath {
    let plain = |segment| plain_steps(&singular_steps(std::slice::from_ref(segment))?);
    SingularPath(segments.iter().map_while(plain).flat_map(|path| path.0).collect())
}

/// Names, non-negative indexes and elements chosen by a text in them.
fn keyed_steps(segments: &[Segment]) -> Option<SingularPath> {
    let step = |segment: &Segment| match segment {
        Segment::Selector(Selector::Filter(Filter::Atom(FilterAtom::Comparison(comparison)))) => {
            let Comparison::Eq(left, right) = comparison.as_ref() else { return None };
            let (steps, is) = match (left, right) {
                (
                    Comparable::SingularQuery(SingularQuery::Current(steps)),
                    Comparable::Literal(Literal::String(is)),
                )
                | (
                    Comparable::Literal(Literal::String(is)),
                    Comparable::SingularQuery(SingularQuery::Current(steps)),
                ) => (steps, is),
                _ => return None,
            };
            match steps.as_slice() {
                [SingularQuerySegment::Name(name)] => {
                    Some(Step::Element { name: unquoted(name), is: is.clone() })
                }
                _ => None,
            }
        }
        other => plain_steps(&singular_steps(std::slice::from_ref(other))?)?.0.pop(),
    };
    segments.iter().map(step).collect::<Option<Vec<_>>>().map(SingularPath)
}

fn plain_steps(steps: &[EndStep]) -> Option<SingularPath> {
    let steps = steps.iter().map(|step| match step {
        EndStep::Name(name) => Some(Step::Name(name.clone())),
        EndStep::Index(index) => usize::try_from(*index).ok().map(Step::Index),
    });
    steps.collect::<Option<_>>().map(SingularPath)
}

/// The parser keeps the quotes of `['a b']`, and the escapes between them.
pub(crate) fn unquoted(name: &str) -> String {
    let inner = ['\'', '"'].iter().find_map(|q| name.strip_prefix(*q)?.strip_suffix(*q));
    let Some(inner) = inner else { return name.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(match chars.next() {
                Some('u') => {
                    // Beyond the first 65,536 characters, one is written as two halves.
                    let unit = hex_unit(&mut chars);
                    let half = unit.is_some_and(|u| (0xD800..0xDC00).contains(&u));
                    let mut ahead = chars.clone();
                    let other = (half && ahead.next() == Some('\\') && ahead.next() == Some('u'))
                        .then(|| hex_unit(&mut ahead))
                        .flatten();
                    if other.is_some() {
                        chars = ahead;
                    }
                    let units = unit.into_iter().chain(other);
                    char::decode_utf16(units)
                        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .for_each(|c| text.push(c));
                    continue;
                }
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            }),
            c => text.push(c),
        }
    }
    text
}

/// The four hexadecimal digits of `\uXXXX`.
fn hex_unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let digits: String = chars.by_ref().take(4).collect();
    u16::from_str_radix(&digits, 16).ok()
}

pub(crate) fn position(index: i64, len: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;
    use serde_json::json;

    #[test]
    fn singular_paths_are_plain_steps() {
        let q = Query::parse("$.metadata['app.id'][0]").unwrap();
        assert_eq!(q.singular().unwrap().to_string(), "$.metadata['app.id'][0]");
        assert!(Query::parse("$['a','b']").unwrap().is_plural());
        assert!(parse_singular("$.a[*]").is_err());
        assert!(parse_singular("$.a[-1]").is_err());
        assert_eq!(
            Query::parse("$.data[-1].id").unwrap().first(&json!({"data": [{"id": 1}, {"id": 2}]})),
            Some(&json!(2))
        );
        assert_eq!(Query::parse("$.data[-3].id").unwrap().first(&json!({"data": [{"id": 1}]})), None);
        assert_eq!(Query::parse("$[\"it's\"]").unwrap().first(&json!({"it's": 4})), Some(&json!(4)));
    }

    #[test]
    fn a_field_may_be_in_an_element_chosen_by_a_text() {
        for text in ["$.phones[?@.type=='work'].number", "$.phones[?'work' == @['type']]['number']"] {
            let path = Query::parse_field(text).unwrap().singular().unwrap().clone();
            assert_eq!(path.to_string(), "$.phones[?@['type'] == 'work'].number");
            assert_eq!(Query::parse_field(&path.to_string()).unwrap().singular(), Some(&path));
            assert!(Query::parse(text).unwrap().singular().is_none(), "elsewhere it selects all of them");
        }
        for text in [
            "$.phones[?@.type!='work']",
            "$.a[?@.b.c=='x']",
            "$.a[?@.n==1]",
            "$.a[?@.b=='x' && @.c=='y']",
            "$.a[-1]",
        ] {
            assert!(Query::parse_field(text).unwrap().singular().is_none(), "{text}");
        }
    }

    #[test]
    fn brackets_beyond_a_depth_are_refused_unless_they_are_quoted() {
        let nested = |open: &str, n: usize| format!("$[?{}@.a == 1", open.repeat(n));
        for text in [
            nested("length(", 40),
            nested("search((value(", 20),
            nested("(", 40),
            "$".to_owned() + &"[".repeat(9_000),
        ] {
            let error = Query::parse(&text).unwrap_err();
            assert!(error.message.contains("nested more than 6 deep"), "{error}");
        }
        assert!(Filter::parse(&format!("{}@.a{}", "(".repeat(7), ")".repeat(7))).is_err());
        assert!(Filter::parse(&format!("{}@.a == 1{}", "(".repeat(6), ")".repeat(6))).is_ok());
        // One after the other they are not nested.
        assert!(Filter::parse(&["(@.a == 1)"; 20].join(" && ")).is_ok());
        for quoted in [r#"$['((((((((']"#, r#"$["[[[[[[[\"[[["]"#, r#"$['\'((((((((']"#] {
            assert!(Query::parse(quoted).is_ok(), "{quoted}");
        }
    }

    #[test]
    fn escapes_in_names_are_what_json_means_by_them() {
        for (text, name) in [
            (r#"$["\u0041\u00e9"]"#, "Aé"),
            (r#"$["\ud83d\ude00x"]"#, "😀x"),
            (r#"$["\b\f\n\r\t\/\\"]"#, "\u{8}\u{c}\n\r\t/\\"),
            (r#"$['\'"']"#, "'\""),
        ] {
            let path = parse_singular(text).unwrap();
            assert_eq!(path.0, [Step::Name(name.into())], "{text}");
            assert_eq!(parse_singular(&path.to_string()).unwrap(), path, "printed as {path}");
        }
    }

    #[test]
    fn items_are_a_lists_elements_or_the_nodes() {
        let answer = json!({"data": [1, 2], "one": {"x": 1}});
        assert_eq!(Query::parse("$.data").unwrap().items(&answer), [&json!(1), &json!(2)]);
        assert_eq!(Query::parse("$.data[*]").unwrap().items(&answer), [&json!(1), &json!(2)]);
        assert_eq!(Query::parse("$.one").unwrap().items(&answer), [&json!({"x": 1})]);
        assert!(Query::parse("$.none").unwrap().items(&answer).is_empty());
    }

    #[test]
    fn errors_say_what_to_write() {
        assert!(Query::parse("$.a[?@.b[?@.c]]").unwrap_err().message.contains("inside"));
        assert_eq!(Query::parse("name").unwrap_err().help.unwrap(), "write `$.name`");
        assert!(Query::parse("$.da[ta").unwrap_err().message.starts_with("not a JSONPath"));
    }
}
