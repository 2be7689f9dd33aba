use super::*;
use crate::{Env, State};

/// A store with what `fill` writes.
fn store(dir: &std::path::Path, fill: impl FnOnce(&mut crate::WriteTxn<'_>)) -> State {
    let env = Env::prepare(dir, 32 << 20).unwrap().finish().unwrap();
    write(&env, fill);
    State::of(env)
}

fn write(env: &Env, fill: impl FnOnce(&mut crate::WriteTxn<'_>)) {
    let mut txn = env.write().unwrap();
    fill(&mut txn);
    txn.commit().unwrap();
}

fn role(id: u64, bytes: usize) -> Vec<u8> {
    let text = format!(r#"{{"id":"{id}","name":"{}"}}"#, "x".repeat(bytes));
    Document::from_json(&text).unwrap().into_bytes()
}

/// Ids by owner, page by page.
fn pages(state: &State, mut scan: Scan) -> Vec<Vec<(u64, u64)>> {
    let mut pages = Vec::new();
    while !scan.is_done() {
        let page = state.page(&mut scan).unwrap();
        pages.push(page.iter().map(|found| (found.owner, found.id)).collect());
    }
    pages
}

#[test]
fn a_page_has_so_many_entities_at_most_and_all_come_once_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<_> = (1..=3).flat_map(|owner| (0..300).map(move |id| (owner, id))).collect();
    let state = store(dir.path(), |txn| {
        for &(owner, id) in &keys {
            txn.put(Table::Roles, Key::pair(owner, id), &role(id, 1)).unwrap();
        }
    });
    let all = pages(&state, Scan::all(Resource::Roles));
    assert!(all.iter().all(|page| page.len() <= KEYS) && all.len() == 4, "{}", all.len());
    assert_eq!(all.concat(), keys);
    assert_eq!(pages(&state, Scan::of(Resource::Roles, 2)).concat(), keys[300..600]);
    assert_eq!(pages(&state, Scan::of(Resource::Roles, 9)).concat(), []);
    // The very last keys there can be.
    let limits = [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)];
    write(state.env(), |txn| {
        for (owner, id) in limits {
            txn.put(Table::Channels, Key::pair(owner, id), &role(id, 1)).unwrap();
        }
    });
    assert_eq!(pages(&state, Scan::all(Resource::Channels)).concat(), limits);
}

#[test]
fn a_page_of_large_entities_is_short() {
    let dir = tempfile::tempdir().unwrap();
    let state = store(dir.path(), |txn| {
        for id in 0..50 {
            txn.put(Table::Roles, Key::pair(1, id), &role(id, 200_000)).unwrap();
        }
    });
    let all = pages(&state, Scan::all(Resource::Roles));
    assert!(all.iter().all(|page| page.len() <= BYTES / 200_000 + 1), "{all:?}");
    assert_eq!(all.concat(), (0..50).map(|id| (1, id)).collect::<Vec<_>>());
}

#[test]
fn messages_come_from_either_side_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let state = store(dir.path(), |txn| {
        let mut facts = crate::ChannelFacts::default();
        for id in (0..600).chain([u64::MAX]) {
            // Received in another order than that of their ids.
            let message = crate::Cached { id, received_us: 1 + id % 7 };
            let document = Document::from_json(&format!(r#"{{"id":"{id}","channel_id":"7"}}"#));
            txn.put(Table::Messages, message.key(), document.unwrap().as_bytes()).unwrap();
            facts.insert(message);
        }
        txn.put(Table::ChannelFacts, Key::pair(4, 7), facts.as_bytes()).unwrap();
        txn.put(Table::ChannelMap, Key::one(7), &4_u64.to_le_bytes()).unwrap();
    });
    let ids =
        |scan| -> Vec<u64> { pages(&state, scan).concat().into_iter().map(|(_, id)| id).collect() };
    let down = |from: u64, to: u64| (to..=from).rev().collect::<Vec<_>>();
    assert_eq!(ids(Scan::messages_before(7, 600, 1_000)), down(599, 0));
    assert_eq!(ids(Scan::messages_before(7, 600, 300)), down(599, 300));
    assert_eq!(ids(Scan::messages_before(7, u64::MAX, 1)), [599]);
    assert_eq!(ids(Scan::messages_before(7, 0, 9)).len(), 0);
    assert_eq!(ids(Scan::messages_after(7, 597, 9)), [598, 599, u64::MAX]);
    assert_eq!(ids(Scan::messages_after(7, 0, 300)), (1..=300).collect::<Vec<_>>());
    assert_eq!(ids(Scan::messages_after(7, u64::MAX, 9)).len(), 0);
    assert_eq!(ids(Scan::messages_after(7, 1, 0)).len(), 0);
    assert_eq!(ids(Scan::of(Resource::Messages, 7)).len(), 601);
    assert_eq!(ids(Scan::of(Resource::Messages, 8)).len(), 0);
    let all = pages(&state, Scan::all(Resource::Messages)).concat();
    assert_eq!(all[..3], [(7, 0), (7, 7), (7, 14)], "in the order they were received");
    assert_eq!(all.len(), 601);
    let message = state.entity(Resource::Messages, 7, 599).unwrap();
    assert_eq!(message.unwrap().get(atoms::ID).and_then(Value::as_id), Some(599));
    assert!(state.entity(Resource::Messages, 7, 601).unwrap().is_none());
    assert!(state.entity(Resource::Messages, 8, 599).unwrap().is_none());
}

#[test]
fn what_stands_in_a_list_comes_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let list = |ids: &[u64]| {
        let items: Vec<_> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
        Document::from_json(&format!("[{}]", items.join(","))).unwrap().into_bytes()
    };
    let state = store(dir.path(), |txn| {
        txn.put(Table::Emojis, Key::one(1), &list(&[5, 4])).unwrap();
        txn.put(Table::Emojis, Key::one(2), &list(&[])).unwrap();
        txn.put(Table::Emojis, Key::one(3), &list(&[6])).unwrap();
    });
    let all = [(1, 5), (1, 4), (3, 6)];
    assert_eq!(pages(&state, Scan::all(Resource::Emojis)).concat(), all);
    assert_eq!(pages(&state, Scan::of(Resource::Emojis, 3)).concat(), [(3, 6)]);
    assert_eq!(state.count(Resource::Emojis).unwrap(), 3);
    assert!(state.entity(Resource::Emojis, 1, 4).unwrap().is_some());
    assert!(state.entity(Resource::Emojis, 3, 4).unwrap().is_none());
}

#[test]
fn what_goes_and_comes_between_two_pages_disturbs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = store(dir.path(), |txn| {
        for id in (0..1_000).step_by(2) {
            txn.put(Table::Roles, Key::pair(1, id), &role(id, 1)).unwrap();
        }
    });
    let mut scan = Scan::all(Resource::Roles);
    let first = state.page(&mut scan).unwrap();
    let last = first.last().unwrap().id;
    write(state.env(), |txn| {
        txn.delete(Table::Roles, Key::pair(1, last)).unwrap();
        txn.delete(Table::Roles, Key::pair(1, last + 2)).unwrap();
        txn.put(Table::Roles, Key::pair(1, last + 1), &role(0, 1)).unwrap();
        txn.put(Table::Roles, Key::pair(1, last - 1), &role(0, 1)).unwrap();
    });
    let second = state.page(&mut scan).unwrap();
    assert_eq!((second[0].id, second[1].id), (last + 1, last + 4));
}

