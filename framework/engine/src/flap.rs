//! The flap guard (rule 19): a field that engine writes carry back and forth, each undoing the one before, is parked instead of
//! being carried a fifth time.
//!
//! A user who changes their mind causes writes in one direction only; a loop (two systems that each insist) causes writes in turn.
//! So what counts is a write that goes the other way than the one before and brings back an earlier value. Where a row is linked with
//! several systems, two of them may insist on one field without ever being written to: then what counts is a write to the row that
//! comes from another system than the one before.

use crate::decide::{Action, Decision, Translated, Verdict};
use crate::look::{Ended, Look};
use crate::read::Seen;
use bothways_mapping::Field;
use bothways_model::planted::{self, Bug};
use bothways_model::{Timestamp, Value};
use bothways_store::{Link, RecentWrite, Side};
use chrono::TimeDelta;

const WINDOW: TimeDelta = TimeDelta::minutes(10);
const ALTERNATIONS: usize = 3;
/// Writes remembered per field; enough to count [`ALTERNATIONS`].
const REMEMBERED: usize = 8;

/// Whether one more write of `value` to `side` would exceed the allowed alternations.
pub(crate) fn would_flap(
    recent: &[RecentWrite],
    label: &str,
    side: Side,
    value: &Value,
    now: Timestamp,
) -> bool {
    let next = RecentWrite { field: label.to_owned(), side, value: value.clone(), at: now };
    let writes: Vec<(Side, &RecentWrite)> = recent
        .iter()
        .filter(|w| w.field == label && now - w.at < WINDOW)
        .chain([&next])
        .map(|write| (write.side, write))
        .collect();
    alternations(&writes) > ALTERNATIONS && !planted::is(Bug::FlapGuardOff)
}

/// Whether one more write of `value` to the row would exceed the allowed alternations between systems: `here` is what this link's
/// writes left in the row, `elsewhere` what those of the row's other links did to the same field.
fn would_flap_between(
    here: &[RecentWrite],
    elsewhere: &[RecentWrite],
    label: &str,
    value: &Value,
    now: Timestamp,
) -> bool {
    let of_field =
        |write: &&RecentWrite| write.field == label && write.side == Side::Local && now - write.at < WINDOW;
    let mut all = Vec::new();
    for (is_here, writes) in [(false, elsewhere), (true, here)] {
        let mut writes: Vec<&RecentWrite> = writes.iter().filter(of_field).collect();
        writes.sort_by_key(|write| write.at);
        let nth = |n: usize| writes[..n].iter().rev().take_while(|before| before.at == writes[n].at).count();
        all.extend((0..writes.len()).map(|n| (writes[n].at, nth(n), is_here, writes[n])));
    }
    // What was written in one moment was written in turn: who insists is no slower than the clock is coarse.
    all.sort_by_key(|(at, nth, is_here, _)| (*at, *nth, *is_here));
    let mut all: Vec<(bool, &RecentWrite)> =
        all.into_iter().map(|(_, _, is_here, write)| (is_here, write)).collect();
    let next = RecentWrite { field: label.to_owned(), side: Side::Local, value: value.clone(), at: now };
    all.push((true, &next));
    alternations(&all) > ALTERNATIONS && !planted::is(Bug::FlapGuardOff)
}

/// Writes that turn from where the one before came, or went, and bring back an earlier value.
fn alternations<T: PartialEq>(writes: &[(T, &RecentWrite)]) -> usize {
    writes
        .windows(2)
        .enumerate()
        .filter(|(index, pair)| {
            let ((before_there, before), (this_there, this)) = (&pair[0], &pair[1]);
            before_there != this_there
                && before.value != this.value
                && writes[..*index].iter().any(|(_, write)| write.value == this.value)
        })
        .count()
}

impl Look {
    /// The fields whose value would go back and forth once more.
    pub(crate) async fn flapping(
        &self,
        link: &Link,
        decision: &Decision,
        seen: &Seen,
    ) -> Result<Vec<String>, Ended> {
        let elsewhere = self.written_elsewhere(link, decision).await?;
        let flaps = |verdict: &&Verdict| self.flaps(link, verdict, seen, &elsewhere);
        Ok(decision.verdicts.iter().filter(flaps).map(|verdict| verdict.label.clone()).collect())
    }

