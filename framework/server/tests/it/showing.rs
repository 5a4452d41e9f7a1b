//! The page: everything shown stays text, forms work without the script, and only what a person changed is written.

use crate::world::World;
use axum::http::StatusCode;
use bothways_engine::stored::{PauseScope, TokenScope};
use bothways_model::LocalId;
use serde_json::json;

const PAYLOAD: &str =
    "\"><script>alert('x')</script><img src=x onerror=alert(1)>{{7*7}}&lt;b&gt;</textarea></title>";

#[tokio::test]
async fn a_stored_payload_stays_text_in_every_displayed_field() {
    let world = World::new().await;
    let id = world.thing(PAYLOAD, PAYLOAD).await;
    let more = json!({ "more": { PAYLOAD: [PAYLOAD] } });
    world.records.update("things", &LocalId(id.clone()), more.as_object().unwrap()).await.unwrap();
    world.link(&id, PAYLOAD, &[(PAYLOAD, PAYLOAD, PAYLOAD)]).await;
    world.park(PAYLOAD).await;
    world.wrote(PAYLOAD, PAYLOAD, PAYLOAD).await;
    world.operations.pause(PauseScope::All, PAYLOAD, PAYLOAD).await.unwrap();
    world.token(PAYLOAD, "a-secret-of-somebody-with-an-odd-name", TokenScope::Read, None).await;
    let browser = world.browser().await;
    let query: String = url::form_urlencoded::byte_serialize(PAYLOAD.as_bytes()).collect();
    for path in [
        "/records/things".to_owned(),
        format!("/records/things?q={query}"),
        format!("/records/things/{id}"),
        format!("/records/things/{id}/explain"),
        "/waiting".to_owned(),
        format!("/waiting/{query}"),
        "/history".to_owned(),
        format!("/history?local_id={query}"),
        "/status".to_owned(),
    ] {
        let page = browser.page(&path).await;
        assert!(!page.contains("<script>alert"), "{path}");
        assert!(!page.contains("<img src=x"), "{path}");
        assert!(!page.contains("</textarea></title>"), "{path}");
        for tag in tags(&page) {
            assert!(!tag.contains(" onerror="), "{path}: <{tag}>");
        }
    }
    for path in ["/records/things", "/waiting", "/history"] {
        assert!(
            browser.page(path).await.contains("&#60;script&#62;alert"),
            "{path} shows the payload, as text"
        );
    }
    // Pages that say what is wrong repeat what was asked for.
    for path in [
        format!("/records/{query}"),
        format!("/records/things/{query}"),
        format!("/waiting/{query}"),
        format!("/login?token={query}"),
        format!("/{query}"),
        format!("/history?before={query}"),
    ] {
        let answer = browser.request("GET", &path).send().await;
        assert!(!answer.text.contains("<script>alert") && !answer.text.contains("<img src=x"), "{path}");
    }
    let odd = world
        .request("GET", "/status")
        .header("authorization", "Bearer a-secret-of-somebody-with-an-odd-name");
    let shown = odd.send().await.text;
    assert!(!shown.contains("<script>alert") && !shown.contains("<img src=x"), "a token's name");
    let answer = browser.submit("/records/things", &[("field.name", PAYLOAD), ("field.size", "huge")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!answer.text.contains("<script>alert") && answer.text.contains("&#60;script&#62;alert"));
}

/// The tags of a page, with the values of their attributes taken out.
fn tags(page: &str) -> Vec<String> {
    let unquoted = |tag: &str| tag.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    page.split('<').skip(1).map(|rest| unquoted(rest.split('>').next().unwrap_or_default())).collect()
}

#[tokio::test]
async fn no_page_has_script_or_style_of_its_own() {
    let world = World::new().await;
    let id = world.thing("Ada", "").await;
    let browser = world.browser().await;
    for path in [
        "/records/things",
        &format!("/records/things/{id}"),
        "/records/things/new",
        "/waiting",
        "/history",
        "/status",
        "/login",
    ] {
        let page = browser.page(path).await;
        assert!(
            !page.contains("<style") && !page.contains(" style=") && !page.contains("javascript:"),
            "{path}"
        );
        for (_, script) in page.match_indices("<script").map(|(at, _)| (at, &page[at..])) {
            let tag = &script[..script.find("</script>").unwrap()];
            assert!(tag.contains("src=\"/assets/") && tag.ends_with('>'), "{path}: {tag}");
        }
        for tag in tags(&page) {
            let handler =
                tag.split_whitespace().skip(1).any(|word| word.starts_with("on") && word.contains('='));
            assert!(!handler, "{path}: <{tag}");
        }
        for link in page.split("href=\"").skip(1) {
            assert!(
                link.starts_with('/') || link.starts_with('#'),
                "{path}: {}",
                &link[..link.len().min(40)]
            );
        }
    }
}

#[tokio::test]
async fn every_control_has_a_name_for_those_who_cannot_see_it() {
    let world = World::new().await;
    let id = world.thing("Ada", "").await;
    world.link(&id, "r1", &[("name", "a", "b")]).await;
    let browser = world.browser().await;
    for path in [
        "/records/things",
        &format!("/records/things/{id}"),
        "/records/things/new",
        "/waiting",
        "/history",
        "/login",
    ] {
        let page = browser.page(path).await;
        for tag in page.split('<').map(|rest| rest.split('>').next().unwrap_or_default()) {
            let control = ["input ", "select ", "textarea "].iter().any(|name| tag.starts_with(name));
            if !control || tag.contains("type=\"hidden\"") {
                continue;
            }
            let labelled = tag.contains("aria-label=\"") || tag.contains("type=\"radio\"");
            let id = tag.split("id=\"").nth(1).and_then(|rest| rest.split('"').next());
            let has_label = id.is_some_and(|id| page.contains(&format!("<label for=\"{id}\"")));
            assert!(labelled || has_label, "{path}: <{tag}>");
        }
        assert!(page.contains("<html lang=\"en\">") && page.contains("<main id=\"main\""), "{path}");
    }
}

#[tokio::test]
async fn a_record_is_added_edited_and_deleted_by_plain_forms() {
    let world = World::new().await;
    let browser = world.browser().await;
    let added = browser.submit("/records/things", &[("field.name", "Ada"), ("field.note", "")]).await;
    assert_eq!((added.status, added.header("location")), (StatusCode::SEE_OTHER, "/records/things/1"));
    assert!(browser.page("/records/things").await.contains("Ada"));
    // Meanwhile sync writes the note; the form still shows the old one.
    let synced = json!({ "note": "from elsewhere" });
    world.records.update("things", &LocalId::from("1"), synced.as_object().unwrap()).await.unwrap();
    let form = [("was.name", "Ada"), ("field.name", "Ada Lovelace"), ("was.note", ""), ("field.note", "")];
    let edited = browser.submit("/records/things/1", &form).await;
    assert_eq!(edited.status, StatusCode::SEE_OTHER);
    let row = world.records.get("things", &LocalId::from("1")).await.unwrap();
    assert_eq!(row.fields.get("name").unwrap().to_text(), "Ada Lovelace");
    assert_eq!(
        row.fields.get("note").unwrap().to_text(),
        "from elsewhere",
        "an untouched field is not written"
    );
    let deleted = browser.submit("/records/things/1/delete", &[]).await;
    assert_eq!((deleted.status, deleted.header("location")), (StatusCode::SEE_OTHER, "/records/things"));
    assert_eq!(world.records.count("things").await.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_and_says_why() {
    let world = World::new().await;
    let browser = world.browser().await;
    let answer = browser.submit("/records/things", &[("field.name", "Ada"), ("field.price", "cheap")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("role=\"alert\"") && answer.text.contains("`price`"));
    assert!(answer.text.contains("value=\"cheap\"") && answer.text.contains("value=\"Ada\""));
}

#[tokio::test]
async fn lists_are_searched_and_paged() {
    let world = World::new().await;
    for number in 1..=60 {
        world.thing(&format!("Person {number:02}"), "").await;
    }
    let browser = world.browser().await;
    let first = browser.page("/records/things").await;
    assert!(first.contains("Person 50") && !first.contains("Person 51"));
    assert!(first.contains("href=\"/records/things?after=50\""));
    let second = browser.page("/records/things?after=50").await;
    assert!(second.contains("Person 60") && !second.contains("Person 50"));
    let found = browser.page("/records/things?q=person+07").await;
    assert!(found.contains("Person 07") && !found.contains("Person 08"));
    assert!(browser.page("/records/things?q=nobody").await.contains("Nothing matches"));
}

#[tokio::test]
async fn a_decision_on_old_values_shows_the_new_ones() {
    let world = World::new().await;
    let link = world.link("1", "r1", &[("name", "value here", "value there")]).await;
    let browser = world.browser().await;
    let page = browser.page("/waiting").await;
    assert!(page.contains("value here") && page.contains("value there"));
    assert!(page.contains("<span class=\"count\">1<"));
    let form = [("digest", "0123456789abcdef"), ("choice.name", "local")];
    let answer = browser.submit(&format!("/waiting/{link}/resolve"), &form).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("role=\"alert\"") && answer.text.contains("value there"));
    let answer = browser.submit(&format!("/waiting/{link}/resolve"), &[]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "nothing was chosen");
}

#[tokio::test]
async fn empty_pages_say_what_will_be_there() {
    let world = World::new().await;
    let browser = world.browser().await;
    assert!(browser.page("/records/things").await.contains("Nothing here yet"));
    assert!(browser.page("/waiting").await.contains("Nothing waits for you"));
    assert!(browser.page("/history").await.contains("Nothing was written"));
    assert!(browser.page("/status").await.contains("No mapping is loaded"));
    assert_eq!(browser.request("GET", "/records/none").send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.request("GET", "/records/things/9").send().await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.request("GET", "/demo").send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_that_may_only_look_sees_pages_and_changes_nothing() {
    let world = World::new().await;
    world.token("looker", "looker-secret", bothways_engine::stored::TokenScope::Read, None).await;
    let login = world.request("POST", "/login").form(&[("token", "looker-secret")]).send().await;
    let cookie = login.cookie().unwrap();
    let page = world.request("GET", "/records/things").header("cookie", &cookie).send().await.text;
    let csrf = page.split("name=\"csrf\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [("csrf", csrf), ("field.name", "Ada")];
    let answer = world.request("POST", "/records/things").header("cookie", &cookie).form(&form).send().await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text.contains("scope `operate`"), "{}", answer.text);
    assert_eq!(world.records.count("things").await.unwrap(), 0);
}
