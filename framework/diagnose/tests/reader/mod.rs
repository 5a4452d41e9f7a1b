//! mappings/README.md stays true: its documents validate, its tables are what the schemas and the pages of codes say.

mod tables;

use bothways_diagnose::{Style, check, page, render};
use bothways_mapping::{Code, Finding, Severity, SourceFile};
use std::path::{Path, PathBuf};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappings/README.md")
}

fn text() -> String {
    std::fs::read_to_string(file()).unwrap()
}

/// What stands in the documents' place where a block shows only a part of a mapping.
const HEAD: &str = "mapping: stripe-customers\nlocal: customers\nremote: stripe/customers\n";
const FIELDS: &str = "fields: { email: $.email, name: $.name }\n";

/// A block as files: a part of a mapping becomes a whole one, and a mapping alone gets the catalog that the page begins with.
fn files(block: &str, catalog: &str) -> Vec<SourceFile> {
    let begins = |key: &str| block.lines().any(|line| line.starts_with(key));
    let whole = ["mapping:", "catalog:", "connector:"].iter().any(|kind| begins(kind));
    let text = match (whole, begins("fields:")) {
        (true, _) => block.to_owned(),
        (false, true) => format!("{HEAD}{block}"),
        (false, false) => format!("{HEAD}{FIELDS}{block}"),
    };
    let mut files = vec![SourceFile::new("README.md", text)];
    if !begins("catalog:") && !begins("connector:") {
        files.push(SourceFile::new("customers.yaml", catalog));
    }
    files
}

#[test]
fn every_document_of_the_page_validates() {
    let stripe =
        SourceFile::new("connector.yaml", include_str!("../../../../connectors/stripe/connector.yaml"));
    let page = text();
    let blocks: Vec<&str> =
        page.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    let catalog = blocks.iter().find(|block| block.starts_with("catalog: customers")).copied().unwrap();
    assert!(blocks.len() > 10, "{}", blocks.len());
    for block in blocks {
        let files = files(block, catalog);
        let checked = check(&files, std::slice::from_ref(&stripe));
        let bad: Vec<Finding> =
            checked.findings.iter().filter(|f| f.severity != Severity::Note).cloned().collect();
        assert!(bad.is_empty(), "{block}\n\n{}", render(&bad, &|name| checked.source(name), Style::Plain));
    }
}

/// The page with what is generated in it: between `<!-- NAME -->` and `<!-- end of NAME -->`.
fn renewed(page: &str) -> String {
    let mut page = page.to_owned();
    let mut put = |name: &str, table: &str| {
        let (begin, end) = (format!("<!-- {name}, generated -->\n"), format!("<!-- end of {name} -->"));
        let (before, rest) = page.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        page = format!("{before}{begin}\n{table}\n{end}{after}");
    };
    for kind in ["mapping", "catalog", "connector"] {
        put(&format!("keys of a {kind}"), &tables::keys(kind));
    }
    put("codes", &codes());
    page
}

/// Every code with the first line of its page.
fn codes() -> String {
    let mut table = String::from("| code | |\n|---|---|\n");
    for code in Code::ALL {
        let title = page(*code).lines().next().unwrap_or_default();
        let title = title.trim_start_matches("# ").split_once(": ").map_or(title, |(_, title)| title);
        let code = code.as_str();
        table.push_str(&format!(
            "| [{code}](../framework/diagnose/codes/{code}.md) | {} |\n",
            title.replace('|', "\\|")
        ));
    }
    table
}

#[test]
fn the_tables_of_the_page_are_generated() {
    let now = text();
    let renewed = renewed(&now);
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(file(), &renewed).unwrap();
        return;
    }
    assert!(now == renewed, "mappings/README.md differs from the types; run this test with UPDATE_SCHEMA=1");
}

/// The tests that prove what the page says are there.
#[test]
fn what_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = text();
    let answers = page.split_once("\n## What happens when").unwrap().1.split_once("\n## ").unwrap().0;
    let words: Vec<&str> = answers.split('`').skip(1).step_by(2).collect();
    let proofs: Vec<_> = words.windows(2).filter(|pair| pair[1].ends_with(".rs")).collect();
    assert!(proofs.len() > 15, "{}", proofs.len());
    for proof in proofs {
        let source = std::fs::read_to_string(root.join(proof[1])).unwrap_or_default();
        assert!(
            source.contains(&format!("fn {}(", proof[0])),
            "there is no test {} in {}",
            proof[0],
            proof[1]
        );
    }
}
