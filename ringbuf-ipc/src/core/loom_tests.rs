//! The protocol under loom: every interleaving (up to a bound of preemptions) and every value a load
//! may give, on rings of two to four slots. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p mixcord-ring --lib loom_ --release`.
//!
//! The weakened variants show that the models see what they are there to see.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};

use loom::sync::Notify;
use loom::thread;

use super::batch::{Buffers, Limits};
use super::geometry::{Geometry, partition_of};
use super::group_spec::{GroupSpec, Start};
use super::groups;
use super::layout::Layout;
use super::memory::heap::Heap;
use super::memory::{Memory, Weaken};
use super::observer::Watcher;
use super::reader::Reader;
use super::writer::{Meta, Writer};
use super::{Core, Environment, Life, Position, initialise};

const LIMITS: Limits = Limits { records: 4, bytes: 4096 };

/// Locks that die when told, bells without timeouts: a wake that is lost is a deadlock loom reports.
#[derive(Debug, Default)]
struct World {
    held: Arc<Mutex<HashSet<u64>>>,
    bells: BTreeMap<u64, Arc<Notify>>,
    table: loom::sync::Mutex<()>,
    looks: std::sync::atomic::AtomicU64,
    barriers: bool,
}

#[derive(Debug)]
struct Held {
    byte: u64,
    of: Arc<Mutex<HashSet<u64>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.lock().unwrap().remove(&self.byte);
    }
}

impl Environment for World {
    fn ring(&self, bell: u64) {
        if let Some(bell) = self.bells.get(&bell) {
            bell.notify();
        }
    }
    fn held(&self, byte: u64) -> bool {
        self.held.lock().unwrap().contains(&byte)
    }
    fn hold(&self, byte: u64) -> io::Result<Option<Life>> {
        let free = self.held.lock().unwrap().insert(byte);
        Ok(free.then(|| Box::new(Held { byte, of: Arc::clone(&self.held) }) as Life))
    }
    fn with_table(&self, wait: bool, change: &mut dyn FnMut()) -> io::Result<bool> {
        if wait {
            let _guard = self.table.lock().unwrap();
            change();
        } else {
            let Ok(_guard) = self.table.try_lock() else { return Ok(false) };
            change();
        }
        Ok(true)
    }
    fn joins_barriers(&self) -> bool {
        self.barriers
    }
    fn barrier(&self) -> bool {
        self.barriers
    }
    fn kill(&self, byte: u64) {
        self.held.lock().unwrap().remove(&byte);
    }
    /// Each look is long after the one before.
    fn now_ns(&self) -> u64 {
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed).wrapping_add(1)
            * 1_000_000_000
    }
    fn create_blob(&self, _: Position, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn check_blob(&self, _: Position, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_blob(&self, _: Position, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove_blob(&self, _: Position) {}
    fn blobs(&self) -> io::Result<Vec<(Position, u64)>> {
        Ok(Vec::new())
    }
}

/// What light and heavy fences are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// Whole fences both, as where the kernel has no barrier.
    Fences,
    /// No instruction, and the kernel's barrier.
    Barriers,
}

fn ring(slots: u32, partitions: u16, bells: u64) -> (Arc<Core>, Vec<Arc<Notify>>) {
    ring_with(Pair::Fences, slots, partitions, bells)
}

fn ring_with(pair: Pair, slots: u32, partitions: u16, bells: u64) -> (Arc<Core>, Vec<Arc<Notify>>) {
    let geometry = Geometry::new(slots, 256, 1, partitions, 2).unwrap();
    let layout = Layout::new(geometry);
    let memory = Memory::new(Box::new(Heap::new(layout.total)));
    initialise(&memory, &layout, 1);
    let notifies: Vec<_> = (0..bells).map(|_| Arc::new(Notify::new())).collect();
    let bells = (0..).zip(notifies.iter().cloned()).collect();
    let world = World { bells, barriers: pair == Pair::Barriers, ..World::default() };
    (Arc::new(Core::new(memory, layout, 1, Box::new(world))), notifies)
}

fn spec() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

fn put(writer: &mut Writer) -> bool {
    let position = writer.staged();
    let meta = Meta { key: 0, tag: position + 100, source: 0 };
    if writer.stage(&meta, &[&(position + 7).to_le_bytes()]).is_err() {
        return false;
    }
    writer.publish();
    true
}

fn check(buffers: &Buffers) -> Vec<Position> {
    buffers
        .iter()
        .map(|entry| {
            assert_eq!(entry.tag, entry.position + 100);
            assert_eq!(entry.payload, (entry.position + 7).to_le_bytes());
            entry.position
        })
        .collect()
}

fn explore(weaken: Weaken, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    Weaken::with(weaken, || builder.check(model));
}

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

/// A member that sleeps is woken by the publish it did not see.
fn doorbell(pair: Pair, weaken: Weaken) {
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut reader = Reader::join(&core, &spec(), Some(0)).unwrap();
        let producer = thread::spawn(move || {
            assert!(put(&mut writer));
        });
        let mut seen = 0;
        while seen == 0 {
            reader.arm();
            if !reader.has_work() {
                bells[0].wait();
            }
            if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
                seen += check(&buffers).len();
                hold.advance(hold.next);
            }
        }
        producer.join().unwrap();
    });
}

