//! Whatever form a value lies in, it is read as it was put: by its writer, by readers, behind what was taken
//! back and behind restarts.

mod damage;
mod short;

use std::collections::BTreeMap;

use mixcord_event::Document;

use crate::form::{PACKED, SHAPED, document_at};
use crate::shapes::SHAPES_MAX;
use crate::table::at;
use crate::tables::{GUILD_FACTS, MEMBERS, MESSAGES, ROLES, USERS};
use crate::{Arena, Key, Packing, Read, Resource, State, Table, Tally, Writer, format};

struct Store {
    dir: tempfile::TempDir,
    writer: Option<Writer>,
    /// What is committed, and what the open batch has.
    committed: BTreeMap<Key, Vec<u8>>,
    open: BTreeMap<Key, Vec<u8>>,
    marked: BTreeMap<Key, Vec<u8>>,
}

impl Store {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let writer = Writer::create(dir.path(), 64 << 20).unwrap();
        let text = format::text(writer.version()).unwrap();
        std::fs::write(dir.path().join(format::FORMAT_FILE), text).unwrap();
        let none = BTreeMap::new;
        Self { dir, writer: Some(writer), committed: none(), open: none(), marked: none() }
    }

    /// Of a version of before.
    fn of(version: u32) -> Self {
        let mut store = Self::new();
        store.writer = None;
        let path = store.dir.path().join(format::TABLE_FILE);
        std::fs::remove_file(&path).unwrap();
        let limits = mixcord_table::Limits { bytes_max: 64 << 20, step_bytes: 1 << 20 };
        let before = format::format_of_table(version);
        drop(mixcord_table::FileWriter::create(&path, before, limits).unwrap());
        let text = format::text(version).unwrap();
        std::fs::write(store.dir.path().join(format::FORMAT_FILE), text).unwrap();
        store.reopen();
        assert_eq!(store.writer().version(), version);
        store
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().unwrap()
    }

    fn put(&mut self, key: Key, parts: &[&[u8]]) {
        self.writer().put(key, parts).unwrap();
        self.open.insert(key, parts.concat());
    }

    fn commit(&mut self) {
        self.writer().commit((0, 0)).unwrap();
        self.committed = self.open.clone();
        self.marked = self.open.clone();
    }

    fn reopen(&mut self) {
        self.writer = None;
        self.writer = Some(Writer::open(self.dir.path(), 64 << 20).unwrap());
        self.open = self.committed.clone();
        self.marked = self.committed.clone();
    }

    fn check(&mut self) {
        let arena = Arena::default();
        for (key, value) in &self.open {
            let found = self.writer.as_ref().unwrap().get(*key, &arena).unwrap();
            assert_eq!(found, Some(&value[..]), "{key:?}");
        }
        let mut seen = BTreeMap::new();
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
            let view = self.writer.as_ref().unwrap().view(&arena);
            view.scan(table.all(), &mut |key, value| {
                seen.insert(key, value.to_vec());
                true
            })
            .unwrap();
        }
        assert_eq!(seen, self.open);
        let state = State::open(self.dir.path()).unwrap();
        for (key, value) in &self.committed {
            let found =
                crate::View::new(&state.source, &arena).get(*key).unwrap().map(<[u8]>::to_vec);
            assert_eq!(found.as_ref(), Some(value), "{key:?}");
        }
    }

    /// The first bytes of the document, as they lie there.
    fn form_of(&mut self, key: Key) -> Vec<u8> {
        let state = State::open(self.dir.path()).unwrap();
        let mut bytes = Vec::new();
        assert!(state.source.reader.get(key.table().id(), at(key), &mut bytes).unwrap());
        bytes.split_off(document_at(key.table()).unwrap())
    }
}

fn document(json: &str) -> Vec<u8> {
    Document::from_json(json).unwrap().into_bytes()
}

/// A member with so many keys, and text that makes the difference of a unit.
fn member(keys: u32, text: &str) -> Vec<u8> {
    let more: String = (0..keys).map(|key| format!(r#""key {key}": null, "#)).collect();
    document(&format!(
        r#"{{{more} "avatar": null, "deaf": false, "flags": 0, "joined_at": "{text}", "mute": false, "nick": null,
        "pending": false, "premium_since": null, "roles": ["1"], "banner": null, "communication_disabled_until": null}}"#
    ))
}

/// What many have in common is kept once: from the second document on.
#[test]
fn the_second_document_of_a_shape_lies_by_it() {
    let mut store = Store::new();
    for id in 1..=3 {
        store.put(MEMBERS.at(7, id), &[&member(9, "2020")]);
    }
    store.commit();
    let plain = member(9, "2020");
    assert_eq!(store.form_of(MEMBERS.at(7, 1)), plain);
    for id in 2..=3 {
        let form = store.form_of(MEMBERS.at(7, id));
        assert_eq!(form[..3], [SHAPED, 0, 0], "its number");
        assert!(form.len() * 2 < plain.len(), "{} of {}", form.len(), plain.len());
    }
    store.check();
}

