//! Audit, history, tokens (rules 66, 68).

use super::Bench;
use super::kit::{at, commit, done, linked, look_at, pair, text, unit};
use crate::{
    ApiToken, AuditEntry, FieldChange, History, HistoryFilter, HistoryOp, Side, StoreErrorKind, TokenScope,
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
