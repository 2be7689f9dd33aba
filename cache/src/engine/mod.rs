//! The engine: shard rings in, annotated records out, all or nothing of each batch.
//!
//! The order of a commit: write outputs beyond the tail → commit the batch, which holds the
//! state, the position reached in every input ring and the intended output tail → publish the tail
//! → release the input. Whatever instruction the process dies at, [`Engine::start`] finds which of
//! these was the last and goes on from there.

mod ahead;
mod batch;
mod beside;
mod commit;
mod copied;
mod cut;
mod discover;
mod error;
mod follow;
mod gap;
mod input;
mod judged;
mod limits;
mod listing;
mod notice;
mod order;
mod pass;
#[cfg(test)]
mod pass_tests;
mod positions;
mod reached;
mod refill;
mod reshard;
mod rest;
mod retire;
mod shrink;
mod sizes;
mod stage;
mod startup;
mod tally;
mod transaction;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mixcord_holdup::Holdup;
use mixcord_ring::{Bell, Geometry, Namespace, Pace, Pacer, Producer, Ticket, Woken, arm_all};

use self::batch::Batch;
use self::beside::Beside;
pub use self::error::EngineError;
use self::input::Input;
use self::listing::Listing;
use self::notice::Notice;
use self::reached::Reached;
use self::rest::Rest;
use crate::overlap::Times;
use crate::settings::Settings;
use crate::store::{CopyFrom, DiskStore};

/// What the engine is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The instance.
    pub instance: String,
    /// The store's directory, or no store.
    pub state: Option<PathBuf>,
    /// What the store is made of, where there is none.
    pub state_from: Option<CopyFrom>,
    /// How large the store may become, in bytes.
    pub state_bytes_max: u64,
    /// What is cached.
    pub settings: Settings,
    /// Sizes of the output ring, if it has to be made.
    pub output: Geometry,
    /// How long the rings of a former shard count are kept after they were read to their end.
    pub old_rings_kept: Duration,
}

/// What a round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It committed something; there may be more.
    Worked,
    /// There was nothing to do.
    Idle,
    /// A record waits for this many bytes in the output ring.
    OutputFull(usize),
    /// The system refuses what has to be written: [`Engine::refusal`] says what. Nothing is lost, and it
    /// is tried again.
    Refused,
    /// The store may not grow any more.
    StoreFull,
}

/// The cache of one instance.
#[derive(Debug)]
pub struct Engine {
    namespace: Namespace,
    bell: Bell,
    out: Producer,
    /// `None` without a store.
    store: Option<DiskStore>,
    settings: Settings,
    /// Rings that are read or will be, by (shard count, shard).
    inputs: BTreeMap<(u16, u16), Input>,
    reached: Reached,
    batch: Batch,
    /// Whether it was known at the start how far the inputs had been read.
    knew_positions: bool,
    listing: Listing,
    /// Rings that cannot be read, and when that was said.
    complaints: BTreeMap<String, Instant>,
    /// Why the system refused what was to be written last.
    refusal: String,
    old_rings_kept: Duration,
    /// A copy that was not taken, until it is committed what is lost with it.
    refused: Option<PathBuf>,
    pacer: Pacer,
    /// Whether a producer waited for room since the last rest.
    is_waited_for: bool,
    looked: Option<Instant>,
    rest: Rest,
    /// While the shard count changes.
    beside: Option<Beside>,
    /// What is said of that.
    notice: Notice,
    /// How long the one that is asked for next waits.
    reshard_times: Times,
}

/// The longest sleep while the output ring is full.
const FULL_LOOK: Duration = Duration::from_millis(50);
/// The same when there seems to be room for what did not fit.
const FULL_PAUSE: Duration = Duration::from_millis(2);
/// How often rings are looked for.
const LOOK: Duration = Duration::from_millis(200);