#[test]
fn a_user_keeps_its_count_before_its_document() {
    let mut store = Store::new();
    for id in 1..=4_u64 {
        let user = member(9, &id.to_string());
        store.put(USERS.at(id), &[&u32::try_from(id).unwrap().to_le_bytes(), &user]);
    }
    store.commit();
    store.check();
    assert_eq!(store.form_of(USERS.at(4))[0], SHAPED);
    let arena = Arena::default();
    let found = store.writer().get(USERS.at(4), &arena).unwrap().unwrap();
    assert_eq!(Tally::from_bytes(found).unwrap().holders, 4);
}

/// A shape that saves no memory is none: places are whole units.
#[test]
fn what_saves_nothing_lies_as_it_is() {
    let mut store = Store::new();
    let small = document(r#"{"id": "5", "name": "a", "nick": null}"#);
    for id in 1..=4 {
        store.put(ROLES.at(7, id), &[&small]);
    }
    // No document at all, and one of another kind.
    store.put(ROLES.at(7, 5), &[&[]]);
    store.put(ROLES.at(7, 6), &[&document("[]")]);
    store.put(GUILD_FACTS.at(7), &[&[SHAPED; 21]]);
    store.commit();
    assert_eq!(store.form_of(ROLES.at(7, 4)), small);
    store.check();
}

/// Batches of documents of many shapes, marked, taken back, discarded and committed by turns, with restarts:
/// a model knows what is there.
#[test]
fn whatever_is_taken_back_every_value_has_its_shape() {
    let mut dice = 0x1234_5678_9ABC_DEF1_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (dice >> 33) % sides
    };
    let mut store = Store::new();
    let mut shaped = 0;
    for step in 0..2000 {
        match roll(12) {
            0 => store.commit(),
            1 => {
                store.writer().mark();
                store.marked = store.open.clone();
            }
            2 => {
                store.writer().take_back();
                store.open = store.marked.clone();
            }
            3 if roll(3) == 0 => {
                store.writer().discard();
                store.open = store.committed.clone();
                store.marked = store.committed.clone();
            }
            4 if roll(8) == 0 => store.reopen(),
            5 => {
                let key = MEMBERS.at(roll(3), roll(20));
                store.writer().delete(key).unwrap();
                store.open.remove(&key);
            }
            _ => {
                let document =
                    member(u32::try_from(roll(40)).unwrap(), &"x".repeat(roll(60) as usize));
                match roll(3) {
                    0 => store.put(USERS.at(roll(20)), &[&[1, 0, 0, 0], &document]),
                    1 => store.put(MESSAGES.at(roll(3), roll(20)), &[&document]),
                    _ => store.put(MEMBERS.at(roll(3), roll(20)), &[&document]),
                }
            }
        }
        if step % 50 == 0 {
            store.check();
            let keys: Vec<Key> = store.committed.keys().copied().collect();
            shaped += keys.into_iter().filter(|key| store.form_of(*key)[0] == SHAPED).count();
        }
    }
    assert!(shaped > 200, "{shaped}");
}

