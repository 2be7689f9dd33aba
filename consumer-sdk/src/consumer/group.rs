//! A member's work: partitions taken by demand, each in its order.

use std::sync::Arc;
use std::time::Instant;

use mixcord_ring::{Start, TakeError};

use super::source::{Source, replacement, take_error};
use super::{BATCH, Consumer, Poll, earlier};
use crate::Error;
use crate::doorbell::Doorbell;
use crate::lane::{Lane, Turn};
use crate::received::Event;

impl Consumer {
    pub(super) fn poll_group(&mut self) -> Result<Poll, Error> {
        loop {
            let Source::Group { lanes, turn, .. } = &mut self.source else {
                return Ok(Poll::Stopped);
            };
            let mut wake: Option<Instant> = None;
            let mut tried = 0;
            while tried < lanes.len() {
                let at = *turn % lanes.len();
                match lanes[at].turn(&self.options.filter) {
                    Ok(Turn::Event(event)) => return Ok(Poll::Event(event)),
                    Ok(Turn::Done) => {
                        lanes.swap_remove(at);
                        continue;
                    }
                    Ok(Turn::Out) => {}
                    Ok(Turn::Paused(until)) => wake = earlier(wake, Some(until)),
                    Err(damaged) => return Err(self.damaged(&damaged)),
                }
                *turn = at + 1;
                tried += 1;
            }
            let at = *turn;
            let room = lanes.len() < self.options.concurrency;
            let notify = self.doorbell.clone();
            if room && let Some(lane) = self.take_lane(notify.as_ref())? {
                if let Source::Group { lanes, turn, .. } = &mut self.source {
                    lanes.push(lane);
                    *turn = lanes.len() - 1;
                }
                continue;
            }
            if let Some(event) = self.take_lost() {
                return Ok(Poll::Event(event));
            }
            if let Source::Group { turn, .. } = &mut self.source {
                *turn = at;
            }
            return Ok(Poll::Wait(wake));
        }
    }

    /// Takes a partition that has records, when there is one. Follows the output ring when it was
    /// replaced and everything in the old one is acknowledged.
    /// `notify` is woken when an event of the lane is settled.
    pub(crate) fn take_lane(
        &mut self,
        notify: Option<&Arc<Doorbell>>,
    ) -> Result<Option<Lane>, Error> {
        let Some(doorbell) = &self.doorbell else { return Ok(None) };
        loop {
            let Source::Group { member, ring, lanes, .. } = &mut self.source else {
                return Ok(None);
            };
            match member.take(BATCH) {
                Ok(Some(batch)) => {
                    return Ok(Some(Lane::new(
                        batch,
                        self.options.terms,
                        &self.state,
                        notify.cloned(),
                    )));
                }
                Ok(None) => {}
                // The next take goes on behind the loss.
                Err(TakeError::Evicted { lost, .. }) => {
                    self.lost.push_back(lost.end.saturating_sub(lost.start));
                    return Ok(None);
                }
                Err(source) => return Err(take_error(&self.options, source)),
            }
            if ring.producer_alive() || !lanes.is_empty() || member.lag() > 0 {
                return Ok(None);
            }
            let Some(new) = replacement(&self.namespace, ring.id()) else { return Ok(None) };
            tracing::warn!(instance = self.options.instance, "the output ring was replaced");
            self.source =
                Source::join(&self.options, &new, Start::Earliest, &self.state, doorbell)?;
            // Records that went before any member of the group was there.
            if let Some(lost) = self.source.missed_before_joining() {
                self.lost.push_back(lost);
                return Ok(None);
            }
        }
    }

    /// The event for records lost, when some were.
    pub(crate) fn take_lost(&mut self) -> Option<Event> {
        let lost = self.lost.pop_front()?;
        Event::lost_records(lost, &self.state)
    }
}
