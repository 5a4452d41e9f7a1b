//! `demo`: one command, both directions, nothing of a real installation touched and nothing left behind.

use crate::shop::{Engine, Secrets, command, sql, until};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

async fn call(request: reqwest::RequestBuilder) -> (u16, Json) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("text");
    (status, serde_json::from_str(&text).unwrap_or(Json::String(text)))
}

struct Demo {
    engine: Engine,
    page: String,
    stripe: String,
    client: reqwest::Client,
}

impl Demo {
    async fn start(folder: &std::path::Path, env: &[(String, String)], args: &[&str]) -> Self {
        let mut all = vec!["demo", "--listen", "127.0.0.1:0"];
        all.extend(args);
        let engine = Engine::start(command(folder, env, &all), Secrets::default());
        engine.says("Ctrl-C").await;
        let (page, stripe) = (engine.base("open "), engine.base("stripe      curl "));
        Self { engine, page, stripe, client: reqwest::Client::new() }
    }

    fn database(&self) -> PathBuf {
        PathBuf::from(self.engine.word("database    sqlite3 -cmd '.timeout 5000' "))
    }

    async fn rows(&self) -> Vec<Json> {
        self.rows_of("customers").await
    }

    async fn rows_of(&self, catalog: &str) -> Vec<Json> {
        let (status, body) = call(self.client.get(format!("{}/api/catalogs/{catalog}", self.page))).await;
        assert_eq!(status, 200, "{body}");
        body["records"].as_array().expect("a list").clone()
    }

    /// What a person sees at Salesforce.
    async fn sobjects(&self, object: &str) -> Vec<Json> {
        let url = format!("{}/_sandbox/salesforce/records/{object}", self.stripe);
        let (status, body) = call(self.client.get(url)).await;
        assert_eq!(status, 200, "{body}");
        body["records"].as_array().expect("a list").clone()
    }

    /// What a person does there: adds a record, or changes the one at `path`.
    async fn edit_sobject(&self, path: &str, fields: Json) {
        let url = format!("{}/_sandbox/salesforce/records/{path}", self.stripe);
        let (status, body) = call(self.client.post(url).body(fields.to_string())).await;
        assert!((200..300).contains(&status), "{status} {body}");
    }

    async fn row(&self, email: &str) -> Option<Json> {
        self.rows().await.into_iter().find(|row| row["email"] == email)
    }

    fn stripe(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.stripe)).basic_auth("sk_test_demo", None::<&str>)
    }

    async fn record(&self, email: &str) -> Option<Json> {
        let (_, body) =
            call(self.stripe(reqwest::Method::GET, &format!("/v1/customers?email={email}"))).await;
        body["data"].get(0).cloned()
    }
}

#[tokio::test]
async fn invoices_follow_their_customers() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Demo::start(folder.path(), &[], &[]).await;
    let invoices = async || demo.rows_of("invoices").await;
    let there = async || {
        let (_, body) = call(demo.stripe(reqwest::Method::GET, "/v1/invoices")).await;
        body["data"].as_array().cloned().unwrap_or_default()
    };
    until("both invoices are on both sides", async || {
        (invoices().await.len() == 2 && there().await.len() == 2).then_some(())
    })
    .await;
    let sent =
        there().await.into_iter().find(|invoice| invoice["description"] == "Enigma, repaired").expect("sent");
    let alan = demo.record("alan@example.com").await.expect("its customer is there");
    assert_eq!(sent["customer"], alan["id"]);
    for step in ["finalize", "pay"] {
        let path = format!("/v1/invoices/{}/{step}", sent["id"].as_str().expect("an id"));
        assert_eq!(call(demo.stripe(reqwest::Method::POST, &path)).await.0, 200);
    }
    until("the row is paid", async || {
        let rows = invoices().await;
        let row = rows.into_iter().find(|row| row["memo"] == "Enigma, repaired")?;
        (row["status"] == "paid" && row["number"].is_string()).then_some(())
    })
    .await;
    let came = invoices().await.into_iter().find(|row| row["memo"] == "Trajectories").expect("came");
    assert_eq!((&came["total"], &came["currency"]), (&json!("42"), &json!("usd")));
    assert_eq!(demo.engine.stop().await, 0);
}

