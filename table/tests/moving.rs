//! Tables that grow, are copied, and go over into smaller files, in files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mixcord_table::{FileWriter, Key, Limits, OpenError, ReadError, Reader, TableId};

const LIMITS: Limits = Limits { bytes_max: 64 << 20, step_bytes: 1 << 20 };
const FORMAT: u64 = 5;

fn pairs() -> TableId {
    TableId::of_pairs(1).expect("a small number")
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(&format!("mixcord-table-{}-", std::process::id()))
        .tempdir_in("/dev/shm")
        .expect("a folder")
}

fn value(id: u64, round: u64) -> Vec<u8> {
    (id * 1000 + round).to_le_bytes().repeat(1 + (id % 60) as usize)
}

fn put(writer: &mut FileWriter, id: u64, round: u64) {
    writer.put(pairs(), Key::new(id % 7, id), &[&value(id, round)]).expect("room");
}

/// Everything in a table, by its lists.
fn everything(reader: &Reader) -> BTreeMap<u64, Vec<u8>> {
    let mut found = BTreeMap::new();
    for owner in all(|from, into| reader.owners(pairs(), from, into)) {
        for id in all(|from, into| reader.ids(pairs(), owner, from, into)) {
            let mut value = Vec::new();
            assert!(reader.get(pairs(), Key::new(owner, id), &mut value).expect("a look"));
            found.insert(id, value);
        }
    }
    found
}

fn all(page: impl Fn(u64, &mut Vec<u64>) -> Result<Option<u64>, ReadError>) -> Vec<u64> {
    let (mut ids, mut from) = (Vec::new(), Some(0));
    while let Some(begin) = from {
        from = page(begin, &mut ids).expect("a page");
    }
    ids
}

fn open(path: &Path) -> Reader {
    Reader::open(path, FORMAT).expect("a table")
}

#[test]
fn the_file_is_longer_before_it_is_needed() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    let reader = open(&path);
    for id in 0..20_000 {
        put(&mut writer, id, 1);
        if id % 100 == 0 {
            writer.commit([id, 0]).expect("room");
        }
    }
    writer.commit([0; 2]).expect("room");
    let found = everything(&reader);
    assert!(found.len() == 20_000 && found.iter().all(|(id, found)| *found == value(*id, 1)));
    // What gets it longer ends with the writer. Whatever that used is space, and not only length.
    drop(writer);
    let file = fs::metadata(&path).expect("a file");
    assert_eq!(std::os::unix::fs::MetadataExt::blocks(&file) * 512, file.len());
    let writer = FileWriter::open(&path, FORMAT, LIMITS).expect("a table");
    assert_eq!(writer.usage().allocated_bytes, file.len());
    assert!(matches!(FileWriter::open(&path, FORMAT, LIMITS), Err(OpenError::Locked)));
}

