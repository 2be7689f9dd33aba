//! The events that are sent: guilds, and a mix of what happens in them.

pub mod etf;
pub mod guild;
pub mod mix;

pub use self::mix::{Blend, Mix};
