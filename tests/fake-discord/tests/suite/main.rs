//! The server, seen by a client.

mod client;
mod stream;
