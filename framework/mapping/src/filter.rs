//! Filters on one record, such as `@.deleted == true`, evaluated over the parsed expression, so that a record need not be
//! copied to be asked; only function calls go through the query engine. Nested filters are refused: the engine answers them
//! wrongly.

use crate::path::{BadPath, check_depth, leading, position, unquoted};
use bothways_model::{Segment as Step, SingularPath};
use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter as Expr, FilterAtom, FnArg, JpQuery, Literal, Segment, Selector,
    SingularQuery, SingularQuerySegment, Test, TestFunction,
};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value as Json;
use std::fmt;

/// A compiled filter on `@`.
#[derive(Clone)]
pub struct Filter {
    text: String,
    expr: Expr,
    /// The whole as a query over a one-element list, where functions are called.
    engine: Option<JpQuery>,
}

impl Filter {
    /// Compiles `text`, such as `@.deleted == true`.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        check_depth(text)?;
        let query = parse_json_path(&format!("$[?{text}]")).map_err(|_| {
            let single = text.contains(" = ") && !text.contains("==");
            BadPath::new("not a filter").help(if single { "compare with `==`" } else { FILTER_HELP })
        })?;
        let [Segment::Selector(Selector::Filter(expr))] = query.segments.as_slice() else {
            return Err(BadPath::new("not one filter").help(FILTER_HELP));
        };
        let expr = expr.clone();
        if filter_has(&expr, &is_nested) {
            return Err(BadPath::new("a filter inside a filter is not supported"));
        }
        if filter_has(&expr, &uses_root) {
            return Err(BadPath::new("a filter is about one record, `@`; `$` means nothing here")
                .help("write `@` instead of `$`"));
        }
        let engine = filter_has(&expr, &calls_function).then_some(query);
        Ok(Self { text: text.to_owned(), expr, engine })
    }

    /// The filter as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where in a record it looks: each path that it names, as far as names and non-negative indexes go.
    pub fn paths(&self) -> Vec<SingularPath> {
        let mut paths = Vec::new();
        expr_paths(&self.expr, &mut paths);
        paths
    }

    /// The path of a comparison that `record` does not show, by `shows`, where that leaves open whether the filter holds; whether
    /// something exists is always known. Function calls among the rest of a filter are not evaluated one by one: any path missing
    /// leaves those filters open.
    pub fn open_at(&self, record: &Json, shows: &dyn Fn(&SingularPath) -> bool) -> Option<SingularPath> {
        if self.engine.is_some() {
            let mut compared = Vec::new();
            compared_paths(&self.expr, &mut compared);
            return compared.into_iter().find(|path| !shows(path));
        }
        known(&self.expr, record, shows).err()
    }

    /// Whether it holds for `record`.
    pub fn matches(&self, record: &Json) -> bool {
        match &self.engine {
            None => holds(&self.expr, record),
            Some(query) => {
                let list = Json::Array(vec![record.clone()]);
                js_path_process(query, &list).is_ok_and(|found| !found.is_empty())
            }
        }
    }
}

const FILTER_HELP: &str =
    "a filter compares paths from `@`: `@.deleted == true`, `@.kind == 'a' && !@.hidden`";

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.text)
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn holds(expr: &Expr, at: &Json) -> bool {
    match expr {
        Expr::Or(any) => any.iter().any(|e| holds(e, at)),
        Expr::And(all) => all.iter().all(|e| holds(e, at)),
        Expr::Atom(FilterAtom::Filter { expr, not }) => holds(expr, at) != *not,
        Expr::Atom(FilterAtom::Test { expr, not }) => exists(expr, at) != *not,
        Expr::Atom(FilterAtom::Comparison(comparison)) => compare(comparison, at),
    }
}

/// Whether `expr` holds, in three values: the error is the path that leaves it open.
fn known(expr: &Expr, at: &Json, shows: &dyn Fn(&SingularPath) -> bool) -> Result<bool, SingularPath> {
    let any = |parts: &[Expr], wanted: bool| {
        let mut open = None;
        for part in parts {
            match known(part, at, shows) {
                Ok(is) if is == wanted => return Ok(wanted),
                Ok(_) => {}
                Err(path) => open = open.or(Some(path)),
            }
        }
        open.map_or(Ok(!wanted), Err)
    };
    match expr {
        Expr::Or(parts) => any(parts, true),
        Expr::And(parts) => any(parts, false),
        Expr::Atom(FilterAtom::Filter { expr, not }) => Ok(known(expr, at, shows)? != *not),
        Expr::Atom(FilterAtom::Test { expr, not }) => Ok(exists(expr, at) != *not),
        Expr::Atom(FilterAtom::Comparison(comparison)) => {
            let (left, right) = comparison.vals();
            let mut paths = [comparable_paths(left), comparable_paths(right)].into_iter().flatten();
            paths.find(|path| !shows(path)).map_or_else(|| Ok(compare(comparison, at)), Err)
        }
    }
}

