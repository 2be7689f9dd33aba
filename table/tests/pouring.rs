//! A table poured elsewhere while its writer goes on: the last words are those of one batch.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use mixcord_table::{CopyError, FileWriter, Key, Limits, ReadError, Reader, Sink, TableId};

const LIMITS: Limits = Limits { bytes_max: 64 << 20, step_bytes: 1 << 20 };
const FORMAT: u64 = 5;
type Map = BTreeMap<(TableId, Key), Vec<u8>>;

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(&format!("mixcord-pour-{}-", std::process::id()))
        .tempdir_in("/dev/shm")
        .expect("a folder")
}

fn tables() -> [TableId; 2] {
    [TableId::of_ids(1), TableId::of_pairs(1)].map(|table| table.expect("a small number"))
}

/// What batch `batch` changes, the same whenever it is asked: puts and deletions of few keys again and again, and of
/// ever more, so that the table grows and splits.
fn changes(batch: u64) -> impl Iterator<Item = (TableId, Key, Option<Vec<u8>>)> {
    (0..40).map(move |i| {
        let x = (batch * 40 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let often = i % 2 == 0;
        let id = if often { x % 300 } else { x % (1_000 + batch * 8) };
        let (table, key) = match x >> 30 & 1 {
            0 => (tables()[0], Key::new(id, 0)),
            _ => (tables()[1], Key::new(id % 7, id)),
        };
        let value = (batch.to_le_bytes()).repeat(1 + (x % 50) as usize);
        (table, key, (!x.is_multiple_of(5)).then_some(value))
    })
}

fn model(batches: u64) -> Map {
    let mut model = Map::new();
    for (table, key, value) in (1..=batches).flat_map(changes) {
        match value {
            Some(value) => drop(model.insert((table, key), value)),
            None => drop(model.remove(&(table, key))),
        }
    }
    model
}

fn commit(writer: &mut FileWriter, batch: u64) {
    for (table, key, value) in changes(batch) {
        match value {
            Some(value) => writer.put(table, key, &[&value]).expect("room"),
            None => writer.delete(table, key).expect("room"),
        }
    }
    writer.commit([batch, !batch]).expect("room");
}

/// Keeps what it is told, and does something at each word.
struct Kept<F> {
    map: Map,
    said: u64,
    anew: u64,
    each: F,
}

impl<F: FnMut(u64) -> io::Result<()>> Kept<F> {
    fn new(each: F) -> Self {
        Self { map: Map::new(), said: 0, anew: 0, each }
    }

    fn word(&mut self) -> io::Result<()> {
        self.said += 1;
        (self.each)(self.said)
    }
}

impl<F: FnMut(u64) -> io::Result<()>> Sink for Kept<F> {
    fn put(&mut self, table: TableId, key: Key, value: &[u8]) -> io::Result<()> {
        self.map.insert((table, key), value.to_vec());
        self.word()
    }

    fn gone(&mut self, table: TableId, key: Key) -> io::Result<()> {
        self.map.remove(&(table, key));
        self.word()
    }

    fn anew(&mut self) -> io::Result<()> {
        self.map.clear();
        self.anew += 1;
        Ok(())
    }
}

#[test]
fn it_ends_under_constant_writes_and_is_one_batch_whole() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    (1..=200).for_each(|batch| commit(&mut writer, batch));
    let reader = Reader::open(&path, FORMAT).expect("a table");
    let stop = AtomicBool::new(false);
    let mut moments = Vec::new();
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            let mut batch = 200;
            // In the end it rests: on a busy machine one thread may never get as far as another has written meanwhile.
            while !stop.load(Ordering::Relaxed) && batch < 20_000 {
                batch += 1;
                commit(&mut writer, batch);
            }
        });
        for _ in 0..2 {
            let mut kept = Kept::new(|_| Ok(()));
            let poured = reader.pour(&mut kept);
            if poured.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            let (batch, note) = poured.expect("poured");
            assert_eq!((batch, note), (note[0], [batch, !batch]), "which moment it is");
            moments.push((batch, kept.map));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(moments.windows(2).all(|two| two[0].0 <= two[1].0) && moments[0].0 >= 200);
    for (batch, map) in moments {
        assert_eq!(map, model(batch), "batch {batch}");
    }
}

