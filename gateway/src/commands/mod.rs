//! Commands of consumers: from the socket to the shard that sends them.

mod desk;
mod server;

pub use desk::{Ask, Desk};
pub use server::Server;
