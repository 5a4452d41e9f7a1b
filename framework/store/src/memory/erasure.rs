//! Erasing what is remembered of a record.

use super::state::State;
use crate::{Erased, Link, Result, Side, StoreError, StoreErrorKind, Subject, WorkId};
use bothways_model::{LinkId, LocalId, PairId, RemoteId};
use std::collections::BTreeSet;

pub(super) fn erase(
    s: &mut State,
    pair: PairId,
    local: Option<&LocalId>,
    remote: Option<&RemoteId>,
) -> Result<Erased> {
    let is_meant = |l: Option<&LocalId>, r: Option<&RemoteId>| {
        (local.is_some() && l == local) || (remote.is_some() && r == remote)
    };
    let of_pair = s.links.values().filter(|link| link.pair == pair);
    // One that let go of its row only remembers which it was.
    let local_of = |link: &Link| {
        let former = link.body.former_local.as_ref().filter(|_| !link.state.is_live());
        link.local_id.as_ref().or(former).cloned()
    };
    let links: Vec<_> =
        of_pair.filter(|link| is_meant(local_of(link).as_ref(), link.remote_id.as_ref())).cloned().collect();
    if links.iter().any(|link| link.state.is_live()) {
        return Err(StoreError::new(StoreErrorKind::Refused, "a live link has this id"));
    }
    s.touch();
    let ids: BTreeSet<LinkId> = links.iter().map(|link| link.id).collect();
    let mut erased = Erased { links: links.len() as u64, ..Erased::default() };
    for mut link in links {
        link.body = link.body.erased();
        s.put_link(link);
    }
    let before = s.intents.len();
    s.intents.retain(|(link, _), intent| !ids.contains(link) || intent.state.is_pending());
    erased.intents = (before - s.intents.len()) as u64;
    for row in s.history.values_mut().filter(|row| row.entry.pair == pair && !row.entry.fields.is_empty()) {
        let entry = &mut row.entry;
        let of_link = entry.link.is_some_and(|link| ids.contains(&link));
        if of_link || is_meant(entry.local_id.as_ref(), entry.remote_id.as_ref()) {
            entry.fields.clear();
            erased.history += 1;
        }
    }
    let mut subjects: Vec<Subject> = local.cloned().map(Subject::Local).into_iter().collect();
    subjects.extend(remote.cloned().map(Subject::Remote));
    let sides = [(Side::Local, local.map(LocalId::as_str)), (Side::Remote, remote.map(RemoteId::as_str))];
    for (side, id) in sides {
        let Some(key) = id.and_then(|id| s.keys.remove(&(pair, side, id.to_owned()))) else { continue };
        subjects.extend(key.value.map(Subject::Group));
        erased.keys += 1;
    }
    let parked: Vec<WorkId> = subjects
        .iter()
        .filter_map(|subject| s.work_at(pair, subject))
        .filter(|row| row.work.parked.is_some())
        .map(|row| row.work.id)
        .collect();
    for id in parked {
        s.remove_work(id);
        erased.parked += 1;
    }
    Ok(erased)
}
