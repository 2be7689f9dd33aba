//! Kill points: tests let the process die before or after the n-th call to the store.
//!
//! Compiled to nothing without the feature `kill-points`.

#[cfg(feature = "kill-points")]
mod imp {
    use std::sync::atomic::{AtomicU64, Ordering};

    static COUNT: AtomicU64 = AtomicU64::new(0);
    static LAST: AtomicU64 = AtomicU64::new(u64::MAX);

    /// From now on, point number `last` (1 is the next one) ends the process by SIGKILL.
    pub fn arm(last: u64) {
        COUNT.store(0, Ordering::SeqCst);
        LAST.store(last, Ordering::SeqCst);
    }

    /// Points passed since [`arm`].
    pub fn count() -> u64 {
        COUNT.load(Ordering::SeqCst)
    }

    pub(crate) fn point() {
        if COUNT.fetch_add(1, Ordering::SeqCst) + 1 == LAST.load(Ordering::SeqCst) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
        }
    }
}

#[cfg(not(feature = "kill-points"))]
mod imp {
    #[inline(always)]
    pub(crate) const fn point() {}
}

pub(crate) use imp::point;
#[cfg(feature = "kill-points")]
pub use imp::{arm, count};