/// The paths of comparisons and function calls, not of what is only asked for its existence.
fn compared_paths(expr: &Expr, paths: &mut Vec<SingularPath>) {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.iter().for_each(|part| compared_paths(part, paths)),
        Expr::Atom(FilterAtom::Filter { expr, .. }) => compared_paths(expr, paths),
        Expr::Atom(FilterAtom::Test { expr, .. }) => {
            if let Test::Function(function) = &**expr {
                paths.extend(function_paths(function));
            }
        }
        Expr::Atom(comparison @ FilterAtom::Comparison(_)) => {
            expr_paths(&Expr::Atom(comparison.clone()), paths);
        }
    }
}

fn exists(test: &Test, at: &Json) -> bool {
    match test {
        Test::RelQuery(segments) => {
            js_path_process(&JpQuery::new(segments.clone()), at).is_ok_and(|f| !f.is_empty())
        }
        // Both are kept out by `Filter::parse`, which sends functions to the engine and refuses `$`.
        Test::AbsQuery(_) | Test::Function(_) => false,
    }
}

fn compare(comparison: &Comparison, at: &Json) -> bool {
    let (left, right) = comparison.vals();
    let (left, right) = (operand(left, at), operand(right, at));
    let (left, right) = (left.as_deref(), right.as_deref());
    match comparison {
        Comparison::Eq(..) => equal(left, right),
        Comparison::Ne(..) => !equal(left, right),
        Comparison::Lt(..) => less(left, right),
        Comparison::Gt(..) => less(right, left),
        Comparison::Lte(..) => less(left, right) || equal(left, right),
        Comparison::Gte(..) => less(right, left) || equal(left, right),
    }
}

fn operand<'a>(comparable: &Comparable, at: &'a Json) -> Option<std::borrow::Cow<'a, Json>> {
    use std::borrow::Cow;
    match comparable {
        Comparable::Literal(literal) => Some(Cow::Owned(match literal {
            Literal::Int(n) => Json::from(*n),
            Literal::Float(n) => Json::from(*n),
            Literal::String(text) => Json::String(text.clone()),
            Literal::Bool(b) => Json::Bool(*b),
            Literal::Null => Json::Null,
        })),
        Comparable::SingularQuery(SingularQuery::Current(steps)) => {
            let node = steps.iter().try_fold(at, |node, step| match step {
                SingularQuerySegment::Name(name) => node.as_object()?.get(&unquoted(name)),
                SingularQuerySegment::Index(index) => {
                    let array = node.as_array()?;
                    array.get(position(*index, array.len())?)
                }
            });
            node.map(Cow::Borrowed)
        }
        Comparable::SingularQuery(SingularQuery::Root(_)) | Comparable::Function(_) => None,
    }
}

/// Equality of RFC 9535: two absent nodes are equal, numbers by value.
fn equal(left: Option<&Json>, right: Option<&Json>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(Json::Number(a)), Some(Json::Number(b))) => a == b || a.as_f64() == b.as_f64(),
        (Some(Json::Array(a)), Some(Json::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(Some(a), Some(b)))
        }
        (Some(Json::Object(a)), Some(Json::Object(b))) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(Some(v), Some(w))))
        }
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

fn less(left: Option<&Json>, right: Option<&Json>) -> bool {
    match (left, right) {
        (Some(Json::Number(a)), Some(Json::Number(b))) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a < b,
            _ => a.as_f64() < b.as_f64(),
        },
        (Some(Json::String(a)), Some(Json::String(b))) => a < b,
        _ => false,
    }
}

/// Whether anything in `expr` is as `found` says.
fn filter_has(expr: &Expr, found: &dyn Fn(&FilterAtom) -> bool) -> bool {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.iter().any(|e| filter_has(e, found)),
        Expr::Atom(atom) => {
            found(atom) || matches!(atom, FilterAtom::Filter { expr, .. } if filter_has(expr, found))
        }
    }
}

