//! The ring protocol on any memory: no file, no map, no futex, no clock of its own.
//!
//! * [`memory`] words and copies; [`layout`] where they are; [`descriptor`] the words of one record;
//! * [`writer`] the producer's half; [`checkpoint`] its two slots;
//! * [`groups`] the table of reader groups, made from a [`group_spec`]; [`floors`] how far each holds the ring;
//! * [`pending`] which record belongs to which partition; [`reader`] a member; [`watcher`] an observer;
//!   [`buffers`] what they copy into; [`arming`] how they ask to be woken; [`doorbell`] what all of them sleep on,
//!   and [`wakes`] who rings it.
//!
//! What it needs from outside (bells, locks, time, files for large records) is an [`Environment`].
//!
//! # Orderings
//! Each word, who stores it and who loads it, in which order, and the model that fails without that
//! order (`core/loom_tests`; "kill points" is `tests/kill_points`). *Light* and *heavy* are the fences of
//! [`Core::light_fence`] and [`Core::heavy_fence`]; the two of a pair order like two SeqCst fences. "The
//! table" is its lock: what is changed under it needs no order among those who hold it.
//!
//! | word | stored | loaded | without it fails |
//! |---|---|---|---|
//! | header | before the file has its name | Relaxed | `tests/layout.rs` |
//! | `TAIL` | producer: Release, after all of its records | all: Acquire | `loom_publish_and_consume` |
//! | `RESERVED` | producer: Relaxed, then SeqCst fence, then the floors | joiner: floor, SeqCst fence, then Acquire; observer: copy, Acquire fence, then Acquire | `loom_joining_against_overwriting`, `loom_observer_overrun` |
//! | `PUBLISHES` to `BLOBS`, `PAYLOAD_HEAD` | producer: Relaxed; `WAKES` by CAS, whoever wakes | Relaxed: figures, and each alone | none: nothing follows from them |
//! | `BELL`, `MEMBER_BELL`, `OBSERVERS` | at joining: Relaxed; seen by who sees the sleeper's bit | Relaxed, after the AcqRel swap of that bit | `loom_no_wake_is_lost` |
//! | checkpoint words | producer: sum 0, Release fence, the others Relaxed, sum Release; then `TAIL` | sum Acquire, the others Acquire, and the sum must fit | kill points (a producer, a restager) |
//! | `SLEEPERS`, `SLEEPING_OBSERVERS`, a group's `SLEEPERS` | sleeper: SeqCst `fetch_or`, heavy fence, then looks for work; a bit that stands (Relaxed) is left, that of the group only where the member's stood, too | ringer: news, light fence, Relaxed; taken by an AcqRel swap | `loom_no_wake_is_lost`, `loom_leaving_hands_on`, `loom_who_arms_while_others_are_woken_is_woken_next`, `loom_who_asks_while_its_groups_bit_stands_is_woken` |
//! | a bell's word and its count of sleepers ([`doorbell`]) | SeqCst `fetch_add` | SeqCst | `loom_a_bell_wakes_its_owner` |
//! | `WANTED` | producer: Relaxed, heavy fence, then the floors | member: floor, light fence, Relaxed; taken by CAS | `loom_no_wake_for_space_is_lost` |
//! | group `STATE` | the table: Release, after (making) or before (ending) everything else of the entry | Acquire | kill points (declare, evict, remove) |
//! | group policy, name, absence, `LOST_TO`, `PARTITION_LOST_FROM` | the table: Relaxed, before `STATE` or `LOSS` | Relaxed, after these | kill points (reinstate) |
//! | group `LOSS` | the table: Release; a member that told it: Release | Acquire | kill points (reinstate) |
//! | group `FLOOR` | joiner: Release, SeqCst fence, then `RESERVED`; one partition: Release by its holder; else raised by CAS after SeqCst fences | producer: `RESERVED`, SeqCst fence, then Acquire; a member that finds a record overwritten: Acquire fence, then Acquire; who finds it of another epoch: Acquire, then `STATE` | `loom_joining_against_overwriting`, `loom_a_group_that_is_moved_is_not_damaged`, `loom_an_acknowledged_record_was_read`, `loom_two_acknowledgements_raise_the_floor`, `loom_a_late_member_finds_no_damage` |
//! | `PARTITION_OWNER` | CAS AcqRel (take, take over); Release (let go) | Acquire, before the CAS | `loom_taking_after_another`, `loom_stealing_from_the_dead` |
//! | the same of a sticky group | CAS AcqRel, all of them: its owner lets go, anybody takes what is free or a dead one's | Acquire, before the lock of who owns it is asked | `loom_a_sticky_partition_is_one_members` |
//! | `SEATS`, `MEMBER_SHARES` | behind what they tell of: CAS AcqRel, Release; then light fence and wakes | Acquire | ticks: who is told late looks later |
//! | a group's `FEAR` | who finds a member dead: CAS AcqRel; a member that settles its first: CAS to 0; who gives a record up: Release | Acquire | `early_tests`, `tests/early.rs`: what is lost of it makes it too little, and never a record's fault |
//! | `MEMBER_FIRST` | its member: 0 (Relaxed) at joining; Release, after its first take and before those that change it | Acquire, by who finds it dead | `tests/early.rs`, kill points (a worker) |
//! | a group's `ANEW` | the table: Relaxed, only ever raised within a group's life | Relaxed: each alone, and believed only up to `TAIL` | `tests/anew.rs` |
//! | `PARTITION_CURSOR` | its holder: Release; who found nothing between: CAS AcqRel | Acquire | `loom_a_floor_raised_by_another`, `loom_two_acknowledgements_raise_the_floor` |
//! | hashes | producer: Release, after the floors that let the record before it go | by who may be overrun: Acquire, and the lap must fit, else the floor | `loom_a_late_member_finds_no_damage` |
//! | descriptor words, payload | producer: Relaxed, before `TAIL`; after `RESERVED`, its fence and the floors | Relaxed, after `TAIL` | `loom_publish_and_consume` |

