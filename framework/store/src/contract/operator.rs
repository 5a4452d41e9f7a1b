//! Audit, history, tokens (rules 66, 68).

use super::Bench;
use super::kit::{at, base, commit, done, linked, look_at, open, pair, seq, text, unit, write};
use crate::{
    ApiToken, AuditEntry, Erased, FieldChange, History, HistoryFilter, HistoryOp, IntentState, IntentWrite,
    Key, KeyWrite, LinkState, LocalBinding, ParkReason, Parked, ParkedFilter, Side, StoreErrorKind,
    TokenScope,
};
use bothways_model::Value;

/// Append-only, newest first.
pub async fn audits_newest_first(bench: &dyn Bench) {
    let store = bench.store();
    for n in 0..3 {
        let entry = AuditEntry {
            at: at(0),
            by: "ada".into(),
            action: format!("a{n}"),
            detail: serde_json::json!({"n": n, "digest": "é"}),
        };
        store.audit(&entry).await.unwrap();
    }
    let two = store.audits(2).await.unwrap();
    assert_eq!(two.iter().map(|a| a.action.as_str()).collect::<Vec<_>>(), ["a2", "a1"]);
    assert_eq!(two[0].detail, serde_json::json!({"n": 2, "digest": "é"}));
}

/// Newest first, before a number, by every filter.
pub async fn pages_through_history(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let taken = look_at(store, &link, 20).await;
    let mut unit = unit(&taken);
    let entry = |n: usize| History {
        pair,
        link: (n != 0).then_some(link.id),
        local_id: (n != 1).then(|| "1".into()),
        remote_id: (n != 2).then(|| "cus_1".into()),
        side: if n == 0 { Side::Local } else { Side::Remote },
        op: HistoryOp::ALL[n],
        fields: [("name".to_owned(), FieldChange { before: None, after: Some(text("Ada")) })].into(),
        rules: vec![10, 21],
        cause: format!("c{n}"),
        approved_by: None,
        pass: (n == 3).then(|| "p".into()),
    };
    unit.history = (0..5).map(entry).collect();
    done(commit(store, unit).await);
    let list = async |filter: HistoryFilter, before: Option<i64>, limit: usize| {
        store.history(&filter, before, limit).await.unwrap()
    };
    let all = list(HistoryFilter::default(), None, 99).await;
    assert_eq!(
        all.iter().map(|h| h.entry.clone()).collect::<Vec<_>>(),
        (0..5).rev().map(entry).collect::<Vec<_>>()
    );
    assert!(all.iter().all(|h| h.at == at(10)));
    let page = list(HistoryFilter::default(), Some(all[1].id), 2).await;
    assert_eq!(page, all[2..4]);
    let by_link = HistoryFilter { link: Some(link.id), ..HistoryFilter::default() };
    assert_eq!(list(by_link, None, 99).await.len(), 4);
    let by_row = HistoryFilter { local_id: Some("1".into()), ..HistoryFilter::default() };
    assert_eq!(list(by_row, None, 99).await.len(), 4);
    let by_record = HistoryFilter { remote_id: Some("cus_1".into()), ..HistoryFilter::default() };
    assert_eq!(list(by_record, None, 99).await.len(), 4);
    let by_op = HistoryFilter { op: Some(HistoryOp::ALL[2]), pair: Some(pair), ..HistoryFilter::default() };
    assert_eq!(list(by_op, None, 99).await.len(), 1);
    let by_pass = HistoryFilter { pass: Some("p".into()), ..HistoryFilter::default() };
    assert_eq!(list(by_pass, None, 99).await.len(), 1);
    // Null before and unknown before are not the same.
    let mut unit = super::kit::unit(&look_at(store, &link, 30).await);
    let mut nulled = entry(0);
    nulled.fields.insert("email".into(), FieldChange { before: Some(Value::Null), after: None });
    unit.history = vec![nulled.clone()];
    done(commit(store, unit).await);
    assert_eq!(list(HistoryFilter::default(), None, 1).await[0].entry, nulled);
}

/// The installation's secret stays what it is.
pub async fn keeps_a_secret(bench: &dyn Bench) {
    let secret = bench.store().secret().await.unwrap();
    assert!(!secret.expose().is_empty());
    assert!(bench.store().secret().await.unwrap() == secret);
}

/// Made, used, revoked.
pub async fn keeps_tokens(bench: &dyn Bench) {
    let store = bench.store();
    let token = |hash: &str, name: &str| ApiToken {
        hash: hash.into(),
        name: name.into(),
        scope: TokenScope::Operate,
        created_at: at(1),
        expires_at: Some(at(99)),
        used_at: None,
        revoked_at: None,
    };
    store.add_token(&token("h1", "laptop")).await.unwrap();
    store.add_token(&token("h2", "server")).await.unwrap();
    assert_eq!(store.add_token(&token("h1", "copy")).await.unwrap_err().kind, StoreErrorKind::Refused);
    store.touch_token("h1", at(130)).await.unwrap();
    store.touch_token("nobody", at(130)).await.unwrap();
    assert!(store.revoke_token("server", at(9)).await.unwrap());
    assert!(!store.revoke_token("server", at(10)).await.unwrap());
    assert!(!store.revoke_token("nobody", at(10)).await.unwrap());
    let mut all = store.tokens().await.unwrap();
    all.sort_by(|a, b| a.hash.cmp(&b.hash));
    let used = ApiToken { used_at: Some(at(120)), ..token("h1", "laptop") };
    assert_eq!(all, [used, ApiToken { revoked_at: Some(at(9)), ..token("h2", "server") }]);
}

