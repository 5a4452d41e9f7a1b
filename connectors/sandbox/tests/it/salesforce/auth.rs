//! Tokens: by client credentials, by a signed assertion, by refresh tokens; and the sessions they open.

use super::caller::{Caller, Got};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bothways_connector_sandbox::salesforce::{Action, Config};
use bothways_model::Method::{Get, Post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn token(c: &mut Caller, form: &str) -> Got {
    c.send(&Caller::plain(Post, "/services/oauth2/token", form))
}

fn refresh(c: &mut Caller, refresh_token: &str) -> Got {
    let client = "client_id=bothways_app&client_secret=bothways_app_secret";
    token(c, &format!("grant_type=refresh_token&{client}&refresh_token={refresh_token}"))
}

fn refused(got: &Got) -> (u16, &str) {
    (got.status, got.json["error"].as_str().unwrap_or_default())
}

#[test]
fn client_credentials_open_a_session() {
    let mut c = Caller::new();
    let form = "grant_type=client_credentials&client_id=bothways_app&client_secret=bothways_app_secret";
    let got = token(&mut c, form);
    assert_eq!((got.status, &got.json["token_type"]), (200, &json!("Bearer")));
    assert_eq!(got.json["instance_url"], "http://sandbox.test");
    assert_eq!(got.json.get("refresh_token"), None);
    assert!(got.json["access_token"].as_str().is_some_and(|t| t.starts_with("00D") && t.contains('!')));
    assert_eq!(got.response.header("sforce-limit-info"), None);
    for (form, error) in [
        (form.replace("_secret&", "&").replace("app_secret", "wrong"), "invalid_client"),
        (form.replace("client_id=bothways_app", "client_id=nobody"), "invalid_client_id"),
        (form.replace("client_credentials", "magic"), "unsupported_grant_type"),
        (String::new(), "unsupported_grant_type"),
    ] {
        assert_eq!(refused(&token(&mut c, &form)), (400, error), "{form}");
    }
    let basic = STANDARD.encode("bothways_app:bothways_app_secret");
    let request = Caller::plain(Post, "/services/oauth2/token", "grant_type=client_credentials");
    assert_eq!(c.send(&request.with_header("Authorization", format!("Basic {basic}"))).status, 200);
}

#[test]
fn the_organisation_says_who_and_what_it_is() {
    for is_sandbox in [true, false] {
        let mut c = Caller::with(Config { is_sandbox, ..Config::default() });
        let got = c.query("SELECT Id, IsSandbox FROM Organization");
        assert_eq!(got.column("Id"), [c.org.organization_id()]);
        assert_eq!(got.json["records"][0]["IsSandbox"], is_sandbox);
        let info = Caller::plain(Get, "/services/oauth2/userinfo", "");
        assert_eq!(c.send(&info).status, 403);
        let token = format!("Bearer {}", c.token);
        let info = c.send(&info.with_header("Authorization", token));
        assert_eq!(info.json["organization_id"], c.org.organization_id());
    }
    let (one, two) = (Caller::new(), Caller::with(Config { seed: 1, ..Config::default() }));
    assert_ne!(one.org.organization_id(), two.org.organization_id());
}

#[test]
fn sessions_end() {
    let mut c = Caller::new();
    let ask = |c: &mut Caller| c.query("SELECT Id FROM Account").status;
    // Two hours without use, as the organisation has set it; use prolongs.
    c.wait(7_000);
    assert_eq!(ask(&mut c), 200);
    c.wait(7_000);
    assert_eq!(ask(&mut c), 200);
    c.wait(7_200);
    let ended = c.query("SELECT Id FROM Account");
    assert_eq!(ended.error(), (401, "INVALID_SESSION_ID"));
    c.log_in();
    assert_eq!(ask(&mut c), 200);
    c.org.dashboard_end_sessions();
    assert_eq!(ask(&mut c), 401);
    c.log_in();
    c.inject(Action::InvalidSession401);
    assert_eq!((ask(&mut c), ask(&mut c)), (401, 200));
    assert_eq!(c.org.fired()["invalid_session401"], 1);
    c.token = "none".into();
    assert_eq!(ask(&mut c), 401);
    assert_eq!(c.org.tokens_issued(), 3);
}

#[test]
fn a_refresh_token_is_used_once() {
    let mut c = Caller::new();
    let first = c.org.dashboard_consent();
    let got = refresh(&mut c, &first);
    let second = got.json["refresh_token"].as_str().expect("a new one").to_owned();
    assert_ne!(first, second);
    c.token = got.json["access_token"].as_str().unwrap().to_owned();
    assert_eq!(c.query("SELECT Id FROM Account").status, 200);
    let third = refresh(&mut c, &second).json["refresh_token"].as_str().unwrap().to_owned();
    // The second one again is a sign of theft: the consent and what came from it end.
    assert_eq!(refused(&refresh(&mut c, &second)), (400, "invalid_grant"));
    assert_eq!(refused(&refresh(&mut c, &third)), (400, "invalid_grant"));
    assert_eq!(c.query("SELECT Id FROM Account").error(), (401, "INVALID_SESSION_ID"));

    let other = c.org.dashboard_consent();
    assert_eq!(refused(&refresh(&mut c, "made up")), (400, "invalid_grant"));
    c.org.dashboard_revoke();
    assert_eq!(refused(&refresh(&mut c, &other)), (400, "invalid_grant"));
    let revoked = c.org.dashboard_consent();
    let got = c.send(&Caller::plain(Post, "/services/oauth2/revoke", &format!("token={revoked}")));
    assert_eq!((got.status, refused(&refresh(&mut c, &revoked))), (200, (400, "invalid_grant")));
}

#[test]
fn an_answer_lost_on_the_way_takes_the_new_refresh_token_with_it() {
    let mut c = Caller::new();
    let first = c.org.dashboard_consent();
    c.inject(Action::LostAnswer);
    let form = format!(
        "grant_type=refresh_token&client_id=bothways_app&client_secret=bothways_app_secret&refresh_token={first}"
    );
    let request = Caller::plain(Post, "/services/oauth2/token", &form);
    assert_eq!(c.answer(&request), bothways_connector_sandbox::Answer::Dropped);
    assert_eq!(refused(&refresh(&mut c, &first)), (400, "invalid_grant"));
}

#[test]
fn refresh_tokens_stay_where_they_do_not_rotate() {
    let mut c = Caller::with(Config { rotates_refresh_tokens: false, ..Config::default() });
    let token = c.org.dashboard_consent();
    for _ in 0..2 {
        let got = refresh(&mut c, &token);
        assert_eq!((got.status, got.json.get("refresh_token")), (200, None));
    }
}

#[test]
fn a_persons_consent_is_a_code_that_is_good_once() {
    let mut c = Caller::new();
    let ask = "/services/oauth2/authorize?response_type=code&client_id=bothways_app&state=a%26b";
    let back = "http%3A%2F%2F127.0.0.1%3A9%2Fback%3Fx%3D1";
    let verifier = "a-verifier-of-the-app";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let code = |c: &mut Caller, tail: &str| {
        let got = c.send(&Caller::plain(Get, &format!("{ask}&redirect_uri={back}{tail}"), ""));
        assert_eq!(got.status, 302);
        let (uri, rest) = got.header("location").split_once("&code=").expect("a code");
        assert_eq!((uri, rest.ends_with("&state=a%26b")), ("http://127.0.0.1:9/back?x=1", true));
        rest.split('&').next().expect("a code").to_owned()
    };
    let exchange = |c: &mut Caller, code: &str, tail: &str| {
        let client = "client_id=bothways_app&client_secret=bothways_app_secret";
        token(c, &format!("grant_type=authorization_code&{client}&code={code}{tail}"))
    };
    let first = code(&mut c, "");
    let same = format!("&redirect_uri={back}");
    let got = exchange(&mut c, &first, &same);
    assert_eq!(got.status, 200, "{:?}", got.json);
    assert_eq!(refresh(&mut c, got.json["refresh_token"].as_str().expect("one")).status, 200);
    assert_eq!(refused(&exchange(&mut c, &first, &same)), (400, "invalid_grant"));

    let elsewhere = code(&mut c, "");
    assert_eq!(
        refused(&exchange(&mut c, &elsewhere, "&redirect_uri=http%3A%2F%2Fx")),
        (400, "redirect_uri_mismatch")
    );
    let proven = code(&mut c, &format!("&code_challenge={challenge}"));
    assert_eq!(exchange(&mut c, &proven, &format!("{same}&code_verifier={verifier}")).status, 200);
    let stolen = code(&mut c, &format!("&code_challenge={challenge}"));
    assert_eq!(
        refused(&exchange(&mut c, &stolen, &format!("{same}&code_verifier=guess"))),
        (400, "invalid_grant")
    );
    let late = code(&mut c, "");
    c.wait(900);
    assert_eq!(refused(&exchange(&mut c, &late, &same)), (400, "invalid_grant"));
    let stranger = ask.replace("bothways_app", "stranger");
    assert_eq!(refused(&c.send(&Caller::plain(Get, &stranger, ""))), (400, "invalid_client_id"));
    assert_eq!(refused(&c.send(&Caller::plain(Get, ask, ""))), (400, "unsupported_response_type"));
}

/// A key of the app, and what the organisation knows of it.
fn app_key() -> (RsaKeyPair, String) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let _: Pkcs8V1Der<'_> = key.as_der().expect("a private key");
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a public key");
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(public.as_ref())
    );
    (key, pem)
}

