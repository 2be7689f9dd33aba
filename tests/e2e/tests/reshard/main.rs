//! Another number of shards without a pause (DESIGN §12): two sets of sessions over one world that goes on, with faults
//! and deaths. What the consumer was given is what happened: every event once, those of each guild in order, no gap; the
//! state is the world; nothing is kept that waited.

mod calm;
mod dice;
mod faults;
mod kills;
mod refused;
mod rig;
mod voices;