    fn flaps(&self, link: &Link, verdict: &Verdict, seen: &Seen, elsewhere: &[RecentWrite]) -> bool {
        let Some(field) = self.pair.mapping.field(&verdict.label) else { return false };
        let recent = &link.body.recent;
        match (&verdict.action, &verdict.local, &verdict.remote) {
            // What was sent before is remembered as it was sent.
            (Action::Push, Some(value), _) if field.reference.is_some() => {
                match seen.references.outward(&field.label, value) {
                    Translated::Known(id) => would_flap(recent, &field.label, Side::Remote, &id, self.now),
                    Translated::Unlinked | Translated::Untold(_) | Translated::NotAsked => false,
                }
            }
            (Action::Push, Some(value), _) => would_flap(recent, &field.label, Side::Remote, value, self.now),
            (Action::Pull, _, Some(value)) => {
                would_flap(recent, &field.label, Side::Local, value, self.now)
                    || would_flap_between(recent, elsewhere, &field.label, value, self.now)
            }
            _ => false,
        }
    }

    /// What the row's links in other pairs wrote into the fields that would come in here, by our labels.
    async fn written_elsewhere(&self, link: &Link, decision: &Decision) -> Result<Vec<RecentWrite>, Ended> {
        let Some(row) = link.local_id.as_ref().filter(|_| decision.pulls().next().is_some()) else {
            return Ok(Vec::new());
        };
        let (mapping, catalog) = (&self.pair.mapping, &self.pair.mapping.catalog.name);
        let mut all = Vec::new();
        let others =
            self.engine.pairs().filter(|p| p.id != self.pair.id && p.mapping.catalog.name == *catalog);
        for other in others {
            let links = match self.engine.store.links_of_local(other.id, std::slice::from_ref(row)).await {
                Ok(links) => links,
                Err(error) => return Err(self.store_trouble(&error)),
            };
            for write in links.iter().flatten().flat_map(|link| &link.body.recent) {
                let theirs = other.mapping.field(&write.field).map(Field::local_name);
                let ours = mapping.fields.iter().find(|field| theirs == Some(field.local_name()));
                all.extend(ours.map(|field| RecentWrite { field: field.label.clone(), ..write.clone() }));
            }
        }
        Ok(all)
    }
}

/// Remembers a write.
pub(crate) fn remember(
    recent: &mut Vec<RecentWrite>,
    label: &str,
    side: Side,
    value: &Value,
    now: Timestamp,
) {
    recent.retain(|w| now - w.at < WINDOW);
    recent.push(RecentWrite { field: label.to_owned(), side, value: value.clone(), at: now });
    let of_field = recent.iter().filter(|w| w.field == label).count();
    if of_field > REMEMBERED
        && let Some(oldest) = recent.iter().position(|w| w.field == label)
    {
        recent.remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(side: Side, value: &str) -> RecentWrite {
        RecentWrite {
            field: "name".into(),
            side,
            value: Value::Text(value.into()),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn count(writes: &[RecentWrite]) -> usize {
        alternations(&writes.iter().map(|write| (write.side, write)).collect::<Vec<_>>())
    }

    #[test]
    fn a_user_who_changes_their_mind_is_no_flap() {
        let writes: Vec<_> = ["a", "b", "a", "b", "a", "b"].map(|v| write(Side::Remote, v)).into();
        assert_eq!(count(&writes), 0);
    }

    #[test]
    fn two_systems_that_insist_on_a_row_within_one_moment_are() {
        let writes = |value: &str, count| vec![write(Side::Local, value); count];
        let value = |text: &str| Value::Text(text.into());
        let flaps = |here: &[RecentWrite], elsewhere: &[RecentWrite], text: &str| {
            would_flap_between(here, elsewhere, "name", &value(text), Timestamp::UNIX_EPOCH)
        };
        assert!(!flaps(&writes("a", 2), &writes("b", 2), "a"));
        assert!(flaps(&writes("a", 3), &writes("b", 3), "a"));
        assert!(!flaps(&[], &writes("b", 8), "a"), "one of them is written by people");
    }

    #[test]
    fn two_systems_that_insist_are() {
        let (l, r) = (Side::Local, Side::Remote);
        let writes = [(r, "b"), (l, "a"), (r, "b"), (l, "a"), (r, "b"), (l, "a")].map(|(s, v)| write(s, v));
        assert_eq!(count(&writes), 4);
        assert!(count(&writes[..5]) <= ALTERNATIONS);
    }
}
