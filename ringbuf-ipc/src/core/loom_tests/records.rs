//! What members and observers get, and what groups hold.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;
use mixcord_memory::Heap;

use super::super::buffers::Buffers;
use super::super::geometry::{Geometry, partition_of};
use super::super::group_spec::Start;
use super::super::layout::Layout;
use super::super::memory::{Memory, Weaken};
use super::super::reader::Reader;
use super::super::watcher::Watcher;
use super::super::writer::{Meta, Writer};
use super::super::{Core, groups, initialise, locks};
use super::{LIMITS, World, check, explore, put, ring, spec};

/// Three records through two slots: consumed while the third overwrites the first.
fn publish_and_consume(weaken: Weaken) {
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
        while let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
            for position in check(&buffers) {
                assert_eq!(position, next);
                next += 1;
            }
            hold.advance(hold.next);
        }
        assert_eq!(next, staged);
    });
}

#[test]
fn loom_publish_and_consume() {
    publish_and_consume(Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_relaxed_tail() {
    publish_and_consume(Weaken::Release);
}

/// A member that has yet to see records others are done with, while they are overwritten.
#[test]
fn loom_scan_of_what_goes() {
    explore(Weaken::Nothing, 3, || {
        let (core, _) = ring(2, 2, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut busy = Reader::join(&core, &spec(), None).unwrap();
        let mut late = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        let key_of = |partition| (0..).find(|&key| partition_of(key, 2) == partition).unwrap();
        let mut put = move |partition| {
            let meta = Meta { key: key_of(partition), tag: 0, source: 0 };
            let staged = writer.stage(&meta, &[]).is_ok();
            writer.publish();
            staged
        };
        assert!(put(0) && put(0));
        let others = thread::spawn(move || {
            // Unless the late one came first.
            if let Some((hold, _)) = busy.take(LIMITS, false).unwrap() {
                hold.advance(hold.next);
            }
            assert!(busy.take(LIMITS, false).unwrap().is_none());
            std::mem::forget(busy);
            put(1);
        });
        // Not for damage, whatever it comes to see half overwritten.
        let taken = late.take(LIMITS, false).unwrap();
        if let Some((hold, buffers)) = taken {
            let first = buffers.get(0).unwrap();
            assert_eq!(u16::from(first.position == 2), partition_of(first.key, 2));
            std::mem::forget(hold);
        }
        others.join().unwrap();
    });
}

/// A group that joins a ring being overwritten begins where everything is still there.
fn join_against_overwrite(weaken: Weaken) {
    explore(weaken, 3, || {
        let (core, _) = ring(2, 1, 0);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let producer = thread::spawn(move || {
            // Refused only because the group came to hold the ring.
            put(&mut writer);
        });
        let mut reader = Reader::join(&core, &spec(), None).unwrap();
        if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
            let seen = check(&buffers);
            assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seen:?}");
            hold.advance(hold.next);
        }
        producer.join().unwrap();
    });
}

#[test]
fn loom_joining_against_overwriting() {
    join_against_overwrite(Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_missing_fences_at_the_join() {
    join_against_overwrite(Weaken::Fences);
}

/// Of two members that find the holder dead, one takes over, and each record is done once.
#[test]
fn loom_stealing_from_the_dead() {
    explore(Weaken::Nothing, 3, || {
        let geometry = Geometry::new(2, 256, 1, 1, 3).unwrap();
        let layout = Layout::new(geometry);
        let memory = Memory::new(Box::new(Heap::new(layout.total)));
        initialise(&memory, &layout, 1);
        let core = Arc::new(Core::new(memory, layout, 1, Box::new(World::default())));
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
        let done: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(done, 1);
    });
}

/// Two members that acknowledge at once leave the floor at the end, though each moves it only if its
/// own cursor held it.
fn two_acknowledgements(weaken: Weaken) {
    explore(weaken, 3, || {
        let (core, _) = ring(4, 2, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        for partition in 0..2 {
            let key = (0..).find(|&key| partition_of(key, 2) == partition).unwrap();
            writer.stage(&Meta { key, tag: 0, source: 0 }, &[]).unwrap();
        }
        writer.publish();
        let threads = [(); 2]
            .map(|()| {
                let mut reader = Reader::join(&core, &spec(), None).unwrap();
                let (hold, _) = reader.take(LIMITS, false).unwrap().unwrap();
                (hold, reader)
            })
            .map(|(hold, reader)| {
                thread::spawn(move || {
                    hold.advance(hold.next);
                    (hold, reader)
                })
            });
        let members = threads.map(|thread| thread.join().unwrap());
        assert_eq!(core.group_floor(0), 2);
        drop(members);
    });
}

#[test]
fn loom_two_acknowledgements_raise_the_floor() {
    two_acknowledgements(Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_missing_fences_at_the_floor() {
    two_acknowledgements(Weaken::Fences);
}

/// What an observer gets is whole, and what it does not get is counted.
fn observer(weaken: Weaken) {
    explore(weaken, 3, || {
        let (core, _) = ring(2, 1, 0);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let mut watcher = Watcher::new(Arc::clone(&core), 0, Start::Earliest);
        let producer = thread::spawn(move || {
            assert!(put(&mut writer));
        });
        let mut buffers = Buffers::default();
        let mut next = watcher.read(LIMITS, &mut buffers).unwrap();
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
}

#[test]
fn loom_observer_overrun() {
    observer(Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_missing_fences_at_the_observer() {
    observer(Weaken::Fences);
}
