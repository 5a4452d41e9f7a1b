//! The conflicts of a mapping as one set. Adopting two filled sides leaves thousands of differences of one kind to a person (rule 18): they
//! are counted, named by a digest and decided at once, as the set that a brake withholds is approved.

use crate::operations::{KeepText, Operations, choose};
use crate::sealed::Seals;
use crate::{EngineError, PairRuntime};
use bothways_model::{LinkId, Value};
use bothways_store::{Guard, Link, LinkFilter, LinkWrite, LocalBinding, Side, Unit, UnitOutcome};
use chrono::TimeDelta;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Links read at once.
const PAGE: usize = 500;
/// Links decided in one transaction: a worker that wants one of them waits no longer than this takes.
const BATCH: usize = 100;
/// A set names no more records than this, so that it needs little memory; the next set names others.
const MOST: usize = 100_000;
/// How often a record that is being worked on is asked for again, and how long after.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Conflicts of one mapping that nobody has decided yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConflictSet {
    /// The mapping.
    pub mapping: String,
    /// How many records have such a conflict.
    pub count: u64,
    /// In how many of them each field is in conflict.
    pub fields: BTreeMap<String, u64>,
    /// Whether there are more records than one set names.
    pub more: bool,
    /// What a decision names: of exactly these records, fields and values.
    pub digest: String,
}

/// What became of a set that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DecidedSet {
    /// Records whose conflicts are decided and will be carried out.
    pub decided: u64,
    /// Records left out, since a value moved meanwhile or they are being worked on; their conflicts wait as before.
    pub left_out: u64,
}

/// A record of the set, with the digest of its values.
struct Named {
    link: LinkId,
    digest: String,
}

/// A decision under way.
struct Deciding<'a> {
    pair: &'a PairRuntime,
    field: Option<&'a str>,
    keep: KeepText,
    seals: Seals,
    by: &'a str,
}

impl Operations {
    /// The conflicts of a mapping that nobody has decided yet, as one set; where a field is named, only its.
    ///
    /// # Errors
    /// No such mapping or field; the store fails.
    pub async fn conflicts(
        &self,
        mapping: Option<&str>,
        field: Option<&str>,
    ) -> Result<ConflictSet, EngineError> {
        let pair = self.pair_with(mapping, field)?;
        Ok(self.conflict_set(&pair, field, &self.seals().await?).await?.0)
    }

