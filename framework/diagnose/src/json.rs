//! Findings as JSON, and as one line.

use bothways_mapping::{Finding, Severity, redact};
use serde_json::{Value as Json, json};

/// The findings as a JSON array, in the order given.
pub fn findings_to_json(findings: &[Finding]) -> Json {
    let one = |f: &Finding| {
        json!({
            "code": f.code.as_str(),
            "severity": f.severity.as_str(),
            "file": &*f.file,
            "line": f.span.line,
            "column": f.span.col,
            "start": f.span.start,
            "end": f.span.end,
            "pointer": f.pointer,
            "message": redact(&f.message),
            "help": f.help.as_deref().map(redact),
        })
    };
    Json::Array(findings.iter().map(one).collect())
}

/// `2 errors, 1 warning`; empty if there is nothing.
pub fn summary(findings: &[Finding]) -> String {
    let count = |severity: Severity| {
        let n = findings.iter().filter(|f| f.severity == severity).count();
        (n > 0).then(|| format!("{n} {}{}", severity.as_str(), if n == 1 { "" } else { "s" }))
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter_map(count);
    counts.collect::<Vec<_>>().join(", ")
}
