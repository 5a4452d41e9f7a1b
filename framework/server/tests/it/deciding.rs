//! All conflicts of a mapping decided at once, in the API and on the page (rule 18).

use crate::mapped;
use crate::world::World;
use axum::http::StatusCode;
use bothways_engine::stored::TokenScope;
use bothways_store::{LinkFilter, Links, Unit};
use serde_json::json;

/// So many records whose names differ, as an adoption leaves them.
async fn adopted(count: usize) -> World {
    let world = mapped::world(None, None).await;
    let mut units: Vec<Unit> = Vec::new();
    for n in 0..count {
        let (here, there) = (format!("<i>Here {n}"), format!("There {n}"));
        units.push(world.claim(&n.to_string(), &format!("r{n}"), &[("name", &here, &there)]).await.1);
    }
    world.store.commit(bothways_engine::Clock::now(&*world.clock), &units).await.unwrap();
    world
}

async fn decided(world: &World) -> usize {
    let links = world.store.links(&LinkFilter::default(), None, 100_000).await.unwrap();
    links.iter().filter(|link| link.body.has_choice()).count()
}

const SET: &str = "/api/mappings/elsewhere-things/conflicts";
const RESOLVE: &str = "/api/mappings/elsewhere-things/conflicts/resolve";

#[tokio::test]
async fn five_thousand_differing_names_take_one_request() {
    const COUNT: usize = 5_000;
    let world = adopted(COUNT).await;
    let set = world.call("GET", &format!("{SET}?field=name")).send().await.json();
    assert_eq!(
        (&set["mapping"], &set["count"], &set["fields"], &set["more"]),
        (&json!(mapped::MAPPING), &json!(COUNT), &json!({ "name": COUNT }), &json!(false))
    );
    let body = json!({ "keep": "local", "field": "name", "digest": set["digest"] });
    let answer = world.call("POST", RESOLVE).json(&body).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json(), json!({ "decided": COUNT, "left_out": 0 }));
    assert_eq!(decided(&world).await, COUNT);
    let audit = world.call("GET", "/api/audit?limit=5").send().await.json();
    let deeds: Vec<_> =
        audit["entries"].as_array().unwrap().iter().filter(|e| e["action"] == "resolve-all").collect();
    assert_eq!(deeds.len(), 1, "{audit}");
    assert_eq!(
        (&deeds[0]["by"], &deeds[0]["detail"]["digest"], &deeds[0]["detail"]["count"]),
        (&json!("admin"), &set["digest"], &json!(COUNT))
    );
    assert_eq!(world.call("GET", SET).send().await.json()["count"], 0, "what is decided waits for nobody");
    assert_eq!(world.call("POST", RESOLVE).json(&body).send().await.problem(), "refused");
}

#[tokio::test]
async fn a_set_that_nobody_was_shown_is_not_decided() {
    let world = adopted(2).await;
    let set = world.call("GET", SET).send().await.json();
    let decide = |body| world.call("POST", RESOLVE).json(&body).send();
    assert_eq!(decide(json!({ "keep": "local" })).await.problem(), "malformed");
    assert_eq!(decide(json!({ "digest": set["digest"] })).await.problem(), "malformed");
    assert_eq!(decide(json!({ "keep": "both", "digest": set["digest"] })).await.problem(), "malformed");
    assert_eq!(decide(json!({ "keep": "local", "digest": "0123" })).await.problem(), "refused");
    let unknown = decide(json!({ "keep": "local", "field": "nmae", "digest": set["digest"] })).await;
    assert_eq!(unknown.problem(), "not_found");
    world.link("3", "r3", &[("note", "a", "b")]).await;
    assert_eq!(decide(json!({ "keep": "local", "digest": set["digest"] })).await.problem(), "refused");
    assert_eq!(decided(&world).await, 0);
    assert_eq!(world.call("GET", "/api/mappings/none/conflicts").send().await.problem(), "not_found");
    for (scope, status) in [(TokenScope::Read, StatusCode::FORBIDDEN), (TokenScope::Operate, StatusCode::OK)]
    {
        let secret = format!("a-secret-of-somebody-who-may-{}", scope.as_str());
        world.token(scope.as_str(), &secret, scope, None).await;
        let bearer = format!("Bearer {secret}");
        let shown = world.request("GET", SET).header("authorization", &bearer).send().await.json();
        assert_eq!(shown["fields"], json!({ "name": 2, "note": 1 }));
        let body = json!({ "keep": "remote", "digest": shown["digest"] });
        let answer = world.request("POST", RESOLVE).header("authorization", &bearer).json(&body).send().await;
        assert_eq!(answer.status, status, "{scope:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_page_says_how_many_before_it_decides_them() {
    let world = adopted(3).await;
    world.link("7", "r7", &[("note", "a", "b")]).await;
    let browser = world.browser().await;
    let waiting = browser.page("/waiting").await;
    assert!(waiting.contains("Decide all 4 at once"), "{waiting}");
    assert!(waiting.contains("href=\"/conflicts/elsewhere-things\""), "{waiting}");
    let all = browser.page("/conflicts/elsewhere-things").await;
    assert!(all.contains("Keep ours in exactly these 4"), "{all}");
    assert!(all.contains("href=\"/conflicts/elsewhere-things?field=note\""), "{all}");
    let names = browser.page("/conflicts/elsewhere-things?field=name").await;
    assert!(names.contains("Keep elsewhere's in exactly these 3"), "{names}");
    let digest = |page: &str| {
        page.split_once("name=\"digest\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned()
    };
    let decide = async |digest: &str, keep: &str| {
        let form = [("digest", digest), ("field", "name"), ("keep", keep)];
        browser.submit("/conflicts/elsewhere-things/resolve", &form).await
    };
    // One more differs by the time somebody presses the button.
    world.link("8", "r8", &[("name", "a", "b")]).await;
    let stale = decide(&digest(&names), "remote").await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(
        stale.text.contains("other conflicts") && stale.text.contains("exactly these 4"),
        "{}",
        stale.text
    );
    assert_eq!(decided(&world).await, 0);
    assert_eq!(decide(&digest(&stale.text), "neither").await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let done = decide(&digest(&stale.text), "remote").await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/waiting"), "{}", done.text);
    assert_eq!(decided(&world).await, 4);
    let over = browser.page("/conflicts/elsewhere-things?field=name").await;
    assert!(over.contains("No conflict of elsewhere-things waits"), "{over}");
    let unknown = browser.request("GET", "/conflicts/elsewhere-things?field=%3Ci%3E").send().await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(!unknown.text.contains("<i>"), "{}", unknown.text);
}
