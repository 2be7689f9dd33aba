//! The protocol under loom: every interleaving (up to a bound of preemptions) and every value a load
//! may give, on rings of two to four slots. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p mixcord-ring --lib loom_ --release`.
//!
//! The weakened variants show that the models see what they are there to see: each says the words with
//! which it fails. A model of something rare counts how often it met it, outside the model, and fails
//! when it never did: loom tries only what it believes to be a race.

mod doorbells;
mod evicted;
mod handover;
mod moved;
mod overrun;
mod records;
mod shares;
mod wakes;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord_memory::Heap;

use super::buffers::{Buffers, Limits};
use super::doorbell::{self, Doorbells};
use super::geometry::{Geometry, partition_of};
use super::group_spec::{GroupSpec, Start};
use super::layout::{CONTROL, Layout, PRODUCER, control, descriptor, producer};
use super::memory::{Memory, Weaken};
use super::writer::{Meta, Writer};
use super::{Core, Environment, Life, Position, initialise};

const LIMITS: Limits = Limits { records: 4, bytes: 4096 };

/// Locks that die when told, bells without timeouts: a wake that is lost is a deadlock loom reports.
#[derive(Debug)]
struct World {
    held: Arc<Mutex<HashSet<u64>>>,
    bells: Arc<Doorbells>,
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
    fn ring(&self, bell: u64) -> bool {
        self.bells.ring(bell)
    }
    fn held(&self, byte: u64) -> bool {
        self.held.lock().unwrap().contains(&byte)
    }
    fn hold(&self, byte: u64) -> io::Result<Option<Life>> {
        let free = self.held.lock().unwrap().insert(byte);
        Ok(free.then(|| Box::new(Held { byte, of: Arc::clone(&self.held) }) as Life))
    }
    fn with_table(&self, patience: Duration, change: &mut dyn FnMut()) -> io::Result<bool> {
        if patience.is_zero() {
            let Ok(_guard) = self.table.try_lock() else { return Ok(false) };
            change();
        } else {
            let _guard = self.table.lock().unwrap();
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
}

/// What light and heavy fences are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// Whole fences both, as where the kernel has no barrier.
    Fences,
    /// No instruction, and the kernel's barrier.
    Barriers,
}

/// Where somebody sleeps.
#[derive(Debug, Clone)]
struct Bell {
    bells: Arc<Doorbells>,
    number: u32,
}

impl Bell {
    fn ticket(&self) -> u32 {
        self.bells.ticket(self.number)
    }

    fn wait(&self, ticket: u32) {
        assert!(self.bells.wait(self.number, ticket, Duration::MAX));
    }
}

/// A ring, and the first bells of its namespace.
fn ring(slots: u32, partitions: u16, bells: u32) -> (Arc<Core>, Vec<Bell>) {
    ring_with(Pair::Fences, slots, partitions, bells)
}

fn ring_with(pair: Pair, slots: u32, partitions: u16, bells: u32) -> (Arc<Core>, Vec<Bell>) {
    let (core, bells) = ring_of(pair, layout(slots, partitions, 2), bells);
    // No record that a member copies is overwritten meanwhile.
    core.memory.read_plainly(core.layout.descriptors..core.layout.total);
    (core, bells)
}

/// The same where what is copied may be overwritten meanwhile.
fn ring_of(pair: Pair, layout: Layout, bells: u32) -> (Arc<Core>, Vec<Bell>) {
    let memory = doorbell::Memory::new(Box::new(Heap::new(doorbell::BYTES)));
    let doorbells = Arc::new(Doorbells::new(memory));
    doorbells.prepare(bells);
    let memory = Memory::new(Box::new(Heap::new(layout.total)));
    initialise(&memory, &layout, 1);
    prepare(&memory, &layout);
    let world = World {
        held: Arc::default(),
        bells: Arc::clone(&doorbells),
        table: loom::sync::Mutex::new(()),
        looks: std::sync::atomic::AtomicU64::new(0),
        barriers: pair == Pair::Barriers,
    };
    let core = Arc::new(Core::new(memory, layout, 1, Box::new(world)));
    let bell = |number| Bell { bells: Arc::clone(&doorbells), number };
    (core, (0..bells).map(bell).collect())
}

fn layout(slots: u32, partitions: u16, members: u16) -> Layout {
    layout_for(slots, 1, partitions, members)
}

fn layout_for(slots: u32, groups: u16, partitions: u16, members: u16) -> Layout {
    Layout::new(Geometry::new(slots, 256, groups, partitions, members).unwrap())
}

/// Every word that a model may touch.
fn prepare(memory: &Memory, layout: &Layout) {
    memory.prepare(PRODUCER..PRODUCER + producer::BLOBS + 8);
    for slot in 0..2 {
        let at = layout.checkpoint(slot);
        memory.prepare(at..at + producer::CHECKPOINT_BYTES);
    }
    memory.prepare(CONTROL..CONTROL + control::GROUPS);
    memory.prepare(layout.group(0)..layout.group(layout.geometry.groups));
    (0..layout.geometry.groups).for_each(|index| memory.prepare(layout.words(index)));
    let slots = layout.geometry.slots as usize;
    memory.prepare(layout.hash(0)..layout.hash(0) + slots * 8);
    memory.prepare(layout.descriptors..layout.descriptors + slots * descriptor::BYTES);
    memory.prepare(layout.payload..layout.payload + layout.geometry.payload_bytes as usize);
    memory.seal();
}

fn spec() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

fn put(writer: &mut Writer) -> bool {
    put_in(writer, 0)
}

/// The smallest key of a partition, of two there are.
fn key_of(partition: u16) -> u64 {
    (0..).find(|&key| partition_of(key, 2) == partition).unwrap()
}

fn put_in(writer: &mut Writer, key: u64) -> bool {
    let is_staged = stage(writer, key);
    if is_staged {
        writer.publish();
    }
    is_staged
}

fn stage(writer: &mut Writer, key: u64) -> bool {
    let position = writer.staged();
    let meta = Meta { key, tag: position + 100, source: 0, ..Meta::default() };
    writer.stage(&meta, &[&(position + 7).to_le_bytes()]).is_ok()
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

/// How often a model met what it is there for.
struct Met(AtomicU32);

impl Met {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn note(&self, met: bool) {
        self.0.fetch_add(met.into(), Relaxed);
    }

    fn check(&self) {
        assert_ne!(self.0.load(Relaxed), 0, "no execution met it");
    }
}

fn explore(weaken: Weaken, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&executions);
    let model = move || {
        count.fetch_add(1, Relaxed);
        model();
    };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    Weaken::with(weaken, || builder.check(model));
    println!("{} executions", executions.load(Relaxed));
}
