//! The whole pipeline under load, from a socket to a handler, and what it costs each process.
//!
//! * [`workload`]: the events.
//! * [`source`]: a server that has encoded all of them before the first is sent. Its CPU is not counted.
//! * [`probe`]: what a handler counts, and how it is asked.
//! * [`contender`]: Mixcord and its peers, as processes.
//! * [`case`]: what is measured; [`measure`]: one run of one contender; [`recovery`]: after a kill.
//! * [`page`]: what a person reads.

#![recursion_limit = "256"] // json! of a whole guild

pub mod case;
pub mod clock;
pub mod contender;
pub mod measure;
pub mod page;
pub mod plan;
pub mod probe;
pub mod process;
pub mod recovery;
pub mod source;
pub mod workload;
