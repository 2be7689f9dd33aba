//! The open batch against a model: what is put, taken back and put again, seen by the writer at once and
//! by readers from the commit on.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::tests::{Shared, agree, all, pairs, singles};
use crate::{Key, TableId, Writer};

type Model = BTreeMap<(TableId, Key), Vec<u8>>;

#[derive(Debug, Clone)]
enum Act {
    Put((TableId, Key), usize),
    Delete((TableId, Key)),
    Mark,
    TakeBack,
    Discard,
    Commit,
    Restart,
}

fn key() -> impl Strategy<Value = (TableId, Key)> {
    prop_oneof![
        (0u64..3, 0u64..12).prop_map(|(owner, id)| (pairs(), Key::new(owner, id))),
        (0u64..12).prop_map(|id| (singles(), Key::new(id, 0))),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => (key(), 0usize..200).prop_map(|(key, len)| Act::Put(key, len)),
        6 => key().prop_map(Act::Delete),
        5 => Just(Act::Mark),
        3 => Just(Act::TakeBack),
        1 => Just(Act::Discard),
        2 => Just(Act::Commit),
        1 => Just(Act::Restart),
    ]
}

/// What the writer itself sees, in order and by key.
fn sees(writer: &Writer, model: &Model) {
    let mut found = Vec::new();
    for table in [pairs(), singles()] {
        for owner in all(|from, into| writer.owners(table, from, into).unwrap()) {
            if table.is_of_pairs() {
                let ids = all(|from, into| writer.ids(table, owner, from, into).unwrap());
                found.extend(ids.into_iter().map(|id| (table, Key::new(owner, id))));
            } else {
                found.push((table, Key::new(owner, 0)));
            }
        }
    }
    let mut known: Vec<_> = model.keys().copied().collect();
    known.sort_by_key(|(table, key)| (!table.is_of_pairs(), *key));
    assert_eq!(found, known);
    let arena = bumpalo::Bump::new();
    for ((table, key), value) in model {
        assert_eq!(writer.get_in(*table, *key, &arena).unwrap(), Some(&value[..]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_open_batch_is_what_a_map_is(acts in proptest::collection::vec(act(), 1..150)) {
        let shared = Shared::new(8 << 20);
        let (mut writer, reader) = (shared.create(), shared.reader());
        let (mut committed, mut marked, mut now) = (Model::new(), Model::new(), Model::new());
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Put(key, len) => {
                    let value = vec![number as u8; len];
                    let (first, second) = value.split_at(len / 3);
                    writer.put(key.0, key.1, &[first, second]).unwrap();
                    now.insert(key, value);
                }
                Act::Delete(key) => {
                    writer.delete(key.0, key.1).unwrap();
                    now.remove(&key);
                    prop_assert!(!writer.contains(key.0, key.1).unwrap());
                }
                Act::Mark => {
                    writer.mark();
                    marked.clone_from(&now);
                }
                Act::TakeBack => {
                    writer.take_back();
                    now.clone_from(&marked);
                }
                Act::Discard | Act::Restart => {
                    let values = committed.len();
                    if matches!(act, Act::Discard) {
                        writer.discard();
                    } else {
                        let (mut before, note) = (writer.usage(), writer.note());
                        drop(writer);
                        writer = shared.take_over();
                        // The places of the open batch are free again.
                        before.used_bytes = writer.usage().used_bytes;
                        before.free_bytes = writer.usage().free_bytes;
                        prop_assert_eq!((writer.usage(), writer.note()), (before, note));
                    }
                    now.clone_from(&committed);
                    marked.clone_from(&committed);
                    prop_assert_eq!(committed.len(), values);
                }
                Act::Commit => {
                    let note = [number as u64, 7];
                    let batch = writer.commit(note).unwrap();
                    prop_assert_eq!(writer.note(), note);
                    prop_assert_eq!(writer.batch(), batch);
                    committed.clone_from(&now);
                    marked.clone_from(&now);
                    agree(&reader, &committed);
                    let used = writer.usage();
                    prop_assert_eq!(shared.take_over().usage(), used, "a place was lost or is used twice");
                }
            }
            sees(&writer, &now);
        }
        writer.discard();
        agree(&reader, &committed);
        prop_assert_eq!(writer.usage(), shared.take_over().usage());
        prop_assert_eq!(writer.changes(), 0);
    }
}

#[test]
fn a_batch_that_finds_no_room_stays_open_and_is_committed_later() {
    let shared = Shared::new(3 << 20);
    let mut writer = shared.create();
    let mut model = Model::new();
    let large = vec![1; 60_000];
    let mut id = 0;
    while writer.put(pairs(), Key::new(1, id), &[&large]).is_ok() {
        model.insert((pairs(), Key::new(1, id)), large.clone());
        id += 1;
    }
    // Every place is taken, those for the list too.
    let mut small = 0;
    while writer.put(singles(), Key::new(small, 0), &[b"x"]).is_ok() {
        model.insert((singles(), Key::new(small, 0)), b"x".to_vec());
        small += 1;
    }
    writer.mark();
    for _ in 0..3 {
        assert!(matches!(writer.commit([1; 2]), Err(crate::CommitError::Full { .. })));
        sees(&writer, &model);
    }
    agree(&shared.reader(), &Model::new());
    // Lists, buckets and what overflows have chunks of their own.
    for id in 0..8 {
        writer.delete(pairs(), Key::new(1, id)).unwrap();
        model.remove(&(pairs(), Key::new(1, id)));
    }
    writer.commit([2; 2]).unwrap();
    agree(&shared.reader(), &model);
    assert_eq!(writer.note(), [2; 2]);
    assert_eq!(shared.take_over().usage(), writer.usage());
}

/// The first try splits buckets and then finds no room: the second knows that the slots of what was there lie
/// elsewhere.
#[test]
fn a_batch_that_split_buckets_in_vain_stores_where_the_slots_are_by_now() {
    let shared = Shared::new(8 << 20);
    let mut writer = shared.create();
    let mut model = Model::new();
    let put =
        |writer: &mut Writer, table, id, value: &[u8]| writer.put(table, Key::new(id, 0), &[value]);
    for id in 0..400 {
        put(&mut writer, singles(), id, b"before").unwrap();
    }
    writer.commit([1; 2]).unwrap();
    for id in 0..400 {
        put(&mut writer, singles(), id, b"after").unwrap();
        model.insert((singles(), Key::new(id, 0)), b"after".to_vec());
    }
    for id in 400..1500 {
        put(&mut writer, singles(), id, b"new").unwrap();
        model.insert((singles(), Key::new(id, 0)), b"new".to_vec());
    }
    // More in the redo ring than it holds: that is seen behind the splits.
    let redo_entries = writer.fixed.redo_entries;
    let buckets = writer.index.buckets();
    writer.fixed.redo_entries = 64;
    let refused = writer.commit([2; 2]);
    writer.fixed.redo_entries = redo_entries;
    assert!(matches!(refused, Err(crate::CommitError::TooMany { .. })));
    assert!(writer.index.buckets() > buckets);
    let split = writer.index.buckets();
    writer.commit([2; 2]).unwrap();
    assert_eq!(writer.index.buckets(), split, "none is left to be split");
    agree(&shared.reader(), &model);
    assert_eq!(shared.take_over().usage(), writer.usage());
}

#[test]
fn one_batch_changes_as_many_keys_as_it_says_and_says_when_it_is_full() {
    let shared = Shared::new(16 << 20);
    let mut writer = shared.create();
    for id in 0..writer.changes_max() {
        writer.put(pairs(), Key::new(id, 0), &[b"each has a list of its own"]).unwrap();
    }
    writer.commit([0; 2]).unwrap();
    let put = |writer: &mut Writer, id| writer.put(pairs(), Key::new(id, 0), &[b"again"]);
    let full = (0..1 << 20).find_map(|id| put(&mut writer, id).err());
    assert!(matches!(full, Some(crate::CommitError::TooMany { .. })));
    let changes = writer.changes();
    assert!(changes >= writer.changes_max());
    writer.commit([0; 2]).unwrap();
    let mut value = Vec::new();
    assert!(shared.reader().get(pairs(), Key::new(changes - 1, 0), &mut value).unwrap());
    assert_eq!(value, b"again");
}

/// A list is read page by page, and each of its edits in the open batch is gathered once for all pages.
#[test]
fn a_long_list_that_changes_is_read_in_one_go() {
    let shared = Shared::new(16 << 20);
    let mut writer = shared.create();
    let (owners, ids) = (8, 1_000);
    for owner in 1..=owners {
        (0..ids).for_each(|id| writer.put(pairs(), Key::new(owner, id * 2), &[]).unwrap());
        writer.commit([0; 2]).unwrap();
    }
    for owner in 1..=owners {
        (0..ids / 4).for_each(|id| writer.put(pairs(), Key::new(owner, id * 8 + 1), &[]).unwrap());
    }
    let before = writer.current.gathered();
    let mut found = 0;
    for owner in all(|from, into| writer.owners(pairs(), from, into).unwrap()) {
        found += all(|from, into| writer.ids(pairs(), owner, from, into).unwrap()).len() as u64;
    }
    assert_eq!(found, owners * (ids + ids / 4));
    // Those of the ids once for the owners and once for themselves, and one for each owner.
    let gathered = (writer.current.gathered() - before) as u64;
    assert_eq!(gathered, owners * (2 * (ids / 4) + 1));
}
