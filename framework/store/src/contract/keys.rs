//! Match keys and groups (rule 27).

use super::Bench;
use super::kit::{commit, done, linked, look_at, pair, seq, unit, write};
use crate::{Group, Key, KeyWrite, LinkState, LocalBinding, Side, Store};
use bothways_model::PairId;

fn key(pair: PairId, side: Side, id: &str, value: Option<&str>, seen: i64) -> Key {
    let content = (side == Side::Remote).then(|| serde_json::json!({"id": id, "n": [1, null, "é"]}));
    Key { pair, side, id: id.into(), value: value.map(str::to_owned), seen: seq(seen), content }
}

async fn put(store: &dyn Store, keys: &[Key]) {
    let writes: Vec<_> = keys.iter().cloned().map(KeyWrite::Put).collect();
    store.write_keys(&writes).await.unwrap();
}

async fn group(store: &dyn Store, pair: PairId, value: &str) -> Group {
    store.groups_of(pair, &[value.to_owned()]).await.unwrap().remove(0)
}

fn ids(members: &[crate::GroupMember]) -> Vec<&str> {
    members.iter().map(|m| m.key.id.as_str()).collect()
}

/// Both sides, in the order asked, an empty one for nobody's value; null matches nothing.
pub async fn groups_hold_both_sides(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let other = store.ensure_pair(&super::kit::spec("customers", "other")).await.unwrap().id;
    let keys = [
        key(pair, Side::Local, "1", Some("a"), 1),
        key(pair, Side::Remote, "cus_1", Some("a"), 1),
        key(pair, Side::Remote, "cus_2", Some("a"), 1),
        key(pair, Side::Local, "2", Some("b"), 1),
        key(pair, Side::Local, "3", None, 1),
        key(other, Side::Local, "4", Some("a"), 1),
    ];
    put(store, &keys).await;
    let asked: Vec<String> = ["b", "none", "a", "b"].map(str::to_owned).to_vec();
    let groups = store.groups_of(pair, &asked).await.unwrap();
    let values: Vec<_> = groups.iter().map(|g| g.value.as_deref().unwrap_or("?")).collect();
    assert_eq!(values, ["b", "none", "a", "b"]);
    assert_eq!((ids(&groups[0].local), ids(&groups[0].remote)), (vec!["2"], vec![]));
    assert_eq!((ids(&groups[1].local), ids(&groups[1].remote)), (vec![], vec![]));
    assert_eq!((ids(&groups[2].local), ids(&groups[2].remote)), (vec!["1"], vec!["cus_1", "cus_2"]));
    assert_eq!(groups[2].remote[0].key, keys[1]);
    assert_eq!(groups[3], groups[0]);
}

/// An older observation never replaces a newer one.
pub async fn newer_observations_win(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    put(store, &[key(pair, Side::Remote, "cus_1", Some("new"), 5)]).await;
    put(store, &[key(pair, Side::Remote, "cus_1", Some("old"), 4)]).await;
    assert_eq!(ids(&group(store, pair, "new").await.remote), ["cus_1"]);
    assert!(group(store, pair, "old").await.remote.is_empty());
    // Within one call too, in either order.
    let (seven, six) =
        (key(pair, Side::Remote, "cus_1", Some("7"), 7), key(pair, Side::Remote, "cus_1", Some("6"), 6));
    put(store, &[seven, six]).await;
    assert_eq!(ids(&group(store, pair, "7").await.remote), ["cus_1"]);
    let gone = KeyWrite::Drop { pair, side: Side::Remote, id: "cus_1".into() };
    let back = KeyWrite::Put(key(pair, Side::Remote, "cus_1", Some("8"), 3));
    store.write_keys(&[gone, back]).await.unwrap();
    assert_eq!(ids(&group(store, pair, "8").await.remote), ["cus_1"], "a dropped key has no number");
}

