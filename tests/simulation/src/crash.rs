//! Crash points: each canonical flow once to count its fateful points (store writes, commits, sends, receives; before and after each),
//! then once for each of them with a kill there, with and without edits of users while the engine is down.

use crate::dice::Dice;
use crate::kinds::{Place, SALESFORCE_ACCOUNTS, SALESFORCE_CONTACTS, STRIPE_CUSTOMERS, STRIPE_INVOICES};
use crate::plan::Plan;
use crate::run::{Outcome, Run};
use crate::users::Users;
use bothways_model::LocalId;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

const SECOND: u64 = 1_000_000;

/// The flow in which refresh tokens rotate.
const RENEWAL: &str = "Salesforce, update out, its session has ended";

/// The flows in which a row is in the archive that its user takes back out: its record is deleted for that, or lives.
const BACK_ALONE: &str = "back out of the archive, its record is deleted";
const BACK_TOGETHER: &str = "back out of the archive, its record lives";

/// A flow whose crash points are enumerated.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Its name.
    pub name: &'static str,
    /// What it is about, parents first.
    places: &'static [&'static Place],
    /// `webhooks`, the feed's interval, the interval of full passes.
    ways: (bool, &'static str, &'static str),
    /// Who wins a conflict.
    winner: &'static str,
    /// What is linked before it begins.
    linked: u64,
    act: fn(&mut Run),
}

