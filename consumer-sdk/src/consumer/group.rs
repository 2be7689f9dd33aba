//! A member's work: events taken one by one.

use std::sync::Arc;

use mixcord_ring::{Delivery, Start, TakeError};

use super::source::{Source, replacement, take_error};
use super::wanted::{Damaged, Wanted, wanted};
use super::{Consumer, Poll};
use crate::Error;
use crate::group::Team;
use crate::received::{Event, Holder, Identity};

/// Records taken at most in order to find the oldest.
const AHEAD: usize = 4096;

impl Consumer {
    pub(super) fn poll_group(&mut self) -> Result<Poll, Error> {
        let Source::Group { team, .. } = &self.source else { return Ok(Poll::Stopped) };
        if team.is_full(self.options.limit()) {
            return Ok(Poll::Wait);
        }
        Ok(self.take_event()?.map_or(Poll::Wait, Poll::Event))
    }

    /// Takes the next event there is. Follows the output ring when it was replaced and everything in the old one
    /// is settled.
    pub(crate) fn take_event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if self.options.stop.is_stopped() {
                return Ok(None);
            }
            if let Some(event) = self.take_lost() {
                return Ok(Some(event));
            }
            let Source::Group { team, .. } = &self.source else { return Ok(None) };
            let team = Arc::clone(team);
            match self.take_delivery() {
                Ok(Some(delivery)) => {
                    self.pacer.took(1);
                    match self.look_at(&team, delivery)? {
                        Some(event) => return Ok(Some(event)),
                        None => continue,
                    }
                }
                Ok(None) => {}
                // The next take goes on behind the loss.
                Err(TakeError::Evicted { lost, .. }) => {
                    self.lost.push_back(lost.end.saturating_sub(lost.start));
                    continue;
                }
                // Said of one record, which rests for a while; the others go on.
                Err(error @ (TakeError::Letters { .. } | TakeError::Blob { .. })) => {
                    tracing::error!(group = team.group(), %error, "a record has to wait");
                    continue;
                }
                // Said of one record, which is a dead letter by now, and told as that.
                Err(TakeError::Corrupt { .. }) => continue,
                Err(error @ TakeError::LettersDamaged { .. }) => {
                    tracing::error!(group = team.group(), %error, "dead letters are lost");
                    continue;
                }
                Err(source) => return Err(take_error(&self.options, source)),
            }
            if !self.follow_replacement()? {
                return Ok(None);
            }
        }
    }

    fn take_delivery(&mut self) -> Result<Option<Delivery>, TakeError> {
        let Source::Group { team, sorted } = &mut self.source else { return Ok(None) };
        let Some(sorted) = sorted else { return team.take() };
        // The first of each key: the oldest of them is the oldest of all.
        while sorted.len() < AHEAD
            && let Some(delivery) = team.take()?
        {
            sorted.insert(delivery.position(), delivery);
        }
        Ok(sorted.pop_first().map(|(_, delivery)| delivery))
    }

    /// Makes an event of what was taken, if it is wanted.
    fn look_at(&self, team: &Arc<Team>, delivery: Delivery) -> Result<Option<Event>, Error> {
        // Shared, as the delivery itself moves on.
        let records = delivery.records();
        let Some(entry) = records.get(0) else { return Ok(None) };
        match wanted(&entry, &self.options.filter) {
            Ok(Wanted::Record(record)) => {
                let (kind, identity) = (record.kind(), Identity::of(record.header()));
                if team.policy().is_too_old(record.header()) {
                    team.drop_too_old(delivery, kind, identity);
                    return Ok(None);
                }
                let out = team.give(delivery, kind, identity);
                let attempt = out.attempt();
                Ok(Some(Event::new(&record, entry.payload, Holder::Out(out), attempt)))
            }
            Ok(Wanted::Gone) => {
                let (ring, position) = (team.ring_id(), entry.position);
                tracing::error!(position, "the file of a large record is gone: it is lost");
                let give =
                    |identity| Some(team.give(delivery, mixcord_event::Kind::UNKNOWN, identity));
                Ok(Event::gone(&entry, ring, &self.context, give))
            }
            Ok(Wanted::No) => {
                team.pass(delivery);
                Ok(None)
            }
            // It goes back, for a member that can read it.
            Err(source) if source.is_of_another_release() => {
                Err(self.damaged(&Damaged { position: entry.position, source }))
            }
            Err(source) => {
                team.bury_damaged(delivery, &format!("the record is damaged: {source}"));
                Ok(None)
            }
        }
    }

    /// Whether the ring was replaced, and is followed.
    fn follow_replacement(&mut self) -> Result<bool, Error> {
        let (Source::Group { team, .. }, Some(doorbell)) = (&self.source, &self.doorbell) else {
            return Ok(false);
        };
        let ring = team.shared_ring();
        if !self.pulse.is_gone(ring) || team.is_full(1) || team.lag().is_some_and(|lag| lag > 0) {
            return Ok(false);
        }
        let Some(new) = replacement(&self.namespace, ring) else { return Ok(false) };
        tracing::warn!(instance = self.options.instance, "the output ring was replaced");
        let (options, counters, start) = (&self.options, &self.counters, Start::Earliest);
        let source = Source::join(options, &new, start, counters, doorbell, &self.context)?;
        team.leave();
        self.watching.follow(&new);
        self.source = source;
        // Records that went before any member of the group was there.
        self.lost.extend(self.source.missed_before_joining());
        Ok(true)
    }

    /// The event for records lost, when some were.
    pub(crate) fn take_lost(&mut self) -> Option<Event> {
        let lost = self.lost.pop_front()?;
        Event::lost_records(lost, &self.context)
    }
}
