//! Renewing credentials: one caller at a time, over all processes, and a token that replaces another is stored before it is used
//! (rule 44).
//!
//! A renewal that dies between the service's answer and the store may have lost the only good token. Nobody can tell, so the next caller
//! asks once more with the one that is kept. If the service takes it no more, that is stored, nobody asks again, and a person is told
//! what to do. A refusal that is about something else, such as the client's secret or a proxy, leaves the token as good as it was.

use crate::pairs::lease_of;
use crate::{Clock, EngineError, Http, Ports, Purpose, Random, SendError, Tasks, Vault};
use bothways_connector::{Grant, Login, Renewal, Tokens};
use bothways_model::planted::{self, Bug};
use bothways_model::{ConnectionName, ErrorClass, Failure, Secret};
use bothways_store::{Credentials, KeptGrant, RenewalAsk, RenewalEnd, StoreError, Turn};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a turn lasts at least.
const TURN: TimeDelta = TimeDelta::minutes(2);
/// What a service says that takes the refresh token no more (RFC 6749 5.2). Every other refusal is about something else.
const TOKEN_REFUSED: &str = "invalid_grant";
/// How often somebody who waits for another process looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Renews credentials. Clones share everything.
#[derive(Clone)]
pub struct Renewer {
    http: Arc<dyn Http>,
    tasks: Arc<dyn Tasks>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Where rotating tokens are kept; none while nothing is installed.
    store: Option<Arc<dyn Credentials>>,
    vault: Arc<OnceLock<Vault>>,
    /// Whoever renews in this process holds its connection's lock.
    here: Arc<Mutex<BTreeMap<ConnectionName, Arc<tokio::sync::Mutex<()>>>>>,
    /// Grants that somebody else brought while another one was in use, by number: they may be of another account (rule 28).
    strange: Arc<Mutex<BTreeMap<ConnectionName, u64>>>,
}

/// Why there is no new grant. Whatever waited for it was not carried out.
pub(crate) enum NotRenewed {
    /// The token endpoint is away, or another process is still asking it: later.
    Later(SendError),
    /// A person has to see to it.
    Refused(Failure),
}

impl From<NotRenewed> for EngineError {
    fn from(error: NotRenewed) -> Self {
        match error {
            NotRenewed::Later(error) => error.into(),
            NotRenewed::Refused(failure) => failure.into(),
        }
    }
}

impl Renewer {
    /// A renewer that keeps rotating tokens in `store`, if there is one.
    pub fn new(ports: &Ports, store: Option<Arc<dyn Credentials>>) -> Self {
        Self {
            http: ports.http.clone(),
            tasks: ports.tasks.clone(),
            clock: ports.clock.clone(),
            random: ports.random.clone(),
            store,
            vault: Arc::default(),
            here: Arc::default(),
            strange: Arc::default(),
        }
    }

    /// Gives it the keys that rotating tokens are encrypted with, once.
    pub fn set_vault(&self, vault: Vault) {
        // A second one changes nothing.
        let _ = self.vault.set(vault);
    }

