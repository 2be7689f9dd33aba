//! What is left out when the rings of another shard count come into force.
//!
//! Two gateways of different counts have sessions of their own, and Discord tells each of them every event.
//! What a ring received while the rings of another count were in force is therefore no future: it was
//! delivered from those, under another identity, and is older than the state. So at a change of the count
//! the latest receive time that was applied is kept as the *cut*, and what a ring of the new count received
//! until then is not applied but told as one loss in its place (P3). Where there is any such record, both
//! gateways ran side by side: then an event may also have reached one session a little after the other, or
//! have waited in a socket that was not read while its ring was full, and the cut is moved to a while after
//! the change. A gateway that began after the other one had ended loses nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_event::{Reason, Record};
use mixcord_ring::{Limits, Position};

use super::work::{Done, Place, Work};
use super::{Engine, follow};

/// How long after a change an event of the time before may still come, in microseconds.
const SETTLE_US: u64 = 1_000_000;

/// One record: enough to see when it was received.
const ONE: Limits = Limits { records: 1, bytes: 256 << 10 };

/// How far a ring is left out.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Cut {
    /// The first record from after the cut: nothing behind it is left out, whatever the clock does. Those
    /// before it may come again, with a batch that was taken back.
    past_from: Option<Position>,
    /// The record in whose place the loss is told.
    told_at: Option<Position>,
}

impl Cut {
    /// Whether a record is left out.
    pub(super) fn leaves_out(
        &mut self,
        position: Position,
        received_us: Option<u64>,
        cut_us: u64,
    ) -> bool {
        if self.past_from.is_some_and(|past| past <= position) {
            return false;
        }
        let Some(received_us) = received_us else { return false };
        if received_us > cut_us {
            self.past_from = Some(position);
            return false;
        }
        self.told_at.get_or_insert(position);
        true
    }

    /// A change of the count: the ring is looked at anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Work<'_> {
    /// Leaves a record out; the first one of its ring is told.
    pub(super) fn leave_out(&mut self, at: Place, cut: Cut) -> Done {
        self.ground.forget_reads();
        if cut.told_at != Some(at.position) {
            return Done::Staged;
        }
        let (shards, shard) = at.shard;
        tracing::warn!(
            shards,
            shard,
            "what this shard received while another shard count was in force is left out"
        );
        self.tell(at, 0, Reason::ShardCountChanged)
    }
}

impl Engine {
    /// The rings of `shards` are read from now on.
    pub(super) fn change_count(&mut self, shards: u16) {
        let before = self.reached.shards.replace(shards);
        if before.is_none_or(|before| before == shards) {
            return;
        }
        let times = &mut self.reached.times;
        times.cut_us = times.applied_us;
        let oldest_us = self.oldest_unread_us(shards);
        for (_, input) in self.inputs.range_mut((shards, 0)..=(shards, u16::MAX)) {
            input.cut.reset();
        }
        let times = &mut self.reached.times;
        if oldest_us.is_some_and(|oldest_us| oldest_us <= times.cut_us) {
            times.cut_us = times.cut_us.max(now_us() + SETTLE_US);
        }
    }

    /// When the oldest record of a count that is not read was received.
    pub(super) fn oldest_unread_us(&mut self, shards: u16) -> Option<u64> {
        let mut oldest = None;
        for (&shard, input) in self.inputs.range_mut((shards, 0)..=(shards, u16::MAX)) {
            let (positions, gaps) = (&mut self.reached.positions, &mut self.batch.gaps);
            if !follow::fill(positions, gaps, (shard, input), ONE) {
                continue;
            }
            let record = input.next().and_then(|next| Record::parse_head(next.payload).ok());
            let received_us = record.map(|record| record.header().received_us);
            oldest = oldest.into_iter().chain(received_us).min();
        }
        oldest
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT_US: u64 = 100;

    /// What of records with these receive times, from position 5 on, is left out.
    fn left_out(cut: &mut Cut, times: &[u64]) -> Vec<bool> {
        let records = times.iter().zip(5..);
        records.map(|(&us, position)| cut.leaves_out(position, Some(us), CUT_US)).collect()
    }

    #[test]
    fn all_before_the_first_record_from_after_the_cut_is_left_out_and_nothing_behind() {
        let mut cut = Cut::default();
        assert_eq!(left_out(&mut cut, &[90, 100, 101, 90]), [true, true, false, false]);
        assert_eq!(cut.told_at, Some(5));
    }

    /// A store that is full takes a batch back: it comes again, and was delivered from the other count.
    #[test]
    fn a_batch_that_comes_again_is_left_out_again() {
        let mut cut = Cut::default();
        for _ in 0..2 {
            assert_eq!(left_out(&mut cut, &[90, 95, 101, 90]), [true, true, false, false]);
        }
        assert_eq!(cut.told_at, Some(5));
    }
}
