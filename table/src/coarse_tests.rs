//! Tables of layout 3, whose places are counted in 64 bytes: what is written into them is what its programs wrote.

use mixcord_memory::Ordering;

use crate::layout::{AT_SLOTS, Grain};
use crate::tests::Shared;
use crate::{Key, TableId};

/// Slot and redo entry of the first value, as `tests/layout.rs` had them when that layout was the newest.
#[test]
fn a_table_of_the_layout_before_stays_one() {
    let shared = Shared::new(4 << 20);
    let mut writer = shared.create_of(Grain::COARSE);
    let table = TableId::of_ids(5).unwrap();
    for (len, units) in [(8, 1), (33, 2), (96, 2), (97, 3), (70_000, 1095)] {
        writer.put(table, Key::new(77, 0), &[&vec![7; len]]).unwrap();
        let first = writer.redo_next;
        writer.commit([8, 9]).unwrap();
        let hash = writer.fixed.hash.of(table, Key::new(77, 0));
        let (slot, found) = writer.slot(hash, table, Key::new(77, 0)).unwrap().unwrap();
        assert_eq!(found, len as u64);
        assert!(slot.place.offset().is_multiple_of(64), "{len}");
        let memory = writer.space.memory();
        assert_eq!(memory.load(8, Ordering::Relaxed), 3, "the layout");
        let word = ((slot.place.offset() / 64) << 24) | units;
        assert_eq!(memory.load(slot.at as usize + 8, Ordering::Relaxed), word, "{len}");
        let redo = writer.fixed.redo(first) as usize;
        assert_eq!(memory.load(redo + 56, Ordering::Relaxed), word, "{len}");
        assert_eq!((slot.at - AT_SLOTS) % 16, 0);
    }
    // Overflow buckets take one unit.
    let mut links = 0;
    for id in 0..5000 {
        writer.put(table, Key::new(id, 0), &[b"value"]).unwrap();
        if id % 200 == 0 {
            writer.commit([8, 9]).unwrap();
        }
    }
    writer.commit([8, 9]).unwrap();
    for bucket in 0..writer.index.buckets() {
        let link =
            writer.space.memory().load(writer.index.at(bucket) as usize + 56, Ordering::Relaxed);
        links += u64::from(link != 0);
        assert!(link == 0 || link & 0xFF_FFFF == 1, "{link:#x}");
    }
    assert!(links > 0);
    drop(writer);
    let writer = shared.take_over();
    assert_eq!(writer.usage().values, shared.take_over().usage().values);
    let mut found = Vec::new();
    assert!(shared.reader().get(table, Key::new(4999, 0), &mut found).unwrap());
    assert_eq!(found, b"value");
}
