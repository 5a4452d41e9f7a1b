//! Stripe's webhook signature: HMAC-SHA256 over `TIME.BODY`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn keyed(secret: &str, time: u64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(time.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

/// The header for a body sent at a time.
pub(crate) fn header(secret: &str, time: u64, body: &[u8]) -> String {
    format!("t={time},v1={}", hex::encode(keyed(secret, time, body).finalize().into_bytes()))
}

/// Whether the header is right for the body and not older or younger than five minutes.
pub(crate) fn verify(secret: &str, header: &str, body: &[u8], now: u64) -> bool {
    let mut time = None;
    for part in header.split(',') {
        match part.split_once('=') {
            Some(("t", value)) => time = value.parse::<u64>().ok(),
            Some(("v1", value)) => {
                let (Some(time), Ok(signature)) = (time, hex::decode(value)) else { return false };
                if time.abs_diff(now) <= 300 && keyed(secret, time, body).verify_slice(&signature).is_ok() {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signed_body_in_time_passes() {
        let header = header("whsec_a", 1_000, b"{}");
        assert!(verify("whsec_a", &header, b"{}", 1_200));
        assert!(!verify("whsec_b", &header, b"{}", 1_200));
        assert!(!verify("whsec_a", &header, b"{ }", 1_200));
        assert!(!verify("whsec_a", &header, b"{}", 1_301));
    }
}
