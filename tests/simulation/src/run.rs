//! One seed from beginning to end: users, faults and engines; then calm; then everything is checked.

use crate::check::{
    Overdue, RELEASED, Snapshot, archives, brakes, budget, children_first, deletes, left_by_a_stop,
    left_in_the_cold, note_archives, once, passed_over, patience, register, unsettled,
};
use crate::counters::Counters;
use crate::dice::Dice;
use crate::executor::{Step, WORLD};
use crate::fleet::{Fleet, load};
use crate::kinds::{Kind, Service};
use crate::ledger::RowWrite;
use crate::outside;
use crate::plan::Plan;
use crate::sim::{Sim, timestamp};
use crate::table::{InMemory, InSqlite, Table};
use crate::users::Users;
use bothways_connector_sandbox::salesforce::{Config as Organization, Salesforce};
use bothways_connector_sandbox::{Config, Stripe};
use bothways_mapping::Mapping;
use bothways_model::LinkId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Fields of rows: catalog, id and label.
type Fields = BTreeSet<(&'static str, String, &'static str)>;

/// How a seed is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// So many workers, whatever the seed says.
    pub workers: Option<usize>,
    /// On SQLite or not, whatever the seed says.
    pub sqlite: Option<bool>,
    /// Tell what happens.
    pub trace: bool,
}

/// What became of a seed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What must not have happened.
    pub violations: Vec<String>,
    /// Of everything that happened, in order.
    pub trace_hash: u64,
    /// How often each kind of fault fired.
    pub counters: Counters,
    /// Steps of the executor.
    pub steps: u64,
}

const SECOND: u64 = 1_000_000;
/// The slowest polls are a minute apart.
const A_POLL: u64 = 75 * SECOND;
/// Both sides must have converged so long after the last fault.
const LIVENESS: u64 = 30 * 60 * SECOND;
/// A run with more steps than this gets nowhere.
const STEPS: u64 = 20_000_000;

/// Runs one seed.
pub fn simulate(seed: u64, options: Options) -> Outcome {
    let mut dice = Dice::new(seed);
    let plan = Plan::draw(&mut dice, options.workers, options.sqlite);
    match Run::new(seed, plan, &dice, options.trace) {
        Ok(mut run) => {
            run.live();
            run.outcome()
        }
        Err(error) => Outcome {
            violations: vec![format!("the plan cannot be carried out: {error}")],
            ..Outcome::default()
        },
    }
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) sim: Arc<Sim>,
    pub(crate) fleet: Arc<Fleet>,
    /// The users of each mapping, parents first.
    pub(crate) users: Vec<Arc<Users>>,
    /// The mappings, in the same order.
    mappings: Vec<Arc<Mapping>>,
    endpoint: Option<String>,
    schedule: Dice,
    operator: Dice,
    haste: Dice,
    violations: Vec<String>,
    steps: u64,
    /// Links as they were last told of.
    links: BTreeMap<LinkId, String>,
}

impl Run {
    pub(crate) fn new(seed: u64, plan: Plan, dice: &Dice, trace: bool) -> Result<Self, String> {
        let mappings = load(&plan)?;
        let kinds = plan.kinds();
        let catalog = |kind: &&Kind| {
            mappings.iter().find(|m| m.catalog.name == kind.catalog).map(|m| (*m.catalog).clone())
        };
        let catalogs = kinds.iter().filter_map(catalog).collect();
        let table: Arc<dyn Table> = match plan.sqlite {
            true => Arc::new(InSqlite::new(&kinds, catalogs)?),
            false => Arc::new(InMemory::new(catalogs)),
        };
        let config =
            Config { seed, account: Some("acct_simulated".into()), log_limit: 0, ..Config::default() };
        let mut stripe = Stripe::new(config);
        let endpoint = match plan.webhooks {
            true => {
                let made = stripe.dashboard_endpoint("http://127.0.0.1:1/hooks/stripe", &[], timestamp(0));
                Some(made.map_err(|error| error.to_string())?)
            }
            false => None,
        };
        let (endpoint, secret) = endpoint.unzip();
        let org = Salesforce::new(Organization {
            seed,
            organization: Some("00D000000000001EAA".into()),
            page_size: 3,
            log_limit: 0,
            ..Organization::default()
        });
        let sim = Sim::new(plan, (stripe, org), table, dice.fork(1), trace);
        sim.say(|| format!("seed {seed}: {}", sim.plan.summary()));
        let fleet = Fleet::new(sim.clone(), mappings.clone(), secret);
        let users = Users::all(&sim, &dice.fork(2));
        Ok(Self {
            sim,
            fleet,
            users,
            mappings,
            endpoint,
            schedule: dice.fork(3),
            operator: dice.fork(4),
            haste: dice.fork(5),
            violations: Vec::new(),
            steps: 0,
            links: BTreeMap::new(),
        })
    }