    /// The number of the grant that may be of another account than the one before, since another process renewed it, or a person logged
    /// in.
    pub(crate) fn strange(&self, connection: &ConnectionName) -> Option<u64> {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner).get(connection).copied()
    }

    /// Notes that the grant of this number is of the right one.
    pub(crate) fn is_known(&self, connection: &ConnectionName, number: u64) {
        let mut strange = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        if strange.get(connection) == Some(&number) {
            strange.remove(connection);
        }
    }

    fn note_strange(&self, connection: &ConnectionName, number: u64) {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.clone(), number);
    }

    /// Sees to it that another grant is in use than the one that was refused. In a task of its own: what the service answers may be the
    /// only good token there is, and whoever asked for it may go away.
    pub(crate) async fn renew(
        &self,
        connection: &ConnectionName,
        renewal: &Renewal,
        timeout: Duration,
    ) -> Result<(), NotRenewed> {
        let (tell, told) = oneshot::channel();
        let (renewer, connection, renewal) = (self.clone(), connection.clone(), renewal.clone());
        let task = async move {
            // Nobody may be there to be told.
            let _ = tell.send(renewer.renew_here(&connection, &renewal, timeout).await);
        };
        self.tasks.spawn("renewal", Box::pin(task));
        told.await.unwrap_or_else(|_| Err(later("the renewal was given up".into())))
    }

    async fn renew_here(
        &self,
        connection: &ConnectionName,
        renewal: &Renewal,
        timeout: Duration,
    ) -> Result<(), NotRenewed> {
        let here = {
            let mut all = self.here.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(connection.clone()).or_default().clone()
        };
        let _mine = here.lock().await;
        let tokens = &*renewal.tokens;
        if tokens.in_use() != renewal.used {
            return Ok(());
        }
        match tokens.first() {
            None => {
                let grant = self.ask(connection, tokens, None, timeout).await?;
                tokens.install(&grant, renewal.used.map_or(0, |used| used + 1));
                Ok(())
            }
            Some(first) => {
                let kept =
                    Keeper { renewer: self, connection, tokens, timeout, shelf: self.shelf(connection)? };
                kept.renew(&first, renewal.used).await
            }
        }
    }

    /// The same for whoever runs an exchange without an engine.
    ///
    /// # Errors
    /// There is no newer grant; says why.
    pub async fn renew_once(
        &self,
        connection: &ConnectionName,
        renewal: &Renewal,
        timeout: Duration,
    ) -> Result<(), EngineError> {
        Ok(self.renew(connection, renewal, timeout).await?)
    }

    /// Redeems the code of a login and keeps what comes of it.
    ///
    /// # Errors
    /// The service refuses, gives nothing that lasts, or the store fails.
    pub(crate) async fn log_in(
        &self,
        connection: &ConnectionName,
        tokens: &dyn Tokens,
        (login, code): (&Login, &Secret),
        timeout: Duration,
    ) -> Result<(), EngineError> {
        let shelf = self.shelf(connection).map_err(EngineError::from)?;
        let request = tokens.redeem(login, code);
        let answer = self.http.send(connection, Purpose::Live, request, timeout).await?;
        let grant = tokens.read(&answer, None)?;
        if grant.refresh.is_none() {
            return Err(EngineError::Refused(
                "the service gave an access token alone, which soon ends: ask for a scope that gives a refresh token as well"
                    .into(),
            ));
        }
        let sealed = shelf.vault.seal(&*self.random, connection, &grant.to_text());
        let sealed = sealed.ok_or_else(|| EngineError::Refused("the token could not be encrypted".into()))?;
        shelf
            .store
            .keep(connection, &origin(&tokens.first().unwrap_or_else(|| Secret::new(""))), &sealed)
            .await?;
        Ok(())
    }

    /// Whether what a login brings could be kept.
    ///
    /// # Errors
    /// Nothing is installed, or there is no key.
    pub(crate) fn can_keep(&self, connection: &ConnectionName) -> Result<(), EngineError> {
        Ok(self.shelf(connection).map(drop)?)
    }

    fn shelf(&self, connection: &ConnectionName) -> Result<Shelf<'_>, NotRenewed> {
        let store = self.store.as_deref().ok_or_else(|| {
            refused(format!(
                "the tokens of connection `{connection}` are kept in the database: `bothways migrate` first"
            ))
        })?;
        let vault = self.vault.get().ok_or_else(|| {
            refused(format!(
                "the service replaces the tokens of connection `{connection}`, and there is no key to store them with: set BOTHWAYS_KEY (`openssl rand -base64 32` makes one), keep it, and start again"
            ))
        })?;
        Ok(Shelf { store, vault })
    }

    /// Asks the token endpoint.
    async fn ask(
        &self,
        connection: &ConnectionName,
        tokens: &dyn Tokens,
        kept: Option<&Grant>,
        timeout: Duration,
    ) -> Result<Grant, NotRenewed> {
        let request = tokens.request(kept, self.clock.now()).map_err(NotRenewed::Refused)?;
        let answer = match self.http.send(connection, Purpose::Live, request, timeout).await {
            Ok(answer) => answer,
            Err(SendError::Lost(why)) => {
                return Err(later(format!("the token endpoint gave no answer: {why}")));
            }
            Err(error) => return Err(NotRenewed::Later(error)),
        };
        tokens.read(&answer, kept).map_err(|failure| match failure.class {
            ErrorClass::Auth => NotRenewed::Refused(failure),
            // This text gets into logs.
            _ => later(format!("no new token: {}", failure.in_log())),
        })
    }
}

/// Where grants are kept, and what opens them.
struct Shelf<'r> {
    store: &'r dyn Credentials,
    vault: &'r Vault,
}

/// Renews tokens that the service replaces.
struct Keeper<'r> {
    renewer: &'r Renewer,
    connection: &'r ConnectionName,
    tokens: &'r dyn Tokens,
    timeout: Duration,
    shelf: Shelf<'r>,
}

