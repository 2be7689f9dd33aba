//! A Discord gateway for tests, demos and benches: no client can tell it from the real one.
//!
//! It knows nothing of the rest of the workspace, because it is what the rest is measured against.
//!
//! * [`Server`] runs inside a test; the binary of the same name runs alone.
//! * [`hash_json`] recomputes the hash that the journal holds of every payload.

mod config;
mod faults;
mod gateway;
mod http;
mod journal;
mod server;
mod value;
mod wire;
mod world;

pub use config::Config;
pub use journal::{hash_json, hash_text};
pub use server::{Server, StartError};
pub use wire::etf::EtfShape;
pub use world::kind::Kind;
