//! A webhook's signature header, and its body. The header may hold `MAC`, which stands for the right signature of the first secret, so
//! that headers that are almost right can be found. Whatever is accepted must be signed, by a second reading of the header here, with a
//! timestamp that is not too far away.

use super::{parts, service, text};
use bothways_connector::{Connector as _, Rejected, Unverified};
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The service's clock, in seconds since 1970.
const NOW: i64 = 1_795_000_000;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let [header, body] = parts(text);
    let right = hex::encode(mac(service::SECRETS[0], &NOW.to_string(), body));
    let header = header.replace("MAC", &right);
    let delivery = Unverified {
        headers: vec![("stripe-signature".into(), header.clone())],
        body: body.as_bytes().to_vec(),
    };
    let now = DateTime::from_timestamp(NOW, 0).expect("a moment");
    let webhook = service::stripe().webhook().expect("Stripe has one");
    match webhook.verify(delivery, now) {
        Ok(verified) => {
            assert_eq!(verified.delivery().body, body.as_bytes(), "another body was vouched for");
            assert!(is_signed(&header, body, true), "accepted: {header}");
        }
        Err(Rejected::Stale) => {
            assert!(is_signed(&header, body, false), "called stale, but never signed: {header}")
        }
        Err(Rejected::Unsigned | Rejected::Mismatch) => {
            // A header as Stripe sends it must pass.
            assert_ne!(header, format!("t={NOW},v1={right}"), "refused");
        }
    }
}

/// Whether any timestamp of the header, with any signature in it, proves the body.
fn is_signed(header: &str, body: &str, fresh: bool) -> bool {
    let values: Vec<&str> =
        header.split(',').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.trim()).collect();
    let near = |time: &str| time.parse::<i64>().is_ok_and(|t| (t - NOW).abs() <= 300);
    values.iter().any(|time| {
        let macs = service::SECRETS.map(|secret| mac(secret, time, body));
        let signed = values.iter().filter_map(|v| hex::decode(v).ok()).any(|given| macs.contains(&given));
        signed && (!fresh || near(time))
    })
}

fn mac(secret: &str, time: &str, body: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
