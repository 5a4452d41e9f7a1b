//! The operations handle: what a person looks at and decides. The command line, the API and the page all use it, with the engine
//! running or not.

use crate::items::conflict_digest;
use crate::{DriftReport, Engine, EngineError, PairRuntime, Purpose, Quota};
use bothways_connector::{Login, Operation, Outcome, Tokens};
use bothways_mapping::mapping::CreatePolicy;
use bothways_model::{ConnectionName, FieldType, LinkId, LocalId, RemoteId, Secret, Value};
use bothways_store::{
    AuditEntry, Choice, DeleteChoice, Guard, HistoryFilter, HistoryRow, Keep, Link, LinkState, LinkWrite,
    LocalBinding, PairCounts, ParkReason, Pause, PauseScope, Signal, Subject, Unit, UnitOutcome, WorkId,
};
use chrono::TimeDelta;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Looks at and steers an engine's work.
#[derive(Clone)]
pub struct Operations {
    pub(crate) engine: Arc<Engine>,
}

/// What `status` shows of a mapping.
#[derive(Clone, Debug, Serialize)]
pub struct PairStatus {
    /// The mapping.
    pub mapping: String,
    /// Its catalog.
    pub catalog: String,
    /// Its connection.
    pub connection: String,
    /// Its resource.
    pub resource: String,
    /// The account its links belong to.
    pub account: Option<String>,
    /// `live`, `test` or `unknown`.
    pub mode: String,
    /// Who approved its plan; without one it only observes.
    pub approved_by: Option<String>,
    /// Whether the mapping is still the one that was approved.
    pub approval_is_current: bool,
    /// What of the mapping is held until a change is approved, in words; empty if nothing is (rule 62).
    pub held: Vec<String>,
    /// Why the mapping stands still until then, if it does.
    pub stopped: Option<String>,
    /// When its first complete walk ended, RFC 3339.
    pub walked_at: Option<String>,
    /// When its last full pass ended.
    pub passed_at: Option<String>,
    /// Why it is paused, if it is, and what resumes it.
    pub paused: Option<String>,
    /// Why its connection must not be used, if so.
    pub blocked: Option<String>,
    /// Trouble of its readers (feed, poll) and its connection, if any.
    pub trouble: Vec<String>,
    /// How much of its connection's calls of a day is used, where they are limited.
    pub quota: Option<Quota>,
    /// What its last full pass found different.
    pub drift: Option<DriftReport>,
    /// Counts.
    pub counts: PairCounts,
}

/// What a person decides about an [`Item`].
#[derive(Clone, Debug)]
pub enum Resolution {
    /// Per field; the empty name means all fields.
    Fields(BTreeMap<String, KeepText>),
    /// A delete that was left to a person.
    Delete(DeleteChoice),
}

/// Which value to keep; a value as plain JSON, not yet of the field's type.
#[derive(Clone, Debug)]
pub enum KeepText {
    /// The local one.
    Local,
    /// The remote one.
    Remote,
    /// This one.
    Value(serde_json::Value),
}

/// What a person changed of a link, in digests (rule 68).
struct Edited {
    before: String,
    after: String,
}

impl Operations {
    /// A handle on an engine.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The engine behind it.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The loaded pair of a mapping; without a name, the only one.
    ///
    /// # Errors
    /// None of that name is loaded; several are: a name was not given, or is that of a document with several connections.
    pub fn pair(&self, mapping: Option<&str>) -> Result<Arc<PairRuntime>, EngineError> {
        match mapping {
            Some(name) => {
                let called: Vec<_> = self.engine.pairs().filter(|p| p.mapping.is_called(name)).collect();
                let exactly = called.iter().find(|p| p.mapping.name == name).or(match called.as_slice() {
                    [one] => Some(one),
                    _ => None,
                });
                match (exactly, called.as_slice()) {
                    (Some(one), _) => Ok(Arc::clone(one)),
                    (None, []) => {
                        let what = format!("mapping `{name}` (is its connection configured?)");
                        Err(EngineError::NotFound(what))
                    }
                    (None, several) => Err(name_one(several)),
                }
            }
            None => match self.engine.pairs().collect::<Vec<_>>().as_slice() {
                [one] => Ok(Arc::clone(one)),
                [] => Err(EngineError::NotFound("mapping loaded".into())),
                many => Err(name_one(many)),
            },
        }
    }