/// P7: shapes are bounded, and what comes behind them lies as it is.
#[test]
fn there_are_no_more_shapes_than_there_may_be() {
    let mut store = Store::new();
    let shaped = |number: usize| {
        let bits: String =
            (0..13).map(|bit| format!(r#""k{bit}": {}, "#, number >> bit & 1 == 1)).collect();
        document(&format!(
            r#"{{{bits} "a long key of its own": null, "another long key of its own": null, "n": 5}}"#
        ))
    };
    for number in 0..SHAPES_MAX + 10 {
        for id in 0..2 {
            store.put(MEMBERS.at(number as u64, id), &[&shaped(number)]);
        }
        if number % 1000 == 999 {
            store.commit();
        }
    }
    store.commit();
    let forms = |store: &mut Store, number: usize| store.form_of(MEMBERS.at(number as u64, 1))[0];
    assert_eq!(forms(&mut store, SHAPES_MAX - 1), SHAPED);
    assert_ne!(forms(&mut store, SHAPES_MAX), SHAPED);
    store.check();
    // No number is used again.
    store.reopen();
    store.put(MEMBERS.at(9999, 1), &[&shaped(SHAPES_MAX)]);
    store.put(MEMBERS.at(9999, 2), &[&shaped(SHAPES_MAX)]);
    store.commit();
    store.check();
}

/// P11: a table of a release before stays readable for that release.
#[test]
fn a_table_of_the_first_version_gets_no_forms() {
    let mut store = Store::of(4);
    for id in 1..=4 {
        store.put(MEMBERS.at(7, id), &[&member(9, "2020")]);
    }
    store.commit();
    store.check();
    assert_eq!(store.form_of(MEMBERS.at(7, 4)), member(9, "2020"));
}

/// What is said of the sizes is what lies there, of all as of some.
#[test]
fn raw_and_stored_bytes_are_told_apart() {
    let mut store = Store::new();
    for id in 1..=100 {
        store.put(MEMBERS.at(id % 3, id), &[&member(9, "2020")]);
    }
    store.commit();
    let keys: Vec<Key> = store.open.keys().copied().collect();
    let stored: u64 = keys.into_iter().map(|key| store.form_of(key).len() as u64).sum();
    let raw: u64 = store.open.values().map(|value| value.len() as u64).sum();
    let state = State::open(store.dir.path()).unwrap();
    let sizes = state.sizes().unwrap();
    let of = |resource| *sizes.iter().find(|sizes| sizes.resource == resource).unwrap();
    let members = of(Resource::Members);
    assert_eq!((members.raw_bytes, members.stored_bytes), (raw, stored));
    let totals = state.source.reader.totals_of(Table::Members.id());
    assert_eq!(members.overhead_bytes, totals.bytes - stored);
    assert!(raw > stored * 2 && members.overhead_bytes > 100 * 32, "{members:?}");
    let none = of(Resource::Messages);
    assert_eq!((none.raw_bytes, none.stored_bytes, none.overhead_bytes), (0, 0, 0));
    // The first of each ten: one more of them is not by its shape.
    let some = crate::sizes::of(&state.source, Resource::Members, 10).unwrap();
    assert_eq!(some.raw_bytes, raw);
    assert!(some.stored_bytes.abs_diff(stored) < stored / 5, "{some:?} {stored}");
}

/// Messages are packed page by page and read as before, also by who opens the store later; one that is written
/// again lies as it is written, until it is packed again.
#[test]
fn messages_that_rest_are_packed_and_read_as_they_were() {
    let mut store = Store::new();
    let key = |id: u64, received_us: u64| crate::Cached { id, received_us }.key();
    let minute = 1 << 26;
    let message = |id: u64| {
        let text = "do you know what the others are doing today? ".repeat(id as usize % 5 + 1);
        member(9, &format!("{text}{id}"))
    };
    let keys: Vec<Key> = (0..300).map(|id| key(id, id / 100 * 3 * minute)).collect();
    for (id, key) in keys.iter().enumerate() {
        store.put(*key, &[&message(id as u64)]);
    }
    store.put(ROLES.at(1, 1), &[&member(9, "a role is no message")]);
    store.commit();
    let packed = |store: &mut Store| {
        let forms = keys.iter().map(|key| store.form_of(*key)[0]).collect::<Vec<_>>();
        forms.iter().filter(|form| **form == PACKED).count()
    };
    // One at a time, then all up to the second of three minutes.
    let mut behind = None;
    for _ in 0..3 {
        let mut left = 1;
        let mut is_enough = || std::mem::replace(&mut left, 0) == 0;
        let packed = store.writer().pack_messages(behind, 3 * minute, &mut is_enough).unwrap();
        let Packing::Paused(at) = packed else { panic!("one was enough") };
        behind = at;
        store.commit();
    }
    assert_eq!(behind, Some(keys[2]));
    assert_eq!(packed(&mut store), 2, "the first has no shape");
    let all = |store: &mut Store, behind| {
        store.writer().pack_messages(behind, 3 * minute, &mut || false).unwrap()
    };
    assert_eq!(all(&mut store, behind), Packing::Done);
    store.writer().discard();
    assert_eq!(packed(&mut store), 2, "taken back");
    assert_eq!(all(&mut store, None), Packing::Done);
    let never = store.writer().pack_messages(None, 3 * minute, &mut || true).unwrap();
    assert_eq!(never, Packing::Paused(None));
    store.commit();
    let count = packed(&mut store);
    assert!((150..=199).contains(&count), "{count} of the 200 of two minutes");
    store.check();
    store.reopen();
    store.check();
    store.put(keys[7], &[&message(8)]);
    store.commit();
    assert_eq!(packed(&mut store), count - 1);
    store.check();
    let state = State::open(store.dir.path()).unwrap();
    let sizes = crate::sizes::of(&state.source, Resource::Messages, 1000).unwrap();
    assert!(sizes.raw_bytes * 2 > sizes.stored_bytes * 3, "{sizes:?}");
}
