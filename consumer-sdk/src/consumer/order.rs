//! The ring's own order, for a member that is alone in its group.

use std::time::{Duration, Instant};

use super::source::Source;
use super::{Consumer, Poll};
use crate::Error;
use crate::lane::Turn;

/// How often a member that wants the ring's order looks whether it is still alone.
const COMPANY: Duration = Duration::from_millis(20);

/// How far a lone member that wants the ring's order may go.
#[derive(Default)]
pub(super) struct Order {
    /// No record before this position waits in a partition that is not held.
    complete_to: u64,
    alone: bool,
    /// When the other members were last looked for.
    looked_at: Option<Instant>,
}

impl Consumer {
    /// Whether the next event is the oldest of all partitions: asked for, and possible, which it is
    /// as long as no other member takes partitions away.
    pub(super) fn is_in_order(&mut self) -> bool {
        let Source::Group { member, order, .. } = &mut self.source else { return false };
        if !self.options.ring_order {
            return false;
        }
        let now = Instant::now();
        if order.looked_at.is_none_or(|at| now.duration_since(at) >= COMPANY) {
            order.looked_at = Some(now);
            let alone = member.group().is_some_and(|group| group.members <= 1);
            if alone && !order.alone {
                // Others may have left older records behind.
                order.complete_to = 0;
            }
            order.alone = alone;
        }
        order.alone
    }

    /// Holds every partition that has records and gives the oldest of them all.
    pub(super) fn poll_in_order(&mut self) -> Result<Poll, Error> {
        let notify = self.doorbell.clone();
        loop {
            let Source::Group { ring, lanes, order, .. } = &mut self.source else {
                return Ok(Poll::Stopped);
            };
            let mut oldest: Option<(u64, usize)> = None;
            let mut at = 0;
            while let Some(lane) = lanes.get_mut(at) {
                let turn = match lane.head(&self.options.filter) {
                    Ok(Some(position)) => {
                        oldest = Some(oldest.map_or((position, at), |o| o.min((position, at))));
                        at += 1;
                        continue;
                    }
                    Ok(None) => lane.turn(&self.options.filter),
                    Err(damaged) => Err(damaged),
                };
                match turn {
                    // What follows a batch may be older than what other partitions have.
                    Ok(Turn::Done) => {
                        lanes.swap_remove(at);
                        order.complete_to = 0;
                    }
                    Ok(Turn::Out) => return Ok(Poll::Wait(None)),
                    Ok(Turn::Paused(until)) => return Ok(Poll::Wait(Some(until))),
                    // Its rest ended between the two looks.
                    Ok(Turn::Event(event)) => return Ok(Poll::Event(event)),
                    Err(damaged) => return Err(self.damaged(&damaged)),
                }
            }
            if let Some((position, at)) = oldest
                && position < order.complete_to
            {
                return match lanes[at].turn(&self.options.filter) {
                    Ok(Turn::Event(event)) => Ok(Poll::Event(event)),
                    Ok(_) => continue,
                    Err(damaged) => Err(self.damaged(&damaged)),
                };
            }
            let (tail, id) = (ring.tail(), ring.id());
            let mut taken = false;
            while let Some(lane) = self.take_lane(notify.as_ref())? {
                if let Source::Group { lanes, .. } = &mut self.source {
                    lanes.push(lane);
                }
                taken = true;
            }
            if let Some(event) = self.take_lost() {
                return Ok(Poll::Event(event));
            }
            if !taken && oldest.is_none() {
                return Ok(Poll::Wait(None));
            }
            // A ring that took the place of the old one counts its records anew.
            if let Source::Group { order, ring, .. } = &mut self.source
                && ring.id() == id
            {
                order.complete_to = tail;
            }
        }
    }
}
