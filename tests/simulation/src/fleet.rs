//! The engines: 1 to 4 workers, each a process that dies and comes back on the same store.

use crate::askers::Watched;
use crate::executor::{Pid, WORLD};
use crate::kinds::{Place, Service};
use crate::network::SimHttp;
use crate::plan::Plan;
use crate::ports::{SimClock, SimRandom, SimTasks};
use crate::process::Process;
use crate::queue::SimQueue;
use crate::sim::Sim;
use crate::store::SimStore;
use bothways_connector::Connector;
use bothways_connector_sandbox::salesforce::Config as Organization;
use bothways_engine::{ConnectionState, Engine, Intake, Loaded, Operations, Ports, Vault};
use bothways_mapping::{Mapping, SourceFile};
use bothways_model::{ConnectionName, Secret};
use bothways_queue::MemoryQueue;
use futures::future::{Either, select};
use futures::pin_mut;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const KEY: &str = "sk_test_simulated";
/// What tokens are stored under.
const VAULT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A process whose engine is up.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) process: Arc<Process>,
    pub(crate) intake: Intake,
    pub(crate) ops: Operations,
    /// How many secrets of the webhook endpoint it knows.
    knows: usize,
}

/// All workers.
pub(crate) struct Fleet {
    pub(crate) sim: Arc<Sim>,
    /// In the order of the plan's places.
    pub(crate) mappings: Vec<Arc<Mapping>>,
    hub: MemoryQueue,
    secrets: Mutex<Vec<String>>,
    /// The refresh token that a person was given for Salesforce, if there is one.
    token: Mutex<Option<String>>,
    slots: Mutex<Vec<Option<Running>>>,
    pids: AtomicU64,
    /// The lock beside the database: who holds it alone may end the leases of the dead.
    lock: tokio::sync::Mutex<()>,
    holders: AtomicU64,
    calmed: Notify,
}

/// Reads the documents of a plan.
///
/// # Errors
/// They have errors: a mistake in the plan.
pub(crate) fn load(plan: &Plan) -> Result<Vec<Arc<Mapping>>, String> {
    let kinds = plan.kinds().into_iter();
    let catalogs = kinds.map(|kind| SourceFile::new(format!("{}.yaml", kind.catalog), plan.catalog(kind)));
    let places = plan.places.iter();
    let mappings =
        places.map(|place| SourceFile::new(format!("{}.yaml", place.mapping), plan.document(place)));
    let files: Vec<SourceFile> = catalogs.chain(mappings).collect();
    // Small pages, so that walks and feeds have several.
    let document = bothways_connector_stripe::DOCUMENT.replace("limit: 100", "limit: 3");
    let builtin = [
        SourceFile::new(bothways_connector_stripe::DOCUMENT_NAME, document),
        SourceFile::new(
            bothways_connector_salesforce::DOCUMENT_NAME,
            bothways_connector_salesforce::DOCUMENT,
        ),
    ];
    let loaded = bothways_mapping::load(&files, &builtin);
    let findings: Vec<String> =
        loaded.findings.iter().map(|f| format!("{:?}: {}", f.code, f.message)).collect();
    let project = loaded.project.ok_or_else(|| findings.join("; "))?;
    let named = |place: &&Place| project.mapping(place.mapping).cloned().ok_or_else(|| findings.join("; "));
    plan.places.iter().map(named).collect()
}

impl Fleet {
    pub(crate) fn new(sim: Arc<Sim>, mappings: Vec<Arc<Mapping>>, secret: Option<String>) -> Arc<Self> {
        let workers = sim.plan.workers;
        let token = sim.plan.rotates.then(|| sim.org().dashboard_consent());
        Arc::new(Self {
            sim,
            mappings,
            hub: MemoryQueue::default(),
            secrets: Mutex::new(secret.into_iter().collect()),
            token: Mutex::new(token),
            slots: Mutex::new(vec![None; workers]),
            pids: AtomicU64::new(0),
            lock: tokio::sync::Mutex::new(()),
            holders: AtomicU64::new(0),
            calmed: Notify::new(),
        })
    }

