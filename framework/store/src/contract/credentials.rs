//! Rotating credentials: one caller at a time, and nothing that was granted is lost (rule 44).

use super::Bench;
use super::kit::at;
use crate::{Credentials, KeptGrant, RenewalAsk, RenewalEnd, Sealed, Turn};
use bothways_model::ConnectionName;

fn ask(used: Option<u64>, now: i64) -> RenewalAsk {
    let connection = ConnectionName::from("acme");
    RenewalAsk { connection, origin: "first".into(), used, now: at(now), until: at(now + 60) }
}

fn sealed(text: &str) -> Sealed {
    Sealed { key: "k1".into(), text: text.into() }
}

async fn begin(bench: &dyn Bench, used: Option<u64>, now: i64) -> Turn {
    bench.store().begin_renewal(&ask(used, now)).await.unwrap()
}

async fn end(bench: &dyn Bench, number: u64, end: RenewalEnd) -> bool {
    bench.store().end_renewal(&"acme".into(), number, &end).await.unwrap()
}

fn newer(number: u64, text: &str) -> Turn {
    Turn::Newer(KeptGrant { number, sealed: sealed(text) })
}

/// Of many callers one gets the turn; connections do not wait for each other.
pub async fn one_caller_gets_the_turn(bench: &dyn Bench) {
    let turns = futures::future::join_all((0..8).map(|_| begin(bench, None, 0))).await;
    let yours = turns.iter().filter(|turn| matches!(turn, Turn::Yours { kept: None, number: 1 })).count();
    let busy = turns.iter().filter(|turn| **turn == Turn::Busy(at(60))).count();
    assert_eq!((yours, busy), (1, 7), "{turns:?}");
    let other = RenewalAsk { connection: "other".into(), ..ask(None, 0) };
    let turn = bench.store().begin_renewal(&other).await.unwrap();
    assert_eq!(turn, Turn::Yours { kept: None, number: 1 });
}

/// What one has brought the others use, and the next renewal begins with.
pub async fn a_grant_is_kept_for_everybody(bench: &dyn Bench) {
    assert!(matches!(begin(bench, None, 0).await, Turn::Yours { kept: None, number: 1 }));
    assert!(end(bench, 1, RenewalEnd::Granted(sealed("a"))).await);
    for used in [None, Some(7)] {
        assert_eq!(begin(bench, used, 1).await, newer(1, "a"));
    }
    let kept = Some(KeptGrant { number: 1, sealed: sealed("a") });
    assert_eq!(begin(bench, Some(1), 2).await, Turn::Yours { kept, number: 2 });
    assert_eq!(begin(bench, Some(1), 3).await, Turn::Busy(at(62)));
    assert_eq!(begin(bench, None, 3).await, newer(1, "a"), "it may still be good");
    assert!(end(bench, 2, RenewalEnd::Granted(sealed("b"))).await);
    assert_eq!(begin(bench, Some(1), 4).await, newer(2, "b"));
}

/// A caller that died, or had no answer, keeps nobody waiting for ever.
pub async fn a_turn_that_ends_is_given_again(bench: &dyn Bench) {
    assert!(matches!(begin(bench, None, 0).await, Turn::Yours { number: 1, .. }));
    assert!(matches!(begin(bench, None, 59).await, Turn::Busy(_)));
    assert!(matches!(begin(bench, None, 60).await, Turn::Yours { number: 2, .. }));
    assert!(!end(bench, 1, RenewalEnd::Unanswered).await, "the turn is another's");
    assert!(matches!(begin(bench, None, 61).await, Turn::Busy(_)));
    assert!(end(bench, 2, RenewalEnd::Unanswered).await);
    assert!(matches!(begin(bench, None, 62).await, Turn::Yours { kept: None, number: 3 }));
}

/// Nobody asks the service again with what it has refused.
pub async fn a_refusal_lasts_until_the_operator_supplies_another(bench: &dyn Bench) {
    assert!(matches!(begin(bench, None, 0).await, Turn::Yours { number: 1, .. }));
    assert!(end(bench, 1, RenewalEnd::Granted(sealed("a"))).await);
    assert!(matches!(begin(bench, Some(1), 1).await, Turn::Yours { number: 2, .. }));
    assert!(end(bench, 2, RenewalEnd::Refused("log in again".into())).await);
    for used in [None, Some(1), Some(2)] {
        assert_eq!(begin(bench, used, 1000).await, Turn::Refused("log in again".into()));
    }
    let other = RenewalAsk { origin: "second".into(), ..ask(Some(1), 1001) };
    let turn = bench.store().begin_renewal(&other).await.unwrap();
    assert_eq!(
        turn,
        Turn::Yours { kept: None, number: 3 },
        "nothing of the first is used, and no number again"
    );
}

