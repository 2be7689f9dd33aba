//! The protocol under loom: every interleaving (up to a bound of preemptions) and every value a load
//! may give, on rings of two to four slots. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p mixcord-ring --lib loom_ --release`.
//!
//! The weakened variants show that the models see what they are there to see.

mod overrun;
mod records;
mod wakes;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::sync::Notify;
use mixcord_memory::Heap;

use super::buffers::{Buffers, Limits};
use super::geometry::Geometry;
use super::group_spec::{GroupSpec, Start};
use super::layout::Layout;
use super::memory::{Memory, Weaken};
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