    /// Starts keeping all workers up.
    pub(crate) fn start(self: &Arc<Self>) {
        for slot in 0..self.sim.plan.workers {
            self.sim.executor.spawn(WORLD, "supervisor", self.clone().keep(slot));
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Option<Running>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes whose engines are up.
    pub(crate) fn up(&self) -> Vec<Running> {
        self.slots().iter().flatten().filter(|running| !running.process.is_dead()).cloned().collect()
    }

    /// One of them.
    pub(crate) fn one(&self) -> Option<Running> {
        self.one_of(|_| true)
    }

    /// One of those that are wanted.
    pub(crate) fn one_of(&self, wanted: impl Fn(&Running) -> bool) -> Option<Running> {
        let up: Vec<Running> = self.up().into_iter().filter(wanted).collect();
        let index = usize::try_from(self.sim.draw(|dice| dice.below(up.len() as u64))).unwrap_or(0);
        up.into_iter().nth(index)
    }

    /// Whether every process knows the present secret of the webhook endpoint: only then may it be rolled.
    pub(crate) fn may_roll(&self) -> bool {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner).len();
        let up = self.up();
        up.len() as u64 == self.sim.live.load(Ordering::Relaxed)
            && up.iter().all(|running| running.knows == secrets)
    }

    /// A new secret of the webhook endpoint; processes that start from now on know it.
    pub(crate) fn add_secret(&self, secret: String) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret);
    }

    fn token(&self) -> Option<String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether somebody is there, and everybody may call every service: who waits for a token that another one was about to renew
    /// cannot yet.
    pub(crate) fn is_at_work(&self) -> bool {
        let services = self.sim.plan.services();
        let is_ready = |running: &Running| {
            services.iter().all(|service| {
                let connection = ConnectionName::from(service.connection());
                matches!(running.ops.engine().connection_state(&connection), ConnectionState::Ready { .. })
            })
        };
        let up = self.up();
        !up.is_empty() && up.iter().all(is_ready)
    }

    /// Whether somebody shows that Salesforce takes the refresh token no more.
    pub(crate) fn is_locked_out(&self) -> bool {
        let says = |why: &str| why.contains("SALESFORCE_REFRESH_TOKEN");
        let connection = ConnectionName::from(Service::Salesforce.connection());
        let state = |running: &Running| running.ops.engine().connection_state(&connection);
        let is_blocked =
            |running: &Running| matches!(state(running), ConnectionState::Blocked(why) if says(&why));
        let backing = self.sim.table.store();
        let pauses = backing.run(backing.store.pauses()).and_then(Result::ok).unwrap_or_default();
        self.up().iter().any(is_blocked) || pauses.iter().any(|pause| says(&pause.reason))
    }

    /// A person signs in again at Salesforce, and starts everything anew with the token that this brings.
    pub(crate) fn sign_in(&self) {
        let token = self.sim.org().dashboard_consent();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        self.up().iter().for_each(|running| running.process.kill());
    }

    /// Nothing goes wrong any more: whoever is down comes back, wrong credentials are put right, and whoever gave up since its session
    /// ended again and again is started anew.
    pub(crate) fn be_calm(&self) {
        self.calmed.notify_waiters();
        let swapped: Vec<Arc<Process>> = self
            .slots()
            .iter()
            .flatten()
            .map(|r| r.process.clone())
            .filter(|p| p.swapped || self.sim.plan.admins)
            .collect();
        for process in swapped {
            process.kill();
        }
    }

    /// Keeps one worker up.
    async fn keep(self: Arc<Self>, slot: usize) {
        let sim = self.sim.clone();
        if !sim.is_calm() && slot > 0 {
            let wait = sim.draw(|dice| dice.millis(1, 5000));
            self.pause(wait).await;
        }
        loop {
            let pid: Pid = self.pids.fetch_add(1, Ordering::Relaxed) + 1;
            let weather = &sim.plan.weather;
            let calm = sim.is_calm();
            let fuel = sim.draw(|dice| {
                (weather.kill_within > 0 && dice.below(4) > 0).then(|| dice.scale(1, weather.kill_within))
            });
            let swapped =
                !calm && self.account_is_known() && sim.draw(|dice| dice.chance(weather.other_account));
            let stop_after =
                sim.draw(|dice| (weather.stop > 0 && dice.below(3) == 0).then(|| dice.millis(500, 120_000)));
            let process = Process::new(sim.clone(), pid, slot, fuel.filter(|_| !calm), swapped);
            sim.say(|| {
                format!("process {pid} starts{}", if swapped { " with another account's key" } else { "" })
            });
            sim.live.fetch_add(1, Ordering::Relaxed);
            sim.executor.spawn(pid, "main", self.clone().main(process.clone()));
            self.watch(&process, stop_after.filter(|_| !calm), swapped).await;
            sim.live.fetch_sub(1, Ordering::Relaxed);
            let was_up = self.slots()[slot].take();
            if was_up.is_some() {
                self.holders.fetch_sub(1, Ordering::Relaxed);
            }
            drop(was_up);
            let wait = match sim.is_calm() {
                true => Duration::from_secs(1),
                false => {
                    let longest = u64::try_from(sim.plan.down_for.as_millis()).unwrap_or(300_000);
                    sim.draw(|dice| dice.millis(10, longest))
                }
            };
            self.pause(wait).await;
        }
    }

    /// Waits until a process is dead. Some are asked to stop first.
    async fn watch(&self, process: &Arc<Process>, stop_after: Option<Duration>, swapped: bool) {
        let end = match (swapped, stop_after) {
            // Somebody notices the wrong credentials.
            (true, _) => Some(Duration::from_secs(self.sim.draw(|dice| dice.between(3, 60)))),
            (false, stop) => stop,
        };
        let died = process.died.notified();
        pin_mut!(died);
        let Some(end) = end else {
            died.await;
            return;
        };
        let timer = self.sim.executor.sleep(end);
        pin_mut!(timer);
        if let Either::Left(_) = select(died.as_mut(), timer).await {
            return;
        }
        if self.sim.is_calm() && !swapped {
            died.await;
            return;
        }
        let running = self.slots()[process.slot].clone();
        if let Some(running) = running {
            self.sim.count("process_stopped");
            self.sim.say(|| format!("process {} is asked to stop", process.pid));
            running.ops.engine().stop();
            drop(running);
            let patience = self.sim.draw(|dice| dice.millis(1, 20_000));
            let timer = self.sim.executor.sleep(patience);
            pin_mut!(timer);
            if let Either::Left(_) = select(died, timer).await {
                return;
            }
        }
        process.kill();
    }

    async fn pause(&self, time: Duration) {
        let timer = self.sim.executor.sleep(time);
        let calmed = self.calmed.notified();
        pin_mut!(timer, calmed);
        select(timer, calmed).await;
    }

    /// What a process does when it starts.
    async fn main(self: Arc<Self>, process: Arc<Process>) {
        let slot = process.slot;
        let token = self.token();
        match self.open(&process, token.clone()).await {
            // Somebody has set another one meanwhile.
            Ok(_) if self.token() != token => process.kill(),
            Ok(running) => {
                if running.process.swapped {
                    self.sim.count("other_account");
                }
                self.holders.fetch_add(1, Ordering::Relaxed);
                running.ops.engine().start();
                self.slots()[slot] = Some(running);
            }
            Err(error) => {
                self.sim.say(|| format!("process {} could not start: {error}", process.pid));
                process.kill();
            }
        }
    }

    async fn open(&self, process: &Arc<Process>, token: Option<String>) -> Result<Running, String> {
        let lock = self.lock.lock().await;
        process.alive().await;
        let (secrets, knows) = {
            let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            (secrets.join(","), secrets.len())
        };
        let org = Organization::default();
        let lookup = move |name: &str| match name {
            "STRIPE_API_KEY" => Some(KEY.to_owned()),
            "STRIPE_BASE_URL" => Some(Service::Stripe.address().to_owned()),
            "STRIPE_WEBHOOK_SECRET" => Some(secrets.clone()).filter(|secrets| !secrets.is_empty()),
            "STRIPE_RATE" | "SALESFORCE_RATE" => Some("100000/s".to_owned()),
            "SALESFORCE_INSTANCE_URL" => Some(Service::Salesforce.address().to_owned()),
            "SALESFORCE_CLIENT_ID" => Some(org.client_id.clone()),
            "SALESFORCE_REFRESH_TOKEN" => token.clone(),
            "SALESFORCE_CLIENT_SECRET" => Some(org.client_secret.clone()),
            _ => None,
        };
        let mut connectors: BTreeMap<Service, Arc<dyn Connector>> = BTreeMap::new();
        let mut loaded = Vec::new();
        for (place, mapping) in self.sim.plan.places.iter().zip(&self.mappings) {
            let connection = ConnectionName::from(place.service.connection());
            let connector = match connectors.entry(place.service) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(entry) => {
                    let said = |error| format!("{error:?}");
                    let resolved =
                        mapping.connector.resolve(&connection, &lookup).map_err(|e| format!("{e:?}"))?;
                    let made: Arc<dyn Connector> = match place.service {
                        Service::Stripe => {
                            Arc::new(bothways_connector_stripe::connector(resolved).map_err(said)?)
                        }
                        Service::Salesforce => {
                            Arc::new(bothways_connector_salesforce::connector(resolved).map_err(said)?)
                        }
                    };
                    let watched = Watched { connector: made, process: process.clone() };
                    entry.insert(Arc::new(watched)).clone()
                }
            };
            loaded.push(Loaded { mapping: mapping.clone(), connection, connector });
        }
        let ports = Ports {
            clock: Arc::new(SimClock(process.clone())),
            random: Arc::new(SimRandom(process.clone())),
            tasks: Arc::new(SimTasks(process.clone())),
            http: Arc::new(SimHttp(process.clone())),
        };
        let store = Arc::new(SimStore {
            process: process.clone(),
            backing: self.sim.table.store(),
            seen: AtomicI64::new(0),
        });
        let queue = Arc::new(SimQueue { process: process.clone(), hub: self.hub.clone() });
        let engine = Engine::open(store, queue, ports, &loaded, &[], self.sim.plan.settings)
            .await
            .map_err(|error| error.to_string())?;
        let vault = Vault::parse(&Secret::new(VAULT)).map_err(|error| format!("{error:?}"))?;
        engine.set_vault(vault);
        let ops = Operations::new(engine.clone());
        if self.holders.load(Ordering::Relaxed) == 0 {
            engine.take_over().await.map_err(|error| error.to_string())?;
            self.sim.count("takeover_at_start");
        }
        for pair in engine.pairs() {
            self.sim.note_pair(pair.id, &pair.mapping.name);
            if !pair.is_approved() {
                ops.approve(Some(&pair.mapping.name), "the simulator")
                    .await
                    .map_err(|error| error.to_string())?;
            }
        }
        drop(lock);
        let intake = Intake::new(engine);
        Ok(Running { process: process.clone(), intake, ops, knows })
    }

    /// Whether the pair knows its account: only then another one can be told from it.
    fn account_is_known(&self) -> bool {
        let backing = self.sim.table.store();
        let pairs = backing.run(backing.store.pairs());
        matches!(pairs, Some(Ok(pairs)) if pairs.iter().all(|pair| pair.account.is_some()) && !pairs.is_empty())
    }
}