pub(crate) mod arming;
pub(crate) mod buffers;
pub(crate) mod carry;
pub(crate) mod checkpoint;
pub(crate) mod descriptor;
pub(crate) mod doorbell;
pub(crate) mod errors;
mod floors;
pub(crate) mod geometry;
pub(crate) mod group_spec;
pub(crate) mod groups;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod loom_tests;
pub(crate) mod memory;
pub(crate) mod pending;
pub(crate) mod reader;
#[cfg(all(test, not(loom)))]
mod stress_tests;
mod wakes;
pub(crate) mod watcher;
pub(crate) mod words;
pub(crate) mod worker;
pub(crate) mod writer;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use layout::{Layout, PRODUCER, group, header, producer};
use memory::{Memory, Ordering, fence};
use words::letter::LetterFile;

/// How many ticks those members of a group sleep whom another looks out for.
const OTHERS_TICK: u32 = 10;

/// A record number, counted from 0 at the creation of its ring. Never wraps.
pub type Position = u64;

/// A ring in memory together with the world around it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) memory: Memory,
    pub(crate) layout: Layout,
    pub(crate) id: u64,
    /// Whether those who sleep fence for this process, too; false from the first time on that this process
    /// cannot fence for others.
    paired: AtomicBool,
    pub(crate) environment: Box<dyn Environment>,
}

