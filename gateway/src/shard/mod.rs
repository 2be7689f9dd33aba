//! One shard: the shell around its session, from the socket to the ring.

mod attendance;
mod burst;
mod connecting;
mod context;
mod former;
mod frame;
mod news;
mod output;
mod reading;
mod records;
mod refill;
mod restore;
mod sending;
mod sent_on;
mod stall;
mod standing;
mod successor;
mod supervise;
mod task;
mod workbench;

use std::time::{SystemTime, UNIX_EPOCH};

pub use attendance::Attendance;
pub use context::{Context, ShardError, Start};
pub use output::OutputError;
pub use standing::{Phase, Standing};
pub use supervise::{Outcome, supervise};
pub use task::run;
pub use workbench::Workbenches;

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
