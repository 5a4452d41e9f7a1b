//! What a person does with an installation whose engine is down: plan, approve, sync, look, decide.

use crate::shop::{MAPPING, Shop};
use bothways_connector_sandbox::{Action, Fault};
use serde_json::{Value as Json, json};

/// Two rows and two records, one of them the same person under another name.
async fn two_and_two() -> Shop {
    let shop = Shop::with_table().await;
    shop.sql("INSERT INTO customers (name, email) VALUES ('Grace H', 'grace@example.com'), ('Ada', 'ada@example.com')").await;
    shop.customer("Grace", "GRACE@example.com");
    shop.customer("Edsger", "edsger@example.com");
    shop
}

/// The same after its first sync: one conflict waits.
async fn synced() -> Shop {
    let shop = two_and_two().await;
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(1);
    shop
}

async fn conflict(shop: &Shop) -> Json {
    let items = shop.run(&["parked", "list", "--format", "json"]).await.ended(1).json();
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    items[0].clone()
}

#[tokio::test]
async fn a_plan_writes_nothing_and_says_everything() {
    let shop = two_and_two().await;
    let file = std::fs::read(shop.path("bothways.db")).expect("read");
    let plan = shop.run(&["plan", "--format", "json"]).await.ended(1).json_lines();
    let actions: Vec<&str> = plan.iter().filter_map(|line| line["item"]["action"].as_str()).collect();
    assert_eq!(actions.len(), 3, "{plan:?}");
    for action in ["link", "create_local", "create_remote"] {
        assert!(actions.contains(&action), "{action}: {plan:?}");
    }
    let totals = &plan.last().expect("totals")["totals"];
    assert_eq!((&totals["link"], &totals["conflicts"]), (&json!(1), &json!(1)));
    assert_eq!(shop.remote_writes(), 0);
    assert_eq!(std::fs::read(shop.path("bothways.db")).expect("read"), file);

    shop.run(&["migrate"]).await.ended(0);
    let again = shop.run(&["plan", "--format", "json"]).await.ended(1).json_lines();
    assert_eq!(again.last().expect("totals")["totals"]["digest"], totals["digest"]);
    let text = shop.run(&["plan"]).await.ended(1);
    assert!(text.out.contains("local \"Grace H\", remote \"Grace\""), "{text:?}");
}

#[tokio::test]
async fn a_plan_needs_no_database() {
    let shop = Shop::new().await;
    shop.customer("Edsger", "edsger@example.com");
    let plan = shop.run(&["plan", "--format", "json"]).await.ended(0).json_lines();
    assert_eq!(plan.last().expect("totals")["totals"]["create_local"], 1);
    assert!(!shop.path("bothways.db").exists());
}

#[tokio::test]
async fn nothing_is_written_before_the_approval() {
    let shop = two_and_two().await;
    shop.run(&["migrate"]).await.ended(0);
    let ran = shop.run(&["sync"]).await.ended(1);
    assert!(ran.err.contains("not approved"), "{ran:?}");
    assert_eq!(shop.remote_writes(), 0);
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    assert_eq!(status["mappings"][0]["approved_by"], Json::Null);
    let ran = shop.run(&["approve", "nobody"]).await.ended(1);
    assert!(ran.err.contains("nobody"), "{ran:?}");
}

#[tokio::test]
async fn sync_alone_brings_both_sides_in_step() {
    let shop = synced().await;
    assert_eq!(shop.remote("ada@example.com", "name").as_deref(), Some("Ada"));
    assert_eq!(
        shop.sql("SELECT name FROM customers WHERE email = 'edsger@example.com'").await.as_deref(),
        Some("Edsger")
    );

    shop.sql("UPDATE customers SET name = 'Ada Lovelace' WHERE email = 'ada@example.com'").await;
    let id = shop.remote("edsger@example.com", "id").expect("there");
    shop.rename(&id, "Edsger Dijkstra");
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(shop.remote("ada@example.com", "name").as_deref(), Some("Ada Lovelace"));
    let name = shop.sql("SELECT name FROM customers WHERE email = 'edsger@example.com'").await;
    assert_eq!(name.as_deref(), Some("Edsger Dijkstra"));

    let writes = shop.remote_writes();
    let report = shop.run(&["sync", "--format", "json"]).await.ended(1).json();
    assert_eq!(report[0]["counts"]["pending"], 0, "{report}");
    assert_eq!(shop.remote_writes(), writes);
}

