//! What time does: counts are forgotten, what waits has its turn, guilds are cut.

use std::ops::Bound;

use mixcord_event::command::shard_of;

use super::guild::{Brief, Count, Guild, There};
use super::stand::Step;
use super::{Overlap, PRIVATE, Row, Side, Stage};

/// Guilds that are looked at in one turn.
const LOOK_MAX: usize = 16_384;
/// Guilds that change sides, or are forgotten, in one turn.
const CHANGES_MAX: usize = 512;
/// About what a count takes, in bytes.
const COUNT_BYTES: u64 = 64;

impl Overlap {
    /// All that a shard received until then is read.
    pub fn reached(&mut self, side: Side, shard: u16, now_us: u64) {
        if let Some(shard) = self.shards[side].get_mut(shard) {
            shard.clock_us = shard.clock_us.max(now_us);
        }
    }

    /// Looks at the guilds, some at a time.
    pub fn sweep(&mut self) {
        if let Stage::Over(_) = self.stage {
            return self.clear();
        }
        if self.stage == Stage::Overlapping && self.is_ready() {
            self.cut();
        }
        let behind = match self.swept {
            PRIVATE => Bound::Unbounded,
            id => Bound::Excluded(id),
        };
        let all = self.guilds.range((behind, Bound::Unbounded));
        let ids: Vec<u64> = all.take(LOOK_MAX).map(|(id, _)| *id).collect();
        let mut changes = 0;
        self.swept = if ids.len() < LOOK_MAX { PRIVATE } else { ids[ids.len() - 1] };
        for id in ids {
            self.age(id);
            let Some(guild) = self.guilds.get(&id) else { continue };
            if id != PRIVATE && self.is_forgotten(id, guild) {
                self.guilds.remove(&id);
                self.changed.insert(Row::Guild(id));
            } else if guild.delivers != self.target() && self.may_change(id, guild) {
                changes += 1;
                if changes > CHANGES_MAX {
                    self.swept = id.saturating_sub(1);
                    break;
                }
                self.hand_over(id, self.target());
            }
        }
        let is_cut = |guild: &Guild| guild.delivers == Side::New;
        if self.stage == Stage::Cutting && self.guilds.values().all(is_cut) {
            self.set_stage(Stage::Cut);
        }
    }

    /// Whether all shards of the new set have sessions, and no event from before them is under way.
    fn is_ready(&self) -> bool {
        let slack_us = self.request.times.slack_us;
        self.shards[Side::New]
            .iter()
            .all(|shard| shard.has_session && shard.clock_us >= shard.began_us + slack_us)
    }

    /// Whether nothing is left to be known of a guild, and no session is behind that would say it again.
    fn is_forgotten(&self, id: u64, guild: &Guild) -> bool {
        let since_us = Side::BOTH.map(|side| guild.since_us[side]).into_iter().max();
        let until_us = since_us.unwrap_or(0).saturating_add(self.request.times.away_us());
        let is_past = |side| {
            let shard = self.shards[side].get(self.shard_of(side, id));
            shard.is_none_or(|shard| shard.clock_us >= until_us)
        };
        guild.is_gone() && Side::BOTH.into_iter().all(is_past)
    }

    /// Whether the other side may deliver the guild without a loss.
    fn may_change(&self, id: u64, guild: &Guild) -> bool {
        let (from, to) = (guild.delivers, guild.delivers.other());
        let Some(shard) = self.shards[to].get(self.shard_of(to, id)) else { return false };
        let of = self.request.times;
        // What the other side alone was told, before this one had a session, comes first.
        let before = self.shards[from].get(self.shard_of(from, id));
        let since_us = guild.since_us[to] + of.slack_us;
        let is_read = before.is_none_or(|before| before.is_past(since_us, of));
        match (guild.there[to], guild.there[from]) {
            _ if !is_read || guild.is_held_back(from) => false,
            _ if guild.in_doubt[to] && !guild.waiting[to].is_empty() => false,
            (There::Present, _) => {
                let for_us = shard.clock_us.saturating_sub(guild.since_us[to]);
                for_us >= 2 * of.slack_us
                    && guild.is_level(to)
                    && guild.claims[to] == 0
                    && !guild.owes_outage(to)
                    && !guild.waits_outage(to)
                    && !guild.in_doubt[to]
                    && (self.is_quiet(id, guild, to)
                        // There are always some that it is not told.
                        || for_us >= 3 * of.window_us
                            && guild.counts[to].front().is_none_or(|of| of.at_us > since_us))
            }
            (_, There::Present) => false,
            // What one of them is still to say may be that it is there.
            _ => {
                let is_as_said =
                    guild.stand_behind(to).is_held == (guild.there[to] != There::Unknown);
                shard.has_session && guild.counts[to].is_empty() && is_as_said
            }
        }
    }

