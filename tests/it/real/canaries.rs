//! Canaries: strings that stand in for secrets and for what records hold, and must not turn up where nobody asked for them.
//!
//! They are in every installation of these tests: each log of the program is searched when its process ends, and what a verb says on
//! stderr when it ends (`RULES.md` S25); every answer of the API, and what it measures, in `answers.rs`. Records are shown where a person
//! asked for them: on stdout, by the API and on the page.

/// In every secret of these tests, and in every value that [`crate::real::users`] write.
pub(crate) const CANARY: &str = "kanari";

/// What gives a secret or a record away, in lower case: besides canaries, what real secrets begin with, and the domain of every e-mail.
const GIVEAWAYS: [&str; 4] = [CANARY, "sk_test_", "whsec_", "@example.com"];

/// The lines of `text` that hold a secret or a value of a record.
pub(crate) fn leaks(text: &str) -> Vec<&str> {
    let leaky = |line: &&str| {
        let line = line.to_lowercase();
        GIVEAWAYS.iter().any(|giveaway| line.contains(giveaway))
    };
    text.lines().filter(leaky).collect()
}

/// Fails if `text` holds a secret or a value of a record.
///
/// # Panics
/// With the lines that do.
pub(crate) fn assert_silent(what: &str, text: &str) {
    let leaks = leaks(text);
    assert!(leaks.is_empty(), "{what} holds a secret or a record:\n{}", leaks.join("\n"));
}

/// Fails if `text` holds one of these secrets. Unlike [`assert_silent`] it lets values of records pass: whoever asked for them gets them.
///
/// # Panics
/// With the beginning of the one that it holds.
pub(crate) fn assert_keeps(what: &str, text: &str, secrets: &[&str]) {
    let text = text.to_lowercase();
    for secret in secrets {
        assert!(!text.contains(&secret.to_lowercase()), "{what} holds a secret: {}…", &secret[..6]);
    }
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    for leak in ["key=KANARI1", "Bearer sk_test_1", "whsec_x", "to ada@Example.com:"] {
        assert_eq!(leaks(&format!("fine\n{leak}\nfine")), [leak]);
    }
    assert!(leaks("a customer was updated\npair=1 attempts=3").is_empty());
}
