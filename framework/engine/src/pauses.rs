//! Pauses: what may not run now, by a person's or the engine's own order (rule 64).

use crate::look::{Ended, Look};
use crate::{Engine, EngineError, PairRuntime};
use bothways_model::LinkId;
use bothways_model::planted::{self, Bug};
use bothways_store::{Pause, PauseScope};
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

/// The pauses as last read: whenever the database may have changed, and by the sweep. A write goes by what is stored when its intent is
/// committed ([`Engine::pausing`]).
#[derive(Default)]
pub(crate) struct Pauses(RwLock<BTreeSet<PauseScope>>);

impl Pauses {
    pub(crate) fn has(&self, scope: &PauseScope) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(scope)
    }
}

impl Engine {
    /// Reads the pauses again.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn refresh_pauses(&self) -> Result<(), EngineError> {
        let scopes = self.store.pauses().await?.into_iter().map(|p| p.scope).collect();
        *self.pauses.0.write().unwrap_or_else(PoisonError::into_inner) = scopes;
        Ok(())
    }

    /// Whether calls for this pair (and link) must not be made now.
    pub(crate) fn is_paused(&self, pair: &PairRuntime, link: Option<LinkId>) -> bool {
        if planted::is(Bug::PauseIgnored) {
            return false;
        }
        pair.stopped().is_some()
            || self.pauses.has(&PauseScope::All)
            || self.pauses.has(&PauseScope::Connection(pair.connection.clone()))
            || self.pauses.has(&PauseScope::Pair(pair.id))
            || link.is_some_and(|link| self.pauses.has(&PauseScope::Link(link)))
    }

    /// What, if it is paused, keeps a write of this link from going out.
    pub(crate) fn pausing(&self, pair: &PairRuntime, link: LinkId) -> Vec<PauseScope> {
        if planted::is(Bug::PauseIgnored) {
            return Vec::new();
        }
        vec![
            PauseScope::All,
            PauseScope::Connection(pair.connection.clone()),
            PauseScope::Pair(pair.id),
            PauseScope::Link(link),
        ]
    }

    /// The command that resumes a scope.
    pub(crate) fn resumes(&self, scope: &PauseScope) -> String {
        let what = match scope {
            PauseScope::All => "all".to_owned(),
            PauseScope::Connection(name) => format!("connection {name}"),
            PauseScope::Pair(id) => {
                let pair = self.pairs().find(|pair| pair.id == *id);
                pair.map_or_else(|| format!("mapping {id}"), |pair| format!("mapping {}", pair.mapping.name))
            }
            PauseScope::Link(link) => format!("record {link}"),
        };
        format!("bothways resume {what}")
    }

    /// Pauses a scope in the engine's own name and says why. That is for people: it may be the service's own words, which no log gets.
    pub(crate) async fn pause(&self, scope: PauseScope, reason: &str) {
        let resume = self.resumes(&scope);
        tracing::error!("paused: `bothways status` says why; `{resume}` when it is seen to");
        let pause =
            Pause { scope, reason: reason.to_owned(), by: "engine".into(), at: self.ports.clock.now() };
        if let Err(error) = self.store.pause(&pause).await {
            tracing::error!(error = %error, "the pause could not be stored");
        }
        if let Err(error) = self.refresh_pauses().await {
            tracing::error!(error = %error, "the pauses could not be read");
        }
    }
}

impl Look {
    /// Ends a look that a pause keeps from its next call. `look`: the remote side has to be looked at then.
    pub(crate) fn paused(&self, look: bool) -> Ended {
        self.note_failure("paused", false);
        let mut unit = self.unit();
        unit.work = self.again_at(self.now + TimeDelta::seconds(5), None, Some("paused".into()), look);
        Box::new(unit)
    }
}