    fn age(&mut self, id: u64) {
        // Of many guilds few have anything.
        if self.guilds.get(&id).is_none_or(Guild::is_even) {
            return;
        }
        let times = self.request.times;
        let is_much = self.figures.counts * COUNT_BYTES > self.request.bytes_max as u64;
        let away_us = if is_much { times.window_us } else { times.away_us() };
        for side in Side::BOTH {
            let shard = self.shard_of(side, id);
            let Some(shard) = self.shards[side].get(shard) else { continue };
            let (has_session, clock_us, active_us) =
                (shard.has_session, shard.clock_us, shard.active_us);
            let since_us = self.guilds.get(&id).map_or(0, |of| of.since_us[side.other()]);
            let is_past = shard.is_past(since_us + times.slack_us, times);
            self.settle_doubt(id, side);
            self.expire(id, side, |count| match has_session {
                // What it is claimed for may be under way.
                _ if count.claimed_us > 0 => false,
                true => {
                    active_us >= count.mark_us + times.window_us
                        || clock_us >= count.at_us + away_us
                }
                // One that began since may have brought nothing yet.
                false => clock_us >= count.at_us + times.ready_us(),
            });
            self.settle_claims(id, side);
            // What this side delivers, and did not bring though it was read far beyond. Before it has brought all that
            // it alone was told, it has its time.
            let is_told = |guild: &Guild| guild.delivers == side && !guild.is_held_back(side);
            if is_past && self.guilds.get(&id).is_some_and(is_told) {
                self.set_met(id, side.other());
                self.one_sided(id, side, clock_us);
            }
        }
        self.settle_outage(id);
        let Some(guild) = self.guilds.get(&id) else { return };
        if self.is_kept_waiting(id, guild) {
            let silent = guild.delivers;
            self.take_over(id, silent.other());
            self.doubt(id, silent);
        }
    }

    /// The turn has come of what the other side alone brought, where the side that delivers was read so far.
    fn one_sided(&mut self, id: u64, side: Side, clock_us: u64) {
        let (other, window_us) = (side.other(), self.request.times.window_us);
        self.drop_outages(id, other, |wait, _| clock_us >= wait.at_us + window_us);
        let Some(guild) = self.guilds.get(&id) else { return };
        // That it arrived on the other side may be from before.
        let owes = guild.owes_outage(other);
        let doubtful = guild.doubtful(other);
        let waiting = guild.waiting[other].iter().enumerate();
        let due: Vec<Brief> = waiting
            .take_while(|(_, brief)| !owes || brief.step != Some(Step::Here))
            .filter(|(at, brief)| *at >= doubtful || brief.step.is_some())
            .filter_map(|(_, brief)| self.waits.get(brief.number))
            .filter(|wait| !wait.is_due)
            .take_while(|wait| clock_us >= wait.at_us + window_us)
            .map(|wait| wait.brief)
            .filter(|brief| !guild.is_outage_of_one(other, *brief))
            .collect();
        for brief in due {
            let Some(guild) = self.guilds.get(&id) else { return };
            let Some(wait) = self.waits.get(brief.number) else { continue };
            // What was received before the side that delivers said where it is is older than the state.
            let is_new = wait.at_us + self.request.times.slack_us >= guild.since_us[side];
            if brief.step == Some(Step::Gone) && brief.of == 0 && !is_new {
                // It is of an earlier membership.
                self.drop_waiting(brief.number);
                self.drop_old(id);
                continue;
            }
            if guild.is_back_first(other, brief) {
                if self.is_behind(id, guild, other) {
                    return;
                }
                if !guild.is_there(other)
                    || self.leaving() == Some(other)
                    || !is_new && guild.has_step_behind(other, brief)
                {
                    self.drop_waiting(brief.number);
                    self.drop_old(id);
                } else if is_new {
                    // All that is to be had of it comes from there.
                    self.drop_events(id, other, |wait| wait.brief.number < brief.number);
                    return self.take_over(id, other);
                }
                continue;
            }
            self.set_due(brief.number);
            self.figures.one_sided[other] += 1;
            self.changed.insert(Row::Head);
        }
    }

