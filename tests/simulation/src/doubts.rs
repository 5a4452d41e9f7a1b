//! Which remote writes nobody could be sure of (rule 23): what the stored intents say, as they are committed.

use bothways_model::{LinkId, Seq};
use bothways_store::{Guard, IntentState, IntentWrite, Unit};
use std::collections::BTreeMap;

/// One intent.
#[derive(Debug, Default)]
struct Course {
    /// Under which token it was committed: whose look it is.
    token: Option<Seq>,
    is_certain: bool,
    /// How often another look sent it again.
    again: u64,
}

/// All intents there ever were.
#[derive(Debug, Default)]
pub(crate) struct Doubts(BTreeMap<LinkId, BTreeMap<u32, Course>>);

impl Doubts {
    /// Takes in a unit that was carried out.
    pub(crate) fn note(&mut self, unit: &Unit) {
        let token = match &unit.guard {
            Guard::Token { token, .. } => Some(*token),
            Guard::Claim(link) => link.lease.map(|lease| lease.token),
            Guard::Free => None,
        };
        for write in &unit.intents {
            match write {
                IntentWrite::Open(intent) => {
                    let course = Course { token, ..Course::default() };
                    self.0.entry(intent.link).or_default().insert(intent.number, course);
                }
                IntentWrite::Sent { link, number, .. } => {
                    let course = self.course(*link, *number);
                    // Whoever sends its own only renews its lease before.
                    course.again += u64::from(course.token != token);
                }
                // Whoever closes another look's intent has found out, or not, what became of it.
                IntentWrite::Close { link, number, state, .. } => {
                    let course = self.course(*link, *number);
                    let told = matches!(state, IntentState::Confirmed | IntentState::Refused);
                    course.is_certain = told && course.token == token;
                }
            }
        }
    }

    fn course(&mut self, link: LinkId, number: u32) -> &mut Course {
        self.0.entry(link).or_default().entry(number).or_default()
    }

    /// How many writes of a link may have been carried out once more than anybody knew.
    pub(crate) fn of(&self, link: LinkId) -> u64 {
        let courses = self.0.get(&link).into_iter().flat_map(BTreeMap::values);
        courses.filter(|course| !course.is_certain).map(|course| course.again.max(1)).sum()
    }
}
