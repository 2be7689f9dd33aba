//! A word of this process alone that ends a sleep on a bell: the bell itself stays as it is, so nobody
//! else who waits on it takes that for news.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use rustix::io::Errno;
use rustix::thread::futex;

/// Of one sleep in the kernel; who sleeps longer sleeps again.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Where the kernel cannot sleep on two words (before Linux 5.16, or behind a filter of system calls), it
/// is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ends sleeps that began before it.
#[derive(Debug, Default)]
pub(crate) struct Nudge(AtomicU32);

impl Nudge {
    /// Take it before looking what to sleep for.
    pub(crate) fn seen(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whoever sleeps wakes, and whoever has yet to fall asleep does not.
    pub(crate) fn nudge(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, i32::MAX as u32);
    }

    /// Sleeps at most for `left`, while nothing changes: this, which was `seen`, and `word`, which was
    /// `ticket`. May end early.
    pub(crate) fn sleep(&self, seen: u32, word: &AtomicU32, ticket: u32, left: Duration) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        let until = timespec(now + left.min(LONGEST));
        let both = [
            wait_on(word, ticket, futex::WaitFlags::SIZE_U32),
            wait_on(&self.0, seen, futex::WaitFlags::SIZE_U32 | futex::WaitFlags::PRIVATE),
        ];
        let flags = futex::WaitvFlags::empty();
        let slept = futex::waitv(&both, flags, Some(&until), futex::ClockId::Monotonic);
        // Whatever else it says, who called finds out.
        if matches!(slept, Err(Errno::NOSYS | Errno::PERM)) {
            let left = timespec(left.min(LOOK_EVERY));
            let _ = futex::wait(word, futex::Flags::empty(), ticket, Some(&left));
        }
    }
}

fn wait_on(word: &AtomicU32, value: u32, flags: futex::WaitFlags) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.val = value.into();
    wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    wait.flags = flags;
    wait
}

fn timespec(time: Duration) -> futex::Timespec {
    futex::Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}
