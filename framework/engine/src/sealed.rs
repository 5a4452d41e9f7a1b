//! Digests of values, for people and for the audit log (rule 68). They tell whether a value is still the one that somebody saw, and not
//! what it is: they are keyed by the installation's own secret, since a short value can be guessed from a plain hash.

use crate::EngineError;
use crate::operations::Operations;
use crate::plan::file::keyed;
use bothways_model::Secret;
use bothways_store::Link;
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;

/// Makes digests that mean something on this installation alone.
#[derive(Clone)]
pub(crate) struct Seals(Hmac<Sha256>);

impl Seals {
    fn new(secret: &Secret) -> Self {
        let mut of_installation = keyed(secret.expose().as_bytes());
        of_installation.update(b"bothways digest");
        Self(keyed(&of_installation.finalize().into_bytes()))
    }

    /// The digest of this, as it would be written as JSON.
    pub(crate) fn of<T: Serialize + ?Sized>(&self, what: &T) -> String {
        let mut mac = self.0.clone();
        mac.update(&serde_json::to_vec(what).unwrap_or_default());
        hex::encode(&mac.finalize().into_bytes()[..8])
    }

    /// The digest of what people change of a link: what it binds, how it stands, and what is decided and known of its fields.
    pub(crate) fn of_link(&self, link: &Link) -> String {
        self.of(&(&link.local_id, &link.remote_id, link.state, &link.body))
    }
}

impl Operations {
    /// What makes digests on this installation.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn seals(&self) -> Result<Seals, EngineError> {
        Ok(Seals::new(&self.engine.store.secret().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_means_something_on_one_installation_alone() {
        let (one, other) = (Seals::new(&Secret::new("one")), Seals::new(&Secret::new("other")));
        assert_eq!(one.of("Ada"), one.of("Ada"));
        assert_ne!(one.of("Ada"), one.of("Bea"));
        assert_ne!(one.of("Ada"), other.of("Ada"));
        assert_eq!(one.of("Ada").len(), 16);
    }
}
