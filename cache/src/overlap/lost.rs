//! Sessions that begin and are lost, and guilds that change sides.

use super::guild::{Guild, There};
use super::stand::Step;
use super::{Fact, Overlap, PRIVATE, Row, Side, Stage};

impl Overlap {
    /// Whether the other side has all that a shard lost: of every guild that the shard delivers.
    pub(super) fn is_covered(&self, side: Side, shard: u16) -> bool {
        let Some(of) = self.shards[side].get(shard) else { return false };
        if matches!(self.stage, Stage::Listing(_)) {
            return false;
        }
        let other = side.other();
        let mut delivered = self.guilds_of(side, shard).filter(|(_, guild)| guild.delivers == side);
        delivered.all(|(id, guild)| {
            self.leaving() != Some(other) && self.has_since(id, guild, other, of.last_us)
        })
    }

    /// Whether a side had a guild already when something was received, and does not owe any copy.
    fn has_since(&self, id: u64, guild: &Guild, side: Side, at_us: u64) -> bool {
        let (since_us, slack_us) = (guild.since_us[side], self.request.times.slack_us);
        let shard = self.shards[side].get(self.shard_of(side, id));
        let is_settled = shard.is_some_and(|shard| since_us + 2 * slack_us <= shard.clock_us);
        let had_it = guild.is_level(side) && since_us + slack_us <= at_us;
        had_it && is_settled && !guild.in_doubt[side] && self.is_quiet(id, guild, side)
    }

    /// Whether a side brought all that the other delivered, but for what may be under way. What is older may be from
    /// before its session, and would be taken for a copy of what comes. This tells them apart from twice the slack
    /// after the session began.
    pub(super) fn is_quiet(&self, id: u64, guild: &Guild, side: Side) -> bool {
        let Some(oldest) = guild.counts[side].front() else { return true };
        let shard = self.shards[side].get(self.shard_of(side, id));
        shard.is_some_and(|shard| oldest.at_us + self.request.times.slack_us > shard.clock_us)
    }

    /// A session was lost: its guilds change to the side that has them.
    pub(super) fn lost(&mut self, side: Side, shard: u16) {
        if let Some(of) = self.shards[side].get_mut(shard) {
            of.has_session = false;
        }
        let other = side.other();
        let counts_on = self.leaving() != Some(other);
        let guilds: Vec<u64> = self.guilds_of(side, shard).map(|(id, _)| id).collect();
        for id in guilds {
            if self.guilds.get(&id).is_some_and(|guild| guild.owes_outage(side)) {
                self.drop_arrivals(id, side);
            }
            self.drop_passed_outages(id, side);
            let mut changes = false;
            self.change(id, |guild| {
                guild.has_met[side] = false;
                if guild.there[side] != There::Unknown {
                    guild.there[side] = There::Lost;
                }
                changes = counts_on && guild.delivers == side && guild.is_there(other);
            });
            if changes {
                self.figures.taken_over += 1;
                self.hand_over(id, other);
            } else if self.delivers(id) == side {
                // The side that was lost brings no copy of it.
                self.release(id, other);
            }
        }
        self.changed.insert(Row::Head);
    }

    /// Drops the outages of the other side that a side which delivers went on behind.
    pub(super) fn drop_passed_outages(&mut self, id: u64, side: Side) {
        let (other, times) = (side.other(), self.request.times);
        let Some(guild) = self.guilds.get(&id).filter(|guild| guild.waits_outage(other)) else {
            return;
        };
        // What it delivered, and the other has still to bring, is from behind the outage: each keeps the order.
        let last_us = guild.counts[other].back().map_or(0, |count| count.at_us);
        let Some(shard) = self.shards[side].get(self.shard_of(side, id)).cloned() else { return };
        self.drop_outages(id, other, |wait, end| {
            last_us > wait.at_us || shard.is_past(end.at_us + times.slack_us, times)
        });
    }

    /// A session began, with these guilds.
    pub(super) fn ready(&mut self, fact: &Fact, listed: &[u64]) {
        let (side, shard, at_us) = (fact.side, fact.shard, fact.at_us);
        let times = self.request.times;
        if let Some(of) = self.shards[side].get_mut(shard) {
            (of.has_session, of.began_us) = (true, at_us);
        }
        let mut guilds: Vec<u64> = self.guilds_of(side, shard).map(|(id, _)| id).collect();
        guilds.extend(listed.iter().filter(|id| !self.guilds.contains_key(id)));
        for id in guilds {
            let known = self.guilds.get(&id);
            let is_newer = known.is_some_and(|guild| self.is_newer(guild, side, at_us));
            let there = match id {
                PRIVATE => There::Present,
                _ if listed.binary_search(&id).is_ok() => There::Listed,
                _ => There::Unknown,
            };
            self.change(id, |guild| {
                guild.there[side] = there;
                guild.since_us[side] = at_us;
                guild.has_met[side] = false;
                let of = guild.of[side];
                let is_told =
                    guild.delivers == side && guild.stand.is_held && !is_newer && id != PRIVATE;
                match there {
                    There::Listed => {
                        // Which membership it is comes with GUILD_CREATE.
                        guild.of[side] = 0;
                        guild.stand.is_away |= is_told;
                    }
                    There::Unknown if is_told => guild.stand.go(Step::Gone, of),
                    _ => {}
                }
            });
            self.drop_old(id);
            // A session brings nothing from before it. READY says which guilds are away.
            self.strike(id, side, |count| {
                let late_us = if count.is_away { times.slack_us } else { times.ready_us() };
                count.at_us < at_us.saturating_sub(late_us)
            });
        }
    }

    /// The other side's session was lost, or has the guild in an outage, and this one has the guild.
    pub(super) fn take_over(&mut self, id: u64, side: Side) {
        self.figures.taken_over += 1;
        self.hand_over(id, side);
    }

    /// From now on this side delivers the guild. What it brought that the other did not comes first.
    pub(super) fn hand_over(&mut self, id: u64, side: Side) {
        self.change(id, |guild| {
            guild.delivers = side;
            guild.in_doubt[side] = false;
            guild.has_given_way = false;
        });
        self.release_before_outage(id, side, 0);
        let shard = self.shard_of(side, id);
        let ready = self.shards[side].get(shard).and_then(|shard| shard.ready.as_ref());
        if side == Side::New && ready.is_some() {
            self.waits.show(shard);
        }
    }

    /// The turn has come of all that waits from a side.
    pub(super) fn release(&mut self, id: u64, side: Side) {
        self.release_before_outage(id, side, usize::MAX);
    }

    /// The turn has come of the first ones, and of others that no outage comes before.
    pub(super) fn release_before_outage(&mut self, id: u64, side: Side, first: usize) {
        let Some(guild) = self.guilds.get(&id) else { return };
        let waiting = guild.waiting[side].iter().enumerate();
        let turn = waiting.take_while(|(at, brief)| *at < first || brief.step != Some(Step::Away));
        let waiting: Vec<u64> = turn.map(|(_, brief)| brief.number).collect();
        waiting.into_iter().for_each(|number| self.set_due(number));
    }
}
