//! The row part of a look: pulls, bases, conflicts and history, decided on the locked row (rules 15, 18, 21, 69).
//!
//! One closure serves adoption, ordinary looks and the confirmation after a push: it decides again on the row as it is in the
//! transaction, carries out whatever comes *in*, and signals the link again if something would have to go *out*.

use crate::brakes::blanks;
use crate::decide::{
    Action, Decision, LocalSight, References, RemoteRecord, RemoteSight, Sight, Translated, Verdict, decide,
    local_value, remote_form,
};
use crate::flap;
use bothways_mapping::Mapping;
use bothways_model::planted::{self, Bug};
use bothways_model::{LocalRow, Record, Timestamp, Value};
use bothways_store::{
    Conflict, FieldChange, History, HistoryOp, Link, LinkState, LinkWrite, LocalBinding, RowWrite, Settle,
    Settled, Side, Signal, Subject,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What [`settle`] needs besides the row and the link.
#[derive(Clone)]
pub(crate) struct Scene {
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// The remote record's mapped fields.
    pub remote: Record,
    /// Labels of those that cannot be read, with the reason.
    pub refused: Vec<(String, String)>,
    /// What the links say of its references.
    pub references: Arc<References>,
    /// Signal the link where a reference waits, or parks since nothing stands for it: nothing else will wait for it.
    pub tell_waits: bool,
    /// When it was last modified.
    pub changed_at: Option<Timestamp>,
    /// The time of the look.
    pub now: Timestamp,
    /// When the row was last changed, for `newest`; `None` if nobody was told of that.
    pub changed_here: Option<Timestamp>,
    /// The pass it belongs to, for history.
    pub pass: Option<String>,
    /// Refuse to do anything if the row is not there: the claim re-checks (rule 27).
    pub abort_without_row: bool,
    /// Also abort unless the row still holds these values.
    pub expect: Option<Record>,
    /// Labels of fields that stay as they are, in both directions: withheld by a brake, refused, or of a merge unit with such a one.
    pub held: BTreeSet<String>,
    /// Labels of the fields that may be emptied: those that the brakes are asked about. Any other is left to the next look, which asks.
    pub may_empty: BTreeSet<String>,
    /// The row that a saved plan was compared with: on any other nothing is done.
    pub only_on: Option<OnlyOn>,
}

/// A row, and whether another one in its place undoes the whole commit.
#[derive(Clone)]
pub(crate) struct OnlyOn {
    pub row: LocalRow,
    pub or_abort: bool,
}

/// Makes the row part.
pub(crate) fn settle(scene: Scene) -> Settle {
    Arc::new(move |row, link| carry_in(&scene, row, link))
}

fn carry_in(scene: &Scene, row: Option<&LocalRow>, link: &Link) -> Settled {
    let live = row.filter(|row| row.deleted_at.is_none());
    let Some(row) = live else {
        return Settled { abort: scene.abort_without_row, signals: again(link, true), ..Settled::default() };
    };
    if let Some(expect) = &scene.expect {
        let moved = expect.iter().any(|(name, value)| row.fields.get(name) != Some(value));
        if moved {
            return Settled { abort: true, ..Settled::default() };
        }
    }
    if let Some(only) = scene.only_on.as_ref().filter(|only| only.row.fields != row.fields) {
        return Settled { abort: only.or_abort, signals: again(link, true), ..Settled::default() };
    }
    let mut link = link.clone();
    note_local_changes(scene, row, &mut link);
    let decision = decide(&Sight {
        mapping: &scene.mapping,
        local: LocalSight::Row(row),
        remote: RemoteSight::Record(RemoteRecord {
            fields: &scene.remote,
            refused: &scene.refused,
            changed_at: scene.changed_at,
        }),
        references: &scene.references,
        body: &link.body,
        state: link.state,
        now: scene.now,
    });
    let mut settled = Settled::default();
    let mut update = Record::new();
    let mut history = BTreeMap::new();
    let mut rules = Vec::new();
    let mut why = String::new();
    for verdict in &decision.verdicts {
        let Some(field) = scene.mapping.fields.iter().find(|f| f.label == verdict.label) else { continue };
        let base = link.body.base.entry(verdict.label.clone()).or_default();
        match &verdict.action {
            Action::Conflict { .. } if planted::is(Bug::ConflictMovesBases) => {
                base.local.clone_from(&verdict.local);
                base.remote.clone_from(&verdict.remote);
            }
            Action::Agree | Action::Accept => {
                // A side that does not show the field keeps its base.
                base.local = verdict.local.clone().or(base.local.take());
                let remote = remote_form(field, &scene.remote, verdict.remote.as_ref());
                base.remote = remote.cloned().or(base.remote.take());
            }
            Action::Pull if scene.held.contains(&verdict.label) => {}
            Action::Pull if empties_unasked(scene, verdict) => settled.signals.extend(again(&link, true)),
            Action::Pull => {
                let Some(value) = verdict.remote.clone() else { continue };
                if flap::would_flap(&link.body.recent, &field.label, Side::Local, &value, scene.now) {
                    continue;
                }
                base.remote = remote_form(field, &scene.remote, Some(&value)).cloned();
                pull(verdict, field.local.first(), value, &mut update, &mut settled);
                let before =
                    verdict.local.clone().filter(|_| verdict.rule == 10 || !planted::is(Bug::LoserForgotten));
                history.insert(verdict.label.clone(), FieldChange { before, after: verdict.remote.clone() });
                rules.push(verdict.rule);
                why.clone_from(&verdict.why);
            }
            _ => {}
        }
    }
    // What stayed for a field of its merge unit to come in first can go out now.
    let units: BTreeSet<usize> =
        history.keys().filter_map(|label| Some(scene.mapping.field(label)?.unit)).collect();
    let freed = |verdict: &Verdict| {
        scene.mapping.field(&verdict.label).is_some_and(|field| units.contains(&field.unit))
    };
    record_pulls(scene, &history, &mut link);
    keep_conflicts(scene, &decision, &mut link, &mut settled.history);
    crate::named::write(&scene.mapping, &link, row, &mut update);
    if !update.0.is_empty() {
        settled.row = RowWrite::Update(update);
    }
    if !history.is_empty() {
        settled.history.push(entry(
            &link,
            Side::Local,
            HistoryOp::Update,
            history,
            rules,
            why,
            scene.pass.clone(),
        ));
    }
    let looked_up = |label: &str| scene.mapping.field(label).is_some_and(|field| field.lookup().is_some());
    let parks = decision.refusals().any(|verdict| looked_up(&verdict.label));
    // What a write's answer shows instead of what was sent, nobody asked about yet.
    let unasked = |verdict: &Verdict| {
        let shown =
            scene.remote.get(&verdict.label).map(|there| scene.references.inward(&verdict.label, there));
        looked_up(&verdict.label) && shown == Some(Translated::NotAsked)
    };
    if decision.refusals().any(unasked) {
        settled.signals.extend(again(&link, true));
    }
    if scene.tell_waits && (parks || decision.waits().next().is_some()) {
        settled.signals.extend(again(&link, true));
    }
    if decision.pushes().any(|v| !scene.held.contains(&v.label) || freed(v)) {
        settled.signals.extend(again(&link, true));
    }
    let open = decision.pushes().chain(decision.refusals()).next();
    if open.is_some() || decision.waits().next().is_some() {
        // Not in step before that went out, or what is referred to is linked.
    } else if decision.is_quiet() || decision.pulls().next().is_some() {
        link.in_step_at = Some(scene.now);
    }
    link.state = LinkState::Linked;
    link.body.archived = false;
    settled.link = Some(LinkWrite { link, local: LocalBinding::Keep });
    settled
}

fn empties_unasked(scene: &Scene, verdict: &Verdict) -> bool {
    blanks(verdict).is_some() && !scene.may_empty.contains(&verdict.label)
}

fn pull(verdict: &Verdict, local: Option<&String>, value: Value, update: &mut Record, settled: &mut Settled) {
    if let Some(local) = local {
        update.set(local.clone(), value);
        settled.base_from_row.push((verdict.label.clone(), local.clone()));
    }
}

/// Remembers when the row was last changed, of each local value that differs from its base (rule 12). Where that is not known it is a
/// tie.
fn note_local_changes(scene: &Scene, row: &LocalRow, link: &mut Link) {
    for field in &scene.mapping.fields {
        let base = link.body.base.get(&field.label).and_then(|b| b.local.as_ref());
        let changed = match (local_value(field, &row.fields), base) {
            (Some(value), Some(base)) => !scene.mapping.same(field, value, base),
            _ => false,
        };
        let known = link.body.local_changed.remove(&field.label);
        if let Some(at) = known.max(scene.changed_here).filter(|_| changed) {
            link.body.local_changed.insert(field.label.clone(), at);
        }
    }
}

fn record_pulls(scene: &Scene, pulled: &BTreeMap<String, FieldChange>, link: &mut Link) {
    for (label, change) in pulled {
        if let Some(value) = &change.after {
            flap::remember(&mut link.body.recent, label, Side::Local, value, scene.now);
        }
    }
}

/// Records new conflicts, refreshes those that stay, ends those that are over (rule 11).
fn keep_conflicts(scene: &Scene, decision: &Decision, link: &mut Link, history: &mut Vec<History>) {
    let mut opened = BTreeMap::new();
    let mut closed = BTreeMap::new();
    let mut dropped = BTreeMap::new();
    for verdict in &decision.verdicts {
        match verdict.action {
            Action::Conflict { first_contact } => {
                let known = link.body.conflicts.get(&verdict.label);
                let moved = known.is_none_or(|c| c.local != verdict.local || c.remote != verdict.remote);
                if known.is_none() {
                    opened.insert(
                        verdict.label.clone(),
                        FieldChange { before: verdict.local.clone(), after: verdict.remote.clone() },
                    );
                }
                let since = known.map_or(scene.now, |c| c.since);
                let (choice, late) = match known.and_then(|c| c.choice.clone()) {
                    Some(late) if moved => (None, Some(late.by)),
                    choice => (choice, None),
                };
                if late.is_some() {
                    let now = FieldChange { before: verdict.local.clone(), after: verdict.remote.clone() };
                    dropped.insert(verdict.label.clone(), now);
                }
                let stale = late.or_else(|| known.and_then(|c| c.stale.clone()));
                let conflict = Conflict {
                    local: verdict.local.clone(),
                    remote: verdict.remote.clone(),
                    since,
                    first_contact,
                    choice,
                    stale,
                };
                link.body.conflicts.insert(verdict.label.clone(), conflict);
            }
            // What stays as it is for now ends no conflict, and forgets no choice.
            Action::Pull if scene.held.contains(&verdict.label) || empties_unasked(scene, verdict) => {}
            // What goes out ends its conflict when it is confirmed; what is not seen says nothing.
            Action::Push | Action::Unseen | Action::Refuse | Action::Wait { .. } => {}
            _ => {
                if let Some(conflict) = link.body.conflicts.remove(&verdict.label) {
                    closed.insert(
                        verdict.label.clone(),
                        FieldChange { before: conflict.local, after: verdict.remote.clone() },
                    );
                }
            }
        }
    }
    if !opened.is_empty() {
        let why = "both sides changed; a person decides".to_owned();
        history.push(entry(
            link,
            Side::Local,
            HistoryOp::Conflict,
            opened,
            vec![11],
            why,
            scene.pass.clone(),
        ));
    }
    if !dropped.is_empty() {
        let why = "a person's choice was not carried out: the values moved after it was made".to_owned();
        let moved = entry(link, Side::Local, HistoryOp::Conflict, dropped, vec![11], why, scene.pass.clone());
        history.push(moved);
    }
    if !closed.is_empty() {
        let why = "the conflict is over".to_owned();
        history.push(entry(
            link,
            Side::Local,
            HistoryOp::Resolved,
            closed,
            vec![11],
            why,
            scene.pass.clone(),
        ));
    }
}

/// A history entry about a link.
pub(crate) fn entry(
    link: &Link,
    side: Side,
    op: HistoryOp,
    fields: BTreeMap<String, FieldChange>,
    mut rules: Vec<u16>,
    cause: String,
    pass: Option<String>,
) -> History {
    rules.sort_unstable();
    rules.dedup();
    History {
        pair: link.pair,
        link: Some(link.id),
        local_id: link.local_id.clone(),
        remote_id: link.remote_id.clone(),
        side,
        op,
        fields,
        rules,
        cause,
        pass,
        approved_by: None,
    }
}

/// A signal that has this link looked at again.
pub(crate) fn again(link: &Link, look: bool) -> Vec<Signal> {
    let subject = match (&link.local_id, &link.remote_id) {
        (Some(local), _) => Subject::Local(local.clone()),
        (None, Some(remote)) => Subject::Remote(remote.clone()),
        (None, None) => return Vec::new(),
    };
    vec![Signal { pair: link.pair, subject, look, not_before: None }]
}
