//! The protocol on a heap block: against a model, and with readers beside the writer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use mixcord_memory::{Block, Heap, Ordering};
use proptest::prelude::*;

use crate::layout::{CHUNK, Fixed, Grain};
use crate::space::{Ground, Memory, Space};
use crate::{CommitError, Key, Limits, OpenError, Reader, TableId, Writer};

/// One heap block for the writer, its successors and its readers.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    heap: Arc<Heap>,
    allocated: Arc<AtomicU64>,
}

// SAFETY: the block is the heap's, which lives as long as any of those that share it.
#[allow(unsafe_code)]
unsafe impl Block for Shared {
    fn base(&self) -> *mut u8 {
        self.heap.base()
    }

    fn len(&self) -> usize {
        self.heap.len()
    }
}

impl Ground for Shared {
    fn allocate(&self, _: u64, to: u64) -> io::Result<()> {
        self.allocated.store(to, Ordering::Relaxed);
        Ok(())
    }

    fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { heap: Arc::new(Heap::new(bytes as usize)), allocated: Arc::default() }
    }

    fn space(&self) -> Space {
        Space::new(Memory::new(Box::new(self.clone())), Box::new(self.clone()))
    }

    fn limits(&self) -> Limits {
        Limits { bytes_max: self.heap.len() as u64, step_bytes: CHUNK }
    }

    pub(crate) fn create(&self) -> Writer {
        self.create_of(Grain::FINE)
    }

    pub(crate) fn create_of(&self, grain: Grain) -> Writer {
        let fixed = Fixed::sized(7, [11, 13], 1, self.limits().bytes_max);
        Writer::create(self.space(), Fixed { grain, ..fixed }, self.limits()).unwrap()
    }

    pub(crate) fn take_over(&self) -> Writer {
        Writer::take_over(self.space(), self.limits(), 1).unwrap()
    }

    pub(crate) fn try_take_over(&self) -> Result<Writer, OpenError> {
        Writer::take_over(self.space(), self.limits(), 1)
    }

    /// A block with the same words.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new(self.heap.len() as u64);
        let (from, to) = (self.space(), copy.space());
        for at in (0..self.heap.len()).step_by(8) {
            let word = from.memory().load(at, Ordering::Relaxed);
            to.memory().store(at, word, Ordering::Relaxed);
        }
        copy.allocated.store(self.allocated.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::over(self.space(), 1).unwrap()
    }
}

pub(crate) fn pairs() -> TableId {
    TableId::of_pairs(3).unwrap()
}

pub(crate) fn singles() -> TableId {
    TableId::of_ids(4).unwrap()
}

type Model = BTreeMap<(TableId, Key), Vec<u8>>;

fn commit(
    writer: &mut Writer,
    model: &mut Model,
    changes: &BTreeMap<(TableId, Key), Option<Vec<u8>>>,
) {
    for (&(table, key), value) in changes {
        match value {
            Some(value) => writer.put(table, key, &[value]),
            None => writer.delete(table, key),
        }
        .unwrap();
    }
    writer.commit([0; 2]).unwrap();
    for (key, value) in changes {
        match value {
            Some(value) => model.insert(*key, value.clone()),
            None => model.remove(key),
        };
    }
}

/// Everything of a table of the model is in the table, in order, and nothing else.
pub(crate) fn agree(reader: &Reader, model: &Model) {
    let read = |table, key| {
        let mut value = Vec::new();
        reader.get(table, key, &mut value).unwrap().then_some(value)
    };
    for (&(table, key), value) in model {
        assert_eq!(read(table, key).as_ref(), Some(value), "{table:?} {key:?}");
    }
    for table in [pairs(), singles()] {
        let mut found = Vec::new();
        for owner in all(|from, into| reader.owners(table, from, into).unwrap()) {
            if table.is_of_pairs() {
                let ids = all(|from, into| reader.ids(table, owner, from, into).unwrap());
                assert!(!ids.is_empty());
                found.extend(ids.into_iter().map(|id| Key::new(owner, id)));
            } else {
                found.push(Key::new(owner, 0));
            }
        }
        let of_table = model.keys().filter(|(of, _)| *of == table);
        assert_eq!(found, of_table.map(|(_, key)| *key).collect::<Vec<_>>());
    }
}

