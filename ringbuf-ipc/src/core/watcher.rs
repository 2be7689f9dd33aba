//! An observer: sees every record it is quick enough for, holds nothing, knows exactly what it missed.

use std::sync::Arc;
use std::time::Duration;

use super::arming::Sleeper;
use super::buffers::{Buffers, Limits};
use super::descriptor::Descriptor;
use super::errors::TakeError;
use super::group_spec::Start;
use super::layout::{CONTROL, control};
use super::memory::{Ordering, fence};
use super::{Core, Position};

/// An observer's own state.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) core: Arc<Core>,
    pub(crate) slot: usize,
    /// The next record to look at.
    position: Position,
}

impl Watcher {
    pub(crate) fn new(core: Arc<Core>, slot: usize, start: Start) -> Self {
        let (reserved, tail) = (core.reserved(), core.tail());
        let position = match start {
            Start::Earliest => reserved.min(tail),
            Start::Latest => tail,
            // Not clamped from below: what is gone counts as lost.
            Start::At(position) => position.min(tail),
        };
        Self { core, slot, position }
    }

    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Fills `buffers` and gives how many records were lost before the first of them.
    pub(crate) fn read(&mut self, limits: Limits, buffers: &mut Buffers) -> Result<u64, TakeError> {
        buffers.clear();
        let mut lost = 0;
        loop {
            let tail = self.core.tail();
            lost += self.skip_to(self.core.reserved().min(tail));
            if self.position >= tail {
                return Ok(lost);
            }
            let damaged = self.copy(limits, tail, buffers);
            // What was overwritten while it was copied was reserved before.
            fence(Ordering::Acquire);
            let reserved = self.core.reserved();
            let overrun = reserved.saturating_sub(self.position).min(buffers.len() as u64);
            lost += overrun;
            buffers.drop_first(overrun as usize);
            self.position += overrun + buffers.len() as u64;
            if buffers.len() != 0 {
                return Ok(lost);
            }
            match damaged {
                // Overrun between the two looks at `reserved`: it is lost, not damaged.
                Some(_) if self.core.reserved() > self.position => {}
                Some(error) => return Err(error),
                None => {}
            }
        }
    }

    fn skip_to(&mut self, earliest: Position) -> u64 {
        let lost = earliest.saturating_sub(self.position);
        self.position += lost;
        lost
    }

    /// Copies until a limit, the tail, or something that is no record.
    fn copy(&self, limits: Limits, tail: Position, buffers: &mut Buffers) -> Option<TakeError> {
        for position in self.position..tail {
            let Some(entry) = Descriptor::load(&self.core, position) else {
                return Some(TakeError::Corrupt { position });
            };
            let padded = entry.lines();
            if buffers.len() != 0
                && (buffers.len() >= limits.records || buffers.bytes_used() + padded > limits.bytes)
            {
                return None;
            }
            if let Err(error) = buffers.push(&self.core, &entry) {
                return Some(TakeError::Blob { position, error });
            }
        }
        None
    }
}

impl Sleeper for Watcher {
    fn core(&self) -> &Core {
        &self.core
    }

    fn announce(&mut self) {
        self.core.say_asleep(CONTROL + control::SLEEPING_OBSERVERS, 1 << self.slot);
    }

    fn settle(&mut self, _: u64) {}

    fn has_work(&mut self) -> bool {
        self.core.tail() > self.position
    }

    fn tick(&self) -> Duration {
        self.core.tick()
    }
}
