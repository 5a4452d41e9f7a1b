//! What the API answers holds no secret, whatever it is asked; what it says went wrong, and what it measures, holds nothing of a record
//! either. Every operation of the real program's own `/openapi.json` is asked: rightly, with bodies that are refused, without a token and
//! with a wrong one.

use crate::real::canaries::{CANARY, assert_keeps, assert_silent};
use crate::real::installation::{Installation, WEBHOOKS_ALONE};
use crate::real::patience::SOON;
use crate::real::peer::{KEY, Peer};
use crate::real::sides::wait_until_in_step;
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};

const TOKEN: &str = "bw_kanari_token_of_the_answers";
const WRONG: &str = "bw_kanari_token_that_nobody_has";
/// What is too long to be waited for: it goes on until somebody hangs up.
const ENDLESS: &str = "/api/events";

/// Everything that can be asked of a path, with the names of what is there.
fn paths(path: &str, remote: &str) -> Vec<String> {
    let with = |name: &str, id: &str| {
        let named = path.replace("{name}", "stripe-customers").replace("{mapping}", "stripe-customers");
        let named = named.replace("{catalog}", name).replace("{file}", "page.css");
        let parts = named.split('/').map(|part| if part.starts_with('{') { id } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    vec![with("customers", "1"), with("customers", remote), with("nothing", "nobody")]
}

#[tokio::test]
async fn no_answer_of_the_program_gives_a_secret_away_and_no_error_a_record() {
    let mut installation = Installation::new(WEBHOOKS_ALONE);
    let peer = Peer::sandbox(installation.folder()).await;
    installation.connect_with_webhooks(&peer).await;
    installation.set("BOTHWAYS_TOKEN", TOKEN);
    let mut running = installation.run().await;
    let table = installation.table().await;
    let email = format!("{CANARY}@example.com");
    let remote = peer.create(&[("name", &format!("{CANARY} there")), ("email", &email)]).await;
    table.insert(&format!("{CANARY} here"), "somebody@example.com").await;
    wait_until_in_step(&table, &peer, 2, SOON).await;
    let base = running.page().await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let document =
        client.get(format!("{base}/openapi.json")).bearer_auth(TOKEN).send().await.expect("an answer");
    let document: Json = serde_json::from_str(&document.text().await.expect("a text")).expect("a document");

    let refused = [json!({ "name": { CANARY: email } }), json!({ "email": [email] }), json!([CANARY])];
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, _) in operations.as_object().expect("operations").iter().filter(|_| path != ENDLESS) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            for real in paths(path, &remote) {
                let request = || client.request(method.clone(), format!("{base}{real}"));
                let mut requests = vec![request(), request().bearer_auth(WRONG)];
                // A deleted record is nothing to ask about any more.
                if method != Method::DELETE {
                    requests.push(request().bearer_auth(TOKEN));
                }
                for body in refused.iter().filter(|_| method != Method::DELETE) {
                    let json = request().bearer_auth(TOKEN).header("content-type", "application/json");
                    requests.push(json.body(body.to_string()));
                }
                for request in requests {
                    let answer = request.send().await.expect("an answer");
                    let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
                    let body = answer.bytes().await.expect("a body");
                    let all = format!("{headers}\n{}", String::from_utf8_lossy(&body));
                    let what = format!("{method} {real}, which answers {status},");
                    assert_keeps(&what, &all, &[KEY, TOKEN, WRONG, "whsec_"]);
                    if !status.is_success() && !status.is_redirection() {
                        assert_silent(&what, &all);
                    }
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 500, "only {asked} answers were searched");
    for path in ["/metrics", "/api/mappings/stripe-customers/plan"] {
        let answer = client.get(format!("{base}{path}")).bearer_auth(TOKEN).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        assert_silent(path, &answer.text().await.expect("a text"));
    }
    let forged = client.post(installation.hooks_url()).header("stripe-signature", format!("t=1,v1={CANARY}"));
    let forged = forged.body(json!({ "id": CANARY }).to_string()).send().await.expect("an answer");
    assert_eq!(forged.status(), 401);
    assert_silent("the answer to a forged webhook", &format!("{:?}", forged.headers()));
}
