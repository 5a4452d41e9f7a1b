//! Signatures against vectors computed with Python:
//! `hmac.new(secret, t + b"." + body, hashlib.sha256).hexdigest()` for the timestamped ones, `hmac.new(secret, body, …)` for the rest.

use super::*;
use chrono::DateTime;

const BODY: &[u8] = br#"{"id":"evt_1","type":"customer.updated"}"#;
const T: i64 = 1_700_000_000;
const ONE: &str = "5ab57a04fb46607d976aa6731e641bdda9e825e15d7daae9d7945f6760fe2df3";
const TWO: &str = "d5fe0bf8a70be5dda4dd10ddb35168ab667c2cea18aff88d4bdcc9f89d54f932";
const ONE_BODY_BASE64: &str = "4OEtK7UU28TH0k9EFfNzPegiuhRTu1WH6qT2F2RGeBI=";
const ONE_BODY_HEX: &str = "e0e12d2bb514dbc4c7d24f4415f3733de822ba1453bb5587eaa4f61764467812";

fn scheme(secrets: &[&str]) -> Scheme {
    Scheme {
        secrets: secrets.iter().map(|s| Secret::new(*s)).collect(),
        header: "Stripe-Signature".into(),
        hash: Digest::Sha256,
        encoding: Encoding::Hex,
        format: SignatureFormat::parse("t={timestamp},v1={signature}").unwrap(),
        timestamp_header: None,
        signs: Template::parse("{timestamp}.{body}"),
        tolerance: Some(TimeDelta::seconds(300)),
    }
}

fn delivery(header: &str) -> Unverified {
    Unverified { headers: vec![("stripe-signature".into(), header.into())], body: BODY.to_vec() }
}

fn check(scheme: &Scheme, header: &str, now: i64) -> Result<(), Rejected> {
    scheme.check(&delivery(header), DateTime::from_timestamp(now, 0).unwrap())
}

#[test]
fn a_known_signature_passes() {
    let scheme = scheme(&["whsec_test_one"]);
    assert_eq!(check(&scheme, &format!("t={T},v1={ONE}"), T), Ok(()));
    assert_eq!(check(&scheme, &format!("v0=abc, v1={ONE} ,t={T},x"), T), Ok(()));
    let mut changed = delivery(&format!("t={T},v1={ONE}"));
    changed.body.push(b' ');
    assert_eq!(scheme.check(&changed, DateTime::from_timestamp(T, 0).unwrap()), Err(Rejected::Mismatch));
    assert_eq!(check(&scheme, &format!("t={},v1={ONE}", T + 1), T), Err(Rejected::Mismatch));
    assert_eq!(check(&scheme, &format!("t={T},v1={TWO}"), T), Err(Rejected::Mismatch));
}

#[test]
fn any_signature_passes_against_any_secret() {
    let header = format!("t={T},v1={ONE},v1={TWO}");
    assert_eq!(check(&scheme(&["whsec_test_two"]), &header, T), Ok(()));
    assert_eq!(check(&scheme(&["whsec_other", "whsec_test_two"]), &header, T), Ok(()));
    assert_eq!(
        check(&scheme(&["whsec_test_two", "whsec_other"]), &format!("t={T},v1=zz,v1={TWO}"), T),
        Ok(())
    );
    assert_eq!(check(&scheme(&["whsec_other"]), &header, T), Err(Rejected::Mismatch));
    assert_eq!(check(&scheme(&[]), &header, T), Err(Rejected::Mismatch));
}

#[test]
fn time_counts_in_both_directions() {
    let scheme = scheme(&["whsec_test_one"]);
    let header = format!("t={T},v1={ONE}");
    for apart in [-300, 0, 300] {
        assert_eq!(check(&scheme, &header, T + apart), Ok(()), "{apart}");
    }
    for apart in [-301, 301, -1_000_000_000] {
        assert_eq!(check(&scheme, &header, T + apart), Err(Rejected::Stale), "{apart}");
    }
}

#[test]
fn what_cannot_be_read_is_unsigned() {
    let scheme = scheme(&["whsec_test_one"]);
    for header in ["", "t=1", &format!("v1={ONE}"), "nonsense", ",,,=,"] {
        assert_eq!(check(&scheme, header, T), Err(Rejected::Unsigned), "{header}");
    }
    for header in
        [format!("t={T},v1="), format!("t={T},v1=0"), format!("t={T},v1={}", &ONE[..62]), "t=,v1=00".into()]
    {
        assert_eq!(check(&scheme, &header, T), Err(Rejected::Mismatch), "{header}");
    }
    let none = Unverified { headers: vec![], body: BODY.to_vec() };
    assert_eq!(scheme.check(&none, DateTime::from_timestamp(T, 0).unwrap()), Err(Rejected::Unsigned));
}