    /// Keeps one side's values in all conflicts of a set: exactly of the set that was shown, which its digest names. What is being
    /// worked on, or moves while the set is decided, is left out.
    ///
    /// # Errors
    /// No such mapping or field; nothing waits; it is another set by now: nothing is decided then. The store fails: what was decided until
    /// then stands.
    pub async fn resolve_all(
        &self,
        mapping: Option<&str>,
        field: Option<&str>,
        keep: Side,
        digest: &str,
        by: &str,
    ) -> Result<DecidedSet, EngineError> {
        let pair = self.pair_with(mapping, field)?;
        let seals = self.seals().await?;
        let (set, mut named) = self.conflict_set(&pair, field, &seals).await?;
        if set.count == 0 {
            let why = format!("no conflict of mapping `{}` waits for a decision", set.mapping);
            return Err(EngineError::Refused(why));
        }
        if set.digest != digest.trim() {
            return Err(EngineError::Refused(format!(
                "mapping `{}` has other conflicts than those that were shown, or values moved: {} records now. Look again and decide on \
                 what is there now",
                set.mapping, set.count
            )));
        }
        // Before anything is decided: what was begun and broken off is in the log too.
        let kept = keep.as_str();
        let detail = serde_json::json!({
            "mapping": set.mapping, "keep": kept, "count": set.count, "fields": set.fields, "digest": set.digest,
        });
        self.audit(by, "resolve-all", detail).await?;
        let keep = if keep == Side::Local { KeepText::Local } else { KeepText::Remote };
        let deciding = Deciding { pair: &pair, field, keep, seals, by };
        let mut done = DecidedSet { decided: 0, left_out: 0 };
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.engine.ports.clock.sleep(PAUSE).await;
            }
            let mut busy = Vec::new();
            for batch in chunks(named) {
                busy.extend(self.decide_batch(&deciding, batch, &mut done).await?);
                self.engine.nudge().await;
            }
            named = busy;
            if named.is_empty() {
                break;
            }
        }
        done.left_out += named.len() as u64;
        self.engine.tell();
        Ok(done)
    }

    fn pair_with(&self, mapping: Option<&str>, field: Option<&str>) -> Result<Arc<PairRuntime>, EngineError> {
        let pair = self.pair(mapping)?;
        match field.filter(|label| pair.mapping.field(label).is_none()) {
            Some(unknown) => {
                Err(EngineError::NotFound(format!("field `{unknown}` in mapping `{}`", pair.mapping.name)))
            }
            None => Ok(pair),
        }
    }

    async fn conflict_set(
        &self,
        pair: &PairRuntime,
        field: Option<&str>,
        seals: &Seals,
    ) -> Result<(ConflictSet, Vec<Named>), EngineError> {
        let filter = LinkFilter { pair: Some(pair.id), conflicts: true, ..LinkFilter::default() };
        let mut named: Vec<Named> = Vec::new();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut after = None;
        let mut more = false;
        'pages: loop {
            let links = self.engine.store.links(&filter, after, PAGE).await?;
            let Some(last) = links.last() else { break };
            after = Some(last.id);
            for link in &links {
                let open = open_conflicts(link, field);
                if open.is_empty() {
                    continue;
                }
                if named.len() == MOST {
                    more = true;
                    break 'pages;
                }
                for label in open.keys() {
                    *counts.entry((*label).to_owned()).or_default() += 1;
                }
                named.push(Named { link: link.id, digest: seals.of(&open) });
            }
        }
        let all: Vec<_> = named.iter().map(|one| (one.link, &one.digest)).collect();
        let set = ConflictSet {
            mapping: pair.mapping.name.clone(),
            count: named.len() as u64,
            fields: counts,
            more,
            digest: seals.of(&all),
        };
        Ok((set, named))
    }

    /// Decides some records in one transaction, each under its own lease. Returns those that somebody else works on.
    async fn decide_batch(
        &self,
        deciding: &Deciding<'_>,
        batch: Vec<Named>,
        done: &mut DecidedSet,
    ) -> Result<Vec<Named>, EngineError> {
        let (mut busy, mut leased, mut units) = (Vec::new(), Vec::new(), Vec::new());
        for one in batch {
            let now = self.engine.ports.clock.now();
            let taken = self.engine.store.lease(one.link, now, now + TimeDelta::seconds(10)).await?;
            let Some((link, token)) = taken.and_then(|taken| Some((taken.link?, taken.token))) else {
                busy.push(one);
                continue;
            };
            let mut unit = Unit::new(Guard::Token { link: link.id, token });
            // The signals that were folded in with the lease are due again with this one.
            unit.signals.extend(crate::apply::again(&link, true));
            let confirm = deciding.decided(link, &one.digest);
            let is_decided = confirm.is_some();
            unit.confirm = confirm;
            units.push(unit);
            leased.push((one, is_decided));
        }
        if units.is_empty() {
            return Ok(busy);
        }
        let outcomes = self.engine.commits.commit_all(units).await?;
        for ((one, is_decided), outcome) in leased.into_iter().zip(outcomes) {
            match outcome {
                UnitOutcome::Done { .. } if is_decided => done.decided += 1,
                UnitOutcome::Done { .. } => done.left_out += 1,
                _ => busy.push(one),
            }
        }
        Ok(busy)
    }
}

impl Deciding<'_> {
    /// The link with its conflicts decided, if they are still those of the digest.
    fn decided(&self, mut link: Link, digest: &str) -> Option<LinkWrite> {
        let open = open_conflicts(&link, self.field);
        if link.pair != self.pair.id || self.seals.of(&open) != digest {
            return None;
        }
        let choices = open.into_keys().map(|label| (label.to_owned(), self.keep.clone())).collect();
        choose(&mut link, &self.pair.mapping, &choices, self.by).ok()?;
        Some(LinkWrite { link, local: LocalBinding::Keep })
    }
}

/// Both values of a field in conflict.
type Both<'a> = (&'a Option<Value>, &'a Option<Value>);

/// What nobody has decided yet of a link, of this field or of all.
fn open_conflicts<'a>(link: &'a Link, field: Option<&str>) -> BTreeMap<&'a str, Both<'a>> {
    let wanted = |label: &str| field.is_none_or(|field| field == label);
    let open = link.body.conflicts.iter().filter(|(label, c)| c.choice.is_none() && wanted(label));
    open.map(|(label, c)| (label.as_str(), (&c.local, &c.remote))).collect()
}

fn chunks(all: Vec<Named>) -> impl Iterator<Item = Vec<Named>> {
    let mut rest = all.into_iter();
    std::iter::from_fn(move || Some(rest.by_ref().take(BATCH).collect::<Vec<_>>()).filter(|b| !b.is_empty()))
}
