//! Where every byte of a table is, as literal numbers read from the file: a change here is a change of the
//! layout, and needs a new `LAYOUT_VERSION`. README.md draws the same.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mixcord_table::{FileWriter, Key, LAYOUT_VERSION, Limits, TableId};

struct Table(File);

impl Table {
    fn word(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).expect("inside the file");
        u64::from_le_bytes(bytes)
    }

    fn words<const N: usize>(&self, at: u64) -> [u64; N] {
        std::array::from_fn(|index| self.word(at + index as u64 * 8))
    }

    /// Where the slots are that are not empty: of the first two buckets.
    fn slots(&self) -> Vec<(u64, u64)> {
        let buckets = self.word(65_536) * 65_536;
        let slots = (0..2).flat_map(|bucket| (0..3).map(move |slot| bucket * 64 + 8 + slot * 16));
        let found = slots.map(|at| (self.word(buckets + at), self.word(buckets + at + 8)));
        found.filter(|(_, place)| *place != 0).collect()
    }

    /// Where the value of a table lies, by its head.
    fn value(&self, table: u64) -> u64 {
        let places = self.slots().into_iter().map(|(_, place)| (place >> 24) * 32);
        places
            .into_iter()
            .find(|at| self.word(at + 8) >> 48 == table)
            .expect("a value of the table")
    }
}

#[test]
fn the_layout_is_version_4() {
    assert_eq!(LAYOUT_VERSION, 4);
    let folder = tempfile::Builder::new()
        .prefix(&format!("mixcord-table-{}-", std::process::id()))
        .tempdir_in("/dev/shm");
    let folder = folder.expect("a folder");
    let path = folder.path().join("table");
    let limits = Limits { bytes_max: 1 << 20, step_bytes: 1 << 16 };
    let mut writer = FileWriter::create(&path, 0xF0F0, limits).expect("a table");
    let table = TableId::of_ids(5).expect("a small number");
    writer.put(table, Key::new(77, 0), &[b"abc", b"defgh"]).expect("room");
    writer.commit([8, 9]).expect("room");
    let file = Table(File::open(&path).expect("the file"));

    // What never changes.
    assert_eq!(file.words::<3>(0), [u64::from_le_bytes(*b"mixctabl"), 4, writer.id()]);
    assert_eq!(file.words::<3>(40), [0xF0F0, 4096, 8192]);
    // Buckets, moved, committed, applied, numbers.
    assert_eq!([128, 136, 192, 256, 320].map(|at| file.word(at)), [2, 0, 1, 1, 1 + (1 << 20)]);
    // The meta block of batch 1: it holds the value, and chunk and head of its table's list.
    assert_eq!(file.words::<6>(576), [1, 0, 3, 3, 8, 9]);
    assert_eq!(file.word(512), 0);
    // The totals of table 5: one value; its place, and those of its list's chunk and head. The next has none.
    assert_eq!(file.words::<4>(4096 + 5 * 16), [1, 6 * 32, 0, 0]);
    // One chunk of header, one of directory, four of redo entries; then that of the buckets.
    assert_eq!(file.word(65_536), 6);

    let redo = 131_072;
    let value = file.value(5);
    let [number, batch, what, owner, id, at, hash, place] = file.words(redo);
    assert_eq!((number, batch, what, owner, id), (1, 1, (5 << 16) | 1, 77, 0));
    assert_eq!(place, ((value / 32) << 24) | 2);
    assert_eq!(file.words(at), [hash, place]);

    let [number, len, owner, id] = file.words(value);
    assert_eq!((number, len, owner, id), (1, (5 << 48) | 8, 77, 0));
    assert_eq!(file.word(value + 32), u64::from_le_bytes(*b"abcdefgh"));

    // The list of the owners: its chunk says that none is behind it, its head that the next is number 1.
    assert_eq!(file.words::<3>(file.value(0x4005) + 32), [0, 0, 77]);
    assert_eq!(file.words::<3>(file.value(0x3005) + 32), [1, 0, 0]);
}
