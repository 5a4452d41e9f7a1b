//! Events pushed. What has not been verified is another type than what has, so it cannot be forwarded by mistake.

use bothways_model::{Event, Failure, Timestamp, header};

/// A delivery as it came in: headers and the raw bytes that the signature covers.
#[derive(Clone, Debug)]
pub struct Unverified {
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl Unverified {
    /// The first header called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Declares the delivery genuine. Only a [`Webhook::verify`] does this, after checking the signature.
    pub fn vouch(self) -> Verified {
        Verified(self)
    }
}

/// A delivery whose signature was checked.
#[derive(Clone, Debug)]
pub struct Verified(Unverified);

impl Verified {
    /// Its headers and bytes.
    pub fn delivery(&self) -> &Unverified {
        &self.0
    }
}

/// A delivery was not accepted. The sender gets a 401 without detail (rule 49); the reason is for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The signature header is missing or cannot be read.
    #[error("no readable signature")]
    Unsigned,
    /// No signature matches any of our secrets.
    #[error("signature does not match")]
    Mismatch,
    /// The timestamp is further from now than the tolerance, in either direction (rule 48).
    #[error("timestamp outside the tolerance")]
    Stale,
}

/// Receives pushed events.
pub trait Webhook: Send + Sync {
    /// Checks the signature over the raw bytes: any signature against any secret, constant time, both-sided tolerance.
    ///
    /// # Errors
    /// See [`Rejected`].
    fn verify(&self, delivery: Unverified, now: Timestamp) -> Result<Verified, Rejected>;

    /// The events in a genuine delivery.
    ///
    /// # Errors
    /// Class `malformed` if it cannot be read.
    fn decode(&self, delivery: &Verified) -> Result<Vec<Event>, Failure>;

    /// The path on the hooks port that deliveries are sent to, such as `/hooks/stripe`.
    fn path(&self) -> &str;

    /// The query parameter with which the service asks whether we want its deliveries; its value is to be given back.
    fn challenge(&self) -> Option<&str> {
        None
    }

    /// Whether deliveries are accepted without any signature. The server refuses such a webhook unless told otherwise.
    fn is_unsigned(&self) -> bool;
}