/// Linked candidates count: live links, and closed ones too.
pub async fn say_who_is_linked(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let keys = ["1", "2", "3"].map(|id| key(pair, Side::Local, id, Some("a"), 1));
    put(store, &keys).await;
    put(store, &["r1", "r2", "r3"].map(|id| key(pair, Side::Remote, id, Some("a"), 1))).await;
    linked(store, pair, 1, Some(&"1".into()), Some("r1")).await;
    let second = linked(store, pair, 2, Some(&"2".into()), Some("r2")).await;
    let taken = look_at(store, &second, 20).await;
    let mut close = unit(&taken);
    let mut closed = second.clone();
    closed.state = LinkState::Unlinked;
    close.confirm = Some(write(&closed, LocalBinding::Keep));
    done(commit(store, close).await);
    let group = group(store, pair, "a").await;
    let states = |members: &[crate::GroupMember]| members.iter().map(|m| m.link).collect::<Vec<_>>();
    let expected = [Some(LinkState::Linked), Some(LinkState::Unlinked), None];
    assert_eq!(states(&group.local), expected);
    assert_eq!(states(&group.remote), expected);
}

/// Every group with an unlinked member exactly once, in pages, values before single records.
pub async fn list_unlinked_groups_in_pages(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let mut keys = Vec::new();
    for (n, value) in ["b", "a", "c:x", "d", "é"].iter().enumerate() {
        keys.push(key(pair, Side::Local, &format!("l{n}"), Some(value), 1));
        keys.push(key(pair, Side::Remote, &format!("r{n}"), Some(value), 1));
    }
    keys.push(key(pair, Side::Local, "none:1", None, 1));
    keys.push(key(pair, Side::Remote, "none:1", None, 1));
    keys.push(key(pair, Side::Remote, "none:2", None, 1));
    put(store, &keys).await;
    linked(store, pair, 1, Some(&"l3".into()), Some("r3")).await;
    linked(store, pair, 2, Some(&"l1".into()), Some("elsewhere")).await;
    linked(store, pair, 3, None, Some("none:2")).await;
    for size in [1, 2, 3, 100] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = store.unlinked_groups(pair, after.as_deref(), size).await.unwrap();
            assert!(page.len() <= size);
            all.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let shown: Vec<_> = all.iter().map(|g| (g.value.as_deref(), ids(&g.local), ids(&g.remote))).collect();
        let expected = vec![
            (Some("a"), vec!["l1"], vec!["r1"]),
            (Some("b"), vec!["l0"], vec!["r0"]),
            (Some("c:x"), vec!["l2"], vec!["r2"]),
            (Some("é"), vec!["l4"], vec!["r4"]),
            (None, vec!["none:1"], vec![]),
            (None, vec![], vec!["none:1"]),
        ];
        assert_eq!(shown, expected, "pages of {size}");
    }
}

/// A hopeless group does not fill the memory.
pub async fn are_limited(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    let many: Vec<_> =
        (0..50).map(|n| key(pair, Side::Remote, &format!("r{n:02}"), Some("same"), 1)).collect();
    put(store, &many).await;
    let group = group(store, pair, "same").await;
    assert_eq!(group.remote.len(), Group::LIMIT);
    assert_eq!(store.unlinked_groups(pair, None, 9).await.unwrap().0[0].remote.len(), Group::LIMIT);
}

/// A linked record's content is dropped, its value kept.
pub async fn linked_drops_the_content(bench: &dyn Bench) {
    let store = bench.store();
    let pair = pair(store).await;
    put(store, &[key(pair, Side::Remote, "cus_1", Some("a"), 1)]).await;
    let linked = KeyWrite::Linked { pair, side: Side::Remote, id: "cus_1".into() };
    let nobody = KeyWrite::Linked { pair, side: Side::Remote, id: "nobody".into() };
    store.write_keys(&[linked, nobody]).await.unwrap();
    let group = group(store, pair, "a").await;
    assert_eq!(group.remote[0].key, Key { content: None, ..key(pair, Side::Remote, "cus_1", Some("a"), 1) });
}
