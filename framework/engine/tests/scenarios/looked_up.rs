//! Names for ids under a running engine: the list that has them changes, and what it does not say is parked, never guessed.

use crate::harness::service::{Service, ServiceWorld};
use bothways_model::{Method, Request, Response, Timestamp, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DOCUMENTS: &str = r#"
connector: pipe
http: { base_url: "https://pipe.example" }
lists: { items: $.data }
resources:
  stages: { id: $.id, list: GET /stages }
  deals:
    id: $.id
    list: GET /deals
    get: GET /deals/{id}
    find: { $.title: { call: "GET /deals?title={value}", consistent: true } }
    create: POST /deals
    update: PATCH /deals/{id}
    lookups: { $.stage: { from: $.stage_id, resource: stages, name: $.label } }
---
{ catalog: deals, table: deals, key: id, fields: { id: int, title: text, stage: text? } }
---
mapping: deals
local: deals
remote: pipe/deals
identity: { match: [title] }
fields: { title: $.title, stage: $.stage }
sync: { reconcile: 5m }
"#;

#[derive(Default)]
struct Pipe {
    stages: Vec<(u64, &'static str)>,
    deals: Vec<Json>,
}

impl Service for Pipe {
    fn answer(&mut self, request: &Request, _: Timestamp) -> Response {
        let url = url::Url::parse(&request.url).expect("URLs are absolute");
        let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
        let set = |deal: &mut Json| {
            for (name, value) in body.as_object().into_iter().flatten() {
                assert!(["title", "stage_id"].contains(&name.as_str()), "the service knows no `{name}`");
                deal[name] = value.clone();
            }
        };
        let title = url.query_pairs().find(|(name, _)| name == "title").map(|(_, value)| value.into_owned());
        let one = url.path().strip_prefix("/deals/").and_then(|id| id.parse::<usize>().ok());
        match (request.method, one) {
            (Method::Post, _) => {
                let mut deal = json!({ "id": self.deals.len(), "stage_id": null });
                set(&mut deal);
                self.deals.push(deal.clone());
                Response::json(201, &deal)
            }
            (method, Some(id)) => {
                let deal = &mut self.deals[id];
                if method == Method::Patch {
                    set(deal);
                }
                Response::json(200, deal)
            }
            _ if url.path() == "/stages" => {
                let stages: Vec<Json> =
                    self.stages.iter().map(|(id, label)| json!({ "id": id, "label": label })).collect();
                Response::json(200, &json!({ "data": stages }))
            }
            _ => {
                let shown =
                    self.deals.iter().filter(|deal| title.as_ref().is_none_or(|t| deal["title"] == **t));
                Response::json(200, &json!({ "data": shown.collect::<Vec<_>>() }))
            }
        }
    }
}

type World = ServiceWorld<Pipe>;

async fn stage_here(world: &World, title: &str) -> Option<String> {
    match world.row_with("title", title).await?.fields.get("stage") {
        Some(Value::Text(stage)) => Some(stage.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_names_changes_under_a_running_engine() {
    let world: World = ServiceWorld::stopped(DOCUMENTS, &[], Pipe::default()).await;
    world.there(|pipe| {
        pipe.stages = vec![(1, "New"), (2, "Won")];
        pipe.deals = vec![json!({ "id": 0, "title": "A", "stage_id": 1 })];
    });
    world.insert(&[("id", "1"), ("title", "B"), ("stage", "Won")]);
    world.start().await;
    world
        .until("first contact", 10 * MINUTE, async |w: &World| {
            stage_here(w, "A").await.as_deref() == Some("New")
                && w.there(|pipe| pipe.deals.len() == 2 && pipe.deals[1]["stage_id"] == 2)
        })
        .await;

    // A stage gets another name, and its old name becomes another stage's: the row follows, and the name means what it means now.
    world.there(|pipe| pipe.stages = vec![(1, "Fresh"), (2, "Won"), (3, "New")]);
    world
        .until("the row follows", 10 * MINUTE, async |w: &World| {
            stage_here(w, "A").await.as_deref() == Some("Fresh")
        })
        .await;
    let a = world.row_with("title", "A").await.expect("it is here").id;
    let b = world.row_with("title", "B").await.expect("it is here").id;
    world.update(&a, &[("stage", "New")]);
    world.until("it is sent", MINUTE, async |w: &World| w.there(|pipe| pipe.deals[0]["stage_id"] == 3)).await;

    // A name that no stage has is parked with what to do; once it is done, a person has it tried again.
    world.update(&b, &[("stage", "Paid")]);
    world.until("it is parked", MINUTE, async |w: &World| !w.parked().await.is_empty()).await;
    let parked = world.parked().await;
    let why = parked[0].parked.clone().expect("it is parked").message;
    assert!(
        why.contains("`stages`") && why.contains("add it at the service") && !why.contains("Paid"),
        "{why}"
    );
    world.there(|pipe| pipe.stages.push((4, "Paid")));
    world.ops.replay(&parked[0].id.0.to_string(), "test").await.expect("it is tried again");
    world.until("it is sent", MINUTE, async |w: &World| w.there(|pipe| pipe.deals[1]["stage_id"] == 4)).await;
    assert_eq!(world.parked().await, []);

    // A record with an id that the list does not show: neither a guess nor a null arrives.
    world.there(|pipe| pipe.deals[1]["stage_id"] = json!(9));
    world.until("it is parked", 20 * MINUTE, async |w: &World| !w.parked().await.is_empty()).await;
    let why = world.parked().await[0].parked.clone().expect("it is parked").message;
    assert!(why.contains("does not show") && why.contains("$.stage_id"), "{why}");
    assert_eq!(stage_here(&world, "B").await.as_deref(), Some("Paid"));
    assert_eq!(world.there(|pipe| pipe.deals[1]["stage_id"].clone()), 9);
}
