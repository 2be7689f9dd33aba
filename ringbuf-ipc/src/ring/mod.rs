//! A ring as seen by everybody but its producer.

mod look;

use std::sync::Arc;

pub use self::look::{GroupInfo, Pressure};
use crate::bell::Bell;
use crate::core::geometry::partition_of;
use crate::core::groups;
use crate::core::layout::{CONTROL, control};
use crate::core::memory::Ordering;
use crate::core::reader::Reader;
use crate::core::watcher::Watcher;
use crate::core::{Core, checkpoint, locks, patience};
use crate::error::AttachError;
use crate::namespace::Namespace;
use crate::system::bells::Bells;
use crate::system::host::Host;
use crate::system::segment::{Role, Segment};
use crate::{
    Geometry, GroupError, GroupSpec, JoinError, Member, Observer, Position, RingId, Start, Worker,
    WorkerOptions,
};

/// An attached ring: to look at its state, declare groups, join them, observe.
///
/// The records and everything the producer writes are mapped read-only. A clone is the same map.
///
/// ```
/// # use mixcord_ring::{Geometry, GroupSpec, Meta, Namespace, Producer, Ring, Start};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let namespace = Namespace::private();
/// # let bell = namespace.bell()?;
/// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
/// # let mut producer = Producer::create(&namespace, "events", geometry, &[], &bell)?;
/// let ring = Ring::attach(&namespace, "events")?;
/// // Declared before its members start, a group misses nothing.
/// ring.declare_group(&GroupSpec::durable("workers").from(Start::Earliest))?;
/// producer.stage(&Meta::default(), &[b"text"])?;
/// producer.publish();
/// for group in ring.groups() {
///     println!("{}: {} behind, {} members", group.name, group.lag, group.members);
/// #   assert_eq!((group.lag, group.members), (1, 0));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    core: Arc<Core>,
    name: Arc<str>,
    bells: Arc<Bells>,
}

impl Ring {
    /// Attaches a ring, checking owner, mode, size, magic, version, geometry and checksum. Never
    /// initialises anything.
    ///
    /// # Errors
    /// Which check failed, and what to do about it.
    pub fn attach(namespace: &Namespace, name: &str) -> Result<Self, AttachError> {
        let segment_name = namespace.segment(name)?;
        if let Some(rings) = &namespace.private {
            let Some(core) = rings.get(name) else {
                return Err(AttachError::NotFound { name: segment_name });
            };
            let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
            return Ok(Self::of(core, &segment_name, bells));
        }
        let segment = Segment::open(&segment_name, Role::Reader)?;
        let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
        let core = core_of(segment, &segment_name, &bells)?;
        Ok(Self::of(Arc::new(core), &segment_name, bells))
    }

    pub(crate) fn of(core: Arc<Core>, segment_name: &str, bells: Arc<Bells>) -> Self {
        Self { core, name: segment_name.into(), bells }
    }

    /// The ring's incarnation.
    pub fn id(&self) -> RingId {
        RingId(self.core.id)
    }

    /// The ring's name, without the namespace.
    pub fn name(&self) -> &str {
        self.name.rsplit_once('.').map_or(&*self.name, |(_, name)| name)
    }

