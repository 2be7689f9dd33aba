//! The protocol with threads over a heap block: what ThreadSanitizer and AddressSanitizer can see.
//!
//! Under `--cfg ring_plain` payload copies are plain, so that a copy that races with an overwrite is a
//! race to ThreadSanitizer. Observers race by design (they look at `reserved` afterwards) and are left
//! out there; loom has them.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mixcord_memory::Heap;

use super::buffers::{Buffers, Limits};
use super::geometry::Geometry;
use super::group_spec::{GroupSpec, Start};
use super::groups;
use super::layout::Layout;
use super::memory::Memory;
use super::reader::Reader;
use super::watcher::Watcher;
use super::words::letter::LetterFile;
use super::writer::{Meta, Writer};
use super::{Core, Environment, Life, Position, initialise, locks};

pub(super) const RECORDS: u64 = if cfg!(ring_plain) { 6_000 } else { 20_000 };
/// Of which the records are, in turn.
pub(super) const KEYS: u64 = 11;
const LIMITS: Limits = Limits { records: 7, bytes: 2048 };

/// Locks in a table; nobody sleeps, so nobody is rung. No lock of std: ThreadSanitizer sees its
/// memory but not its code.
#[derive(Debug)]
struct World {
    held: Arc<[AtomicBool]>,
    now: AtomicU64,
    /// Whether the kernel has barriers, and this process may call them.
    barriers: Arc<AtomicBool>,
    /// Whether another one has the file of a group, and does not let go.
    letters_held: Arc<AtomicBool>,
}

thread_local! {
    static HOLDS_TABLE: Cell<bool> = const { Cell::new(false) };
}

#[derive(Debug)]
struct Held(u64, Arc<[AtomicBool]>);

impl Drop for Held {
    fn drop(&mut self) {
        self.1[self.0 as usize].store(false, Ordering::Release);
    }
}

impl World {
    fn new() -> Self {
        let held = (0..locks::END).map(|_| AtomicBool::new(false)).collect();
        Self {
            held,
            now: AtomicU64::new(1),
            barriers: Arc::default(),
            letters_held: Arc::default(),
        }
    }
}

impl Environment for World {
    fn ring(&self, _: u64) -> bool {
        false
    }
    fn held(&self, byte: u64) -> bool {
        self.held[byte as usize].load(Ordering::Acquire)
    }
    fn hold(&self, byte: u64) -> io::Result<Option<Life>> {
        let free = !self.held[byte as usize].swap(true, Ordering::AcqRel);
        Ok(free.then(|| Box::new(Held(byte, Arc::clone(&self.held))) as Life))
    }
    fn with_table(&self, patience: Duration, change: &mut dyn FnMut()) -> io::Result<bool> {
        assert!(!HOLDS_TABLE.get(), "who waits for a lock of its own waits for ever");
        let guard = loop {
            match self.hold(locks::TABLE)? {
                None if !patience.is_zero() => thread::yield_now(),
                other => break other,
            }
        };
        let held = guard.is_some();
        if held {
            HOLDS_TABLE.set(true);
            change();
            HOLDS_TABLE.set(false);
        }
        Ok(held)
    }
    fn joins_barriers(&self) -> bool {
        self.barriers.load(Ordering::Relaxed)
    }
    fn barrier(&self) -> bool {
        self.barriers.load(Ordering::Relaxed)
    }
    fn now_ns(&self) -> u64 {
        self.now.fetch_add(1_000_000, Ordering::Relaxed)
    }
    fn create_blob(&self, _: Position, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn has_blob(&self, _: Position, _: u64) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_blob(&self, _: Position, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove_blob(&self, _: Position) {}
    fn blobs(&self) -> io::Result<Vec<(Position, u64)>> {
        Ok(Vec::new())
    }
    fn with_letters(
        &self,
        _: u16,
        _: bool,
        _: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
    ) -> io::Result<bool> {
        if self.letters_held.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(false)
    }
}

pub(super) fn ring(partitions: u16) -> Arc<Core> {
    ring_in(World::new(), partitions)
}

fn ring_in(world: World, partitions: u16) -> Arc<Core> {
    let geometry = Geometry::new(32, 8 << 10, 4, partitions, 4).unwrap();
    let layout = Layout::new(geometry);
    let memory = Memory::new(Box::new(Heap::new(layout.total)));
    initialise(&memory, &layout, 1);
    Arc::new(Core::new(memory, layout, 1, Box::new(world)))
}

/// The same, and what says whether another one has the files of its groups.
pub(super) fn ring_with_letters(partitions: u16) -> (Arc<Core>, Arc<AtomicBool>) {
    let world = World::new();
    let held = Arc::clone(&world.letters_held);
    (ring_in(world, partitions), held)
}

pub(super) fn payload(position: Position) -> Vec<u8> {
    (0..8 + position % 300).map(|i| (position * 31 + i) as u8).collect()
}

pub(super) fn produce(core: &Arc<Core>, blocking: bool) {
    let mut writer = Writer::resume(Arc::clone(core)).unwrap();
    while writer.staged() < RECORDS {
        let position = writer.staged();
        let meta = Meta { key: position % KEYS, tag: 1, source: position, ..Meta::default() };
        match writer.stage(&meta, &[&payload(position)]) {
            Ok(_) if position.is_multiple_of(5) => {
                writer.publish();
            }
            Ok(_) => {}
            Err(_) => {
                assert!(blocking || writer.staged() != writer.tail());
                writer.publish();
                thread::yield_now();
            }
        }
    }
    writer.publish();
}

fn check(buffers: &Buffers, seen: &mut Vec<(u64, Position)>) {
    for entry in buffers.iter() {
        assert_eq!(entry.payload, payload(entry.position));
        assert_eq!(entry.source, entry.position);
        seen.push((entry.key, entry.position));
    }
}

/// The same without copying out first.
fn look(reader: &mut Reader, seen: &mut Vec<(u64, Position)>) {
    let Some(lease) = reader.lease(LIMITS).unwrap() else { return };
    for entry in lease.entries {
        let mut copied = vec![0; entry.length as usize];
        entry.copy(&lease.hold.seat.core, &mut copied).unwrap();
        assert_eq!(copied, payload(entry.position));
        seen.push((entry.key, entry.position));
    }
    lease.hold.advance(lease.hold.next);
}

#[test]
fn members_of_two_groups_share_every_record_once() {
    let core = ring(4);
    let specs = ["a", "b"].map(|name| GroupSpec::durable(name).from(Start::Earliest));
    for spec in &specs {
        groups::declare(&core, spec).unwrap();
    }
    let members: Vec<_> = specs
        .iter()
        .flat_map(|spec| [spec, spec])
        .map(|spec| {
            let (core, spec) = (Arc::clone(&core), spec.clone());
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut reader = Reader::join(&core, &spec, None).unwrap();
                let group = reader.seat.group;
                let mut rounds = 0u32;
                while core.group_floor(group) < RECORDS {
                    rounds += 1;
                    if rounds.is_multiple_of(3) {
                        look(&mut reader, &mut seen);
                        continue;
                    }
                    let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() else {
                        thread::yield_now();
                        continue;
                    };
                    check(&buffers, &mut seen);
                    hold.advance(hold.next);
                    drop(hold);
                    if rounds.is_multiple_of(100) {
                        drop(reader);
                        reader = Reader::join(&core, &spec, None).unwrap();
                    }
                }
                seen
            })
        })
        .collect();
    produce(&core, true);
    let seen: Vec<_> = members.into_iter().map(|member| member.join().unwrap()).collect();
    for pair in seen.chunks(2) {
        let mut all: Vec<_> = pair.iter().flatten().map(|&(_, position)| position).collect();
        all.sort_unstable();
        assert_eq!(all, (0..RECORDS).collect::<Vec<_>>());
        for member in pair {
            let mut last = HashMap::new();
            for &(key, position) in member {
                assert!(last.insert(key, position).is_none_or(|last| last < position));
            }
        }
    }
}

