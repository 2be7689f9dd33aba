//! How a ring and its groups are, at one moment.

use std::time::Duration;

use super::Ring;
use crate::core::descriptor::Descriptor;
use crate::core::group_spec::check_name;
use crate::core::groups::state;
use crate::core::layout::{PRODUCER, producer};
use crate::core::memory::Ordering;
use crate::core::patience;
use crate::core::pending::Pending;
use crate::{GroupFigures, MemberInfo, Mode, Policy, Position, Standing};

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
            Descriptor::load(&self.core, floor)
                .map_or(0, |entry| head.saturating_sub(entry.offset))
                .min(geometry.payload_bytes)
        };
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        let fullness =
            share(slots, geometry.slots.into()).max(share(payload, geometry.payload_bytes));
        (slots, payload, fullness)
    }
}
