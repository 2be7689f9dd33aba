//! What an instance tells the people who run it: metrics, health, a live page, and what is wrong with which
//! command mends it.
//!
//! It only reads shared memory, through the SDK, and so it goes on telling when gateway and cache are gone.
//!
//! * [`serve`]: the process behind `mixcord monitor`.
//! * [`findings`]: what is wrong; `mixcord doctor`, `/readyz` and the page say it in the same words.
//! * [`rates`]: what flows, between two looks.
//! * [`update`]: an event as old → new.

mod events;
pub mod findings;
mod frame;
mod http;
mod leases;
mod metrics;
mod process;
pub mod rates;
mod sample;
mod serve;
pub mod update;
mod watch;

pub use sample::{Sample, Source};
pub use serve::{Error, Limits, Settings, serve};
