//! The overlap against a model: two sets of sessions of one world, with all that may happen to them.
//!
//! The oracle: of every guild each event is delivered once, in the world's order; what is lost was told.

mod ages;
mod exhaustive;
mod guilds;
mod outages;
mod random;
mod reader;
mod script;
mod sessions;
mod world;
