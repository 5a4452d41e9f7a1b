//! Plans of a running installation, and consent to them (rules 61, 62).

use crate::operations::Operations;
use crate::plan::{Installed, PlanSink, PlanSource, PlanTotals, ReadOnly, plan, plan_into};
use crate::{Engine, EngineError, PairRuntime, PlanSaver, Scratch};
use bothways_model::PairId;
use bothways_store::{Approval, ParkedFilter, Signal, Work};
use std::io::Write;
use std::sync::Arc;

impl Operations {
    /// Makes a plan of the mapping as it is written, approved or not, and returns its sums with its digest.
    ///
    /// # Errors
    /// As for [`plan`].
    pub async fn plan(
        &self,
        mapping: Option<&str>,
        sink: &mut dyn PlanSink,
    ) -> Result<PlanTotals, EngineError> {
        let (source, _scratch) = self.plan_source(mapping).await?;
        plan_into(&source, sink).await
    }

    /// Makes a plan into a file. Without `values` it holds no value of any record.
    ///
    /// # Errors
    /// As for [`plan`]; the file cannot be written.
    pub async fn save_plan<W: Write + Send>(
        &self,
        mapping: Option<&str>,
        out: W,
        values: bool,
        by: &str,
    ) -> Result<PlanTotals, EngineError> {
        let (source, _scratch) = self.plan_source(mapping).await?;
        let secret = self.engine.store.secret().await?;
        let mut saver = PlanSaver::new(out, &source, by, values, Some(secret), self.salt());
        let totals = plan_into(&source, &mut saver).await?;
        saver
            .end(&totals)
            .map_err(|error| EngineError::Refused(format!("the plan file cannot be written: {error}")))?;
        Ok(totals)
    }

    fn salt(&self) -> String {
        let ports = &self.engine.ports;
        ports.random.uuid(ports.clock.now()).simple().to_string()
    }

    async fn plan_source(&self, mapping: Option<&str>) -> Result<(PlanSource, Scratch), EngineError> {
        self.engine.refresh_pairs().await?;
        let pair = self.pair(mapping)?;
        let engine = &self.engine;
        let scratch = engine.scratches().scratch().await?;
        let source = PlanSource {
            pair: Arc::new(PairRuntime::bind((*pair.stored()).clone(), engine.written(pair.id)?)?),
            reads: Arc::new(Installed::new(engine.store.clone())),
            remote: ReadOnly::new(&engine.ports, engine.settings.retry, engine.renewer.clone()),
            scratch: scratch.keys.clone(),
            clock: engine.ports.clock.clone(),
        };
        Ok((source, scratch))
    }

    /// Approves a mapping that nobody has approved yet, or once more one that is as it was approved (rule 61).
    ///
    /// # Errors
    /// No such mapping; a change of it is held, which is approved by its plan's digest only; the store fails.
    pub async fn approve(&self, mapping: Option<&str>, by: &str) -> Result<(), EngineError> {
        self.engine.refresh_pairs().await?;
        let pair = self.pair(mapping)?;
        if pair.held().is_some() {
            return Err(EngineError::Refused(format!(
                "mapping `{0}` changed since it was approved: see what it would do with `bothways plan {0}`, then name that \
                 plan's digest (`bothways approve {0} --digest DIGEST`)",
                pair.mapping.name
            )));
        }
        self.engine.name_present_rows(&pair).await?;
        self.consent(&pair, None, by).await
    }

    /// Approves a mapping by the digest of its plan, which is made again: it is void when what it would do has changed (rule 62).
    ///
    /// # Errors
    /// No such mapping; the plan says something else by now; the service or the store fails.
    pub async fn approve_plan(
        &self,
        mapping: Option<&str>,
        digest: &str,
        by: &str,
    ) -> Result<(), EngineError> {
        let pair = self.pair(mapping)?;
        let (source, _scratch) = self.plan_source(Some(&pair.mapping.name)).await?;
        let totals = plan(&source, &mut |_| {}).await?;
        if totals.digest != digest.trim() {
            return Err(EngineError::Refused(format!(
                "what mapping `{0}` would do has changed since that plan was made: look again (`bothways plan {0}`)",
                pair.mapping.name
            )));
        }
        self.engine.name_creates(&pair, totals.create_remote).await?;
        self.consent(&pair, Some(digest.trim()), by).await
    }

    async fn consent(&self, pair: &PairRuntime, plan: Option<&str>, by: &str) -> Result<(), EngineError> {
        let before = pair.stored().approval.as_ref().map(|approval| approval.digest.clone());
        let is_new = before.as_ref() != Some(&pair.digest);
        // The same again approves nothing new: it must not cover what a later full pass finds (rule 58).
        if is_new {
            self.engine.forget(pair, &pair.moved()).await?;
            let approval = Approval {
                digest: pair.digest.clone(),
                by: by.to_owned(),
                at: self.engine.ports.clock.now(),
                terms: serde_json::to_value(&pair.terms).ok(),
            };
            self.engine.store.approve(pair.id, &approval).await?;
        }
        let detail = serde_json::json!({
            "mapping": pair.mapping.name, "before": before, "digest": pair.digest, "plan": plan,
        });
        self.audit(by, "approve", detail).await?;
        self.engine.refresh_pairs().await?;
        self.engine.wake_schedules();
        self.engine.nudge().await;
        self.engine.tell();
        Ok(())
    }
}

/// Parked work read as one set.
const SET: usize = 500;

impl Engine {
    /// A change of the mapping holds from now on. What it is about is in rows and records that nobody touches, which only a pass
    /// finds, and in parked work, which is planned again (rule 42).
    pub(crate) async fn reconsider(&self, pair: PairId) -> Result<(), EngineError> {
        self.want_pass(pair).await?;
        let filter = ParkedFilter { pair: Some(pair), ..ParkedFilter::default() };
        let mut after = None;
        loop {
            let parked = self.store.parked(&filter, after, SET).await?;
            let Some(last) = parked.last() else { return Ok(()) };
            after = Some(last.id);
            let again =
                |work: &Work| Signal { pair, subject: work.subject.clone(), look: true, not_before: None };
            let signals: Vec<Signal> = parked.iter().map(again).collect();
            self.store.signal(self.ports.clock.now(), &signals).await?;
        }
    }
}
