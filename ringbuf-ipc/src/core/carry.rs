//! A drained ring goes over into one of other sizes, or of another layout: same id, same positions, same
//! groups; nothing is skipped, since there is nothing between.

use std::io;

use super::checkpoint::{self, FoundCheckpoint};
use super::descriptor::Descriptor;
use super::group_spec::Policy;
use super::groups::{self, state};
use super::layout::{Layout, PRODUCER, group, mode, producer};
use super::memory::Ordering;
use super::pending::Pending;
use super::words::word::{Epoch, Stand};
use super::{Core, Position};

/// What goes over.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) tail: Position,
    /// Virtual offset of the next payload.
    pub(crate) head: u64,
    /// Its bytes, and how many there were before.
    pub(crate) checkpoint: Option<(Vec<u8>, u64)>,
    /// Figures of the producer, by their words.
    pub(crate) figures: Vec<(usize, u64)>,
    pub(crate) groups: Vec<Inherited>,
}

/// A group, at its place.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) index: u16,
    /// Its state word.
    pub(crate) state: u64,
    /// Where it stood when it was evicted; the tail for one that is there.
    pub(crate) stands: Position,
    /// Words of its entry that stay as they are.
    pub(crate) words: Vec<(usize, u64)>,
    pub(crate) name: Vec<u8>,
}

/// Why a ring cannot go over now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeldBy {
    /// A group has records before it.
    Group {
        /// Its name.
        name: String,
        /// How many.
        lag: u64,
    },
    /// The new sizes are too small for what is there.
    TooSmall {
        /// Of what there is too much: `groups` or `checkpoint`.
        what: &'static str,
    },
    /// Somebody holds the lock on its group table.
    Busy,
}

impl std::fmt::Display for HeldBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Group { name, lag } => {
                write!(f, "group {name:?} has {lag} records before it: let it finish, or remove it")
            }
            Self::TooSmall { what } => write!(f, "its {what} would not fit into the new sizes"),
            Self::Busy => {
                f.write_str("the group table is locked by a process that does not let go")
            }
        }
    }
}

/// Words of the producer page that count.
const FIGURES: [usize; 6] = [
    producer::PUBLISHES,
    producer::WAKES,
    producer::STALLS,
    producer::STALLED_NS,
    producer::EVICTIONS,
    producer::BLOBS,
];

/// Words of a group's entry that stay as they are.
pub(crate) const KEPT: [usize; 16] = [
    group::POLICY,
    group::MAX_ABSENCE,
    group::ABSENT_SINCE,
    group::LOSS,
    group::LOST_TO,
    group::MODE,
    group::ORDER,
    group::FILE_VERSION,
    group::ASIDE,
    group::DEAD,
    group::DROPPED,
    group::REDELIVERED,
    group::DAMAGED,
    group::DAMAGED_LOST,
    group::LOST_RECORDS,
    group::ANEW,
];

/// What goes over from a ring whose producer and whose table the caller holds.
pub(crate) fn take_stock(core: &Core) -> Result<Estate, HeldBy> {
    groups::repair(core);
    let tail = core.tail();
    let word = |offset| core.memory.load(PRODUCER + offset, Ordering::Relaxed);
    let head = match tail.checked_sub(1) {
        None => 0,
        Some(last) => Descriptor::load(core, last)
            .map_or_else(|| word(producer::PAYLOAD_HEAD), |last| last.end()),
    };
    let checkpoint = checkpoint::newest_checkpoint(core, tail)
        .map(|found: FoundCheckpoint| (found.bytes, found.number));
    let mut inherited = Vec::new();
    for index in 0..core.layout.geometry.groups {
        let found = core.group_state(index);
        let active = match state::of(found) {
            state::ACTIVE => true,
            state::EVICTED => false,
            _ => continue,
        };
        let name = core.group_name(index);
        if active {
            if core.group_policy(index) == Policy::Ephemeral && !core.has_living_member(index) {
                continue;
            }
            if let Some(mut pending) = Pending::of_group(core, index) {
                pending.sweep(core, index, Epoch::of(found >> 8));
            }
            let floor = core.group_floor(index);
            if floor < tail {
                return Err(HeldBy::Group { name, lag: tail - floor });
            }
        }
        let at = core.layout.group(index);
        let words = KEPT.map(|word| (word, core.memory.load(at + word, Ordering::Relaxed)));
        let stands = if active { tail } else { core.floor_at_eviction(index).min(tail) };
        inherited.push(Inherited {
            index,
            state: found,
            stands,
            words: words.to_vec(),
            name: name.into_bytes(),
        });
    }
    let figures = FIGURES.map(|figure| (figure, word(figure))).to_vec();
    Ok(Estate { tail, head, checkpoint, figures, groups: inherited })
}

