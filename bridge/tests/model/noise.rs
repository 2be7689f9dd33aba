//! What makes a record long.

use std::sync::LazyLock;

/// Every third record is longer than a message.
const LONG: usize = 5000;

/// What zstd cannot make shorter.
pub(crate) static NOISE: LazyLock<[u8; LONG]> = LazyLock::new(|| {
    let mut state = 1_u64;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
});