    /// What every mapping is doing.
    ///
    /// # Errors
    /// The store fails.
    pub async fn status(&self) -> Result<Vec<PairStatus>, EngineError> {
        self.engine.refresh_pairs().await?;
        let pauses = self.engine.store.pauses().await?;
        let mut all = Vec::new();
        for pair in self.engine.pairs() {
            let stored = pair.stored();
            let paused = pauses.iter().find(|p| match &p.scope {
                PauseScope::All => true,
                PauseScope::Connection(name) => *name == pair.connection,
                PauseScope::Pair(id) => *id == pair.id,
                PauseScope::Link(_) => false,
            });
            all.push(PairStatus {
                mapping: pair.mapping.name.clone(),
                catalog: stored.spec.catalog.clone(),
                connection: pair.connection.0.clone(),
                resource: stored.spec.resource.clone(),
                account: stored.account.as_ref().map(|a| a.0.clone()),
                mode: stored.mode.as_str().to_owned(),
                held: pair.held().map(|change| change.differs.clone()).unwrap_or_default(),
                stopped: pair.stopped().map(str::to_owned),
                approval_is_current: stored.approval.as_ref().is_some_and(|a| a.digest == pair.digest),
                approved_by: stored.approval.as_ref().map(|a| a.by.clone()),
                walked_at: stored.walked_at.map(|t| t.to_rfc3339()),
                passed_at: stored.passed_at.map(|t| t.to_rfc3339()),
                paused: paused.map(|p| {
                    format!("{} (by {}); `{}` goes on", p.reason, p.by, self.engine.resumes(&p.scope))
                }),
                blocked: self.engine.blocked(&pair.connection).await?,
                trouble: self.engine.troubles(&pair.connection, pair.id).await?,
                quota: self.engine.quota(&pair.connection).await?,
                drift: self.engine.drift(pair.id).await?,
                counts: self.engine.store.counts(pair.id).await?,
            });
        }
        Ok(all)
    }

    /// Carries a person's decision out. `digest` is what the person was shown; it is refused if something moved since (rule 11).
    ///
    /// # Errors
    /// No such item; stale; the decision does not fit; the store fails.
    pub async fn resolve(
        &self,
        id: &str,
        resolution: &Resolution,
        digest: Option<&str>,
        by: &str,
    ) -> Result<(), EngineError> {
        let item = self.item(id).await?;
        if digest.is_some_and(|d| d != item.digest) {
            return Err(EngineError::Refused(
                "the values moved since they were shown: look again (`bothways parked show`) and decide on what is there now".into(),
            ));
        }
        let link = item.link.as_deref().and_then(|l| l.parse::<LinkId>().ok());
        let Some(link) = link else {
            return Err(EngineError::Refused(
                "there is no link to decide about: use `link`, `replay` or `dismiss`".into(),
            ));
        };
        let seals = self.seals().await?;
        let edited = self
            .edit_link(link, |link, mapping| match resolution {
                Resolution::Delete(DeleteChoice::Recreate)
                    if mapping.creates.from_local != CreatePolicy::Create =>
                {
                    Err(EngineError::Refused(format!(
                        "mapping `{}` creates no records from rows (`creates.from_local`): `bothways link` attaches the row to a record that is there",
                        mapping.name
                    )))
                }
                Resolution::Delete(choice) if item.reason == "delete" => {
                    link.body.delete_choice = Some(*choice);
                    Ok(())
                }
                Resolution::Delete(_) => Err(EngineError::Refused("this item is not about a delete".into())),
                Resolution::Fields(choices) => {
                    if conflict_digest(link, &seals) != item.digest {
                        return Err(EngineError::Refused(
                            "the values moved since they were shown: look again".into(),
                        ));
                    }
                    choose(link, mapping, choices, by)
                }
            })
            .await?;
        if let Ok(number) = id.parse::<i64>() {
            self.engine.store.replay(WorkId(number), self.engine.ports.clock.now()).await?;
        }
        let Edited { before, after } = edited;
        let detail =
            serde_json::json!({ "item": id, "digest": item.digest, "before": before, "after": after });
        self.audit(by, "resolve", detail).await?;
        self.engine.nudge().await;
        Ok(())
    }

    /// Takes parked work up again; it is planned afresh (rule 42).
    ///
    /// # Errors
    /// It is not parked; the store fails.
    pub async fn replay(&self, id: &str, by: &str) -> Result<(), EngineError> {
        let work = self.parked_work(id).await?;
        let now = self.engine.ports.clock.now();
        let reason = work.parked.as_ref().map(|parked| parked.reason);
        // What hides the question for the moment is no answer either.
        let is_alone = |link: Link| link.state == LinkState::Detached || link.body.merged_into.is_some();
        let alone = self.link_of(&work).await?.is_some_and(is_alone);
        if alone || matches!(reason, Some(ParkReason::Delete | ParkReason::Merged)) {
            // Whoever is asked about a row without its record is asked once: the question stays while it is looked at again (rule 34).
            let subject = work.subject.clone();
            let signal = Signal { pair: work.pair, subject, look: true, not_before: None };
            self.engine.store.signal(now, &[signal]).await?;
        } else {
            self.engine.store.replay(work.id, now).await?;
        }
        let before = self.seals().await?.of(&work.parked);
        let detail = serde_json::json!({ "item": id, "before": before, "after": null });
        self.audit(by, "replay", detail).await?;
        self.engine.nudge().await;
        self.engine.tell();
        Ok(())
    }

