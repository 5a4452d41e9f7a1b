//! Where webhooks come in: at the path that the connector's document says.

use crate::shop::{DESK_MAPPING, Shop};
use reqwest::Client;

const DESK: &str = r#"connector: desk
vars: { url: {}, secret: { secret: true } }
http: { base_url: "${url}", auth: none }
lists: { items: $.items }
events: { id: $.id, type: $.type, object: $.data, webhook: { path: /in/desk, verify: { token: { header: X-Token, value: "${secret}" } } } }
resources:
  people: { id: $.id, list: GET /people, get: "GET /people/{id}", update: "PATCH /people/{id}", events: { changed: upsert } }
"#;

const SECRET: &str = "of-the-desk-of-the-desk-of-the-desk";

#[tokio::test]
async fn webhooks_come_in_where_the_document_says() {
    let mut shop = Shop::with_table().await;
    shop.write("mappings/desk.yaml", DESK);
    shop.write("mappings/desk-people.yaml", DESK_MAPPING);
    shop.set("DESK_URL", Some("http://127.0.0.1:9"));
    shop.set("DESK_SECRET", Some(SECRET));
    shop.run(&["migrate"]).await.ended(0);
    let engine = shop.start(&[]);
    let said = engine.says("ready").await;
    let line = said.lines().find(|line| line.starts_with("webhooks    http")).expect("said");
    assert!(line.ends_with("/in/desk"), "{said}");
    let base = engine.base("webhooks    http").replacen(':', "http:", 1);
    let status = async |path: &str, token: &str| {
        let sent = Client::new()
            .post(format!("{base}{path}"))
            .header("x-token", token)
            .body(r#"{"id":"1","type":"other","data":{}}"#);
        sent.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status("/in/desk", SECRET).await, 204);
    for (path, token) in
        [("/in/desk", "forged"), ("/hooks/desk", SECRET), ("/in/nobody", SECRET), ("/in/desk/x", SECRET)]
    {
        assert_eq!(status(path, token).await, 401, "{path}");
    }
    engine.stop().await;

    // Two cannot share a path: whose deliveries they are could not be told.
    for taken in ["/hooks/stripe", "/healthz"] {
        shop.write("mappings/desk.yaml", &DESK.replace("/in/desk", taken));
        shop.set("STRIPE_WEBHOOK_SECRET", Some("whsec_of_the_shop_of_the_shop"));
        let ran = shop.run(&["run", "--listen", "127.0.0.1:0", "--hooks-listen", "127.0.0.1:0"]).await;
        assert!(ran.code != 0 && ran.err.contains("`desk`") && ran.err.contains(taken), "{ran:?}");
    }
}
