//! The HTTP port: the sandbox on the other side of a network that loses, delays and repeats, and of a service that has its moods.
//!
//! A request that has left the process is the network's: it arrives whatever becomes of the process, and a dead process's answer is
//! dropped.

use crate::askers::Asking;
use crate::executor::{WORLD, micros};
use crate::faults::{action_of, draw_fault, inject_event_fault, inject_lag, org_actions_of};
use crate::kinds::{Place, Service};
use crate::ledger::{Seen, Who};
use crate::plan::RequestFault;
use crate::process::{Kind, Process};
use crate::sim::{Sim, key_of};
use crate::tokens::is_renewal;
use async_trait::async_trait;
use bothways_connector_sandbox::{Action, Answer, Fault};
use bothways_engine::{Http, Purpose, SendError};
use bothways_model::{ConnectionName, Method, Request, Response};
use futures::future::{Either, select};
use futures::pin_mut;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often, in a million, a process dies with a call under way that writes to many records, where processes die.
const DIES_AMONG_MANY: u32 = 100_000;

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
        let tokens = || process.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = tokens().broken_by(&request) {
            sim.is_wrong(format!("tokens: {wrong}"));
        }
        let renews = is_renewal(&request);
        let task = sim.executor.this_task();
        let asked = process.asked.lock().unwrap_or_else(PoisonError::into_inner).members(&request, task);
        // What was decided before a suspension may go out after it (rule 41).
        let woken = sim.executor.thawed_at(process.pid) + LOOK > now;
        let since = if woken { 0 } else { now.saturating_sub(LOOK) };
        let members = asked.into_iter().map(|asking| Member::of(sim, connection, asking, since)).collect();
        let call = Call::of(Target::of(sim, connection, &request), members);
        for key in call.members.iter().filter_map(Member::key_of_create) {
            sim.first_tried(key, now);
        }
        let _turns: Vec<Turn<'_>> =
            call.members.iter().filter_map(|member| Turn::begin(process, member)).collect();
        if !sim.is_calm() && sim.draw(|dice| dice.chance(sim.plan.weather.outage)) {
            let time = sim.draw(|dice| dice.millis(500, 120_000));
            sim.down_until.store(now + micros(time), Ordering::Relaxed);
            sim.say(|| format!("the service cannot be reached for {time:?}"));
        }
        let fault = draw_fault(sim, &request, &call);
        if fault == Some(RequestFault::Refused) || sim.down_until.load(Ordering::Relaxed) > now {
            sim.count("connection_refused");
            process.at("refused", Kind::Receive).await;
            return Err(SendError::NotSent("connection refused".into()));
        }
        let (tell, told) = oneshot::channel();
        let later = call.target.is_later_page;
        let polls = call.target.service == Service::Salesforce && (call.target.is_feed || later);
        // Among many is where a death leaves most to find out.
        let among_many = call.is_of_many() && call.target.writes && !sim.is_calm();
        let dies =
            among_many && sim.plan.weather.kill_within > 0 && sim.draw(|dice| dice.chance(DIES_AMONG_MANY));
        sim.executor.spawn(WORLD, "network", carry(process.clone(), request, fault, call, deadline, tell));
        if dies {
            sim.count("process_killed");
            process.kill();
        }
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
        if renews && answer.as_ref().is_ok_and(|answer| tokens().note(answer)) {
            sim.count("token_renewed");
            if !sim.is_calm() && sim.draw(|dice| dice.chance(sim.plan.dies_with_token)) {
                process.kill();
            }
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
    fn begin(process: &'p Arc<Process>, member: &Member) -> Option<Self> {
        let Member { request, target, .. } = member;
        if request.method == Method::Get {
            return None;
        }
        let sim = &process.sim;
        let promises = process.promises.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = promises.broken_by(request) {
            sim.is_wrong(format!("confirmation: {wrong}"));
        }
        drop(promises);
        let token =
            || Some("the refresh token".to_owned()).filter(|_| sim.plan.rotates && is_renewal(request));
        let what = target.id.clone().or_else(|| target.stamp.clone()).or_else(token)?;
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
pub(crate) struct Target {
    pub(crate) service: Service,
    /// The kind of records it is about, if it is about records.
    pub(crate) place: Option<&'static Place>,
    /// The record.
    id: Option<String>,
    /// The link that a create is for.
    stamp: Option<String>,
    pub(crate) writes: bool,
    /// Whether all records are listed.
    pub(crate) is_walk: bool,
    /// Whether events are.
    pub(crate) is_feed: bool,
    /// Whether it is a page after the first.
    pub(crate) is_later_page: bool,
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
            // Records that are asked for by what they hold are neither all there are nor what changed.
            let condition = query.split_once("WHERE").map_or("", |(_, condition)| condition);
            return Self {
                service: Service::Salesforce,
                place,
                id: id.filter(|id| place.is_some_and(|place| place.owns(id))),
                stamp: stamp.filter(|_| by_stamp && !reads),
                writes: !reads && what == "sobjects",
                is_walk: lists && place.is_some() && !query.contains("WHERE"),
                is_feed: lists && condition.contains("SystemModstamp"),
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
}

/// One record's request, by itself or among those of others.
pub(crate) struct Member {
    request: Request,
    target: Target,
    /// The tasks that wait for its answer: a look is one task.
    tasks: Vec<u64>,
    /// The number of the last change of the record that they can have seen.
    seen: u64,
}

impl Member {
    /// Whoever has not read the record since `since` ought to have.
    fn of(sim: &Sim, connection: &ConnectionName, asking: Asking, since: u64) -> Self {
        let Asking { request, tasks } = asking;
        let target = Target::of(sim, connection, &request);
        let seen = match (target.record(), tasks.first()) {
            // Whoever writes under a condition has to look.
            (Some((place, _)), _) if sim.plan.blind && !place.is_guarded => 0,
            (Some((place, id)), Some(task)) => sim.ledger(place.kind).seen_by(*task, id, since),
            _ => u64::MAX,
        };
        Self { request, target, tasks, seen }
    }

    /// The idempotency key of a create.
    fn key_of_create(&self) -> Option<String> {
        let stamp = self.target.stamp.as_ref()?;
        match self.target.service {
            Service::Stripe => key_of(&self.request).map(str::to_owned),
            // Who creates under a stamp of its own needs no key.
            Service::Salesforce => Some(stamp.clone()),
        }
    }
}

/// One request, and the records that it is about.
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) members: Vec<Member>,
}

impl Call {
    fn of(mut target: Target, members: Vec<Member>) -> Self {
        if let Some(first) = members.first() {
            target.place = target.place.or(first.target.place);
        }
        target.writes = members.iter().any(|member| member.target.writes);
        Self { target, members }
    }

    /// Whether several records go together.
    pub(crate) fn is_of_many(&self) -> bool {
        self.members.len() > 1
    }

    pub(crate) fn creates(&self) -> bool {
        self.members.iter().any(|member| member.target.is_create())
    }

    /// What is counted of a call of many.
    fn name(&self) -> &'static str {
        match (self.target.writes, self.creates()) {
            (_, true) => "created_together",
            (true, _) => "updated_together",
            _ => "read_together",
        }
    }
}

