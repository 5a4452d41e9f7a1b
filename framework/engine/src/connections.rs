//! Connections: whose account the credentials mean, and whether it is safe to use them (rule 28).

use crate::calls::Unended;
use crate::circuit::{Admission, Circuit};
use crate::pairs::{Loaded, PairRuntime};
use crate::{Engine, EngineError, SendError};
use bothways_connector::{Connector, Outcome};
use bothways_model::planted::{self, Bug};
use bothways_model::{AccountId, ConnectionName, ErrorClass, Failure, Mode, Response, Timestamp};
use bothways_store::{Cursor, PageCommit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How a connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Its account has not been asked for yet, or the service is away.
    Unknown,
    /// It may be used.
    Ready {
        /// The account; `None` where the service does not say.
        account: Option<AccountId>,
        /// Live or test.
        mode: Mode,
    },
    /// It must not be used; the text says why and what to do.
    Blocked(String),
}

pub(crate) struct Connections {
    connectors: BTreeMap<ConnectionName, Arc<dyn Connector>>,
    states: RwLock<BTreeMap<ConnectionName, ConnectionState>>,
    /// Whether each connection may be called (rule 46).
    circuits: Mutex<BTreeMap<ConnectionName, Circuit>>,
    /// Since when each connection has had nothing but outages.
    outages: RwLock<BTreeMap<ConnectionName, Timestamp>>,
    /// What each service's clock said last.
    dates: RwLock<BTreeMap<ConnectionName, Timestamp>>,
    /// Held from comparing an account with the other connections until the state is set: of two that must not be mixed, one sees the
    /// other.
    comparing: tokio::sync::Mutex<()>,
    /// Held while an account is asked for again.
    asking: tokio::sync::Mutex<()>,
}

impl Connections {
    pub(crate) fn new(loaded: &[Loaded]) -> Self {
        let connectors = loaded.iter().map(|l| (l.connection.clone(), l.connector.clone())).collect();
        Self {
            connectors,
            states: RwLock::default(),
            circuits: Mutex::default(),
            outages: RwLock::default(),
            dates: RwLock::default(),
            comparing: tokio::sync::Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn get(&self, name: &ConnectionName) -> Option<&Arc<dyn Connector>> {
        self.connectors.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ConnectionName> {
        self.connectors.keys()
    }

    pub(crate) fn state(&self, name: &ConnectionName) -> ConnectionState {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        states.get(name).cloned().unwrap_or(ConnectionState::Unknown)
    }

    /// Notes an outage and returns since when there has been one.
    pub(crate) fn note_outage(&self, name: &ConnectionName, now: Timestamp) -> Timestamp {
        *self.outages.write().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_insert(now)
    }

    /// Notes what the service's clock says.
    pub(crate) fn note_date(&self, name: &ConnectionName, date: Timestamp) {
        self.dates.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), date);
    }

    /// What the service's clock said in its last answer: what it has done before that, it dates before that. `None` if it has not
    /// answered this process yet, or does not say.
    pub(crate) fn service_time(&self, name: &ConnectionName) -> Option<Timestamp> {
        self.dates.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Notes that the service answered.
    pub(crate) fn note_answer(&self, name: &ConnectionName) {
        let known = self.outages.read().unwrap_or_else(PoisonError::into_inner).contains_key(name);
        if known {
            self.outages.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }

    fn circuit<T>(&self, name: &ConnectionName, use_it: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(circuits.entry(name.clone()).or_default())
    }

    /// Whether the circuit is open: what fails now is the outage's fault (rule 46).
    pub(crate) fn is_out(&self, name: &ConnectionName) -> bool {
        self.circuit(name, |circuit| circuit.is_open())
    }

    pub(crate) fn set(&self, name: &ConnectionName, state: ConnectionState) {
        self.states.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), state);
    }
}

impl Engine {
    /// Asks a connection's circuit for one call (rule 46).
    ///
    /// # Errors
    /// Nobody may call now.
    pub(crate) fn admit(&self, name: &ConnectionName) -> Result<(), SendError> {
        match self.connections.circuit(name, |circuit| circuit.admit(self.ports.clock.now())) {
            Admission::Call | Admission::Probe => Ok(()),
            Admission::Refused(_) => {
                Err(SendError::NotSent("too many calls of this connection fail; one at a time tries".into()))
            }
        }
    }

