//! Outages of the side that delivers, alone.
//!
//! Where the other side has the guild and goes on, it delivers from then on, and the outage waits as any of the side that
//! does not deliver. GUILD_CREATE that ends it has no known place among what the other side brought, and is not needed.
//! Until the other side was read so far the outage is *held back*, with what comes behind it.
//!
//! Where the other side is not known to have had the guild before the outage began, nobody has what came between. Then the
//! outage is told, and so is the GUILD_CREATE that ends it. What the other side brings is *in doubt*: it may be in that
//! GUILD_CREATE already, and is not told behind it. The first event that both bring ends the doubt, or time does.

use super::guild::{Brief, Guild};
use super::stand::Step;
use super::waiting::Wait;
use super::{Fact, Overlap, Side, What};

impl Overlap {
    /// Whether it is to be seen first what an outage of the side that delivers is, or whether it is behind the state.
    pub(super) fn holds_back(&self, fact: &Fact, guild: &Guild) -> bool {
        let Fact { side, guild: id, .. } = *fact;
        let other = side.other();
        let has_met =
            guild.has_met[other] || guild.is_there(other) && self.is_past_arrival(id, guild, other);
        has_met && self.goes_on(guild, other) || self.is_behind(id, guild, side)
    }

    /// Whether a side may still bring what the other one delivered.
    pub(super) fn is_behind(&self, id: u64, guild: &Guild, side: Side) -> bool {
        let times = self.request.times;
        let Some(shard) = self.shards[side].get(self.shard_of(side, id)) else { return false };
        let mut owed = guild.counts[side].iter().filter(|count| !count.is_away);
        owed.any(|count| !shard.is_past(count.at_us + times.slack_us, times))
    }

    /// Whether a side has a guild still, of which the other one says that it is away.
    fn goes_on(&self, guild: &Guild, side: Side) -> bool {
        let from = side.other();
        // One that is called off still runs, and the state may be what it said.
        let is_state = side == Side::New && guild.counts[from].iter().any(|count| !count.is_away);
        let counts_on = self.leaving() != Some(side) || is_state;
        let has_it = match guild.waiting[side].iter().find(|brief| brief.step.is_some()) {
            None => guild.is_level(side),
            // An outage comes before the end of its membership.
            Some(brief) => {
                brief.step == Some(Step::Gone)
                    && brief.of != 0
                    && guild.stand.is_of(brief.of)
                    && !guild.stand.is_away
            }
        };
        counts_on && has_it && !guild.in_doubt[side] && !guild.owes_outage(side)
    }

    /// Whether the other side was read past where a side has the guild.
    pub(super) fn is_past_arrival(&self, id: u64, guild: &Guild, side: Side) -> bool {
        let (other, times) = (side.other(), self.request.times);
        let shard = self.shards[other].get(self.shard_of(other, id));
        shard.is_some_and(|shard| shard.is_past(guild.since_us[side] + times.slack_us, times))
    }

    /// A side says that a guild is away. Where it delivers, what came before came behind where the other side has it.
    pub(super) fn note_outage(&mut self, fact: &Fact) {
        let Fact { side, guild: id, .. } = *fact;
        let is_away = matches!(fact.what, What::Deleted { is_outage: true, .. });
        let is_first = |guild: &&Guild| is_away && !guild.waits_outage(side);
        let Some(guild) = self.guilds.get(&id).filter(is_first) else { return };
        if guild.delivers == side {
            self.note_arrival(id, side.other());
        } else {
            self.change(id, |guild| guild.has_given_way = false);
        }
    }

    /// As far as both are read, the side that does not deliver has the guild since before what the other one says next.
    pub(super) fn note_arrival(&mut self, id: u64, side: Side) {
        // What is held back comes next.
        let is_told = |guild: &&Guild| !guild.is_held_back(side.other());
        let Some(guild) = self.guilds.get(&id).filter(is_told) else { return };
        if self.is_past_arrival(id, guild, side) {
            self.set_met(id, side);
        }
    }

    /// The side that does not deliver has the guild since before what the other one says next.
    pub(super) fn set_met(&mut self, id: u64, side: Side) {
        let is_new =
            |guild: &&Guild| guild.delivers != side && guild.is_there(side) && !guild.has_met[side];
        if self.guilds.get(&id).filter(is_new).is_some() {
            self.change(id, |guild| guild.has_met[side] = true);
        }
    }

    /// The side that delivers brought a record that waits from the other one.
    pub(super) fn met_waiting(&mut self, id: u64, side: Side, number: u64) {
        let at_us = self.waits.get(number).map_or(0, |wait| wait.at_us);
        if self.guilds.get(&id).is_some_and(|guild| at_us > guild.since_us[side]) {
            self.set_met(id, side);
        }
        self.drop_waiting(number);
        self.drop_older(id, side, number);
        self.met(id, side, number);
    }

    /// Looks whether it is known by now what an outage is that is held back, and what comes behind it.
    pub(super) fn settle_outage(&mut self, id: u64) {
        let Some(guild) = self.guilds.get(&id) else { return };
        let (side, other) = (guild.delivers, guild.delivers.other());
        let times = self.request.times;
        let first = guild.waiting[side].front().and_then(|brief| self.waits.get(brief.number));
        let Some(wait) = first.filter(|wait| !wait.is_due) else { return };
        if wait.brief.step != Some(Step::Away) {
            return self.release_before_outage(id, side, 0);
        }
        let Some(shard) = self.shards[other].get(self.shard_of(other, id)) else { return };
        let goes_on = guild.has_met[other] && self.goes_on(guild, other);
        let is_silent = shard.clock_us >= wait.at_us.max(shard.last_us) + times.window_us;
        if goes_on && shard.is_past(wait.at_us + times.slack_us, times) {
            self.take_over(id, other);
            self.change(id, |guild| guild.has_given_way = true);
        } else if (!goes_on || is_silent) && !self.is_behind(id, guild, side) {
            self.release_before_outage(id, side, 1);
            self.doubt(id, other);
        }
    }

