//! The full pass over one pair: first contact, scheduled reconcile, `sync`, and what follows a gap (rules 27, 53, 54, 59).
//!
//! Watermark, walk of the remote side, walk of the local side, catch-up from the watermark, then matching of whatever has no link.
//! Nothing is concluded from absence: a pass never deletes. Where it stands is stored with the effects of each page, so a killed
//! pass goes on where it was. Memory is flat: pages and batches are bounded, match keys are in a table, no set of ids is kept.
//!
//! [`crate::walk`] and [`crate::catch_up`] hold the reading stages, [`crate::contact`] the matching.

use crate::brakes::{Named, empty_side};
use crate::pairs::PairRuntime;
use crate::reading::ReadError;
use crate::{ConnectionState, Engine, EngineError};
use bothways_connector::PageCursor;
use bothways_model::planted::{self, Bug};
use bothways_model::{LocalId, PairId, RemoteId, Seq, Timestamp};
use bothways_store::{Cursor, LinkState, PageCommit, PassMark, Side, StoreErrorKind};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How a pass is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassOptions {
    /// Only count what it would do: for a pair whose plan is not approved (rule 61). Match keys are written, nothing else.
    pub observe: bool,
    /// Begin anew, whatever an earlier pass left unfinished.
    pub restart: bool,
}

/// Where a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PassStage {
    /// It reads the remote records.
    Remote,
    /// It reads the rows.
    Local,
    /// It reads what changed meanwhile.
    CatchUp,
    /// It matches what has no link.
    Match,
}

impl PassStage {
    /// In words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            PassStage::Remote => "reading remote records",
            PassStage::Local => "reading rows",
            PassStage::CatchUp => "catching up",
            PassStage::Match => "matching",
        }
    }
}

/// What a pass has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PassCounts {
    /// Remote records read.
    pub remote: u64,
    /// Rows read.
    pub local: u64,
    /// Rows of them that have a link.
    pub local_linked: u64,
    /// Rows that hold something their catalog does not allow.
    pub unreadable: u64,
    /// Linked records of either side that are not what was last known of them: drift, each due for a look.
    pub differing: u64,
    /// Of those, the ones that nobody had signalled: what events and triggers should have told of and did not.
    pub drifted: u64,
    /// Linked rows that are gone without a captured delete.
    pub missing: u64,
    /// Rows and records linked with each other.
    pub linked: u64,
    /// Of those, the ones that differ; known only when observing.
    pub linked_differing: u64,
    /// Rows made of remote records.
    pub created: u64,
    /// Rows handed on to be created remotely.
    pub handed_out: u64,
    /// Records handed on to be looked at one by one, for other reasons.
    pub handed_on: u64,
    /// Groups of which a person has to choose.
    pub ambiguous: u64,
    /// How often the walk had to begin again.
    pub restarts: u64,
}

/// Where a pass is and what it has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PassProgress {
    /// Where it is.
    pub stage: PassStage,
    /// What it has counted.
    pub counts: PassCounts,
}

/// What a finished pass did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassReport {
    /// Its id, as in history.
    pub id: String,
    /// True if it was the pair's first complete one.
    pub first: bool,
    /// True if it only counted.
    pub observed: bool,
    /// What it counted.
    pub counts: PassCounts,
    /// When it began; before this process, if it was resumed.
    pub started: Timestamp,
}

/// Told where a pass is, after every page.
pub type Progress<'p> = &'p (dyn Fn(&PassProgress) + Send + Sync);

/// Where a stored pass stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Remote { page: Option<PageCursor> },
    Local { after: Option<LocalId> },
    CatchUp,
    Match { after: Option<String> },
}

