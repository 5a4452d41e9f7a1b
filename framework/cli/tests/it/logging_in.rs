//! `login`: a browser is sent to a service and comes back, and what that gives is kept encrypted.

use crate::service::{Answer, Asked, serve};
use crate::shop::{DESK_MAPPING, Shop};
use reqwest::Url;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// What its tokens begin with.
const ACCESS: &str = "access-of-the-desk-";
const REFRESH: &str = "refresh-of-the-desk-";
/// What it gives a browser.
const CODE: &str = "code-of-the-desk-1";
const CLIENT_SECRET: &str = "client-secret-of-the-desk";

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
                field("code").as_deref() == Some(CODE)
                    && field("client_secret").as_deref() == Some(CLIENT_SECRET)
                    && field("code_verifier").is_some_and(|v| v.len() == 64)
            }
            Some("refresh_token") => field("refresh_token") == Some(format!("{REFRESH}{}", self.grants)),
            _ => false,
        };
        if !good {
            return (400, json!({ "error": "invalid_grant" }));
        }
        self.grants += 1;
        let n = self.grants;
        (200, json!({ "access_token": format!("{ACCESS}{n}"), "refresh_token": format!("{REFRESH}{n}") }))
    }

    fn people(&mut self, bearer: &str) -> (u16, Json) {
        // The token of a login soon ends.
        if bearer != format!("Bearer {ACCESS}{}", self.grants) || self.grants < 2 {
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
vars: { url: {}, client_id: {}, client_secret: { secret: true } }
http:
  base_url: ${url}
  auth: { oauth2: { token_url: "${url}/token", authorize_url: "https://desk.example/authorize", client_id: "${client_id}", client_secret: "${client_secret}", client_auth: body } }
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
    shop.set("DESK_CLIENT_SECRET", Some(CLIENT_SECRET));
    // Everything that can be said of ours is said.
    shop.set("BOTHWAYS_LOG", Some("warn,bothways=trace"));
    [ACCESS, REFRESH, CODE].iter().for_each(|secret| shop.keeps(secret));
    // Nobody is sent to a browser for a token that could not be kept.
    let early = shop.run(&["login", "desk"]).await;
    assert!(early.code != 0 && early.out.is_empty(), "{early:?}");
    shop.run(&["migrate"]).await.ended(0);
    let asking = shop.ask(&["login", "desk"]).await;
    assert!(asking.line.is_empty(), "{}", asking.line);
    let early = asking.ends().await;
    assert!(early.code != 0 && early.err.contains("BOTHWAYS_KEY"), "{early:?}");
    let planned = shop.run(&["plan", "desk-people"]).await;
    assert!(planned.code != 0 && planned.err.contains("BOTHWAYS_KEY"), "{planned:?}");
    shop.set("BOTHWAYS_KEY", Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    let planned = shop.run(&["plan", "desk-people"]).await;
    assert!(planned.code != 0 && planned.err.contains("bothways login desk"), "{planned:?}");

    let asking = shop.ask(&["login", "desk"]).await;
    let url = Url::parse(&asking.line).expect("an address to open");
    let field = |name: &str| url.query_pairs().find(|(n, _)| n == name).expect("it is there").1.into_owned();
    assert_eq!((url.host_str(), field("client_id").as_str()), (Some("desk.example"), "bothways"));
    let back = |state: &str| {
        let query = [("code", CODE), ("state", state)];
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
    asking.ends().await.ended(0);

    shop.run(&["plan", "desk-people"]).await.ended(0);
    assert_eq!(desk.lock().unwrap().seen, [format!("Bearer {ACCESS}2")], "its first token had ended");
    shop.run(&["plan", "desk-people"]).await.ended(0);
    assert_eq!(desk.lock().unwrap().seen.len(), 2, "the next process goes on with the same");
    let stored = shop.sql("SELECT key || sealed || origin FROM bothways_credentials").await.expect("kept");
    assert!(!stored.contains(REFRESH) && !stored.contains(ACCESS), "{stored}");

    let other = shop.run(&["login", "stripe"]).await;
    assert!(other.code != 0 && other.err.contains("nobody has to log in"), "{other:?}");
    serving.abort();
}
