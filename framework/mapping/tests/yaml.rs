//! What the reader of YAML makes of text that hardly anybody writes on purpose.

use bothways_mapping::{Code, Finding, yaml};
use std::sync::Arc;

fn findings(text: &str) -> Vec<Finding> {
    let (_, findings) = yaml::parse(&Arc::from("test.yaml"), text);
    for finding in &findings {
        let span = finding.span;
        assert!(span.line >= 1 && span.col >= 1 && text.get(span.start..span.end).is_some(), "{finding:?}");
    }
    findings
}

#[test]
fn a_carriage_return_by_itself_ends_a_line() {
    let found = findings("long & first line: 1\rb: &x 2\rc: !t 3\n");
    let places: Vec<(Code, usize, usize)> = found.iter().map(|f| (f.code, f.span.line, f.span.col)).collect();
    assert_eq!(places, [(Code::Y002, 2, 4), (Code::Y009, 3, 4)]);
    assert!(!findings("x&!yyyyyyyyyyyyyyyyy\r&a\r!t\r\tb: 1").is_empty());
}
