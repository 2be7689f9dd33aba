//! Readers beside the writer in every interleaving, up to a bound of preemptions, with every value a
//! load may give. Run by `RUSTFLAGS="--cfg loom" cargo test -p mixcord-table --lib loom_ --release`.
//!
//! Each model says at its end that the case it is there for occurred; each weakened one, in which
//! orderings are taken away, has to be noticed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::thread;
use mixcord_memory::{Heap, Weaken};

use crate::layout::{CHUNK, Fixed, bucket_of};
use crate::redo::{Step, What};
use crate::space::{Ground, Memory, Slot, Space};
use crate::{Key, Limits, ReadError, Reader, TableId, Writer};

const BYTES: u64 = 64 * CHUNK;
const LIMITS: Limits = Limits { bytes_max: BYTES, step_bytes: CHUNK };

#[derive(Debug)]
struct Everything;

impl Ground for Everything {
    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocated(&self) -> u64 {
        BYTES
    }
}

fn table() -> TableId {
    TableId::of_ids(1).unwrap()
}

/// A writer, and what a reader is made of.
fn writer() -> (Writer, Arc<Memory>) {
    let memory = Arc::new(Memory::new(Box::new(Heap::new(BYTES as usize))));
    let space = Space::new(Arc::clone(&memory), Box::new(Everything));
    let fixed = Fixed::sized(7, [3, 5], 1, BYTES);
    (Writer::create(space, fixed, LIMITS).unwrap(), memory)
}

fn reader(memory: Arc<Memory>) -> Reader {
    Reader::over(Space::new(memory, Box::new(Everything)), 1).unwrap()
}

fn put(writer: &mut Writer, id: u64, value: &[u8]) {
    commit(writer, id, Some(value));
}

fn commit(writer: &mut Writer, id: u64, value: Option<&[u8]>) {
    match value {
        Some(value) => writer.put(table(), Key::new(id, 0), &[value]).unwrap(),
        None => writer.delete(table(), Key::new(id, 0)).unwrap(),
    }
    writer.commit([0; 2]).unwrap();
}

fn hash_of(writer: &Writer, id: u64) -> u64 {
    writer.fixed.hash.of(table(), Key::new(id, 0))
}

fn slot_of(writer: &Writer, id: u64) -> Slot {
    let (hash, key) = (hash_of(writer, id), Key::new(id, 0));
    writer.slot(hash, table(), key).unwrap().unwrap().0
}

/// A value written for a key that is there, and what would store it: the stores that a reader can meet,
/// and no others.
fn write_alone(writer: &mut Writer, id: u64, value: &[u8]) -> Step {
    let Slot { at, hash, .. } = slot_of(writer, id);
    let place = writer.write_value(table(), Key::new(id, 0), &[value], value.len()).unwrap();
    Step { what: What::Put, at, hash, place }
}

/// Stores it, and frees the place of the value before.
fn store_alone(writer: &mut Writer, id: u64, step: Step) {
    let before = slot_of(writer, id).place;
    step.apply(&writer.space);
    assert!(writer.heap.give_back(before));
}

/// What a reader finds; `None` in front where it changed at every look, which under loom are few.
fn get(reader: &Reader, id: u64) -> Option<Option<Vec<u8>>> {
    let mut value = Vec::new();
    match reader.get(table(), Key::new(id, 0), &mut value) {
        Ok(found) => Some(found.then_some(value)),
        Err(ReadError::Unsettled) => None,
        Err(error) => panic!("{error}"),
    }
}

/// How often something that a model is about occurred, over all its executions.
#[derive(Clone, Default)]
struct Occurred(Arc<AtomicUsize>);

