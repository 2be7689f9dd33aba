//! A writer killed after every one of its shared stores: the next one finds the last batch that was
//! committed, whole, and goes on.
//!
//! The child is this program again; the parent makes the file it works on, and judges what is left.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mixcord_memory::__kill as kill;
use mixcord_table::{FileWriter, Key, Limits, ReadError, Reader, TableId, Writer};

const CHILD: &str = "MIXCORD_TABLE_KILL_CHILD";
const LIMITS: Limits = Limits { bytes_max: 6 << 20, step_bytes: 64 << 10 };
const FORMAT: u64 = 9;
const SIGKILL: i32 = 9;

type Model = BTreeMap<(TableId, Key), Vec<u8>>;
type Batch = BTreeMap<(TableId, Key), Option<Vec<u8>>>;

fn pairs() -> TableId {
    TableId::of_pairs(1).expect("a small number")
}

fn ids() -> TableId {
    TableId::of_ids(2).expect("a small number")
}

fn member(owner: u64, id: u64) -> (TableId, Key) {
    (pairs(), Key::new(owner, id))
}

/// Enough that chunks of lists are nearly full, and one is nearly empty.
fn before() -> Batch {
    let mut batch = Batch::new();
    batch.extend((0..247).map(|id| (member(1, id * 2), Some(vec![1; 10]))));
    batch.extend((0..300).map(|id| (member(2, id), Some(vec![2; 10]))));
    batch.extend((0..40).map(|id| (member(3, id), Some(vec![3; 100]))));
    batch.insert((ids(), Key::new(5, 0)), Some(vec![5; 200]));
    batch
}

/// Values replaced by others of the same and of another size, new ones, deleted ones, a large one, a
/// chunk of a list that is split, one that is emptied, a list that begins and one that ends.
fn after() -> Batch {
    let mut batch = Batch::new();
    batch.extend((0..4).map(|id| (member(3, id), Some(vec![7; 100]))));
    batch.extend((4..6).map(|id| (member(3, id), Some(vec![8; 400]))));
    batch.extend((100..104).map(|id| (member(1, id * 2 + 1), Some(vec![9; 30]))));
    batch.extend((240..300).map(|id| (member(2, id), None)));
    batch.insert(member(4, u64::MAX), Some(vec![4; 70_000]));
    batch.insert((ids(), Key::new(5, 0)), None);
    batch.insert((ids(), Key::new(6, 0)), Some(Vec::new()));
    batch
}

fn commit(writer: &mut Writer, batch: &Batch) {
    for (&(table, key), value) in batch {
        match value {
            Some(value) => writer.put(table, key, &[value]),
            None => writer.delete(table, key),
        }
        .expect("room");
    }
    writer.commit([0; 2]).expect("a commit");
}

fn with(mut model: Model, batch: &Batch) -> Model {
    for (key, value) in batch {
        match value {
            Some(value) => model.insert(*key, value.clone()),
            None => model.remove(key),
        };
    }
    model
}

/// All that is in a table, by its lists.
fn everything(path: &Path) -> Model {
    let reader = Reader::open(path, FORMAT).expect("a reader");
    let mut model = Model::new();
    for table in [pairs(), ids()] {
        for owner in all(|from, into| reader.owners(table, from, into)) {
            let keys = if table.is_of_pairs() {
                all(|from, into| reader.ids(table, owner, from, into))
            } else {
                vec![0]
            };
            for id in keys {
                let (key, mut value) = (Key::new(owner, id), Vec::new());
                assert!(reader.get(table, key, &mut value).expect("a look"), "{table:?} {key:?}");
                model.insert((table, key), value);
            }
        }
    }
    model
}

fn all(page: impl Fn(u64, &mut Vec<u64>) -> Result<Option<u64>, ReadError>) -> Vec<u64> {
    let (mut ids, mut from) = (Vec::new(), Some(0));
    while let Some(begin) = from {
        from = page(begin, &mut ids).expect("a page");
    }
    ids
}

/// What the child does, which may end it: one batch, or going over into a smaller file and then one batch.
/// Gives the points before the batch, and all of them.
fn child(path: &Path, last: u64, moves: bool) -> (u64, u64) {
    let mut writer = FileWriter::open(path, FORMAT, LIMITS).expect("the table");
    kill::SHARED.arm(last);
    if moves {
        while !writer.shrink(16).expect("room") {}
    }
    let moved = kill::SHARED.count();
    commit(&mut writer, &after());
    (moved, kill::SHARED.count())
}