impl Engine {
    /// Rings of the instance.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// How it waits for records: [`Pace::LowLatency`] unless it is told.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pacer = Pacer::new(pace);
    }

    /// How long one set of sessions waits for the other in a change of the shard count that an order asks for.
    pub const fn set_reshard_times(&mut self, times: Times) {
        self.reshard_times = times;
    }

    /// Why the system refused what was to be written when the progress was last [`Progress::Refused`].
    #[must_use]
    pub fn refusal(&self) -> &str {
        &self.refusal
    }

    /// Who holds the output ring, if anybody is behind.
    #[must_use]
    pub fn holdup(&self) -> Option<Holdup> {
        mixcord_holdup::of(&self.out.ring())
    }

    /// What no event can come without, if it is not there.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        if self.inputs.is_empty() {
            return Some("there is no ring of a shard yet");
        }
        let is_written = self.inputs.values().any(Input::is_alive);
        (!is_written).then_some("nobody writes the rings of the shards")
    }

    /// Does what is waiting, as one batch; says whether there was anything.
    ///
    /// # Errors
    /// When the process should end; starting it again is safe.
    pub fn round(&mut self) -> Result<Progress, EngineError> {
        let began = Instant::now();
        let done = match self.look_after(began).and_then(|()| self.commit_round()) {
            Ok(Progress::Idle) => self.rest().map(|()| Progress::Idle),
            other => other,
        };
        match done {
            Ok(Progress::Worked) => {
                self.batch.tally.worked(began.elapsed());
                done
            }
            Err(EngineError::Store(error)) if error.is_damage() => {
                tracing::error!("{error}: beginning anew");
                self.discard();
                self.lose_state()?;
                Ok(Progress::Worked)
            }
            other => other,
        }
    }

    /// Sleeps until there may be something to do, at most `timeout`.
    pub fn wait(&mut self, progress: Progress, timeout: Duration) {
        let ticket = self.bell.ticket();
        match progress {
            Progress::Worked => {}
            Progress::Idle => {
                if std::mem::take(&mut self.is_waited_for) {
                    self.pacer.hurry();
                }
                if let Some(nap) = self.pacer.rest() {
                    // Records come so often that nobody needs to ring for one.
                    self.sleep(ticket, timeout.min(nap));
                    return;
                }
                let inputs = &mut self.inputs;
                arm_all(|arm| inputs.values_mut().filter_map(Input::sleeping).for_each(arm));
                let tick =
                    self.inputs.values().filter_map(Input::tick).fold(timeout, Duration::min);
                let is_read = reshard::is_read(self.beside.as_ref(), self.reached.shards);
                let mut read = self.inputs.iter_mut().filter(|(key, _)| is_read(key.0));
                if read.any(|(_, input)| !input.stops && input.has_work()) {
                    return;
                }
                self.sleep(ticket, tick);
            }
            Progress::OutputFull(bytes) => {
                // Room for `bytes` says nothing of several outputs at once, nor of an old entity
                // beside: this never returns without a pause.
                let fits = self.out.arm_space(bytes) && self.out.has_space(bytes);
                let pause = if fits { FULL_PAUSE } else { FULL_LOOK };
                self.sleep(ticket, timeout.min(pause));
            }
            Progress::Refused | Progress::StoreFull => {
                self.sleep(ticket, timeout);
            }
        }
    }

    fn sleep(&mut self, ticket: Ticket, time: Duration) {
        let began = Instant::now();
        if self.bell.wait(ticket, time) == Woken::TimedOut {
            self.batch.tally.overslept(began.elapsed().saturating_sub(time));
        }
    }

    /// What has to be done now and then.
    fn look_after(&mut self, now: Instant) -> Result<(), EngineError> {
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK) {
            self.looked = Some(now);
            self.inputs.values_mut().for_each(Input::look_again);
            self.tell_change();
            self.discover()?;
            self.tell_wishes();
            self.take_order();
        }
        self.tend_beside(now)?;
        Ok(())
    }
}
