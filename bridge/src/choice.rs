//! Which stream a lane is read from, where several have messages of it: its shard moved to another machine, or its
//! sender got another name.
//!
//! Generations order them: what stands in one is read to its end before the next one is begun, and nobody goes back.

use crate::pack::Head;
use crate::place::{Mark, Place};

/// The last message that a stream has of the lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    generation: Option<u64>,
    last: Mark,
}

impl Candidate {
    /// Of that message.
    #[must_use]
    pub fn new(sequence: u64, message: &[u8]) -> Self {
        let generation = Head::read(message).ok().map(|(head, _)| head.generation);
        Self { generation, last: Mark::of(sequence, message) }
    }
}

/// Which of them to read; `None` where there is none.
#[must_use]
pub fn choose(place: &Place, candidates: &[Option<Candidate>]) -> Option<usize> {
    let present = || {
        candidates.iter().enumerate().filter_map(|(index, candidate)| Some((index, (*candidate)?)))
    };
    // What no bridge wrote says nothing: it is where the reader is.
    let generation = |candidate: &Candidate| candidate.generation.unwrap_or(place.generation);
    let unread = present().filter(|(_, candidate)| {
        generation(candidate) >= place.generation && candidate.last != place.mark
    });
    let next = unread.min_by_key(|(_, candidate)| generation(candidate));
    let newest = || present().max_by_key(|(_, candidate)| generation(candidate));
    next.or_else(newest).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sequence: u64) -> Mark {
        Mark { sequence, ..Mark::default() }
    }

    fn candidate(generation: u64, sequence: u64) -> Option<Candidate> {
        Some(Candidate { generation: Some(generation), last: mark(sequence) })
    }

    fn place(generation: u64, sequence: u64) -> Place {
        Place { log: 1, generation, mark: mark(sequence), ..Place::default() }
    }

    #[test]
    fn a_shard_that_moved_is_followed_and_nothing_is_left_behind() {
        let (old, new) = (candidate(5, 90), candidate(8, 20));
        assert_eq!(choose(&Place::default(), &[new, old]), Some(1), "from the beginning");
        assert_eq!(choose(&place(5, 60), &[new, old]), Some(1), "the old one is not read yet");
        assert_eq!(choose(&place(5, 90), &[new, old]), Some(0), "now it is");
        assert_eq!(choose(&place(8, 3), &[new, old]), Some(0));
        assert_eq!(choose(&place(8, 20), &[new, old]), Some(0), "nothing is new anywhere");
        let said_again = candidate(5, 99);
        assert_eq!(choose(&place(8, 20), &[new, said_again]), Some(0), "nobody goes back");
        let newest = candidate(9, 4);
        assert_eq!(choose(&place(5, 90), &[newest, old, new]), Some(2), "one after the other");
    }

    #[test]
    fn what_is_gone_or_of_no_bridge_holds_nobody() {
        assert_eq!(choose(&place(5, 9), &[]), None);
        assert_eq!(choose(&place(5, 9), &[None, candidate(5, 9)]), Some(1));
        let foreign = Candidate::new(40, b"hello");
        assert_eq!(choose(&place(5, 9), &[Some(foreign), candidate(8, 20)]), Some(0));
        let read = Place { mark: foreign.last, ..place(5, 9) };
        assert_eq!(choose(&read, &[Some(foreign), candidate(8, 20)]), Some(1));
    }
}
