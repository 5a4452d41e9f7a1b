//! `tests/simulate --planted all`: makes every known mistake on purpose and says what finds it.
//!
//! The same seeds are run as ever, in a build that makes one mistake at a time. A seed counts only if it is clean without the mistake.
//! What no seed can show (SQL, signatures, a service that pages) is shown by another suite, which is really run: without the mistake, when
//! it must pass, and with it.

use bothways_model::planted::{self, Bug};
use bothways_simulation::{Options, Outcome};
use clap::Args;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which mistakes are made.
#[derive(Debug, Args)]
pub(crate) struct Planted {
    /// Make known mistakes, one after the other, and say what finds each: `all`, `sample` (quick ones), or numbers such as 3,17.
    #[arg(long)]
    planted: Option<String>,
    /// Give up on a mistake after so many seeds.
    #[arg(long, default_value_t = 2_000)]
    planted_seeds: u64,
}

/// A suite that shows what the simulation cannot: package, and the tests to run.
struct Suite {
    package: &'static str,
    tests: &'static str,
}

/// What seeds cannot show, and who shows it.
const ELSEWHERE: &[(Bug, Suite)] = &[
    // Where a time is not known it is a tie, and the remote side may win; what an engine did not know cannot be told from outside.
    (Bug::NewestByArrival, engine("test(the_later_change_wins)")),
    // An operator who resolves a conflict is refused before it is stored.
    (Bug::StaleChoiceCarriedOut, engine("test(a_choice_holds_only)")),
    // The table of a simulation has no triggers.
    (Bug::RowNotReadBack, store("test(row_part::)")),
    (Bug::FlapGuardOff, engine("test(parked_as_flapping)")),
    // Stripe replays by key, so a write is given up only where somebody else has changed the same field meanwhile.
    (Bug::LateEchoForgotten, engine("test(an_abandoned_write)")),
    // Stripe shows deleted records; a 404 is another account's, and no row is lost without a trigger.
    (Bug::BareAbsenceIsADelete, engine("test(one_404)")),
    (Bug::MissingTakenForDeleted, engine("test(p33)")),
    // Stripe forgets no page cursor.
    (Bug::HalfAWalkIsAWalk, engine("test(a_refused_page_cursor)")),
    // One writer at a time: numbers are given out in the order of commits.
    (Bug::OutboxByIdGreaterThan, store("test(a_change_that_commits)")),
    // Work rows have numbers of their own, so only a token can be mistaken, after three turns of one lease.
    (Bug::CountersPerRow, store("test(tokens_are_never_reused)")),
    // Nobody forges anything here.
    (Bug::SignatureNotChecked, rest("test(signature)")),
    (Bug::OldSignatureAccepted, rest("test(signature)")),
    // A process may learn of a pause some seconds later.
    (Bug::PauseIgnored, engine("test(a_pause_holds)")),
    // A permission rarely hides a field here, and a hidden field excuses much.
    (Bug::AbsentTakenForNull, engine("test(p40)")),
    // Stripe is asked for the record before anything is sent again.
    (Bug::ReplayWithNewBytes, engine("test(a_value_that_a_person_typed)")),
    // Whose row has whose id is for a checker what the engine says it is, if the emails are alike.
    (Bug::ReusedIdTakenForSame, engine("test(p25)")),
    (Bug::DeleteThoughRowIsBack, engine("test(a_row_that_is_back)")),
    // Candidates are looked at again before they are linked, and asked for before a create; what gets past that is seldom drawn.
    (Bug::MatchIgnoresLinked, engine("test(linked_candidates_count)")),
    // Whatever the first walk has not seen yet is found right before a create.
    (Bug::CreateBeforeWalk, engine("test(p30)")),
    (Bug::OlderKeyWins, store("test(newer_observations_win)")),
    (Bug::AccountNotCompared, engine("test(credentials_of_another_account)")),
    (Bug::DeleteWithoutWaiting, engine("test(a_mass_delete_at_the_service)")),
    // Leases outlast every call, so that two workers hardly ever commit to one link.
    (Bug::StaleTokenAccepted, store("test(stale_tokens_change_nothing)")),
    // The full pass at the end of every seed finds what a feed has passed over.
    (Bug::EqualStampsSkipped, engine("test(p36)")),
    // Two rows of one key must be withheld at once, in two tables; one seed of some thousands shows it.
    (Bug::SettledForAllPairs, store("test(a_row_of_another_pair)")),
    // Whatever else it hides, the full pass finds.
    (Bug::ShortenedLogTakenAsComplete, salesforce("test(a_log_of_deletes_that_was_shortened)")),
];