impl Estate {
    /// Whether a ring of this layout has room for all of it.
    pub(crate) fn fits(&self, layout: &Layout) -> Result<(), HeldBy> {
        let too_small = |what| Err(HeldBy::TooSmall { what });
        if self.groups.iter().any(|group| group.index >= layout.geometry.groups) {
            return too_small("groups");
        }
        let longest = layout.geometry.checkpoint_bytes as usize;
        if self.checkpoint.as_ref().is_some_and(|(bytes, _)| bytes.len() > longest) {
            return too_small("checkpoint");
        }
        Ok(())
    }

    /// Writes it into a new ring that nobody else sees yet.
    pub(crate) fn endow(&self, core: &Core) -> io::Result<()> {
        let memory = &core.memory;
        let store = |offset, value| memory.store(PRODUCER + offset, value, Ordering::Relaxed);
        for &(figure, value) in &self.figures {
            store(figure, value);
        }
        store(producer::PAYLOAD_HEAD, self.head);
        if let Some(position) = self.tail.checked_sub(1) {
            // Where the next producer begins; no reader comes to it.
            let (offset, length, flags, key, tag, source, order) = (self.head, 0, 0, 0, 0, 0, 0);
            let last = Descriptor { position, offset, length, flags, key, tag, source, order };
            last.store(memory, &core.layout);
        }
        if let Some((bytes, number)) = &self.checkpoint {
            checkpoint::put(core, self.tail, *number, bytes);
        }
        for group in &self.groups {
            self.endow_group(core, group)?;
        }
        store(producer::RESERVED, self.tail);
        memory.store(PRODUCER + producer::TAIL, self.tail, Ordering::Release);
        Ok(())
    }

    fn endow_group(&self, core: &Core, inherited: &Inherited) -> io::Result<()> {
        let (memory, at) = (&core.memory, core.layout.group(inherited.index));
        for &(word, value) in &inherited.words {
            memory.store(at + word, value, Ordering::Relaxed);
        }
        let name = &inherited.name[..inherited.name.len().min(group::NAME_MAX)];
        let mut bytes = [0; group::NAME_MAX];
        bytes[..name.len()].copy_from_slice(name);
        memory.write(at + group::NAME, &bytes);
        memory.store(at + group::NAME_LEN, name.len() as u64, Ordering::Relaxed);
        if core.group_mode(inherited.index) == mode::ANY_ORDER {
            core.environment.reserve(core.layout.words(inherited.index))?;
        }
        let active = state::of(inherited.state) == state::ACTIVE;
        // A generation on: who is at work in the old ring cannot be taken for a member of this one.
        let state =
            if active { state::next(inherited.state, state::ACTIVE) } else { inherited.state };
        let stand = Stand::new(Epoch::of(state >> 8), inherited.stands);
        for partition in 0..core.partitions(inherited.index) {
            let at = core.layout.partition(inherited.index, partition);
            memory.store(at + group::PARTITION_CURSOR, stand.0, Ordering::Relaxed);
            memory.store(at + group::PARTITION_LOST_FROM, inherited.stands, Ordering::Relaxed);
        }
        memory.store(at + group::MOVE_TO, inherited.stands, Ordering::Relaxed);
        let floor = if active { stand } else { Stand::NOTHING };
        memory.store(at + group::FLOOR, floor.0, Ordering::Relaxed);
        memory.store(at + group::STATE, state, Ordering::Release);
        Ok(())
    }
}