/// The canonical flows.
pub static FLOWS: &[Flow] = &[
    Flow {
        name: "create out",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| drop(run.users[0].insert_row(None, None)),
    },
    Flow {
        name: "update out",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| edit_row(run, 1, "new"),
    },
    Flow {
        name: "delete out",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| delete_row(run),
    },
    Flow {
        name: "create in",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| drop(run.users[0].create_record(None)),
    },
    Flow {
        name: "update in, by webhook",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| edit_record(run, 1, "new"),
    },
    Flow {
        name: "delete in",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| delete_record(run),
    },
    Flow {
        name: "first match",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| meet(run),
    },
    Flow {
        name: "conflict, local wins",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| edit_both(run),
    },
    Flow {
        name: "conflict, remote wins",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "remote",
        linked: 1,
        act: |run| edit_both(run),
    },
    Flow {
        name: "conflict, a person decides",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "manual",
        linked: 1,
        act: |run| edit_both(run),
    },
    Flow {
        name: "feed pages",
        places: &[&STRIPE_CUSTOMERS],
        ways: (false, "5s", "never"),
        winner: "local",
        linked: 4,
        act: |run| edit_all_records(run),
    },
    Flow {
        name: "full pass",
        places: &[&STRIPE_CUSTOMERS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 4,
        act: |run| {
            edit_all_records(run);
            drop(run.users[0].create_record(None));
            run.ask_for_a_pass();
        },
    },
    Flow {
        name: "invoice out, its customer is new",
        places: &[&STRIPE_CUSTOMERS, &STRIPE_INVOICES],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| drop(last(run).insert_row(None, None)),
    },
    Flow {
        name: "invoice in, its customer is new",
        places: &[&STRIPE_CUSTOMERS, &STRIPE_INVOICES],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| drop(last(run).create_record(None)),
    },
    Flow {
        name: "delete of a customer with invoices, out",
        places: &[&STRIPE_CUSTOMERS, &STRIPE_INVOICES],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| delete_row(run),
    },
    Flow {
        name: "Salesforce, create out",
        places: &[&SALESFORCE_ACCOUNTS, &SALESFORCE_CONTACTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| drop(last(run).insert_row(None, None)),
    },
    Flow {
        name: "Salesforce, create in",
        places: &[&SALESFORCE_ACCOUNTS, &SALESFORCE_CONTACTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| drop(last(run).create_record(None)),
    },
    Flow {
        name: "Salesforce, update out",
        places: &[&SALESFORCE_ACCOUNTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| edit_row(run, 1, "new"),
    },
    Flow {
        name: "Salesforce, update in",
        places: &[&SALESFORCE_ACCOUNTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| edit_record(run, 1, "new"),
    },
    Flow {
        name: "Salesforce, delete out",
        places: &[&SALESFORCE_ACCOUNTS, &SALESFORCE_CONTACTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| delete_row(run),
    },
    Flow {
        name: "Salesforce, delete in",
        places: &[&SALESFORCE_ACCOUNTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| delete_record(run),
    },
    Flow {
        name: "Salesforce, creates out together",
        places: &[&SALESFORCE_ACCOUNTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 0,
        act: |run| (0..8).for_each(|_| drop(run.users[0].insert_row(None, None))),
    },
    Flow {
        name: "Salesforce, updates out together",
        places: &[&SALESFORCE_ACCOUNTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 8,
        act: |run| edit_all_rows(run),
    },
    Flow {
        name: RENEWAL,
        places: &[&SALESFORCE_ACCOUNTS],
        ways: (false, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| {
            run.sim.org().dashboard_end_sessions();
            edit_row(run, 1, "new");
        },
    },
    Flow {
        name: "archive out",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| archive_row(run),
    },
    Flow {
        name: "archive in",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| delete_record(run),
    },
    Flow {
        name: BACK_ALONE,
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| take_out(run),
    },
    Flow {
        name: BACK_TOGETHER,
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 2,
        act: |run| take_out(run),
    },
    Flow {
        name: "revert",
        places: &[&STRIPE_CUSTOMERS],
        ways: (true, "never", "never"),
        winner: "local",
        linked: 1,
        act: |run| {
            if let Some(id) = rows(run).into_iter().next() {
                run.ask_for_a_revert(id.0);
            }
        },
    },
];

/// The users of what refers to something, where there is such a thing.
fn last(run: &Run) -> &Users {
    &run.users[run.users.len() - 1]
}

fn rows(run: &Run) -> Vec<LocalId> {
    run.sim.ledger(run.users[0].place.kind).rows.keys().map(|id| LocalId(id.clone())).collect()
}

fn records(run: &Run) -> Vec<String> {
    run.sim.ledger(run.users[0].place.kind).records.keys().cloned().collect()
}

fn edit_row(run: &Run, field: usize, value: &str) {
    if let Some(id) = rows(run).first() {
        run.users[0].update_row(id, &[(field, Some(format!("{value} here")))]);
    }
}

fn edit_record(run: &Run, field: usize, value: &str) {
    if let Some(id) = records(run).first() {
        run.users[0].update_record(id, &[(field, Some(format!("{value} there")))]);
    }
}

fn edit_both(run: &Run) {
    edit_row(run, 1, "both");
    edit_record(run, 1, "both");
}

fn edit_all_records(run: &Run) {
    for (number, id) in records(run).iter().enumerate() {
        run.users[0].update_record(id, &[(1, Some(format!("all {number}")))]);
    }
}

fn edit_all_rows(run: &Run) {
    for (number, id) in rows(run).iter().enumerate() {
        run.users[0].update_row(id, &[(1, Some(format!("all {number} here")))]);
    }
}

fn delete_row(run: &Run) {
    if let Some(id) = rows(run).first() {
        run.users[0].delete_row(id);
    }
}

fn archive_row(run: &Run) {
    if let Some(id) = rows(run).first() {
        run.users[0].archive_row(id);
    }
}

fn take_out(run: &Run) {
    if let Some(id) = rows(run).first() {
        run.users[0].take_out(id);
    }
}

fn delete_record(run: &Run) {
    if let Some(id) = records(run).first() {
        run.users[0].delete_record(id);
    }
}

/// Rows and records, some the same person, before any engine has run.
fn meet(run: &mut Run) {
    for number in 0..3 {
        let email = format!("met{number}@example.com");
        if number != 1 {
            run.users[0].insert_row(Some(email.clone()), None);
        }
        if number != 2 {
            run.users[0].create_record(Some(email));
        }
    }
    run.start();
}

impl Flow {
    fn plan(&self) -> Plan {
        let mut plan = Plan::quiet(self.places.to_vec());
        let (webhooks, feed, reconcile) = self.ways;
        plan.webhooks = webhooks;
        plan.winner = self.winner;
        plan.rhythm = (feed, reconcile);
        plan.rotates = self.name == RENEWAL;
        if self.name.contains("archive") {
            (plan.archives, plan.from_remote) = (1, "archive");
        }
        if self.name == BACK_TOGETHER {
            plan.from_local = "unlink";
        }
        plan
    }

    fn is_first(&self) -> bool {
        self.name == "first match"
    }

    /// Brings the world to where the flow begins.
    fn begin(&self, trace: bool) -> Result<Run, String> {
        let mut run = Run::new(7, self.plan(), &Dice::new(7), trace)?;
        if self.is_first() {
            return Ok(run);
        }
        run.start();
        run.until(5 * SECOND);
        for _ in 0..self.linked {
            drop(last(&run).insert_row(None, None));
        }
        run.settle(60 * SECOND);
        if self.name == "revert" {
            edit_record(&run, 1, "unwanted");
            run.settle(60 * SECOND);
        }
        if [BACK_ALONE, BACK_TOGETHER].contains(&self.name) {
            archive_row(&run);
            run.settle(60 * SECOND);
        }
        Ok(run)
    }

    /// How many fateful points the flow has until both sides are in step.
    ///
    /// # Errors
    /// It cannot be set up, or does not come to its end even without a crash.
    pub fn points(&self) -> Result<u64, String> {
        let mut run = self.begin(false)?;
        order(&run, 0);
        (self.act)(&mut run);
        if !run.settle(120 * SECOND) {
            return Err(format!("{}: not in step after two minutes without any crash", self.name));
        }
        let passed = run.sim.crash.lock().unwrap_or_else(PoisonError::into_inner).passed;
        let outcome = run.outcome();
        match outcome.violations.first() {
            None => Ok(passed),
            Some(violation) => Err(format!("{}: {violation}", self.name)),
        }
    }

    /// The flow with a crash at this point, and if `edits` with edits of both sides while the engine is down. With `again` the next
    /// process dies too, at that point of its own.
    pub fn crash(&self, point: u64, edits: bool, again: Option<u64>, trace: bool) -> Outcome {
        let mut run = match self.begin(trace) {
            Ok(run) => run,
            Err(error) => return Outcome { violations: vec![error], ..Outcome::default() },
        };
        order(&run, point);
        (self.act)(&mut run);
        wait_for_death(&mut run);
        if let Some(again) = again {
            order(&run, again);
        }
        if edits && run.sim.live.load(Ordering::Relaxed) == 0 {
            edit_row(&run, 1, "down");
            edit_row(&run, 2, "down");
            edit_record(&run, 3, "down");
            edit_record(&run, 1, "down");
            if run.sim.plan.archives > 0 {
                take_out(&run);
            }
        }
        if again.is_some() {
            wait_for_death(&mut run);
        }
        run.calm();
        run.conclude();
        run.outcome()
    }
}

/// Orders a crash at the nth fateful point from now on.
fn order(run: &Run, at: u64) {
    let mut crash = run.sim.crash.lock().unwrap_or_else(PoisonError::into_inner);
    *crash = crate::sim::CrashOrder { armed: true, passed: 0, at };
}

/// A process that has died is seen to be dead a moment later.
fn wait_for_death(run: &mut Run) {
    let end = run.sim.executor.now() + 120 * SECOND;
    while run.sim.executor.now() < end {
        let now = run.sim.executor.now();
        if !run.until(now + 1) {
            return;
        }
        let armed = run.sim.crash.lock().unwrap_or_else(PoisonError::into_inner).armed;
        if !armed && run.sim.live.load(Ordering::Relaxed) == 0 {
            return;
        }
    }
}