const fn engine(tests: &'static str) -> Suite {
    Suite { package: "bothways-engine", tests }
}

const fn store(tests: &'static str) -> Suite {
    Suite { package: "bothways-store", tests }
}

const fn rest(tests: &'static str) -> Suite {
    Suite { package: "bothways-connector-rest", tests }
}

const fn salesforce(tests: &'static str) -> Suite {
    Suite { package: "bothways-connector-salesforce", tests }
}

/// Found within a few seeds each.
const SAMPLE: &[Bug] = &[
    Bug::WholeAnswerAsBase,
    Bug::BaseMovedOnSend,
    Bug::ComparedByBytes,
    Bug::UncertainTakenForFailed,
    Bug::NoIntentBeforeCall,
    Bug::StampNotSet,
    Bug::RekeyAsDeleteAndInsert,
    Bug::AbsenceFromListIsADelete,
    Bug::TakenIsDone,
    Bug::EventPayloadIsTheRecord,
    Bug::ConfirmedSentAgain,
    Bug::OnlyFirstPassRecorded,
];

/// What found a mistake.
struct Found {
    by: String,
    seeds: u64,
}

impl Planted {
    /// The mistakes that were asked for; `None` if none were.
    ///
    /// # Errors
    /// In words.
    fn wanted(&self) -> Option<Result<Vec<Bug>, String>> {
        let text = self.planted.as_deref()?;
        Some(match text {
            "all" => Ok(Bug::ALL.to_vec()),
            "sample" => Ok(SAMPLE.to_vec()),
            list => list
                .split(',')
                .map(|number| number.trim().parse().ok().and_then(Bug::numbered).ok_or(number))
                .collect::<Result<_, _>>()
                .map_err(|number| {
                    format!("there is no planted bug `{number}`; there are 1 to {}", Bug::ALL.len())
                }),
        })
    }

