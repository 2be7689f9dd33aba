//! The server, seen by a client.

mod client;
mod faults;
mod model;
mod requests;
mod routes;
mod rules;
mod stream;
mod twilight;
mod typed;
