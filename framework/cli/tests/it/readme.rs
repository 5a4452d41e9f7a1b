//! The README keeps its word: its documents work on its table, its settings and verbs exist.

use crate::shop::{Shop, sql};

const README: &str = include_str!("../../../../README.md");

/// The text of the first block of this kind.
fn block(kind: &str) -> &'static str {
    let start = README.split_once(&format!("\n```{kind}\n")).expect("a block of this kind").1;
    start.split_once("```").expect("its end").0
}

/// The rows of the table whose first heading is this.
fn table(heading: &str) -> Vec<&'static str> {
    let lines = README.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |")));
    lines.skip(2).take_while(|line| line.starts_with('|')).collect()
}

#[tokio::test]
async fn the_first_mapping_works_as_it_is_printed() {
    let mut shop = Shop::new().await;
    for name in ["customers", "stripe-customers"] {
        std::fs::remove_file(shop.path(&format!("mappings/{name}.yaml"))).expect("removed");
    }
    shop.write("mappings/members.yaml", block("yaml"));
    shop.set("BOTHWAYS_DATABASE", Some("sqlite://app.db"));
    let file = shop.path("app.db");
    sql(&file, block("sql")).await;
    let grace = shop.customer("Grace Hopper", "grace@example.com");
    shop.run(&["schema", "--write", "mappings/schema"]).await.ended(0);
    shop.run(&["validate"]).await.ended(0);
    let plan = shop.run(&["plan"]).await.ended(1);
    assert!(plan.out.contains(&format!("<-> {grace}: the match fields are equal and unique")), "{plan:?}");
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(shop.remote("ada@example.com", "name").as_deref(), Some("Ada Lovelace"));
    let plan = shop.run(&["plan"]).await.ended(1).out;
    assert!(
        plan.contains(&format!("update         2 <-> {grace}\n")),
        "what needs no reason has none: {plan}"
    );
    let items = shop.run(&["parked", "list", "--format", "json"]).await.ended(1).json();
    let id = items[0]["id"].as_str().expect("the conflict");
    let digest = items[0]["digest"].as_str().expect("what was shown");
    shop.run(&["parked", "resolve", id, "--digest", digest, "--keep", "remote"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(
        sql(&file, "SELECT full_name FROM members WHERE id = 2").await.as_deref(),
        Some("Grace Hopper")
    );
    let joined = sql(&file, "SELECT count(*) FROM members WHERE joined_at IS NOT NULL").await;
    assert_eq!(joined.as_deref(), Some("2"));
}

#[tokio::test]
async fn every_verb_and_setting_is_there() {
    let help = Shop::new().await.run(&["--help"]).await.ended(0).out;
    let words = |line: &'static str| line.split('`').skip(1).step_by(2);
    let verbs = table("verb");
    let named: Vec<&str> = verbs
        .iter()
        .flat_map(|row| words(row.split('|').nth(1).expect("a cell")))
        .filter_map(|word| word.split(' ').next())
        .collect();
    let listed =
        help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next()).expect("commands");
    for line in listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let verb = line.split_whitespace().next().expect("a verb");
        assert!(named.contains(&verb), "the README does not name `{verb}`");
    }
    let settings = table("flag");
    assert!(settings.len() > 8, "{settings:?}");
    for row in &settings {
        for word in words(row).filter(|word| word.starts_with("--") || word.starts_with("BOTHWAYS_")) {
            // Secrets have no flag.
            let is_secret = ["BOTHWAYS_TOKEN", "BOTHWAYS_KEY"].iter().any(|name| word.starts_with(name));
            assert!(help.contains(word) || is_secret, "there is no `{word}`");
        }
    }
    for word in help.split_whitespace().filter(|word| word.starts_with("--") || word.contains("BOTHWAYS_")) {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        let is_usual = ["--help", "--version"].contains(&word);
        assert!(
            is_usual || settings.iter().any(|row| row.contains(word)),
            "the README does not name `{word}`"
        );
    }
}