/// What the protocol asks of the operating system.
pub(crate) trait Environment: Send + Sync + std::fmt::Debug {
    /// Rings bell number `bell`; a number out of range is ignored. Whether somebody was woken.
    fn ring(&self, bell: u64) -> bool;
    /// Whether anybody, in whatever process, holds the lock on byte `byte` (see [`locks`]).
    fn held(&self, byte: u64) -> bool;
    /// Whether anybody holds any of `count` bytes.
    fn held_any(&self, first: u64, count: u64) -> bool {
        (first..first + count).any(|byte| self.held(byte))
    }
    /// Locks byte `byte` until the answer is dropped or this process dies; `None` when it is held.
    fn hold(&self, byte: u64) -> io::Result<Option<Life>>;
    /// The same of one that is held for moments: waits for it as long as `patience`.
    fn hold_within(&self, byte: u64, _patience: Duration) -> io::Result<Option<Life>> {
        self.hold(byte)
    }
    /// Lets go of a lock somebody else holds, as his death would.
    #[cfg(all(test, loom))]
    fn kill(&self, byte: u64);
    /// Runs `change` with the lock on the group table held; false when somebody else held it for as long
    /// as `patience`. Whoever holds it may be stopped, so nobody waits for ever (see [`patience`]).
    fn with_table(&self, patience: Duration, change: &mut dyn FnMut()) -> io::Result<bool>;
    /// Whether this process takes part in the barriers of others: whoever calls
    /// [`barrier`](Self::barrier) then fences for it, and it need not do so itself.
    fn joins_barriers(&self) -> bool {
        false
    }
    /// A SeqCst fence in every thread of every process that takes part. False when there is no such
    /// thing, or not for this process.
    fn barrier(&self) -> bool {
        false
    }
    /// Nanoseconds of a clock all processes share and nobody sets.
    fn now_ns(&self) -> u64;
    /// Writes the payload of a record too long for the ring.
    fn create_blob(&self, position: Position, parts: &[&[u8]]) -> io::Result<()>;
    /// Whether such a payload is there and exactly so long; asked before memory is taken for it. Where it is
    /// not, it never will be again; an error says that this cannot be told now.
    fn has_blob(&self, position: Position, bytes: u64) -> io::Result<bool>;
    /// Reads such a payload; an error when it is not there exactly as long as `into`.
    fn read_blob(&self, position: Position, into: &mut [u8]) -> io::Result<()>;
    /// Removes such a payload; no error when there is none.
    fn remove_blob(&self, position: Position);
    /// Positions of all such payloads of this ring, with their sizes, sorted.
    fn blobs(&self) -> io::Result<Vec<(Position, u64)>>;
    /// Has memory for a range of the segment, where there is none yet.
    fn reserve(&self, _bytes: Range<usize>) -> io::Result<()> {
        Ok(())
    }
    /// Gives the memory of a range back; it reads as zeros then.
    fn give_back(&self, _bytes: Range<usize>) -> io::Result<()> {
        Ok(())
    }
    /// Runs `change` with the file of a group's dead letters and asides, made if it is not there and to be
    /// `made`, and with its lock held. False when there is no such file.
    ///
    /// # Errors
    /// Also when the lock is not to be had (`WouldBlock`).
    fn with_letters(
        &self,
        _group: u16,
        _made: bool,
        _change: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
    ) -> io::Result<bool> {
        Ok(false)
    }
    /// Whether the file that is mapped is still the one of its name.
    fn is_current(&self) -> bool {
        true
    }
    /// Milliseconds since 1970, for people.
    fn wall_ms(&self) -> u64 {
        0
    }
    /// Name of the file of a group's dead letters and asides, for people.
    fn letters_name(&self, _group: u16) -> String {
        String::new()
    }
    /// Removes the file of a group's dead letters and asides.
    fn remove_letters(&self, _group: u16) {}
}

/// Holds a lock as long as it lives.
pub(crate) type Life = Box<dyn Send + Sync + std::fmt::Debug>;

/// How long the lock on the group table, which is held for moments, is waited for.
pub(crate) mod patience {
    use std::time::Duration;

    /// By those who have something else to do until the next look.
    pub(crate) const NONE: Duration = Duration::ZERO;
    /// By those who leave: what they would put right is put right later by others.
    pub(crate) const LEAVING: Duration = Duration::from_millis(100);
    /// By those who cannot go on without; then they say that its holder does not let go.
    pub(crate) const CHANGING: Duration = Duration::from_secs(1);
}

/// Bytes of the ring file that stand for something alive while locked.
pub(crate) mod locks {
    pub(crate) const PRODUCER: u64 = 0;
    pub(crate) const TABLE: u64 = 1;

    /// Held for moments by who takes from a group's dead, and by who takes a seat of it.
    pub(crate) const fn succession(group: u16) -> u64 {
        3072 + group as u64
    }

    /// The file of a group's dead letters and asides.
    pub(crate) const fn letters(group: u16) -> u64 {
        2048 + group as u64
    }

    pub(crate) const fn observer(slot: usize) -> u64 {
        64 + slot as u64
    }

    pub(crate) const fn member(group: u16, member: u16) -> u64 {
        4096 + group as u64 * 64 + member as u64
    }
    /// One past the last byte in use.
    pub(crate) const END: u64 = 4096 + super::geometry::GROUPS_MAX as u64 * 64;
}

impl Core {
    /// A core over memory that [`layout::parse_header`] or [`initialise`] has seen.
    pub(crate) fn new(
        memory: Memory,
        layout: Layout,
        id: u64,
        environment: Box<dyn Environment>,
    ) -> Self {
        assert!(memory.len() >= layout.total);
        let paired = AtomicBool::new(environment.joins_barriers());
        Self { memory, layout, id, paired, environment }
    }

    /// Maps the pages of all records, for those who are about to use them all.
    pub(crate) fn populate(&self, for_writing: bool) {
        self.memory.populate(self.layout.checkpoints, for_writing);
    }

