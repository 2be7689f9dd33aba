//! Bells: one futex word a process sleeps on, whatever and however much it reads or writes.
//!
//! Nothing in them has to survive: a bell that is rung too often costs its owner a look, one that was not
//! rung because the ringer died costs a bounded sleep.
//!
//! # Why no wake is lost
//! A sleeper takes the ticket (the word), announces itself where it waits, looks for work again, and
//! sleeps only while the word is the ticket. A ringer changes the world, fences, and finds either the
//! announcement, so that it changes the word, or, in the order of the fences, a sleeper that has yet to
//! look for work and will see the change.
//!
//! So it is between word and count, too: the owner counts itself as sleeping, then looks at the word; a
//! ringer changes the word, then looks at the count. All four are SeqCst: one of the two sees the other.

use std::time::{Duration, Instant};

use super::memory::Ordering;

/// Bells of a namespace, so processes at a time.
pub(crate) const COUNT: usize = 1024;
/// Before the first bell: magic and version.
const HEADER_BYTES: usize = 64;
const BELL_BYTES: usize = 64;
/// Of the whole segment.
pub(crate) const BYTES: usize = (HEADER_BYTES + COUNT * BELL_BYTES).next_multiple_of(4096);

/// Offsets in the place of a bell: the futex word, 0 to `u32::MAX`, wrapping, and how many sleep on it.
const WORD: usize = 0;
const SLEEPING: usize = 4;

/// The segment of a namespace's bells.
pub(crate) type Memory = mixcord_memory::Memory<BYTES>;

/// The bells of a namespace, by their numbers, 0 to [`COUNT`] - 1.
#[derive(Debug)]
pub(crate) struct Doorbells {
    memory: Memory,
}

impl Doorbells {
    pub(crate) const fn new(memory: Memory) -> Self {
        Self { memory }
    }

    /// Forgets the sleepers of an owner that died.
    pub(crate) fn reset(&self, bell: u32) {
        self.memory.store32(at(bell, SLEEPING), 0, Ordering::Relaxed);
    }

    pub(crate) fn ticket(&self, bell: u32) -> u32 {
        self.memory.load32(at(bell, WORD), Ordering::SeqCst)
    }

    /// Rings a bell. No system call when its owner is awake. True when somebody was woken.
    pub(crate) fn ring(&self, bell: u64) -> bool {
        let Some(bell) = u32::try_from(bell).ok().filter(|&bell| (bell as usize) < COUNT) else {
            return false;
        };
        self.memory.add32(at(bell, WORD), 1, Ordering::SeqCst);
        if self.memory.load32(at(bell, SLEEPING), Ordering::SeqCst) == 0 {
            return false;
        }
        self.memory.wake(at(bell, WORD))
    }

    /// Sleeps until the bell is rung after `ticket` was taken; false when the time was up first.
    pub(crate) fn wait(&self, bell: u32, ticket: u32, timeout: Duration) -> bool {
        let never = || false;
        self.wait_by(bell, ticket, timeout, never, |memory, word, left| {
            memory.sleep(word, ticket, left);
        })
    }

    /// The same, or until it is `over`. `sleep`s on the word at an offset, at most so long, and may end
    /// early.
    pub(crate) fn wait_by(
        &self,
        bell: u32,
        ticket: u32,
        timeout: Duration,
        over: impl Fn() -> bool,
        sleep: impl Fn(&Memory, usize, Duration),
    ) -> bool {
        let word = at(bell, WORD);
        let rung = || self.memory.load32(word, Ordering::SeqCst) != ticket;
        if rung() {
            return true;
        }
        self.memory.add32(at(bell, SLEEPING), 1, Ordering::SeqCst);
        let begin = Instant::now();
        let mut left = timeout;
        // A ring before the ticket was taken may wake late: that is no reason to give up.
        while !rung() && !left.is_zero() && !over() {
            sleep(&self.memory, word, left);
            left = timeout.saturating_sub(begin.elapsed());
        }
        self.memory.add32(at(bell, SLEEPING), u32::MAX, Ordering::SeqCst);
        rung()
    }

    /// Makes the words of the first `count` bells.
    #[cfg(all(test, loom))]
    pub(crate) fn prepare(&self, count: u32) {
        for bell in 0..count {
            self.memory.prepare32(at(bell, WORD)..at(bell, SLEEPING) + 4);
        }
        self.memory.seal();
    }
}

const fn at(bell: u32, offset: usize) -> usize {
    HEADER_BYTES + bell as usize * BELL_BYTES + offset
}

#[cfg(all(test, not(loom)))]
mod tests {
    use mixcord_memory::Heap;

    use super::*;

    /// A ringer counts first and wakes afterwards, so its wake may meet the owner's next sleep.
    #[test]
    fn a_late_wake_ends_no_wait() {
        let bells = Doorbells::new(Memory::new(Box::new(Heap::new(BYTES))));
        let ticket = bells.ticket(3);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| bells.wait(3, ticket, Duration::from_secs(20)));
            let mut woken = 0;
            while woken < 3 {
                assert!(!sleeper.is_finished(), "it ended after {woken} wakes and no ring");
                woken += u32::from(bells.memory.wake(at(3, WORD)));
                std::thread::yield_now();
            }
            bells.ring(3);
            assert!(sleeper.join().unwrap(), "it was rung, and says that its time was up");
        });
    }
}
