//! Commands of consumers: from the socket to the shard that sends them.

mod desk;
pub(crate) mod door;
mod front;

pub use desk::{Ask, Desk};
pub use front::Front;