    /// Drops parked work.
    ///
    /// # Errors
    /// It is not parked; it is about a delete of a record that counts as linked, which nothing would show any more; the store fails.
    pub async fn dismiss(&self, id: &str, by: &str) -> Result<(), EngineError> {
        let work = self.parked_work(id).await?;
        let is_delete = work.parked.as_ref().is_some_and(|parked| parked.reason == ParkReason::Delete);
        if is_delete && self.link_of(&work).await?.is_some_and(|link| link.state == LinkState::Linked) {
            return Err(EngineError::Refused(format!(
                "a delete is decided, not dismissed: `bothways parked show {id}` says how; `--delete keep` leaves the other side alone"
            )));
        }
        self.engine.store.dismiss(work.id).await?;
        let before = self.seals().await?.of(&work.parked);
        let detail = serde_json::json!({ "item": id, "before": before, "after": null });
        self.audit(by, "dismiss", detail).await?;
        self.engine.tell();
        Ok(())
    }

    /// Pauses a scope.
    ///
    /// # Errors
    /// The store fails.
    pub async fn pause(&self, scope: PauseScope, reason: &str, by: &str) -> Result<(), EngineError> {
        let before = self.pause_digest(&scope).await?;
        let pause =
            Pause { scope, reason: reason.to_owned(), by: by.to_owned(), at: self.engine.ports.clock.now() };
        let after = self.seals().await?.of(&pause);
        let detail = serde_json::json!({
            "scope": &pause.scope, "reason": reason, "before": before, "after": after,
        });
        self.engine.store.pause(&pause).await?;
        self.engine.refresh_pauses().await?;
        self.audit(by, "pause", detail).await?;
        self.engine.tell();
        Ok(())
    }

    /// Resumes a scope. False if it was not paused.
    ///
    /// # Errors
    /// The store fails.
    pub async fn resume(&self, scope: &PauseScope, by: &str) -> Result<bool, EngineError> {
        let before = self.pause_digest(scope).await?;
        let was = self.engine.store.resume(scope).await?;
        self.engine.refresh_pauses().await?;
        let detail = serde_json::json!({ "scope": scope, "before": before, "after": null });
        self.audit(by, "resume", detail).await?;
        self.engine.nudge().await;
        self.engine.tell();
        Ok(was)
    }

    /// The digest of the pause of a scope, if it is paused.
    async fn pause_digest(&self, scope: &PauseScope) -> Result<Option<String>, EngineError> {
        let pauses = self.engine.store.pauses().await?;
        let seals = self.seals().await?;
        Ok(pauses.iter().find(|pause| pause.scope == *scope).map(|pause| seals.of(pause)))
    }

    /// Links a row and a record by a person's word. Both must exist unlinked; the next look compares them (bases unknown). A row that has
    /// lost its record is taken off that one first.
    ///
    /// # Errors
    /// One of them does not exist or is linked already; the credentials mean another account (rule 28); the service does not answer;
    /// the store fails.
    pub async fn link(
        &self,
        mapping: Option<&str>,
        local: &LocalId,
        remote: &RemoteId,
        by: &str,
    ) -> Result<LinkId, EngineError> {
        let pair = self.pair(mapping)?;
        let remote = &pair.remote_id(remote.as_str());
        if self.engine.store.row(&pair.mapping.catalog.name, local).await?.is_none() {
            return Err(EngineError::NotFound(format!(
                "record `{local}` in catalog `{}`",
                pair.mapping.catalog.name
            )));
        }
        self.engine.check_usable(&pair.connection).await?;
        self.check_exists(&pair, remote).await?;
        self.take_off_lost(&pair, local, remote, by).await?;
        let now = self.engine.ports.clock.now();
        let id = LinkId(self.engine.ports.random.uuid(now));
        let token = self.engine.store.draw(1).await?;
        let lease = bothways_store::Lease { token, until: now };
        let state = self.engine.connection_state(&pair.connection);
        let mut link = crate::create::new_link(&pair, id, &state, Some(lease), now);
        if link.account.is_none() {
            let stored = pair.stored();
            link.account.clone_from(&stored.account);
            link.mode = stored.mode;
        }
        link.local_id = Some(local.clone());
        link.remote_id = Some(remote.clone());
        link.body.note = Some(format!("linked by {by}"));
        let after = self.seals().await?.of_link(&link);
        let mut unit = Unit::new(Guard::Claim(Box::new(link)));
        unit.signals.push(Signal {
            pair: pair.id,
            subject: Subject::Local(local.clone()),
            look: true,
            not_before: None,
        });
        match self.engine.commits.commit(unit).await? {
            UnitOutcome::Done { .. } => {}
            _ => return Err(linked_already()),
        }
        let detail = serde_json::json!({
            "mapping": pair.mapping.name, "local": local, "remote": remote, "before": null, "after": after,
        });
        self.audit(by, "link", detail).await?;
        self.engine.nudge().await;
        Ok(id)
    }

