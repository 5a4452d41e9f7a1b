//! What goes wrong with a request, drawn from the weather, and how the sandbox is told.

use crate::kinds::{NAME, Service, WAY};
use crate::network::{Call, Target, path_of};
use crate::plan::{EventFault, RequestFault};
use crate::sim::Sim;
use bothways_connector_sandbox::salesforce::{Action as OrgAction, Fault as OrgFault, Salesforce};
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::Request;
use serde_json::{Value as Json, json};

/// What goes wrong with a call, if anything does.
pub(crate) fn draw_fault(sim: &Sim, request: &Request, call: &Call) -> Option<RequestFault> {
    if sim.is_calm() {
        return None;
    }
    let (path, _) = path_of(request);
    let target = &call.target;
    let Target { is_walk, is_feed, is_later_page: pages, writes: is_write, .. } = *target;
    let may_change = target.place.is_some_and(|place| place.resource != "invoices");
    sim.draw(|dice| {
        sim.plan.weather.requests.iter().find_map(|(fault, rate)| {
            let concerns = match fault {
                RequestFault::StaleList => is_walk,
                RequestFault::EmptyList => is_walk || is_feed,
                RequestFault::PageRepeated | RequestFault::PageSkipped => (is_walk || is_feed) && pages,
                RequestFault::Saved500
                | RequestFault::Saved500Executed
                | RequestFault::Duplicate
                | RequestFault::Unfinished => is_write,
                RequestFault::LowerCases | RequestFault::Automation => is_write && may_change,
                // The account is asked for once; without an answer nothing begins.
                RequestFault::Unauthorized | RequestFault::Forbidden => match target.service {
                    Service::Stripe => path != "/v1/account",
                    Service::Salesforce => target.place.is_some(),
                },
                RequestFault::LateVisible => false,
                RequestFault::HiddenRecords => target.place.is_some(),
                // What is held up longer than any call may take is a create that nobody can know of.
                RequestFault::Late => is_write && !call.creates(),
                RequestFault::HiddenField => target.place.is_some(),
                RequestFault::SomeRefused | RequestFault::ResultMissing => is_write && call.is_of_many(),
                _ => true,
            };
            (concerns && dice.chance(*rate)).then_some(*fault)
        })
    })
}

/// What Stripe does then.
pub(crate) fn action_of(sim: &Sim, fault: RequestFault, target: &Target) -> Option<Action> {
    sim.draw(|dice| match fault {
        RequestFault::Refused
        | RequestFault::LateVisible
        | RequestFault::HiddenRecords
        | RequestFault::SomeRefused
        | RequestFault::ResultMissing => None,
        RequestFault::LostRequest => Some(Action::LostRequest),
        RequestFault::LostAnswer => Some(Action::LostAnswer),
        RequestFault::Slow => Some(Action::SlowAnswer { millis: dice.scale(500, 200_000) }),
        RequestFault::Late => Some(Action::LateRequest { delay_ms: Some(dice.scale(100, 200_000)) }),
        RequestFault::Unfinished => Some(Action::Unfinished { delay_ms: Some(dice.scale(1_000, 60_000)) }),
        RequestFault::Duplicate => Some(Action::Duplicate),
        RequestFault::Saved500 => Some(Action::SavedError500 { executed: false }),
        RequestFault::Saved500Executed => Some(Action::SavedError500 { executed: true }),
        RequestFault::Error500 => Some(Action::Error500),
        RequestFault::Unavailable => Some(Action::Unavailable503),
        RequestFault::Unauthorized => Some(Action::Unauthorized401),
        RequestFault::Forbidden => Some(Action::Forbidden403),
        RequestFault::RateLimited => Some(Action::RateLimited429 { retry_after: dice.below(20) }),
        RequestFault::LockTimeout => Some(Action::LockTimeout429),
        RequestFault::KeyInUse => Some(Action::KeyInUse409),
        RequestFault::Truncated => Some(Action::TruncatedBody),
        RequestFault::Html => Some(Action::HtmlBody),
        RequestFault::HiddenField => {
            let names = target.place.map_or(["email"; 4], |place| place.names);
            let name = dice.one_of(names);
            // What else is beside it, such as our stamp, stays to be seen.
            Some(Action::HiddenField { field: if name.contains('.') { names[WAY] } else { name }.into() })
        }
        RequestFault::LowerCases => Some(Action::LowerCases { field: "name".into() }),
        RequestFault::Automation => {
            let field = dice.one_of(["description", "phone"]);
            Some(Action::Automation {
                field: field.into(),
                value: json!(format!("auto{}", dice.below(1000))),
            })
        }
        RequestFault::StaleList => {
            Some(Action::StaleList { seconds: u32::try_from(dice.scale(1, 120)).unwrap_or(1) })
        }
        RequestFault::EmptyList => Some(Action::EmptyList),
        RequestFault::PageRepeated => Some(Action::PageRepeated),
        RequestFault::PageSkipped => Some(Action::PageSkipped),
    })
}

/// What an organisation says of a record that it refuses among others: for good, for now, because of the others, and in a way that only a
/// call of its own tells more of.
const REFUSALS: [&str; 4] = [
    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    "REQUEST_LIMIT_EXCEEDED",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "UNKNOWN_EXCEPTION",
];