pub(crate) fn all(mut page: impl FnMut(u64, &mut Vec<u64>) -> Option<u64>) -> Vec<u64> {
    let (mut ids, mut from) = (Vec::new(), Some(0));
    while let Some(begin) = from {
        from = page(begin, &mut ids);
    }
    ids
}

fn change() -> impl Strategy<Value = ((TableId, Key), Option<Vec<u8>>)> {
    let key = prop_oneof![
        (0u64..4, prop_oneof![0u64..2000, Just(u64::MAX), Just(0)])
            .prop_map(|(owner, id)| (pairs(), Key::new(owner, id))),
        (0u64..3000).prop_map(|id| (singles(), Key::new(id, 0))),
    ];
    let value = prop_oneof![
        1 => Just(None),
        3 => (0usize..900, any::<u8>()).prop_map(|(len, byte)| Some(vec![byte; len])),
    ];
    (key, value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_table_is_what_a_map_is(
        batches in proptest::collection::vec(
            (proptest::collection::btree_map(
                change().prop_map(|it| it.0), change().prop_map(|it| it.1), 0..700), any::<bool>()),
            1..12),
        coarse in any::<bool>()
    ) {
        let shared = Shared::new(64 << 20);
        let grain = if coarse { Grain::COARSE } else { Grain::FINE };
        let mut writer = shared.create_of(grain);
        let (reader, mut model) = (shared.reader(), Model::new());
        for (changes, restart) in batches {
            commit(&mut writer, &mut model, &changes);
            if restart {
                let before = writer.usage();
                writer = shared.take_over();
                prop_assert_eq!(writer.usage(), before);
            }
        }
        agree(&reader, &model);
        let usage = writer.usage();
        let everything: BTreeMap<_, _> = model.keys().map(|key| (*key, None)).collect();
        commit(&mut writer, &mut model, &everything);
        agree(&reader, &model);
        prop_assert_eq!(writer.usage().values, 0);
        prop_assert!(writer.usage().used_bytes <= usage.used_bytes);
    }
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let shared = Shared::new(3 << 20);
    let (mut writer, mut model) = (shared.create(), Model::new());
    let small = |id| ((pairs(), Key::new(1, id)), Some(vec![id as u8; 500]));
    commit(&mut writer, &mut model, &(0..100).map(small).collect());
    let before = writer.usage();
    let value = vec![9; 20_000];
    for _ in 0..3 {
        let mut puts = (0..200).map(|id| writer.put(pairs(), Key::new(1, id), &[&value]));
        assert!(puts.any(|put| matches!(put, Err(CommitError::Full { .. }))));
        writer.discard();
    }
    assert_eq!(writer.usage().values, before.values);
    assert_eq!(writer.usage().used_bytes, before.used_bytes);
    agree(&shared.reader(), &model);
    let writer = shared.take_over();
    assert_eq!(writer.usage().used_bytes, before.used_bytes);
}

#[test]
fn large_values_come_back_and_their_space_too() {
    let shared = Shared::new(64 << 20);
    let (mut writer, mut model) = (shared.create(), Model::new());
    for round in 0..20u64 {
        let len = 40_000 + (round as usize * 37_123) % 3_000_000;
        let key = (pairs(), Key::new(1, round % 3));
        commit(&mut writer, &mut model, &BTreeMap::from([(key, Some(vec![round as u8; len]))]));
        agree(&shared.reader(), &model);
    }
}

/// Tells the readers that the writer is done, also when it panics.
pub(crate) struct Done<'a>(pub(crate) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Each value is one number repeated, so a torn one shows; each reader sees it grow, never fall.
#[test]
fn readers_beside_the_writer_see_whole_values_and_no_step_back() {
    let shared = Shared::new(64 << 20);
    let mut writer = shared.create();
    let done = AtomicBool::new(false);
    let published = AtomicU64::new(0);
    let keys = 600u64;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = shared.reader();
                let mut seen = vec![0; keys as usize];
                let mut bytes = Vec::new();
                while !done.load(Ordering::Acquire) {
                    for id in 0..keys {
                        let at_least = published.load(Ordering::Acquire);
                        bytes.clear();
                        let found = reader.get(pairs(), Key::new(id % 5, id), &mut bytes).unwrap();
                        let words: Vec<u64> = bytes
                            .as_chunks::<8>()
                            .0
                            .iter()
                            .map(|word| u64::from_le_bytes(*word))
                            .collect();
                        let batch = words.first().copied().unwrap_or(0);
                        assert!(words.iter().all(|word| *word == batch), "torn: {words:?}");
                        // Each batch writes a third of the keys, so every third counts for each.
                        assert!(batch + 3 > at_least, "{batch} after {at_least}");
                        assert!(found == (batch > 0) && batch >= seen[id as usize]);
                        seen[id as usize] = batch;
                    }
                }
            });
        }
        let _done = Done(&done);
        for batch in 1..=400u64 {
            let value = |id: u64| {
                let words = 1 + (id * 7 + batch * 3) % 90;
                std::iter::repeat_n(batch.to_le_bytes(), words as usize).flatten().collect()
            };
            let mut values: Vec<(Key, Vec<u8>)> = (0..keys)
                .filter(|id| (id + batch) % 3 == 0)
                .map(|id| (Key::new(id % 5, id), value(id)))
                .collect();
            values.sort();
            for (key, value) in &values {
                writer.put(pairs(), *key, &[value]).unwrap();
            }
            writer.commit([batch, 0]).unwrap();
            published.store(batch, Ordering::Release);
        }
    });
}

