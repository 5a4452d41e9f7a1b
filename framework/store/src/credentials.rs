//! Rotating credentials: what a service gave a connection, and whose turn it is to ask for the next (rule 44).

use crate::Result;
use async_trait::async_trait;
use bothways_model::{ConnectionName, Timestamp};

/// Something encrypted, and the name of the key that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key's name.
    pub key: String,
    /// The ciphertext, as text.
    pub text: String,
}

/// A grant that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptGrant {
    /// Its number: that of the renewal that brought it.
    pub number: u64,
    /// The grant.
    pub sealed: Sealed,
}

/// A caller that wants another grant than the one it has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalAsk {
    /// For which connection.
    pub connection: ConnectionName,
    /// A digest of what the operator supplied. If it is another one than the kept grant descends from, everything starts anew; unless it
    /// is one from before, which somebody still has who was not told.
    pub origin: String,
    /// The number of the grant that was refused; `None` if the caller has none.
    pub used: Option<u64>,
    /// Now.
    pub now: Timestamp,
    /// Until when nobody else may begin, if it is the caller's turn.
    pub until: Timestamp,
}

/// What a caller that wants another grant is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Use this one: it is another than the caller has used.
    Newer(KeptGrant),
    /// Ask the service, with this one if there is one; then [`Credentials::end_renewal`] with this number.
    Yours {
        /// The last one that was kept.
        kept: Option<KeptGrant>,
        /// The number of this renewal, larger than all before.
        number: u64,
    },
    /// Somebody else is asking the service, until this moment at the latest.
    Busy(Timestamp),
    /// Nothing: the service takes what is kept no more. Says why, and what a person can do.
    Refused(String),
    /// Nothing: what the operator supplied to this caller was replaced by something else, which is in use.
    Outdated,
}

/// How a renewal ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalEnd {
    /// With a grant.
    Granted(Sealed),
    /// Without an answer that says anything: somebody may begin again.
    Unanswered,
    /// The service takes what is kept no more; says why, and what a person can do.
    Refused(String),
}

/// Rotating credentials.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Whose turn it is. In one transaction with giving the turn, so that of all callers of all processes one gets it.
    async fn begin_renewal(&self, ask: &RenewalAsk) -> Result<Turn>;
    /// Ends the renewal of this number. A grant is durable when this returns, and stands even if the turn has gone to somebody else
    /// meanwhile, unless that one has brought a grant; a refusal stands only if nobody has brought a grant since the turn was given. False
    /// if it did not stand.
    async fn end_renewal(&self, connection: &ConnectionName, number: u64, end: &RenewalEnd) -> Result<bool>;
    /// Keeps a grant that a person fetched, in place of whatever there is. `origin` is what [`RenewalAsk::origin`] will be.
    async fn keep(&self, connection: &ConnectionName, origin: &str, sealed: &Sealed) -> Result<()>;
    /// Encrypts the kept grant of this number anew. False if another one is kept by now.
    async fn reseal(&self, connection: &ConnectionName, number: u64, sealed: &Sealed) -> Result<bool>;
}

/// What a store keeps of one connection. The transitions are here, so that all stores make the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialState {
    /// What it descends from.
    pub origin: String,
    /// The number of the kept grant; 0 if there is none.
    pub number: u64,
    /// The kept grant.
    pub sealed: Option<Sealed>,
    /// The number of the last renewal that was begun.
    pub last: u64,
    /// Until when a turn is given.
    pub renewing_until: Option<Timestamp>,
    /// Why nothing of it is of use any more.
    pub refused: Option<String>,
    /// What it descended from before, the last ones.
    pub former: Vec<String>,
}

/// So many former origins are remembered.
const FORMER: usize = 20;

impl CredentialState {
    /// Carries out [`Credentials::begin_renewal`].
    pub fn begin(&mut self, ask: &RenewalAsk) -> Turn {
        if self.origin != ask.origin {
            if self.former.contains(&ask.origin) {
                return Turn::Outdated;
            }
            let former = self.former_without(&ask.origin);
            *self = Self { origin: ask.origin.clone(), last: self.last, former, ..Self::default() };
        }
        let kept = self.sealed.clone().map(|sealed| KeptGrant { number: self.number, sealed });
        match (&self.refused, kept, self.renewing_until) {
            (Some(why), ..) => Turn::Refused(why.clone()),
            (_, Some(kept), _) if ask.used != Some(kept.number) => Turn::Newer(kept),
            (_, _, Some(until)) if until > ask.now => Turn::Busy(until),
            (_, kept, _) => {
                self.last += 1;
                self.renewing_until = Some(ask.until);
                Turn::Yours { kept, number: self.last }
            }
        }
    }

    /// Carries out [`Credentials::end_renewal`].
    pub fn end(&mut self, number: u64, end: &RenewalEnd) -> bool {
        let latest = number == self.last;
        match end {
            RenewalEnd::Granted(sealed) => {
                if number > self.last || number <= self.number {
                    return false;
                }
                self.sealed = Some(sealed.clone());
                self.number = number;
                self.refused = None;
                if !latest {
                    // Whoever has the turn asks with a token that this grant replaced: a refusal of that says nothing.
                    self.last += 1;
                }
            }
            RenewalEnd::Refused(_) | RenewalEnd::Unanswered if !latest => return false,
            RenewalEnd::Refused(why) => self.refused = Some(why.clone()),
            RenewalEnd::Unanswered => {}
        }
        self.renewing_until = None;
        true
    }

    /// Carries out [`Credentials::keep`].
    pub fn keep(&mut self, origin: &str, sealed: &Sealed) {
        let last = self.last + 1;
        let sealed = Some(sealed.clone());
        let former = self.former_without(origin);
        *self = Self { origin: origin.to_owned(), number: last, sealed, last, former, ..Self::default() };
    }

    /// The former origins once this one is the origin.
    fn former_without(&self, origin: &str) -> Vec<String> {
        let known = self.former.iter().chain(Some(&self.origin));
        let former: Vec<String> = known.filter(|o| !o.is_empty() && *o != origin).cloned().collect();
        former[former.len().saturating_sub(FORMER)..].to_vec()
    }

    /// Carries out [`Credentials::reseal`].
    pub fn reseal(&mut self, number: u64, sealed: &Sealed) -> bool {
        let same = self.sealed.is_some() && self.number == number;
        if same {
            self.sealed = Some(sealed.clone());
        }
        same
    }
}
