//! Members of a group that is moved by force are told that, and not that it is damaged.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::super::errors::TakeError;
use super::super::groups;
use super::super::layout::group;
use super::super::memory::Weaken;
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::{LIMITS, Met, Pair, explore, layout, put, ring_with, spec};

/// One takes, and others look at the entry, while the group is moved. The thread that moves it starts before
/// those who look.
fn moved(weaken: Weaken) {
    static MET: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring_with(Pair::Barriers, 2, 1, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = ManuallyDrop::new(Writer::resume(Arc::clone(&core)).unwrap());
        let mut reader = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        assert!(put(&mut writer) && put(&mut writer));
        let word = core.group_state(0);
        let theirs = Arc::clone(&core);
        let mover = thread::spawn(move || {
            groups::reset(&theirs, "g", 1).unwrap();
        });
        let found = core.cursor_stand(0, 0);
        MET.note(!found.is_of(reader.seat.epoch));
        core.check_stand(0, word, "cursor", found).expect("a sound group is called damaged");
        let floor = core.floor_stand(0);
        core.check_stand(0, word, "floor", floor).expect("a sound group is called damaged");
        match reader.take(LIMITS, false) {
            Ok(taken) => std::mem::forget(taken),
            Err(error) => assert!(matches!(error, TakeError::Removed), "{error}"),
        }
        mover.join().unwrap();
    });
    MET.check();
}

#[test]
fn loom_a_group_that_is_moved_is_not_damaged() {
    moved(Weaken::Nothing);
}

/// (Between floor and cursors stands the fence of joining, which orders these whatever their stores are.)
#[test]
#[should_panic(expected = "a sound group is called damaged")]
fn loom_catches_a_relaxed_move_of_a_floor() {
    moved(Weaken::ReleaseOf(layout(2, 1, 2).group(0) + group::FLOOR));
}