/// A writer that changes something at every value that is copied: what is copied is behind all the time.
#[test]
fn whatever_changes_between_two_values_the_last_words_are_right() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    let mut batch = 0;
    while batch < 100 {
        batch += 1;
        commit(&mut writer, batch);
    }
    let reader = Reader::open(&path, FORMAT).expect("a table");
    let mut kept = Kept::new(|said| {
        // Slower than the words, or it would never catch up.
        if said % 97 == 0 {
            batch += 1;
            commit(&mut writer, batch);
        }
        Ok(())
    });
    let (last, _) = reader.pour(&mut kept).expect("poured");
    let Kept { map, anew, .. } = kept;
    assert_eq!((last, anew), (batch, 0));
    assert_eq!(map, model(batch));
}

/// What is lost with the journal is not guessed.
#[test]
fn who_is_so_slow_that_the_journal_is_overrun_begins_anew_and_who_always_is_is_told() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    let mut batch = 0;
    let mut many = |writer: &mut FileWriter, batches: u64| {
        for _ in 0..batches {
            batch += 1;
            commit(writer, batch);
        }
        batch
    };
    many(&mut writer, 20);
    // A table of this size has a journal of 65,536 changes; each batch makes some 40.
    let too_many = 2_000;
    let reader = Reader::open(&path, FORMAT).expect("a table");
    let mut last = 0;
    let mut kept = Kept::new(|said| {
        if said == 100 {
            last = many(&mut writer, too_many);
        }
        Ok(())
    });
    let (poured, _) = reader.pour(&mut kept).expect("poured");
    let Kept { map, anew, .. } = kept;
    assert_eq!((poured, anew), (last, 1));
    assert_eq!(map, model(last));

    let mut full = Kept::new(|said| if said > 10 { Err(io::Error::other("full")) } else { Ok(()) });
    assert!(matches!(reader.pour(&mut full), Err(CopyError::Sink(_))));
}

/// What its writer was killed at is for its next writer to finish.
#[test]
fn a_batch_that_is_committed_and_not_stored_is_waited_for_and_told() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    (1..=20).for_each(|batch| commit(&mut writer, batch));
    let reader = Reader::open(&path, FORMAT).expect("a table");
    // README.md: the last batch whose slots are stored.
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&file, &19_u64.to_le_bytes(), 256).expect("written");
    let poured = reader.pour(&mut Kept::new(|_| Ok(())));
    assert!(matches!(poured, Err(CopyError::Read(ReadError::Unsettled))), "{poured:?}");
    drop(writer);
    FileWriter::open(&path, FORMAT, LIMITS).expect("its next writer");
    let mut kept = Kept::new(|_| Ok(()));
    assert_eq!(reader.pour(&mut kept).expect("poured").0, 20);
    assert!(kept.map == model(20));
}

/// A sink beside which something changes at every word: it is given the table once, and told.
#[test]
fn who_is_always_a_little_slower_is_told_and_does_not_begin_anew() {
    let folder = folder();
    let path = folder.path().join("table");
    let mut writer = FileWriter::create(&path, FORMAT, LIMITS).expect("a table");
    (1..=20).for_each(|batch| commit(&mut writer, batch));
    let reader = Reader::open(&path, FORMAT).expect("a table");
    let mut kept = Kept::new(|said| {
        let key = Key::new(1, 0);
        writer.put(tables()[0], key, &[&said.to_le_bytes()]).expect("room");
        writer.commit([said, !said]).expect("room");
        Ok(())
    });
    let poured = reader.pour(&mut kept);
    assert!(matches!(poured, Err(CopyError::TooSlow)), "{poured:?}");
    assert_eq!(kept.anew, 0);
}
