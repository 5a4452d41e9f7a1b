//! A secret that cannot be printed, serialised or left in memory by accident (`RULES.md` S23).

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A credential. `Debug` shows `[secret]`; there is no `Display` and no `Serialize`; memory is wiped on drop.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself. Call it only where the bytes go on the wire or into a MAC.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}
