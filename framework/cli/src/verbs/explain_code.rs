//! `explain-code`: the page of a finding's code.

use crate::cli::ExplainCode;
use crate::output::{Ended, Output};
use bothways_diagnose::page;
use bothways_mapping::{Code, nearest};
use serde_json::json;

pub(super) fn run(args: &ExplainCode, out: Output) -> anyhow::Result<Ended> {
    let Some(word) = &args.code else { return list(out) };
    let Some(code) = Code::parse(word) else {
        let near = nearest(word, Code::ALL.iter().map(|code| code.as_str()));
        let hint = near
            .map_or_else(|| "`bothways explain-code` lists them".into(), |c| format!("did you mean {c}?"));
        anyhow::bail!("there is no code `{word}`; {hint}");
    };
    if out.is_json() {
        out.json(&json!({ "code": code.as_str(), "page": page(code) }))?;
    } else {
        out.text(page(code))?;
    }
    Ok(Ended::Well)
}

fn list(out: Output) -> anyhow::Result<Ended> {
    if out.is_json() {
        let all = Code::ALL.iter().map(|code| json!({ "code": code.as_str(), "title": title(*code) }));
        out.json(&all.collect::<Vec<_>>())?;
    } else {
        let rows = Code::ALL.iter().map(|code| [code.as_str().to_owned(), title(*code).to_owned()]);
        out.table(["code", "meaning"], rows.collect())?;
    }
    Ok(Ended::Well)
}

/// The heading of a code's page, without the code.
fn title(code: Code) -> &'static str {
    let heading = page(code).lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
    heading.strip_prefix(code.as_str()).unwrap_or(heading).trim_start_matches([':', ' ', '—', '-'])
}