/// Takes one request to the service and its answer back.
async fn carry(
    process: Arc<Process>,
    request: Request,
    fault: Option<RequestFault>,
    call: Call,
    deadline: Duration,
    tell: oneshot::Sender<Result<Response, SendError>>,
) {
    let sim = process.sim.clone();
    let (there, back) = sim.draw(|dice| (dice.millis(2, 60), dice.millis(2, 60)));
    sim.executor.sleep(there).await;
    let answer = serve(&sim, &process, &request, fault, &call);
    sim.executor.sleep(back).await;
    if call.is_of_many() && call.target.writes && process.is_dead() {
        sim.count("died_among_many");
    }
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
    call: &Call,
) -> Answer {
    let now = sim.true_time();
    catch_up(sim);
    let target = &call.target;
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
            if let Some(fault) = fault {
                org_actions_of(sim, fault, call).into_iter().for_each(|fault| org.inject(fault));
            }
            if target.writes {
                inject_lag(sim, &mut org, 1);
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
    if status == 412 {
        sim.count("changed_since412");
    }
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
    if call.is_of_many() {
        sim.count(call.name());
        if status == 0 {
            sim.count("no_answer_for_many");
        }
    }
    if fault.is_some_and(|fault| matches!(fault, RequestFault::Late | RequestFault::Unfinished)) {
        note_held_up(sim, call);
    }
    match target.place {
        Some(place) if target.writes => {
            let done = carried_out(call, &answer);
            note_write(sim, process, call, place, (fault == Some(RequestFault::Automation), done));
        }
        _ if status == 200 => note_read(sim, call, &answer, fault != Some(RequestFault::HiddenField)),
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

/// Enters who has seen what is read now, though perhaps not all of it.
fn note_read(sim: &Sim, call: &Call, answer: &Answer, all: bool) {
    let shown: Option<Vec<Json>> = match answer {
        Answer::Response(response) | Answer::Slow(response, _) if call.is_of_many() => {
            serde_json::from_slice(&response.body).ok()
        }
        _ => None,
    };
    for (at, member) in call.members.iter().enumerate() {
        let Some((place, id)) = member.target.record() else { continue };
        // Of what is not there nothing is seen.
        if shown.as_ref().and_then(|shown| shown.get(at)).is_some_and(Json::is_null) {
            continue;
        }
        for task in &member.tasks {
            sim.ledger(place.kind).note_seen(*task, id, sim.executor.now(), all);
        }
        if place.is_guarded {
            sim.note_look(id);
        }
    }
}

/// Enters what is known to whoever sent a delete that is held up on its way.
fn note_held_up(sim: &Sim, call: &Call) {
    for member in call.members.iter().filter(|member| member.request.method == Method::Delete) {
        if let Some((place, id)) = member.target.record() {
            sim.ledger(place.kind).note_held_up(id, member.seen);
        }
    }
}

/// Which of a call's writes the service carried out now, as far as its answer says so.
fn carried_out(call: &Call, answer: &Answer) -> Vec<bool> {
    let Answer::Response(response) = answer else { return Vec::new() };
    let is_replayed =
        response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("idempotent-replayed"));
    if is_replayed || !(200..300).contains(&response.status) {
        return Vec::new();
    }
    match call.members.as_slice() {
        [_] => vec![true],
        _ => {
            let results: Vec<Json> = serde_json::from_slice(&response.body).unwrap_or_default();
            results.iter().map(|result| result["success"] == json!(true)).collect()
        }
    }
}

/// Enters what came of a request that writes, and says what is wrong with it. `automation`: the service rewrote something at once;
/// `done`: what it says to have carried out.
fn note_write(
    sim: &Arc<Sim>,
    process: &Arc<Process>,
    call: &Call,
    place: &'static Place,
    (automation, done): (bool, Vec<bool>),
) {
    let at = sim.executor.now();
    let last = sim.ledger(place.kind).last();
    let seen = match call.members.as_slice() {
        [only] => Seen::of_all(only.seen),
        many => {
            let of = many.iter().filter_map(|member| Some((member.target.id.clone()?, member.seen)));
            Seen::of_each(of.collect())
        }
    };
    sim.observe_records(place.service, Some(place.kind), Who::Engine(process.pid), &seen);
    let thawed = sim.executor.thawed_at(process.pid);
    let mut ledger = sim.ledger(place.kind);
    ledger.note_woken(last, thawed);
    for (member, _) in call.members.iter().zip(done).filter(|(_, done)| *done) {
        if let Some(id) = &member.target.id {
            ledger.note_carried_out(id, last);
            ledger.note_respelt(id, place.sent(&member.request.body));
        }
    }
    let born = ledger.records.iter().filter(|(_, thing)| thing.born_seq > last);
    let mut born: BTreeMap<Option<String>, String> =
        born.map(|(id, thing)| (thing.stamp.clone(), id.clone())).collect();
    for member in &call.members {
        // Who creates one record made it, whatever it shows.
        let stamp = Some(member.target.stamp.clone()).filter(|_| call.is_of_many());
        let born = match stamp {
            Some(stamp) => born.remove(&stamp),
            None => born.pop_first().map(|(_, id)| id),
        };
        let asked = member.key_of_create().map(|key| sim.first_tried(key, at));
        // Who creates has asked for candidates before, and those that are linked count too (rules 27, 29). A create that is sent again
        // under its key was asked for when it was sent first; who was suspended in between asked before.
        if let (Some(born), Some(asked)) = (&born, asked.filter(|asked| thawed + LOOK < *asked))
            && let Some(other) = ledger.older_namesake(place, born, asked.saturating_sub(LOOK))
        {
            sim.is_wrong(format!(
                "match: {born} was created beside {other}, which has had its email for long"
            ));
        }
        // What an automation replaced at once has been there all the same.
        if automation && let Some(id) = member.target.id.clone().or(born) {
            ledger.note_delivered(&id, place.sent(&member.request.body));
        }
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
        changed |= sim.observe_records(service, None, Who::Engine(WORLD), &Seen::of_all(0));
    }
    sim.count(if changed { "late_request_after_takeover" } else { "late_request_without_effect" });
    sim.say(|| format!("{landed} late request(s) land{}", if changed { "" } else { ", without effect" }));
    sim.deliveries.notify_one();
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
pub(crate) fn path_of(request: &Request) -> (&str, &str) {
    let rest = [Service::Stripe, Service::Salesforce]
        .into_iter()
        .find_map(|service| request.url.strip_prefix(service.address()))
        .unwrap_or(&request.url);
    rest.split_once('?').unwrap_or((rest, ""))
}