/// Runs a child that is killed at point after point, of the copy at a few, and at all about its end; `judge`
/// looks at what it left.
fn at_every_point(test: &str, moves: bool, judge: impl Fn(u64, &Path)) {
    if let Ok(arguments) = std::env::var(CHILD) {
        let (last, path) = arguments.split_once(' ').expect("two arguments");
        let (moved, points) = child(Path::new(path), last.parse().expect("a number"), moves);
        fs::write(format!("{path}.points"), format!("{moved} {points}")).expect("a file");
        return;
    }
    let folder = tempfile::Builder::new()
        .prefix(&format!("mixcord-table-{}-", std::process::id()))
        .tempdir_in("/dev/shm");
    let folder = folder.expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let mut writer = FileWriter::create(&path("first"), FORMAT, LIMITS).expect("a table");
    commit(&mut writer, &before());
    drop(writer);
    fs::copy(path("first"), path("whole")).expect("a copy");
    let run = |last: u64, name: &str| {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args([test, "--exact"])
            .env(CHILD, format!("{last} {}", path(name).display()))
            .output();
        child.expect("a child").status
    };
    // Counted in a process of its own: here other tests store too.
    assert!(run(u64::MAX, "whole").success());
    let counts = fs::read_to_string(path("whole.points")).expect("what the child wrote");
    let (moved, points) = counts.split_once(' ').expect("two numbers");
    let (moved, points): (u64, u64) =
        (moved.parse().expect("a number"), points.parse().expect("a number"));
    fs::remove_file(path("whole.points")).expect("it was read");
    assert_eq!(everything(&path("whole")), with(with(Model::new(), &before()), &after()));
    assert!(points > 1000, "{points} stores");
    for last in 1..=points {
        if moves && last % 101 != 0 && last.abs_diff(moved) > 30 {
            continue;
        }
        fs::copy(path("first"), path("killed")).expect("a copy");
        assert_eq!(run(last, "killed").signal(), Some(SIGKILL), "point {last}");
        judge(last, &path("killed"));
    }
}

#[test]
fn a_killed_writer_leaves_the_last_committed_batch() {
    let old = with(Model::new(), &before());
    let new = with(old.clone(), &after());
    let committed = Cell::new(false);
    at_every_point("a_killed_writer_leaves_the_last_committed_batch", false, |last, path| {
        let mut next = FileWriter::open(path, FORMAT, LIMITS).expect("the table");
        let found = everything(path);
        let whole = found == new;
        assert!(whole || found == old, "point {last}: a batch in part");
        assert!(whole || !committed.get(), "point {last}: what was committed is gone");
        committed.set(whole);
        commit(&mut next, &after());
        assert_eq!(everything(path), new, "point {last}");
        let used = next.usage();
        drop(next);
        let again = FileWriter::open(path, FORMAT, LIMITS).expect("the table");
        assert_eq!(again.usage(), used, "point {last}: a place was lost");
    });
    assert!(committed.get() || std::env::var(CHILD).is_ok(), "the last point is behind the commit");
}

#[test]
fn a_writer_killed_while_it_moves_leaves_one_table_or_the_other() {
    let old = with(Model::new(), &before());
    let new = with(old.clone(), &after());
    let name = "a_writer_killed_while_it_moves_leaves_one_table_or_the_other";
    let moved = Cell::new(false);
    at_every_point(name, true, |last, path| {
        let mut next = FileWriter::open(path, FORMAT, LIMITS).expect("the table");
        let found = everything(path);
        assert!(found == new || found == old, "point {last}: a table in part");
        let left = fs::read_dir(path.parent().expect("a folder")).expect("a folder").flatten();
        assert!(left.into_iter().all(|file| file.path().extension().is_none()), "point {last}");
        moved.set(moved.get() || next.batch() != 1);
        commit(&mut next, &after());
        assert_eq!(everything(path), new, "point {last}");
        while !next.shrink(1000).expect("room") {}
        assert_eq!(everything(path), new, "point {last}");
    });
    assert!(moved.get() || std::env::var(CHILD).is_ok(), "some points are behind the move");
}
