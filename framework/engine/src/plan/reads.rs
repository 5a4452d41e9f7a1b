//! What a plan may ask the database.

use async_trait::async_trait;
use bothways_model::{LinkId, LocalId, LocalRow, PairId, RemoteId, Value};
use bothways_store::{Link, LinkFilter, LinkState, Pair, Result, RowPage, Rows, Store};
use std::sync::Arc;

/// Reads, and nothing else.
#[async_trait]
pub trait PlanReads: Send + Sync {
    /// All pairs that are not retired.
    async fn pairs(&self) -> Result<Vec<Pair>>;
    /// Rows in key order after `after`.
    async fn rows(&self, catalog: &str, after: Option<&LocalId>, limit: usize) -> Result<RowPage>;
    /// One row.
    async fn row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>>;
    /// For each record the link that answers for it, in the order asked.
    async fn links_of_remote(&self, pair: PairId, ids: &[RemoteId]) -> Result<Vec<Option<Link>>>;
    /// For each row the link that answers for it, in the order asked.
    async fn links_of_local(&self, pair: PairId, ids: &[LocalId]) -> Result<Vec<Option<Link>>>;
    /// One link.
    async fn link(&self, id: LinkId) -> Result<Option<Link>>;
    /// Links in state `linked`, in id order after `after`.
    async fn linked(&self, pair: PairId, after: Option<LinkId>, limit: usize) -> Result<Vec<Link>>;
    /// How many links are in state `linked`.
    async fn count_linked(&self, pair: PairId) -> Result<u64>;
    /// See [`Rows::held_by`].
    async fn held_by(&self, catalog: &str, field: &str, keys: &[LocalId]) -> Result<Vec<Option<Value>>>;
    /// See [`Rows::holders`].
    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>>;
    /// Whether a row's delete was captured and is not dealt with yet.
    async fn is_deleted(&self, pair: PairId, id: &LocalId) -> Result<bool>;
}

/// The reading half of a store that is set up.
pub struct Installed(Arc<dyn Store>);

impl Installed {
    /// Of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl PlanReads for Installed {
    async fn pairs(&self) -> Result<Vec<Pair>> {
        self.0.pairs().await
    }

    async fn rows(&self, catalog: &str, after: Option<&LocalId>, limit: usize) -> Result<RowPage> {
        self.0.rows(catalog, None, after, limit).await
    }

    async fn row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>> {
        self.0.row(catalog, id).await
    }

    async fn links_of_remote(&self, pair: PairId, ids: &[RemoteId]) -> Result<Vec<Option<Link>>> {
        self.0.links_of_remote(pair, ids).await
    }

    async fn links_of_local(&self, pair: PairId, ids: &[LocalId]) -> Result<Vec<Option<Link>>> {
        self.0.links_of_local(pair, ids).await
    }

    async fn link(&self, id: LinkId) -> Result<Option<Link>> {
        self.0.link(id).await
    }

    async fn linked(&self, pair: PairId, after: Option<LinkId>, limit: usize) -> Result<Vec<Link>> {
        let filter = LinkFilter { pair: Some(pair), state: Some(LinkState::Linked), ..LinkFilter::default() };
        self.0.links(&filter, after, limit).await
    }

    async fn count_linked(&self, pair: PairId) -> Result<u64> {
        let counts = self.0.counts(pair).await?;
        Ok(counts.links.get(LinkState::Linked.as_str()).copied().unwrap_or(0))
    }

    async fn held_by(&self, catalog: &str, field: &str, keys: &[LocalId]) -> Result<Vec<Option<Value>>> {
        self.0.held_by(catalog, field, keys).await
    }

    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>> {
        self.0.holders(catalog, field, values).await
    }

    async fn is_deleted(&self, pair: PairId, id: &LocalId) -> Result<bool> {
        let work = self.0.work_of(pair, Some(id), None).await?;
        Ok(work.iter().any(|work| !work.facts.is_empty()))
    }
}

/// A database in which nothing is installed: there are rows and no links.
pub struct NotInstalled(Arc<dyn Rows>);

impl NotInstalled {
    /// Of these rows.
    pub fn new(rows: Arc<dyn Rows>) -> Self {
        Self(rows)
    }
}

#[async_trait]
impl PlanReads for NotInstalled {
    async fn pairs(&self) -> Result<Vec<Pair>> {
        Ok(Vec::new())
    }

    async fn rows(&self, catalog: &str, after: Option<&LocalId>, limit: usize) -> Result<RowPage> {
        self.0.rows(catalog, None, after, limit).await
    }

    async fn row(&self, catalog: &str, id: &LocalId) -> Result<Option<LocalRow>> {
        self.0.row(catalog, id).await
    }

    async fn links_of_remote(&self, _: PairId, ids: &[RemoteId]) -> Result<Vec<Option<Link>>> {
        Ok(vec![None; ids.len()])
    }

    async fn links_of_local(&self, _: PairId, ids: &[LocalId]) -> Result<Vec<Option<Link>>> {
        Ok(vec![None; ids.len()])
    }

    async fn link(&self, _: LinkId) -> Result<Option<Link>> {
        Ok(None)
    }

    async fn linked(&self, _: PairId, _: Option<LinkId>, _: usize) -> Result<Vec<Link>> {
        Ok(Vec::new())
    }

    async fn count_linked(&self, _: PairId) -> Result<u64> {
        Ok(0)
    }

    async fn held_by(&self, catalog: &str, field: &str, keys: &[LocalId]) -> Result<Vec<Option<Value>>> {
        self.0.held_by(catalog, field, keys).await
    }

    async fn holders(&self, catalog: &str, field: &str, values: &[Value]) -> Result<Vec<Vec<LocalId>>> {
        self.0.holders(catalog, field, values).await
    }

    async fn is_deleted(&self, _: PairId, _: &LocalId) -> Result<bool> {
        Ok(false)
    }
}