#[tokio::test]
async fn both_directions_work_and_deletes_travel_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Demo::start(folder.path(), &[], &[]).await;
    until("first contact is over", async || (demo.rows().await.len() == 5).then_some(())).await;
    until("rows arrived there", async || demo.record("alan@example.com").await).await;

    let create = demo.client.post(format!("{}/api/catalogs/customers", demo.page));
    let body = json!({ "name": "You", "email": "you@example.com" }).to_string();
    let (status, made) = call(create.header("content-type", "application/json").body(body)).await;
    assert_eq!(status, 201, "{made}");
    let there = until("the row appears there", async || demo.record("you@example.com").await).await;
    assert_eq!(there["name"], "You");

    sql(&demo.database(), "UPDATE customers SET name = 'You Too' WHERE email = 'you@example.com'").await;
    until("plain SQL is seen", async || {
        demo.record("you@example.com").await.filter(|record| record["name"] == "You Too")
    })
    .await;

    let path = format!("/v1/customers/{}", there["id"].as_str().expect("an id"));
    let form =
        demo.stripe(reqwest::Method::POST, &path).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(call(form.body("phone=123")).await.0, 200);
    until("the edit comes back", async || {
        demo.row("you@example.com").await.filter(|row| row["phone"] == "123")
    })
    .await;

    assert_eq!(call(demo.stripe(reqwest::Method::DELETE, &path)).await.0, 200);
    until("the delete comes back", async || demo.row("you@example.com").await.is_none().then_some(())).await;
    sql(&demo.database(), "DELETE FROM customers WHERE email = 'alan@example.com'").await;
    until("the delete goes out", async || demo.record("alan@example.com").await.is_none().then_some(()))
        .await;

    let database = demo.database();
    assert!(database.exists());
    assert_eq!(demo.engine.stop().await, 0);
    assert!(!database.exists(), "the demo cleans up");
    assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
}

#[tokio::test]
async fn accounts_and_contacts_are_in_step_with_salesforce() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Demo::start(folder.path(), &[], &[]).await;
    let with = |records: Vec<Json>, field: &str, value: &str| records.into_iter().find(|r| r[field] == value);
    until("first contact is over", async || {
        let rows = (demo.rows_of("accounts").await.len(), demo.rows_of("contacts").await.len());
        let there = (demo.sobjects("Account").await.len(), demo.sobjects("Contact").await.len());
        (rows == (3, 2) && there == (3, 2)).then_some(())
    })
    .await;
    // One company that was on both sides is one still, and has what either side knew of it.
    until("each side has what the other knew", async || {
        let here = with(demo.rows_of("accounts").await, "name", "Flow-Matic Systems")?;
        let there = with(demo.sobjects("Account").await, "Name", "Flow-Matic Systems")?;
        let both = (here["phone"].as_str()?, there["Website"].as_str()?);
        (both == ("+1 202 555 0134", "https://flow-matic.example")).then_some(())
    })
    .await;
    // Who works where goes along, both ways.
    until("the contacts have their accounts", async || {
        let engines = with(demo.sobjects("Account").await, "Name", "Analytical Engines")?;
        let ada = with(demo.sobjects("Contact").await, "LastName", "Lovelace")?;
        let orbital = with(demo.rows_of("accounts").await, "name", "Orbital Mechanics")?;
        let katherine = with(demo.rows_of("contacts").await, "last_name", "Johnson")?;
        (ada["AccountId"] == engines["Id"] && katherine["account_id"] == orbital["id"]).then_some(())
    })
    .await;

    let yours = "INSERT INTO accounts (name, website) VALUES ('Yours', 'https://yours.example')";
    sql(&demo.database(), yours).await;
    let there =
        until("the row appears there", async || with(demo.sobjects("Account").await, "Name", "Yours")).await;
    demo.edit_sobject(&format!("Account/{}", there["Id"].as_str().expect("an id")), json!({ "Phone": "1" }))
        .await;
    until("the edit comes back", async || {
        with(demo.rows_of("accounts").await, "name", "Yours").filter(|row| row["phone"] == "1")
    })
    .await;
    demo.edit_sobject("Account", json!({ "Name": "Theirs" })).await;
    until("the record appears here", async || with(demo.rows_of("accounts").await, "name", "Theirs")).await;
    assert_eq!(demo.engine.stop().await, 0);
}

#[tokio::test]
async fn settings_of_a_real_installation_do_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join(".env"),
        "STRIPE_BASE_URL=http://127.0.0.1:1\nBOTHWAYS_MAPPINGS=nowhere\n",
    )
    .expect("written");
    let env = [("STRIPE_API_KEY", "sk_live_real"), ("BOTHWAYS_DATABASE", "sqlite://real.db")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let demo = Demo::start(folder.path(), &env, &[]).await;
    until("first contact is over", async || (demo.rows().await.len() == 5).then_some(())).await;
    assert!(!demo.engine.said().contains(".env"), "{}", demo.engine.said());
    assert_eq!(demo.engine.stop().await, 0);
    assert!(!folder.path().join("real.db").exists());
}

#[tokio::test]
async fn a_database_that_holds_something_is_not_the_demos() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.db");
    sql(&file, "CREATE TABLE customers (id INTEGER PRIMARY KEY)").await;
    let url = format!("sqlite://{}", file.display());
    let output =
        command(folder.path(), &[], &["demo", "--database", &url]).output().await.expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let new = format!("sqlite://{}", folder.path().join("new.db").display());
    let demo = Demo::start(folder.path(), &[], &["--database", &new]).await;
    assert_eq!(demo.database(), folder.path().join("new.db"));
    assert_eq!(demo.engine.stop().await, 0);
    assert!(folder.path().join("new.db").exists());
}
