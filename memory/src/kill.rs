//! Kill points, for tests only: the n-th of them that this process passes is its last.
//!
//! Compiled to nothing without the feature `kill-points`.

#[cfg(feature = "kill-points")]
mod imp {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Whether there are kill points at all.
    pub const ENABLED: bool = true;

    /// Counts the points of one kind.
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
}

#[cfg(not(feature = "kill-points"))]
mod imp {
    /// Whether there are kill points at all.
    pub const ENABLED: bool = false;

    /// Counts nothing.
    #[derive(Debug)]
    pub struct Countdown;

    impl Countdown {
        /// Ends nothing, ever.
        pub const fn new() -> Self {
            Self
        }

        /// No point.
        #[inline(always)]
        pub const fn point(&self) {}
    }
}

pub use imp::{Countdown, ENABLED};

impl Default for Countdown {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything that others see of this process at once: shared stores, and whatever else a protocol
/// marks (files made and removed).
pub static SHARED: Countdown = Countdown::new();

/// A point of [`SHARED`].
#[inline(always)]
pub fn point() {
    SHARED.point();
}
