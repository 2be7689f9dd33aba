//! The log of Mixcord's own programs, for yours.
//!
//! ```no_run
//! let _log = mixcord::log::init();
//! tracing::info!("up");
//! ```
//!
//! It writes to standard error what `tracing` is told, as `MIXCORD_LOG` (`info`, or finer
//! `info,my_bot=debug`; else `RUST_LOG`) and `MIXCORD_LOG_FORMAT` (`text` or `json`) say. No line waits
//! for whoever reads it: a thread writes them, and when its reader stalls lines are dropped and
//! counted. So a log collector that hangs holds up no handler.

pub use mixcord_process::log::{Format, Guard, Levels, LevelsError, init, start};
