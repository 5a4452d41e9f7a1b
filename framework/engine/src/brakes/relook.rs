//! A full pass has whatever brakes withhold looked at again. What is in step by now, though nothing told of it, is met by the pass as a
//! record with nothing to do, and would be withheld on until its work is due by itself.

use crate::EngineError;
use crate::pass::Pass;
use bothways_store::{ChargeKey, PageCommit, Signal, Subject, Withheld};

/// So many at a time.
const SET: usize = 200;

impl Pass<'_> {
    /// Signals everything that brakes withhold of this pair.
    pub(crate) async fn look_at_withheld(&mut self) -> Result<(), EngineError> {
        let (store, pair) = (self.engine.store.clone(), self.pair.id);
        let on = store.brakes(self.engine.ports.clock.now()).await?;
        for brake in on.into_iter().filter(|brake| brake.name.pair == pair) {
            let mut after = None;
            loop {
                self.check_halted().await?;
                let some = store.withheld(brake.id, after.as_ref(), SET).await?;
                let Some(last) = some.last() else { break };
                after = Some(last.key.clone());
                let subjects = some.into_iter().filter_map(subject);
                let signals = subjects.map(|subject| Signal { pair, subject, look: true, not_before: None });
                self.store_position(PageCommit {
                    signals: signals.collect(),
                    pass: Some(self.mark()),
                    ..PageCommit::default()
                })
                .await?;
            }
        }
        Ok(())
    }
}

fn subject(withheld: Withheld) -> Option<Subject> {
    match withheld.key {
        ChargeKey::Link(_) => {
            withheld.remote_id.map(Subject::Remote).or(withheld.local_id.map(Subject::Local))
        }
        ChargeKey::Row(id) => Some(Subject::Local(id)),
        ChargeKey::Pass => None,
    }
}
