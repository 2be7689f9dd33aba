//! Kill points: tests let the process die before or after the n-th call to the store.
//!
//! Compiled to nothing without the feature `kill-points`.

#[cfg(feature = "kill-points")]
mod imp {
    use mixcord_ring::kill::Countdown;

    static CALLS: Countdown = Countdown::new();

    /// From now on, point number `last` (1 is the next one) ends the process by SIGKILL.
    pub fn arm(last: u64) {
        CALLS.arm(last);
    }

    pub(crate) fn point() {
        CALLS.point();
    }
}

#[cfg(not(feature = "kill-points"))]
mod imp {
    #[inline(always)]
    pub(crate) const fn point() {}
}

#[cfg(feature = "kill-points")]
pub use imp::arm;
pub(crate) use imp::point;