    /// What a side said of where the guild is, and waits, up to this number, is older than what the other one delivered.
    pub(super) fn drop_older(&mut self, id: u64, side: Side, number: u64) {
        // Nobody else says any more that it is back, where the session is lost that said it was away.
        let is_said = |guild: &&Guild| !(guild.stand.is_away && guild.is_there(side.other()));
        let Some(guild) = self.guilds.get(&id).filter(is_said) else { return };
        let is_old = |brief: &&Brief| {
            brief.number < number
                && matches!(brief.step, Some(Step::Here | Step::Away))
                && guild.stand.is_of(brief.of)
        };
        let old = guild.waiting[side].iter().filter(is_old).map(|brief| brief.number);
        old.collect::<Vec<_>>().into_iter().for_each(|number| self.drop_waiting(number));
        if self.guilds.get(&id).is_some_and(|guild| guild.is_held_back(side)) {
            self.release_before_outage(id, side, 0);
        }
    }

    /// An outage was told of the side that delivers.
    pub(super) fn doubt(&mut self, id: u64, other: Side) {
        self.change(id, |guild| guild.in_doubt[other] = true);
    }

    /// Both sides brought an event: what waits from the one that does not deliver up to this number is from before it.
    pub(super) fn met(&mut self, id: u64, side: Side, number: u64) {
        let is_shown = |guild: &&Guild| guild.in_doubt[side] && guild.is_there(side.other());
        if self.guilds.get(&id).filter(is_shown).is_some() {
            self.drop_events(id, side, |wait| wait.brief.number < number);
            self.change(id, |guild| guild.in_doubt[side] = false);
        }
    }

    /// What time does to what is in doubt.
    pub(super) fn settle_doubt(&mut self, id: u64, side: Side) {
        let (other, times) = (side.other(), self.request.times);
        let Some(guild) = self.guilds.get(&id).filter(|guild| guild.in_doubt[side]) else { return };
        let Some(shard) = self.shards[side].get(self.shard_of(side, id)) else { return };
        let clock_us = self.shards[other].get(self.shard_of(other, id)).map_or(0, |of| of.clock_us);
        let since_us = guild.since_us[other];
        let (is_there, woke_us) = (guild.is_there(other), shard.woke_us);
        let is_past = shard.is_past(since_us + times.slack_us, times);
        // One that is not counted on may be closed.
        let is_read = self.leaving() == Some(side) && shard.clock_us >= since_us + times.slack_us;
        if !is_past && !is_read {
            return;
        }
        if is_there || !guild.stand.is_held {
            let until_us = since_us.max(woke_us) + times.slack_us;
            self.drop_events(id, side, |wait| wait.at_us <= until_us);
            if is_past {
                self.change(id, |guild| guild.in_doubt[side] = false);
            }
        } else {
            // That it is back there is to come, with all of this.
            self.drop_events(id, side, |wait| clock_us >= wait.at_us + times.window_us);
        }
    }

    /// Drops events that wait from a side and are in doubt.
    pub(super) fn drop_events(&mut self, id: u64, side: Side, is_old: impl Fn(&Wait) -> bool) {
        let Some(guild) = self.guilds.get(&id) else { return };
        let first = guild.waiting[side].iter().take(guild.doubtful(side));
        let events = first.filter(|brief| brief.step.is_none());
        let waits = events.filter_map(|brief| self.waits.get(brief.number));
        let old = waits.filter(|wait| !wait.is_due && is_old(wait));
        let old: Vec<(u64, u64)> = old.map(|wait| (wait.brief.number, wait.at_us)).collect();
        let Some(last_us) = old.iter().map(|(_, at_us)| *at_us).max() else { return };
        old.into_iter().for_each(|(number, _)| self.drop_waiting(number));
        // The other side may have to bring them still: all of the guild this one has from here on only.
        self.change(id, |guild| {
            guild.since_us[side] = guild.since_us[side].max(last_us);
            guild.has_met[side] = false;
        });
    }

    /// Whether the side that was away alone is back, while the one that goes on says nothing any more and is behind. It may
    /// have been away as well, and its session be gone.
    pub(super) fn is_kept_waiting(&self, id: u64, guild: &Guild) -> bool {
        let (silent, back) = (guild.delivers, guild.delivers.other());
        let times = self.request.times;
        let of = |side| self.shards[side].get(self.shard_of(side, id));
        let (Some(silent), Some(shard)) = (of(silent), of(back)) else { return false };
        let mut steps = guild.waiting[back].iter().filter(|brief| brief.step.is_some());
        let (first, last) = (steps.next(), steps.next_back());
        let is_back = guild.has_given_way
            && first.is_some_and(|brief| guild.is_outage_of_one(back, *brief))
            && last.is_some_and(|brief| brief.step == Some(Step::Here))
            && self.leaving() != Some(back)
            && guild.is_level(back);
        let wait = last.and_then(|brief| self.waits.get(brief.number));
        is_back
            && silent.clock_us >= silent.last_us + times.window_us
            && wait.is_some_and(|wait| {
                // Nothing that was delivered is from behind it.
                wait.at_us > silent.last_us + times.slack_us
                    && wait.at_us >= shard.woke_us + times.slack_us
            })
    }
}
