//! The verbs about documents: they need no database.

use crate::shop::{CATALOG, MAPPING, Shop, TABLE};
use serde_json::json;

#[tokio::test]
async fn validate_ends_with_0_1_or_2() {
    let shop = Shop::new().await;
    let sound = shop.run(&["validate"]).await.ended(0);
    assert!(sound.err.contains("in 2 files"), "{sound:?}");

    let typo = MAPPING
        .replace("normalize", "normalise")
        .replace("remote: stripe/customers", "remote: stripe/custmers");
    shop.write("mappings/stripe-customers.yaml", &typo);
    let broken = shop.run(&["validate"]).await.ended(1);
    assert!(broken.out.contains("mappings/stripe-customers.yaml:6:"), "{broken:?}");
    assert!(broken.out.contains("did you mean `normalize`?"), "{broken:?}");
    assert!(broken.err.contains("error"), "{broken:?}");

    shop.run(&["validate", "--mappings", "nowhere"]).await.ended(2);
    std::fs::create_dir(shop.path("empty")).expect("made");
    shop.run(&["validate", "--mappings", "empty"]).await.ended(2);
}

#[tokio::test]
async fn validate_gives_every_finding_as_json() {
    let shop = Shop::new().await;
    let two = MAPPING.replace("normalize", "normalise").replace("sync:", "snyc:");
    shop.write("mappings/stripe-customers.yaml", &two);
    let findings = shop.run(&["validate", "--format", "json"]).await.ended(1).json();
    let findings = findings.as_array().expect("a list");
    let errors: Vec<_> = findings.iter().filter(|f| f["severity"] == "error").collect();
    assert_eq!(errors.len(), 2, "{findings:?}");
    for error in errors {
        assert_eq!(error["code"], "Y102");
        assert_eq!(error["file"], "mappings/stripe-customers.yaml");
        assert!(error["line"].as_u64().is_some_and(|line| line > 1), "{error}");
    }
    shop.write("mappings/stripe-customers.yaml", MAPPING);
    shop.run(&["validate", "--format", "json"]).await.ended(0).json();
}

/// One file that is no text hides nothing of the others.
#[tokio::test]
async fn a_file_that_is_not_utf_8_is_a_finding_like_others() {
    let shop = Shop::new().await;
    std::fs::write(shop.path("mappings/latin.yaml"), b"catalog: caf\xe9\n").expect("written");
    shop.write("mappings/stripe-customers.yaml", &MAPPING.replace("normalize:", "normalise:"));
    let findings = shop.run(&["validate", "--format", "json"]).await.ended(1).json();
    let told: Vec<_> = findings.as_array().expect("a list").iter().collect();
    let of = |code: &str, file: &str| told.iter().any(|f| f["code"] == code && f["file"] == file);
    assert!(of("Y001", "mappings/latin.yaml"), "{findings}");
    assert!(of("Y102", "mappings/stripe-customers.yaml"), "{findings}");
}

#[tokio::test]
async fn validate_compares_with_a_database_that_is_there() {
    let shop = Shop::new().await;
    shop.sql(&TABLE.replace("phone TEXT", "phone BLOB")).await;
    let ran = shop.run(&["validate"]).await.ended(1);
    assert!(ran.out.contains("M501") && ran.out.contains("`phone`"), "{ran:?}");
    assert!(ran.err.contains("checked against bothways.db"), "{ran:?}");
    let other = shop.run(&["validate", "--database", "sqlite://other.db"]).await.ended(0);
    assert!(other.err.contains("not checked against other.db, which does not exist"), "{other:?}");
    assert!(!shop.path("other.db").exists());
    shop.run(&["validate", "--database", "postgres://h/d"]).await.ended(2);
}

