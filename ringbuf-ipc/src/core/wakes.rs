//! Who is woken by what: members of groups, observers, the producer.

use std::ops::Range;

use super::descriptor::Hashes;
use super::layout::{CONTROL, PRODUCER, control, group, producer};
use super::memory::Ordering;
use super::reader::seat::owner;
use super::{Core, Position};

/// The most records whose owners are looked up one by one.
const OWNERS_MAX: u64 = 64;

impl Core {
    /// Sets a bit by which a sleeper is known; whether it did not stand yet. A heavy fence is to follow.
    ///
    /// One that stands since an earlier sleep, which something else ended, is left as it is: a reader of many rings
    /// has many of those. Who takes it meanwhile rings a bell whose ticket was taken before.
    pub(crate) fn say_asleep(&self, sleepers: usize, bit: u64) -> bool {
        let is_new = self.memory.load(sleepers, Ordering::Relaxed) & bit == 0;
        if is_new {
            self.memory.fetch_or(sleepers, bit, Ordering::SeqCst);
        }
        is_new
    }

    /// The same of a member of a group, which the group's bit tells of.
    ///
    /// That bit is set without a look where the member's was not standing: a look could find it as it was before a
    /// ringer took it, who did not see the member's yet. Where the member's stood, the ringer sees it.
    pub(crate) fn say_member_asleep(&self, index: u16, member: u16) {
        let is_new = self.say_asleep(self.layout.group(index) + group::SLEEPERS, 1 << member);
        let (word, bit) =
            (CONTROL + control::SLEEPERS + usize::from(index / 64) * 8, 1 << (index % 64));
        if is_new {
            self.memory.fetch_or(word, bit, Ordering::SeqCst);
        } else {
            self.say_asleep(word, bit);
        }
    }

