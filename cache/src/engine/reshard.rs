//! A change of the shard count without a pause: both sets of rings are read, until one is left.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mixcord_event::topology;
use mixcord_state::{Arena, StoreError};

use super::beside::Beside;
use super::{Engine, EngineError};
use crate::overlap::{Progress, Request, Side, Sides, Stage, Times};

/// How often guilds are looked at.
const TEND: Duration = Duration::from_millis(20);

/// Whether rings of a shard count are read.
pub(super) fn is_read(
    beside: Option<&Beside>,
    shards: Option<u16>,
) -> impl Fn(u16) -> bool + use<> {
    let both = beside.map(|beside| {
        let counts = beside.overlap.counts();
        Side::BOTH.map(|side| beside.reads(counts[side]).then_some(counts[side]))
    });
    let read = both.unwrap_or([shards, None]);
    move |of| read.contains(&Some(of))
}

impl Engine {
    /// Begins a change of the shard count to `to`, whose rings need not be there yet; false where there is nothing to
    /// change, or no store to remember it in, where one is under way, or where rings of that count have something that
    /// is no copy of what comes.
    ///
    /// `bytes_max` is about the memory for what waits, and no bound: beyond it no ring is read ahead of the one whose
    /// guilds it is to wait for, but what that one never brings is kept until its time is over, as is the READY of each
    /// shard.
    pub fn reshard(&mut self, to: u16, times: Times, bytes_max: usize) -> bool {
        let Some(from) = self.reached.shards.filter(|_| self.why_not(to).is_none()) else {
            return false;
        };
        let applied_us = self.reached.times.applied_us;
        let request = Request { counts: Sides::new(from, to), times, bytes_max };
        // The clocks of the rings begin with the last record that is applied.
        self.beside = Some(Beside::begin(request, applied_us));
        tracing::info!(from, to, "the shard count changes: both sets of rings are read");
        true
    }

    /// Why a change to this count cannot begin; `None` where it can.
    pub(super) fn why_not(&mut self, to: u16) -> Option<&'static str> {
        if self.beside.is_some() {
            return Some("another change is under way");
        }
        if self.store.is_none() {
            return Some("there is no store to remember it in (--store none)");
        }
        match self.reached.shards {
            None => return Some("no ring of a shard was read yet"),
            Some(from) if from == to => return Some("the shard count is that already"),
            Some(_) if to == 0 => return Some("there has to be a shard"),
            Some(_) => {}
        }
        // They were written before: all of it would wait for copies that came long ago.
        let applied_us = self.reached.times.applied_us;
        let oldest_us = self.oldest_unread_us(to);
        let is_old = oldest_us.is_some_and(|oldest_us| oldest_us <= applied_us);
        is_old.then_some(
            "rings of that count have records from before: `mixcord rm --ring` removes them",
        )
    }

    /// How far the change is, if one is under way.
    #[must_use]
    pub fn resharding(&self) -> Option<Progress> {
        self.beside.as_ref().map(|beside| beside.overlap.progress())
    }

    /// Calls it off; false once guilds are to be cut.
    pub fn call_off(&mut self) -> bool {
        self.beside.as_mut().is_some_and(|beside| beside.overlap.call_off())
    }

    /// The old set is about to be closed; false where the new one does not deliver everything. Nobody acts on it before
    /// [`Engine::round`] has committed it. It happens by itself as soon as it can.
    pub fn leave_old(&mut self) -> bool {
        self.beside.as_mut().is_some_and(|beside| beside.overlap.leave())
    }

    /// Reads again what is committed.
    pub(super) fn reload_beside(&mut self) -> Result<(), StoreError> {
        if let Some(store) = &self.store {
            self.beside = Beside::load(&store.view(&Arena::default()))?;
        }
        Ok(())
    }

    /// The same of a state that is new to this process: where it is damaged, it begins anew. Without it nobody knows
    /// what waits, and what of it was acknowledged.
    pub(super) fn load_beside(&mut self) -> Result<(), EngineError> {
        match self.reload_beside() {
            Err(error) if error.is_damage() => {
                tracing::error!("{error}: beginning anew");
                self.lose_state()
            }
            done => Ok(done?),
        }
    }

    /// Whether there is something to be done for it without a record.
    pub(super) fn beside_waits(&self) -> bool {
        let waits = |beside: &Beside| beside.has_changes() || beside.overlap.due().is_some();
        self.beside.as_ref().is_some_and(waits)
    }

    /// Says to others what is committed of it.
    pub(super) fn tell_change(&mut self) {
        self.notice.follow(self.beside.as_ref(), self.reached.shards);
    }

    /// With what is committed it may be over.
    pub(super) fn beside_committed(&mut self) {
        if self.beside.as_ref().is_some_and(|beside| beside.is_over) {
            self.beside = None;
        }
    }

    /// What time does.
    pub(super) fn tend_beside(&mut self, at: Instant) -> Result<(), EngineError> {
        let (Some(beside), Some(store)) = (&mut self.beside, &self.store) else { return Ok(()) };
        if beside.looked.is_some_and(|looked| at.duration_since(looked) < TEND) {
            return Ok(());
        }
        beside.looked = Some(at);
        beside.list(&store.view(&Arena::default()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let (leaving, mut is_in_use) = (beside.overlap.leaving(), false);
        for (&(shards, shard), input) in &mut self.inputs {
            let Some(side) = beside.overlap.side(shards) else { continue };
            // What is in a ring that cannot be read for now is still to come, unless the ring is gone.
            let is_unread = !input.is_readable()
                && self.listing.files.contains_key(&topology::shard_ring(shard, shards));
            // Nobody asks before one is to be closed.
            if leaving == Some(side) && (is_unread || input.is_in_use()) {
                is_in_use = true;
            }
            if !is_unread && !input.has_work() && beside.overlap.reads(side) {
                beside.overlap.reached(side, shard, now_us);
            }
        }
        // A ring that was not there when rings were looked for last has brought nothing until then.
        let ago = self.looked.map_or(Duration::ZERO, |looked| looked.elapsed());
        let looked_us = now_us.saturating_sub(u64::try_from(ago.as_micros()).unwrap_or(u64::MAX));
        let counts = beside.overlap.counts();
        for side in Side::BOTH {
            let shards = if beside.overlap.reads(side) { counts[side] } else { 0 };
            for shard in 0..shards {
                let is_there = self.inputs.contains_key(&(shards, shard))
                    || self.listing.files.contains_key(&topology::shard_ring(shard, shards));
                if !is_there {
                    beside.overlap.reached(side, shard, looked_us);
                }
            }
        }
        let before = beside.overlap.stage();
        beside.overlap.sweep();
        if beside.overlap.stage() == Stage::Cut {
            // So that nobody needs to watch for it to end. Gateways act on it once it is committed, and told.
            beside.overlap.leave();
        }
        if leaving.is_some() && !is_in_use {
            beside.overlap.end();
        }
        let stage = beside.overlap.stage();
        if stage != before {
            tracing::info!(?stage, "the change of the shard count goes on");
        }
        if let Stage::Over(left) = beside.overlap.stage()
            && beside.overlap.is_cleared()
        {
            beside.is_over = true;
            let shards = beside.overlap.counts()[left];
            self.reached.shards = Some(shards);
            tracing::info!(shards, "the change of the shard count is over");
        }
        Ok(())
    }
}