/// The same at Salesforce, as far as it happens there. Of many records about half are locked, or refused.
pub(crate) fn org_actions_of(sim: &Sim, fault: RequestFault, call: &Call) -> Vec<OrgFault> {
    let of_rows = matches!(fault, RequestFault::LockTimeout | RequestFault::SomeRefused);
    if !(of_rows && call.is_of_many()) {
        return org_action_of(sim, fault, &call.target).map(OrgFault::next).into_iter().collect();
    }
    let row = |number: usize| {
        let action = match fault {
            RequestFault::LockTimeout => OrgAction::RowLocked,
            _ => OrgAction::RowRefused { code: sim.draw(|dice| dice.one_of(REFUSALS)).into() },
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        sim.draw(|dice| dice.below(2) == 0).then(|| OrgFault::next(action).nth(number))
    };
    (1..=call.members.len()).filter_map(row).collect()
}

fn org_action_of(sim: &Sim, fault: RequestFault, target: &Target) -> Option<OrgAction> {
    let names = target.place.map_or(["Name"; 4], |place| place.names);
    sim.draw(|dice| {
        Some(match fault {
            RequestFault::LostRequest => OrgAction::LostRequest,
            RequestFault::LostAnswer => OrgAction::LostAnswer,
            RequestFault::Slow => OrgAction::SlowAnswer { millis: dice.scale(500, 200_000) },
            RequestFault::Late => OrgAction::LateRequest { delay_ms: Some(dice.scale(100, 200_000)) },
            RequestFault::Duplicate => OrgAction::Duplicate,
            RequestFault::Error500 => OrgAction::Error500,
            RequestFault::Unavailable => OrgAction::Unavailable503,
            RequestFault::Unauthorized => OrgAction::InvalidSession401,
            RequestFault::Forbidden => OrgAction::Forbidden403,
            RequestFault::RateLimited => OrgAction::RequestLimit403,
            RequestFault::LockTimeout => OrgAction::RowLocked,
            RequestFault::Truncated => OrgAction::TruncatedBody,
            RequestFault::Html => OrgAction::HtmlBody,
            RequestFault::HiddenField => OrgAction::HiddenField { field: dice.one_of(names).into() },
            RequestFault::HiddenRecords => OrgAction::HiddenRecords {
                object: target.place.map_or("Account", |place| place.resource).into(),
            },
            RequestFault::LowerCases => OrgAction::LowerCases { field: names[NAME].into() },
            RequestFault::Automation => OrgAction::Automation {
                field: names[WAY].into(),
                value: json!(format!("auto{}", dice.below(1000))),
            },
            RequestFault::EmptyList => OrgAction::EmptyList,
            RequestFault::PageRepeated => OrgAction::PageRepeated,
            RequestFault::ResultMissing => OrgAction::ResultMissing,
            RequestFault::Refused
            | RequestFault::SomeRefused
            | RequestFault::Unfinished
            | RequestFault::Saved500
            | RequestFault::Saved500Executed
            | RequestFault::KeyInUse
            | RequestFault::LateVisible
            | RequestFault::StaleList
            | RequestFault::PageSkipped => return None,
        })
    })
}

/// Draws whether queries see the write that comes next only later: so many times as likely as other faults.
pub(crate) fn inject_lag(sim: &Sim, org: &mut Salesforce, times: u32) {
    let mut rates = sim.plan.weather.requests.iter();
    let rate = rates.find(|(fault, _)| *fault == RequestFault::LateVisible).map_or(0, |(_, rate)| *rate);
    if !sim.is_calm() && rate > 0 && sim.draw(|dice| dice.chance(rate.saturating_mul(times))) {
        let seconds = sim.draw(|dice| u32::try_from(dice.scale(1, 100)).unwrap_or(1));
        let untold = sim.draw(|dice| dice.chance(500_000));
        org.inject(OrgFault::next(OrgAction::LateVisible { seconds, untold }));
    }
}

/// Draws what happens to the event of the change that comes next.
pub(crate) fn inject_event_fault(sim: &Sim, stripe: &mut bothways_connector_sandbox::Stripe) {
    if sim.is_calm() {
        return;
    }
    let drawn = sim.draw(|dice| {
        sim.plan.weather.events.iter().find_map(|(fault, rate)| dice.chance(*rate).then_some(*fault))
    });
    let action = match drawn {
        None | Some(EventFault::Unknown) => None,
        Some(EventFault::NotGenerated) => Some(Action::EventNotGenerated),
        Some(EventFault::Version) => Some(Action::EventVersion { version: "2022-11-15".into() }),
        Some(EventFault::Twice) => Some(Action::DeliveryDuplicated),
        Some(EventFault::Reordered) => Some(Action::DeliveryReordered),
        Some(EventFault::Lost) => Some(Action::DeliveryLost),
        Some(EventFault::Delayed) => {
            Some(Action::DeliveryDelayed { millis: sim.draw(|dice| dice.scale(100, 100_000)) })
        }
    };
    if let Some(action) = action {
        stripe.inject(Fault::next(action));
    }
    if drawn == Some(EventFault::Unknown) {
        sim.count("event_unknown");
        let object = json!({ "id": "sub_1", "object": "subscription" });
        if let Json::Object(object) = object {
            stripe.dashboard_emit("customer.subscription.updated", &object, sim.true_time());
        }
    }
}