/// Whoever still has what was supplied before takes nothing away from those who have what replaced it.
pub async fn what_was_supplied_before_starts_nothing_anew(bench: &dyn Bench) {
    let ask = |origin: &str, used, now| RenewalAsk { origin: origin.into(), ..ask(used, now) };
    let begin = async |ask: &RenewalAsk| bench.store().begin_renewal(ask).await.unwrap();
    assert!(matches!(begin(&ask("first", None, 0)).await, Turn::Yours { number: 1, .. }));
    assert!(end(bench, 1, RenewalEnd::Granted(sealed("a"))).await);
    assert!(matches!(begin(&ask("second", None, 1)).await, Turn::Yours { kept: None, number: 2 }));
    assert!(end(bench, 2, RenewalEnd::Granted(sealed("b"))).await);
    for used in [None, Some(1)] {
        assert_eq!(begin(&ask("first", used, 2)).await, Turn::Outdated);
    }
    assert_eq!(begin(&ask("second", None, 3)).await, newer(2, "b"), "nothing of it is lost");
    // A person who fetches a grant for it means it.
    let store: &dyn Credentials = bench.store();
    store.keep(&ConnectionName::from("acme"), "first", &sealed("c")).await.unwrap();
    assert_eq!(begin(&ask("first", Some(1), 4)).await, newer(3, "c"));
    assert_eq!(begin(&ask("second", Some(2), 4)).await, Turn::Outdated);
}

/// A grant that comes after the turn was given to another is the newest there is: whatever that one is told with the old token is moot.
pub async fn a_late_grant_stands(bench: &dyn Bench) {
    assert!(matches!(begin(bench, None, 0).await, Turn::Yours { number: 1, .. }));
    assert!(matches!(begin(bench, None, 60).await, Turn::Yours { number: 2, .. }));
    assert!(end(bench, 1, RenewalEnd::Granted(sealed("a"))).await);
    assert!(!end(bench, 2, RenewalEnd::Refused("log in again".into())).await);
    assert_eq!(begin(bench, None, 61).await, newer(1, "a"));
    // Unless that one has brought a grant as well: a service that takes one token twice gives two that are good.
    let kept = Some(KeptGrant { number: 1, sealed: sealed("a") });
    assert_eq!(begin(bench, Some(1), 62).await, Turn::Yours { kept, number: 4 });
    assert!(end(bench, 4, RenewalEnd::Granted(sealed("c"))).await);
    assert!(!end(bench, 2, RenewalEnd::Granted(sealed("b"))).await);
    assert_eq!(begin(bench, None, 63).await, newer(4, "c"));
}

/// A login ends a refusal, and outdates whatever was under way.
pub async fn what_a_person_fetched_replaces_all(bench: &dyn Bench) {
    let store: &dyn Credentials = bench.store();
    let acme = ConnectionName::from("acme");
    store.keep(&acme, "first", &sealed("a")).await.unwrap();
    assert_eq!(begin(bench, None, 0).await, newer(1, "a"));
    assert!(matches!(begin(bench, Some(1), 0).await, Turn::Yours { number: 2, .. }));
    store.keep(&acme, "first", &sealed("b")).await.unwrap();
    assert!(!end(bench, 2, RenewalEnd::Refused("log in again".into())).await);
    assert!(!end(bench, 2, RenewalEnd::Granted(sealed("late"))).await);
    assert_eq!(begin(bench, Some(1), 1).await, newer(3, "b"));
    assert!(matches!(begin(bench, Some(3), 2).await, Turn::Yours { number: 4, .. }));
    assert!(end(bench, 4, RenewalEnd::Refused("log in again".into())).await);
    store.keep(&acme, "first", &sealed("c")).await.unwrap();
    assert_eq!(begin(bench, Some(3), 3).await, newer(5, "c"));
}

/// Encrypting anew changes nothing else, and never brings an old grant back.
pub async fn keys_are_changed_in_place(bench: &dyn Bench) {
    let store: &dyn Credentials = bench.store();
    let acme = ConnectionName::from("acme");
    let anew = Sealed { key: "k2".into(), text: "a'".into() };
    assert!(!store.reseal(&acme, 1, &anew).await.unwrap());
    assert!(matches!(begin(bench, None, 0).await, Turn::Yours { number: 1, .. }));
    assert!(!store.reseal(&acme, 1, &anew).await.unwrap(), "nothing is kept yet");
    assert!(end(bench, 1, RenewalEnd::Granted(sealed("a"))).await);
    assert!(store.reseal(&acme, 1, &anew).await.unwrap());
    assert_eq!(begin(bench, None, 1).await, Turn::Newer(KeptGrant { number: 1, sealed: anew.clone() }));
    assert!(matches!(begin(bench, Some(1), 2).await, Turn::Yours { number: 2, .. }));
    assert!(end(bench, 2, RenewalEnd::Granted(sealed("b"))).await);
    assert!(!store.reseal(&acme, 1, &anew).await.unwrap());
    assert_eq!(begin(bench, None, 3).await, newer(2, "b"));
}