    /// The fence of those who bring news, often: between the news and the look who waits for them.
    /// One of this kind and one of [`heavy_fence`](Self::heavy_fence) order like two SeqCst fences; two
    /// of this kind do not.
    #[inline]
    pub(crate) fn light_fence(&self) {
        self.memory.light_fence(self.is_paired());
    }

    /// The longest sleep after which to look again, bell or no bell: a producer may be killed before it
    /// rings, and where this process cannot fence for others, they may miss that it sleeps.
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_millis(if self.is_paired() { 100 } else { 10 })
    }

    /// The longest sleep of a member of a group. Where any member finds all there is, the first of those that sleep
    /// looks at each tick, and the others at every tenth: also when that one died since, or is at work. In a sticky
    /// group each has something of its own, and where this process cannot fence for others each may be missed.
    pub(crate) fn shared_tick(&self, index: u16, member: u16) -> Duration {
        let tick = self.tick();
        if !self.is_paired() || self.is_sticky(index) {
            return tick;
        }
        let sleepers =
            self.memory.load(self.layout.group(index) + group::SLEEPERS, Ordering::Relaxed);
        let is_first = sleepers & ((1 << member) - 1) == 0;
        if is_first { tick } else { tick * OTHERS_TICK }
    }

    /// The fence of those who are about to sleep, seldom: between saying so and the last look.
    ///
    /// False when it was one of this thread alone.
    pub(crate) fn heavy_fence(&self) -> bool {
        let mut everywhere = true;
        self.memory.heavy_fence(|| {
            everywhere = self.environment.barrier();
            everywhere
        });
        if !everywhere {
            self.fences_alone();
        }
        everywhere
    }

    /// This process cannot fence for others: so it was from the start, or a filter of system calls came later.
    /// What is missed now is found at the next tick, and from now on ticks are short.
    fn fences_alone(&self) {
        if self.is_paired() {
            self.paired.store(false, Relaxed);
        }
    }

    fn is_paired(&self) -> bool {
        self.paired.load(Relaxed)
    }

    #[inline]
    pub(crate) fn tail(&self) -> Position {
        self.acquire(PRODUCER + producer::TAIL)
    }

    #[inline]
    pub(crate) fn reserved(&self) -> Position {
        self.acquire(PRODUCER + producer::RESERVED)
    }

    /// An Acquire load of a word in the producer's pages. Readers have these mapped read-only, where a
    /// relaxed load is all that the standard library promises to be a load: the fence makes up for it.
    #[inline]
    pub(crate) fn acquire(&self, word: usize) -> u64 {
        // Fences are what ThreadSanitizer does not see; its memory is never read-only.
        if cfg!(ring_plain) {
            return self.memory.load(word, Ordering::Acquire);
        }
        let value = self.memory.load(word, Ordering::Relaxed);
        fence(Ordering::Acquire);
        value
    }

    /// [`Environment::with_letters`], with what was lost to damage of the file told in the group's entry.
    pub(crate) fn with_letters(
        &self,
        index: u16,
        made: bool,
        change: &mut dyn FnMut(&mut dyn LetterFile) -> io::Result<()>,
    ) -> io::Result<bool> {
        self.environment.with_letters(index, made, &mut |file| {
            let damage = file.damage();
            if damage.times != 0 {
                let at = self.layout.group(index);
                self.memory.store(at + group::DAMAGED_LOST, damage.lost, Ordering::Relaxed);
                self.memory.store(at + group::DAMAGED, damage.times, Ordering::Release);
            }
            change(file)
        })
    }

    /// Adds to a figure of a group's entry.
    pub(crate) fn count(&self, index: u16, figure: usize, by: u64) {
        let at = self.layout.group(index) + figure;
        loop {
            let old = self.memory.load(at, Ordering::Relaxed);
            if self.memory.cas(at, old, old.wrapping_add(by)) {
                return;
            }
        }
    }
}

/// Writes the header and an empty ring; `memory` must be zeroed and long enough.
pub(crate) fn initialise(memory: &Memory, layout: &Layout, id: u64) {
    let words = layout.header(id);
    for (i, word) in words.iter().enumerate() {
        memory.store(i * 8, *word, Ordering::Relaxed);
    }
    memory.store(header::CHECKSUM, layout::checksum(&words), Ordering::Relaxed);
    for index in 0..layout.geometry.groups {
        let nothing = words::word::Stand::NOTHING.0;
        memory.store(layout.group(index) + group::FLOOR, nothing, Ordering::Relaxed);
    }
}
