//! What somebody changes between our read and our write, at services that compare versions and at services that take whole records: what
//! the mapping does not know is nobody's to lose.

use crate::harness::CATALOG;
use crate::shop::Scene;
use bothways_model::{Method, Value};
use bothways_store::{HistoryFilter, HistoryOp, IntentState, Operator, ParkReason};
use std::time::Duration;

const PATCH_IF_MATCH: &str = "{ call: \"PATCH /items/{id}\", if_match: { header: If-Match } }";
const PUT_IF_MATCH: &str = "{ call: \"PUT /items/{id}\", sends: whole, if_match: { header: If-Match } }";
const PUT: &str = "{ call: \"PUT /items/{id}\", sends: whole }";

const MAPPING: &str = r#"
mapping: shop-items
local: customers
remote: shop/items
identity: { match: [email] }
fields: { email: $.email, name: $.name, phone: $.phone }
conflicts: { winner: remote }
"#;

async fn scene(update: &str) -> Scene {
    let scene = Scene::new(
        update,
        CATALOG,
        MAPPING,
        &[("email", "ann@example.com"), ("name", "Ann"), ("phone", "1")],
    )
    .await;
    // Nothing of ours: `note` is not mapped.
    scene.shop().edit(("note", "theirs"));
    scene.shop().asked.clear();
    scene
}

const HERE: [(&str, &str); 1] = [("name", "Here")];

#[tokio::test(start_paused = true)]
async fn a_conditional_update_that_was_overtaken_is_decided_anew() {
    let scene = scene(PATCH_IF_MATCH).await;
    scene.shop().before_write = Some(("name", "There"));
    scene.update(&HERE).await;
    assert_eq!(scene.item("name"), "There", "the remote side wins, and was there first");
    assert_eq!(scene.local("name").await, "There");
    assert_eq!(scene.intents().await, [IntentState::Refused]);
    // Whether it was its own first copy that overtook it, and what to do now.
    assert_eq!(scene.shop().asked, [Method::Get, Method::Patch, Method::Get, Method::Get]);
}

#[tokio::test(start_paused = true)]
async fn a_conditional_update_needs_no_second_read() {
    let scene = scene(PATCH_IF_MATCH).await;
    scene.update(&HERE).await;
    assert_eq!(scene.shop().asked, [Method::Get, Method::Patch]);
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs".into()));
}

#[tokio::test(start_paused = true)]
async fn a_whole_record_keeps_what_somebody_changed_beside_the_mapping_while_it_was_under_way() {
    let scene = scene(PUT_IF_MATCH).await;
    scene.shop().before_write = Some(("note", "theirs, newer"));
    scene.update(&HERE).await;
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Refused, IntentState::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_whole_record_that_no_version_guards_is_read_once_more_before_it_goes_out() {
    let scene = scene(PUT).await;
    scene.shop().after_read = Some(("note", "theirs, newer"));
    scene.update(&HERE).await;
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Refused, IntentState::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_conditional_update_that_is_stale_by_now_is_resolved_by_a_look() {
    for update in [PATCH_IF_MATCH, PUT_IF_MATCH] {
        let scene = scene(update).await;
        scene.shop().lose = Some(("note", "theirs, newer"));
        scene.update(&HERE).await;
        assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
        assert_eq!(scene.intents().await, [IntentState::Refused, IntentState::Confirmed]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_whole_record_that_no_version_guards_is_never_sent_again_as_it_was() {
    let scene = scene(PUT).await;
    scene.shop().lose = Some(("note", "theirs, newer"));
    scene.update(&HERE).await;
    assert_eq!((scene.item("name"), scene.item("note")), ("Here".into(), "theirs, newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Abandoned, IntentState::Confirmed]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_agrees_with_a_version_is_not_asked_for_ever() {
    let scene = scene(PATCH_IF_MATCH).await;
    scene.shop().never_matches = true;
    scene.update(&HERE).await;
    let parked = scene.world.parked().await;
    let reason = parked.first().and_then(|work| work.parked.as_ref()).map(|parked| parked.reason);
    assert_eq!(reason, Some(ParkReason::Error));
    let writes = scene.shop().asked.iter().filter(|method| **method == Method::Patch).count();
    assert_eq!(writes, 10);
    assert_eq!(scene.item("name"), "Ann");
}

/// The network delivered it twice: the second copy is refused, and only that answer comes back.
#[tokio::test(start_paused = true)]
async fn a_conditional_update_that_its_own_first_copy_overtook_was_carried_out() {
    let scene = scene(PATCH_IF_MATCH).await;
    scene.shop().before_write = Some(("name", "Here"));
    scene.update(&HERE).await;
    assert_eq!((scene.item("name"), scene.local("name").await), ("Here".into(), "Here".into()));
    assert_eq!(scene.intents().await, [IntentState::Confirmed]);
    let filter = HistoryFilter::default();
    let history = scene.world.store.history(&filter, None, 10).await.unwrap();
    let named = history
        .iter()
        .filter(|row| row.entry.op == HistoryOp::Update)
        .find_map(|row| row.entry.fields.get("name"))
        .expect("history names it");
    assert_eq!(named.before, Some(Value::Text("Ann".into())), "{history:?}");
}

/// As above, and the look that would tell so fails: until one succeeds, nobody knows. A user goes on meanwhile.
#[tokio::test(start_paused = true)]
async fn a_conditional_update_that_may_have_overtaken_itself_is_uncertain_until_the_record_is_read() {
    let scene = scene(PATCH_IF_MATCH).await;
    scene.shop().before_write = Some(("name", "Here"));
    scene.shop().garbles = true;
    scene.world.update(&scene.row, &HERE);
    while !scene.shop().asked.contains(&Method::Patch) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    scene.update(&[("name", "Newer")]).await;
    assert_eq!((scene.item("name"), scene.local("name").await), ("Newer".into(), "Newer".into()));
    assert_eq!(scene.intents().await, [IntentState::Confirmed, IntentState::Confirmed]);
}