/// A pass as it is stored: everything a later process needs to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) id: String,
    /// Of the mapping it reads by: another one begins anew.
    pub(crate) reads: String,
    /// Numbers everything it observes: what a worker saw since then is newer (rule 51).
    pub(crate) seq: Seq,
    pub(crate) started: Timestamp,
    /// The service's time before the walk began.
    pub(crate) watermark: Option<Timestamp>,
    /// When observing ended, if this pass only observed so far.
    pub(crate) observed_at: Option<Timestamp>,
    pub(crate) stage: Stage,
    pub(crate) counts: PassCounts,
    /// What it changes is covered by an approval: it is the pair's first, or the first since its plan was approved (rules 58, 60).
    #[serde(default)]
    pub(crate) approved: bool,
    /// Changes may have gone unnoticed for a reason that is known, such as missing triggers: what it finds is no sign of lost events.
    #[serde(default)]
    pub(crate) deaf: bool,
}

/// A pass under way.
pub(crate) struct Pass<'p> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) pair: Arc<PairRuntime>,
    pub(crate) state: State,
    pub(crate) observe: bool,
    progress: Progress<'p>,
    /// Records that counted as drift, until something tells of them after all.
    pub(crate) drifted: BTreeSet<RemoteId>,
    /// Pages without effects since the position was stored.
    unstored: u32,
    /// Linked records met so far by this process.
    pub(crate) linked_met: u64,
}

/// A page without effects is stored with every so many: reading a few again after a kill is cheaper than a commit for each.
const STORE_EVERY: u32 = 8;
/// A pass that meets a busy database goes on this often, after doubling waits from 200 ms.
const TRIES: u32 = 8;
/// A walk whose page cursor is refused begins again this often.
const RESTARTS: u64 = 3;
/// What was observed longer ago than this, on a service that cannot say what changed since, is observed again.
const OBSERVATION_HOLDS: TimeDelta = TimeDelta::minutes(10);

impl Engine {
    /// Runs a full pass over a pair, or goes on with one that was interrupted, to its end. Work that it finds (differences, rows to
    /// be created remotely) is signalled and done by the workers.
    ///
    /// # Errors
    /// The pair is not loaded, not approved (unless it only observes), paused, or its connection must not be used; the service
    /// failed for long; one side lists nothing although there are links (rule 59); the store failed. What was done stays done, and the
    /// next pass goes on from there.
    pub async fn pass(
        self: &Arc<Self>,
        pair: PairId,
        options: PassOptions,
        progress: Progress<'_>,
    ) -> Result<PassReport, EngineError> {
        let runtime = self.pairs.get(&pair).ok_or_else(|| EngineError::NotFound(format!("pair {pair}")))?;
        let passing = self.readers.passing(pair);
        let _one_at_a_time = passing.lock().await;
        self.pass_alone(&runtime, options, progress).await
    }

    /// [`Engine::pass`], for who holds the lock of the pair's passes.
    pub(crate) async fn pass_alone(
        self: &Arc<Self>,
        pair: &Arc<PairRuntime>,
        options: PassOptions,
        progress: Progress<'_>,
    ) -> Result<PassReport, EngineError> {
        let pair = &self.check_passable(pair, options).await?;
        let reader = format!("pass/{}", pair.id);
        let result = self.pass_with_patience(pair, options, progress).await;
        match &result {
            Ok(_) => self.set_trouble(&reader, None),
            Err(_) if self.is_stopping() => {}
            Err(error) => self.set_trouble(&reader, Some(error.to_string())),
        }
        result
    }

    /// A busy database is no reason to give up: the pass goes on from where it is stored.
    async fn pass_with_patience(
        self: &Arc<Self>,
        pair: &Arc<PairRuntime>,
        mut options: PassOptions,
        progress: Progress<'_>,
    ) -> Result<PassReport, EngineError> {
        let mut tries = 0;
        loop {
            let result = match Pass::begin(self.clone(), pair.clone(), options, progress).await {
                Ok(mut pass) => {
                    options.restart = false;
                    pass.run().await
                }
                Err(error) => Err(error),
            };
            match result {
                Err(EngineError::Store(error))
                    if error.kind == StoreErrorKind::Retry && tries < TRIES && !self.is_stopping() =>
                {
                    tries += 1;
                    tracing::warn!(pair = %pair.id, error = %error, "the database is busy; the full pass goes on in a moment");
                    self.pause_for(Duration::from_millis(100) * (1 << tries)).await;
                }
                other => return other,
            }
        }
    }

