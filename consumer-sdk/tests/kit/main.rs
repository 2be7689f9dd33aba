//! What a bot's author builds on: the router, typed arguments, permissions, the test kit itself.

mod bed;
mod examples;
mod pages;
mod permissions;
mod routing;
mod stages;
mod streaming;
mod types;
