//! `new`: what it writes validates, fits its table, keeps what is there, and runs.

use crate::shop::{MAPPING, Shop};
use serde_json::json;

const PEOPLE: &str = "CREATE TABLE people (
  id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, full_name TEXT, phone TEXT, age INTEGER,
  balance NUMERIC, active BOOLEAN NOT NULL DEFAULT 1, joined_at TIMESTAMP, archived_at TIMESTAMP, photo BLOB)";

#[tokio::test]
async fn a_catalog_is_written_as_its_table_is() {
    let shop = Shop::new().await;
    shop.sql(PEOPLE).await;
    let ran = shop.run(&["new", "catalog", "people", "--from-database"]).await.ended(0);
    assert!(
        ran.out.contains("wrote mappings/people.yaml") && ran.out.contains("schema/catalog.schema.json"),
        "{ran:?}"
    );
    let text = std::fs::read_to_string(shop.path("mappings/people.yaml")).expect("written");
    insta::assert_snapshot!("a_catalog", text);
    let checked = shop.run(&["validate"]).await.ended(0);
    assert!(!checked.out.contains("people.yaml"), "{checked:?}");
    // Another spelling of the table's name, another catalog.
    shop.run(&["new", "catalog", "members", "--from-database", "--table", "people"]).await.ended(0);
    let wrong = shop.run(&["new", "catalog", "nobody", "--from-database"]).await.ended(1);
    assert!(wrong.err.contains("table `nobody`") && !shop.path("mappings/nobody.yaml").exists(), "{wrong:?}");
}

#[tokio::test]
async fn a_table_whose_key_is_several_columns_is_a_catalog_too() {
    let shop = Shop::new().await;
    shop.sql("CREATE TABLE seats (number INTEGER NOT NULL, email TEXT NOT NULL, name TEXT, tenant TEXT NOT NULL, PRIMARY KEY (tenant, number))")
        .await;
    shop.run(&["new", "catalog", "seats", "--from-database"]).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/seats.yaml")).expect("written");
    assert!(text.contains("\nkey: [tenant, number]") && text.contains("\n  number: int"), "{text}");
    shop.run(&["new", "connector", "crm", "--resource", "contacts", "--items", "$.results"]).await.ended(0);
    let record = json!({ "results": [{ "id": 7, "email": "ada@example.com", "name": "Ada" }] });
    shop.write("record.json", &record.to_string());
    let args = [
        "new",
        "mapping",
        "crm-seats",
        "--local",
        "seats",
        "--remote",
        "crm/contacts",
        "--sample",
        "record.json",
    ];
    shop.run(&args).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/crm-seats.yaml")).expect("written");
    assert!(text.contains("\n  # tenant: { remote: $.…, immutable: true }"), "{text}");
    assert!(text.contains("from_remote: manual") && text.contains("a new row needs `tenant`"), "{text}");
    let checked = shop.run(&["validate"]).await.ended(0);
    assert!(!checked.out.contains("mappings/seats.yaml"), "{checked:?}");
    // What fills no key is refused where rows are made.
    shop.write("mappings/crm-seats.yaml", &text.replace("from_remote: manual", "from_remote: create"));
    let refused = shop.run(&["validate"]).await.ended(1);
    assert!(refused.out.contains("part of the key `[tenant, number]`"), "{refused:?}");
}

