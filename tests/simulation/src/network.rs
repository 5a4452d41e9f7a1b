//! The HTTP port: the sandbox on the other side of a network that loses, delays and repeats, and of a service that has its moods.
//!
//! A request that has left the process is the network's: it arrives whatever becomes of the process, and a dead process's answer is
//! dropped.

use crate::executor::{WORLD, micros};
use crate::kinds::{NAME, Place, Service, WAY};
use crate::ledger::Who;
use crate::plan::{EventFault, RequestFault};
use crate::process::{Kind, Process};
use crate::sim::{Sim, key_of};
use async_trait::async_trait;
use bothways_connector_sandbox::salesforce::{Action as OrgAction, Fault as OrgFault, Salesforce};
use bothways_connector_sandbox::{Action, Answer, Fault};
use bothways_engine::{Http, Purpose, SendError};
use bothways_model::{ConnectionName, Method, Request, Response};
use futures::future::{Either, select};
use futures::pin_mut;
use serde_json::{Value as Json, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Whoever writes to a record has read it no longer ago.
const LOOK: u64 = 120_000_000;

/// One process's way out.
pub(crate) struct SimHttp(pub(crate) Arc<Process>);

#[async_trait]
impl Http for SimHttp {
    async fn send(
        &self,
        connection: &ConnectionName,
        _purpose: Purpose,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, SendError> {
        let process = &self.0;
        let sim = &process.sim;
        process.at("send", Kind::Send).await;
        let now = sim.executor.now();
        let target = Target::of(sim, connection, &request);
        if let Some(key) = target.key_of_create(&request) {
            sim.first_tried(key, now);
        }
        let _turn = Turn::begin(process, &request, &target);
        if !sim.is_calm() && sim.draw(|dice| dice.chance(sim.plan.weather.outage)) {
            let time = sim.draw(|dice| dice.millis(500, 120_000));
            sim.down_until.store(now + micros(time), Ordering::Relaxed);
            sim.say(|| format!("the service cannot be reached for {time:?}"));
        }
        let fault = draw_fault(sim, &request, &target);
        if fault == Some(RequestFault::Refused) || sim.down_until.load(Ordering::Relaxed) > now {
            sim.count("connection_refused");
            process.at("refused", Kind::Receive).await;
            return Err(SendError::NotSent("connection refused".into()));
        }
        let (tell, told) = oneshot::channel();
        let task = sim.executor.this_task();
        let seen = target.record().map_or(u64::MAX, |(place, id)| match sim.plan.blind {
            true => 0,
            false => {
                // What was decided before a suspension may go out after it (rule 41).
                let woken = sim.executor.thawed_at(process.pid) + LOOK > now;
                sim.ledger(place.kind).seen_by(task, id, if woken { 0 } else { now.saturating_sub(LOOK) })
            }
        });
        let later = target.is_later_page;
        let polls = target.service == Service::Salesforce && (target.is_feed || later);
        let asker = Asker { task, seen, target };
        sim.executor.spawn(WORLD, "network", carry(process.clone(), request, fault, asker, deadline, tell));
        // Sent is sent: a crash from here on does not take it back.
        process.at("sent", Kind::Send).await;
        let timeout = sim.executor.sleep(deadline);
        pin_mut!(timeout);
        let answer = match select(told, timeout).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(_), _)) => Err(SendError::Lost("connection reset".into())),
            Either::Right(_) => Err(SendError::Lost("timeout".into())),
        };
        process.alive().await;
        if sim.executor.now() > now + 90_000_000 {
            sim.count("answer_after_takeover");
        }
        process.at("received", Kind::Receive).await;
        if let Ok(page) = answer.as_ref()
            && polls
        {
            let mut shown = process.shown.lock().unwrap_or_else(PoisonError::into_inner);
            if shown.note(task, page, later) {
                sim.count("stamps_equal_at_page_edge");
            }
        }
        answer
    }
}

/// A write under way.
struct Turn<'p> {
    process: &'p Process,
    what: String,
}