    /// Tells a connection's circuit how a call ended.
    pub(crate) fn note_call(&self, name: &ConnectionName, answer: &Result<Response, SendError>) {
        let failed = match answer {
            Ok(response) => response.status >= 500,
            Err(SendError::NotSent(_) | SendError::Lost(_)) => true,
            // Our own refusal, which says nothing about the service.
            Err(SendError::Untrusted(_) | SendError::Forbidden(_) | SendError::Spent(_)) => return,
        };
        let now = self.ports.clock.now();
        let (turned, trouble) =
            self.connections.circuit(name, |circuit| (circuit.ended(now, failed), circuit.trouble()));
        if !turned {
            return;
        }
        match &trouble {
            Some(why) => tracing::error!(connection = %name, "the circuit is open: {why}"),
            None => tracing::info!(connection = %name, "the circuit is closed: the service answers again"),
        }
        self.set_trouble(&format!("circuit/{name}"), trouble);
        self.tell();
    }

    /// How a connection stands.
    pub fn connection_state(&self, name: &ConnectionName) -> ConnectionState {
        self.connections.state(name)
    }

    /// Asks whose account a connection's credentials mean and compares it with its pairs' (rule 28). Until this has succeeded once
    /// no record is read or written through the connection.
    ///
    /// Credentials that are refused block the connection until a person has set others. A token that was given and is then not taken is
    /// none of that: its session has ended, or the service is not ready for it.
    ///
    /// # Errors
    /// The service did not answer, does not take the token it gave, or the store failed: ask again later.
    pub async fn check_account(&self, name: &ConnectionName) -> Result<ConnectionState, EngineError> {
        let connector = self
            .connections
            .get(name)
            .ok_or_else(|| EngineError::NotFound(format!("connection `{name}`")))?;
        self.recall_calls(name).await?;
        let timeout = connector.limits().timeout;
        let ended = match connector.account() {
            Some(exchange) => self.ask_account(name, exchange, timeout).await,
            None => Ok(Outcome::Account { id: None, mode: Mode::Unknown }),
        };
        let refused = |failure: Failure| {
            ConnectionState::Blocked(format!(
                "connection `{name}`: the service refuses the credentials ({failure}); set the right ones and start again"
            ))
        };
        let _alone = self.connections.comparing.lock().await;
        let state = match ended {
            Ok(Outcome::Account { id, mode }) => self.compare_account(name, id, mode).await?,
            Ok(Outcome::Failed(failure)) => {
                let final_word = failure.class == ErrorClass::Auth && connector.tokens().is_none();
                if !final_word {
                    return Err(failure.into());
                }
                refused(failure)
            }
            Ok(_) => ConnectionState::Ready { account: None, mode: Mode::Unknown },
            Err(Unended::NoToken(failure)) => refused(failure),
            Err(Unended::Silent(error)) => return Err(error.into()),
        };
        self.connections.set(name, state.clone());
        Ok(state)
    }

    /// Asks it again if somebody else has brought the grant in use meanwhile: a person may have logged in to another account (rule 28).
    ///
    /// # Errors
    /// It is another account, or it cannot be told: nothing may be sent.
    pub(crate) async fn know_account(&self, name: &ConnectionName) -> Result<(), SendError> {
        if self.renewer.strange(name).is_none() {
            return Ok(());
        }
        let blocked = || SendError::Spent("the connection must not be used".into());
        let _alone = self.connections.asking.lock().await;
        while let Some(number) = self.renewer.strange(name) {
            if let ConnectionState::Blocked(_) = self.connection_state(name) {
                return Err(blocked());
            }
            match Box::pin(self.open_connection(name)).await {
                Ok(ConnectionState::Blocked(_)) => {
                    tracing::error!(connection = %name, "the connection must not be used: `bothways status` says why");
                    return Err(blocked());
                }
                Ok(_) => self.renewer.is_known(name, number),
                Err(error) => {
                    let error = error.in_log();
                    return Err(SendError::Spent(format!("whose account it is cannot be asked: {error}")));
                }
            }
        }
        Ok(())
    }

    /// Asks that question, if it has not been answered yet, before somebody reads or writes records.
    ///
    /// # Errors
    /// The connection must not be used, or it cannot be told.
    pub(crate) async fn check_usable(&self, name: &ConnectionName) -> Result<(), EngineError> {
        let state = match self.connection_state(name) {
            ConnectionState::Unknown => self.check_account(name).await?,
            known => known,
        };
        match state {
            ConnectionState::Blocked(why) => Err(EngineError::Refused(why)),
            _ => Ok(()),
        }
    }

