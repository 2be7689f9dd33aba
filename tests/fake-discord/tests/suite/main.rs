//! The server, seen by a client.

mod client;
mod model;
mod stream;
mod typed;
