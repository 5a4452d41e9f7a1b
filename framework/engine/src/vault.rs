//! Encrypts what is stored of credentials, with keys that are not in the database (`RULES.md` S24).

use crate::Random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bothways_model::{ConnectionName, Secret};
use bothways_store::Sealed;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// The keys, the first of which encrypts; the others open what was encrypted before it was put first.
pub struct Vault {
    keys: Vec<Key>,
}

struct Key {
    /// Names the key without telling it.
    name: String,
    cipher: XChaCha20Poly1305,
}

/// No keys can be read from the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected keys of 32 bytes in Base64, the newest first, separated by commas; `openssl rand -base64 32` makes one"
)]
pub struct BadKeys;

/// The bytes of a nonce, which is random: so long that no two are ever the same.
const NONCE: usize = 24;

impl Vault {
    /// Reads keys: each 32 bytes in Base64, separated by commas, the newest first.
    ///
    /// # Errors
    /// A key is something else, or there is none.
    pub fn parse(text: &Secret) -> Result<Self, BadKeys> {
        let keys = text.expose().split(',').map(str::trim).filter(|key| !key.is_empty());
        let keys = keys.map(Key::parse).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(BadKeys) } else { Ok(Self { keys }) }
    }

    /// Encrypts a connection's secret. What is sealed for one connection opens for no other.
    pub(crate) fn seal(
        &self,
        random: &dyn Random,
        connection: &ConnectionName,
        plain: &Secret,
    ) -> Option<Sealed> {
        let key = self.keys.first()?;
        let mut nonce = [0; NONCE];
        for eight in nonce.chunks_mut(8) {
            eight.copy_from_slice(random.below(u64::MAX).to_le_bytes().get(..eight.len())?);
        }
        let payload = Payload { msg: plain.expose().as_bytes(), aad: connection.as_str().as_bytes() };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        let text = STANDARD.encode([&nonce[..], &sealed].concat());
        Some(Sealed { key: key.name.clone(), text })
    }

    /// Opens it again. `None` if its key is not among ours, or if it was altered.
    pub(crate) fn open(&self, connection: &ConnectionName, sealed: &Sealed) -> Option<Secret> {
        let key = self.keys.iter().find(|key| key.name == sealed.key)?;
        let bytes = STANDARD.decode(&sealed.text).ok()?;
        let (nonce, msg) = bytes.split_at_checked(NONCE)?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let payload = Payload { msg, aad: connection.as_str().as_bytes() };
        let plain = key.cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
        String::from_utf8(plain).ok().map(Secret::new)
    }

    /// Whether it is encrypted with another key than the one that encrypts now.
    pub(crate) fn is_old(&self, sealed: &Sealed) -> bool {
        self.keys.first().is_none_or(|key| key.name != sealed.key)
    }
}

impl Key {
    fn parse(text: &str) -> Result<Self, BadKeys> {
        let bytes = STANDARD.decode(text).map_err(|_| BadKeys)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| BadKeys)?;
        let digest = Sha256::new().chain_update(b"bothways key name ").chain_update(&bytes).finalize();
        let name = hex::encode(digest.get(..8).unwrap_or_default());
        Ok(Self { name, cipher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::Timestamp;
    use std::sync::atomic::{AtomicU64, Ordering};
    use uuid::Uuid;

    struct Counting(AtomicU64);

    impl Random for Counting {
        fn uuid(&self, _: Timestamp) -> Uuid {
            Uuid::nil()
        }

        fn below(&self, bound: u64) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15) % bound
        }
    }

    fn vault(bytes: &[u8]) -> Vault {
        let keys: Vec<String> = bytes.iter().map(|byte| STANDARD.encode([*byte; 32])).collect();
        Vault::parse(&Secret::new(keys.join(", "))).expect("keys")
    }

    #[test]
    fn only_the_key_and_the_connection_open_it() {
        let random = Counting(AtomicU64::new(1));
        let (acme, other) = (ConnectionName::from("acme"), ConnectionName::from("other"));
        let old = vault(&[1]);
        let secret = Secret::new("refresh-token");
        let sealed = old.seal(&random, &acme, &secret).expect("sealed");
        assert!(!sealed.text.contains("refresh-token"));
        assert_eq!(old.open(&acme, &sealed), Some(secret.clone()));
        assert_eq!(old.open(&other, &sealed), None);
        assert_eq!(vault(&[2]).open(&acme, &sealed), None);
        assert_ne!(old.seal(&random, &acme, &secret).expect("sealed").text, sealed.text);
        let mut bytes = STANDARD.decode(&sealed.text).expect("Base64");
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            let altered = Sealed { text: STANDARD.encode(&bytes), ..sealed.clone() };
            assert_eq!(old.open(&acme, &altered), None, "byte {at}");
            bytes[at] ^= 1;
        }
        // The new key is put first; the old one still opens.
        let both = vault(&[2, 1]);
        assert!(both.is_old(&sealed) && !old.is_old(&sealed));
        assert_eq!(both.open(&acme, &sealed), Some(secret.clone()));
        let anew = both.seal(&random, &acme, &secret).expect("sealed");
        assert_eq!(vault(&[2]).open(&acme, &anew), Some(secret));
    }

    #[test]
    fn keys_are_32_bytes() {
        for bad in ["", " , ", "c2hvcnQ=", "no base64!", &STANDARD.encode([0; 33])] {
            assert!(Vault::parse(&Secret::new(bad)).is_err(), "{bad}");
        }
    }
}