impl<'p> Turn<'p> {
    /// Says what is wrong about it beginning now. Nothing for a request that only reads.
    fn begin(process: &'p Arc<Process>, request: &Request, target: &Target) -> Option<Self> {
        if request.method == Method::Get {
            return None;
        }
        let sim = &process.sim;
        let promises = process.promises.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = promises.broken_by(request) {
            sim.is_wrong(format!("confirmation: {wrong}"));
        }
        drop(promises);
        let what = target.id.clone().or_else(|| target.stamp.clone())?;
        let wrong = sim.turns.lock().unwrap_or_else(PoisonError::into_inner).begin(&what, process);
        // Whoever was suspended, or lives by a clock that jumps, may have lost its lease (rule 41).
        let sure = sim.plan.weather.freeze == 0 && sim.plan.weather.clock_jump == 0;
        if let Some(wrong) = wrong.filter(|_| sure) {
            sim.is_wrong(format!("lease: {wrong}"));
        }
        Some(Self { process, what })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.process.sim.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.end(&self.what, self.process.pid);
    }
}

/// What a request is about.
#[derive(Clone, Debug)]
struct Target {
    service: Service,
    /// The kind of records it is about, if it is about records.
    place: Option<&'static Place>,
    /// The record.
    id: Option<String>,
    /// The link that a create is for.
    stamp: Option<String>,
    writes: bool,
    /// Whether all records are listed.
    is_walk: bool,
    /// Whether events are.
    is_feed: bool,
    /// Whether it is a page after the first.
    is_later_page: bool,
}

impl Target {
    fn of(sim: &Sim, connection: &ConnectionName, request: &Request) -> Self {
        let places = sim.plan.places.iter().copied();
        let mut places = places.filter(|place| place.service.connection() == connection.as_str());
        let (path, query) = path_of(request);
        let reads = request.method == Method::Get;
        if connection.as_str() == Service::Salesforce.connection() {
            let mut parts = path.trim_start_matches("/services/data/").split('/').skip(1);
            let (what, object) = (parts.next().unwrap_or_default(), parts.next());
            let (id, stamp) = (parts.next().map(str::to_owned), parts.next().map(str::to_owned));
            let lists = what.starts_with("query") && reads;
            // Further pages say no more than where they go on.
            let named = |place: &&Place| match what {
                "sobjects" => object == Some(place.resource),
                _ => {
                    query.replace('+', " ").replace("%20", " ").contains(&format!("FROM {}", place.resource))
                }
            };
            let place = places.find(|place| named(place)).filter(|_| what == "sobjects" || lists);
            let by_stamp = id.as_deref() == Some("Bothways_Id__c");
            return Self {
                service: Service::Salesforce,
                place,
                id: id.filter(|id| place.is_some_and(|place| place.owns(id))),
                stamp: stamp.filter(|_| by_stamp && !reads),
                writes: !reads && what == "sobjects",
                is_walk: lists && place.is_some() && !query.contains("WHERE"),
                is_feed: lists && query.contains("SystemModstamp") && query.contains("WHERE"),
                is_later_page: lists && object.is_some(),
            };
        }
        let mut parts = path.trim_start_matches("/v1/").split('/');
        let resource = parts.next().unwrap_or_default();
        let id = parts.next().map(str::to_owned);
        let place = places.find(|place| place.resource == resource);
        let lists = reads && id.is_none() && place.is_some();
        let form = String::from_utf8_lossy(&request.body);
        let stamp = form.split('&').find_map(|pair| pair.strip_prefix("metadata[bothways]="));
        Self {
            service: Service::Stripe,
            place,
            stamp: stamp.filter(|_| !reads).map(str::to_owned),
            is_walk: lists && !query.contains("email=") && !query.contains("created"),
            is_feed: reads && resource == "events",
            is_later_page: query.contains("starting_after"),
            id,
            writes: !reads,
        }
    }

    /// The record and where it lives.
    fn record(&self) -> Option<(&'static Place, &str)> {
        self.place.zip(self.id.as_deref())
    }

    fn is_create(&self) -> bool {
        self.writes && self.id.is_none()
    }

    /// The idempotency key of a create.
    fn key_of_create(&self, request: &Request) -> Option<String> {
        let stamp = self.stamp.as_ref()?;
        match self.service {
            Service::Stripe => key_of(request).map(str::to_owned),
            // Who creates under a stamp of its own needs no key.
            Service::Salesforce => Some(stamp.clone()),
        }
    }
}

/// Who asks: a look is one task.
struct Asker {
    task: u64,
    /// The number of the last change of the record that it can have seen.
    seen: u64,
    target: Target,
}

