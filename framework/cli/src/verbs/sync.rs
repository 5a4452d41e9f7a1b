//! `sync`: one complete pass over both sides, then whatever it found is done, so that this verb alone brings both sides in step. A pass
//! that was interrupted goes on where it was.

use crate::cli::OneMapping;
use crate::opened::Opened;
use crate::output::{Ended, Output, talk};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::trouble::told;
use bothways_engine::{EngineError, PairRuntime, PassOptions, PassReport};
use bothways_store::{LinkState, PairCounts, PauseScope};
use chrono::{TimeDelta, Utc};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is due later than this waits for something that this process cannot hurry.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);
/// If nothing moves for so long, nothing will: longer than anything that is due sooner waits.
const STALLED: Duration = Duration::from_secs(90);
/// Work that nobody looks at for so long is for later, and not just taken.
const LASTING: Duration = Duration::from_millis(500);
/// How often it is asked whether everything is done, if nothing says so sooner.
const LOOK: Duration = Duration::from_millis(100);
/// Between two counts at least so many times as long as one takes: with much under way a count reads much, and every commit is news.
const COUNTED_RARELY: u32 = 20;

/// What became of one mapping.
struct Synced {
    pair: Arc<PairRuntime>,
    /// It went on as it was approved before it changed (rule 62).
    held: bool,
    passed: Result<PassReport, EngineError>,
    counts: PairCounts,
}

pub(super) async fn run(settings: &Settings, args: &OneMapping, out: Output) -> anyhow::Result<Ended> {
    let pace = bothways_engine::Settings { readers: false, ..bothways_engine::Settings::default() };
    let signals = Signals::listen()?;
    let opened = Opened::open_to_work(settings, pace, |_| Ok(())).await?;
    let pairs = opened.pairs(args.mapping.as_deref())?;
    let running = opened.start();
    let synced = tokio::select! {
        synced = sync_all(&opened, &pairs) => Some(synced),
        () = signals.end() => None,
    };
    running.stop().await;
    let Some(synced) = synced else {
        talk("stopped on the way; the next `bothways sync` goes on from here");
        return Ok(Ended::Waiting);
    };
    let synced = synced?;
    print(&synced, out)?;
    let mut waits = !opened.connections.left_out.is_empty();
    for one in synced {
        let counts = &one.counts;
        waits |= counts.conflicts > 0 || !counts.parked.is_empty() || counts.pending > 0;
        match one.passed {
            Ok(_) if one.held => {
                let name = &one.pair.mapping.name;
                talk(format!(
                    "{name}: changed since its plan was approved, and synced as it was approved. See `bothways plan {name}`, then \
                     `bothways approve {name} --digest DIGEST`"
                ));
                waits = true;
            }
            Ok(_) => {}
            Err(EngineError::Refused(why) | EngineError::Braked(why)) => {
                talk(format!("{}: {why}", one.pair.mapping.name));
                waits = true;
            }
            Err(error) => return Err(told(error, &one.pair.mapping, &*one.pair.connector)),
        }
    }
    Ok(Ended::waiting_if(waits))
}

async fn sync_all(opened: &Opened, pairs: &[Arc<PairRuntime>]) -> Result<Vec<Synced>, EngineError> {
    let mut all = Vec::new();
    for pair in pairs {
        let progress = Progress::new(&pair.mapping.name, expected(opened, pair).await?);
        let options = PassOptions::default();
        let passed = opened.engine().pass(pair.id, options, &|at| progress.pass(at)).await;
        let counts = match &passed {
            Ok(_) => drain(opened, pair, &progress).await?,
            Err(_) => opened.store.counts(pair.id).await?,
        };
        progress.end();
        // Its approval may have come or gone meanwhile.
        let held = opened.operations.pair(Some(&pair.mapping.name))?.held().is_some();
        all.push(Synced { pair: pair.clone(), held, passed, counts });
    }
    Ok(all)
}

/// How many records of both sides there will be; unknown before the first pass.
async fn expected(opened: &Opened, pair: &PairRuntime) -> Result<Option<u64>, EngineError> {
    if !pair.is_walked() {
        return Ok(None);
    }
    let links = opened.store.counts(pair.id).await?.links;
    let rows = opened.store.count_rows(&pair.mapping.catalog.name).await?;
    Ok(Some(rows + links.get(LinkState::Linked.as_str()).copied().unwrap_or(0)))
}

