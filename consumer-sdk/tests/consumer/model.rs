//! Any number of members that take, keep, acknowledge, drop, join and leave in any order, against a
//! model of what a group owes its handlers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mixcord::{Consumer, Event, Next};
use proptest::prelude::*;

use crate::rig::{Rig, numbers, until};

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish { guild: u64, events: u64 },
    Join,
    Leave { member: usize },
    Receive { member: usize },
    Ack { held: usize },
    Drop { held: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..5_u64, 1..4_u64).prop_map(|(guild, events)| Step::Publish { guild, events }),
        1 => Just(Step::Join),
        1 => (0..8_usize).prop_map(|member| Step::Leave { member }),
        6 => (0..8_usize).prop_map(|member| Step::Receive { member }),
        4 => (0..8_usize).prop_map(|held| Step::Ack { held }),
        2 => (0..8_usize).prop_map(|held| Step::Drop { held }),
    ]
}

/// What a group owes: each guild's events that are not acknowledged, in order.
struct Model {
    rig: Rig,
    members: Vec<(u64, Consumer)>,
    /// Events that are out, and the number of the member that got them.
    held: Vec<(u64, Event)>,
    owed: BTreeMap<u64, VecDeque<u64>>,
    published: u64,
    joined: u64,
}

impl Model {
    fn new() -> Self {
        let (rig, owed) = (Rig::new(), BTreeMap::new());
        rig.operator().create_group("bot", true, false, None).expect("created");
        Self { rig, members: Vec::new(), held: Vec::new(), owed, published: 0, joined: 0 }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish { guild, events } => {
                // Less than the ring holds, as nobody may be there to read.
                let owed: usize = self.owed.values().map(VecDeque::len).sum();
                for _ in 0..if owed < 200 { events } else { 0 } {
                    self.rig.message(guild, self.published);
                    self.owed.entry(guild).or_default().push_back(self.published);
                    self.published += 1;
                }
            }
            Step::Join if self.members.len() < 4 => {
                let builder = self.rig.consumer().group("bot").attempts(0);
                let builder = builder.retry(Duration::ZERO, Duration::ZERO);
                self.members.push((self.joined, builder.connect_blocking().expect("connected")));
                self.joined += 1;
            }
            Step::Leave { member } if member < self.members.len() => {
                self.members.remove(member);
            }
            Step::Receive { member } if member < self.members.len() => {
                self.receive(member);
            }
            Step::Ack { held } if held < self.held.len() => self.ack(held),
            Step::Drop { held } if held < self.held.len() => {
                self.held.swap_remove(held);
            }
            _ => {}
        }
    }

    fn receive(&mut self, at: usize) -> bool {
        let (owner, consumer) = &mut self.members[at];
        let owner = *owner;
        let Next::Event(event) = consumer.next_timeout(Duration::ZERO).expect("no error") else {
            return false;
        };
        let (guild, number) = numbers(&event);
        assert_eq!(self.owed[&guild].front(), Some(&number), "not the guild's next event");
        let out = |(owner, held): &(u64, Event)| self.is_member(*owner) && numbers(held).0 == guild;
        assert!(!self.held.iter().any(out), "two events of a guild are out");
        self.held.push((owner, event));
        true
    }

    fn ack(&mut self, at: usize) {
        let (owner, event) = self.held.swap_remove(at);
        event.ack();
        // It counts while the member that got it is there.
        if self.is_member(owner) {
            let (guild, number) = numbers(&event);
            let owed = self.owed.get_mut(&guild).expect("the guild");
            assert_eq!(owed.pop_front(), Some(number));
        }
    }

    fn is_member(&self, number: u64) -> bool {
        self.members.iter().any(|(member, _)| *member == number)
    }

    /// Handles everything that is left: nothing may be missing.
    fn finish(mut self) {
        self.held.clear();
        self.take(Step::Join);
        until("everything to be handled", || {
            for at in 0..self.members.len() {
                while self.receive(at) {
                    self.ack(self.held.len() - 1);
                }
            }
            self.owed.values().all(VecDeque::is_empty)
        });
        until("the group to owe nothing", || self.rig.group("bot").lag == 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_group_keeps_its_promises_whatever_its_members_do(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new();
        steps.into_iter().for_each(|step| model.take(step));
        model.finish();
    }
}