impl Occurred {
    fn note(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn at_least_once(&self) {
        assert!(self.0.load(Relaxed) > 0, "the model never came to its case");
    }
}

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// A value of two words that say the same: half of another one shows.
fn twice(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(2)
}

fn replace(writer: &mut Writer, id: u64, value: &[u8]) {
    let step = write_alone(writer, id, value);
    store_alone(writer, id, step);
}

/// A key's value is replaced twice; the second time by one in the place that the first one had, with the
/// same length.
fn a_place_is_used_again(old: &Occurred, new: &Occurred) {
    let (mut writer, memory) = writer();
    // Both places were used before: loom wants its atomics made before a second thread is.
    put(&mut writer, 1, &twice(7));
    replace(&mut writer, 1, &twice(8));
    replace(&mut writer, 1, &twice(1));
    let second = write_alone(&mut writer, 1, &twice(2));
    let first = reader(memory);
    let (old, new) = (old.clone(), new.clone());
    let looking = thread::spawn(move || {
        let Some(value) = get(&first, 1) else { return };
        let known: Vec<_> = (1..=3).map(|number| Some(twice(number))).collect();
        assert!(known.contains(&value), "{value:?}");
        if value == known[0] {
            old.note();
        }
        if value == known[2] {
            new.note();
        }
    });
    store_alone(&mut writer, 1, second);
    replace(&mut writer, 1, &twice(3));
    looking.join().unwrap();
}

#[test]
fn loom_a_place_is_used_again_for_the_same_key() {
    let (old, new) = (Occurred::default(), Occurred::default());
    let (in_old, in_new) = (old.clone(), new.clone());
    explore(2, move || a_place_is_used_again(&in_old, &in_new));
    old.at_least_once();
    new.at_least_once();
}

fn must_be_noticed(weaken: Weaken) {
    weaken.with(|| {
        explore(2, || a_place_is_used_again(&Occurred::default(), &Occurred::default()));
    });
}

/// The number of the value in the first place.
fn number() -> usize {
    ((Fixed::sized(7, [3, 5], 1, BYTES).first_chunk() + 1) * CHUNK) as usize
}

#[test]
#[should_panic(expected = "Some([")]
fn loom_catches_a_number_that_is_stored_relaxed() {
    must_be_noticed(Weaken::ReleaseOf(number()));
}

#[test]
#[should_panic(expected = "Some([")]
fn loom_catches_fences_that_are_missing() {
    must_be_noticed(Weaken::Fences);
}

/// What a split moves is found all the time, and what is not there is not.
#[test]
fn loom_a_split_hides_nothing() {
    let moved = Occurred::default();
    let in_model = moved.clone();
    explore(2, move || {
        let (mut writer, memory) = writer();
        // One value, and two of its list: they have two buckets, and the next one is number 2.
        let moves = |id: &u64| bucket_of(hash_of(&writer, *id), 3) == 2;
        let moves = (1..).find(moves).unwrap();
        put(&mut writer, moves, b"here");
        assert_eq!(writer.usage().buckets, 2);
        // As above: the words of the bucket that is to be.
        let _ = memory.load_words::<8>(writer.index.at(2) as usize);
        let before = slot_of(&writer, moves).at;
        let reader = reader(memory);
        let looking = thread::spawn(move || {
            let found = get(&reader, moves);
            assert!(found.is_none_or(|value| value.as_deref() == Some(b"here")));
            assert!(get(&reader, moves + 1).is_none_or(|value| value.is_none()));
        });
        writer.split(2).unwrap();
        if slot_of(&writer, moves).at != before {
            in_model.note();
        }
        looking.join().unwrap();
    });
    moved.at_least_once();
}

#[test]
fn loom_the_first_value_lies_where_the_models_weaken() {
    loom::model(|| {
        let (mut writer, _) = writer();
        put(&mut writer, 1, &twice(7));
        assert_eq!(slot_of(&writer, 1).place.offset() as usize, number());
    });
}

/// Whoever learnt of a batch sees its value.
#[test]
fn loom_what_was_heard_of_is_seen() {
    let heard = Occurred::default();
    let in_model = heard.clone();
    explore(2, move || {
        let (mut writer, memory) = writer();
        put(&mut writer, 1, b"a");
        replace(&mut writer, 1, b"x");
        replace(&mut writer, 1, b"a");
        let reader = reader(memory);
        let tail = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let (seen, in_model) = (Arc::clone(&tail), in_model.clone());
        let looking = thread::spawn(move || {
            let tail = seen.load(std::sync::atomic::Ordering::Acquire);
            let Some(value) = get(&reader, 1) else { return };
            if tail == 1 {
                in_model.note();
                assert_eq!(value.as_deref(), Some(&b"b"[..]));
            }
        });
        replace(&mut writer, 1, b"b");
        tail.store(1, std::sync::atomic::Ordering::Release);
        looking.join().unwrap();
    });
    heard.at_least_once();
}
