//! Brakes in the API and on the page: seen, approved as the set they are, by whoever may (rule 63; S9).

use crate::world::World;
use axum::http::StatusCode;
use bothways_engine::Clock;
use bothways_engine::stored::TokenScope;
use bothways_store::{BrakeKind, BrakeName, Brakes, Charge, ChargeKey, Limit};
use serde_json::json;

/// A world whose brake on deletes withholds two links.
async fn braked() -> World {
    let world = World::new().await;
    for (local, remote) in [("1", "r1"), ("2", "<script>r2")] {
        let link = world.link(local, remote, &[]).await;
        withhold(&world, ChargeKey::Link(link)).await;
    }
    world
}

async fn withhold(world: &World, key: ChargeKey) {
    let brake = BrakeName { pair: world.pair().await, kind: BrakeKind::Deletes, part: String::new() };
    let now = world.clock.now();
    let what = "delete the record at the service".to_owned();
    let charge = Charge { brake, key, what, limit: Limit::flat(0), since: now, ripening: None };
    world.store.charge(now, &charge).await.unwrap();
}

#[tokio::test]
async fn brakes_are_listed_shown_and_approved_as_a_set() {
    let world = braked().await;
    let status = world.call("GET", "/api/status").send().await.json();
    assert_eq!(
        (&status["brakes"][0]["kind"], &status["brakes"][0]["withheld"]),
        (&json!("deletes"), &json!(2))
    );
    let list = world.call("GET", "/api/brakes").send().await.json();
    let id = list["brakes"][0]["id"].as_str().unwrap().to_owned();
    let first = world.call("GET", &format!("/api/brakes/{id}?limit=1")).send().await.json();
    assert_eq!(first["records"][0]["what"], "delete the record at the service");
    let next = first["next"].as_str().unwrap().to_owned();
    let second = world.call("GET", &format!("/api/brakes/{id}?limit=1&after={next}")).send().await.json();
    assert_ne!(first["records"][0]["key"], second["records"][0]["key"]);
    let last = second["next"].as_str().unwrap();
    let rest = world.call("GET", &format!("/api/brakes/{id}?limit=1&after={last}")).send().await.json();
    assert_eq!((&rest["records"], &rest["next"]), (&json!([]), &json!(null)));

    let set = first["brake"]["set"].as_str().unwrap().to_owned();
    let approve = |body| world.call("POST", &format!("/api/brakes/{id}/approve")).json(&body).send();
    for (other, code) in [
        (json!({ "set": "0123", "count": 2 }), "refused"),
        (json!({ "set": set, "count": 3 }), "refused"),
        (json!({ "set": set, "count": 2, "expires_seconds": 100_000 }), "refused"),
        (json!({ "set": set }), "malformed"),
    ] {
        assert_eq!(approve(other.clone()).await.problem(), code, "{other}");
    }
    let yes = approve(json!({ "set": set, "count": 2, "expires_seconds": 60, "why": "they left" })).await;
    assert_eq!(yes.status, StatusCode::OK, "{}", yes.text);
    assert!(yes.json()["until"].as_str().is_some());
    let after = world.call("GET", &format!("/api/brakes/{id}")).send().await.json();
    assert_eq!((&after["brake"]["approved"], &after["brake"]["open"]), (&json!(2), &json!(0)));
    assert!(after["records"][0]["approved_by"].as_str().is_some());
    assert_eq!(world.call("GET", "/api/brakes/brake-77").send().await.problem(), "not_found");
}

#[tokio::test]
async fn p11_a_side_that_lists_nothing_is_told_on_every_page() {
    let world = World::new().await;
    let pair = world.pair().await;
    let brake = BrakeName { pair, kind: BrakeKind::Empty, part: "remote".into() };
    let now = world.clock.now();
    let what = "go on with a full pass".to_owned();
    let charge =
        Charge { brake, key: ChargeKey::Pass, what, limit: Limit::flat(0), since: now, ripening: None };
    world.store.charge(now, &charge).await.unwrap();
    let browser = world.browser().await;
    let status = browser.page("/status").await;
    assert!(
        status.contains("was stopped:</strong> the remote side lists nothing although links exist"),
        "{status}"
    );
    let other = browser.page("/history").await;
    assert!(
        other.contains("<span class=\"count\">1<span class=\"hidden\"> withheld</span></span>"),
        "{other}"
    );
    let page = browser.page("/brakes/brake-1").await;
    assert!(page.contains("Go on although it lists nothing"), "{page}");
}

#[tokio::test]
async fn only_who_may_approve_lifts_a_brake() {
    let world = braked().await;
    let id =
        world.call("GET", "/api/brakes").send().await.json()["brakes"][0]["id"].as_str().unwrap().to_owned();
    let shown = world.call("GET", &format!("/api/brakes/{id}")).send().await.json();
    let body = json!({ "set": shown["brake"]["set"], "count": 2 });
    let path = format!("/api/brakes/{id}/approve");
    for (scope, status) in [
        (TokenScope::Read, StatusCode::FORBIDDEN),
        (TokenScope::Operate, StatusCode::FORBIDDEN),
        (TokenScope::Approve, StatusCode::OK),
    ] {
        let secret = format!("a-secret-of-somebody-who-may-{}", scope.as_str());
        world.token(scope.as_str(), &secret, scope, None).await;
        let call = world.request("POST", &path).header("authorization", &format!("Bearer {secret}"));
        let answer = call.json(&body).send().await;
        assert_eq!(answer.status, status, "{scope:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_page_shows_exactly_what_would_happen_and_approves_that() {
    let world = braked().await;
    let browser = world.browser().await;
    let status = browser.page("/status").await;
    assert!(status.contains("Withheld: 2 deletes"), "{status}");
    let id =
        world.call("GET", "/api/brakes").send().await.json()["brakes"][0]["id"].as_str().unwrap().to_owned();
    let page = browser.page(&format!("/brakes/{id}")).await;
    assert!(
        page.contains("Let exactly these 2 happen") && page.contains("delete the record at the service"),
        "{page}"
    );
    assert!(!page.contains("<script>r2"), "what the service says is text");
    let set = page.split_once("name=\"set\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    // One more is withheld by the time somebody presses the button.
    withhold(&world, ChargeKey::Row("9".into())).await;
    let stale = browser.submit(&format!("/brakes/{id}/approve"), &[("set", &set), ("count", "2")]).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert!(
        stale.text.contains("another set") && stale.text.contains("Let exactly these 3 happen"),
        "{}",
        stale.text
    );
    let set = stale.text.split_once("name=\"set\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let done = browser
        .submit(&format!("/brakes/{id}/approve"), &[("set", &set), ("count", "3"), ("why", "ok")])
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let page = browser.page(&format!("/brakes/{id}")).await;
    assert!(page.contains("All of it is approved"), "{page}");
}