/// Takes one request to the service and its answer back.
async fn carry(
    process: Arc<Process>,
    request: Request,
    fault: Option<RequestFault>,
    asker: Asker,
    deadline: Duration,
    tell: oneshot::Sender<Result<Response, SendError>>,
) {
    let sim = process.sim.clone();
    let (there, back) = sim.draw(|dice| (dice.millis(2, 60), dice.millis(2, 60)));
    sim.executor.sleep(there).await;
    let answer = serve(&sim, &process, &request, fault, &asker);
    sim.executor.sleep(back).await;
    let answer = match answer {
        Answer::Response(response) => Ok(response),
        Answer::Dropped => Err(SendError::Lost("connection reset".into())),
        Answer::Slow(response, wait) => {
            let until = sim.executor.now() + micros(wait.min(deadline));
            sim.slow_until.fetch_max(until, Ordering::Relaxed);
            sim.executor.sleep(wait.min(deadline * 2)).await;
            Ok(response)
        }
    };
    // Nobody may be waiting any more.
    let _ = tell.send(answer);
}

/// The service's side of one request.
fn serve(
    sim: &Arc<Sim>,
    process: &Arc<Process>,
    request: &Request,
    fault: Option<RequestFault>,
    asker: &Asker,
) -> Answer {
    let now = sim.true_time();
    catch_up(sim);
    let target = &asker.target;
    let mut answer = match target.service {
        Service::Stripe => {
            let mut stripe = sim.stripe();
            if let Some(action) = fault.and_then(|fault| action_of(sim, fault, target)) {
                stripe.inject(Fault::next(action));
            }
            if process.swapped {
                stripe.inject(Fault::next(Action::OtherAccount));
            }
            if target.writes {
                inject_event_fault(sim, &mut stripe);
            }
            let answer = stripe.handle(request, now);
            stripe.clear_faults();
            answer
        }
        Service::Salesforce => {
            let mut org = sim.org();
            if let Some(action) = fault.and_then(|fault| org_action_of(sim, fault, target)) {
                org.inject(OrgFault::next(action));
            }
            if target.writes {
                inject_lag(sim, &mut org);
            }
            let answer = org.handle(request, now);
            org.clear_faults();
            answer
        }
    };
    let status = match &answer {
        Answer::Response(response) | Answer::Slow(response, _) => response.status,
        Answer::Dropped => 0,
    };
    sim.note("served", u64::from(status), process.pid);
    sim.trace().content(request.url.as_bytes());
    sim.trace().content(&request.body);
    sim.say(|| {
        format!(
            "process {} {} {} {} -> {}{}",
            process.pid,
            request.method,
            request.url.trim_start_matches(target.service.address()),
            if target.place.is_some() { String::from_utf8_lossy(&request.body) } else { "".into() },
            if status == 0 { "nothing".to_owned() } else { status.to_string() },
            fault.map(|f| format!(" ({f:?})")).unwrap_or_default(),
        )
    });
    match (target.place, target.record()) {
        (Some(place), _) if target.writes => {
            note_write(sim, process, request, asker, place, fault == Some(RequestFault::Automation));
        }
        (_, Some((place, id))) if status == 200 => {
            let all = fault != Some(RequestFault::HiddenField);
            sim.ledger(place.kind).note_seen(asker.task, id, sim.executor.now(), all);
        }
        _ => {}
    }
    if let Answer::Response(response) | Answer::Slow(response, _) = &mut answer {
        note_walk(sim, target, response);
        if target.is_feed
            && target.service == Service::Stripe
            && !sim.is_calm()
            && sim.draw(|d| d.chance(sim.plan.weather.event_late))
        {
            hide_newest_events(sim, response);
        }
    }
    answer
}

/// Enters what came of a request that writes, and says what is wrong with it.
fn note_write(
    sim: &Arc<Sim>,
    process: &Arc<Process>,
    request: &Request,
    asker: &Asker,
    place: &'static Place,
    automation: bool,
) {
    let at = sim.executor.now();
    let last = sim.ledger(place.kind).last();
    sim.observe_records(place.service, Some(place.kind), Who::Engine(process.pid), asker.seen);
    let thawed = sim.executor.thawed_at(process.pid);
    let asked = asker.target.key_of_create(request).map(|key| sim.first_tried(key, at));
    let mut ledger = sim.ledger(place.kind);
    ledger.note_woken(last, thawed);
    let born = ledger.records.iter().find(|(_, thing)| thing.born_seq > last).map(|(id, _)| id.clone());
    // Who creates has asked for candidates before, and those that are linked count too (rules 27, 29). A create that is sent again
    // under its key was asked for when it was sent first; who was suspended in between asked before.
    if let (Some(born), Some(asked)) = (&born, asked.filter(|asked| thawed + LOOK < *asked))
        && let Some(other) = ledger.older_namesake(place, born, asked.saturating_sub(LOOK))
    {
        sim.is_wrong(format!("match: {born} was created beside {other}, which has had its email for long"));
    }
    // What an automation replaced at once has been there all the same.
    if automation && let Some(id) = asker.target.id.clone().or(born) {
        ledger.note_delivered(&id, place.sent(&request.body));
    }
    drop(ledger);
    sim.deliveries.notify_one();
}