    /// Everything, from the first row to the last check.
    fn live(&mut self) {
        for users in &self.users {
            users.settle_in();
        }
        self.start();
        let executor = self.sim.executor.clone();
        for users in &self.users {
            executor.spawn(WORLD, "users of rows", users.clone().edit_rows());
            executor.spawn(WORLD, "users of records", users.clone().edit_records());
            if users.place.is_guarded {
                let edits = users.clone().edit_what_is_read(self.haste.clone());
                executor.spawn(WORLD, "users in haste", edits);
            }
        }
        executor.spawn(WORLD, "clock", outside::jump(self.sim.clone()));
        executor.spawn(WORLD, "administrator", outside::administer(self.sim.clone()));
        let operator = outside::operate(self.fleet.clone(), self.endpoint.clone(), self.operator.clone());
        executor.spawn(WORLD, "operator", operator);
        let active = crate::executor::micros(self.sim.plan.active);
        self.until(active);
        self.calm();
        self.conclude();
    }

    /// Starts the engines and the world around them.
    pub(crate) fn start(&mut self) {
        self.fleet.start();
        self.sim.executor.spawn(WORLD, "deliveries", outside::deliver(self.fleet.clone()));
        if self.sim.plan.rotates {
            self.sim.executor.spawn(WORLD, "owner of the app", outside::sign_in(self.fleet.clone()));
        }
    }

    /// Ends all faults; everybody who is down comes back.
    pub(crate) fn calm(&mut self) {
        self.sim.be_calm();
        self.sim.stripe().clear_faults();
        self.sim.org().clear_faults();
        self.fleet.be_calm();
        self.sim.say(|| "from here on nothing goes wrong".to_owned());
    }

    /// Runs until this moment. False if it cannot go on.
    pub(crate) fn until(&mut self, moment: u64) -> bool {
        while self.sim.executor.now() < moment {
            self.steps += 1;
            if self.steps > STEPS {
                self.violations.push(format!("liveness: no end after {STEPS} steps"));
                return false;
            }
            self.tell_of_links();
            match self.sim.executor.step(&mut self.schedule) {
                Ok(Step::Polled { task, name }) => self.sim.note(name, task, 2),
                Ok(Step::Advanced) => {}
                Ok(Step::Idle) => {
                    self.violations.push("liveness: nothing will ever happen again".to_owned());
                    return false;
                }
                Err(panic) => {
                    self.violations.push(format!("panic: task `{}` panicked: {}", panic.task, panic.message));
                    return false;
                }
            }
        }
        true
    }

    /// Tells which links changed in the last step, to whoever looks closely.
    fn tell_of_links(&mut self) {
        if !self.sim.tells_points() {
            return;
        }
        let Some(snapshots) = self.snapshots(false) else { return };
        let id = |id: Option<&str>| id.unwrap_or("none").to_owned();
        for link in snapshots.iter().flat_map(|snapshot| &snapshot.links) {
            let local = id(link.local_id.as_ref().map(|id| id.as_str()));
            let remote = id(link.remote_id.as_ref().map(|id| id.as_str()));
            let lease = link.lease.map(|lease| lease.token.0);
            let now = format!(
                "{}: row {local}, record {remote}, {}, lease {lease:?}",
                link.id,
                link.state.as_str()
            );
            if self.links.get(&link.id) != Some(&now) {
                self.sim.say(|| format!("link {now}"));
                self.links.insert(link.id, now);
            }
        }
    }

    /// Every mapping as it stands, parents first.
    fn snapshots(&mut self, with_history: bool) -> Option<Vec<Snapshot>> {
        match Snapshot::take_all(&self.sim, &self.mappings, with_history) {
            Ok(snapshots) => Some(snapshots),
            Err(error) => {
                self.violations.push(error);
                None
            }
        }
    }

    /// What is not in step at this moment.
    pub(crate) fn unsettled(&mut self) -> Vec<String> {
        // History is long and seldom says anything about this.
        for with_history in [false, true] {
            let Some(snapshots) = self.snapshots(with_history) else { break };
            let found: Vec<String> =
                snapshots.iter().flat_map(|snapshot| unsettled(snapshot, &self.sim)).collect();
            if found.is_empty() || with_history {
                return found;
            }
        }
        vec!["the store cannot be read".to_owned()]
    }

