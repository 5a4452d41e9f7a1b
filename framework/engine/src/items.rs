//! What waits for a person: parked work and conflicts, as lists and one by one.

use crate::EngineError;
use crate::operations::Operations;
use crate::sealed::Seals;
use bothways_model::{LinkId, PairId, Value};
use bothways_store::{Link, LinkFilter, ParkReason, ParkedFilter, Subject, Work, WorkId};
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that waits for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// What commands name it by: a number for parked work, a link's UUID for conflicts.
    pub id: String,
    /// `conflict`, or the reason it is parked.
    pub reason: String,
    /// The mapping.
    pub mapping: String,
    /// The row.
    pub local_id: Option<String>,
    /// The record.
    pub remote_id: Option<String>,
    /// The link.
    pub link: Option<String>,
    /// What happened and what to do.
    pub message: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Fields in conflict, with both values.
    pub fields: BTreeMap<String, ConflictView>,
    /// What `resolve` must name, so that it is refused when something moved since this was shown.
    pub digest: String,
}

/// One field in conflict.
#[derive(Clone, Debug, Serialize)]
pub struct ConflictView {
    /// The value both sides last agreed on, by the local base.
    pub base: Option<serde_json::Value>,
    /// The local value.
    pub local: Option<serde_json::Value>,
    /// The remote value.
    pub remote: Option<serde_json::Value>,
    /// A choice that is being carried out.
    pub chosen: bool,
}

impl Operations {
    /// Everything that waits for a person, oldest first: parked work and links with conflicts.
    ///
    /// # Errors
    /// The store fails.
    pub async fn parked(
        &self,
        mapping: Option<&str>,
        reason: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, EngineError> {
        let pair = mapping.map(|m| self.pair(Some(m))).transpose()?.map(|p| p.id);
        let seals = self.seals().await?;
        let mut items = Vec::new();
        if reason.is_none_or(|r| r != "conflict") {
            let filter = ParkedFilter { pair, reason: reason.and_then(ParkReason::parse) };
            for work in self.engine.store.parked(&filter, None, limit).await? {
                items.push(self.item_of_work(work).await?);
            }
        }
        if reason.is_none_or(|r| r == "conflict") {
            let filter = LinkFilter { pair, conflicts: true, ..LinkFilter::default() };
            for link in self.engine.store.links(&filter, None, limit).await? {
                items.push(self.item_of_link(&link, &seals));
            }
        }
        items.sort_by(|a, b| a.since.cmp(&b.since));
        items.truncate(limit);
        Ok(items)
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of that id; the store fails.
    pub async fn item(&self, id: &str) -> Result<Item, EngineError> {
        if let Ok(link) = id.parse::<LinkId>() {
            let link = self.engine.store.link(link).await?.ok_or_else(|| no_item(id))?;
            return Ok(self.item_of_link(&link, &self.seals().await?));
        }
        let work = self.parked_work(id).await?;
        self.item_of_work(work).await
    }

    pub(crate) async fn parked_work(&self, id: &str) -> Result<Work, EngineError> {
        let number = id.parse::<i64>().map_err(|_| no_item(id))?;
        self.engine
            .store
            .work(WorkId(number))
            .await?
            .filter(|w| w.parked.is_some())
            .ok_or_else(|| no_item(id))
    }

    async fn item_of_work(&self, work: Work) -> Result<Item, EngineError> {
        let link = self.link_of(&work).await?;
        let (mut local, mut remote) = match &work.subject {
            Subject::Local(id) => (Some(id.0.clone()), None),
            Subject::Remote(id) => (None, Some(id.0.clone())),
            Subject::Group(_) => (None, None),
        };
        if let Some(link) = &link {
            local = link.local_id.as_ref().or(link.body.former_local.as_ref()).map(|i| i.0.clone()).or(local);
            remote = link.remote_id.as_ref().map(|i| i.0.clone()).or(remote);
        }
        let parked = work.parked.ok_or_else(|| no_item(&work.id.0.to_string()))?;
        Ok(Item {
            id: work.id.0.to_string(),
            reason: parked.reason.as_str().to_owned(),
            mapping: self.mapping_name(work.pair),
            local_id: local,
            remote_id: remote,
            link: link.map(|l| l.id.to_string()),
            message: parked.message,
            since: parked.at.to_rfc3339(),
            fields: BTreeMap::new(),
            digest: parked.digest,
        })
    }

    fn item_of_link(&self, link: &Link, seals: &Seals) -> Item {
        let plain = |value: &Option<Value>| value.as_ref().map(Value::to_plain_json);
        let fields = link
            .body
            .conflicts
            .iter()
            .map(|(label, conflict)| {
                let base = link.body.base.get(label).and_then(|b| b.local.clone());
                let view = ConflictView {
                    base: plain(&base),
                    local: plain(&conflict.local),
                    remote: plain(&conflict.remote),
                    chosen: conflict.choice.is_some(),
                };
                (label.clone(), view)
            })
            .collect();
        Item {
            id: link.id.to_string(),
            reason: "conflict".into(),
            mapping: self.mapping_name(link.pair),
            local_id: link.local_id.as_ref().map(|i| i.0.clone()),
            remote_id: link.remote_id.as_ref().map(|i| i.0.clone()),
            link: Some(link.id.to_string()),
            message: conflict_message(link),
            since: link
                .body
                .conflicts
                .values()
                .map(|c| c.since)
                .min()
                .unwrap_or(link.updated_at)
                .to_rfc3339(),
            fields,
            digest: conflict_digest(link, seals),
        }
    }

    pub(crate) fn mapping_name(&self, pair: PairId) -> String {
        self.engine
            .pairs
            .get(&pair)
            .map_or_else(|| format!("pair {pair} (not loaded)"), |p| p.mapping.name.clone())
    }

    pub(crate) async fn link_of(&self, work: &Work) -> Result<Option<Link>, EngineError> {
        let links = match &work.subject {
            Subject::Local(id) => {
                self.engine.store.links_of_local(work.pair, std::slice::from_ref(id)).await?
            }
            Subject::Remote(id) => {
                self.engine.store.links_of_remote(work.pair, std::slice::from_ref(id)).await?
            }
            Subject::Group(_) => Vec::new(),
        };
        Ok(links.into_iter().next().flatten())
    }
}

pub(crate) fn no_item(id: &str) -> EngineError {
    EngineError::NotFound(format!("parked item `{id}`"))
}

fn conflict_message(link: &Link) -> String {
    let stale = link.body.conflicts.iter().find_map(|(label, c)| Some((label, c.stale.as_ref()?)));
    match stale {
        Some((label, by)) => format!(
            "changed on both sides; what {by} chose for `{label}` was not carried out, since a value moved after that: choose again"
        ),
        None => "changed on both sides; choose which value to keep, field by field".into(),
    }
}

/// What a person was shown of a link's conflicts.
pub(crate) fn conflict_digest(link: &Link, seals: &Seals) -> String {
    let shown: Vec<_> = link.body.conflicts.iter().map(|(label, c)| (label, &c.local, &c.remote)).collect();
    seals.of(&shown)
}
