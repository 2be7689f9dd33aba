//! The three processes, fake-discord and consumers as a test sees them: programs that are started,
//! stopped, killed and compared by what they wrote.
//!
//! A [`Stack`] is one instance with its own name, ports and temporary folder. Whatever happens to
//! the test, dropping the stack kills what it started and removes every segment of the instance.

mod broker;
mod browser;
mod client;
mod fake;
pub mod furnish;
mod journal;
pub mod next;
mod process;
mod sets;
mod shard;
mod stack;
mod world;

pub use broker::Broker;
pub use browser::Browser;
pub use client::{Client, Dispatch, Kept, Said};
pub use fake::{Fake, FakeOptions, ShardStatus};
pub use journal::{Delivered, Follower, Order, Sent, compare};
pub use process::{Exit, Program, until};
pub use sets::{Dispatched, Happened, Told, compare_world, once};
pub use shard::Shard;
pub use stack::{Stack, TOKEN};
pub use world::{View, differences};