    /// Makes the mistakes that were asked for. `None` if none were.
    pub(crate) fn run(
        &self,
        options: Options,
        threads: usize,
        run: fn(u64, Options) -> Outcome,
    ) -> Option<ExitCode> {
        let wanted = match self.wanted()? {
            Ok(wanted) => wanted,
            Err(why) => {
                crate::say(&why);
                return Some(ExitCode::FAILURE);
            }
        };
        if !planted::choose(wanted.first().copied()) {
            crate::say("this build makes no mistakes; tests/simulate builds one that does");
            return Some(ExitCode::FAILURE);
        }
        crate::say("| no. | planted bug | what is wrong | found by | seeds |");
        crate::say("|---|---|---|---|---|");
        let (mut simulated, mut elsewhere, mut missed) = (0, 0, 0);
        for bug in &wanted {
            let hunt = Hunt { bug: *bug, seeds: self.planted_seeds, options, run };
            let suite = ELSEWHERE.iter().find(|(of, _)| of == bug).map(|(_, suite)| suite);
            let (by, seeds) = match suite.map(|suite| run_suite(*bug, suite)) {
                Some(Ok(by)) => {
                    elsewhere += 1;
                    (by, "-".to_owned())
                }
                Some(Err(why)) => {
                    missed += 1;
                    (format!("NOT FOUND: {why}"), "-".to_owned())
                }
                None => match hunt.hunt(threads) {
                    Some(found) => {
                        simulated += 1;
                        (found.by, found.seeds.to_string())
                    }
                    None => {
                        missed += 1;
                        ("NOT FOUND".to_owned(), self.planted_seeds.to_string())
                    }
                },
            };
            crate::say(&format!("| {} | {} | {} | {by} | {seeds} |", bug.number(), bug.name(), bug.about()));
        }
        planted::choose(None);
        crate::say(&format!(
            "{} planted bugs: {simulated} found by simulation, {elsewhere} by another suite, {missed} not found",
            wanted.len()
        ));
        Some(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The search for one mistake.
struct Hunt {
    bug: Bug,
    seeds: u64,
    options: Options,
    run: fn(u64, Options) -> Outcome,
}

impl Hunt {
    /// Runs seeds until one shows the mistake.
    fn hunt(&self, threads: usize) -> Option<Found> {
        let mut from = 1;
        while let Some((seed, violation)) = self.first(from, threads) {
            planted::choose(None);
            let clean = (self.run)(seed, self.options).violations.is_empty();
            if clean {
                return Some(Found { by: checker(&violation), seeds: seed });
            }
            from = seed + 1;
        }
        None
    }

    /// The first seed from `from` on that fails with the mistake, and how.
    fn first(&self, from: u64, threads: usize) -> Option<(u64, String)> {
        planted::choose(Some(self.bug));
        let next = AtomicU64::new(from);
        let first: Mutex<Option<(u64, String)>> = Mutex::default();
        let stop = AtomicU64::new(self.seeds + 1);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let outcome = (self.run)(seed, self.options);
                        if let Some(violation) = outcome.violations.into_iter().next() {
                            stop.fetch_min(seed, Ordering::Relaxed);
                            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                            if first.as_ref().is_none_or(|(earliest, _)| seed < *earliest) {
                                *first = Some((seed, violation));
                            }
                        }
                    }
                });
            }
        });
        first.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The checker that a violation begins with.
fn checker(violation: &str) -> String {
    violation.split(':').next().unwrap_or_default().to_owned()
}

/// What a suite says.
enum Said {
    Passes,
    /// The first test that fails.
    Fails(String),
    /// Nothing: it could not be built or run, or has no such tests.
    Nothing,
}

/// Runs a suite that knows nothing of mistakes, without this one and then with it. The failed test if it finds it: one that passes
/// without the mistake.
///
/// # Errors
/// Why nothing was found, in words.
fn run_suite(bug: Bug, suite: &Suite) -> Result<String, String> {
    match ask(suite, None) {
        Said::Passes => {}
        Said::Fails(test) => return Err(format!("`{test}` fails without the mistake, too")),
        Said::Nothing => return Err(format!("`{}` of {} does not run", suite.tests, suite.package)),
    }
    match ask(suite, Some(bug)) {
        Said::Passes => Err(format!("`{}` of {} passes", suite.tests, suite.package)),
        Said::Fails(test) => Ok(format!("`{test}`")),
        Said::Nothing => Err(format!("`{}` of {} does not run with it", suite.tests, suite.package)),
    }
}

/// Runs a suite whose code makes this mistake, or none.
fn ask(suite: &Suite, bug: Option<Bug>) -> Said {
    /// What nextest ends with if a test fails.
    const TESTS_FAILED: i32 = 100;
    let mut command = Command::new("cargo");
    command.args(["nextest", "run", "--locked", "--all-features", "--color", "never"]);
    command.args(["-p", suite.package, "-E", suite.tests]);
    command.env("BOTHWAYS_PLANTED", bug.map_or(0, Bug::number).to_string());
    let Ok(output) = command.output() else { return Said::Nothing };
    let words = String::from_utf8_lossy(&output.stderr);
    let failed = |line: &str| {
        let (_, test) = line.trim().strip_prefix("FAIL [")?.split_once("] ")?;
        // Its number comes first: "(1/3) ".
        let test = test.trim();
        let named =
            test.strip_prefix('(').and_then(|rest| rest.split_once(") ")).map_or(test, |(_, name)| name);
        Some(named.to_owned())
    };
    match (output.status.code(), words.lines().find_map(failed)) {
        (Some(0), None) => Said::Passes,
        (Some(TESTS_FAILED), Some(test)) => Said::Fails(test),
        _ => Said::Nothing,
    }
}
