//! Where a record lives elsewhere, in words and colours.

use bothways_engine::stored::LinkState;
use bothways_engine::{Obstacle, RecordLink};

/// Whether a record is in step, as a small coloured label.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) word: &'static str,
    /// The style's class: `ok`, `wait`, `bad`, `off`.
    pub(super) tone: &'static str,
    pub(super) hint: &'static str,
}

/// One place a record lives in.
pub(super) struct Place {
    pub(super) mapping: String,
    pub(super) connection: String,
    pub(super) link: String,
    pub(super) state: &'static str,
    pub(super) remote_id: Option<String>,
    pub(super) in_step_at: Option<String>,
    pub(super) note: Option<String>,
    pub(super) conflicts: usize,
    pub(super) parked: Vec<String>,
    pub(super) step: Step,
}

impl From<RecordLink> for Place {
    fn from(link: RecordLink) -> Self {
        let step = step(&link);
        Self {
            step,
            conflicts: link.conflicts.len(),
            parked: link.parked.iter().map(|p| format!("{}: {}", p.reason.as_str(), p.message)).collect(),
            mapping: link.mapping,
            connection: link.connection,
            link: link.link,
            state: link.state.as_str(),
            remote_id: link.remote_id,
            in_step_at: link.in_step_at,
            note: link.note,
        }
    }
}

const ASKED: Step =
    Step { word: "needs you", tone: "bad", hint: "Something about this record waits for a person" };
const WAITING: Step = Step { word: "waiting", tone: "wait", hint: "Waits for the record it belongs to" };

/// How a row or record stands that no link knows.
pub(super) fn unlinked(obstacle: Option<Obstacle>) -> Step {
    match obstacle {
        Some(Obstacle::Decision) => ASKED,
        Some(Obstacle::Reference) => WAITING,
        None => Step { word: "new", tone: "wait", hint: "Not linked to the other side yet" },
    }
}

fn step(link: &RecordLink) -> Step {
    let (word, tone, hint) = match link.state {
        _ if !link.conflicts.is_empty() => ("conflict", "bad", "Changed on both sides; a person decides"),
        _ if !link.parked.is_empty() => return ASKED,
        LinkState::Linked if link.in_step => ("in step", "ok", "Both sides are the same"),
        LinkState::Linked => ("on its way", "wait", "A change is being carried to the other side"),
        LinkState::Waiting => return WAITING,
        LinkState::Detached => ("detached", "off", "The other side's record is gone; edits do not flow"),
        LinkState::Missing => ("missing", "bad", "The row is gone without a captured delete"),
        LinkState::Unlinked => ("unlinked", "off", "The link was taken apart"),
        LinkState::Tombstone => ("deleted", "off", "Both are gone"),
    };
    Step { word, tone, hint }
}