/// Lets the service do what is due by itself: requests that were held up on their way.
pub(crate) fn catch_up(sim: &Arc<Sim>) {
    let now = sim.true_time();
    let late = sim.late_requests();
    if late == 0 {
        return;
    }
    sim.stripe().tick(now);
    sim.org().tick(now);
    let landed = late - sim.late_requests();
    if landed == 0 {
        return;
    }
    // Whoever wrote meanwhile is overwritten: no look can have seen that.
    let mut changed = false;
    for service in sim.plan.services() {
        changed |= sim.observe_records(service, None, Who::Engine(WORLD), 0);
    }
    sim.count(if changed { "late_request_after_takeover" } else { "late_request_without_effect" });
    sim.say(|| format!("{landed} late request(s) land{}", if changed { "" } else { ", without effect" }));
    sim.deliveries.notify_one();
}

fn draw_fault(sim: &Sim, request: &Request, target: &Target) -> Option<RequestFault> {
    if sim.is_calm() {
        return None;
    }
    let (path, _) = path_of(request);
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
                RequestFault::Late => is_write && !target.is_create(),
                RequestFault::HiddenField => target.place.is_some(),
                _ => true,
            };
            (concerns && dice.chance(*rate)).then_some(*fault)
        })
    })
}

fn action_of(sim: &Sim, fault: RequestFault, target: &Target) -> Option<Action> {
    sim.draw(|dice| match fault {
        RequestFault::Refused | RequestFault::LateVisible | RequestFault::HiddenRecords => None,
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

/// The same at Salesforce, as far as it happens there.
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
            RequestFault::Refused
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

/// Draws whether queries see the write that comes next only later.
pub(crate) fn inject_lag(sim: &Sim, org: &mut Salesforce) {
    let mut rates = sim.plan.weather.requests.iter();
    let rate = rates.find(|(fault, _)| *fault == RequestFault::LateVisible).map_or(0, |(_, rate)| *rate);
    if !sim.is_calm() && rate > 0 && sim.draw(|dice| dice.chance(rate)) {
        let seconds = sim.draw(|dice| u32::try_from(dice.scale(1, 100)).unwrap_or(1));
        org.inject(OrgFault::next(OrgAction::LateVisible { seconds }));
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

/// Counts walks that are between two pages, so that edits in the middle of one are known as such.
fn note_walk(sim: &Sim, target: &Target, response: &Response) {
    if !target.is_walk {
        return;
    }
    let more =
        serde_json::from_slice::<Json>(&response.body).is_ok_and(|body| body["has_more"] == json!(true));
    sim.open_walks.store(u64::from(more), Ordering::Relaxed);
}

/// Events become visible late: the newest are not in this answer.
fn hide_newest_events(sim: &Sim, response: &mut Response) {
    let Ok(mut body) = serde_json::from_slice::<Json>(&response.body) else { return };
    let lag = sim.draw(|dice| dice.scale(1, 240));
    let newest = sim.true_time().timestamp() - i64::try_from(lag).unwrap_or(0);
    let Some(events) = body["data"].as_array_mut() else { return };
    let before = events.len();
    events.retain(|event| event["created"].as_i64().is_none_or(|created| created <= newest));
    if events.len() == before {
        return;
    }
    // What is left of a page goes on as it would; an empty page ends the list.
    if events.is_empty() {
        body["has_more"] = json!(false);
    }
    sim.count("event_visible_late");
    response.body = body.to_string().into_bytes();
}

/// Path and query of a request.
fn path_of(request: &Request) -> (&str, &str) {
    let rest = [Service::Stripe, Service::Salesforce]
        .into_iter()
        .find_map(|service| request.url.strip_prefix(service.address()))
        .unwrap_or(&request.url);
    rest.split_once('?').unwrap_or((rest, ""))
}