#[test]
fn a_store_that_cannot_be_trusted_is_not_opened() {
    use crate::OpenError;
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |mode| {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o700);
    drop(store(dir.path(), |_| {}));
    assert!(matches!(State::open(dir.path()), Err(OpenError::NotFound { .. })), "no format");
    std::fs::write(dir.path().join("format"), crate::format::text().unwrap()).unwrap();
    drop(State::open(dir.path()).unwrap());
    mode(0o750);
    assert!(matches!(State::open(dir.path()), Err(OpenError::NotOurs { .. })));
    mode(0o700);
    std::fs::write(dir.path().join("format"), "mixcord-state 0\n").unwrap();
    assert!(matches!(State::open(dir.path()), Err(OpenError::Foreign { .. })));
    let gone = dir.path().join("gone");
    assert!(matches!(State::open(&gone), Err(OpenError::NotFound { .. })));
}

#[test]
fn what_is_appended_fills_pages_and_what_is_not_the_last_has_its_place() {
    let dir = tempfile::tempdir().unwrap();
    // Four on a page.
    let value = |id| role(id, 900);
    let state = store(dir.path(), |txn| {
        for id in (0..2_000).map(|n| n * 2) {
            txn.append(Table::Roles, Key::pair(1, id), &value(id)).unwrap();
        }
    });
    let bytes = state.env().read().unwrap().size(Table::Roles).unwrap().1;
    assert!(bytes < 2_000 / 4 * 4096 * 11 / 10, "{bytes}: pages are not full");
    write(state.env(), |txn| {
        for id in [1, 4, 3_998] {
            txn.append(Table::Roles, Key::pair(1, id), &value(9)).unwrap();
        }
    });
    let ids: Vec<u64> =
        pages(&state, Scan::all(Resource::Roles)).concat().iter().map(|(_, id)| *id).collect();
    assert!(ids.is_sorted() && ids.len() == 2_001);
    for id in [1, 4, 3_998] {
        let role = state.entity(Resource::Roles, 1, id).unwrap().unwrap();
        assert_eq!(role.as_bytes(), value(9));
    }
}
