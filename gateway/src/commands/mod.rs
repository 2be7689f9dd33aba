//! Commands of consumers: from the socket to the shard that sends them.

mod desk;

pub use desk::{Ask, Desk};
