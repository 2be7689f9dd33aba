//! Take-over of a lane: the machine that goes on with the shard of one that died learns what is there to go on from.
//!
//! 1. It takes the lease of the stream in which the lane is, once that lapsed: the number of that put is the generation
//!    ([`crate::lease`]). Whoever had it stops for good when it sees that.
//! 2. It appends a *fence*: a pack of the log that ended, without records, in the new generation, behind exactly what
//!    it read as the last message. What the old sender has under way may land behind it still, as it does behind any
//!    message that came into another's place; but every receiver drops it there, for its generation is lower (receivers
//!    of a release before this module compare generations between logs alone).
//! 3. It reads the lane up to the fence, as every receiver does. Where that ends is what of the log anybody will ever
//!    have: [`Takeover::end`].
//! 4. It notes under the log's name that it ended ([`Ended`]), and has the lease still when that is stored. From then on
//!    nobody sends the log any more, who is started anew either: before that, the old machine may come back and
//!    go on as if nothing had been. Whoever takes the lease later finds the note.
//! 5. The session is resumed behind the record before that position, into the ring that was the mirror, which is a log of
//!    its own from there on and names the one that it goes on from ([`crate::pack::Predecessor`]): so no receiver tells a loss.

use serde::{Deserialize, Serialize};

use crate::pack::{Head, Predecessor};
use crate::place::Place;
use crate::sender::{Answer, Start};

/// What is noted of a log that was taken over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// Where it ended.
    pub position: u64,
    /// The generation of the fence.
    pub generation: u64,
    /// Where its shard runs since, for people.
    pub place: String,
}

/// The machine of one lane.
#[derive(Debug)]
pub struct Takeover {
    generation: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The log has to be looked at.
    Looking,
    /// The fence of a log is under way, and expects the stream to end with that number.
    Fencing { log: u64, expected: u64 },
    /// It is there, under that number.
    Fenced { log: u64, fence: u64 },
}

/// What is appended: the pack of this start without records, where the stream still ends with `expected`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fence {
    /// The stream's last sequence number.
    pub expected: u64,
    /// How the pack begins.
    pub start: Start,
}

/// Why a lane cannot be taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody sent anything in it.
    #[error(
        "nothing was sent of this shard: there is no session to go on with, and it is started as any other"
    )]
    Nothing,
    /// Somebody has the lease since.
    #[error(
        "another machine took the shard over (generation {theirs}, this one has {ours}): it runs there, and this one \
         stops"
    )]
    Superseded {
        /// Its generation.
        theirs: u64,
        /// This one's.
        ours: u64,
    },
}

impl Takeover {
    /// By a machine whose lease has this generation.
    #[must_use]
    pub const fn new(generation: u64) -> Self {
        Self { generation, state: State::Looking }
    }

    /// Whether the log has to be looked at: first the stream's last sequence number, then the lane's last message.
    #[must_use]
    pub const fn must_look(&self) -> bool {
        matches!(self.state, State::Looking)
    }

    /// What was found; `last` is the lane's last message that is a bridge's. Gives what is appended next.
    ///
    /// # Errors
    /// There is nothing to be taken over, or by somebody else.
    pub const fn looked(&mut self, sequence: u64, last: Option<Head>) -> Result<Fence, Refused> {
        let Some(head) = last else { return Err(Refused::Nothing) };
        let (ours, theirs) = (self.generation, head.generation);
        if theirs > ours {
            return Err(Refused::Superseded { theirs, ours });
        }
        self.state = State::Fencing { log: head.log, expected: sequence };
        // It says nothing of what was in the log: whoever reads it has to see that by what is there.
        let start = Start { log: head.log, generation: ours, kept: 0, first: head.end() };
        Ok(Fence { expected: sequence, start })
    }

    /// What became of the fence. If it was refused, or nobody knows, the log is looked at again.
    pub fn answered(&mut self, answer: Answer) {
        let State::Fencing { log, expected } = self.state else { return };
        let is_stored = answer == Answer::Stored(expected + 1);
        self.state =
            if is_stored { State::Fenced { log, fence: expected + 1 } } else { State::Looking };
    }

    /// The generation of the fence.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What the log of the old machine ends with, once this mirror was read up to the fence; `None` before that.
    #[must_use]
    pub const fn end(&self, place: &Place) -> Option<Predecessor> {
        let State::Fenced { log, fence } = self.state else { return None };
        if place.mark.sequence < fence || place.log != log {
            return None;
        }
        Some(Predecessor { log, position: place.next })
    }
}

#[cfg(test)]
mod tests;