    /// Takes a detached row off the record it has lost, unless the one it is to be of has a row.
    async fn take_off_lost(
        &self,
        pair: &PairRuntime,
        local: &LocalId,
        remote: &RemoteId,
        by: &str,
    ) -> Result<(), EngineError> {
        let store = &self.engine.store;
        let links = store.links_of_local(pair.id, std::slice::from_ref(local)).await?;
        let lost = links.into_iter().flatten().find(|link| link.state == LinkState::Detached);
        let Some(lost) = lost else { return Ok(()) };
        let links = store.links_of_remote(pair.id, std::slice::from_ref(remote)).await?;
        if links.into_iter().flatten().any(|link| link.state.is_live()) {
            return Err(linked_already());
        }
        self.unlink(lost.id, by).await
    }

    async fn check_exists(&self, pair: &PairRuntime, id: &RemoteId) -> Result<(), EngineError> {
        let exchange = pair.resource.start(Operation::Get { id: id.clone() })?;
        match self.engine.run(&pair.connection, Purpose::Live, exchange, pair.timeout()).await? {
            Outcome::Record(observed) if !observed.gone && observed.id == *id => Ok(()),
            Outcome::Record(_) | Outcome::Missing => {
                Err(EngineError::NotFound(format!("record `{id}` of `{}`", pair.mapping.remote.resource)))
            }
            Outcome::Failed(failure) => Err(failure.into()),
            _ => Err(crate::read::unexpected("a read").into()),
        }
    }

    /// Takes a link apart. Nothing is deleted, and nothing is linked again by itself.
    ///
    /// # Errors
    /// There is no live link; the store fails.
    pub async fn unlink(&self, link: LinkId, by: &str) -> Result<(), EngineError> {
        let edited = self
            .edit_link(link, |link, _| {
                // One that would be linked again by itself is taken apart for good.
                let comes_back = link.body.archived || link.body.left_scope.is_some();
                if !link.state.is_live() && !comes_back {
                    return Err(EngineError::Refused(format!("the link is {} already", link.state.as_str())));
                }
                link.state = LinkState::Unlinked;
                link.body.archived = false;
                link.body.left_scope = None;
                link.body.conflicts.clear();
                link.body.note = Some(format!("unlinked by {by}"));
                Ok(())
            })
            .await?;
        let Edited { before, after } = edited;
        let detail = serde_json::json!({ "link": link, "before": before, "after": after });
        self.audit(by, "unlink", detail).await
    }

