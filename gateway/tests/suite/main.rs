//! The gateway process against fake-discord and against servers that behave badly.

mod chance;
mod commands;
mod faults;
mod harness;
mod hostile;
mod journal;
mod lifecycle;
mod limits;
mod logs;
mod operator;
mod overlap;
mod packing;
mod pressure;
mod proxy;
mod refill;
mod refusals;
mod reshard;
mod scale;
mod startup;
mod tls;
