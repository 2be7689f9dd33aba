//! What gateways of this machine want to take over, each as long as it asks.

use std::time::{Duration, Instant};

use mixcord_bridge::names::Lane;
use mixcord_event::permit::Shards;

/// A gateway that did not ask for so long is gone, and what it wanted is nobody's wish any more.
const ASKS: Duration = Duration::from_secs(5);
/// No more are kept: a machine has fewer gateways.
const WISHES_MAX: usize = 64;

/// The wishes of all of them.
#[derive(Debug, Default)]
pub(super) struct Wishes(Vec<Wish>);

#[derive(Debug)]
struct Wish {
    shards: Shards,
    at: Instant,
    /// What is waited for.
    why: String,
}

impl Wishes {
    /// A gateway asks for these shards. Gives what it waits for.
    pub(super) fn ask(&mut self, shards: Shards) -> &str {
        self.expire();
        // Gateways keep each other out of their shards: who had some of these before is gone.
        self.0.retain(|wish| wish.shards == shards || !overlap(wish.shards, shards));
        let known = self.0.iter().position(|wish| wish.shards == shards);
        let place = match known {
            Some(place) => place,
            None if self.0.len() < WISHES_MAX => {
                let why = "whether the machine that runs its shards lives is looked at".to_owned();
                self.0.push(Wish { shards, at: Instant::now(), why });
                self.0.len() - 1
            }
            None => return "too many gateways of this machine wait to take shards over",
        };
        self.0[place].at = Instant::now();
        &self.0[place].why
    }

    /// Forgets who is gone.
    pub(super) fn expire(&mut self) {
        self.0.retain(|wish| wish.at.elapsed() < ASKS);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a gateway waits for a lane.
    pub(super) fn want(&self, lane: Lane) -> bool {
        self.0.iter().any(|wish| wish.at.elapsed() < ASKS && has(wish.shards, lane))
    }

    /// Says why a lane is not taken over yet.
    pub(super) fn wait_for(&mut self, lane: Lane, why: &str) {
        for wish in self.0.iter_mut().filter(|wish| has(wish.shards, lane)) {
            why.clone_into(&mut wish.why);
        }
    }

    /// Says why none is.
    pub(super) fn all_wait_for(&mut self, why: &str) {
        self.0.iter_mut().for_each(|wish| why.clone_into(&mut wish.why));
    }
}

/// Whether a lane is one of these shards.
pub(super) fn has(Shards { first, last, count }: Shards, lane: Lane) -> bool {
    lane.count == count && (first..=last).contains(&lane.shard)
}

const fn overlap(one: Shards, other: Shards) -> bool {
    one.count == other.count && one.first <= other.last && other.first <= one.last
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn shards(first: u16, last: u16) -> Shards {
        Shards { first, last, count: 16 }
    }

    const fn lane(shard: u16) -> Lane {
        Lane { shard, count: 16 }
    }

    #[test]
    fn each_gateway_has_its_own_wish_and_is_told_what_holds_up_its_own_shards() {
        let mut wishes = Wishes::default();
        assert!(wishes.ask(shards(0, 7)).starts_with("whether the machine"));
        wishes.ask(shards(8, 15));
        assert!([0, 7, 8, 15].map(lane).into_iter().all(|lane| wishes.want(lane)));
        assert!(!wishes.want(Lane { shard: 0, count: 32 }));
        wishes.wait_for(lane(3), "a lease");
        assert_eq!(wishes.ask(shards(0, 7)), "a lease");
        assert!(wishes.ask(shards(8, 15)).starts_with("whether the machine"));
        wishes.all_wait_for("a broker");
        assert_eq!(
            [wishes.ask(shards(0, 7)).to_owned(), wishes.ask(shards(8, 15)).to_owned()],
            ["a broker"; 2]
        );
    }

    #[test]
    fn a_gateway_that_was_started_anew_with_other_shards_wants_these_alone() {
        let mut wishes = Wishes::default();
        wishes.ask(shards(0, 7));
        wishes.ask(shards(8, 15));
        wishes.ask(shards(6, 7));
        assert!(!wishes.want(lane(5)) && wishes.want(lane(6)) && wishes.want(lane(8)));
    }

    #[test]
    fn p7_no_more_are_kept_than_there_can_be() {
        let mut wishes = Wishes::default();
        let many = u16::try_from(WISHES_MAX).expect("few");
        let all = |first| Shards { first, last: first, count: 1_000 };
        (0..many).for_each(|first| drop(wishes.ask(all(first)).to_owned()));
        assert!(wishes.ask(all(many)).starts_with("too many"));
        assert!(!wishes.want(Lane { shard: many, count: 1_000 }));
        assert!(!wishes.ask(all(0)).starts_with("too many"), "who is there stays");
    }
}
