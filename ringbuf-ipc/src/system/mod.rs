//! The operating system's part: segments, locks, bells, budgets, files of large records.

pub(crate) mod barrier;
pub(crate) mod bells;
pub(crate) mod blob;
pub(crate) mod budget;
pub(crate) mod fork;
pub(crate) mod host;
pub(crate) mod letters;
pub(crate) mod letters_list;
pub(crate) mod lock;
#[cfg(feature = "tokio")]
pub(crate) mod nudge;
pub(crate) mod private;
pub(crate) mod segment;
pub(crate) mod v2;
