//! The whole pipeline under load, from a socket to a handler, and what it costs each process.
//!
//! * [`workload`]: the events.
//! * [`source`]: a server that has encoded all of them before the first is sent. Its CPU is not counted.
//! * [`probe`]: what a handler counts, and how it is asked; a crate of its own, which the peers share.
//! * [`contender`]: Mixcord and its peers, as processes.
//! * [`case`]: what is measured, all of it in [`cases`]; [`plan`]: running that; [`measure`]: one run of one contender;
//!   [`recovery`]: after a kill.
//! * [`proxied`]: what mixcord-proxy costs beside that; [`resharded`]: what a change of the shard count costs;
//!   [`clustered`]: what it costs to send a shard's ring to another machine.
//! * [`profile`]: where the time goes.
//! * [`page`]: what a person reads; [`report`]: what a program reads, of all parts of the benchmark.

#![recursion_limit = "256"] // json! of a whole guild

pub mod case;
pub mod cases;
pub mod clustered;
pub mod contender;
pub mod measure;
pub mod page;
pub mod plan;
pub mod process;
pub mod profile;
pub mod proxied;
pub mod recovery;
pub mod report;
pub mod resharded;
pub mod source;
pub mod workload;

pub use mixcord_probe as probe;
