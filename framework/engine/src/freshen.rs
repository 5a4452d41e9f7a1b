//! Match keys that may not tell the truth any more are looked at again before anything is concluded from them.
//!
//! A walk writes a key for everything it meets without a link. A key that it did not write is of a record that it did not meet: it
//! may be gone (absence proves nothing, so it is asked for), or out of scope. And a linked candidate may have moved on to another
//! match value since its key was written; then it is no candidate.

use crate::EngineError;
use crate::contact::{Judged, judge};
use crate::match_keys::match_fields;
use crate::pass::Pass;
use crate::walk::local_keys;
use bothways_model::{LocalId, RemoteId, Seq};
use bothways_store::{Group, GroupMember, Key, KeyWrite, Link, LinkState, PageCommit, Side};

impl Pass<'_> {
    /// The same groups with every doubtful key renewed.
    pub(crate) async fn freshen(&mut self, groups: Vec<Group>) -> Result<Vec<Group>, EngineError> {
        let doubtful: Vec<bool> = groups.iter().map(|group| self.is_doubtful(group)).collect();
        if !doubtful.contains(&true) {
            return Ok(groups);
        }
        let seq = self.engine.store.draw(1).await?;
        let mut effects = PageCommit::default();
        for (group, _) in groups.iter().zip(&doubtful).filter(|(_, doubtful)| **doubtful) {
            self.renew(group, seq, &mut effects).await?;
        }
        self.engine.store.commit_page(self.engine.ports.clock.now(), &effects).await?;
        let mut fresh = Vec::with_capacity(groups.len());
        for (group, doubtful) in groups.into_iter().zip(doubtful) {
            match (doubtful, &group.value) {
                (false, _) => fresh.push(group),
                (true, Some(value)) => {
                    fresh.extend(
                        self.engine.store.groups_of(self.pair.id, std::slice::from_ref(value)).await?,
                    );
                }
                // Alone and without a value: if it is still there, its renewed key is met by the next pass.
                (true, None) => {}
            }
        }
        Ok(fresh)
    }

    fn is_doubtful(&self, group: &Group) -> bool {
        let stale = |member: &GroupMember| !member.is_linked() && member.key.seen < self.state.seq;
        let linked = |member: &GroupMember| member.is_linked();
        group.remote.iter().chain(&group.local).any(stale)
            || (judge(group) == Judged::Ambiguous && group.remote.iter().chain(&group.local).any(linked))
    }

    async fn renew(&mut self, group: &Group, seq: Seq, effects: &mut PageCommit) -> Result<(), EngineError> {
        for member in &group.remote {
            let id = RemoteId(member.key.id.clone());
            if member.is_linked() {
                let links =
                    self.engine.store.links_of_remote(self.pair.id, std::slice::from_ref(&id)).await?;
                match links.into_iter().next().flatten() {
                    // Of a link whose row is deleted the bases stand still, or a merge forgot them, while its record goes on.
                    Some(link) if link.state.is_live() && link.body.former_local.is_none() => {
                        self.renew_linked(&member.key, &link, seq, effects);
                    }
                    link => {
                        let is_live = link.is_some_and(|link| link.state.is_live());
                        self.renew_unfollowed(&member.key, &id, is_live, seq, effects).await?;
                    }
                }
            } else if member.key.seen < self.state.seq {
                let read = self.read_one(&id).await?;
                self.note_read(&id, read, seq, effects).await?;
            }
        }
        for member in &group.local {
            let id = LocalId(member.key.id.clone());
            if member.is_linked() {
                let links = self.engine.store.links_of_local(self.pair.id, std::slice::from_ref(&id)).await?;
                match links.into_iter().next().flatten() {
                    // The bases of a detached link stand still while its row goes on.
                    Some(link) if link.state == LinkState::Linked => {
                        self.renew_linked(&member.key, &link, seq, effects);
                    }
                    _ => self.renew_row(&id, seq, effects).await?,
                }
            } else if member.key.seen < self.state.seq {
                self.renew_row(&id, seq, effects).await?;
            }
        }
        Ok(())
    }

    /// A record whose link is closed, or has no row any more, lives on without being followed: only it can say what its match value
    /// is, or that it is gone.
    async fn renew_unfollowed(
        &self,
        key: &Key,
        id: &RemoteId,
        is_live: bool,
        seq: Seq,
        effects: &mut PageCommit,
    ) -> Result<(), EngineError> {
        let live = self.read_one(id).await?.filter(|record| {
            !record.gone && record.id == *id && self.pair.mapping.remote_in_scope(&record.body)
        });
        match live {
            Some(record) => {
                let mapping = &self.pair.mapping;
                let seen = mapping.read_remote(&record.body).record;
                let value = mapping.match_key(&seen);
                // Absent is unknown (rule 17).
                let shown = mapping.identity.matching.iter().all(|label| seen.get(label).is_some());
                if shown && value != key.value {
                    effects.keys.push(KeyWrite::Put(Key { value, seen: seq, content: None, ..key.clone() }));
                }
            }
            // That the record of a live link is gone its own look proves (rule 31).
            None if is_live => {}
            None => {
                effects.keys.push(KeyWrite::Drop { pair: self.pair.id, side: Side::Remote, id: id.0.clone() })
            }
        }
        Ok(())
    }

    async fn renew_row(&self, id: &LocalId, seq: Seq, effects: &mut PageCommit) -> Result<(), EngineError> {
        let row = match self.engine.store.row(&self.pair.mapping.catalog.name, id).await {
            Ok(row) => row,
            // A row that cannot be read is there, and has its own work.
            Err(error) if error.kind == bothways_store::StoreErrorKind::Refused => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let live =
            row.filter(|row| row.deleted_at.is_none() && self.pair.mapping.local_in_scope(&row.fields));
        match live {
            Some(row) => effects.keys.extend(local_keys(&self.pair, &row, seq)),
            None => {
                effects.keys.push(KeyWrite::Drop { pair: self.pair.id, side: Side::Local, id: id.0.clone() })
            }
        }
        Ok(())
    }

    /// A live link says what the match value of its row or record is now.
    fn renew_linked(&self, key: &Key, link: &Link, seq: Seq, effects: &mut PageCommit) {
        let mapping = &self.pair.mapping;
        // Unknown: the key is all there is to go by.
        let Some(known) = match_fields(mapping, &link.body, key.side) else { return };
        let value = mapping.match_key(&known);
        if value != key.value {
            effects.keys.push(KeyWrite::Put(Key { value, seen: seq, content: None, ..key.clone() }));
        }
    }
}
