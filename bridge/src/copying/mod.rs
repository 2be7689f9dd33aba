//! A state that one machine gives and another begins with, by [`mixcord_bridge::copies`].

mod arrival;
mod fetch;
mod giver;
mod making;

pub(crate) use arrival::{Arrival, Copied};
pub(crate) use fetch::Fetch;
pub(crate) use giver::{Giver, Keeps};
