//! Systems that are a document alone, both ways: the HubSpot example against a stand-in of its documented API.

use crate::harness::service::{Service, ServiceWorld};
use crate::hubspot::{HubSpot, TOKEN};
use bothways_model::{Request, Response, Timestamp, Value};
use chrono::TimeDelta;
use std::time::Duration;

const DOCUMENTS: &str = include_str!("../../../../connectors/rest/examples/hubspot.yaml");
const MINUTE: Duration = Duration::from_secs(60);

impl Service for HubSpot {
    fn answer(&mut self, request: &Request, now: Timestamp) -> Response {
        self.now = now;
        HubSpot::answer(self, request)
    }
}

/// People on both sides, one of them known to both.
async fn world(documents: &str) -> ServiceWorld<HubSpot> {
    let world =
        ServiceWorld::stopped(documents, &[("HUBSPOT_TOKEN", TOKEN)], HubSpot::new(Timestamp::UNIX_EPOCH))
            .await;
    world.there(|hubspot| {
        hubspot.now = world.now() - TimeDelta::days(1);
        hubspot.lag = TimeDelta::seconds(10);
        hubspot.person_creates(&[("email", "ann@x.io"), ("firstname", "Ann"), ("lastname", "Lee")]);
        hubspot.person_creates(&[("email", "bob@x.io"), ("firstname", "Bob")]);
    });
    world.insert(&[("id", "1"), ("email", "Ann@X.io"), ("first_name", "Ann"), ("last_name", "Lee")]);
    world.insert(&[("id", "2"), ("email", "cy@x.io"), ("first_name", "Cy")]);
    world.start().await;
    world
        .until("first contact", 10 * MINUTE, async |w: &ServiceWorld<HubSpot>| {
            w.rows().await.len() == 3 && w.there(|h| h.ids().len()) == 3
        })
        .await;
    world
}

