//! Fences for other processes: those who are about to sleep pay for those who bring news.
//!
//! The kernel's membarrier runs a full fence in every thread, of any process, that asked to take part.
//! So a producer need not fence after each publish, nor a member after each acknowledgement; whoever
//! goes to sleep has it done for them, and a sleep costs far more anyway. Where the kernel, or a filter
//! of system calls, has none of it, each fences for itself.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Has this process take part, once; whether it does.
pub(crate) fn joined() -> bool {
    static JOINED: OnceLock<bool> = OnceLock::new();
    *JOINED.get_or_init(|| {
        // Who may not call the barrier is told so now: it must not rely on those who may.
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok() && everywhere()
    })
}

/// Fences in every thread that takes part.
pub(crate) fn everywhere() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
    use std::sync::atomic::{AtomicU64, compiler_fence};
    use std::time::{Duration, Instant};

    use super::{everywhere, joined};

    /// A word with a cache line to itself.
    #[derive(Default)]
    #[repr(align(128))]
    struct Word(AtomicU64);

    /// Each stores to its own word and looks at the other's: one of them must see the other, though only
    /// one has a fence of the processor. Without `everywhere` both miss, here a hundred times and more.
    #[test]
    fn of_two_that_meet_one_sees_the_other() {
        if !joined() {
            return; // Then nobody relies on it.
        }
        const ROUNDS: u64 = 20_000;
        const OVER: u64 = u64::MAX;
        // On a machine so busy that the two seldom run side by side, fewer.
        let end = Instant::now() + Duration::from_secs(10);
        let (news, sleeper, round, done) =
            (Word::default(), Word::default(), Word::default(), Word::default());
        let mut blind = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 1..=ROUNDS {
                    let begun = loop {
                        let begun = round.0.load(Acquire);
                        if begun == turn || begun == OVER {
                            break begun;
                        }
                        std::hint::spin_loop();
                    };
                    if begun == OVER {
                        return;
                    }
                    news.0.store(turn, Relaxed);
                    compiler_fence(SeqCst);
                    let missed = sleeper.0.load(Relaxed) != turn;
                    done.0.store(turn << 1 | u64::from(missed), Release);
                }
            });
            for turn in (1..=ROUNDS).take_while(|_| Instant::now() < end) {
                round.0.store(turn, Release);
                for step in 0..turn % 64 {
                    std::hint::black_box(step);
                }
                sleeper.0.store(turn, Relaxed);
                everywhere();
                let missed = news.0.load(Relaxed) != turn;
                let other = loop {
                    let other = done.0.load(Acquire);
                    if other >> 1 == turn {
                        break other & 1 == 1;
                    }
                    std::hint::spin_loop();
                };
                blind += u32::from(missed && other);
            }
            round.0.store(OVER, Release);
        });
        assert_eq!(blind, 0, "neither saw the other, of {ROUNDS} times");
    }
}
