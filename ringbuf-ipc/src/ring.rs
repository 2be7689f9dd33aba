//! A ring as seen by everybody but its producer.

use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::core::geometry::partition_of;
use crate::core::group_spec::check_name;
use crate::core::groups::{self, state};
use crate::core::layout::{CONTROL, PRODUCER, control, producer};
use crate::core::memory::Ordering;
use crate::core::pending::Pending;
use crate::core::reader::Reader;
use crate::core::watcher::Watcher;
use crate::core::{Core, checkpoint, locks, patience};
use crate::error::AttachError;
use crate::namespace::Namespace;
use crate::system::bells::Bells;
use crate::system::host::Host;
use crate::system::segment::{Role, Segment};
use crate::{
    Geometry, GroupError, GroupFigures, GroupSpec, JoinError, Member, MemberInfo, Mode, Observer,
    Policy, Position, RingId, Standing, Start, Worker, WorkerOptions,
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

/// A group at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// What becomes of its backlog.
    pub policy: Policy,
    /// Raised with every change of its place in the table.
    pub generation: u64,
    /// Whether it was evicted: it holds nothing until a member joins.
    pub evicted: bool,
    /// Every record before this one is acknowledged.
    pub floor: Position,
    /// Records from the floor to the tail.
    pub lag: u64,
    /// How much of the ring it holds, 0 to 1: of its slots or of its payload, whichever is more.
    pub fullness: f64,
    /// Members that live.
    pub members: u16,
    /// For how long none has lived, or, if the last one died, none has moved; `None` while one lives.
    pub absent: Option<Duration>,
    /// Whether its entry says what cannot be, so that none of the figures is to be believed: its members get
    /// [`TakeError::Beyond`](crate::TakeError::Beyond) or [`TakeError::Foreign`](crate::TakeError::Foreign), and
    /// it is evicted once it holds a full ring up. A name that nobody can give is damage, too: such a group is
    /// found by no member, but holds the ring.
    pub damaged: bool,
    /// Records from the cursor to the tail, a partition each (records of other partitions count too). None of a
    /// group whose records are settled in any order.
    pub partition_lags: Vec<u64>,
    /// How its members take records.
    pub mode: Mode,
    /// Members that live, by their seats.
    pub living: Vec<MemberInfo>,
    /// The first record that is not settled, of a group whose records are settled in any order.
    pub oldest: Option<Standing>,
    /// What happened since it was made.
    pub figures: GroupFigures,
}

