//! What a consumer is promised, tried on an output ring made by hand.

mod aborting;
mod asking;
mod attempts;
mod commanding;
mod deaths;
mod delivery;
mod ending;
mod failing;
mod filling;
mod gone;
mod greeter;
mod handlers;
mod looking_on;
mod metering;
mod model;
mod operating;
mod ordering;
mod rig;
mod running;
mod sharing;
mod skew;
mod soak;
mod staging;
mod standing_by;
mod starting;
mod sticky;
