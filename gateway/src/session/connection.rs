//! One connection, from HELLO to its end. Nothing of it outlives it, so nothing has to be reset.

use std::time::Instant;

use super::heart::Heart;
use super::sequence::Sequence;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for its turn to identify.
    AwaitPermit,
    /// Waits for READY; not longer than `until`, once something that may have been it was lost.
    Identifying { until: Option<Instant> },
    /// Waits for RESUMED; not longer than `until`, once something that may have been it was lost.
    Resuming { until: Option<Instant> },
    /// Events flow.
    Active { since: Instant },
}

/// A connection that said HELLO.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) heart: Heart,
    pub(super) stage: Stage,
    /// From RESUME to the first event that is new.
    pub(super) replay: Option<Replay>,
    /// A message was left out since the last accepted event.
    pub(super) poisoned: bool,
    /// The first event that came before READY.
    pub(super) early: Option<u64>,
}

/// Discord sends again what was accepted but not committed when the last connection ended.
#[derive(Debug)]
pub(super) struct Replay {
    /// Numbers up to this one wait for the ring already.
    upto: Option<u64>,
}

impl Connection {
    /// Waits for its turn to identify.
    pub(super) fn identifying(heart: Heart) -> Self {
        Self { heart, stage: Stage::AwaitPermit, replay: None, poisoned: false, early: None }
    }

    /// Goes on with a session whose numbers stand at `sequence`.
    pub(super) fn resuming(heart: Heart, sequence: &Sequence) -> Self {
        Self {
            heart,
            stage: Stage::Resuming { until: None },
            replay: Some(Replay { upto: sequence.accepted() }),
            poisoned: false,
            early: None,
        }
    }

    /// Is the event with this number one that waits for the ring already?
    pub(super) fn repeats(&self, seq: u64) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.upto.is_some_and(|upto| seq <= upto))
    }

    /// READY or RESUMED may have been lost: it is not waited for past `until`.
    pub(super) fn doubt(&mut self, latest: Instant) {
        if let Stage::Identifying { until } | Stage::Resuming { until } = &mut self.stage {
            until.get_or_insert(latest);
        }
    }

    /// The socket was not read for a while and is again: nothing may be called late before `earliest`.
    pub(super) fn read_again(&mut self, earliest: Instant) {
        if let Stage::Identifying { until: Some(until) } | Stage::Resuming { until: Some(until) } =
            &mut self.stage
        {
            *until = earliest.max(*until);
        }
        self.heart.forgive();
    }

    /// When the stage has waited long enough.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Identifying { until } | Stage::Resuming { until } => until,
            Stage::AwaitPermit | Stage::Active { .. } => None,
        }
    }
}
