//! Moments beside a writer at full speed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::tests::{Done, Shared, pairs, singles};
use crate::{Key, ReadError, Want, Writer};

const OWNER: u64 = 7;

fn put(writer: &mut Writer, key: Key, number: u64) {
    // As long as it is large, so that half of another shows.
    let value = number.to_le_bytes().repeat(1 + (number % 7) as usize);
    writer.put(pairs(), key, &[&value]).unwrap();
}

fn number(value: &[u8]) -> u64 {
    let (words, []) = value.as_chunks::<8>() else { panic!("{} bytes", value.len()) };
    assert!(words.iter().all(|word| *word == words[0]));
    let number = u64::from_le_bytes(words[0]);
    assert_eq!(words.len() as u64, 1 + number % 7);
    number
}

/// What an owner has after each batch, as the changes since the one before.
#[derive(Default)]
struct Model(Mutex<Vec<Changes>>);

/// Ids, and what each became.
type Changes = Vec<(u64, Option<u64>)>;

impl Model {
    fn at(&self, batch: u64) -> BTreeMap<u64, u64> {
        let mut ids = BTreeMap::new();
        for (id, value) in self.0.lock().unwrap()[..batch as usize].iter().flatten() {
            match value {
                Some(value) => ids.insert(*id, *value),
                None => ids.remove(id),
            };
        }
        ids
    }
}

/// Changes the owner's entries, and others, in batches of 1 to 40 changes, until it is told to end.
fn write(writer: &mut Writer, model: &Model, entries: u64, done: &AtomicBool) {
    let mut random = 1u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut count = 0;
    while !done.load(Ordering::Acquire) {
        let mut changes = BTreeMap::new();
        for _ in 0..1 + next(40) {
            count += 1;
            // Some of others, some that come and go.
            let (owner, id) = (OWNER + next(2), next(entries + 50));
            let gone = id >= entries && next(2) == 0;
            if gone {
                writer.delete(pairs(), Key::new(owner, id)).unwrap();
            } else {
                put(writer, Key::new(owner, id), count);
            }
            if owner == OWNER {
                changes.insert(id, (!gone).then_some(count));
            }
        }
        model.0.lock().unwrap().push(changes.into_iter().collect());
        let batch = writer.batch() + 1;
        writer.commit([batch * 2, batch * 3]).unwrap();
    }
}

/// Many moments of one owner are, each, what one batch left: not a change more or less.
fn moments_are_of_one_batch(entries: u64, moments: u64, bytes: u64) {
    let shared = Shared::new(bytes);
    let mut writer = shared.create();
    let model = Model::default();
    for begin in (0..entries).step_by(1000) {
        let ids = begin..entries.min(begin + 1000);
        ids.clone().for_each(|id| put(&mut writer, Key::new(OWNER, id), id));
        model.0.lock().unwrap().push(ids.map(|id| (id, Some(id))).collect());
        writer.commit([0; 2]).unwrap();
    }
    let done = AtomicBool::new(false);
    let first = writer.batch();
    let taken = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let _done = Done(&done);
            let reader = shared.reader();
            let moment = || reader.moment(&[Want::Owner(pairs(), OWNER)], 1 << 30, |_, _, _, _| {});
            (0..moments).map(|_| moment().unwrap()).collect::<Vec<_>>()
        });
        write(&mut writer, &model, entries, &done);
        reading.join().unwrap()
    });
    for moment in &taken {
        let found: BTreeMap<u64, u64> =
            moment.values.iter().map(|(_, key, value)| (key.id, number(value))).collect();
        assert!(found == model.at(moment.batch), "of batch {}", moment.batch);
        assert!(moment.batch <= first || moment.note == [moment.batch * 2, moment.batch * 3]);
    }
    assert!(taken.last().unwrap().batch > first, "the writer went on meanwhile");
}

#[test]
fn moments_of_an_owner_beside_a_writer_at_full_speed() {
    moments_are_of_one_batch(300, 60, 32 << 20);
}

#[test]
fn a_moment_of_a_hundred_thousand_entries_ends_beside_a_writer_at_full_speed() {
    moments_are_of_one_batch(100_000, 1, 256 << 20);
}