/// Work goes both ways, and then nobody has anything to say.
async fn goes_both_ways(world: &ServiceWorld<HubSpot>, patience: Duration) {
    let here = |email: &str| {
        let email = email.to_owned();
        async move { world.row_with("email", &email).await.expect("it is here") }
    };
    let text = |row: &bothways_model::LocalRow, field: &str| match row.fields.get(field) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let ids = world.there(|h| h.ids());
    let [ann, bob, cy] = ids.as_slice() else { panic!("three contacts: {ids:?}") };
    assert_eq!(
        world.there(|h| h.property(cy, "firstname")).as_deref(),
        Some("Cy"),
        "the row was created there"
    );
    assert_eq!(text(&here("bob@x.io").await, "first_name").as_deref(), Some("Bob"), "and the contact here");
    assert_eq!(world.links().await.len(), 3);

    // A change on each side, of different fields of one person; a field that is cleared; a new one on each side.
    world.update(&here("Ann@X.io").await.id, &[("last_name", "Lee-Park")]);
    world.there(|h| h.person_updates(ann, &[("firstname", "Anna")]));
    world.update(&here("bob@x.io").await.id, &[("first_name", "")]);
    world.insert(&[("id", "7"), ("email", "dee@x.io"), ("last_name", "Dee")]);
    world.there(|h| h.person_creates(&[("email", "eve@x.io"), ("firstname", "Eve")]));
    world
        .until("all of it on both sides", patience, async |w: &ServiceWorld<HubSpot>| {
            let ann_here = w.row_with("email", "Ann@X.io").await;
            w.row_with("email", "eve@x.io").await.is_some()
                && ann_here
                    .is_some_and(|row| row.fields.get("first_name") == Some(&Value::Text("Anna".into())))
                && w.there(|h| {
                    h.property(ann, "lastname").as_deref() == Some("Lee-Park")
                        && h.property(bob, "firstname").is_none()
                        && h.ids().len() == 5
                })
        })
        .await;
    assert_eq!(world.there(|h| h.property(ann, "email")).as_deref(), Some("ann@x.io"));

    // The search sees our own writes come by, late, and nothing follows from them.
    let writes =
        |h: &mut HubSpot| ["create", "update", "delete"].map(|kind| h.calls.get(kind).copied().unwrap_or(0));
    let before = world.there(writes);
    world.wait(4 * patience).await;
    assert_eq!(world.there(writes), before, "an echo was answered");
    assert_eq!(world.parked().await, []);
    assert_eq!(world.rows().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_hubspot_example_goes_both_ways() {
    let world = world(DOCUMENTS).await;
    assert!(!world.findings.contains(&"M302".to_owned()), "{:?}", world.findings);
    goes_both_ways(&world, 3 * MINUTE).await;
    assert!(world.there(|h| h.calls["search"]) > 5, "changes come by the search");

    // Deleted there: shown, and nothing is deleted here, since nobody said so.
    let ids = world.there(|h| h.ids());
    world.there(|h| h.person_deletes(&ids[1]));
    world.update(
        &world.row_with("email", "bob@x.io").await.expect("it is here").id,
        &[("first_name", "Robert")],
    );
    world
        .until("the missing contact is noticed", 30 * MINUTE, async |w: &ServiceWorld<HubSpot>| {
            let links = w.links().await;
            !w.parked().await.is_empty() || links.iter().any(|link| !link.state.is_live())
        })
        .await;
    assert_eq!((world.rows().await.len(), world.there(|h| h.ids().len())), (5, 4));
}

#[tokio::test(start_paused = true)]
async fn a_time_of_change_that_lies_ahead_hides_no_later_change() {
    let world = world(DOCUMENTS).await;
    world.there(|h| {
        // Seen at once, whatever its time.
        h.lag = -TimeDelta::days(40_000);
        h.now += TimeDelta::days(73 * 365);
        h.person_creates(&[("email", "fay@x.io"), ("firstname", "Fay")]);
    });
    world
        .until("the one from the future is here", 10 * MINUTE, async |w: &ServiceWorld<HubSpot>| {
            w.row_with("email", "fay@x.io").await.is_some()
        })
        .await;
    world.wait(2 * MINUTE).await;
    world.there(|h| {
        let ids = h.ids();
        h.person_updates(&ids[0], &[("firstname", "Anna")]);
    });
    world
        .until("what was changed now is here too", 3 * MINUTE, async |w: &ServiceWorld<HubSpot>| {
            let ann = w.row_with("email", "Ann@X.io").await.expect("it is here");
            ann.fields.get("first_name") == Some(&Value::Text("Anna".into()))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_decides_who_takes_part_is_asked_for_as_well() {
    let only = "sync: { poll: 60s }\nonly: { remote: \"@.properties.lifecyclestage == 'customer'\" }\ncreates: { from_local: ignore }";
    let world = ServiceWorld::stopped(
        &DOCUMENTS.replace("sync: { poll: 60s }", only),
        &[("HUBSPOT_TOKEN", TOKEN)],
        HubSpot::new(Timestamp::UNIX_EPOCH),
    )
    .await;
    world.there(|hubspot| {
        hubspot.now = world.now() - TimeDelta::days(1);
        hubspot.person_creates(&[("email", "ann@x.io"), ("lifecyclestage", "lead")]);
        hubspot.person_creates(&[("email", "bob@x.io"), ("lifecyclestage", "customer")]);
    });
    world.start().await;
    world
        .until("the customer is here", 10 * MINUTE, async |w: &ServiceWorld<HubSpot>| {
            w.row_with("email", "bob@x.io").await.is_some()
        })
        .await;
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_say_what_changed_is_compared_in_full_passes() {
    // The same service without its search: everything is read again, and compared.
    let (before, rest) = DOCUMENTS.split_once("    since:\n").expect("the example has an incremental list");
    let (_, after) = rest.split_once("---").expect("other documents follow");
    let documents = format!("{before}---{after}").replace("sync: { poll: 60s }", "sync: { reconcile: 5m }");
    let world = world(&documents).await;
    assert!(world.findings.contains(&"M302".to_owned()), "the delay is told: {:?}", world.findings);
    goes_both_ways(&world, 15 * MINUTE).await;
    assert_eq!(world.there(|h| h.calls.get("search").copied()), None);
}
