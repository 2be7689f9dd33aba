//! Giving events to a handler.

mod guard;
mod tasks;
mod threads;

use std::fmt;
use std::time::Instant;

use crate::Error;
use crate::consumer::Consumer;
use crate::lane::Lane;
use crate::received::Event;

/// What a handler returns: nothing, or a `Result` whose error says why the event is to be given again.
pub trait Outcome {
    /// Why the event is not handled; `None` when it is.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// What a task or thread does next.
enum Work {
    Lane(Lane),
    Lost(Event),
}

impl Consumer {
    /// A partition to work on: one whose pause is over, or a new one.
    fn find_work(&mut self, parked: &mut Vec<Lane>) -> Result<Option<Work>, Error> {
        let now = Instant::now();
        let due = |lane: &Lane| lane.resumes_at().is_none_or(|at| at <= now);
        if let Some(at) = parked.iter().position(due) {
            return Ok(Some(Work::Lane(parked.swap_remove(at))));
        }
        let lane = self.take_lane(None)?;
        Ok(lane.map(Work::Lane).or_else(|| self.take_lost().map(Work::Lost)))
    }
}