#[tokio::test]
async fn sync_sets_an_empty_database_up() {
    let shop = Shop::new().await;
    shop.customer("Edsger", "edsger@example.com");
    shop.run(&["sync"]).await.ended(1);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.sql("SELECT email FROM customers").await.as_deref(), Some("edsger@example.com"));
    shop.run(&["status"]).await.ended(0);
}

#[tokio::test]
async fn a_conflict_is_decided_field_by_field() {
    let shop = synced().await;
    let item = conflict(&shop).await;
    assert_eq!(item["fields"]["name"]["local"], "Grace H");
    assert_eq!(item["fields"]["name"]["remote"], "Grace");
    let id = item["id"].as_str().expect("an id");
    let shown = shop.run(&["parked", "show", id]).await.ended(0);
    let digest = item["digest"].as_str().expect("a digest");
    let ready = format!("bothways parked resolve {id} --digest {digest} --keep local|remote");
    assert!(shown.out.contains(&ready), "{shown:?}");
    shop.run(&["parked", "resolve", id, "--keep", "local"]).await.ended(2);

    let stale = shop.run(&["parked", "resolve", id, "--keep", "local", "--digest", "0000"]).await.ended(1);
    assert!(stale.err.contains("moved"), "{stale:?}");
    let wrong =
        shop.run(&["parked", "resolve", id, "--digest", digest, "--field", "phone=local"]).await.ended(2);
    assert!(wrong.err.contains("not in conflict"), "{wrong:?}");
    shop.run(&["parked", "resolve", id, "--digest", digest, "--delete", "carry"]).await.ended(1);
    shop.run(&["parked", "show", "4711"]).await.ended(1);

    shop.run(&["parked", "resolve", id, "--digest", digest, "--field", "name=value:Grace Hopper"])
        .await
        .ended(0);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.sql("SELECT name FROM customers WHERE id = 1").await.as_deref(), Some("Grace Hopper"));
    assert_eq!(shop.remote("GRACE@example.com", "name").as_deref(), Some("Grace Hopper"));
    let audit = shop.run(&["audit", "--limit", "1", "--format", "json"]).await.ended(0).json();
    assert_eq!((&audit[0]["by"], &audit[0]["action"]), (&json!("tester"), &json!("resolve")), "{audit}");
    assert!(shop.run(&["audit"]).await.ended(0).out.contains("resolve"));
    let nothing = shop.run(&["parked", "list", "--format", "json"]).await.ended(0).json();
    assert_eq!(nothing, json!([]));
}

