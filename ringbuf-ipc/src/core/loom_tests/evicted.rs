//! What a member that was evicted acknowledges counts, or fails: also while its group is made to go on.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::super::groups;
use super::super::layout::group;
use super::super::memory::Weaken;
use super::super::words::cursor;
use super::super::writer::Writer;
use super::{Met, Pair, explore, put, ring_with, spec};

#[test]
fn loom_an_acknowledgement_that_meets_a_reinstatement_counts_or_fails() {
    static COUNTED: Met = Met::new();
    static FAILED: Met = Met::new();
    explore(Weaken::Nothing, 3, || {
        let (core, _) = ring_with(Pair::Barriers, 2, 1, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        assert!(put(&mut writer));
        let epoch = core.group_epoch(0);
        groups::evict(&core, "g").unwrap();
        let theirs = Arc::clone(&core);
        let evicted = thread::spawn(move || {
            let at = theirs.layout.partition(0, 0) + group::PARTITION_CURSOR;
            cursor::raise(&theirs.memory, at, epoch, 1).is_ok()
        });
        groups::declare(&core, &spec()).unwrap();
        let counted = evicted.join().unwrap();
        COUNTED.note(counted);
        FAILED.note(!counted);
        let found = core.cursor_stand(0, 0);
        assert!(found.is_of(core.group_epoch(0)), "moved by one of the last epoch");
        assert_eq!(found.position(), u64::from(counted), "acknowledged, and given again");
    });
    COUNTED.check();
    FAILED.check();
}