fn is_nested(atom: &FilterAtom) -> bool {
    match atom {
        FilterAtom::Test { expr, .. } => test_nests(expr),
        FilterAtom::Comparison(c) => [c.vals().0, c.vals().1].iter().any(|side| match side {
            Comparable::Function(function) => function_nests(function),
            _ => false,
        }),
        FilterAtom::Filter { .. } => false,
    }
}

fn test_nests(test: &Test) -> bool {
    match test {
        Test::RelQuery(segments) => segments.iter().any(has_filter),
        Test::AbsQuery(query) => query.segments.iter().any(has_filter),
        Test::Function(function) => function_nests(function),
    }
}

fn function_args(function: &TestFunction) -> Vec<&FnArg> {
    match function {
        TestFunction::Custom(_, args) => args.iter().collect(),
        TestFunction::Length(arg) => vec![arg],
        TestFunction::Value(arg) | TestFunction::Count(arg) => vec![arg],
        TestFunction::Search(a, b) | TestFunction::Match(a, b) => vec![a, b],
    }
}

fn function_nests(function: &TestFunction) -> bool {
    function_args(function).iter().any(|arg| match arg {
        FnArg::Literal(_) => false,
        FnArg::Test(test) => test_nests(test),
        FnArg::Filter(_) => true,
    })
}

fn expr_paths(expr: &Expr, paths: &mut Vec<SingularPath>) {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.iter().for_each(|part| expr_paths(part, paths)),
        Expr::Atom(FilterAtom::Filter { expr, .. }) => expr_paths(expr, paths),
        Expr::Atom(FilterAtom::Test { expr, .. }) => paths.extend(test_paths(expr)),
        Expr::Atom(FilterAtom::Comparison(comparison)) => {
            let (left, right) = comparison.vals();
            paths.extend(comparable_paths(left));
            paths.extend(comparable_paths(right));
        }
    }
}

fn test_paths(test: &Test) -> Vec<SingularPath> {
    match test {
        Test::RelQuery(segments) => vec![leading(segments)],
        Test::AbsQuery(_) => Vec::new(),
        Test::Function(function) => function_paths(function),
    }
}

fn function_paths(function: &TestFunction) -> Vec<SingularPath> {
    let tests = function_args(function).into_iter().filter_map(|arg| match arg {
        FnArg::Test(test) => Some(test),
        FnArg::Literal(_) | FnArg::Filter(_) => None,
    });
    tests.flat_map(|test| test_paths(test)).collect()
}

fn comparable_paths(comparable: &Comparable) -> Vec<SingularPath> {
    match comparable {
        Comparable::SingularQuery(SingularQuery::Current(steps)) => {
            let plain = steps.iter().map_while(|step| match step {
                SingularQuerySegment::Name(name) => Some(Step::Name(unquoted(name))),
                SingularQuerySegment::Index(index) => usize::try_from(*index).ok().map(Step::Index),
            });
            vec![SingularPath(plain.collect())]
        }
        Comparable::Function(function) => function_paths(function),
        Comparable::SingularQuery(SingularQuery::Root(_)) | Comparable::Literal(_) => Vec::new(),
    }
}

fn has_filter(segment: &Segment) -> bool {
    selectors(segment).iter().any(|s| matches!(s, Selector::Filter(_)))
}

pub(crate) fn has_nested_filter(segment: &Segment) -> bool {
    selectors(segment).iter().any(|s| matches!(s, Selector::Filter(expr) if filter_has(expr, &is_nested)))
}

fn selectors(segment: &Segment) -> Vec<&Selector> {
    match segment {
        Segment::Descendant(inner) => selectors(inner),
        Segment::Selector(selector) => vec![selector],
        Segment::Selectors(selectors) => selectors.iter().collect(),
    }
}

fn uses_root(atom: &FilterAtom) -> bool {
    let in_function = |function: &TestFunction| {
        function_args(function)
            .iter()
            .any(|arg| matches!(arg, FnArg::Test(t) if matches!(**t, Test::AbsQuery(_))))
    };
    match atom {
        FilterAtom::Test { expr, .. } => match &**expr {
            Test::AbsQuery(_) => true,
            Test::Function(function) => in_function(function),
            Test::RelQuery(_) => false,
        },
        FilterAtom::Comparison(c) => [c.vals().0, c.vals().1].iter().any(|side| match side {
            Comparable::SingularQuery(SingularQuery::Root(_)) => true,
            Comparable::Function(function) => in_function(function),
            _ => false,
        }),
        FilterAtom::Filter { .. } => false,
    }
}

