//! Giving events to a handler.

mod guard;
mod outcome;
mod tasks;
mod threads;
mod watch;
mod weight;

pub(crate) use self::guard::panicked;
pub use self::outcome::Outcome;
pub(crate) use self::outcome::told;