/// How hard a ring is pressed, at one moment. Counters are since its creation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Pressure {
    /// 0 to 1: of slots or of payload, whichever is more, as the slowest group holds them.
    pub fullness: f64,
    /// Records the slowest group holds.
    pub slots_used: u64,
    /// Payload bytes it holds, padding included.
    pub payload_used: u64,
    /// Times the producer found no room.
    pub stalls: u64,
    /// Nanoseconds it had none, the stall that lasts now included.
    pub stalled_ns: u64,
    /// Commits of at least one record.
    pub publishes: u64,
    /// Records published.
    pub records: u64,
    /// Bells rung by publishing.
    pub wakes: u64,
    /// Groups evicted or removed for want of a living member.
    pub evictions: u64,
    /// Out-of-line records.
    pub blobs: u64,
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

    /// All groups, in the order of the table. Partitions without records to do are moved on first, so
    /// that the lag of a group which has acknowledged everything is 0, even when no member lives.
    pub fn groups(&self) -> Vec<GroupInfo> {
        let groups = 0..self.geometry().groups;
        groups.clone().for_each(|index| self.move_on(index));
        groups.filter_map(|index| self.group_info(index)).collect()
    }

    /// Whether every group that holds the ring has acknowledged all that is in it.
    pub fn is_drained(&self) -> bool {
        self.groups().iter().all(|group| group.evicted || group.lag == 0)
    }

    /// How hard the ring is pressed. Disturbs nobody.
    pub fn pressure(&self) -> Pressure {
        let word = |offset| self.core.memory.load(PRODUCER + offset, Ordering::Relaxed);
        let tail = self.core.tail();
        let floor = self.core.lowest_floor(tail);
        let (slots_used, payload_used, fullness) = self.held_from(floor, tail);
        let now = self.core.environment.now_ns();
        let lasting = match word(producer::STALLED_SINCE) {
            0 => 0,
            since => now.saturating_sub(since),
        };
        Pressure {
            fullness,
            slots_used,
            payload_used,
            stalls: word(producer::STALLS),
            stalled_ns: word(producer::STALLED_NS).saturating_add(lasting),
            publishes: word(producer::PUBLISHES),
            records: tail,
            wakes: word(producer::WAKES),
            evictions: word(producer::EVICTIONS),
            blobs: word(producer::BLOBS),
        }
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

    /// Moves the idle partitions of a group on.
    fn move_on(&self, index: u16) {
        let core = &self.core;
        let word = core.group_state(index);
        if state::of(word) != state::ACTIVE {
            return;
        }
        // What is in the ring is looked at before the table is locked, which others wait for.
        let Some(mut pending) = Pending::of_group(core, index) else { return };
        // Locked, so that no floor of a group that is gone is put upon one that takes its place. Whoever
        // has it now relieves or changes groups; the next look moves this one on.
        let _ = core.environment.with_table(patience::NONE, &mut || {
            if core.group_state(index) == word {
                pending.sweep(core, index, core.group_epoch(index));
            }
        });
    }

    pub(crate) fn group_info(&self, index: u16) -> Option<GroupInfo> {
        let core = &self.core;
        let word = core.group_state(index);
        let evicted = match state::of(word) {
            state::ACTIVE => false,
            state::EVICTED => true,
            _ => return None,
        };
        let name = core.group_name(index);
        let damaged = core.check_entry(index).is_err() || check_name(&name).is_err();
        let tail = core.tail();
        let cursors: Vec<_> =
            (0..core.partitions(index)).map(|p| core.cursor(index, p).min(tail)).collect();
        let floor = if evicted {
            core.floor_at_eviction(index).min(tail)
        } else {
            core.group_floor(index).min(tail)
        };
        let fullness = if evicted { 0.0 } else { self.held_from(floor, tail).2 };
        let members = core.living_members(index);
        Some(GroupInfo {
            name,
            policy: core.group_policy(index),
            generation: word >> 8,
            evicted,
            floor,
            lag: tail - floor,
            fullness,
            members,
            absent: (members == 0).then(|| self.absent_for(index)),
            damaged,
            partition_lags: cursors.iter().map(|cursor| tail - cursor).collect(),
            mode: core.group_mode_of(index),
            living: self.living(index),
            oldest: if evicted { None } else { self.standing(index, floor) },
            figures: self.figures(index),
        })
    }

    fn absent_for(&self, index: u16) -> Duration {
        let now_ms = self.core.environment.now_ns() / 1_000_000;
        Duration::from_millis(now_ms.saturating_sub(self.core.absent_since(index)))
    }

    /// Slots and payload bytes held from `floor` on, and the larger share of the two.
    fn held_from(&self, floor: Position, tail: Position) -> (u64, u64, f64) {
        let geometry = self.geometry();
        let slots = (tail - floor).min(geometry.slots.into());
        let head = self.core.memory.load(PRODUCER + producer::PAYLOAD_HEAD, Ordering::Relaxed);
        let payload = if slots == 0 {
            0
        } else {
            crate::core::descriptor::Descriptor::load(&self.core, floor)
                .map_or(0, |entry| head.saturating_sub(entry.offset))
                .min(geometry.payload_bytes)
        };
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        let fullness =
            share(slots, geometry.slots.into()).max(share(payload, geometry.payload_bytes));
        (slots, payload, fullness)
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
