//! Kill points, for tests only: the process dies before or after its n-th call to the store.
//!
//! Compiled to nothing without the feature `kill-points`.

use mixcord_memory::__kill::Countdown;

/// Calls to the store.
pub static CALLS: Countdown = Countdown::new();

pub(crate) fn point() {
    CALLS.point();
}