    /// The pair as it is by now, if a pass may run.
    async fn check_passable(
        &self,
        pair: &Arc<PairRuntime>,
        options: PassOptions,
    ) -> Result<Arc<PairRuntime>, EngineError> {
        if self.connection_state(&pair.connection) == ConnectionState::Unknown {
            self.open_connection(&pair.connection).await?;
        }
        self.check_usable(&pair.connection).await?;
        self.refresh_pauses().await?;
        self.refresh_pairs().await?;
        let pair = self.current(pair);
        if let Some(why) = pair.stopped() {
            return Err(EngineError::Refused(format!(
                "mapping `{0}` changed so that it cannot go on as it was approved ({why}): see `bothways plan {0}`",
                pair.mapping.name
            )));
        }
        if !options.observe && !pair.is_approved() {
            return Err(EngineError::Refused(format!(
                "the plan of mapping `{0}` is not approved: see it with `bothways plan {0}`, approve it with `bothways approve {0}`",
                pair.mapping.name
            )));
        }
        Ok(pair)
    }
}

impl<'p> Pass<'p> {
    async fn begin(
        engine: Arc<Engine>,
        pair: Arc<PairRuntime>,
        options: PassOptions,
        progress: Progress<'p>,
    ) -> Result<Self, EngineError> {
        let stored = engine.store.cursor(&cursor_name(pair.id)).await?;
        let stored = stored.and_then(|value| serde_json::from_value::<State>(value).ok());
        let now = engine.ports.clock.now();
        let usable = stored.filter(|state| !options.restart && state.may_go_on(&pair, options.observe, now));
        let begins = usable.is_none();
        let mut pass = Self {
            state: match usable {
                Some(state) => state,
                None => Self::fresh(&engine, &pair, now).await?,
            },
            engine,
            pair,
            observe: options.observe,
            progress,
            drifted: BTreeSet::new(),
            unstored: 0,
            linked_met: 0,
        };
        pass.state.deaf |= pass.engine.was_deaf(pass.pair.id).await?;
        pass.store_position(PageCommit::default()).await?;
        // Whatever asked for a pass is served by one that begins, and is stored now; one that goes on has read much of both sides before.
        if begins {
            pass.engine.forget_wanted(pass.pair.id).await?;
        }
        Ok(pass)
    }

    async fn fresh(engine: &Engine, pair: &PairRuntime, now: Timestamp) -> Result<State, EngineError> {
        Ok(State {
            id: engine.ports.random.uuid(now).to_string(),
            reads: reading_digest(pair),
            seq: engine.store.draw(1).await?,
            started: now,
            watermark: None,
            observed_at: None,
            stage: Stage::Remote { page: None },
            counts: PassCounts::default(),
            approved: pair.changes_are_approved(),
            deaf: false,
        })
    }

    async fn run(&mut self) -> Result<PassReport, EngineError> {
        tracing::info!(pair = %self.pair.id, pass = self.state.id, observe = self.observe, "full pass");
        loop {
            self.check_halted().await?;
            self.tell();
            match self.state.stage.clone() {
                Stage::Remote { page } => self.walk_remote(page).await?,
                Stage::Local { after } => self.walk_local(after).await?,
                Stage::CatchUp => self.catch_up().await?,
                Stage::Match { after } => {
                    self.contact(after).await?;
                    return self.finish().await;
                }
            }
        }
    }

    /// Moves to a stage. Stored with the next page at the latest; beginning a stage twice does no harm.
    pub(crate) async fn enter(&mut self, stage: Stage) -> Result<(), EngineError> {
        self.state.stage = stage;
        self.store_position(PageCommit::default()).await
    }