/// A link that let go of its row is the row's still.
pub async fn erases_what_let_go_of_its_row(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let link = linked(store, pair, 1, Some(&"1".into()), None).await;
    let mut written = unit(&look_at(store, &link, 20).await);
    written.intents = vec![open(&link, 1, "create")];
    done(commit(store, written).await);
    let mut over = unit(&look_at(store, &link, 30).await);
    let mut closed = link.clone();
    closed.state = LinkState::Unlinked;
    closed.body.former_local = Some("1".into());
    closed.body.base.insert("name".into(), base(Some(text("Ada")), None));
    over.confirm = Some(write(&closed, LocalBinding::Set(None)));
    over.intents = vec![IntentWrite::Close {
        link: link.id,
        number: 1,
        state: IntentState::Refused,
        outcome: "refused".into(),
    }];
    done(commit(store, over).await);

    let erased = store.erase(pair, Some(&"1".into()), None).await.unwrap();
    assert_eq!(erased, Erased { links: 1, intents: 1, ..Erased::default() });
    let left = store.link(link.id).await.unwrap().unwrap();
    assert!(left.body.base.is_empty(), "{left:?}");
    assert_eq!((left.local_id, left.body.former_local), (None, Some("1".into())));
    assert!(store.intents(link.id, 9).await.unwrap().is_empty());
}

/// Ids stay, values go; nobody else's, and none of a live link.
pub async fn erases_a_person(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let entry = |local: &str, remote: &str, link| History {
        pair,
        link,
        local_id: Some(local.into()),
        remote_id: Some(remote.into()),
        side: Side::Remote,
        op: HistoryOp::Update,
        fields: [("name".to_owned(), FieldChange { before: None, after: Some(text("Ada")) })].into(),
        rules: vec![10],
        cause: "only the local side changed".into(),
        approved_by: None,
        pass: None,
    };
    let key = |id: &str, value: &str| {
        let key = Key {
            pair,
            side: Side::Remote,
            id: id.into(),
            value: Some(value.into()),
            seen: seq(1),
            content: None,
        };
        KeyWrite::Put(key)
    };
    store.write_keys(&[key("cus_1", "ada@x.test"), key("cus_2", "bob@x.test")]).await.unwrap();
    let parked =
        Parked { reason: ParkReason::Ambiguous, message: "two".into(), digest: "d".into(), at: at(10) };
    store.park_group(pair, "ada@x.test", &parked).await.unwrap();
    store.park_group(pair, "bob@x.test", &parked).await.unwrap();

    let other = linked(store, pair, 2, Some(&"2".into()), Some("cus_2")).await;
    let link = linked(store, pair, 1, Some(&"1".into()), Some("cus_1")).await;
    let mut written = unit(&look_at(store, &link, 20).await);
    let mut known = link.clone();
    known.body.base.insert("name".into(), base(Some(text("Ada")), Some(text("Ada"))));
    known.body.created_by_us = true;
    written.confirm = Some(write(&known, LocalBinding::Keep));
    written.intents = vec![open(&link, 1, "update")];
    written.history = vec![
        entry("1", "cus_1", Some(link.id)),
        entry("2", "cus_2", Some(other.id)),
        entry("1", "cus_9", None),
    ];
    done(commit(store, written).await);

    let (local, remote) = ("1".into(), "cus_1".into());
    let erase = async || store.erase(pair, Some(&local), Some(&remote)).await;
    assert_eq!(erase().await.unwrap_err().kind, StoreErrorKind::Refused);
    let untouched = store.history(&HistoryFilter::default(), None, 9).await.unwrap();
    assert!(untouched.iter().all(|row| !row.entry.fields.is_empty()), "a refusal changes nothing");

    let mut bury = unit(&look_at(store, &link, 30).await);
    known.state = LinkState::Tombstone;
    bury.confirm = Some(write(&known, LocalBinding::Keep));
    bury.intents = vec![IntentWrite::Close {
        link: link.id,
        number: 1,
        state: IntentState::Confirmed,
        outcome: "confirmed".into(),
    }];
    done(commit(store, bury).await);

    let all = Erased { links: 1, intents: 1, history: 2, keys: 1, parked: 1 };
    assert_eq!(erase().await.unwrap(), all);
    assert_eq!(erase().await.unwrap(), Erased { links: 1, ..Erased::default() }, "there is nothing left");
    let left = store.link(link.id).await.unwrap().unwrap();
    assert_eq!(
        (left.state, left.local_id, left.remote_id),
        (LinkState::Tombstone, Some(local.clone()), Some(remote.clone()))
    );
    assert!(left.body.base.is_empty() && left.body.created_by_us);
    assert!(store.intents(link.id, 9).await.unwrap().is_empty());
    for row in store.history(&HistoryFilter::default(), None, 9).await.unwrap() {
        let others = row.entry.local_id == Some("2".into());
        assert_eq!(row.entry.fields.is_empty(), !others, "{row:?}");
    }
    let waiting = store.parked(&ParkedFilter::default(), None, 9).await.unwrap();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let groups = store.groups_of(pair, &["ada@x.test".to_owned(), "bob@x.test".to_owned()]).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.remote.len()).collect::<Vec<_>>(), [0, 1]);
}