    /// History, newest first.
    ///
    /// # Errors
    /// The store fails.
    pub async fn history(
        &self,
        filter: &HistoryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, EngineError> {
        Ok(self.engine.store.history(filter, before, limit.clamp(1, 1000)).await?)
    }

    /// Where a person lets this client in, for a connection that needs a login.
    ///
    /// # Errors
    /// There is no such connection, it needs none, or what a login brings could not be kept.
    pub fn login_url(&self, connection: &ConnectionName, login: &Login) -> Result<String, EngineError> {
        let url = self.login_tokens(connection)?.login_url(login).ok_or_else(|| no_login(connection))?;
        self.engine.renewer.can_keep(connection)?;
        Ok(url)
    }

    /// Redeems what the person's browser brought and keeps what comes of it.
    ///
    /// # Errors
    /// As for [`Operations::login_url`]; the service refuses, or the store fails.
    pub async fn log_in(
        &self,
        connection: &ConnectionName,
        login: &Login,
        code: &Secret,
        by: &str,
    ) -> Result<(), EngineError> {
        let tokens = self.login_tokens(connection)?;
        let timeout = Duration::from_secs(30);
        self.engine.renewer.log_in(connection, &*tokens, (login, code), timeout).await?;
        self.audit(by, "login", serde_json::json!({ "connection": connection })).await
    }

    fn login_tokens(&self, connection: &ConnectionName) -> Result<Arc<dyn Tokens>, EngineError> {
        let connector = self.engine.connections.get(connection);
        let connector =
            connector.ok_or_else(|| EngineError::NotFound(format!("connection `{connection}`")))?;
        connector.tokens().ok_or_else(|| no_login(connection))
    }

    /// Notes an operator action (rule 68).
    ///
    /// # Errors
    /// The store fails.
    pub async fn audit(&self, by: &str, action: &str, detail: serde_json::Value) -> Result<(), EngineError> {
        let entry = AuditEntry {
            at: self.engine.ports.clock.now(),
            by: by.to_owned(),
            action: action.to_owned(),
            detail,
        };
        Ok(self.engine.store.audit(&entry).await?)
    }

    /// Changes a link under a short lease of its own, then has it looked at. Returns the digests of both.
    async fn edit_link(
        &self,
        id: LinkId,
        edit: impl Fn(&mut Link, &bothways_mapping::Mapping) -> Result<(), EngineError>,
    ) -> Result<Edited, EngineError> {
        let seals = self.seals().await?;
        for _ in 0..50 {
            let now = self.engine.ports.clock.now();
            let Some(taken) = self.engine.store.lease(id, now, now + TimeDelta::seconds(5)).await? else {
                if self.engine.store.link(id).await?.is_none() {
                    return Err(EngineError::NotFound(format!("link `{id}`")));
                }
                self.engine.ports.clock.sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Some(mut link) = taken.link else {
                return Err(EngineError::NotFound(format!("link `{id}`")));
            };
            let guard = Guard::Token { link: id, token: taken.token };
            let pair = self.engine.pairs.get(&link.pair);
            let before = seals.of_link(&link);
            let edited = match &pair {
                Some(pair) => edit(&mut link, &pair.mapping),
                None => Err(EngineError::NotFound("mapping loaded for this link".into())),
            };
            let mut unit = Unit::new(guard);
            // The signals that were folded in with the lease are due again with this one.
            unit.signals.extend(crate::apply::again(&link, true));
            let after = seals.of_link(&link);
            if edited.is_ok() {
                unit.confirm = Some(LinkWrite { link, local: LocalBinding::Keep });
            }
            let outcome = self.engine.commits.commit(unit).await?;
            edited?;
            if matches!(outcome, UnitOutcome::Done { .. }) {
                self.engine.nudge().await;
                self.engine.tell();
                return Ok(Edited { before, after });
            }
        }
        Err(EngineError::Refused("the record is being worked on; try again in a moment".into()))
    }
}

pub(crate) fn choose(
    link: &mut Link,
    mapping: &bothways_mapping::Mapping,
    choices: &BTreeMap<String, KeepText>,
    by: &str,
) -> Result<(), EngineError> {
    if link.body.conflicts.is_empty() {
        return Err(EngineError::Refused("this link has no conflict any more".into()));
    }
    if let Some(unknown) =
        choices.keys().find(|label| !label.is_empty() && !link.body.conflicts.contains_key(*label))
    {
        return Err(EngineError::Refused(format!("field `{unknown}` is not in conflict")));
    }
    for (label, conflict) in &mut link.body.conflicts {
        let Some(keep) = choices.get(label).or_else(|| choices.get("")) else { continue };
        let keep = match keep {
            KeepText::Local => Keep::Local,
            KeepText::Remote => Keep::Remote,
            KeepText::Value(json) => {
                let ty = mapping.field(label).map_or(&FieldType::Text, |field| mapping.type_of(field));
                let value = Value::from_plain_json(ty, json)
                    .map_err(|error| EngineError::Refused(format!("field `{label}`: {error}")))?;
                Keep::Value(value)
            }
        };
        conflict.choice = Some(Choice { keep, by: by.to_owned() });
        conflict.stale = None;
    }
    Ok(())
}

fn linked_already() -> EngineError {
    EngineError::Refused("the row or the record has a live link already: `unlink` it first".into())
}

/// Which mappings there are to choose from.
fn name_one(pairs: &[Arc<PairRuntime>]) -> EngineError {
    let names: Vec<&str> = pairs.iter().map(|p| p.mapping.name.as_str()).collect();
    EngineError::Refused(format!("name the mapping: {}", names.join(", ")))
}

fn no_login(connection: &ConnectionName) -> EngineError {
    EngineError::Refused(format!(
        "nobody has to log in for connection `{connection}`: its credentials are variables"
    ))
}