/// Keys that stay are in every walk exactly once, in order, while others come and go.
#[test]
fn a_walk_beside_the_writer_misses_nothing_that_stays() {
    let shared = Shared::new(64 << 20);
    let mut writer = shared.create();
    let stay: Vec<u64> = (0..2000).map(|i| i * 10).collect();
    let change = |writer: &mut Writer, ids: &[u64], value: Option<&[u8]>| {
        for ids in ids.chunks(writer.changes_max() as usize) {
            for id in ids {
                match value {
                    Some(value) => writer.put(pairs(), Key::new(1, *id), &[value]).unwrap(),
                    None => writer.delete(pairs(), Key::new(1, *id)).unwrap(),
                }
            }
            writer.commit([0; 2]).unwrap();
        }
    };
    change(&mut writer, &stay, Some(b"stays"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let reader = shared.reader();
            while !done.load(Ordering::Acquire) {
                let ids = all(|from, into| reader.ids(pairs(), 1, from, into).unwrap());
                assert!(ids.is_sorted_by(|a, b| a < b));
                let stayed: Vec<u64> = ids.into_iter().filter(|id| id % 10 == 0).collect();
                assert_eq!(stayed, stay);
            }
        });
        let _done = Done(&done);
        for round in 0..60u64 {
            let begin = (round * 7919) % 15_000;
            let come: Vec<u64> = (begin..begin + 4000).filter(|id| id % 10 != 0).collect();
            change(&mut writer, &come, Some(b"goes"));
            change(&mut writer, &come, None);
        }
    });
}

/// Values that are written once, each in a place of its own, found by readers as they come: under
/// `prove.sh tsan` their bytes are copied plainly, so that one that is not ordered before its reader shows.
#[test]
fn stress_values_that_are_written_once() {
    let shared = Shared::new(32 << 20);
    let mut writer = shared.create();
    let count = if cfg!(ring_plain) { 3000 } else { 20_000u64 };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = shared.reader();
                let (mut known, mut bytes) = (0, Vec::new());
                while known < count {
                    bytes.clear();
                    if reader.get(pairs(), Key::new(1, known), &mut bytes).unwrap() {
                        assert_eq!(bytes, known.to_le_bytes().repeat(9));
                        known += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        for id in 0..count {
            // No list: its chunks are written again and again.
            let value = id.to_le_bytes().repeat(9);
            writer.put_unlisted(pairs(), Key::new(1, id), &[&value]).unwrap();
            if id % 7 == 0 {
                writer.commit([0; 2]).unwrap();
            }
        }
        writer.commit([0; 2]).unwrap();
    });
}