fn assertion(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("signed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn an_assertion_must_be_the_apps_for_this_service_and_of_now() {
    let (key, pem) = app_key();
    let (stranger, _) = app_key();
    let mut c = Caller::with(Config { jwt_public_key: Some(pem), ..Config::default() });
    let rs256 = json!({ "alg": "RS256" });
    let claims = json!({
        "iss": "bothways_app",
        "sub": "sync@sandbox.example",
        "aud": "https://test.salesforce.com",
        "exp": c.now.timestamp() + 180,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        assertion(&key, &rs256, &claims)
    };
    let grant = |c: &mut Caller, assertion: &str| {
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        token(c, &format!("grant_type={kind}&assertion={assertion}"))
    };
    let good = grant(&mut c, &assertion(&key, &rs256, &claims));
    assert_eq!((good.status, good.json.get("refresh_token")), (200, None));
    c.token = good.json["access_token"].as_str().unwrap().to_owned();
    assert_eq!(c.query("SELECT Id FROM Account").status, 200);
    assert_eq!(grant(&mut c, &with("aud", json!("http://sandbox.test"))).status, 200);

    let now = c.now.timestamp();
    for (bad, error, says) in [
        (assertion(&stranger, &rs256, &claims), "invalid_grant", "invalid assertion"),
        (assertion(&key, &json!({ "alg": "none" }), &claims), "invalid_grant", "invalid assertion"),
        (with("iss", json!("other")), "invalid_client_id", "client identifier invalid"),
        (with("aud", json!("https://x.io")), "invalid_grant", "audience is invalid"),
        (with("exp", json!(now)), "invalid_grant", "expired authorization code"),
        (with("exp", json!(now + 3_600)), "invalid_grant", "assertion is good for too long"),
        (with("sub", json!("other@x.io")), "invalid_grant", "user hasn't approved this consumer"),
        ("a.b.c".into(), "invalid_grant", "invalid assertion"),
        (String::new(), "invalid_grant", "invalid assertion"),
    ] {
        let got = grant(&mut c, &bad);
        assert_eq!((refused(&got), &got.json["error_description"]), ((400, error), &json!(says)));
    }
    let mut without = Caller::new();
    assert_eq!(refused(&grant(&mut without, &assertion(&key, &rs256, &claims))), (400, "invalid_app_access"));
}
