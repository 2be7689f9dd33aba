//! What members and observers get, and what groups hold.

use std::sync::Arc;

use loom::thread;

use super::super::buffers::Buffers;
use super::super::group_spec::Start;
use super::super::layout::{PRODUCER, producer};
use super::super::memory::Weaken;
use super::super::reader::Reader;
use super::super::watcher::Watcher;
use super::super::writer::Writer;
use super::super::{groups, locks};
use super::{LIMITS, Met, Pair, check, explore, key_of, layout, put, put_in, ring, ring_of, spec};

/// Three records through two slots: consumed while the third overwrites the first.
fn publish_and_consume(weaken: Weaken) {
    static OVERWRITTEN: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring(2, 1, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut reader = Reader::join(&core, &spec(), None).unwrap();
        assert!(put(&mut writer));
        let producer = thread::spawn(move || {
            let mut staged = 1;
            for _ in 0..2 {
                staged += u64::from(put(&mut writer));
            }
            staged
        });
        let mut next = 0;
        for _ in 0..2 {
            if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
                for position in check(&buffers) {
                    assert_eq!(position, next);
                    next += 1;
                }
                hold.advance(hold.next);
            }
        }
        let staged = producer.join().unwrap();
        OVERWRITTEN.note(staged == 3);
        while let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
            for position in check(&buffers) {
                assert_eq!(position, next);
                next += 1;
            }
            hold.advance(hold.next);
        }
        assert_eq!(next, staged);
    });
    OVERWRITTEN.check();
}

#[test]
fn loom_publish_and_consume() {
    publish_and_consume(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "Concurrent `unsync_load` and atomic store")]
fn loom_catches_a_relaxed_tail() {
    publish_and_consume(Weaken::ReleaseOf(PRODUCER + producer::TAIL));
}

/// A group that joins a ring being overwritten begins where everything is still there.
fn join_against_overwrite(weaken: Weaken) {
    static LATE: Met = Met::new();
    static HELD: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring(2, 1, 0);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let producer = thread::spawn(move || {
            // Refused only because the group came to hold the ring.
            HELD.note(!put(&mut writer));
        });
        let mut reader = Reader::join(&core, &spec(), None).unwrap();
        LATE.note(core.group_floor(reader.seat.group) == 1);
        if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
            let seen = check(&buffers);
            assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seen:?}");
            hold.advance(hold.next);
        }
        producer.join().unwrap();
    });
    LATE.check();
    HELD.check();
}

#[test]
fn loom_joining_against_overwriting() {
    join_against_overwrite(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "Concurrent atomic store and `unsync_load`")]
fn loom_catches_missing_fences_at_the_join() {
    join_against_overwrite(Weaken::Fences);
}

/// Of two members that find the holder dead, one takes over, and each record is done once.
#[test]
fn loom_stealing_from_the_dead() {
    static BY: [Met; 2] = [const { Met::new() }; 2];
    explore(Weaken::Nothing, 3, || {
        let (core, _) = ring_of(Pair::Fences, layout(2, 1, 3), 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer));
        let mut dying = Reader::join(&core, &spec(), None).unwrap();
        let survivors = [(); 2].map(|()| Reader::join(&core, &spec(), None).unwrap());
        let (hold, _) = dying.take(LIMITS, false).unwrap().unwrap();
        let lock = locks::member(dying.seat.group, dying.seat.member);
        std::mem::forget(hold);
        // Its lock goes, its name on the partition stays.
        core.environment.kill(lock);
        std::mem::forget(dying);
        let threads = survivors.map(|mut reader| {
            thread::spawn(move || {
                let taken = reader.take(LIMITS, false).unwrap();
                taken.map_or(0, |(hold, buffers)| {
                    let count = check(&buffers).len();
                    hold.advance(hold.next);
                    count
                })
            })
        });
        let done = threads.map(|thread| thread.join().unwrap());
        BY[0].note(done[0] == 1);
        BY[1].note(done[1] == 1);
        assert_eq!(done[0] + done[1], 1);
    });
    BY.iter().for_each(Met::check);
}

/// Two members that acknowledge at once leave the floor at the end, though each moves it only if its
/// own cursor held it.
fn two_acknowledgements(weaken: Weaken) {
    static EARLIER: [Met; 2] = [const { Met::new() }; 2];
    explore(weaken, 3, || {
        let (core, _) = ring(4, 2, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        for partition in 0..2 {
            put_in(&mut writer, key_of(partition));
        }
        let threads = [(); 2]
            .map(|()| {
                let mut reader = Reader::join(&core, &spec(), None).unwrap();
                let (hold, _) = reader.take(LIMITS, false).unwrap().unwrap();
                (hold, reader)
            })
            .map(|(hold, reader)| {
                thread::spawn(move || {
                    hold.advance(hold.next);
                    let floor = reader.seat.core.group_floor(0);
                    (floor, hold, reader)
                })
            });
        let members = threads.map(|thread| thread.join().unwrap());
        for (met, (floor, ..)) in EARLIER.iter().zip(&members) {
            met.note(*floor < 2);
        }
        assert_eq!(core.group_floor(0), 2, "nobody raised the floor to the end");
        drop(members);
    });
    EARLIER.iter().for_each(Met::check);
}

#[test]
fn loom_two_acknowledgements_raise_the_floor() {
    two_acknowledgements(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "nobody raised the floor to the end")]
fn loom_catches_missing_fences_at_the_floor() {
    two_acknowledgements(Weaken::Fences);
}

/// What an observer gets is whole, and what it does not get is counted.
fn observer(weaken: Weaken) {
    static LOST: Met = Met::new();
    static QUICK: Met = Met::new();
    explore(weaken, 3, || {
        let (core, _) = ring_of(Pair::Fences, layout(2, 1, 2), 0);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let mut watcher = Watcher::new(Arc::clone(&core), 0, Start::Earliest);
        let producer = thread::spawn(move || {
            assert!(put(&mut writer));
        });
        let mut buffers = Buffers::default();
        let mut next = watcher.read(LIMITS, &mut buffers).unwrap();
        LOST.note(next != 0);
        QUICK.note(next == 0);
        for position in check(&buffers) {
            assert_eq!(position, next);
            next += 1;
        }
        producer.join().unwrap();
        next += watcher.read(LIMITS, &mut buffers).unwrap();
        for position in check(&buffers) {
            assert_eq!(position, next);
            next += 1;
        }
        assert_eq!(next, 3);
    });
    LOST.check();
    QUICK.check();
}

#[test]
fn loom_observer_overrun() {
    observer(Weaken::Nothing);
}

#[test]
#[should_panic(expected = "Corrupt { position: 0 }")]
fn loom_catches_missing_fences_at_the_observer() {
    observer(Weaken::Fences);
}