#[test]
fn loom_no_wake_is_lost() {
    doorbell(Pair::Fences, Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_fence_of_the_ringer() {
    doorbell(Pair::Fences, Weaken::LightFences);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_fence_of_the_sleeper() {
    doorbell(Pair::Fences, Weaken::HeavyFences);
}

#[test]
fn loom_no_wake_is_lost_with_barriers() {
    doorbell(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_reordering_of_the_ringer() {
    doorbell(Pair::Barriers, Weaken::LightFences);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_barrier_of_the_sleeper() {
    doorbell(Pair::Barriers, Weaken::Barrier);
}

#[test]
#[should_panic]
fn loom_catches_no_barrier_and_no_fence_of_the_sleeper() {
    doorbell(Pair::Barriers, Weaken::HeavyFences);
}

#[test]
#[should_panic]
fn loom_catches_a_light_fence_of_the_sleeper() {
    doorbell(Pair::Barriers, Weaken::HeavyIsLight);
}

/// A producer that waits for space is woken by the floor it did not see.
fn space(pair: Pair, weaken: Weaken) {
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let word = super::layout::PRODUCER + super::layout::producer::BELL;
        core.memory.store(word, 1, super::memory::Ordering::Relaxed);
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut reader = Reader::join(&core, &spec(), None).unwrap();
        assert!(put(&mut writer) && put(&mut writer));
        let consumer = thread::spawn(move || {
            let (hold, buffers) = reader.take(LIMITS, false).unwrap().unwrap();
            assert_eq!(check(&buffers), [0, 1]);
            hold.advance(1);
            hold.advance(hold.next);
            drop(hold);
            std::mem::forget(reader);
        });
        while !put(&mut writer) {
            if !writer.arm_space(8) {
                bells[0].wait();
            }
        }
        consumer.join().unwrap();
    });
}

#[test]
fn loom_no_wake_for_space_is_lost() {
    space(Pair::Fences, Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_fence_at_the_acknowledgement() {
    space(Pair::Fences, Weaken::LightFences);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_fence_of_the_waiting_producer() {
    space(Pair::Fences, Weaken::HeavyFences);
}

#[test]
fn loom_no_wake_for_space_is_lost_with_barriers() {
    space(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_reordering_at_the_acknowledgement() {
    space(Pair::Barriers, Weaken::LightFences);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_barrier_of_the_waiting_producer() {
    space(Pair::Barriers, Weaken::Barrier);
}

#[test]
#[should_panic]
fn loom_catches_no_barrier_and_no_fence_of_the_waiting_producer() {
    space(Pair::Barriers, Weaken::HeavyFences);
}

#[test]
#[should_panic]
fn loom_catches_a_light_fence_of_the_waiting_producer() {
    space(Pair::Barriers, Weaken::HeavyIsLight);
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

/// What a member lets go of reaches the other one, asleep or not.
fn leaving(pair: Pair, weaken: Weaken) {
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut a = Reader::join(&core, &spec(), None).unwrap();
        let mut b = Reader::join(&core, &spec(), Some(0)).unwrap();
        assert!(put(&mut writer));
        let held = a.take(LIMITS, false).unwrap().unwrap();
        let leaving = thread::spawn(move || {
            drop(held);
            drop(a);
        });
        loop {
            b.arm();
            if !b.has_work() {
                bells[0].wait();
            }
            if let Some((hold, buffers)) = b.take(LIMITS, false).unwrap() {
                assert_eq!(check(&buffers), [0]);
                hold.advance(hold.next);
                break;
            }
        }
        leaving.join().unwrap();
    });
}

#[test]
fn loom_leaving_hands_on() {
    leaving(Pair::Fences, Weaken::Nothing);
}

#[test]
fn loom_leaving_hands_on_with_barriers() {
    leaving(Pair::Barriers, Weaken::Nothing);
}

/// The same while the member stays: its leave would wake the other anyway. Neither is dropped, since
/// that too would be modelled, in a model that has failed already.
fn letting_go(pair: Pair, weaken: Weaken) {
    explore(weaken, 3, move || {
        let (core, bells) = ring_with(pair, 2, 1, 1);
        groups::declare(&core, &spec()).unwrap();
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        let mut a = ManuallyDrop::new(Reader::join(&core, &spec(), None).unwrap());
        let mut b = ManuallyDrop::new(Reader::join(&core, &spec(), Some(0)).unwrap());
        assert!(put(&mut writer));
        let held = a.take(LIMITS, false).unwrap().unwrap();
        let letting_go = thread::spawn(move || drop(held));
        loop {
            b.arm();
            if !b.has_work() {
                bells[0].wait();
            }
            if let Some(lease) = b.lease(LIMITS).unwrap() {
                assert_eq!(lease.entries[0].position, 0);
                lease.hold.advance(lease.hold.next);
                break;
            }
        }
        letting_go.join().unwrap();
    });
}

#[test]
fn loom_letting_go_hands_on() {
    letting_go(Pair::Fences, Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_fence_at_letting_go() {
    letting_go(Pair::Fences, Weaken::LightFences);
}

#[test]
fn loom_letting_go_hands_on_with_barriers() {
    letting_go(Pair::Barriers, Weaken::Nothing);
}

#[test]
#[should_panic]
fn loom_catches_a_missing_barrier_after_letting_go() {
    letting_go(Pair::Barriers, Weaken::Barrier);
}

#[test]
#[should_panic]
fn loom_catches_a_light_fence_after_letting_go() {
    letting_go(Pair::Barriers, Weaken::HeavyIsLight);
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
        let lock = super::locks::member(dying.seat.group, dying.seat.member);
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
