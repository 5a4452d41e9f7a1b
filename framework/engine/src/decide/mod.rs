//! The decision: a pure function of mapping, local, remote, link and policy (rule 9).
//!
//! No I/O, no clock, no randomness: `now` is data. `plan`, `run`, `apply`, `explain` and the simulator all call [`decide`], so what a
//! person is shown is what will be done, with a verdict for every field.
//!
//! [`field`] decides one field from four values; [`record`] decides what happens to the two records as wholes. This file ties them
//! together: merge units, a person's choices, and what a value must satisfy before it travels.

mod field;
mod record;
mod references;
mod verdict;

pub use field::{FieldState, Four, classify};
pub use record::{GoneLocal, LocalSight, RecordAction, RemoteRecord, RemoteSight};
pub use references::{References, Translated, remote_form};
pub use verdict::{Action, Decision, Verdict};

use bothways_mapping::mapping::Winner;
use bothways_mapping::{Direction, Field, Mapping};
use bothways_model::planted::{self, Bug};
use bothways_model::{Record, Timestamp, Value};
use bothways_store::{FieldBase, Keep, LinkBody, LinkState, Side};
use references::Here;
use std::collections::BTreeMap;

/// Everything the decision looks at.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The catalog side now.
    pub local: LocalSight<'a>,
    /// The remote side now.
    pub remote: RemoteSight<'a>,
    /// What the database says of references.
    pub references: &'a References,
    /// Bases and conflicts.
    pub body: &'a LinkBody,
    /// The link's state.
    pub state: LinkState,
    /// The time of this look, for `newest` and late echoes.
    pub now: Timestamp,
}

/// Decides what happens to one link.
pub fn decide(sight: &Sight<'_>) -> Decision {
    let verdicts = match (sight.local.row(), sight.remote.record()) {
        (Some(row), Some(remote)) => fields(sight, &row.fields, &remote),
        _ => Vec::new(),
    };
    let record = record::decide(sight);
    Decision { record, verdicts }
}

/// The value of a mapping field in a catalog row.
pub fn local_value<'a>(field: &Field, row: &'a Record) -> Option<&'a Value> {
    field.local.first().and_then(|name| row.get(name))
}

/// Whether any mapped field of the row differs from its known base, or has none (rule 38).
pub fn local_changed(mapping: &Mapping, row: &Record, body: &LinkBody) -> bool {
    mapping.fields.iter().any(|field| {
        let base = body.base.get(&field.label);
        // A reference has another form on the other side.
        let base = match field.reference {
            Some(_) => base.and_then(|b| b.local.as_ref()),
            None => base.and_then(|b| b.local.as_ref().or(b.remote.as_ref())),
        };
        match (local_value(field, row), base) {
            (Some(value), Some(base)) => !mapping.same(field, value, base),
            _ => true,
        }
    })
}

/// Whether any mapped field of the record differs from its known base, or has none. Absent fields prove nothing and count as
/// unchanged here.
pub fn remote_changed(mapping: &Mapping, record: &Record, body: &LinkBody) -> bool {
    mapping.fields.iter().any(|field| {
        let base = body.base.get(&field.label);
        let base = match field.reference {
            Some(_) => base.and_then(|b| b.remote.as_ref()),
            None => base.and_then(|b| b.remote.as_ref().or(b.local.as_ref())),
        };
        match (record.get(&field.label), base) {
            (Some(value), Some(base)) => !mapping.same(field, value, base),
            (None, _) => false,
            (Some(_), None) => true,
        }
    })
}

