//! A machine that begins from nothing asks one that has the state for a copy of it.
//!
//! Questions and answers are messages of their own, and nothing of a copy lies in the log. Who asks has told the
//! senders before that it is there, and who gives holds its own floors while it gives: so the log has everything from
//! where the copy ends.
//!
//! | question | answer |
//! |---|---|
//! | who has these shards? | whoever has, with its number; nobody else answers |
//! | begin | the copy's number, or that another one is made |
//! | how far? | values so far, or bytes once it is whole |
//! | bytes from there on | these bytes; so a transfer goes on where it was, after a kill too |
//! | done | it is thrown away, as it is when nothing is asked for a minute |

use std::collections::BTreeMap;

use mixcord_event::Origin;
use mixcord_state::Inputs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::names::{Lane, Shards};

/// Without a question for so many seconds a copy is thrown away.
pub const PATIENCE_S: u64 = 60;
/// Before the bytes of a copy, where another answer has its first brace.
const BYTES: u8 = 0;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Who has these shards?
    Who(Shards),
    /// Make a copy, for this receiver, as floors are told.
    Begin {
        /// The receiver's key in the bucket of floors.
        receiver: String,
    },
    /// How far is it?
    Look {
        /// Its number.
        copy: u64,
    },
    /// Bytes of it.
    Read {
        /// Its number.
        copy: u64,
        /// From there on.
        from: u64,
        /// So many, or what is left.
        bytes: u32,
    },
    /// It has arrived.
    Done {
        /// Its number.
        copy: u64,
    },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// I have them.
    Here {
        /// The number to ask under.
        giver: u64,
        /// Where it runs, for people.
        place: String,
    },
    /// It is made.
    Making {
        /// Its number.
        copy: u64,
        /// Values so far.
        values: u64,
        /// Values in all, about; 0 where that is not known yet.
        expected: u64,
    },
    /// It is whole.
    Whole {
        /// Its number.
        copy: u64,
        /// Its length.
        bytes: u64,
    },
    /// Another one is made, for somebody else.
    Busy,
    /// There is no such copy any more.
    Gone,
    /// None could be made.
    Failed {
        /// Why.
        why: String,
    },
}

/// What is sent as JSON.
pub trait Message: Serialize + DeserializeOwned {
    /// As it is sent.
    #[must_use]
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it; `None` of what a later release says.
    #[must_use]
    fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Message for Question {}
impl Message for Answer {}

/// Room for the bytes of a copy, as they are sent; [`bytes_in`] takes them out.
#[must_use]
pub fn room_for(bytes: usize) -> Vec<u8> {
    let mut answer = vec![BYTES];
    answer.resize(bytes + 1, 0);
    answer
}

/// The bytes of a copy; another answer where there are none.
///
/// # Errors
/// That answer; [`Answer::Gone`] where it cannot be read.
pub fn bytes_in(answer: &[u8]) -> Result<&[u8], Answer> {
    match answer.split_first() {
        Some((&BYTES, bytes)) => Ok(bytes),
        _ => Err(Answer::decode(answer).unwrap_or(Answer::Gone)),
    }
}

/// Where each lane of a copied state goes on in its log.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Origins(BTreeMap<Lane, (u64, u64)>);

impl Origins {
    /// Of the lanes that are wanted.
    #[must_use]
    pub fn of(inputs: &Inputs, shards: Shards) -> Self {
        let lanes = inputs.iter().filter(|(_, input)| input.origin.ring != 0 && !input.is_ended());
        let lanes = lanes.map(|(&(count, shard), input)| {
            (Lane { shard, count }, (input.origin.ring, input.origin.position))
        });
        Self(lanes.filter(|(lane, _)| shards.has(*lane)).collect())
    }

    /// The first of the wanted shards that is not there; `None` where all are.
    #[must_use]
    pub fn missing(&self, shards: Shards) -> Option<Lane> {
        let Shards::Range { first, last, count } = shards else {
            return self.0.is_empty().then_some(Lane { shard: 0, count: 1 });
        };
        (first..=last).map(|shard| Lane { shard, count }).find(|lane| !self.0.contains_key(lane))
    }

    /// Where a lane goes on.
    #[must_use]
    pub fn of_lane(&self, lane: Lane) -> Option<Origin> {
        self.0.get(&lane).map(|&(ring, position)| Origin { ring, position })
    }

    /// A lane's ring knows it from now on.
    pub fn forget(&mut self, lane: Lane) -> bool {
        self.0.remove(&lane).is_some()
    }

    /// Whether every ring knows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use mixcord_state::InputPosition;

    use super::*;

    #[test]
    fn what_is_said_is_read_back_and_bytes_are_told_from_answers() {
        let shards = Shards::Range { first: 1, last: 2, count: 4 };
        for question in [
            Question::Who(shards),
            Question::Begin { receiver: "a".into() },
            Question::Look { copy: 1 },
            Question::Read { copy: u64::MAX, from: 3, bytes: 4 },
            Question::Done { copy: 5 },
        ] {
            assert_eq!(Question::decode(&question.encode()), Some(question));
        }
        for answer in [
            Answer::Here { giver: 1, place: "b".into() },
            Answer::Making { copy: 1, values: 2, expected: 3 },
            Answer::Whole { copy: 1, bytes: 2 },
            Answer::Busy,
            Answer::Gone,
            Answer::Failed { why: "c".into() },
        ] {
            let bytes = answer.encode();
            assert_eq!(Answer::decode(&bytes), Some(answer.clone()));
            assert_eq!(bytes_in(&bytes), Err(answer));
        }
        assert_eq!(Question::decode(b"{\"later\": 1}"), None);
        let mut bytes = room_for(2);
        bytes[1..].copy_from_slice(b"{}");
        assert_eq!(bytes_in(&bytes), Ok(&b"{}"[..]));
        assert_eq!((bytes_in(b""), bytes_in(b"x")), (Err(Answer::Gone), Err(Answer::Gone)));
    }

    #[test]
    fn the_lanes_that_are_wanted_go_on_where_the_state_ends() {
        let at = |ring, position| InputPosition {
            origin: Origin { ring, position },
            ..InputPosition::whole(9, 9)
        };
        let inputs = [((4, 0), at(7, 5)), ((4, 1), at(8, 6)), ((2, 1), InputPosition::ended(3))];
        let inputs: Inputs = inputs.into_iter().chain([((4, 2), at(0, 0))]).collect();
        let wanted = Shards::Range { first: 1, last: 2, count: 4 };
        let mut origins = Origins::of(&inputs, wanted);
        let lane = |shard| Lane { shard, count: 4 };
        assert_eq!(origins.missing(wanted), Some(lane(2)), "an older store does not say");
        assert_eq!(origins.of_lane(lane(1)), Some(Origin { ring: 8, position: 6 }));
        assert_eq!(origins.of_lane(lane(0)), None);
        assert!(origins.forget(lane(1)) && !origins.forget(lane(1)) && origins.is_empty());
        assert_eq!(Origins::of(&inputs, Shards::All).missing(Shards::All), None);
        assert!(Origins::default().missing(Shards::All).is_some());
    }
}
