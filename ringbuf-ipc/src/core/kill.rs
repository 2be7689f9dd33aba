//! Kill points: the n-th of them that this process passes is its last.
//!
//! Compiled to nothing without the feature `kill-points`, which only tests turn on.

#[cfg(feature = "kill-points")]
mod imp {
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) const ENABLED: bool = true;

    /// Shared stores.
    static STORES: Countdown = Countdown::new();

    /// Counts the points of one kind; other crates have kinds of their own.
    #[derive(Debug)]
    pub struct Countdown {
        count: AtomicU64,
        last: AtomicU64,
    }

    impl Countdown {
        /// Ends nothing yet.
        pub const fn new() -> Self {
            Self { count: AtomicU64::new(0), last: AtomicU64::new(u64::MAX) }
        }

        /// From now on, point number `last` (1 is the next one) ends the process by SIGKILL.
        pub fn arm(&self, last: u64) {
            self.count.store(0, Ordering::SeqCst);
            self.last.store(last, Ordering::SeqCst);
        }

        /// Points since [`arm`](Self::arm).
        pub fn count(&self) -> u64 {
            self.count.load(Ordering::SeqCst)
        }

        /// A point.
        pub fn point(&self) {
            if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.last.load(Ordering::SeqCst) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
            }
        }
    }

    impl Default for Countdown {
        fn default() -> Self {
            Self::new()
        }
    }

    /// From now on, the store number `last` (1 is the next one) ends the process by SIGKILL.
    pub fn arm(last: u64) {
        STORES.arm(last);
    }

    /// Shared stores since [`arm`].
    pub fn count() -> u64 {
        STORES.count()
    }

    pub(crate) fn point() {
        STORES.point();
    }
}

#[cfg(not(feature = "kill-points"))]
mod imp {
    pub(crate) const ENABLED: bool = false;

    #[inline(always)]
    pub(crate) const fn point() {}
}

#[cfg(feature = "kill-points")]
pub use imp::{Countdown, arm, count};
pub(crate) use imp::{ENABLED, point};