    /// What a feed or webhooks that tell everything have told of and nobody looked at.
    fn passed_over(&mut self) -> Vec<String> {
        let delivered = self.sim.plan.webhooks_tell_all() && self.sim.stripe().open_deliveries() == 0;
        let tells = |service| match service {
            Service::Stripe => self.sim.plan.feed_tells_all() || delivered,
            Service::Salesforce => self.sim.plan.polls_tell_all(),
        };
        if !self.sim.plan.services().into_iter().any(tells) {
            return Vec::new();
        }
        let told: Vec<bool> = self.sim.plan.places.iter().map(|place| tells(place.service)).collect();
        let snapshots = self.snapshots(false).unwrap_or_default();
        let done =
            snapshots.iter().zip(told).filter(|(snapshot, told)| *told && snapshot.counts.pending == 0);
        let done = done.map(|(snapshot, _)| snapshot);
        done.flat_map(|snapshot| passed_over(snapshot, &self.sim)).collect()
    }

    /// Waits until both sides are in step, no longer than this. False if they are not.
    pub(crate) fn settle(&mut self, limit: u64) -> bool {
        let end = self.sim.executor.now() + limit;
        let mut calm = 0;
        while self.sim.executor.now() < end {
            let now = self.sim.executor.now();
            if !self.until(now + SECOND / 5) {
                return false;
            }
            let quiet = self.unsettled().is_empty() && self.sim.stripe().open_deliveries() == 0;
            calm = if quiet { calm + 1 } else { 0 };
            if calm >= 2 {
                return true;
            }
        }
        false
    }

    /// Waits for convergence, passes twice, checks everything.
    pub(crate) fn conclude(&mut self) {
        if !self.converge() {
            self.check_all();
            return;
        }
        self.pass_again();
        self.check_all();
    }

    fn converge(&mut self) -> bool {
        let start = self.sim.executor.now();
        let mut calm = 0;
        let mut asked = 0;
        let mut lagged = None;
        let mut overdue = Overdue::default();
        loop {
            let now = self.sim.executor.now();
            if !self.until(now + 2 * SECOND) {
                return false;
            }
            let passed = self.sim.executor.now() - start;
            if passed < 10 * SECOND {
                continue;
            }
            let open = self.unsettled();
            let told = if asked == 1 && !open.is_empty() { self.passed_over() } else { Vec::new() };
            // Full passes run on a schedule; where the mapping has none, somebody asks for one now and then.
            let due = match asked {
                0 => 60 * SECOND,
                // A feed is read further back every five minutes.
                1 if !told.is_empty() => 400 * SECOND,
                1 => 150 * SECOND,
                more => more * 300 * SECOND,
            };
            // Deliveries that failed often are tried again hours later; a pass has seen what they would tell.
            let (deliveries, late) = {
                let deliveries = self.sim.stripe().open_deliveries();
                (deliveries, self.sim.late_requests())
            };
            // What lists do not show yet is to come, and comes with the poll after they do.
            if self.sim.lagging_records() > 0 {
                lagged = Some(self.sim.executor.now());
            }
            let shown = lagged.is_none_or(|at| self.sim.executor.now() > at + A_POLL);
            // Whoever is frozen has something to do yet when it wakes.
            let awake = !self.sim.executor.is_anyone_frozen();
            let answered = self.sim.executor.now() > self.sim.slow_until.load(Ordering::Relaxed);
            let is_idle = awake && answered && late == 0;
            if let Some(what) = overdue.look(&self.sim, &self.fleet, is_idle) {
                self.violations.push(what);
                return false;
            }
            if open.is_empty() && is_idle && shown && (asked > 1 || deliveries == 0) {
                calm += 1;
                if calm >= 3 && !self.approve_withheld() {
                    return true;
                }
            } else {
                calm = 0;
            }
            if passed > due {
                asked += 1;
                self.violations.extend(told.into_iter().map(|what| format!("notice: passed over, {what}")));
                if asked == 2 {
                    // The link itself makes due what waits for it; nobody has to pass over everything for that.
                    let forgotten = open.iter().filter(|what| what.ends_with(RELEASED));
                    self.violations.extend(forgotten.map(|what| format!("release: {what}")));
                }
                self.sim.say(|| format!("not in step: {}", open.join("; ")));
                self.approve_withheld();
                if asked == 1 {
                    let snapshots = self.snapshots(false).unwrap_or_default();
                    let impatient: Vec<String> = snapshots.iter().flat_map(patience).collect();
                    self.violations.extend(impatient.into_iter().map(|what| format!("patience: {what}")));
                    let cold = snapshots.iter().flat_map(|snapshot| left_in_the_cold(snapshot, &self.sim));
                    self.violations.extend(cold.map(|what| format!("notice: passed over, {what}")));
                    // Whoever has just woken was told of nothing yet: what it passes over shows in a moment.
                    let is_relayed = snapshots.iter().all(|snapshot| snapshot.is_relayed);
                    let is_heard = is_relayed
                        && outside::is_heard(&self.fleet, |running| Box::pin(outside::replay_all(running)));
                    if !is_heard {
                        // Nobody was there to hear it.
                        asked = 0;
                    }
                } else {
                    self.sim.count("pass_for_convergence");
                    self.ask_for_a_pass();
                }
            }
            if passed > LIVENESS {
                self.violations.extend(open.into_iter().map(|what| format!("convergence: {what}")));
                return false;
            }
        }
    }

