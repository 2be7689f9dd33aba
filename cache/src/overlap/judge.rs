//! One record: whether it is delivered.

use super::guild::{Brief, Count, Guild};
use super::waiting::Wait;
use super::{Fact, Overlap, PRIVATE, Row, Side, Stage, What};

/// What becomes of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is applied to the state and delivered: [`Overlap::delivered`].
    Deliver,
    /// Its bytes are kept: [`Overlap::kept`].
    Keep,
    /// Its other copy is, was or will be delivered: [`Overlap::passed`].
    Pass,
    /// The side that delivers is too far behind: the ring is not read on for now. [`Overlap::stopped`].
    Stop,
}

/// Places of a block of counts.
const BLOCK: usize = 32;

impl Overlap {
    /// What is to become of a record. Nothing changes: it may come again.
    #[must_use]
    pub fn judge(&self, fact: &Fact, bytes: usize) -> Verdict {
        let Fact { side, shard, guild, .. } = *fact;
        if let Stage::Over(left) = self.stage {
            return if side == left { Verdict::Deliver } else { Verdict::Pass };
        }
        match &fact.what {
            What::Own => Verdict::Deliver,
            What::Echo if self.delivers(PRIVATE) == side => Verdict::Deliver,
            What::Echo => Verdict::Pass,
            What::Lost | What::Hole if self.is_covered(side, shard) => Verdict::Pass,
            What::Lost | What::Hole => Verdict::Deliver,
            What::Ready(_) => self.judge_ready(side, shard),
            &(What::Created { print, .. } | What::Deleted { print, .. }) => {
                self.judge_step(fact, print, bytes)
            }
            &What::Event(print) => {
                let known = self.guilds.get(&guild);
                if known.is_some_and(|guild| self.is_copy(guild, fact, print)) {
                    Verdict::Pass
                } else if known.is_some_and(|guild| guild.is_held_back(side)) {
                    self.keep_or_stop(fact, bytes)
                } else if self.delivers(guild) == side
                    || known.is_some_and(|guild| guild.claimed(side.other(), print).is_some())
                {
                    Verdict::Deliver
                } else {
                    self.keep_or_stop(fact, bytes)
                }
            }
        }
    }

    /// Of a record that one side brought first, and that is not delivered yet.
    pub(super) fn keep_or_stop(&self, fact: &Fact, bytes: usize) -> Verdict {
        if self.is_ahead(fact, bytes) { Verdict::Stop } else { Verdict::Keep }
    }

    /// Whether an event is the copy of what the other side delivered. One that comes late is not, where the other side
    /// brought another one that waits.
    fn is_copy(&self, guild: &Guild, fact: &Fact, print: u64) -> bool {
        let Some(at) = guild.count_of(fact, print) else { return false };
        let late_us = guild.counts[fact.side][at].at_us + self.request.times.slack_us;
        let mut waiting = guild.waiting[fact.side.other()].iter();
        !(fact.at_us > late_us && waiting.any(|brief| brief.print == print))
    }

    fn judge_ready(&self, side: Side, shard: u16) -> Verdict {
        let mut guilds = self.guilds_of(side, shard);
        let delivers = guilds.any(|(_, guild)| guild.delivers == side);
        match side {
            _ if delivers => Verdict::Deliver,
            Side::Old if self.default_side() == Side::Old => Verdict::Deliver,
            Side::Old => Verdict::Pass,
            Side::New => Verdict::Keep,
        }
    }

    /// Whether a record is too far ahead of the other side. The record that was received first of all that are
    /// to be read never is.
    fn is_ahead(&self, fact: &Fact, bytes: usize) -> bool {
        let side = fact.side.other();
        let shard = self.shards[side].get(self.shard_of(side, fact.guild));
        let clock_us = shard.map_or(u64::MAX, |shard| shard.clock_us);
        let is_full = self.waits.bytes() + bytes > self.request.bytes_max;
        let ahead_us = if is_full { 0 } else { self.request.times.window_us / 2 };
        fact.at_us > clock_us.saturating_add(ahead_us)
    }

    /// A ring was not read on before this record: nothing that was received earlier is left in it.
    pub fn stopped(&mut self, fact: &Fact) {
        self.reached(fact.side, fact.shard, fact.at_us);
    }

    /// A record was applied and delivered.
    pub fn delivered(&mut self, fact: &Fact) {
        if matches!(self.stage, Stage::Over(_)) {
            return;
        }
        let takes_over = self.takes_over(fact);
        self.read(fact);
        match &fact.what {
            What::Lost => self.lost(fact.side, fact.shard),
            What::Ready(guilds) => {
                self.ready(fact, guilds);
                self.show_none(fact);
            }
            &What::Event(print) => {
                let (id, other) = (fact.guild, fact.side.other());
                let known = self.guilds.get_mut(&id);
                let of = known.as_ref().map_or(0, |guild| guild.of[fact.side]);
                match known.and_then(|guild| guild.take_waiting(other, print, of)) {
                    Some(number) => self.met_waiting(id, other, number),
                    None => self.expect(id, other, Count::new(print, fact.at_us, of, false)),
                }
            }
            &(What::Created { print, .. } | What::Deleted { print, .. }) => {
                self.applied(fact, print);
                self.note(fact);
                if takes_over {
                    self.take_over(fact.guild, fact.side);
                }
            }
            _ => {}
        }
    }