#[tokio::test]
async fn a_document_with_errors_stops_every_other_verb() {
    let shop = Shop::with_table().await;
    shop.write("mappings/customers.yaml", &CATALOG.replace("email: text", "email: txt"));
    for verb in ["status", "plan", "sync", "run", "migrate", "test", "history"] {
        let ran = shop.run(&[verb]).await.ended(1);
        assert!(ran.err.contains("mappings/customers.yaml:4:"), "{verb}: {ran:?}");
        assert!(ran.out.is_empty(), "{verb}: {ran:?}");
    }
    assert_eq!(
        shop.sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bothways%'").await.as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn codes_are_explained() {
    let shop = Shop::new().await;
    let page = shop.run(&["explain-code", "m204"]).await.ended(0).out;
    assert!(page.contains("M204"), "{page}");
    let listed = shop.run(&["explain-code", "--format", "json"]).await.ended(0).json();
    let codes = listed.as_array().expect("a list");
    assert!(
        codes.iter().any(|one| one["code"] == "M501" && one["title"].as_str().is_some_and(|t| !t.is_empty()))
    );
    let unknown = shop.run(&["explain-code", "M2040"]).await.ended(2);
    assert!(unknown.err.contains("M204"), "{unknown:?}");
}

#[tokio::test]
async fn schemas_are_printed_and_written() {
    let shop = Shop::new().await;
    let schema = shop.run(&["schema", "mapping"]).await.ended(0).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let narrowed = shop.run(&["schema", "mapping", "--workspace"]).await.ended(0).json();
    assert_eq!(narrowed["properties"]["local"]["enum"], json!(["customers"]));

    let written = shop.run(&["schema", "--write", "mappings/schema"]).await.ended(0);
    assert!(
        written.out.contains("# yaml-language-server: $schema=schema/mapping.schema.json"),
        "{written:?}"
    );
    let text = std::fs::read_to_string(shop.path("mappings/schema/mapping.schema.json")).expect("written");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), schema);
    shop.run(&["validate"]).await.ended(0);
}

#[tokio::test]
async fn schemas_of_another_version_are_told_and_nothing_is_told_of_this_ones() {
    let shop = Shop::new().await;
    let bound = format!("# yaml-language-server: $schema=schema/mapping.schema.json\n{MAPPING}");
    shop.write("mappings/stripe-customers.yaml", &bound);
    for write in [
        ["schema", "--write", "mappings/schema"].as_slice(),
        &["schema", "--workspace", "--write", "mappings/schema"],
    ] {
        shop.run(write).await.ended(0);
        let sound = shop.run(&["validate"]).await.ended(0);
        assert!(!sound.out.contains("Y112"), "{sound:?}");
        let path = "mappings/schema/mapping.schema.json";
        let text = std::fs::read_to_string(shop.path(path)).expect("written");
        shop.write(path, &text.replace("safety", "safeness"));
        let older = shop.run(&["validate"]).await.ended(0);
        let step = format!("`bothways {}`", write.join(" "));
        assert!(
            older.out.contains("mappings/stripe-customers.yaml:1:") && older.out.contains(&step),
            "{older:?}"
        );
    }
}

#[tokio::test]
async fn a_mappings_cases_and_laws_are_run() {
    let shop = Shop::new().await;
    let laws = shop.run(&["test"]).await.ended(0);
    assert!(laws.err.contains("3 passed, 0 failed"), "{laws:?}");

    let case = "- name: an address is folded
  local: { email: a@x.com, name: A, phone: null }
  remote: { email: A@X.com, name: A, phone: null }
";
    shop.write("mappings/cases/stripe-customers.yaml", case);
    let wrong = shop.run(&["test"]).await.ended(1);
    assert!(wrong.out.contains("FAIL stripe-customers: case `an address is folded`"), "{wrong:?}");
    shop.write("mappings/cases/stripe-customers.yaml", &case.replace("A@X.com", "a@x.com"));
    let right = shop.run(&["test", "--format", "json"]).await.ended(0).json();
    assert_eq!(right[0]["passed"], 4, "{right}");
    shop.run(&["test", "nobody"]).await.ended(1);
}

#[tokio::test]
async fn the_dotenv_file_of_the_folder_is_read_and_said() {
    let shop = Shop::new().await;
    shop.write("elsewhere/customers.yaml", CATALOG);
    shop.write(".env", "BOTHWAYS_MAPPINGS=elsewhere\n");
    let ran = shop.run(&["validate"]).await.ended(0);
    assert!(ran.err.contains(".env") && ran.err.contains("in 1 file"), "{ran:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for (mode, open) in [(0o640, true), (0o600, false)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(shop.path(".env"), permissions).expect("mode");
            assert_eq!(shop.run(&["validate"]).await.err.contains("chmod 600"), open, "{mode:o}");
        }
    }
    let flag = shop.run(&["validate", "--mappings", "mappings"]).await.ended(0);
    assert!(flag.err.contains("in 2 files"), "{flag:?}");
    shop.write(".env", "STRIPE_API_KEY='sk_test_never_shown\n");
    let broken = shop.run(&["validate"]).await.ended(2);
    assert!(broken.err.contains(".env") && !broken.err.contains("never_shown"), "{broken:?}");
}