#[tokio::test]
async fn all_conflicts_of_a_mapping_are_decided_at_once() {
    let shop = Shop::with_table().await;
    for n in 0..3 {
        let email = format!("p{n}@example.com");
        shop.sql(&format!("INSERT INTO customers (name, email) VALUES ('Here {n}', '{email}')")).await;
        shop.customer(&format!("There {n}"), &email);
    }
    shop.run(&["migrate"]).await.ended(0);
    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(1);
    let list = shop.run(&["parked", "list"]).await.ended(1);
    assert!(list.err.contains("parked resolve --all --mapping stripe-customers"), "{list:?}");

    let all = ["parked", "resolve", "--all", "--mapping", "stripe-customers"];
    let with = |more: &[&'static str]| [&all[..], more].concat();
    let shown = shop.run(&with(&["--format", "json"])).await.ended(1).json();
    assert_eq!((&shown["count"], &shown["fields"]), (&json!(3), &json!({ "name": 3 })), "{shown}");
    let digest = shown["digest"].as_str().expect("a digest").to_owned();
    let text = shop.run(&with(&["--field", "name", "--keep", "local"])).await.ended(1);
    assert!(text.out.contains("name") && text.out.contains('3'), "{text:?}");
    let command = format!("{} --field name --keep local --digest {digest}", all.join(" "));
    assert!(text.err.contains(&format!("decide exactly these 3 records: bothways {command}")), "{text:?}");
    assert_eq!(shop.remote("p1@example.com", "name").as_deref(), Some("There 1"), "nothing is changed");

    // Which side is to be kept, of which field, and what was seen: said in full or not at all.
    for (unclear, says) in [
        (&["--digest", "0000"][..], "--keep"),
        (&["--keep", "local", "--field", "name=local"], "alone"),
        (&["--keep", "local", "--field", "name", "--field", "phone"], "one field"),
        (&["--keep", "local", "--delete", "carry"], "--delete"),
        (&["4711"], "--all"),
    ] {
        let ran = shop.run(&with(unclear)).await.ended(2);
        assert!(ran.err.contains(says), "{ran:?}");
    }
    shop.run(&with(&["--field", "nmae"])).await.ended(1);
    shop.run(&["parked", "resolve", "--all", "--mapping", "nobody"]).await.ended(1);
    shop.sql("UPDATE customers SET name = 'Here and now' WHERE id = 2").await;
    shop.run(&["sync"]).await.ended(1);
    let stale = shop.run(&[&all[..], &["--keep", "local", "--digest", &digest]].concat()).await.ended(1);
    assert!(stale.err.contains("other conflicts") && stale.err.contains("3 records now"), "{stale:?}");

    let shown = shop.run(&with(&["--format", "json"])).await.ended(1).json();
    let digest = shown["digest"].as_str().expect("a digest").to_owned();
    let done = shop.run(&[&all[..], &["--keep", "local", "--digest", &digest]].concat()).await.ended(0);
    assert!(done.err.contains("decided: 3 records"), "{done:?}");
    shop.run(&["sync"]).await.ended(0);
    for (n, name) in ["Here 0", "Here and now", "Here 2"].into_iter().enumerate() {
        assert_eq!(shop.remote(&format!("p{n}@example.com"), "name").as_deref(), Some(name));
    }
    let audit = shop.run(&["audit", "--limit", "1", "--format", "json"]).await.ended(0).json();
    assert_eq!((&audit[0]["by"], &audit[0]["action"]), (&json!("tester"), &json!("resolve-all")), "{audit}");
    assert_eq!(audit[0]["detail"]["digest"], json!(digest), "{audit}");
    let over = shop.run(&with(&["--keep", "local"])).await.ended(0);
    assert!(over.err.contains("no conflict"), "{over:?}");
}

#[tokio::test]
async fn a_delete_left_to_a_person_is_decided() {
    let shop = synced().await;
    shop.sql("DELETE FROM customers WHERE email = 'ada@example.com'").await;
    shop.run(&["sync"]).await.ended(1);
    let items = shop.run(&["parked", "list", "--reason", "delete", "--format", "json"]).await.ended(1).json();
    let id = items[0]["id"].as_str().expect("one waits").to_owned();
    assert!(shop.remote("ada@example.com", "id").is_some());
    let digest = items[0]["digest"].as_str().expect("a digest");
    shop.run(&["parked", "resolve", &id, "--digest", digest, "--delete", "carry"]).await.ended(0);
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(shop.remote("ada@example.com", "id"), None);
}

#[tokio::test]
async fn history_and_explain_name_what_was_written_and_why() {
    let shop = synced().await;
    let history = shop.run(&["history", "--format", "json"]).await.ended(0).json();
    let ops: Vec<&str> =
        history.as_array().expect("a list").iter().filter_map(|row| row["entry"]["op"].as_str()).collect();
    for op in ["link", "conflict", "create"] {
        assert!(ops.contains(&op), "{op}: {ops:?}");
    }
    let creates = shop.run(&["history", "--op", "create", "--format", "json"]).await.ended(0).json();
    assert_eq!(creates.as_array().map(Vec::len), Some(2));
    shop.run(&["history", "--op", "explode"]).await.ended(2);

    let remote = shop.remote("ada@example.com", "id").expect("there");
    for id in ["2", remote.as_str()] {
        let explained = shop.run(&["explain", id, "--format", "json"]).await.ended(0).json();
        assert_eq!((&explained[0]["local_id"], &explained[0]["remote_id"]), (&json!("2"), &json!(remote)));
    }
    let text = shop.run(&["explain", "stripe-customers", "1"]).await.ended(0);
    assert!(text.out.contains("mappings/stripe-customers.yaml:7:"), "{text:?}");
    assert!(text.out.contains("rule 11"), "{text:?}");
    shop.run(&["explain", "4711"]).await.ended(1);
}

#[tokio::test]
async fn a_pause_holds_until_it_is_resumed() {
    let shop = synced().await;
    shop.run(&["pause", "mapping", "stripe-customers", "--reason", "stock-taking"]).await.ended(0);
    shop.sql("UPDATE customers SET name = 'Ada L' WHERE id = 2").await;
    let writes = shop.remote_writes();
    let ran = shop.run(&["sync"]).await.ended(1);
    assert!(ran.err.contains("paused"), "{ran:?}");
    assert_eq!(shop.remote_writes(), writes);
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    assert!(
        status["mappings"][0]["paused"].as_str().is_some_and(|why| why.contains("stock-taking")),
        "{status}"
    );
    shop.run(&["resume", "mapping", "stripe-customers"]).await.ended(0);
    shop.run(&["resume", "mapping", "stripe-customers"]).await.ended(1);
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(shop.remote("ada@example.com", "name").as_deref(), Some("Ada L"));

    shop.run(&["pause", "record", "2"]).await.ended(0);
    shop.sql("UPDATE customers SET name = 'Ada Lovelace' WHERE id = 2").await;
    shop.run(&["sync"]).await.ended(1);
    assert_eq!(shop.remote("ada@example.com", "name").as_deref(), Some("Ada L"));
    shop.run(&["resume", "record", "2"]).await.ended(0);
    shop.run(&["pause", "all"]).await.ended(0);
    shop.run(&["pause", "connection", "nobody"]).await.ended(1);
}

#[tokio::test]
async fn links_are_made_from_a_file_and_taken_apart() {
    let shop = Shop::with_table().await;
    shop.write("mappings/stripe-customers.yaml", &MAPPING.replace("match: [email], ", ""));
    shop.sql("INSERT INTO customers (name, email) VALUES ('A', 'a@example.com'), ('B', 'b@example.com')")
        .await;
    let (a, b) = (shop.customer("A", "a@example.com"), shop.customer("B", "b@example.com"));
    shop.run(&["migrate"]).await.ended(0);
    shop.write("links.csv", &format!("remote,local\n{a},1\n{b},2\n{b},99\n"));
    let linked = shop.run(&["link", "--from", "links.csv", "--format", "json"]).await.ended(1).json_lines();
    assert!(linked[0]["link"].is_string() && linked[1]["link"].is_string(), "{linked:?}");
    assert!(linked[2]["refused"].as_str().is_some_and(|why| why.contains("99")), "{linked:?}");

    shop.run(&["approve"]).await.ended(0);
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.remote_writes(), 0);
    assert_eq!(shop.sql("SELECT count(*) FROM customers").await.as_deref(), Some("2"));

    shop.run(&["unlink", &a]).await.ended(0);
    shop.run(&["unlink", &a]).await.ended(1);
    shop.sql("UPDATE customers SET name = 'A2'").await;
    shop.run(&["sync"]).await.ended(0);
    assert_eq!(shop.remote("a@example.com", "name").as_deref(), Some("A"));
    assert_eq!(shop.remote("b@example.com", "name").as_deref(), Some("A2"));
    shop.run(&["link", "1", &a]).await.ended(0);
    shop.run(&["link", "1", &a]).await.ended(1);
    shop.write("wrong.csv", "a,b\n1,2\n");
    shop.run(&["link", "--from", "wrong.csv"]).await.ended(2);
}