    /// Wakes every sleeping member of a group.
    pub(crate) fn wake_group(&self, index: u16) -> u64 {
        let sleepers = self.layout.group(index) + group::SLEEPERS;
        if self.memory.load(sleepers, Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut rung = 0;
        for member in bits(self.memory.swap(sleepers, 0, Ordering::AcqRel)) {
            rung += u64::from(self.ring_member(index, member).is_some());
        }
        rung
    }

    /// Wakes so many sleeping members of a group; who is awake already, or dead, does not count. Gives the
    /// bells rung. Those that sleep on say so still.
    pub(crate) fn wake_some(&self, index: u16, mut wanted: u64) -> u64 {
        if self.is_sticky(index) {
            // One alone may have it, and need not be the first.
            return self.wake_group(index);
        }
        let sleepers = self.layout.group(index) + group::SLEEPERS;
        let mut rung = 0;
        while wanted != 0 {
            let asleep = self.memory.load(sleepers, Ordering::Relaxed);
            if asleep == 0 {
                return rung;
            }
            // One bit is taken at a time: of two ringers each takes another. The first member is woken last: it looks by
            // itself ten times as often as the others.
            let member = asleep.ilog2();
            if !self.memory.cas(sleepers, asleep, asleep & !(1 << member)) {
                continue;
            }
            if let Some(woken) = self.ring_member(index, member) {
                rung += 1;
                wanted -= u64::from(woken);
            }
        }
        self.say_some_sleep(index);
        rung
    }

    fn ring_member(&self, index: u16, member: u32) -> Option<bool> {
        if member >= u32::from(self.layout.geometry.members) {
            return None;
        }
        self.ring_word(self.layout.member(index, member as u16) + group::MEMBER_BELL)
    }

    /// As many members of a group in order as can have something of these records, one a partition. Of a group with
    /// words one, who wakes the next where it leaves any that it does not come to at once: quick handlers are through
    /// with all of them before a second member is awake.
    fn wake_for(&self, index: u16, news: &Range<Position>) -> u64 {
        let records = news.end - news.start;
        let most = match self.partitions(index) {
            0 => 1,
            partitions => records.min(partitions.into()),
        };
        // Without records there is a checkpoint, which whoever sleeps may wait for.
        if records == 0 {
            self.wake_group(index)
        } else if records <= OWNERS_MAX && self.is_sticky(index) {
            self.wake_owners(index, news)
        } else {
            self.wake_some(index, most)
        }
    }

    /// Wakes those whose partitions got something of these records. Where nobody has a partition, whoever takes it looks
    /// what is there.
    fn wake_owners(&self, index: u16, news: &Range<Position>) -> u64 {
        let sleepers = self.layout.group(index) + group::SLEEPERS;
        let mut rung = 0;
        for position in news.clone() {
            let Some(member) = self.owner_of_record(index, position) else { continue };
            loop {
                let asleep = self.memory.load(sleepers, Ordering::Relaxed);
                if asleep >> member & 1 == 0 {
                    break;
                }
                if self.memory.cas(sleepers, asleep, asleep & !(1 << member)) {
                    rung += u64::from(self.ring_member(index, member).is_some());
                    break;
                }
            }
        }
        self.say_some_sleep(index);
        rung
    }

    /// The seat of the member of a sticky group that has the partition of a record.
    fn owner_of_record(&self, index: u16, position: Position) -> Option<u32> {
        let partition = Hashes::load(self, position)?.partition(self.layout.geometry.partitions);
        let at = self.layout.partition(index, partition) + group::PARTITION_OWNER;
        let member = owner(self.memory.load(at, Ordering::Acquire))?;
        (member < self.layout.geometry.members).then_some(member.into())
    }

    /// After the bit of a group was taken: who sleeps on says so still.
    fn say_some_sleep(&self, index: u16) {
        let sleepers = self.layout.group(index) + group::SLEEPERS;
        if self.memory.load(sleepers, Ordering::Relaxed) != 0 {
            let word = CONTROL + control::SLEEPERS + usize::from(index / 64) * 8;
            self.memory.fetch_or(word, 1 << (index % 64), Ordering::SeqCst);
        }
    }

    /// Words in which groups say that they sleep.
    #[inline]
    fn sleeper_words(&self) -> usize {
        usize::from(self.layout.geometry.groups).div_ceil(64)
    }

    /// Wakes whoever sleeps on these records, which were published, and counts the wakes.
    #[inline]
    pub(crate) fn wake_counted(&self, news: Range<Position>) {
        self.light_fence();
        let rung = self.wake_readers(news);
        if rung != 0 {
            self.count_wakes(rung);
        }
    }

    /// Not always by the producer's own thread, and seldom.
    #[cold]
    fn count_wakes(&self, rung: u64) {
        let word = PRODUCER + producer::WAKES;
        loop {
            let old = self.memory.load(word, Ordering::Relaxed);
            if self.memory.cas(word, old, old.wrapping_add(rung)) {
                return;
            }
        }
    }

    /// Wakes whoever sleeps on news of this ring. Call after a light fence that follows the news.
    #[inline]
    pub(crate) fn wake_readers(&self, news: Range<Position>) -> u64 {
        let word = |offset| self.memory.load(CONTROL + offset, Ordering::Relaxed);
        // One word where there are 64 groups at most, as nearly everywhere.
        let mut groups = word(control::SLEEPERS);
        for i in 1..self.sleeper_words() {
            groups |= word(control::SLEEPERS + i * 8);
        }
        if groups | word(control::SLEEPING_OBSERVERS) == 0 {
            return 0;
        }
        self.ring_readers(&news)
    }

    #[cold]
    fn ring_readers(&self, news: &Range<Position>) -> u64 {
        let mut rung = 0;
        for word in 0..self.sleeper_words() {
            let sleepers = CONTROL + control::SLEEPERS + word * 8;
            if self.memory.load(sleepers, Ordering::Relaxed) == 0 {
                continue;
            }
            for bit in bits(self.memory.swap(sleepers, 0, Ordering::AcqRel)) {
                let index = word as u32 * 64 + bit;
                if index < u32::from(self.layout.geometry.groups) {
                    rung += self.wake_for(index as u16, news);
                }
            }
        }
        let sleepers = CONTROL + control::SLEEPING_OBSERVERS;
        if self.memory.load(sleepers, Ordering::Relaxed) != 0 {
            for slot in bits(self.memory.swap(sleepers, 0, Ordering::AcqRel)) {
                let word = CONTROL + control::OBSERVERS + slot as usize * 8;
                rung += u64::from(self.ring_word(word).is_some());
            }
        }
        rung
    }

    /// Rings everybody who has a bell, asleep or not: for a producer that died between its news and its
    /// wakes, or amid these, when it had taken the bits of sleepers and not rung them yet.
    pub(crate) fn ring_everybody(&self) {
        for index in 0..self.layout.geometry.groups {
            for member in 0..self.layout.geometry.members {
                self.ring_word(self.layout.member(index, member) + group::MEMBER_BELL);
            }
        }
        for slot in 0..control::OBSERVER_COUNT {
            self.ring_word(CONTROL + control::OBSERVERS + slot * 8);
        }
    }

    /// Whether the producer waits for room.
    #[inline]
    pub(crate) fn producer_waits(&self) -> bool {
        self.memory.load(CONTROL + control::WANTED, Ordering::Relaxed) != 0
    }

    /// Wakes the producer if it waits for a floor that is reached now.
    pub(crate) fn floor_reached(&self, floor: Position) {
        self.light_fence();
        let word = CONTROL + control::WANTED;
        let wanted = self.memory.load(word, Ordering::Relaxed);
        if wanted != 0 && floor >= wanted && self.memory.cas(word, wanted, 0) {
            self.ring_word(PRODUCER + producer::BELL);
        }
    }

    /// `None` where there is no bell; else whether somebody was woken.
    fn ring_word(&self, word: usize) -> Option<bool> {
        match self.memory.load(word, Ordering::Relaxed) {
            0 => None,
            bell => Some(self.environment.ring(bell - 1)),
        }
    }
}

/// Numbers of the bits that are set, ascending.
pub(crate) fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros();
            word &= word - 1;
            bit
        })
    })
}