    /// A record waits, with these bytes.
    pub fn kept(&mut self, fact: &Fact, bytes: Vec<u8>) {
        self.note_outage(fact);
        self.read(fact);
        if let What::Ready(guilds) = &fact.what {
            if let Some(shard) = self.shards[fact.side].get_mut(fact.shard) {
                shard.ready = Some(bytes);
            }
            self.changed.insert(Row::Ready(fact.shard));
            return self.ready(fact, guilds);
        }
        let Some(print) = fact.print() else { return };
        let (number, takes_over) = (self.waits.next(), self.takes_over(fact));
        let Fact { side, guild: id, at_us, .. } = *fact;
        let known = self.guilds.get(&id).map(|guild| guild.step(fact));
        let (step, of) = known.unwrap_or_else(|| Guild::unknown(side).step(fact));
        let brief = Brief { number, print, of, step };
        self.change(id, |guild| guild.waiting[side].push_back(brief));
        self.waits.insert(Wait { guild: id, side, at_us, brief, is_due: false, part: 0, bytes });
        self.changed.insert(Row::Wait(number));
        self.note(fact);
        self.drop_old(id);
        if takes_over {
            self.take_over(id, side);
        }
    }

    /// A record was passed over.
    pub fn passed(&mut self, fact: &Fact) {
        if matches!(self.stage, Stage::Over(_)) {
            return;
        }
        self.read(fact);
        match &fact.what {
            What::Lost => self.lost(fact.side, fact.shard),
            What::Ready(guilds) => self.ready(fact, guilds),
            &What::Event(print) => self.take_count(fact, print),
            &(What::Created { print, .. } | What::Deleted { print, .. }) => {
                self.passed_step(fact, print);
                self.note(fact);
                self.drop_old(fact.guild);
            }
            _ => {}
        }
    }

    /// A copy came of what the other side delivered.
    pub(super) fn take_count(&mut self, fact: &Fact, print: u64) {
        let Some(guild) = self.guilds.get_mut(&fact.guild) else { return };
        let Some(at) = guild.count_of(fact, print) else { return };
        let (side, id, since_us) = (fact.side, fact.guild, guild.since_us[fact.side.other()]);
        let is_held_back = guild.is_held_back(side);
        let (delivers, count) = (guild.delivers, &mut guild.counts[side][at]);
        let (counted_us, is_away) = (count.at_us, count.is_away);
        let is_late = fact.at_us > counted_us + self.request.times.slack_us;
        if is_late && !count.is_away {
            count.claimed_us = fact.at_us;
            guild.claims[fact.side] += 1;
            self.changed.insert(Row::Block(count.block));
        } else if let Some(count) = guild.counts[fact.side].remove(at) {
            self.forget(&count);
        }
        self.figures.cancelled += 1;
        self.changed.insert(Row::Head);
        if is_away || delivers == side && !is_held_back {
            return;
        }
        self.drop_older(id, side, u64::MAX);
        self.set_met(id, side);
        if counted_us > since_us {
            self.met(id, side, u64::MAX);
        }
    }

    /// A shard was read so far.
    fn read(&mut self, fact: &Fact) {
        let (side, number, slack_us) = (fact.side, fact.shard, self.request.times.slack_us);
        let Some(shard) = self.shards[side].get_mut(number) else { return };
        let is_awake = shard.read(fact.at_us, slack_us);
        self.changed.insert(Row::Shard(side, number));
        if is_awake {
            self.mark_anew(side, number);
        }
    }

    /// A side has still to bring what the other delivered.
    pub(super) fn expect(&mut self, guild: u64, side: Side, count: Count) {
        let Count { print, at_us, .. } = count;
        let shard = self.shard_of(side, guild);
        let mark_us = self.shards[side].get(shard).map_or(0, |shard| shard.active_at(at_us));
        let default = self.default_side();
        let entry = self.guilds.entry(guild).or_insert_with(|| {
            self.changed.insert(Row::Guild(guild));
            Guild::unknown(default)
        });
        // What came before was the copy of this one, and the older count has none yet.
        if let Some(at) = entry.claimed(side, print) {
            let count = &mut entry.counts[side][at];
            count.claimed_us = 0;
            entry.claims[side] -= 1;
            self.changed.insert(Row::Block(count.block));
            return;
        }
        let counts = &mut entry.counts[side];
        let last = counts.back().map(|count| count.block);
        let is_full = counts.len() >= BLOCK
            && counts[counts.len() - BLOCK].block == counts[counts.len() - 1].block;
        let block = match last {
            Some(block) if !is_full => block,
            _ => {
                self.next_block += 1;
                self.blocks.insert(self.next_block, (guild, side));
                self.next_block
            }
        };
        // Each at least as late as the one before it.
        let at_us = counts.back().map_or(at_us, |last| at_us.max(last.at_us));
        counts.push_back(Count { at_us, mark_us, block, ..count });
        self.figures.counts += 1;
        self.changed.insert(Row::Block(block));
    }

    /// A count was taken out of its list.
    pub(super) fn forget(&mut self, count: &Count) {
        self.figures.counts -= 1;
        self.changed.insert(Row::Block(count.block));
    }

    /// A session's READY is delivered: none is to be shown.
    fn show_none(&mut self, fact: &Fact) {
        if let Some(shard) = self.shards[fact.side].get_mut(fact.shard) {
            shard.ready = None;
        }
        self.changed.insert(Row::Ready(fact.shard));
    }
}