    /// Has somebody approve what brakes withhold, if there is such a person. False if there is nothing to approve.
    fn approve_withheld(&mut self) -> bool {
        if self.snapshots(false).is_none_or(|all| all.iter().all(|snapshot| snapshot.withheld.is_empty())) {
            return false;
        }
        self.sim.count("brake_withheld");
        if self.sim.plan.approves {
            self.sim.say(|| "what brakes withhold is approved".to_owned());
            outside::ask(&self.fleet, |running| Box::pin(outside::approve_all(running)));
        }
        self.sim.plan.approves
    }

    pub(crate) fn ask_for_a_pass(&mut self) {
        self.sim.say(|| "a full pass is asked for".to_owned());
        outside::ask(&self.fleet, |running| Box::pin(outside::pass_all(running)));
    }

    /// Has somebody take back what was last written to a row.
    pub(crate) fn ask_for_a_revert(&mut self, id: String) {
        self.sim.say(|| format!("what was written to row {id} is to be taken back"));
        let Some(place) = self.sim.plan.places.first().copied() else { return };
        outside::ask(&self.fleet, |running| Box::pin(outside::revert_one(running, place, Some(id))));
    }

    /// A full pass over what is in step writes nothing on either side (invariant 4).
    fn pass_again(&mut self) {
        // What a brake holds back goes out when its window moves on, pass or no pass.
        let free = |all: &Vec<Snapshot>| all.iter().all(|snapshot| snapshot.withheld.is_empty());
        let Some(start) = self.snapshots(false).filter(free) else { return };
        let groups = |all: &[Snapshot]| -> Vec<_> { all.iter().map(Snapshot::parked_groups).collect() };
        let chosen_from = groups(&start);
        let left: u64 = start.iter().map(left_by_a_stop).sum();
        let insisted: Fields = start.iter().flat_map(Snapshot::insisted_on).collect();
        let before = self.written(&insisted);
        let passed = |run: &mut Self| -> Vec<_> {
            let all = run.snapshots(false).unwrap_or_default();
            all.into_iter().map(|snapshot| snapshot.pair.and_then(|pair| pair.passed_at)).collect()
        };
        let was = passed(self);
        let all_passed = |now: Vec<_>| now.iter().zip(&was).all(|(now, was)| now != was);
        self.ask_for_a_pass();
        let start = self.sim.executor.now();
        let mut asked = start;
        loop {
            let now = self.sim.executor.now();
            if !self.until(now + SECOND) {
                return;
            }
            if all_passed(passed(self)) && self.sim.executor.now() > start + 8 * SECOND {
                break;
            }
            // Whoever was asked may have been dead or asleep.
            if self.sim.executor.now() > asked + 60 * SECOND {
                asked = self.sim.executor.now();
                self.ask_for_a_pass();
            }
            if self.sim.executor.now() > start + 600 * SECOND {
                // A side that lists nothing although there are links stops it (rule 59).
                let snapshots = self.snapshots(false).unwrap_or_default();
                if !snapshots.iter().any(Snapshot::lists_nothing) {
                    self.violations.push("liveness: a full pass did not end within 10 minutes".to_owned());
                }
                return;
            }
        }
        // What the pass, or a feed that is read just now, has signalled takes a moment.
        let end = self.sim.executor.now() + 60 * SECOND;
        let mut open = self.unsettled();
        while !open.is_empty() && self.sim.executor.now() < end {
            let now = self.sim.executor.now();
            if !self.until(now + SECOND) {
                return;
            }
            open = self.unsettled();
        }
        let after = self.written(&insisted);
        // Whether a person still has to choose is asked by passes alone, and what need not be chosen any more is done.
        let chosen = self.snapshots(false).is_none_or(|now| groups(&now) != chosen_from);
        if after.0 - before.0 + after.1 - before.1 > left && !chosen {
            self.violations.push(format!(
                "second pass: over what was in step it made {} remote writes and {} row writes",
                after.0 - before.0,
                after.1 - before.1
            ));
        }
        self.violations.extend(open.into_iter().map(|what| format!("second pass: {what}")));
    }