#[test]
fn groups_that_come_and_go_never_see_an_overwritten_record() {
    let core = ring(1);
    let done = Arc::new(AtomicU64::new(0));
    let joiner = {
        let (core, done) = (Arc::clone(&core), Arc::clone(&done));
        thread::spawn(move || {
            let mut taken = 0;
            while done.load(Ordering::Acquire) == 0 {
                let spec = GroupSpec::ephemeral("e").from(Start::Earliest);
                let mut reader = Reader::join(&core, &spec, None).unwrap();
                let mut seen = Vec::new();
                for _ in 0..3 {
                    if let Some((hold, buffers)) = reader.take(LIMITS, false).unwrap() {
                        check(&buffers, &mut seen);
                        hold.advance(hold.next);
                    }
                }
                assert!(seen.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1));
                taken += seen.len();
            }
            taken
        })
    };
    produce(&core, true);
    done.store(1, Ordering::Release);
    joiner.join().unwrap();
}

#[test]
#[cfg_attr(ring_plain, ignore = "observers race by design")]
fn an_observer_under_pressure_gets_whole_records_and_exact_losses() {
    let core = ring(1);
    let watcher = {
        let core = Arc::clone(&core);
        thread::spawn(move || {
            let mut watcher = Watcher::new(core, 0, Start::Earliest);
            let (mut buffers, mut next) = (Buffers::default(), watcher.position());
            while next < RECORDS {
                next += watcher.read(LIMITS, &mut buffers).unwrap();
                for entry in buffers.iter() {
                    assert_eq!(entry.position, next);
                    assert_eq!(entry.payload, payload(next));
                    next += 1;
                }
            }
        })
    };
    produce(&core, false);
    watcher.join().unwrap();
}

/// Others rely on the barriers of those who sleep: who cannot have them any more looks again sooner, and
/// fences for itself.
#[test]
fn a_barrier_that_fails_is_not_relied_on_again() {
    let (world, barriers) = (World::new(), Arc::new(AtomicBool::new(true)));
    let core = ring_in(World { barriers: Arc::clone(&barriers), ..world }, 1);
    core.heavy_fence();
    assert_eq!(core.tick(), Duration::from_millis(100));
    barriers.store(false, Ordering::Relaxed);
    core.heavy_fence();
    assert_eq!(core.tick(), Duration::from_millis(10));
    barriers.store(true, Ordering::Relaxed);
    core.heavy_fence();
    assert_eq!(core.tick(), Duration::from_millis(10), "those who missed it are not paired again");
}
