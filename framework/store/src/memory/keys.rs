//! Match keys and their groups.

use super::MemoryStore;
use super::state::State;
use crate::{Group, GroupMember, Key, KeyWrite, Keys, Result, Side};
use async_trait::async_trait;
use bothways_model::planted::{self, Bug};
use bothways_model::{LocalId, PairId, RemoteId};
use std::collections::BTreeMap;

/// Where a group stands in the order of [`Keys::unlinked_groups`]: first those with a value, by value, then single records.
type Position = (bool, String);

impl State {
    fn member(&self, key: &Key) -> GroupMember {
        let link = match key.side {
            Side::Local => self.link_of_local(key.pair, &LocalId(key.id.clone())),
            Side::Remote => self.link_of_remote(key.pair, &RemoteId(key.id.clone())),
        };
        GroupMember { key: key.clone(), link: link.map(|link| link.state) }
    }

    /// The groups of a pair in order. All of them: this store is for tests.
    fn groups(&self, pair: PairId) -> BTreeMap<Position, Group> {
        let mut groups = BTreeMap::new();
        let first = (pair, Side::Local, String::new());
        for key in self.keys.range(first..).map(|(_, key)| key).take_while(|key| key.pair == pair) {
            let position = match &key.value {
                Some(value) => (false, value.clone()),
                None => (true, format!("{}:{}", key.side.as_str(), key.id)),
            };
            let empty = || Group { value: key.value.clone(), remote: Vec::new(), local: Vec::new() };
            let group = groups.entry(position).or_insert_with(empty);
            let side = match key.side {
                Side::Local => &mut group.local,
                Side::Remote => &mut group.remote,
            };
            let member = self.member(key);
            if !(member.is_linked() && planted::is(Bug::MatchIgnoresLinked)) {
                side.push(member);
            }
        }
        groups
    }
}

fn cut(mut group: Group) -> Group {
    group.remote.truncate(Group::LIMIT);
    group.local.truncate(Group::LIMIT);
    group
}

#[async_trait]
impl Keys for MemoryStore {
    async fn groups_of(&self, pair: PairId, values: &[String]) -> Result<Vec<Group>> {
        let mut groups = self.lock().groups(pair);
        let empty =
            |value: &String| Group { value: Some(value.clone()), remote: Vec::new(), local: Vec::new() };
        Ok(values
            .iter()
            .map(|value| groups.entry((false, value.clone())).or_insert_with(|| empty(value)).clone())
            .map(cut)
            .collect())
    }

    async fn unlinked_groups(
        &self,
        pair: PairId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Group>, Option<String>)> {
        let groups = self.lock().groups(pair);
        let after: Option<Position> = after.and_then(|text| {
            let (kind, rest) = text.split_at_checked(1)?;
            Some((kind == "n", rest.to_owned()))
        });
        let unlinked = |group: &Group| group.remote.iter().chain(&group.local).any(|m| !m.is_linked());
        let mut page = Vec::new();
        let mut last = None;
        for (position, group) in groups {
            if after.as_ref().is_some_and(|after| position <= *after) || !unlinked(&group) {
                continue;
            }
            if page.len() == limit {
                return Ok((page, last));
            }
            last = Some(format!("{}{}", if position.0 { "n" } else { "v" }, position.1));
            page.push(cut(group));
        }
        Ok((page, None))
    }

    async fn write_keys(&self, writes: &[KeyWrite]) -> Result<()> {
        self.write(|s| {
            writes.iter().for_each(|write| s.write_key(write));
            Ok(())
        })
    }
}
