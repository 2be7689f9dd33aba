//! Giving events to a handler.

mod guard;
mod tasks;
mod threads;

use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::consumer::Consumer;
use crate::filter::Filter;
use crate::lane::{Damaged, Lane, Turn};
use crate::received::Event;
use crate::{Error, Stop};

/// What a handler returns: nothing, or a `Result` whose error says why the event is to be given again.
///
/// The error is shown as `{error:#}`: with `anyhow` and its like that is the whole chain of causes.
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
        self.err().map(|error| format!("{error:#}"))
    }
}

/// What a task or thread does next.
enum Work {
    Lane(Lane),
    Lost(Event),
}

impl Lane {
    /// The next event to handle; when there is none, whether the lane has to come back.
    fn step(&mut self, filter: &Filter, stop: &Stop) -> Result<ControlFlow<bool, Event>, Damaged> {
        if stop.is_stopped() {
            return Ok(ControlFlow::Break(true));
        }
        Ok(match self.turn(filter)? {
            Turn::Event(event) => ControlFlow::Continue(event),
            Turn::Out | Turn::Paused(_) => ControlFlow::Break(true),
            Turn::Done => ControlFlow::Break(false),
        })
    }
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