    /// How often engines have written to records, and to rows; but for these fields, on which two services insist: each writes its
    /// own again once the guard's ten minutes are over.
    fn written(&self, insisted: &Fields) -> (u64, u64) {
        let (mut records, mut rows) = (0, 0);
        for kind in self.sim.plan.kinds() {
            let ledger = self.sim.ledger(kind);
            records += ledger.engine_writes.len() as u64;
            let is_insisted = |(id, field): &(String, usize)| {
                insisted.contains(&(kind.catalog, id.clone(), kind.labels[*field]))
            };
            let counts = |write: &&RowWrite| !write.only_values || !write.values.iter().all(is_insisted);
            rows += ledger.engine_row_writes.iter().filter(counts).count() as u64;
        }
        (records, rows)
    }

    /// The checkers that look at the whole run.
    fn check_all(&mut self) {
        let Some(snapshots) = self.snapshots(true) else { return };
        let named = |checker: &str, all: Vec<String>| -> Vec<String> {
            all.into_iter().map(|violation| format!("{checker}: {violation}")).collect()
        };
        let history = snapshots.iter().flat_map(|snapshot| &snapshot.history);
        let by_time = history.filter(|row| row.entry.rules.contains(&12)).count() as u64;
        self.sim.trace().counters.add("newest_decided", by_time);
        let mut found = Vec::new();
        for snapshot in &snapshots {
            found.extend(named("one record per row", once(snapshot, &self.sim)));
            found.extend(named("delete evidence", deletes(snapshot, &snapshots, &self.sim)));
            note_archives(snapshot, &self.sim);
            found.extend(named("archive", archives(snapshot, &snapshots, &self.sim)));
            found.extend(named("brakes", brakes(snapshot, &self.sim)));
        }
        for children in &snapshots {
            let refers = |parents: &&Snapshot| {
                let same = parents.place.service == children.place.service;
                same && children.place.kind.parent.is_some_and(|kind| kind.is(parents.place.kind))
            };
            let parents = snapshots.iter().filter(refers);
            let early = parents.flat_map(|parents| children_first(parents, children, &self.sim));
            found.extend(named("children first", early.collect()));
        }
        found.extend(named("register", register(&self.sim, &snapshots)));
        found.extend(named("write budget", budget(&self.sim, &snapshots)));
        found.append(&mut self.sim.seen_wrong.lock().unwrap_or_else(PoisonError::into_inner));
        if self.sim.trace().prints() && !(found.is_empty() && self.violations.is_empty()) {
            for link in snapshots.iter().flat_map(|snapshot| &snapshot.links) {
                self.sim.say(|| format!("{link:?}"));
                for intent in Snapshot::intents(&self.sim, link) {
                    self.sim.say(|| {
                        format!("  {} {:?} {} {:?}", intent.number, intent.state, intent.kind, intent.outcome)
                    });
                }
            }
            for entry in snapshots.iter().flat_map(|snapshot| snapshot.history.iter().rev()) {
                self.sim.say(|| format!("{entry:?}"));
            }
            for (brake, withheld) in snapshots.iter().flat_map(|snapshot| &snapshot.withheld) {
                self.sim.say(|| format!("{brake:?} {withheld:?}"));
            }
            for work in Snapshot::all_work(&self.sim) {
                self.sim.say(|| format!("{work:?}"));
            }
        }
        self.violations.extend(found);
    }

    /// Ends the run.
    pub(crate) fn outcome(mut self) -> Outcome {
        let fired = [self.sim.stripe().fired(), self.sim.org().fired()];
        for (kind, times) in fired.into_iter().flatten() {
            self.sim.trace().counters.add(kind, times);
        }
        for running in self.fleet.up() {
            running.process.kill();
        }
        self.sim.executor.clear();
        let trace = self.sim.trace();
        for violation in &self.violations {
            if trace.prints() {
                crate::trace::print_line(&format!("VIOLATION: {violation}"));
            }
        }
        Outcome {
            violations: std::mem::take(&mut self.violations),
            trace_hash: trace.hash(),
            counters: trace.counters.clone(),
            steps: self.steps,
        }
    }
}