#[tokio::test]
async fn tokens_are_shown_once_and_revoked() {
    let shop = Shop::new().await;
    shop.run(&["migrate"]).await.ended(0);
    let made = shop.run(&["token", "new", "ci", "--scope", "read", "--expires", "30d"]).await.ended(0);
    let secret = made.out.trim();
    assert!(secret.starts_with("bw_") && secret.len() > 60, "{made:?}");
    shop.run(&["token", "new", "ci"]).await.ended(1);
    let listed = shop.run(&["token", "list", "--format", "json"]).await.ended(0);
    assert!(!listed.out.contains(secret));
    assert_eq!(listed.json()[0]["state"], "good");
    assert_eq!(listed.json()[0]["scope"], "read");
    let stored = shop.sql("SELECT group_concat(hash) FROM bothways_tokens").await.expect("stored");
    assert!(!stored.contains(secret.trim_start_matches("bw_")));
    shop.run(&["token", "revoke", "ci"]).await.ended(0);
    shop.run(&["token", "revoke", "ci"]).await.ended(1);
    assert_eq!(shop.run(&["token", "list", "--format", "json"]).await.ended(0).json()[0]["state"], "revoked");
    shop.run(&["token", "new", "x", "--expires", "soon"]).await.ended(2);
}

#[tokio::test]
async fn a_connection_without_its_variables_is_left_out() {
    let mut shop = Shop::new().await;
    shop.set("STRIPE_API_KEY", None);
    let ran = shop.run(&["sync"]).await.ended(1);
    assert!(ran.err.contains("STRIPE_API_KEY is not set") && ran.err.contains("left out"), "{ran:?}");

    let mut shop = synced().await;
    shop.set("STRIPE_API_KEY", None);
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    assert!(status["unready"][0].as_str().is_some_and(|why| why.contains("stripe-customers")), "{status}");
    shop.set("STRIPE_RATE", Some("fast"));
    let wrong = shop.run(&["status"]).await.ended(2);
    assert!(wrong.err.contains("STRIPE_RATE") && !wrong.err.contains("fast"), "{wrong:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_secret_may_come_from_a_file_that_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut shop = Shop::new().await;
    shop.set("STRIPE_API_KEY", None);
    shop.write("key", "sk_test_from_file\n");
    let path = shop.path("key");
    shop.set("STRIPE_API_KEY_FILE", path.to_str());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let open = shop.run(&["plan"]).await.ended(2);
    assert!(open.err.contains("chmod 600") && !open.err.contains("sk_test_from_file"), "{open:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    shop.run(&["plan"]).await.ended(0);
}

#[tokio::test]
async fn a_person_is_erased_once_the_record_is_gone() {
    let shop = synced().await;
    let id = shop.sql("SELECT CAST(id AS TEXT) FROM customers WHERE name = 'Ada'").await.expect("a row");
    let name = "Ada".to_owned();
    let history = async || shop.run(&["history", "--local", &id, "--format", "json"]).await.ended(0).out;
    assert!(history().await.contains(&name));
    let refused = shop.run(&["purge", "--local", &id]).await.ended(1);
    assert!(refused.err.contains("still linked"), "{refused:?}");
    shop.run(&["unlink", &id]).await.ended(0);
    let erased = shop.run(&["purge", "--local", &id, "--format", "json"]).await.ended(0).json();
    assert!(erased["links"] == 1 && erased["history"].as_u64() > Some(0), "{erased}");
    assert!(!history().await.contains(&name), "ids stay, values are gone");
    let link = shop.sql("SELECT body FROM bothways_links WHERE live = 0").await.expect("a closed link");
    assert!(!link.contains(&name), "{link}");
    let other = shop.run(&["purge", "--remote", "cus_of_nobody"]).await.ended(0);
    assert!(other.err.contains("nothing is remembered under this id"), "a mistyped id must show: {other:?}");
    shop.run(&["purge"]).await.ended(2);
}

#[tokio::test]
async fn credentials_of_another_account_stop_every_verb_that_would_read_records() {
    let shop = synced().await;
    let id = shop.remote("ada@example.com", "id").expect("there");
    shop.run(&["unlink", &id]).await.ended(0);
    shop.stripe.sandbox().with(|stripe, _| stripe.inject(Fault::always(Action::OtherAccount)));
    shop.run(&["status"]).await.ended(1);
    for verb in [&["sync"][..], &["plan"], &["explain", "1"], &["link", "2", &id]] {
        let ran = shop.run(verb).await.ended(1);
        assert!(ran.err.contains("these credentials mean"), "{verb:?} {ran:?}");
    }
    let status = shop.run(&["status"]).await.ended(1);
    assert!(status.out.contains("blocked") && status.err.contains("these credentials mean"), "{status:?}");
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    assert!(status["mappings"][0]["blocked"].is_string() && status["unready"][0].is_string(), "{status}");

    shop.stripe.sandbox().with(|stripe, _| stripe.clear_faults());
    shop.run(&["link", "2", "cus_typo"]).await.ended(1);
    shop.run(&["link", "2", &id]).await.ended(0);
    shop.run(&["sync"]).await.ended(1);
    let status = shop.run(&["status", "--format", "json"]).await.ended(1).json();
    assert_eq!(status["mappings"][0]["blocked"], Json::Null, "{status}");
}