    /// The prefix of its namespace.
    pub fn prefix(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(prefix, _)| prefix)
    }

    /// The ring's sizes.
    pub fn geometry(&self) -> Geometry {
        self.core.layout.geometry
    }

    /// The partition of a key, the same in every process: 0 up to, and not with, the partitions of the geometry.
    pub fn partition_of(&self, key: u64) -> u16 {
        partition_of(key, self.core.layout.geometry.partitions)
    }

    /// Records published since the ring was made; the position of the next one.
    pub fn tail(&self) -> Position {
        self.core.tail()
    }

    /// The oldest record that can still be read.
    pub fn earliest(&self) -> Position {
        self.core.reserved().min(self.core.tail())
    }

    /// The newest committed checkpoint.
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        checkpoint::current_checkpoint(&self.core)
    }

    /// Whether the newest checkpoint begins with these bytes, and whatever else is in its two slots, too:
    /// a glance of some nanoseconds that may say false for a moment, when [`checkpoint`](Self::checkpoint)
    /// tells. At most 64 bytes.
    pub fn checkpoint_begins_with<const N: usize>(&self, prefix: &[u8; N]) -> bool {
        const { assert!(N <= 64) };
        checkpoint::all_begin_with(&self.core, prefix)
    }

    /// Whether the file of this ring is still the one of its name. Not so after the ring was removed, or got other
    /// sizes: then nothing comes here any more, and who attaches anew goes on where it stood.
    pub fn is_current(&self) -> bool {
        self.core.environment.is_current()
    }

    /// Whether a producer is attached, by its lock.
    pub fn producer_alive(&self) -> bool {
        self.core.environment.held(locks::PRODUCER)
    }

    /// Whether the producer waits for room now. Costs nothing.
    pub fn producer_waits(&self) -> bool {
        self.core.producer_waits()
    }

    /// Makes a group unless it is there; true when it was made. An evicted one is reinstated.
    ///
    /// # Errors
    /// A name that cannot be, no place in the table, or the table's lock.
    pub fn declare_group(&self, spec: &GroupSpec) -> Result<bool, GroupError> {
        self.with_table(|core| groups::declare(core, spec).map(|(_, made)| made))
    }

    /// Joins a group, which is made if it is not there. A group that is there goes on at its cursors
    /// and keeps its policy, whatever `spec` says.
    ///
    /// `bell` must be of this ring's namespace; otherwise the member is woken by timeouts only.
    ///
    /// # Errors
    /// No place for the group or the member, or locks.
    pub fn join(&self, spec: &GroupSpec, bell: &Bell) -> Result<Member, JoinError> {
        let reader = Reader::join(&self.core, spec, bell.index_in(&self.bells))?;
        self.core.populate(false);
        Ok(Member::new(self.clone(), reader, bell))
    }

    /// Joins a group whose records are settled in any order; made if it is not there.
    ///
    /// # Errors
    /// No place for the group or the member, locks, or the group is there and its members take records in another
    /// way than `spec` says.
    pub fn work(
        &self,
        spec: &GroupSpec,
        bell: &Bell,
        options: WorkerOptions,
    ) -> Result<Worker, JoinError> {
        let worker = Worker::join(self, spec, bell, options)?;
        self.core.populate(false);
        Ok(worker)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn bells(&self) -> &Bells {
        &self.bells
    }

    /// Watches without holding anything: an observer that falls behind is told how much it lost.
    /// `name` is for messages only.
    ///
    /// # Errors
    /// All places of observers are taken, or locks.
    pub fn observe(&self, name: &str, start: Start, bell: &Bell) -> Result<Observer, JoinError> {
        for slot in 0..control::OBSERVER_COUNT {
            let Some(life) = self.core.environment.hold(locks::observer(slot))? else { continue };
            let word = CONTROL + control::OBSERVERS + slot * 8;
            let index = bell.index_in(&self.bells).map_or(0, |index| index + 1);
            self.core.memory.store(word, index, Ordering::Relaxed);
            self.core.populate(false);
            let watcher = Watcher::new(Arc::clone(&self.core), slot, start);
            return Ok(Observer::new(self.clone(), name, watcher, bell, life));
        }
        Err(JoinError::Full { limit: control::OBSERVER_COUNT as u16 })
    }

    pub(crate) fn with_table<T>(
        &self,
        change: impl Fn(&Core) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let mut outcome = None;
        let mut changed = || outcome = Some(change(&self.core));
        self.core.environment.with_table(patience::CHANGING, &mut changed)?;
        outcome.unwrap_or(Err(GroupError::Busy))
    }
}

/// A core over a segment.
pub(crate) fn core_of(
    segment: Segment,
    segment_name: &str,
    bells: &Arc<Bells>,
) -> std::io::Result<Core> {
    let letters = segment.layout.geometry.letters_bytes();
    let host = Host::new(segment.file, Arc::clone(bells), segment_name, segment.id, letters)?;
    Ok(Core::new(segment.memory, segment.layout, segment.id, Box::new(host)))
}