    /// Commits a page's effects together with the position after it.
    pub(crate) async fn commit(&mut self, page: PageCommit, stage: Stage) -> Result<(), EngineError> {
        // What changed meanwhile was changed by somebody; everything else is the pass's own finding.
        let caught_up = matches!(self.state.stage, Stage::CatchUp);
        self.state.stage = stage;
        self.unstored += 1;
        if !page.signals.is_empty() || !page.keys.is_empty() || self.unstored >= STORE_EVERY {
            let pass = (!caught_up).then(|| self.mark());
            self.store_position(PageCommit { pass, ..page }).await?;
        }
        self.tell();
        Ok(())
    }

    pub(crate) async fn store_position(&mut self, mut page: PageCommit) -> Result<(), EngineError> {
        let value = serde_json::to_value(&self.state).unwrap_or_default();
        page.cursor = Some(Cursor { name: cursor_name(self.pair.id), value });
        self.unstored = 0;
        let signals = !page.signals.is_empty();
        let mut wait = Duration::from_millis(20);
        loop {
            match self.engine.store.commit_page(self.engine.ports.clock.now(), &page).await {
                Ok(()) => break,
                Err(error) if error.kind == StoreErrorKind::Retry && !self.engine.is_stopping() => {
                    self.engine.pause_for(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if signals {
            self.engine.nudge().await;
        }
        Ok(())
    }

    pub(crate) fn mark(&self) -> PassMark {
        PassMark { began: self.state.started, approved: self.state.approved }
    }

    fn tell(&self) {
        let stage = match &self.state.stage {
            Stage::Remote { .. } => PassStage::Remote,
            Stage::Local { .. } => PassStage::Local,
            Stage::CatchUp => PassStage::CatchUp,
            Stage::Match { .. } => PassStage::Match,
        };
        (self.progress)(&PassProgress { stage, counts: self.state.counts });
    }

    /// A pause takes effect before the next call (rule 64).
    pub(crate) async fn check_halted(&self) -> Result<(), EngineError> {
        self.engine.check_readable(&self.pair.connection)?;
        if self.engine.is_paused(&self.pair, None) {
            let name = &self.pair.mapping.name;
            let text = format!("mapping `{name}` is paused; `bothways status` says why and what resumes it");
            return Err(EngineError::Refused(text));
        }
        Ok(())
    }

    /// The walk was refused on its way: from the top, a few times.
    pub(crate) async fn walk_again(&mut self, error: ReadError) -> Result<(), EngineError> {
        let refused = error.is_refusal() || error.class() == Some(bothways_model::ErrorClass::Expired);
        let on_the_way = matches!(self.state.stage, Stage::Remote { page: Some(_) });
        if refused && on_the_way && self.state.counts.restarts < RESTARTS {
            tracing::warn!(pair = %self.pair.id, class = ?error.class(), "the page cursor was refused; the walk begins again");
            let restarts = self.state.counts.restarts + 1;
            self.state.counts = PassCounts { restarts, ..PassCounts::default() };
            self.state.watermark = None;
            return self.enter(Stage::Remote { page: None }).await;
        }
        if refused && on_the_way {
            // Not from the refused page for ever: the next pass begins at the top.
            self.engine.store.drop_cursor(&cursor_name(self.pair.id)).await?;
        }
        self.engine.after_read_error(&self.pair, &error).await;
        Err(error.into())
    }

    /// A side that lists nothing although there are links is no reason to go on, unless a person says so (rule 59).
    pub(crate) async fn check_not_empty(&mut self, seen: u64, side: Side) -> Result<(), EngineError> {
        let (store, now) = (self.engine.store.clone(), self.engine.ports.clock.now());
        let links = match seen {
            0 => {
                store.counts(self.pair.id).await?.links.get(LinkState::Linked.as_str()).copied().unwrap_or(0)
            }
            _ => 0,
        };
        let charge = empty_side(self.pair.id, side, links, now);
        if links == 0 {
            return Ok(store.forget_withheld(&charge.brake, &charge.key).await?);
        }
        if store.charge(now, &charge).await?.is_free() {
            tracing::warn!(pair = %self.pair.id, side = side.as_str(), links, "this side lists nothing; the pass goes on, as a person approved");
            return Ok(());
        }
        // The next pass must see for itself.
        store.drop_cursor(&cursor_name(self.pair.id)).await?;
        self.engine.tell();
        Err(EngineError::Braked(format!(
            "the {} side of mapping `{}` lists nothing although {links} links exist: nothing was done (rule 59). \
             Check the credentials and the database; a permission that shrank or another account looks like this. \
             If it is right, approve the brake (`bothways brakes`)",
            side.as_str(),
            self.pair.mapping.name
        )))
    }

    async fn finish(&mut self) -> Result<PassReport, EngineError> {
        let now = self.engine.ports.clock.now();
        let pair = self.pair.id;
        let first = !self.pair.is_walked();
        let report = PassReport {
            id: self.state.id.clone(),
            first,
            observed: self.observe,
            counts: self.state.counts,
            started: self.state.started,
        };
        if self.observe {
            // Approval goes on from here, after catching up.
            self.state.observed_at = Some(now);
            let named = Named { creates: report.counts.handed_out, rows: report.counts.local };
            self.engine.keep_named(pair, &named).await?;
            self.state.counts = observed_counts(self.state.counts);
            self.enter(Stage::CatchUp).await?;
            return Ok(report);
        }
        if first {
            self.engine.store.set_walked(pair, now).await?;
        }
        if first || !planted::is(Bug::OnlyFirstPassRecorded) {
            self.engine.store.set_passed(pair, now).await?;
        }
        self.engine.store.drop_cursor(&cursor_name(pair)).await?;
        self.engine.refresh_pairs().await?;
        self.engine.nudge().await;
        self.engine.tell();
        self.note_drift(&report, now).await?;
        let counts = &report.counts;
        tracing::info!(
            pair = %pair, pass = report.id, remote = counts.remote, local = counts.local, differing = counts.differing,
            missing = counts.missing, linked = counts.linked, created = counts.created, handed_out = counts.handed_out,
            ambiguous = counts.ambiguous, "full pass done"
        );
        Ok(report)
    }
}

/// What stays counted when an observing pass goes on as a real one: the walk, not what matching would have done.
fn observed_counts(counts: PassCounts) -> PassCounts {
    PassCounts {
        linked: 0,
        linked_differing: 0,
        created: 0,
        handed_out: 0,
        handed_on: 0,
        ambiguous: 0,
        ..counts
    }
}

impl State {
    /// Whether an unfinished pass is still worth going on with.
    fn may_go_on(&self, pair: &PairRuntime, observe: bool, now: Timestamp) -> bool {
        let capabilities = pair.capabilities();
        let can_catch_up = capabilities.since_by_time() || capabilities.feed;
        let reaches_back =
            |kept: u64| self.watermark.is_none_or(|watermark| now - watermark < crate::feed::millis(kept));
        let kept = capabilities.feed_retention_ms.filter(|_| !capabilities.since_by_time());
        self.reads == reading_digest(pair)
            && kept.is_none_or(reaches_back)
            && match self.observed_at {
                Some(_) if observe => false,
                Some(at) => can_catch_up || now - at < OBSERVATION_HOLDS,
                None => true,
            }
    }
}

/// The name of a pass's cursor.
pub(crate) fn cursor_name(pair: PairId) -> String {
    format!("pass/{pair}")
}

/// A digest of all that decides what is read from a record.
fn reading_digest(pair: &PairRuntime) -> String {
    let terms = crate::terms::Terms::of(&pair.mapping).digest();
    let text = format!("{terms} {:?} {:?}", pair.mapping.fields, pair.mapping.connector.name);
    hex::encode(&Sha256::digest(text.as_bytes())[..12])
}