/// The journal is overrun between two steps of a moment: it begins again, and is right.
#[test]
fn a_moment_whose_journal_is_overrun_starts_over() {
    let shared = Shared::new(3 << 20);
    let mut writer = shared.create();
    put(&mut writer, Key::new(OWNER, 1), 0);
    writer.commit([0; 2]).unwrap();
    let reader = shared.reader();
    let overruns = AtomicU64::new(0);
    let moment = reader.moment(&[Want::Owner(pairs(), OWNER)], 1 << 20, |_, _, value, _| {
        // Of the first two looks, in the middle of them.
        if overruns.fetch_add(1, Ordering::Relaxed) < 2 {
            let before = number(value);
            for round in 1..=writer.fixed.redo_entries {
                put(&mut writer, Key::new(OWNER, 1), before + round);
                writer.commit([0; 2]).unwrap();
            }
            put(&mut writer, Key::new(OWNER, 2), before);
            writer.commit([5; 2]).unwrap();
        }
    });
    let moment = moment.unwrap();
    assert_eq!(overruns.into_inner(), 5, "one value, two, and two again");
    assert_eq!((moment.batch, moment.note), (writer.batch(), [5; 2]));
    let entries = writer.fixed.redo_entries;
    let numbers: Vec<u64> = moment.values.iter().map(|(_, _, value)| number(value)).collect();
    assert_eq!(numbers, [2 * entries, entries]);
}

#[test]
fn a_moment_follows_what_its_values_name_and_has_its_limit() {
    let shared = Shared::new(8 << 20);
    let mut writer = shared.create();
    for id in 0..300 {
        writer.put(pairs(), Key::new(OWNER, id), &[b"of user"]).unwrap();
        writer.put(singles(), Key::new(id, 0), &[b"user"]).unwrap();
    }
    writer.put(singles(), Key::new(1000, 0), &[b"of nobody"]).unwrap();
    writer.commit([1, 2]).unwrap();
    let reader = shared.reader();
    let wants = [Want::Owner(pairs(), OWNER), Want::Key(pairs(), Key::new(9, 9))];
    let moment = |bytes_max| {
        reader.moment(&wants, bytes_max, |table, key, _, wants| {
            if table == pairs() {
                wants.push(Want::Key(singles(), Key::new(key.id, 0)));
            }
        })
    };
    let found = moment(1 << 20).unwrap();
    assert_eq!(found.values.len(), 600);
    assert!(found.values.is_sorted_by_key(|(table, key, _)| (*table, *key)));
    assert_eq!((found.batch, found.note), (1, [1, 2]));
    assert_eq!(reader.last_batch().unwrap(), (1, [1, 2]));
    assert_eq!(moment(4096), Err(ReadError::TooLarge { bytes_max: 4096 }));
}

/// A writer is between its commit and the slots: who looks then sees what was before, and looks again.
#[test]
fn what_is_committed_and_not_yet_in_its_slot_is_looked_at_again() {
    use crate::layout::AT_APPLIED;
    let shared = Shared::new(8 << 20);
    let mut writer = shared.create();
    let key = Key::new(OWNER, 1);
    let slot = |writer: &Writer| {
        let hash = writer.fixed.hash.of(pairs(), key);
        writer.slot(hash, pairs(), key).unwrap().unwrap().0
    };
    let store = |writer: &Writer, place: crate::layout::Place, applied: u64| {
        let memory = writer.space.memory();
        memory.store(slot(writer).at as usize + 8, place.0, Ordering::Release);
        memory.store(AT_APPLIED, applied, Ordering::Release);
    };
    put(&mut writer, key, 1);
    writer.commit([1; 2]).unwrap();
    let mut looks = Vec::new();
    let (mut before, mut after) = (slot(&writer).place, slot(&writer).place);
    let reader = shared.reader();
    let moment = reader.moment(&[Want::Owner(pairs(), OWNER)], 1 << 20, |_, _, value, _| {
        looks.push(number(value));
        let batch = writer.batch();
        match looks.len() {
            1 => {
                before = slot(&writer).place;
                put(&mut writer, key, 2);
                writer.commit([2; 2]).unwrap();
                after = slot(&writer).place;
                store(&writer, before, batch);
            }
            2 => store(&writer, after, batch),
            _ => {}
        }
    });
    let moment = moment.unwrap();
    assert_eq!(looks, [1, 1, 2]);
    assert_eq!((moment.note, number(&moment.values[0].2)), ([2; 2], 2));
}