/// Waits until nothing is under way that this process can do now.
async fn drain(opened: &Opened, pair: &PairRuntime, progress: &Progress) -> Result<PairCounts, EngineError> {
    let mut news = opened.engine().news();
    let mut quiet_since: Option<Instant> = None;
    let mut last = (PairCounts::default(), None);
    let mut moved = Instant::now();
    loop {
        let relayed = opened.engine().relay().await?;
        let asked = Instant::now();
        let counts = opened.store.counts(pair.id).await?;
        let pause = asked.elapsed() * COUNTED_RARELY;
        let due = opened.store.next_due(&[pair.id]).await?;
        let can_do = counts.pending.saturating_sub(paused_work(opened, pair).await?);
        let is_due = can_do > 0 && due.is_some_and(|due| due - Utc::now() <= PATIENCE);
        let is_quiet = relayed == 0 && !is_due && opened.looks() == 0;
        let now = (counts, due);
        if now != last {
            moved = Instant::now();
        }
        // Twice in a row, and for a while if there is work: it may have been taken, and whoever took it not have begun. What is due and
        // not taken is not for us to do: somebody paused it meanwhile.
        let lasts = |since: Instant| now.0.pending == 0 || since.elapsed() >= LASTING;
        if is_quiet && quiet_since.is_some_and(lasts) || opened.looks() == 0 && moved.elapsed() > STALLED {
            return Ok(now.0);
        }
        quiet_since = is_quiet.then(|| quiet_since.unwrap_or_else(Instant::now));
        progress.under_way(now.0.pending);
        last = now;
        tokio::time::sleep(pause).await;
        // Whichever comes first; the engine that holds the other end lives as long as this loop.
        let _ = tokio::time::timeout(LOOK, news.changed()).await;
    }
}

/// How much of the work is about paused records.
async fn paused_work(opened: &Opened, pair: &PairRuntime) -> Result<u64, EngineError> {
    let mut paused = 0;
    for pause in opened.store.pauses().await? {
        let PauseScope::Link(link) = pause.scope else { continue };
        let Some(link) = opened.store.link(link).await?.filter(|link| link.pair == pair.id) else { continue };
        let work = opened.store.work_of(pair.id, link.local_id.as_ref(), link.remote_id.as_ref()).await?;
        paused += work.iter().filter(|work| work.parked.is_none()).count() as u64;
    }
    Ok(paused)
}

fn print(synced: &[Synced], out: Output) -> anyhow::Result<()> {
    if out.is_json() {
        return out.json(&synced.iter().map(to_json).collect::<Vec<_>>());
    }
    let rows = synced.iter().filter_map(|one| {
        let counts = one.passed.as_ref().ok()?.counts;
        Some([
            one.pair.mapping.name.clone(),
            counts.remote.to_string(),
            counts.local.to_string(),
            counts.linked.to_string(),
            counts.created.to_string(),
            counts.handed_out.to_string(),
            counts.differing.to_string(),
            counts.ambiguous.to_string(),
            one.counts.parked.values().sum::<u64>().to_string(),
            one.counts.conflicts.to_string(),
            one.counts.pending.to_string(),
        ])
    });
    let header = [
        "mapping",
        "remote",
        "rows",
        "linked",
        "new rows",
        "new remote",
        "differed",
        "ambiguous",
        "parked",
        "conflicts",
        "under way",
    ];
    out.table(header, rows.collect())?;
    for pass in synced.iter().filter_map(|one| one.passed.as_ref().ok()) {
        if pass.counts.linked + pass.counts.created > 0 {
            talk(format!("`bothways revert --pass {}` puts back what this pass wrote to rows", pass.id));
        }
    }
    Ok(())
}

fn to_json(one: &Synced) -> Json {
    let (report, error) = match &one.passed {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(error.to_string())),
    };
    json!({ "mapping": one.pair.mapping.name, "held": one.held, "pass": report, "error": error, "counts": one.counts })
}