fn fields(sight: &Sight<'_>, row: &Record, shown: &RemoteRecord<'_>) -> Vec<Verdict> {
    let (mapping, remote) = (sight.mapping, shown.fields);
    let nothing = FieldBase::default();
    let base_of = |field: &Field| sight.body.base.get(&field.label).unwrap_or(&nothing);
    let references: Vec<Option<Here>> = mapping
        .fields
        .iter()
        .map(|field| {
            let (local, remote) = (local_value(field, row), remote.get(&field.label));
            Here::of(field, sight.references, local, remote, base_of(field))
        })
        .collect();
    let states: Vec<(Four<'_>, FieldState)> = mapping
        .fields
        .iter()
        .zip(&references)
        .map(|(field, here)| {
            let base = base_of(field);
            let four = match here {
                Some(here) => here.four(local_value(field, row)),
                None => Four {
                    local: local_value(field, row),
                    remote: remote.get(&field.label),
                    base_local: base.local.as_ref(),
                    base_remote: base.remote.as_ref(),
                },
            };
            let late =
                sight.body.late.iter().filter(|l| l.field == field.label && l.until > sight.now).filter_map(
                    |l| match here {
                        Some(here) => here.late(&l.value),
                        None => Some(&l.value),
                    },
                );
            let state = classify(&four, |a, b| mapping.same(field, a, b), late);
            // It had a value when it was last seen, though bases are not known yet: absent is unknown (rule 17).
            let seen = sight.body.conflicts.get(&field.label).and_then(|conflict| conflict.remote.as_ref());
            let hidden = four.remote.is_none() && seen.is_some_and(|value| !value.is_null());
            (four, if hidden { FieldState::Unseen } else { state })
        })
        .collect();
    let units = units(mapping, &states);
    let mut verdicts: Vec<Verdict> = mapping
        .fields
        .iter()
        .zip(&states)
        .zip(&references)
        .map(|((field, (four, state)), here)| {
            let state = match here {
                Some(here) if *state == FieldState::Hidden && here.is_unknown_here() => FieldState::Unseen,
                _ => units.get(&field.unit).map_or(*state, |unit| unit.state(field, *state)),
            };
            if let Some((_, why)) = shown.refused.iter().find(|(label, _)| *label == field.label) {
                return unreadable(field, four, why);
            }
            let verdict = verdict(sight, field, four, state, shown.changed_at);
            match here {
                Some(here) if field.lookup().is_some() => looking_up(sight, here, verdict),
                Some(here) => referring(sight, here, verdict),
                None => verdict,
            }
        })
        .collect();
    send_along(mapping, &mut verdicts);
    verdicts
}

/// What becomes of the fields of a merge unit together (rule 10).
#[derive(Clone, Copy, Default)]
struct Touched {
    local: bool,
    remote: bool,
    /// One of them was never known to be alike.
    first_contact: bool,
}

impl Touched {
    /// Both sides touched the unit: the policy speaks once for all its changed fields.
    fn state(self, field: &Field, state: FieldState) -> FieldState {
        let both = FieldState::Both { first_contact: self.first_contact };
        let asks = matches!(field.winner, Winner::Manual | Winner::Newest);
        match state {
            _ if !(self.local && self.remote) => state,
            FieldState::LocalOnly | FieldState::RemoteOnly | FieldState::Both { .. } => both,
            // What one side lacks is not filled beside a field that a person decides about.
            FieldState::FillLocal | FieldState::FillRemote if asks && field.direction == Direction::Both => {
                both
            }
            _ => state,
        }
    }
}

fn units(mapping: &Mapping, states: &[(Four<'_>, FieldState)]) -> BTreeMap<usize, Touched> {
    let mut units: BTreeMap<usize, Touched> = BTreeMap::new();
    for (field, (_, state)) in mapping.fields.iter().zip(states) {
        let unit = units.entry(field.unit).or_default();
        match state {
            FieldState::LocalOnly => unit.local = true,
            FieldState::RemoteOnly => unit.remote = true,
            FieldState::Both { first_contact } => {
                (unit.local, unit.remote) = (true, true);
                unit.first_contact |= first_contact;
            }
            FieldState::FillLocal | FieldState::FillRemote => unit.first_contact = true,
            _ => {}
        }
    }
    units
}

/// What an amount is there depends on its currency: where that goes out, the amount goes with it, changed or not (rule 10).
fn send_along(mapping: &Mapping, verdicts: &mut [Verdict]) {
    for at in 0..verdicts.len() {
        let Some(field) = mapping.field(&verdicts[at].label) else { continue };
        let Some(tied) = field.lens.tied_to().and_then(|label| verdicts.iter().find(|v| v.label == label))
        else {
            continue;
        };
        let (goes, why) =
            (tied.goes_out(), format!("what it is there depends on `{}`, which goes out", tied.label));
        let verdict = &mut verdicts[at];
        let there = matches!(verdict.action, Action::None | Action::Agree)
            && verdict.local.as_ref().is_some_and(|value| !value.is_null());
        if goes && there && field.direction.goes_out() && !field.immutable {
            *verdict = Verdict { action: Action::Push, rule: 10, why, ..verdict.clone() };
        }
    }
}

/// A reference travels only once what it refers to has a link, and whether two that have none are the same nobody knows (rule 35).
fn referring(sight: &Sight<'_>, here: &Here, mut verdict: Verdict) -> Verdict {
    let (outward, stranger) = match &verdict.action {
        Action::Push => (verdict.local.as_ref(), None),
        Action::Set(value) => (Some(value), None),
        Action::Pull => (None, here.stranger()),
        Action::Conflict { .. } if here.is_strange() => (verdict.local.as_ref(), here.unsure()),
        _ => (None, None),
    };
    let unlinked =
        outward.filter(|key| sight.references.outward(&verdict.label, key) == Translated::Unlinked);
    let waits = match (unlinked, stranger) {
        (Some(key), _) => Action::Wait { side: Side::Local, id: key.to_text() },
        (None, Some(id)) => Action::Wait { side: Side::Remote, id: id.to_owned() },
        (None, None) => return verdict,
    };
    verdict.action = waits;
    verdict.rule = 35;
    verdict.why = "what it refers to is not linked yet".into();
    verdict
}

/// What no row stands for, or more than one, does not travel, and nothing is guessed (rule 35).
fn looking_up(sight: &Sight<'_>, here: &Here, mut verdict: Verdict) -> Verdict {
    if let Some(why) = here.untold(sight.references, &verdict) {
        (verdict.action, verdict.rule, verdict.why) = (Action::Refuse, 35, why);
    }
    verdict
}

/// What cannot be read is not known, so nothing is written over it (rule 17).
fn unreadable(field: &Field, four: &Four<'_>, why: &str) -> Verdict {
    let why = format!("what the remote side holds cannot be read: {why}");
    told(field, four, Action::Refuse, 17, why)
}

fn told(field: &Field, four: &Four<'_>, action: Action, rule: u16, why: String) -> Verdict {
    Verdict {
        label: field.label.clone(),
        action,
        local: four.local.cloned(),
        remote: four.remote.cloned(),
        base: FieldBase { local: four.base_local.cloned(), remote: four.base_remote.cloned() },
        rule,
        why,
    }
}

fn verdict(
    sight: &Sight<'_>,
    field: &Field,
    four: &Four<'_>,
    state: FieldState,
    changed_at: Option<Timestamp>,
) -> Verdict {
    let mapping = sight.mapping;
    let winner = field.winner;
    let (mut action, mut rule, mut why) = match chosen(sight, field, four, state) {
        Some(decided) => decided,
        None => by_policy(sight, field, four, state, winner, changed_at),
    };
    if action == Action::Pull && four.remote.is_none() {
        (action, rule, why) =
            (Action::Unseen, 17, "the remote side does not show the field: absent is unknown".into());
    }
    if let Some((number, reason)) = forbidden(mapping, field, four, state, &action) {
        action = Action::Refuse;
        rule = number;
        why = reason;
    }
    told(field, four, action, rule, why)
}

/// A person's choice for a field in conflict, if both values are still those it was made for (rule 11).
fn chosen(
    sight: &Sight<'_>,
    field: &Field,
    four: &Four<'_>,
    state: FieldState,
) -> Option<(Action, u16, String)> {
    if !matches!(state, FieldState::Both { .. }) {
        return None;
    }
    let conflict = sight.body.conflicts.get(&field.label)?;
    let choice = conflict.choice.as_ref()?;
    let moved = conflict.local.as_ref() != four.local || conflict.remote.as_ref() != four.remote;
    if moved && !planted::is(Bug::StaleChoiceCarriedOut) {
        return None;
    }
    let by = &choice.by;
    let both = field.direction == Direction::Both;
    Some(match &choice.keep {
        Keep::Local if field.direction != Direction::In => {
            (Action::Push, 11, format!("{by} chose the local value"))
        }
        Keep::Remote if field.direction != Direction::Out => {
            (Action::Pull, 11, format!("{by} chose the remote value"))
        }
        Keep::Value(value) if both && four.local.is_some_and(|l| sight.mapping.same(field, l, value)) => {
            (Action::Push, 11, format!("{by} chose the local value"))
        }
        Keep::Value(value) if both && four.remote.is_some_and(|r| sight.mapping.same(field, r, value)) => {
            (Action::Pull, 11, format!("{by} chose the remote value"))
        }
        Keep::Value(value) if both => (Action::Set(value.clone()), 11, format!("{by} chose another value")),
        _ => return None,
    })
}

/// Whether only one side had a value when they were last known, and the other has none now either.
fn is_lone(base: Option<&Value>, other_base: Option<&Value>, other: Option<&Value>) -> bool {
    base.is_some_and(|v| !v.is_null())
        && other_base.is_some_and(Value::is_null)
        && other.is_none_or(Value::is_null)
}

fn by_policy(
    sight: &Sight<'_>,
    field: &Field,
    four: &Four<'_>,
    state: FieldState,
    winner: Winner,
    changed_at: Option<Timestamp>,
) -> (Action, u16, String) {
    let because = |text: &str| text.to_owned();
    match (state, field.direction) {
        // What was accepted at first contact is not emptied because its own side goes on with it.
        (FieldState::LocalOnly, Direction::In) if is_lone(four.base_local, four.base_remote, four.remote) => {
            (
                Action::Accept,
                18,
                because("the remote side never had a value, and this one may not travel there"),
            )
        }
        (FieldState::RemoteOnly, Direction::Out)
            if is_lone(four.base_remote, four.base_local, four.local) =>
        {
            (
                Action::Accept,
                18,
                because("the local side never had a value, and this one may not travel here"),
            )
        }
        (FieldState::Unseen, _) | (FieldState::Hidden, Direction::In) => {
            (Action::Unseen, 17, because("not in the answer: absent is unknown"))
        }
        (FieldState::Hidden, _) => (
            Action::Refuse,
            17,
            because("it was changed here, and the answer does not show what that would replace"),
        ),
        (FieldState::InStep, _) => (Action::None, 10, because("neither side changed")),
        (FieldState::Agree, _) => (Action::Agree, 10, because("both sides hold the same value")),
        (FieldState::LateEcho, Direction::In) => (Action::Pull, 7, because("this field is one-way in")),
        (FieldState::LateEcho, _) => {
            (Action::Push, 24, because("a late echo of our own write; the local value is newer"))
        }
        (FieldState::LocalOnly, Direction::In) if !planted::is(Bug::OneWayFieldSent) => {
            (Action::Pull, 7, because("this field is one-way in: the remote side decides"))
        }
        (FieldState::LocalOnly, _) => (Action::Push, 10, because("only the local side changed")),
        (FieldState::RemoteOnly, Direction::Both | Direction::In) => {
            (Action::Pull, 10, because("only the remote side changed"))
        }
        (FieldState::RemoteOnly, Direction::Out) => {
            (Action::Push, 7, because("this field is one-way out: the local side decides"))
        }
        (FieldState::FillRemote, Direction::In) | (FieldState::FillLocal, Direction::Out) => {
            (Action::Accept, 18, because("first contact: the value may not travel in this direction"))
        }
        (FieldState::FillRemote, _) => {
            (Action::Push, 18, because("first contact: the remote side has no value"))
        }
        (FieldState::FillLocal, _) => {
            (Action::Pull, 18, because("first contact: the local side has no value"))
        }
        (FieldState::Both { .. }, Direction::In) => {
            (Action::Pull, 7, because("this field is one-way in: the remote side decides"))
        }
        (FieldState::Both { .. }, Direction::Out) => {
            (Action::Push, 7, because("this field is one-way out: the local side decides"))
        }
        (FieldState::Both { first_contact }, Direction::Both) => match winner {
            Winner::Manual => {
                (Action::Conflict { first_contact }, 11, because("both sides changed; a person decides"))
            }
            Winner::Local => (Action::Push, 11, because("both sides changed; winner: local")),
            Winner::Remote => (Action::Pull, 11, because("both sides changed; winner: remote")),
            Winner::Newest if first_contact => (
                Action::Conflict { first_contact },
                18,
                because("they differ at first contact; a person decides"),
            ),
            Winner::Newest => newest(sight, field, changed_at),
        },
    }
}

/// The later of the two changes, if that can be told (rule 12).
fn newest(sight: &Sight<'_>, field: &Field, changed_at: Option<Timestamp>) -> (Action, u16, String) {
    // One time for the whole unit, so that one side has all of it.
    let unit = sight.mapping.unit(field.unit);
    let local = unit.filter_map(|field| sight.body.local_changed.get(&field.label)).max().copied();
    let own = sight.body.recent.iter().map(|w| w.at).max();
    let tie = |why: &str| (Action::Pull, 12, format!("winner: newest, a tie ({why}): remote wins"));
    let changed_at = if planted::is(Bug::NewestByArrival) { Some(sight.now) } else { changed_at };
    let (Some(local), Some(remote)) = (local, changed_at) else { return tie("a time is unknown") };
    if own.is_some_and(|own| local < own || remote < own) {
        return tie("older than our own last write");
    }
    let apart = (local - remote).num_milliseconds().unsigned_abs();
    if u128::from(apart) <= sight.mapping.conflicts.skew.as_millis() {
        tie("within the skew")
    } else if local > remote {
        (Action::Push, 12, "winner: newest, the local change is later".into())
    } else {
        (Action::Pull, 12, "winner: newest, the remote change is later".into())
    }
}

/// What a value must satisfy before it travels: `immutable`, `required`, columns that refuse null.
fn forbidden(
    mapping: &Mapping,
    field: &Field,
    four: &Four<'_>,
    state: FieldState,
    action: &Action,
) -> Option<(u16, String)> {
    let (value, inward) = match action {
        Action::Push => (four.local, false),
        Action::Pull => (four.remote, true),
        Action::Set(value) => (Some(value), true),
        _ => return None,
    };
    let label = &field.label;
    // A reference that could not travel at creation is a part of it that comes later.
    let late_part =
        field.linked().is_some() && matches!(state, FieldState::FillLocal | FieldState::FillRemote);
    if field.immutable && state != FieldState::LateEcho && !late_part {
        return Some((7, format!("`{label}` is immutable: it travels only when a record is created")));
    }
    let blank = value.is_none_or(Value::is_blank);
    if field.required && blank {
        return Some((7, format!("`{label}` is required and empty")));
    }
    if inward && value.is_none_or(Value::is_null) {
        let optional = field.local.iter().filter_map(|name| mapping.catalog.field(name)).all(|f| f.optional);
        if !optional {
            return Some((7, format!("`{label}` would become null, and its column is not optional")));
        }
    }
    None
}
