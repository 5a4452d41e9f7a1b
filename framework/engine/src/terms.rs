//! What an approval covers, in a form that is stored with it, and how an engine goes on by it while a change waits (rule 62).
//!
//! A mapping that changes key, match, scope, directions, creates or deletes is run as it was approved until the change is approved. What
//! was approved is kept as plain words and put in the place of the new ones; a field that was not there is left out, since what it
//! would write nobody has seen. Where the old form cannot be had any more (another key, a match field that is gone) the mapping
//! stands still. What does not decide who is written to (winners, codecs, times) holds at once.

use bothways_mapping::mapping::{
    AgainstUpdate, CreatePolicy, Creates, Deletes, FromLocalDelete, FromRemoteDelete, Identity, Only,
};
use bothways_mapping::path::parse_singular;
use bothways_mapping::{Direction, Field, Filter, Mapping};
use bothways_model::{SingularPath, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What an approval covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Terms {
    table: String,
    key: String,
    deleted_at: Option<String>,
    matching: Vec<String>,
    stamp: Option<String>,
    remote_id: Option<String>,
    only_remote: Option<String>,
    only_local: Vec<(String, Value)>,
    fields: BTreeMap<String, FieldTerms>,
    creates: [String; 2],
    deletes: DeleteTerms,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FieldTerms {
    local: Vec<String>,
    read: String,
    write: Option<String>,
    direction: String,
    immutable: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct DeleteTerms {
    from_remote: String,
    from_local: String,
    against_update: String,
    confirmed: bool,
}

/// A change that waits for its approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldChange {
    /// What differs from what was approved, in words for people.
    pub differs: Vec<String>,
    /// Why the mapping cannot go on as it was approved and stands still; `None` while it goes on.
    pub stopped: Option<String>,
}

impl Terms {
    pub(crate) fn of(mapping: &Mapping) -> Self {
        let Mapping { catalog, identity, only, fields, creates, deletes, .. } = mapping;
        let field = |field: &Field| FieldTerms {
            local: field.local.clone(),
            read: field.read.text().to_owned(),
            write: field.write.as_ref().map(SingularPath::to_string),
            direction: field.direction.as_str().to_owned(),
            immutable: field.immutable,
        };
        Self {
            table: catalog.table.as_str().to_owned(),
            key: catalog.key.to_string(),
            deleted_at: catalog.deleted_at.as_ref().map(|column| column.as_str().to_owned()),
            matching: identity.matching.clone(),
            stamp: identity.stamp.as_ref().map(SingularPath::to_string),
            remote_id: identity.remote_id.clone(),
            only_remote: only.remote.as_ref().map(|filter| filter.text().to_owned()),
            only_local: only.local.clone(),
            fields: fields.iter().map(|f| (f.label.clone(), field(f))).collect(),
            creates: [creates.from_remote.as_str().to_owned(), creates.from_local.as_str().to_owned()],
            deletes: DeleteTerms {
                from_remote: deletes.from_remote.as_str().to_owned(),
                from_local: deletes.from_local.as_str().to_owned(),
                against_update: deletes.against_update.as_str().to_owned(),
                confirmed: deletes.confirmed_irreversible,
            },
        }
    }

    pub(crate) fn digest(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&Sha256::digest(text)[..12])
    }

    /// What differs in `now`, in words.
    fn differences(&self, now: &Terms) -> Vec<String> {
        let mut all = Vec::new();
        let mut note = |what: &str, was: String, is: String| {
            if was != is {
                all.push(format!("{what}: {was} was approved, now {is}"));
            }
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
        let list = |values: &[String]| format!("[{}]", values.join(", "));
        note("table", self.table.clone(), now.table.clone());
        note("key", self.key.clone(), now.key.clone());
        note("deleted_at", text(&self.deleted_at), text(&now.deleted_at));
        note("identity.match", list(&self.matching), list(&now.matching));
        note("identity.stamp", text(&self.stamp), text(&now.stamp));
        note("identity.remote_id", text(&self.remote_id), text(&now.remote_id));
        note("only.remote", text(&self.only_remote), text(&now.only_remote));
        note("only.local", local_scope(&self.only_local), local_scope(&now.only_local));
        note("creates", self.creates.join(" / "), now.creates.join(" / "));
        note("deletes", self.deletes.words(), now.deletes.words());
        for (label, was) in &self.fields {
            match now.fields.get(label) {
                Some(is) => note(&format!("field `{label}`"), was.words(), is.words()),
                None => note(&format!("field `{label}`"), was.words(), "gone".into()),
            }
        }
        for (label, is) in now.fields.iter().filter(|(label, _)| !self.fields.contains_key(*label)) {
            note(&format!("field `{label}`"), "nothing".into(), is.words());
        }
        all
    }

    /// Labels that are at another path or column in `now`, or gone.
    pub(crate) fn moved(&self, now: &Terms) -> Vec<String> {
        let moved = |(label, was): &(&String, &FieldTerms)| {
            now.fields.get(*label).is_none_or(|is| was.is_another(&is.local, &is.read, is.write.as_ref()))
        };
        self.fields.iter().filter(moved).map(|(label, _)| label.clone()).collect()
    }

    /// The mapping as it was approved, as far as `loaded` lets it be had, and what is held of it.
    pub(crate) fn hold(&self, loaded: &Mapping) -> (Mapping, Option<HeldChange>) {
        let now = Terms::of(loaded);
        if now == *self {
            return (loaded.clone(), None);
        }
        let differs = self.differences(&now);
        match self.restore(loaded, &now) {
            Ok(mapping) => (mapping, Some(HeldChange { differs, stopped: None })),
            Err(why) => (loaded.clone(), Some(HeldChange { differs, stopped: Some(why) })),
        }
    }

    fn restore(&self, loaded: &Mapping, now: &Terms) -> Result<Mapping, String> {
        if (&self.table, &self.key, &self.deleted_at) != (&now.table, &now.key, &now.deleted_at) {
            return Err("the table, its key or its `deleted_at` is another one".into());
        }
        let mut mapping = loaded.clone();
        let fields = std::mem::take(&mut mapping.fields);
        for field in fields {
            if let Some(was) = self.fields.get(&field.label)
                && let Some(field) = was.restore(field)?
            {
                mapping.fields.push(field);
            }
        }
        let missing = self.matching.iter().find(|label| mapping.field(label).is_none());
        if let Some(label) = missing {
            return Err(format!("records were matched by field `{label}`, which is not what it was"));
        }
        let known = |name: &String| loaded.catalog.field(name).is_some();
        let named = self.remote_id.iter().chain(self.only_local.iter().map(|(name, _)| name));
        if let Some(name) = named.into_iter().find(|name| !known(name)) {
            return Err(format!("the catalog has no field `{name}` any more"));
        }
        mapping.identity = Identity {
            matching: self.matching.clone(),
            stamp: self.stamp.as_deref().map(path).transpose()?,
            remote_id: self.remote_id.clone(),
        };
        mapping.only = Only {
            remote: self
                .only_remote
                .as_deref()
                .map(|text| Filter::parse(text).map_err(|bad| lost(bad.message)))
                .transpose()?,
            local: self.only_local.clone(),
        };
        mapping.creates =
            Creates { from_remote: create(&self.creates[0])?, from_local: create(&self.creates[1])? };
        mapping.deletes = self.deletes.restore()?;
        Ok(mapping)
    }
}

impl FieldTerms {
    fn words(&self) -> String {
        let at = match &self.write {
            Some(write) if *write != self.read => format!("{}, written to {write}", self.read),
            _ => self.read.clone(),
        };
        let immutable = if self.immutable { ", immutable" } else { "" };
        format!("{} and {at}, direction {}{immutable}", self.local.join(", "), self.direction)
    }

    /// Whether a field of the same name is another one, by its columns and paths.
    fn is_another(&self, local: &[String], read: &str, write: Option<&String>) -> bool {
        let elsewhere = matches!((&self.write, write), (Some(was), Some(is)) if was != is);
        self.local != local || self.read != read || elsewhere
    }

    /// The field as it was approved; `None` if it is another one under the same name.
    fn restore(&self, mut field: Field) -> Result<Option<Field>, String> {
        let write = field.write.as_ref().map(SingularPath::to_string);
        if self.is_another(&field.local, field.read.text(), write.as_ref()) {
            return Ok(None);
        }
        field.direction =
            word(&[Direction::Both, Direction::In, Direction::Out], Direction::as_str, &self.direction)?;
        field.write = self.write.as_deref().map(path).transpose()?;
        field.immutable = self.immutable;
        Ok(Some(field))
    }
}

impl DeleteTerms {
    fn words(&self) -> String {
        let confirmed = if self.confirmed { ", irreversible" } else { "" };
        format!(
            "from_remote {}, from_local {}, {}{confirmed}",
            self.from_remote, self.from_local, self.against_update
        )
    }

    fn restore(&self) -> Result<Deletes, String> {
        use {FromLocalDelete as Local, FromRemoteDelete as Remote};
        let remote = [
            Remote::Manual,
            Remote::Ignore,
            Remote::Unlink,
            Remote::Archive,
            Remote::Delete,
            Remote::Recreate,
        ];
        let local = [Local::Manual, Local::Ignore, Local::Unlink, Local::Delete];
        let against = [AgainstUpdate::UpdateWins, AgainstUpdate::DeleteWins];
        Ok(Deletes {
            from_remote: word(&remote, Remote::as_str, &self.from_remote)?,
            from_local: word(&local, Local::as_str, &self.from_local)?,
            confirmed_irreversible: self.confirmed,
            against_update: word(&against, AgainstUpdate::as_str, &self.against_update)?,
        })
    }
}

fn local_scope(scope: &[(String, Value)]) -> String {
    let parts: Vec<String> =
        scope.iter().map(|(name, value)| format!("{name} = {}", value.to_plain_json())).collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn create(text: &str) -> Result<CreatePolicy, String> {
    word(&[CreatePolicy::Create, CreatePolicy::Ignore, CreatePolicy::Manual], CreatePolicy::as_str, text)
}

fn word<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| lost(text))
}

fn path(text: &str) -> Result<SingularPath, String> {
    parse_singular(text).map_err(|bad| lost(bad.message))
}

/// What was stored is not understood by this version.
fn lost(what: impl std::fmt::Display) -> String {
    format!("what was approved cannot be read any more ({what})")
}