impl Keeper<'_> {
    async fn renew(&self, first: &Secret, used: Option<u64>) -> Result<(), NotRenewed> {
        let origin = origin(first);
        let began = self.renewer.clock.now();
        let patience = TimeDelta::from_std(self.timeout).unwrap_or(TURN);
        // Longer than a call and what it waits for.
        let turn = TimeDelta::from_std(lease_of(self.timeout)).unwrap_or(TURN).max(TURN);
        loop {
            let now = self.renewer.clock.now();
            let connection = self.connection.clone();
            let ask = RenewalAsk { connection, origin: origin.clone(), used, now, until: now + turn };
            match self.shelf.store.begin_renewal(&ask).await.map_err(|error| unstored(&error))? {
                Turn::Newer(kept) => {
                    let grant = self.open(&kept)?;
                    // Before it is used for anything, and after whoever was told of the one before.
                    let note = || {
                        if used.is_some() {
                            self.renewer.note_strange(self.connection, kept.number);
                        }
                    };
                    note();
                    self.tokens.install(&grant, kept.number);
                    note();
                    self.seal_anew(&kept).await;
                    return Ok(());
                }
                Turn::Yours { kept, number } => {
                    if let Some(done) = self.take_turn(kept.as_ref(), number).await {
                        return done;
                    }
                }
                Turn::Busy(_) if now - began < patience => self.renewer.clock.sleep(LOOK_EVERY).await,
                Turn::Busy(_) => return Err(later("another process is still asking for a token".into())),
                Turn::Refused(why) => return Err(refused(why)),
                Turn::Outdated => {
                    return Err(refused(format!(
                        "connection `{}`: the refresh token that this process was given is an older one: another one has replaced it since, and is in use; give this process that one, or {}",
                        self.connection,
                        self.tokens.remedy()
                    )));
                }
            }
        }
    }

    /// Asks the service and stores what it gives. `None` if somebody else has brought a grant meanwhile.
    async fn take_turn(&self, kept: Option<&KeptGrant>, number: u64) -> Option<Result<(), NotRenewed>> {
        let grant = match kept.map(|kept| self.open(kept)).transpose() {
            Ok(grant) => grant,
            Err(error) => {
                self.end(number, &RenewalEnd::Unanswered).await;
                return Some(Err(error));
            }
        };
        match self.renewer.ask(self.connection, self.tokens, grant.as_ref(), self.timeout).await {
            Ok(grant) => {
                let text = grant.to_text();
                let Some(sealed) = self.shelf.vault.seal(&*self.renewer.random, self.connection, &text)
                else {
                    return Some(Err(refused("the new token could not be encrypted".into())));
                };
                if planted::is(Bug::TokenUsedBeforeStored) {
                    self.tokens.install(&grant, number);
                    return Some(Ok(()));
                }
                // It may be the only good one there is: nothing else happens with it before it is stored.
                self.end(number, &RenewalEnd::Granted(sealed)).await.then(|| {
                    self.tokens.install(&grant, number);
                    Ok(())
                })
            }
            Err(NotRenewed::Refused(failure)) if failure.code.as_deref() == Some(TOKEN_REFUSED) => {
                let why = format!(
                    "connection `{}`: the service takes its refresh token no more ({failure}); {}",
                    self.connection,
                    self.tokens.remedy()
                );
                let stands = self.end(number, &RenewalEnd::Refused(why.clone())).await;
                stands.then(|| Err(refused(why)))
            }
            Err(error) => {
                self.end(number, &RenewalEnd::Unanswered).await;
                Some(Err(error))
            }
        }
    }

    /// Ends a turn, however long the database is busy.
    async fn end(&self, number: u64, end: &RenewalEnd) -> bool {
        loop {
            match self.shelf.store.end_renewal(self.connection, number, end).await {
                Ok(stands) => return stands,
                Err(error) => {
                    tracing::error!(connection = %self.connection, error = %error, "the end of a renewal could not be stored; trying again");
                    self.renewer.clock.sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    fn open(&self, kept: &KeptGrant) -> Result<Grant, NotRenewed> {
        let text = self.shelf.vault.open(self.connection, &kept.sealed);
        text.and_then(|text| Grant::from_text(text.expose())).ok_or_else(|| {
            refused(format!(
                "connection `{}`: its stored token was encrypted with the key {}, which is not in BOTHWAYS_KEY: put that key behind the new one, separated by a comma",
                self.connection, kept.sealed.key
            ))
        })
    }

    /// Encrypts a grant with the newest key, if it is not.
    async fn seal_anew(&self, kept: &KeptGrant) {
        let vault = self.shelf.vault;
        if !vault.is_old(&kept.sealed) {
            return;
        }
        let text = vault.open(self.connection, &kept.sealed);
        let anew = text.and_then(|text| vault.seal(&*self.renewer.random, self.connection, &text));
        let Some(anew) = anew else { return };
        if let Err(error) = self.shelf.store.reseal(self.connection, kept.number, &anew).await {
            tracing::warn!(connection = %self.connection, error = %error, "a token could not be encrypted with the new key");
        }
    }
}

/// What a kept grant descends from: a digest, which tells no token.
fn origin(first: &Secret) -> String {
    hex::encode(Sha256::digest(first.expose()))
}

fn refused(why: String) -> NotRenewed {
    NotRenewed::Refused(Failure::new(ErrorClass::Auth, why))
}

fn later(why: String) -> NotRenewed {
    NotRenewed::Later(SendError::NotSent(why))
}

fn unstored(error: &StoreError) -> NotRenewed {
    later(format!("whose turn it is to renew the credentials could not be asked: {error}"))
}
