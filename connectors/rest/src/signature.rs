//! Webhook signatures: an HMAC over a template of timestamp and raw body, in a header of a declared format.
//!
//! Every signature in the header is compared with the MAC of every secret, in constant time and without stopping at a match or a
//! mismatch, so neither the number of secrets nor which one matched shows in the time it takes (S1). Timestamps are checked in both
//! directions (rule 48), and only after the signature: an unsigned timestamp means nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bothways_connector::{Rejected, Unverified};
use bothways_mapping::connector::{Digest, Encoding, SignatureFormat, SignatureHeader, TimeFormat, Verify};
use bothways_mapping::template::{Part, Slot, Template};
use bothways_model::planted::{self, Bug};
use bothways_model::{Secret, Timestamp};
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

/// How a signature is made and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Scheme {
    /// The secrets that are accepted; several during a rotation.
    pub(crate) secrets: Vec<Secret>,
    /// The header that holds the signatures.
    pub(crate) header: String,
    /// The hash under the MAC.
    pub(crate) hash: Digest,
    /// How the MAC is written.
    pub(crate) encoding: Encoding,
    /// What the header looks like.
    pub(crate) format: SignatureFormat,
    /// The header that holds the timestamp, where it is not in the signature header.
    pub(crate) timestamp_header: Option<String>,
    /// What is signed.
    pub(crate) signs: Template,
    /// How far the timestamp may be from now, in either direction; `None` if there is no timestamp.
    pub(crate) tolerance: Option<TimeDelta>,
}

impl Scheme {
    /// The scheme of a webhook; `None` if it is of another kind, or signs something else than its body: a signature that does not cover the
    /// body proves nothing about it.
    pub(crate) fn of(verify: &Verify) -> Option<Self> {
        let Verify::Hmac { secrets, header, hash, encoding, format, timestamp, signs, tolerance } = verify
        else {
            return None;
        };
        if !signs.slots().any(|slot| *slot == Slot::Body) {
            return None;
        }
        let dated = timestamp.is_some() || format.has_timestamp();
        Some(Self {
            // An empty key is a key that everybody has.
            secrets: secrets.iter().filter(|s| !s.expose().is_empty()).cloned().collect(),
            header: header.clone(),
            hash: *hash,
            encoding: *encoding,
            format: format.clone(),
            timestamp_header: timestamp.clone(),
            signs: signs.clone(),
            tolerance: dated.then(|| TimeDelta::from_std(*tolerance).unwrap_or(TimeDelta::MAX)),
        })
    }

    /// Whether `delivery` carries a signature of one of our secrets, made close enough to `now`.
    pub(crate) fn check(&self, delivery: &Unverified, now: Timestamp) -> Result<(), Rejected> {
        let header = delivery.header(&self.header).ok_or(Rejected::Unsigned)?;
        let SignatureHeader { timestamp, signatures } = self.format.read(header);
        if signatures.is_empty() {
            return Err(Rejected::Unsigned);
        }
        let timestamp = match &self.timestamp_header {
            Some(name) => Some(delivery.header(name).ok_or(Rejected::Unsigned)?.trim()),
            None => timestamp.as_deref(),
        };
        let needs_time = self.tolerance.is_some() || self.signs.slots().any(|slot| *slot == Slot::Timestamp);
        if needs_time && timestamp.is_none() {
            return Err(Rejected::Unsigned);
        }

        let given: Vec<Vec<u8>> = signatures.iter().filter_map(|s| decode(self.encoding, s)).collect();
        let mut genuine = Choice::from(0);
        for secret in &self.secrets {
            let Some(mac) = self.mac(secret, timestamp.unwrap_or_default(), &delivery.body) else { continue };
            for signature in &given {
                genuine |= signature.ct_eq(&mac);
            }
        }
        if !bool::from(genuine) && !planted::is(Bug::SignatureNotChecked) {
            return Err(Rejected::Mismatch);
        }

        match (self.tolerance, timestamp) {
            (Some(tolerance), Some(text)) => {
                let made = seconds(text).ok_or(Rejected::Unsigned)?;
                let apart = now.timestamp().saturating_sub(made).unsigned_abs();
                let allowed = u64::try_from(tolerance.num_seconds()).unwrap_or(0);
                if apart <= allowed || planted::is(Bug::OldSignatureAccepted) {
                    Ok(())
                } else {
                    Err(Rejected::Stale)
                }
            }
            _ => Ok(()),
        }
    }

    fn mac(&self, secret: &Secret, timestamp: &str, body: &[u8]) -> Option<Vec<u8>> {
        match self.hash {
            Digest::Sha256 => sign::<Hmac<Sha256>>(secret, &self.signs, timestamp, body),
            Digest::Sha512 => sign::<Hmac<Sha512>>(secret, &self.signs, timestamp, body),
        }
    }
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => STANDARD.decode(text).ok(),
    }
}

fn sign<M: Mac + KeyInit>(
    secret: &Secret,
    signs: &Template,
    timestamp: &str,
    body: &[u8],
) -> Option<Vec<u8>> {
    // HMAC takes keys of any length, so this never fails; if it did, no signature is `None`.
    let mut mac = <M as KeyInit>::new_from_slice(secret.expose().as_bytes()).ok()?;
    for part in &signs.0 {
        match part {
            Part::Text(text) | Part::Var(text) => mac.update(text.as_bytes()),
            Part::Slot(Slot::Timestamp) => mac.update(timestamp.as_bytes()),
            Part::Slot(Slot::Body) => mac.update(body),
            Part::Slot(_) => return None,
        }
    }
    Some(mac.finalize().into_bytes().to_vec())
}

/// More digits than this are milliseconds: as seconds they would be beyond the year 5000.
const SECONDS_DIGITS: usize = 11;

/// A moment as services write it: Unix seconds or milliseconds, or ISO 8601.
fn seconds(text: &str) -> Option<i64> {
    let iso8601 = || TimeFormat::Iso8601.read(&text.into()).map(|moment| moment.timestamp());
    unix_seconds(text).or_else(iso8601)
}

fn unix_seconds(text: &str) -> Option<i64> {
    let number: i64 =
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())??;
    Some(if text.len() > SECONDS_DIGITS { number / 1000 } else { number })
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
