//! `login`: a browser is sent to a service and comes back, and what that gives is kept encrypted.

use crate::service::{Answer, Asked, serve};
use crate::shop::{DESK_MAPPING, Shop};
use reqwest::Url;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// A service that lets people in and gives each refresh token once.
#[derive(Default)]
struct Desk {
    /// How many grants it has given.
    grants: usize,
    /// The tokens of the calls that it answered.
    seen: Vec<String>,
}

impl Desk {
    fn token(&mut self, form: &str) -> (u16, Json) {
        let fields = Url::parse(&format!("http://x/?{form}")).expect("a form");
        let field = |name: &str| fields.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        let good = match field("grant_type").as_deref() {
            Some("authorization_code") => {
                field("code").as_deref() == Some("c-1")
                    && field("code_verifier").is_some_and(|v| v.len() == 64)
            }
            Some("refresh_token") => field("refresh_token") == Some(format!("refresh-{}", self.grants)),
            _ => false,
        };
        if !good {
            return (400, json!({ "error": "invalid_grant" }));
        }
        self.grants += 1;
        let n = self.grants;
        (200, json!({ "access_token": format!("access-{n}"), "refresh_token": format!("refresh-{n}") }))
    }

    fn people(&mut self, bearer: &str) -> (u16, Json) {
        // The token of a login soon ends.
        if bearer != format!("Bearer access-{}", self.grants) || self.grants < 2 {
            return (401, json!({}));
        }
        self.seen.push(bearer.to_owned());
        (200, json!({ "items": [] }))
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        let (status, json) = match asked.target() {
            "/token" => self.token(&asked.body),
            _ => self.people(asked.header("authorization").unwrap_or_default()),
        };
        (status, Vec::new(), json)
    }
}

const DESK: &str = r#"connector: desk
vars: { url: {}, client_id: {} }
http:
  base_url: ${url}
  auth: { oauth2: { token_url: "${url}/token", authorize_url: "https://desk.example/authorize", client_id: "${client_id}" } }
lists: { items: $.items }
resources:
  people: { id: $.id, list: GET /people, get: "GET /people/{id}", update: "PATCH /people/{id}" }
"#;

#[tokio::test]
async fn a_login_is_kept_encrypted_and_renewed() {
    let desk = Arc::new(Mutex::new(Desk::default()));
    let service = desk.clone();
    let (address, serving) = serve(move |asked| service.lock().unwrap().answer(asked)).await;
    let mut shop = Shop::with_table().await;
    shop.write("mappings/desk.yaml", DESK);
    shop.write("mappings/desk-people.yaml", DESK_MAPPING);
    shop.set("DESK_URL", Some(&address));
    shop.set("DESK_CLIENT_ID", Some("bothways"));
    // Nobody is sent to a browser for a token that could not be kept.
    let early = shop.run(&["login", "desk"]).await;
    assert!(early.code != 0 && early.out.is_empty(), "{early:?}");
    shop.run(&["migrate"]).await.ended(0);
    let (child, line) = shop.ask(&["login", "desk"]).await;
    let early = child.wait_with_output().await.expect("it ends");
    assert!(line.is_empty() && !early.status.success(), "{line}");
    assert!(String::from_utf8_lossy(&early.stderr).contains("BOTHWAYS_KEY"), "{early:?}");
    let planned = shop.run(&["plan", "desk-people"]).await;
    assert!(planned.code != 0 && planned.err.contains("BOTHWAYS_KEY"), "{planned:?}");
    shop.set("BOTHWAYS_KEY", Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    let planned = shop.run(&["plan", "desk-people"]).await;
    assert!(planned.code != 0 && planned.err.contains("bothways login desk"), "{planned:?}");

    let (mut child, line) = shop.ask(&["login", "desk"]).await;
    let url = Url::parse(&line).expect("an address to open");
    let field = |name: &str| url.query_pairs().find(|(n, _)| n == name).expect("it is there").1.into_owned();
    assert_eq!((url.host_str(), field("client_id").as_str()), (Some("desk.example"), "bothways"));
    let back = |state: &str| {
        let query = [("code", "c-1"), ("state", state)];
        reqwest::get(Url::parse_with_params(&field("redirect_uri"), query).expect("an address"))
    };
    let forged = back("somebody-elses").await.expect("an answer");
    assert_eq!(
        (forged.status().as_u16(), desk.lock().unwrap().grants),
        (404, 0),
        "nothing is redeemed for it"
    );
    let answer = back(&field("state")).await.expect("an answer").text().await.expect("text");
    assert!(answer.contains("is let in"), "{answer}");
    assert_eq!(child.wait().await.expect("it ends").code(), Some(0));

    shop.run(&["plan", "desk-people"]).await.ended(0);
    assert_eq!(desk.lock().unwrap().seen, ["Bearer access-2"], "its first token had ended");
    shop.run(&["plan", "desk-people"]).await.ended(0);
    assert_eq!(desk.lock().unwrap().seen.len(), 2, "the next process goes on with the same");
    let stored = shop.sql("SELECT key || sealed || origin FROM bothways_credentials").await.expect("kept");
    assert!(!stored.contains("refresh-") && !stored.contains("access-"), "{stored}");

    let other = shop.run(&["login", "stripe"]).await;
    assert!(other.code != 0 && other.err.contains("nobody has to log in"), "{other:?}");
    serving.abort();
}