    /// A shard was silent: what it owes since then has the window from now on, and no more for the silence.
    pub(super) fn mark_anew(&mut self, side: Side, number: u16) {
        let Some(shard) = self.shards[side].get(number).cloned() else { return };
        let shards = self.request.counts[side];
        let is_its = |id: u64| shard_of(id, shards) == number;
        for (_, guild) in self.guilds.iter_mut().filter(|(id, _)| is_its(**id)) {
            for count in &mut guild.counts[side] {
                let mark_us = shard.active_at(count.at_us);
                if mark_us < count.mark_us {
                    count.mark_us = mark_us;
                    self.changed.insert(Row::Block(count.block));
                }
            }
        }
    }

    /// Forgets the oldest counts that a side has still to bring.
    pub(super) fn expire(&mut self, id: u64, side: Side, is_old: impl Fn(&Count) -> bool) {
        let Some(guild) = self.guilds.get_mut(&id) else { return };
        let mut gone = Vec::new();
        while guild.counts[side].front().is_some_and(&is_old) {
            let Some(count) = guild.counts[side].pop_front() else { break };
            guild.claims[side] -= u32::from(count.claimed_us > 0);
            gone.push(count);
        }
        gone.iter().for_each(|count| self.forget(count));
    }

    /// Forgets the counts whose copy came late, once the other side had time to bring what it might be instead.
    fn settle_claims(&mut self, id: u64, side: Side) {
        let other = side.other();
        let shard = self.shards[other].get(self.shard_of(other, id));
        let clock_us = shard.map_or(u64::MAX, |shard| shard.clock_us);
        let slack_us = self.request.times.slack_us;
        if self.guilds.get(&id).is_some_and(|guild| guild.claims[side] > 0) {
            self.strike(id, side, |count| {
                count.claimed_us > 0 && clock_us > count.claimed_us + slack_us
            });
        }
    }

    /// Forgets counts that a side has still to bring, whichever they are.
    pub(super) fn strike(&mut self, id: u64, side: Side, is_gone: impl Fn(&Count) -> bool) {
        let Some(guild) = self.guilds.get_mut(&id) else { return };
        let mut gone = Vec::new();
        guild.counts[side].retain(|count| {
            let is_gone = is_gone(count);
            gone.extend(is_gone.then_some(*count));
            !is_gone
        });
        let claims = gone.iter().filter(|count| count.claimed_us > 0);
        guild.claims[side] -= claims.count() as u32;
        gone.iter().for_each(|count| self.forget(count));
    }

    /// Whether one set delivers everything, and nothing waits from the other: once that one's rings are read to their
    /// end, this is over.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let target = self.target();
        let is_decided = match self.stage {
            Stage::Leaving | Stage::CalledOff => {
                self.guilds.values().all(|guild| guild.delivers == target)
            }
            _ => false,
        };
        // What the side that stays has still to bring would else come twice.
        let mut guilds = self.guilds.values();
        is_decided && self.waits.is_empty() && guilds.all(|guild| guild.counts[target].is_empty())
    }

    /// One set is gone, and the other delivers: from now on nothing is compared, and the rows go.
    pub fn end(&mut self) {
        if self.is_settled() {
            self.set_stage(Stage::Over(self.target()));
        }
    }

    /// Whether no row is left but the head.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        matches!(self.stage, Stage::Over(_)) && self.guilds.is_empty()
    }

    fn clear(&mut self) {
        let ids: Vec<u64> = self.guilds.keys().take(CHANGES_MAX).copied().collect();
        for id in ids {
            for side in Side::BOTH {
                self.expire(id, side, |_| true);
            }
            self.guilds.remove(&id);
            self.changed.insert(Row::Guild(id));
        }
        if !self.guilds.is_empty() {
            return;
        }
        for side in Side::BOTH {
            for number in 0..self.request.counts[side] {
                self.changed.insert(Row::Shard(side, number));
            }
        }
        for (shard, number) in self.shards[Side::New].iter_mut().zip(0..) {
            shard.ready = None;
            self.changed.insert(Row::Ready(number));
        }
    }
}