#[tokio::test]
async fn every_kind_of_connector_validates() {
    let shop = Shop::new().await;
    for auth in ["none", "bearer", "basic", "header", "query", "oauth2"] {
        let args = ["new", "connector", auth, "--auth", auth, "--resource", "people", "--resource", "orders"];
        shop.run(&args).await.ended(0);
    }
    for paging in ["none", "cursor", "next_url", "link_header", "page", "offset"] {
        let name = format!("by_{paging}");
        shop.run(&["new", "connector", &name, "--paging", paging]).await.ended(0);
    }
    let checked = shop.run(&["validate", "--format", "json"]).await.ended(0).json();
    let about: Vec<_> = checked.as_array().expect("a list").iter().map(|one| &one["file"]).collect();
    assert!(about.iter().all(|file| **file == "mappings/stripe-customers.yaml"), "{checked}");
    insta::assert_snapshot!(
        "a_connector",
        std::fs::read_to_string(shop.path("mappings/bearer.yaml")).expect("written")
    );
    // What stands there as a comment is right as well.
    let text = std::fs::read_to_string(shop.path("mappings/bearer.yaml")).expect("written");
    let said = |line: &str| match line.split_once("# ") {
        Some((indent, key))
            if indent.trim().is_empty()
                && key.trim_start().starts_with(char::is_lowercase)
                && !key.starts_with("yaml-") =>
        {
            format!("{indent}{key}\n")
        }
        _ => format!("{line}\n"),
    };
    shop.write("mappings/bearer.yaml", &text.lines().map(said).collect::<String>());
    shop.run(&["validate"]).await.ended(0);
    let all = shop.run(&["describe", "bearer", "people", "--format", "json"]).await.ended(0).json();
    let missing: Vec<&str> = all["resources"][0]["abilities"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one["there"] == false)
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(missing, ["feed", "upsert", "recover", "if_match", "guarded update"]);
    shop.run(&["describe", "oauth2", "orders"]).await.ended(0);
    // An address of this machine counts only where a variable says it: the next steps say so.
    let near = ["new", "connector", "near", "--base-url", "http://127.0.0.1:1/api"];
    let near = shop.run(&near).await.ended(0);
    assert!(near.err.contains("set NEAR_BASE_URL=http://127.0.0.1:1/api and NEAR_TOKEN"), "{near:?}");
    let taken = shop.run(&["new", "connector", "stripe"]).await.ended(1);
    assert!(
        taken.err.contains("was not written") && !shop.path("mappings/stripe.yaml").exists(),
        "{taken:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_there_is_kept() {
    let shop = Shop::new().await;
    let before = std::fs::read_to_string(shop.path("mappings/customers.yaml")).expect("there");
    let ran = shop.run(&["new", "catalog", "customers"]).await.ended(1);
    assert!(ran.err.contains("is there already") && ran.err.contains("--force"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(shop.path("mappings/customers.yaml")).expect("there"), before);
    assert!(!shop.path("mappings/schema").exists());
    // Forced, it is refused for what it would break in another document, and kept again.
    for kind in ["catalog", "connector"] {
        let ran = shop.run(&["new", kind, "customers", "--force"]).await.ended(1);
        assert!(
            ran.err.contains("mappings/stripe-customers.yaml") && ran.err.contains("was not written"),
            "{ran:?}"
        );
    }
    assert_eq!(std::fs::read_to_string(shop.path("mappings/customers.yaml")).expect("there"), before);
    // What was wrong before is none of its business.
    shop.write("mappings/stripe-customers.yaml", &MAPPING.replace("local: customers", "local: cstomers"));
    shop.write("mappings/schema/catalog.schema.json", "{ \"narrowed\": true }");
    let ran = shop.run(&["new", "connector", "customers", "--force", "--format", "json"]).await.ended(0);
    assert!(ran.err.contains("`bothways schema --write mappings/schema` writes them anew"), "{ran:?}");
    assert_eq!(ran.json()["wrote"][0], "mappings/customers.yaml");
    let schema = std::fs::read_to_string(shop.path("mappings/schema/catalog.schema.json")).expect("there");
    assert_eq!(schema, "{ \"narrowed\": true }", "`schema --workspace` may have written it");
    assert!(shop.path("mappings/schema/mapping.schema.json").exists());
    for bad in ["../up", "a/b", "a.yaml"] {
        shop.run(&["new", "catalog", bad]).await.ended(2);
    }
}

#[tokio::test]
async fn fields_are_paired_by_a_sample() {
    let shop = Shop::new().await;
    shop.sql(PEOPLE).await;
    shop.run(&["new", "catalog", "people", "--from-database"]).await.ended(0);
    shop.run(&["new", "connector", "crm", "--resource", "contacts", "--items", "$.results"]).await.ended(0);
    let remote = ["new", "mapping", "crm-people", "--local", "people", "--remote", "crm/contacts"];
    let little = shop.run(&remote).await.ended(2);
    assert!(little.err.contains("--sample"), "{little:?}");
    let record = json!({ "results": [{
        "id": 7, "Email": "ada@example.com", "displayName": "Ada Lovelace", "contact": { "phone_number": "+1 202" },
        "balance": 1250, "is_active": true, "joined_at": "2026-11-22T10:00:00Z", "tags": ["a"], "secret_note": "private" }] });
    shop.write("record.json", &record.to_string());
    let with_sample: Vec<&str> = remote.into_iter().chain(["--sample", "record.json"]).collect();
    shop.run(&with_sample).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/crm-people.yaml")).expect("written");
    assert!(!text.contains("private") && !text.contains("ada@"), "{text}");
    insta::assert_snapshot!("a_mapping", text);
    shop.run(&["validate"]).await.ended(0);
    shop.run(&["test", "crm-people"]).await.ended(0);
    shop.write("record.json", "{\"name\": \"Ada\"}");
    let args: Vec<&str> = with_sample.iter().copied().chain(["--force"]).collect();
    let none = shop.run(&args).await.ended(2);
    assert!(none.err.contains("holds no record of crm/contacts"), "{none:?}");
}

/// What the database computes is read, never written.
#[tokio::test]
async fn a_computed_column_only_goes_out() {
    let shop = Shop::new().await;
    shop.sql(
        "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, name TEXT, \
         display_name TEXT GENERATED ALWAYS AS (upper(name)), updated_at TEXT AS (upper(name)))",
    )
    .await;
    shop.run(&["new", "catalog", "people", "--from-database"]).await.ended(0);
    shop.run(&["new", "connector", "crm", "--resource", "contacts"]).await.ended(0);
    let record = json!({ "id": 7, "email": "ada@example.com", "displayName": "ADA", "name": "Ada", "updated_at": "x" });
    shop.write("record.json", &record.to_string());
    let remote = ["new", "mapping", "crm-people", "--local", "people", "--remote", "crm/contacts"];
    shop.run(&remote.into_iter().chain(["--sample", "record.json"]).collect::<Vec<_>>()).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/crm-people.yaml")).expect("written");
    assert!(text.contains("  display_name: { remote: $.displayName, direction: out }"), "{text}");
    assert!(text.contains("  # updated_at: "), "computed here and kept there: {text}");
    assert!(!shop.run(&["validate"]).await.ended(0).out.contains("computed"));
    let both = text.replace("{ remote: $.displayName, direction: out }", "$.displayName");
    shop.write("mappings/crm-people.yaml", &both);
    let ran = shop.run(&["validate"]).await.ended(1);
    assert!(
        ran.out.contains("M501") && ran.out.contains("`display_name`") && ran.out.contains("direction: out"),
        "{ran:?}"
    );
}

/// Where records are created by our own key alone, that key is proposed, or asked for.
#[tokio::test]
async fn a_resource_that_only_upserts_gets_its_stamp() {
    let shop = Shop::new().await;
    shop.write(
        "mappings/accounts.yaml",
        "catalog: accounts\ntable: accounts\nkey: id\nfields: { id: int, name: text }\n",
    );
    let args = [
        "new",
        "mapping",
        "sf",
        "--local",
        "accounts",
        "--remote",
        "salesforce/sobject",
        "--with",
        "object=Account",
    ];
    shop.run(&args).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/sf.yaml")).expect("written");
    assert!(text.contains("\n  stamp: $.Bothways_Id__c") && text.contains("from_local: create"), "{text}");
    shop.run(&["validate"]).await.ended(0);
    let upserts = "connector: keyed\nhttp: { base_url: \"https://keyed.example\", auth: none }\nresources:\n  things:\n    id: $.id\n    \
        list: GET /things\n    get: \"GET /things/{id}\"\n    update: \"PATCH /things/{id}\"\n    upsert: { call: \"PUT /things/{stamp}/{key}\" }\n    \
        find: { $.name: { call: \"GET /things?name={value}\" } }\nlists: { items: $.items }\n";
    shop.write("mappings/keyed.yaml", upserts);
    shop.run(&["new", "mapping", "kd", "--local", "accounts", "--remote", "keyed/things"]).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/kd.yaml")).expect("written");
    assert!(text.contains("# stamp: $.…") && text.contains("from_local: manual"), "{text}");
}

/// A lookup proves a create only where the mapping matches or stamps what it looks up.
#[tokio::test]
async fn a_lookup_of_something_else_proves_nothing() {
    let shop = Shop::new().await;
    let finds = "connector: found\nhttp: { base_url: \"https://found.example\", auth: none }\nresources:\n  things:\n    id: $.id\n    \
        list: GET /things\n    get: \"GET /things/{id}\"\n    update: \"PATCH /things/{id}\"\n    create: POST /things\n    \
        find: { $.code: { call: \"GET /things?code={value}\", consistent: true } }\nlists: { items: $.items }\n";
    shop.write("mappings/found.yaml", finds);
    shop.write(
        "record.json",
        "{ \"id\": 1, \"email\": \"a@example.com\", \"name\": \"A\", \"code\": \"c\" }",
    );
    let args = [
        "new",
        "mapping",
        "fd",
        "--local",
        "customers",
        "--remote",
        "found/things",
        "--sample",
        "record.json",
    ];
    shop.run(&args).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/fd.yaml")).expect("written");
    assert!(text.contains("from_local: manual"), "{text}");
    let told = shop.run(&["describe", "found"]).await.ended(0).out;
    assert!(told.contains("if `identity` matches or stamps $.code"), "{told}");
    shop.write("mappings/found.yaml", &finds.replace("code", "email"));
    shop.run(&args.into_iter().chain(["--force"]).collect::<Vec<_>>()).await.ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/fd.yaml")).expect("written");
    assert!(text.contains("from_local: create"), "{text}");
}

#[tokio::test]
async fn what_is_known_of_a_resource_needs_no_sample() {
    let shop = Shop::new().await;
    std::fs::remove_file(shop.path("mappings/stripe-customers.yaml")).expect("removed");
    shop.run(&["new", "mapping", "members", "--local", "customers", "--remote", "stripe/customers"])
        .await
        .ended(0);
    let text = std::fs::read_to_string(shop.path("mappings/members.yaml")).expect("written");
    assert!(text.contains("  email: { remote: $.email, normalize: [trim, lower] }"), "{text}");
    assert!(text.contains("stamp: $.metadata.bothways") && text.contains("# phone: $.…"), "{text}");
    shop.run(&["validate"]).await.ended(0);
    let wrong = shop
        .run(&["new", "mapping", "m", "--local", "custmers", "--remote", "stripe/customers"])
        .await
        .ended(1);
    assert!(wrong.err.contains("did you mean `customers`?"), "{wrong:?}");
}