#[test]
fn a_table_that_lost_most_of_what_it_held_goes_over_into_a_smaller_file() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    for id in 0..30_000 {
        put(&mut writer, id, 1);
        if id % 1000 == 0 {
            writer.commit([0; 2]).expect("room");
        }
    }
    for id in (0..30_000).filter(|id| id % 10 != 0) {
        writer.delete(pairs(), Key::new(id % 7, id)).expect("room");
        if id % 1000 == 1 {
            writer.commit([0; 2]).expect("room");
        }
    }
    writer.commit([3, 4]).expect("room");
    let (old, before, id) = (open(&path), writer.usage(), writer.id());
    let mut model: BTreeMap<u64, Vec<u8>> =
        (0..30_000).step_by(10).map(|id| (id, value(id, 1))).collect();
    // The writer goes on between the steps: what was copied changes, goes and comes.
    let mut round = 2;
    loop {
        let at = round * 37 % 3000 * 10;
        put(&mut writer, at, round);
        model.insert(at, value(at, round));
        put(&mut writer, at + 1, round);
        model.insert(at + 1, value(at + 1, round));
        let gone = (at + 500) % 30_000 / 10 * 10;
        writer.delete(pairs(), Key::new(gone % 7, gone)).expect("room");
        model.remove(&gone);
        let open_batch = round % 3 == 0;
        if !open_batch {
            writer.commit([round, 9]).expect("room");
        }
        if writer.shrink(100).expect("room") {
            assert!(!open_batch, "not while a batch is open");
            break;
        }
        if open_batch {
            writer.commit([round, 9]).expect("room");
        }
        if round % 32 == 0 {
            assert_eq!(everything(&old), model);
        }
        round += 1;
    }
    assert!(round > 20, "many steps");
    assert_eq!(writer.note(), [round, 9]);
    let after = writer.usage();
    assert_eq!(
        after.values,
        everything(&open(&path)).len() as u64 + (after.values - model.len() as u64)
    );
    assert!(after.allocated_bytes * 2 < before.allocated_bytes, "{before:?} {after:?}");
    assert!(!path.with_extension("new").exists() && writer.id() != id);
    assert_eq!(old.get(pairs(), Key::new(0, 0), &mut Vec::new()), Err(ReadError::Moved));
    assert_eq!(everything(&open(&path)), model);
    put(&mut writer, 5, 5);
    model.insert(5, value(5, 5));
    writer.commit([7, 7]).expect("room");
    drop(writer);
    let writer = FileWriter::open(&path, FORMAT, LIMITS).expect("a table");
    assert_eq!((writer.note(), everything(&open(&path))), ([7, 7], model));
}

#[test]
fn a_table_that_cannot_be_copied_is_as_it_was_and_leaves_no_file() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    for id in 0..2000 {
        put(&mut writer, id, 1);
    }
    writer.commit([1; 2]).expect("room");
    fs::create_dir(path.with_extension("new")).expect("a folder in the way");
    assert!(writer.shrink(10).is_err());
    fs::remove_dir(path.with_extension("new")).expect("still there");
    assert!(!writer.shrink(10).expect("begun anew"));
    let small = Limits { bytes_max: 1 << 20, step_bytes: 64 << 10 };
    let copy = folder.path().join("copy");
    assert!(open(&path).copy_to(&copy, small).is_err(), "no room");
    assert_eq!(everything(&open(&path)).len(), 2000);
    drop(writer);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// A copy is what one batch left, though the writer never stops.
#[test]
fn a_copy_beside_a_writer_at_full_speed_is_of_one_batch() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    const ROUNDS: u64 = 20_000;
    let entries = 4000;
    for id in 0..entries {
        put(&mut writer, id, 0);
    }
    writer.commit([0; 2]).expect("room");
    let (done, batches) = (AtomicBool::new(false), AtomicU64::new(0));
    let copied = std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            let reader = open(&path);
            let copied = reader.copy_to(&folder.path().join("copy"), LIMITS);
            done.store(true, Ordering::Release);
            copied
        });
        // Round r writes the ids from 5 × r on, and notes r: what an id has says the last round of it.
        let mut round = 0;
        // In the end it rests: on a busy machine one thread may never get as far as another has written meanwhile.
        while !done.load(Ordering::Acquire) && round < ROUNDS {
            round += 1;
            for at in 0..5 {
                put(&mut writer, (round * 5 + at) % entries, round);
            }
            writer.commit([round, 1]).expect("room");
            batches.store(round, Ordering::Release);
        }
        copying.join().expect("no panic")
    });
    let (_, [round, _]) = copied.expect("a copy");
    let reader = open(&folder.path().join("copy"));
    assert_eq!(reader.last_batch().expect("a batch").1[0], round);
    let mut model: BTreeMap<u64, Vec<u8>> = (0..entries).map(|id| (id, value(id, 0))).collect();
    for round in 1..=round {
        model.extend((0..5).map(|at| (round * 5 + at) % entries).map(|id| (id, value(id, round))));
    }
    assert!(everything(&reader) == model, "of round {round} of {batches:?}");
    // It is a table like any other.
    let copy = FileWriter::open(&folder.path().join("copy"), FORMAT, LIMITS).expect("a table");
    assert_ne!(copy.id(), writer.id());
}