fn calls_function(atom: &FilterAtom) -> bool {
    match atom {
        FilterAtom::Test { expr, .. } => matches!(**expr, Test::Function(_)),
        FilterAtom::Comparison(c) => {
            [c.vals().0, c.vals().1].iter().any(|s| matches!(s, Comparable::Function(_)))
        }
        FilterAtom::Filter { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_agree_with_the_query_engine() {
        let filters = [
            "@.deleted == true",
            "@.n > 1",
            "@.n >= 2",
            "@.n < 2.5",
            "@.missing == null",
            "@.missing != null",
            "@.a.b == 'x' && !@.hidden",
            "!(@.n == 2) || @['a']['b'] == \"x\"",
            "@.list",
            "@.list[0] == 1",
            "@.missing == @.absent",
            "@.n == 2.0",
            "@.a == @.a",
            "@.s < 'b'",
            "@.list[-1] == 3",
            "@.x.y",
        ];
        let records = [
            json!({"deleted": true, "n": 2, "a": {"b": "x"}, "list": [1, 3], "s": "a"}),
            json!({"deleted": "true", "n": 1, "a": {"b": "y"}, "hidden": null, "missing": null, "s": 1}),
            json!({"n": 2.5, "a": [], "list": []}),
            json!([]),
            json!("x"),
        ];
        for text in filters {
            let filter = Filter::parse(text).unwrap();
            assert!(filter.engine.is_none(), "{text}");
            let query = parse_json_path(&format!("$[?{text}]")).unwrap();
            for record in &records {
                let list = json!([record]);
                let engine = !js_path_process(&query, &list).unwrap().is_empty();
                assert_eq!(filter.matches(record), engine, "{text} on {record}");
            }
        }
    }

    #[test]
    fn a_filter_says_where_it_looks() {
        for (filter, paths) in [
            ("@.a.b == 'x' && !(@.n > @['m o'])", vec!["$.a.b", "$.n", "$['m o']"]),
            ("@.list[0].id || @.tags[*] || @.list[-1].id == 1", vec!["$.list[0].id", "$.tags", "$.list"]),
            ("length(@.name) > 2 && search(@.code, 'x')", vec!["$.name", "$.code"]),
            ("@", vec!["$"]),
        ] {
            let found: Vec<String> =
                Filter::parse(filter).unwrap().paths().iter().map(ToString::to_string).collect();
            assert_eq!(found, paths, "{filter}");
        }
    }

    #[test]
    fn what_is_not_shown_leaves_a_comparison_open_where_it_decides() {
        let record = json!({"kind": "a", "owner": null});
        let shows = |path: &SingularPath| path.get(&record).is_some();
        for (filter, open) in [
            ("@.kind == 'a'", None),
            ("@.stage == 'x'", Some("$.stage")),
            ("@.stage != 'x'", Some("$.stage")),
            ("@.kind == 'b' && @.stage == 'x'", None),
            ("@.stage == 'x' && @.kind == 'a'", Some("$.stage")),
            ("@.kind == 'a' || @.stage == 'x'", None),
            ("@.kind == 'b' || !(@.stage == 'x')", Some("$.stage")),
            ("!@.hidden", None),
            ("@.hidden", None),
            ("length(@.kind) == 1 && !@.hidden", None),
            ("length(@.stage) > 2", Some("$.stage")),
            ("match(@.stage, 'x')", Some("$.stage")),
        ] {
            let found = Filter::parse(filter).unwrap().open_at(&record, &shows);
            assert_eq!(found.map(|path| path.to_string()).as_deref(), open, "{filter}");
        }
    }

    #[test]
    fn functions_go_through_the_engine_and_nesting_is_refused() {
        let filter = Filter::parse("length(@.name) > 2 && @.n == 1").unwrap();
        assert!(filter.matches(&json!({"name": "abc", "n": 1})));
        assert!(!filter.matches(&json!({"name": "ab", "n": 1})));
        assert!(Filter::parse("@.a[?@.b == 1]").unwrap_err().message.contains("inside"));
        assert!(Filter::parse("$.a == 1").unwrap_err().help.unwrap().contains('@'));
        assert!(Filter::parse("deleted == true").is_err());
        assert!(Filter::parse("@.a == 1], $[?@.b").is_err());
    }
}
