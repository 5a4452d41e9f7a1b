//! One simulated process, and the points at which anything may happen to it.
//!
//! Every call of a port passes such a point before and after its effect: others may run there, time may pass, the process may be
//! frozen, or it may die. A dead process's ports never answer again and have no effect; nothing is left to `Drop`.

use crate::askers::Asked;
use crate::dice::Dice;
use crate::executor::{Pid, step_back};
use crate::promises::Promises;
use crate::shown::Shown;
use crate::sim::Sim;
use crate::tokens::Tokens;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What kind of call a point belongs to: how often things happen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A store call that only reads.
    Read,
    /// A store call that writes.
    Write,
    /// The commit of units.
    Commit,
    /// A request.
    Send,
    /// Its answer.
    Receive,
    /// A wait.
    Wait,
    /// A nudge, sent or received.
    Nudge,
}

impl Kind {
    /// Whether a crash here is counted among the crash points: something durable or remote happens at it.
    fn is_fateful(self) -> bool {
        matches!(self, Kind::Write | Kind::Commit | Kind::Send | Kind::Receive)
    }
}

/// One incarnation of an engine.
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// Which of the workers it is.
    pub(crate) slot: usize,
    pub(crate) sim: Arc<Sim>,
    dead: AtomicBool,
    /// Fateful points until it dies by itself; below zero it lives.
    fuel: AtomicI64,
    /// What the engine draws.
    pub(crate) random: Mutex<Dice>,
    /// Its credentials mean another account.
    pub(crate) swapped: bool,
    /// Told when it dies.
    pub(crate) died: Notify,
    pub(crate) promises: Mutex<Promises>,
    /// What polls were shown.
    pub(crate) shown: Mutex<Shown>,
    pub(crate) asked: Mutex<Asked>,
    pub(crate) tokens: Mutex<Tokens>,
}

impl Process {
    pub(crate) fn new(sim: Arc<Sim>, pid: Pid, slot: usize, fuel: Option<u64>, swapped: bool) -> Arc<Self> {
        let random = Mutex::new(sim.draw(|dice| dice.fork(pid)));
        let fuel = AtomicI64::new(fuel.and_then(|f| i64::try_from(f).ok()).unwrap_or(-1));
        Arc::new(Self {
            pid,
            slot,
            sim,
            dead: AtomicBool::new(false),
            fuel,
            random,
            swapped,
            died: Notify::new(),
            promises: Mutex::default(),
            shown: Mutex::default(),
            asked: Mutex::default(),
            tokens: Mutex::default(),
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Dies, as by `kill -9`.
    pub(crate) fn kill(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            self.sim.executor.kill(self.pid);
            self.sim.say(|| format!("process {} dies", self.pid));
            self.sim.note("dies", self.pid, 0);
            if self.tokens.lock().unwrap_or_else(PoisonError::into_inner).is_one_unstored() {
                self.sim.count("token_lost");
            }
            self.died.notify_one();
        }
    }

    /// Does not return if the process is dead.
    pub(crate) async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// A point before or after a call's effect. Does not return if the process is dead.
    pub(crate) async fn at(&self, what: &'static str, kind: Kind) {
        self.alive().await;
        self.sim.note(what, self.pid, 1);
        if kind.is_fateful() {
            self.sim.say_detail(|| format!("{} {what}", self.pid));
            if self.sim.is_crash_point(what, self.pid) {
                self.sim.count("process_killed");
                self.kill();
                self.alive().await;
            }
        }
        match self.fate(kind) {
            Fate::Goes => {}
            Fate::StepsBack => step_back().await,
            Fate::Waits(time) => self.sim.executor.sleep(time).await,
            Fate::Freezes(time) => {
                self.sim.say(|| format!("process {} is frozen for {time:?}", self.pid));
                self.sim.executor.freeze(self.pid, time);
                if time > Duration::from_secs(90) {
                    self.sim.count("frozen_beyond_lease");
                }
                step_back().await;
            }
            Fate::Dies => {
                self.sim.count("process_killed");
                self.kill();
            }
        }
        self.alive().await;
    }

    fn fate(&self, kind: Kind) -> Fate {
        let sim = &self.sim;
        if sim.is_calm() {
            return if sim.draw(|dice| dice.chance(200_000)) { Fate::StepsBack } else { Fate::Goes };
        }
        if kind.is_fateful()
            && self.fuel.load(Ordering::Relaxed) >= 0
            && self.fuel.fetch_sub(1, Ordering::Relaxed) == 0
        {
            return Fate::Dies;
        }
        let weather = &sim.plan.weather;
        sim.draw(|dice| {
            let fateful = kind.is_fateful();
            if fateful && dice.chance(weather.freeze) {
                return Fate::Freezes(Duration::from_secs(dice.scale(1, 400)));
            }
            match dice.below(1000) {
                0..500 => Fate::Goes,
                970..998 => Fate::Waits(dice.millis(1, 20)),
                998.. if fateful => Fate::Waits(dice.millis(50, 3000)),
                _ => Fate::StepsBack,
            }
        })
    }

    pub(crate) fn with_random<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Fate {
    Goes,
    StepsBack,
    Waits(Duration),
    Freezes(Duration),
    Dies,
}