#[test]
fn other_formats() {
    let now = DateTime::from_timestamp(T, 0).unwrap();
    let mut scheme = scheme(&["whsec_test_one"]);
    scheme.signs = Template::parse("{body}");
    scheme.tolerance = None;
    scheme.format = SignatureFormat::parse("sha256={signature}").unwrap();
    assert_eq!(scheme.check(&delivery(&format!("sha256={ONE_BODY_HEX}")), now), Ok(()));
    assert_eq!(scheme.check(&delivery(ONE_BODY_HEX), now), Err(Rejected::Unsigned));

    scheme.encoding = Encoding::Base64;
    scheme.format = SignatureFormat::parse("{signature}").unwrap();
    assert_eq!(scheme.check(&delivery(ONE_BODY_BASE64), now), Ok(()));
    assert_eq!(scheme.check(&delivery(&format!("AAAA, {ONE_BODY_BASE64}")), now), Ok(()));
}

#[test]
fn the_timestamp_may_have_a_header_of_its_own() {
    let mut scheme = scheme(&["whsec_test_one"]);
    scheme.format = SignatureFormat::parse("{signature}").unwrap();
    scheme.timestamp_header = Some("X-Time".into());
    let mut signed = delivery(ONE);
    let now = DateTime::from_timestamp(T + 10, 0).unwrap();
    assert_eq!(scheme.check(&signed, now), Err(Rejected::Unsigned));
    signed.headers.push(("x-time".into(), T.to_string()));
    assert_eq!(scheme.check(&signed, now), Ok(()));
    assert_eq!(scheme.check(&signed, now + TimeDelta::seconds(300)), Err(Rejected::Stale));
}

#[test]
fn a_document_that_signs_nothing_proves_nothing() {
    let hmac = |signs: &str, secret: &str| Verify::Hmac {
        secrets: vec![Secret::new(secret)],
        header: "stripe-signature".into(),
        hash: Digest::Sha256,
        encoding: Encoding::Hex,
        format: SignatureFormat::parse("t={timestamp},v1={signature}").unwrap(),
        timestamp: None,
        signs: Template::parse(signs),
        tolerance: std::time::Duration::from_secs(300),
    };
    assert!(Scheme::of(&hmac("{timestamp}", "whsec_test_one")).is_none());
    assert!(Scheme::of(&Verify::None).is_none());
    let scheme = Scheme::of(&hmac("{timestamp}.{body}", "whsec_test_one")).unwrap();
    assert_eq!(check(&scheme, &format!("t={T},v1={ONE}"), T), Ok(()));
    assert!(Scheme::of(&hmac("{timestamp}.{body}", "")).unwrap().secrets.is_empty());
}

#[test]
fn what_has_a_time_is_held_to_it() {
    let hmac = |format: &str, timestamp: Option<&str>| Verify::Hmac {
        secrets: vec![Secret::new("whsec_test_one")],
        header: "stripe-signature".into(),
        hash: Digest::Sha256,
        encoding: Encoding::Hex,
        format: SignatureFormat::parse(format).unwrap(),
        timestamp: timestamp.map(str::to_owned),
        signs: Template::parse("{body}"),
        tolerance: std::time::Duration::from_secs(300),
    };
    let tolerance =
        |format: &str, timestamp: Option<&str>| Scheme::of(&hmac(format, timestamp)).unwrap().tolerance;
    assert_eq!(tolerance("t={timestamp},v1={signature}", None), Some(TimeDelta::seconds(300)));
    assert_eq!(tolerance("{signature}", Some("x-time")), Some(TimeDelta::seconds(300)));
    assert_eq!(tolerance("{signature}", None), None);
}

#[test]
fn a_time_that_is_not_there_is_missed() {
    let now = DateTime::from_timestamp(T, 0).unwrap();
    // It is signed, though nobody holds it against a clock.
    let undated = Scheme { tolerance: None, ..scheme(&["whsec_test_one"]) };
    assert_eq!(undated.check(&delivery(&format!("v1={ONE}")), now), Err(Rejected::Unsigned));
    // It is held against a clock, though not signed.
    let mut unsigned = scheme(&["whsec_test_one"]);
    unsigned.signs = Template::parse("{body}");
    assert_eq!(unsigned.check(&delivery(&format!("v1={ONE_BODY_HEX}")), now), Err(Rejected::Unsigned));
    assert_eq!(unsigned.check(&delivery(&format!("t={T},v1={ONE_BODY_HEX}")), now), Ok(()));
}

#[test]
fn seconds_are_digits_alone() {
    assert_eq!(unix_seconds("1700000000"), Some(T));
    assert_eq!(unix_seconds("1700000000999"), Some(T), "milliseconds");
    assert_eq!(seconds("1700000000"), Some(T));
    assert_eq!(seconds("2023-11-14T22:13:20Z"), Some(T));
    assert_eq!(seconds("2023-11-14"), None);
    for text in ["", "+1700000000", "-1", " 1", "1.5", "1e9", "99999999999999999999"] {
        assert_eq!(unix_seconds(text), None, "{text}");
    }
}
