//! What is found while it is overwritten. The thread that overwrites stores words it has not loaded: of a
//! word that it had loaded itself, loom would not try the other's earlier load.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use loom::thread;

use super::super::descriptor::Descriptor;
use super::super::groups;
use super::super::layout::{PRODUCER, group, producer};
use super::super::memory::{Ordering, Weaken, fence};
use super::super::pending::Pending;
use super::super::reader::Reader;
use super::super::writer::{Meta, Writer};
use super::{Met, explore, key_of, put, ring, spec};

/// A member that comes late to a record which others have acknowledged, while it is overwritten: it is
/// another record by now, or still the old one, and never damage.
#[test]
fn loom_a_late_member_finds_no_damage() {
    static MET: Met = Met::new();
    explore(Weaken::Nothing, 3, || {
        let (core, _) = ring(2, 2, 0);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        for _ in 0..2 {
            writer.stage(&Meta { key: key_of(0), ..Meta::default() }, &[]).unwrap();
            writer.publish();
        }
        let mut pending = Pending::new(&core, 0, 0);
        let theirs = Arc::clone(&core);
        let floor = core.layout.group(0) + group::FLOOR;
        let key = key_of(1);
        let others = thread::spawn(move || {
            theirs.memory.store(floor, 2, Ordering::Release);
            fence(Ordering::SeqCst);
            let entry = Descriptor {
                position: 2,
                offset: 0,
                length: 0,
                flags: 0,
                key,
                tag: 0,
                source: 0,
                order: 0,
            };
            entry.store(&theirs.memory, &theirs.layout);
        });
        assert_eq!(pending.scan(&core, 0, 2), Ok(()), "a sound ring is called damaged");
        match pending.first(0, 0) {
            Some(first) => assert!(first < 2),
            None => MET.note(true),
        }
        assert_eq!(pending.first(1, 0), None, "the key of another record was taken for this one's");
        others.join().unwrap();
    });
    MET.check();
}

/// A group that joins between the announcement and the producer's second look stays behind `reserved`:
/// what the next producer may overwrite is decided by its floor.
#[test]
fn loom_a_group_behind_reserved_holds_the_next_producer() {
    static MET: Met = Met::new();
    explore(Weaken::Nothing, 3, || {
        let (core, _) = ring(2, 1, 0);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let producer = thread::spawn(move || {
            put(&mut writer);
        });
        let reader = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        producer.join().unwrap();
        let floor = core.group_floor(reader.seat.group);
        MET.note(floor < core.reserved());
        let next = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(next.safe() <= floor);
    });
    MET.check();
}

/// A producer that attaches has not announced what its predecessor announced: a group that missed that
/// announcement is seen by it.
#[test]
fn loom_the_next_producer_sees_who_missed_the_announcement() {
    static MET: Met = Met::new();
    explore(Weaken::Nothing, 3, || {
        let (core, _) = ring(2, 1, 0);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let (dying, next) = (Arc::clone(&core), Arc::clone(&core));
        let dying = thread::spawn(move || {
            // Killed behind this store.
            dying.memory.store(PRODUCER + producer::RESERVED, 1, Ordering::Relaxed);
        });
        let next = thread::spawn(move || Writer::resume(next).unwrap().safe());
        let reader = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        let floor = core.group_floor(reader.seat.group);
        let safe = next.join().unwrap();
        dying.join().unwrap();
        assert!(safe <= floor, "{safe} may be overwritten, the group is at {floor}");
        MET.note(safe == 1);
    });
    MET.check();
}