    /// Asks it for an engine that works, and keeps the answer where other processes see it.
    ///
    /// # Errors
    /// As for [`Engine::check_account`].
    pub(crate) async fn open_connection(
        &self,
        name: &ConnectionName,
    ) -> Result<ConnectionState, EngineError> {
        let checked = self.check_account(name).await;
        let trouble = checked.as_ref().err();
        let trouble =
            trouble.map(|error| format!("whose account it is cannot be asked; trying again: {error}"));
        self.set_trouble(&format!("account/{name}"), trouble);
        let state = checked?;
        let cursor = blocked_name(name);
        match &state {
            ConnectionState::Blocked(why) => {
                let cursor = Cursor { name: cursor, value: serde_json::Value::String(why.clone()) };
                let page = PageCommit { cursor: Some(cursor), ..PageCommit::default() };
                self.store.commit_page(self.ports.clock.now(), &page).await?;
            }
            _ if self.store.cursor(&cursor).await?.is_some() => self.store.drop_cursor(&cursor).await?,
            _ => {}
        }
        self.tell();
        Ok(state)
    }

    /// Why a connection must not be used, if so: as this process knows, else as the last engine that worked found.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn blocked(&self, name: &ConnectionName) -> Result<Option<String>, EngineError> {
        match self.connection_state(name) {
            ConnectionState::Blocked(why) => Ok(Some(why)),
            ConnectionState::Ready { .. } => Ok(None),
            ConnectionState::Unknown => {
                let stored = self.store.cursor(&blocked_name(name)).await?;
                Ok(stored.and_then(|why| why.as_str().map(str::to_owned)))
            }
        }
    }

    async fn compare_account(
        &self,
        name: &ConnectionName,
        id: Option<AccountId>,
        mode: Mode,
    ) -> Result<ConnectionState, EngineError> {
        if let Some(why) = self.mixes(name, mode) {
            return Ok(ConnectionState::Blocked(why));
        }
        for pair in self.pairs().filter(|p| p.connection == *name) {
            if let Some(why) = other_account(name, &pair, id.as_ref(), mode)
                && !planted::is(Bug::AccountNotCompared)
            {
                return Ok(ConnectionState::Blocked(why));
            }
            let stored = pair.stored();
            if let (None, Some(id)) = (&stored.account, &id) {
                self.store.set_account(pair.id, id, mode).await?;
            }
        }
        self.refresh_pairs().await?;
        Ok(ConnectionState::Ready { account: id, mode })
    }
}

impl Engine {
    /// Why a connection of this mode must not be used beside the others: through one catalog, test data would reach real customers.
    fn mixes(&self, name: &ConnectionName, mode: Mode) -> Option<String> {
        let catalogs_of = |connection: &ConnectionName| -> BTreeSet<String> {
            let of = self.pairs().filter(|pair| pair.connection == *connection);
            of.map(|pair| pair.mapping.catalog.name.clone()).collect()
        };
        let mine = catalogs_of(name);
        let others: BTreeSet<ConnectionName> = self.pairs().map(|pair| pair.connection.clone()).collect();
        others.into_iter().filter(|other| other != name).find_map(|other| {
            let ConnectionState::Ready { mode: theirs, .. } = self.connection_state(&other) else { return None };
            let mixed = matches!((mode, theirs), (Mode::Live, Mode::Test) | (Mode::Test, Mode::Live));
            let shared = catalogs_of(&other).intersection(&mine).next().cloned().filter(|_| mixed)?;
            Some(format!(
                "connection `{name}` is {} and `{other}` is {}: through catalog `{shared}` test data would reach real customers; \
                 give both credentials of one kind",
                mode.as_str(),
                theirs.as_str()
            ))
        })
    }
}

/// The cursor that holds why a connection must not be used.
fn blocked_name(name: &ConnectionName) -> String {
    format!("blocked/{name}")
}

/// Why credentials that mean this account must not be used for a pair, if they must not (rule 28).
pub(crate) fn other_account(
    name: &ConnectionName,
    pair: &PairRuntime,
    id: Option<&AccountId>,
    mode: Mode,
) -> Option<String> {
    let stored = pair.stored();
    let other_account = matches!((&stored.account, id), (Some(old), Some(new)) if old != new);
    let other_mode = stored.mode != Mode::Unknown && mode != Mode::Unknown && stored.mode != mode;
    (other_account || (stored.account.is_some() && other_mode)).then(|| {
        format!(
            "connection `{name}`: these credentials mean {} account `{}`, but mapping `{}` has links to {} account `{}`; \
             nothing is read or written until the credentials are those of that account",
            mode.as_str(),
            id.map_or("unknown", AccountId::as_str),
            pair.mapping.name,
            stored.mode.as_str(),
            stored.account.as_ref().map_or("unknown", AccountId::as_str),
        )
    })
}
