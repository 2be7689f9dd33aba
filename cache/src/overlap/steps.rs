//! Guilds that come and go.

use super::guild::{Brief, Count, Guild, There};
use super::stand::Step;
use super::waiting::Wait;
use super::{Fact, Overlap, Row, Side, Stage, Verdict, What};

impl Overlap {
    /// What is to become of a record that says that a guild is there, or no more.
    pub(super) fn judge_step(&self, fact: &Fact, print: u64, bytes: usize) -> Verdict {
        if let Stage::Listing(behind) = self.stage
            && fact.guild > behind
        {
            // What the state has of it is listed behind this.
            return Verdict::Deliver;
        }
        let unknown = Guild::unknown(self.default_side());
        let guild = self.guilds.get(&fact.guild).unwrap_or(&unknown);
        let (Some(step), of) = guild.step(fact) else { return Verdict::Deliver };
        let (side, takes_over) = (fact.side, self.takes_over(fact));
        if guild.count_of(fact, print).is_some() {
            Verdict::Pass
        } else if guild.delivers == side {
            self.judge_told(fact, guild, bytes)
        } else if takes_over && guild.waiting[side].is_empty() {
            Verdict::Deliver
        } else if takes_over || guild.stand_behind(side).moves(step, of) {
            self.keep_or_stop(fact, bytes)
        } else {
            Verdict::Pass
        }
    }

    /// Of the side that delivers.
    fn judge_told(&self, fact: &Fact, guild: &Guild, bytes: usize) -> Verdict {
        let (Some(step), of) = guild.step(fact) else { return Verdict::Deliver };
        let side = fact.side;
        if guild.is_held_back(side) {
            let moves = guild.stand_behind(side).moves(step, of);
            return if moves { self.keep_or_stop(fact, bytes) } else { Verdict::Pass };
        }
        match step {
            _ if !guild.is_news(side, step, of) => Verdict::Pass,
            Step::Away if self.holds_back(fact, guild) => Verdict::Keep,
            _ => Verdict::Deliver,
        }
    }

    /// Whether a record has the side that does not deliver take over.
    pub(super) fn takes_over(&self, fact: &Fact) -> bool {
        let Some(guild) = self.guilds.get(&fact.guild) else { return false };
        let (Some(step), of) = guild.step(fact) else { return false };
        self.leaving() != Some(fact.side) && guild.is_taken_over(fact.side, step, of)
    }

    /// What a record says of where its guild is.
    pub(super) fn note(&mut self, fact: &Fact) {
        let there = match fact.what {
            What::Created { .. } => There::Present,
            What::Deleted { is_outage: true, .. } => There::Away,
            What::Deleted { is_outage: false, .. } => There::Unknown,
            _ => return,
        };
        let (side, at_us) = (fact.side, fact.at_us);
        self.note_arrival(fact.guild, side);
        let (mut gone, mut earlier) = (Vec::new(), Vec::new());
        self.change(fact.guild, |guild| {
            let (step, of) = guild.step(fact);
            if guild.there[side] != there {
                // It had it until now.
                guild.has_met[side] &= guild.is_there(side);
                guild.there[side] = there;
                guild.since_us[side] = at_us;
            }
            let ended = if step == Some(Step::Gone) { of } else { of.saturating_sub(1) };
            if step == Some(Step::Here) {
                guild.of[side] = of;
                // What waits of it from before is of another membership.
                for brief in guild.waiting[side].iter_mut().filter(|brief| brief.of == 0) {
                    brief.of = ended;
                    earlier.push(*brief);
                }
            }
            // Of a membership that ended this side brings nothing more.
            guild.counts[side].retain(|count| {
                let is_over = count.of != 0 && count.of <= ended;
                gone.extend(is_over.then_some(*count));
                !is_over
            });
            guild.claims[side] -= gone.iter().filter(|count| count.claimed_us > 0).count() as u32;
        });
        gone.iter().for_each(|count| self.forget(count));
        for brief in earlier {
            self.waits.set_brief(brief);
            self.changed.insert(Row::Wait(brief.number));
        }
    }

    /// A record that says where a guild is was applied.
    pub(super) fn applied(&mut self, fact: &Fact, print: u64) {
        let (side, other) = (fact.side, fact.side.other());
        let is_outage = matches!(fact.what, What::Deleted { is_outage: true, .. });
        if is_outage {
            // This is another one.
            self.drop_passed_outages(fact.guild, side);
        }
        let outages = self.outages(fact.guild, other);
        let (mut of, mut is_here) = (0, false);
        self.change(fact.guild, |guild| {
            if let (Some(step), number) = guild.step(fact) {
                guild.stand.go(step, number);
                (of, is_here) = (number, step == Step::Here);
            }
        });
        // What this side says is newer than every outage that is known.
        self.strike(fact.guild, side, |count| is_here && count.is_away);
        self.drop_old(fact.guild);
        if is_outage && self.outages(fact.guild, other) == outages {
            self.expect(fact.guild, other, Count::new(print, fact.at_us, of, true));
        }
        if is_outage {
            self.doubt(fact.guild, other);
        }
    }

    /// How many outages of a guild wait from a side.
    pub(super) fn outages(&self, id: u64, side: Side) -> usize {
        let waiting = self.guilds.get(&id).map(|guild| guild.waiting[side].iter());
        waiting.map_or(0, |all| all.filter(|brief| brief.step == Some(Step::Away)).count())
    }

    /// A record that says where a guild is was passed over.
    pub(super) fn passed_step(&mut self, fact: &Fact, print: u64) {
        let side = fact.side;
        let guild = self.guilds.get(&fact.guild);
        if guild.is_some_and(|guild| guild.count_of(fact, print).is_some()) {
            self.drop_arrivals(fact.guild, side);
        }
        self.take_count(fact, print);
    }

    /// Drops what says that a guild arrived on a side before it went away, which the state knows already.
    pub(super) fn drop_arrivals(&mut self, id: u64, side: Side) {
        let Some(guild) = self.guilds.get(&id) else { return };
        let old = guild.waiting[side].iter().filter(|brief| brief.step == Some(Step::Here));
        let old: Vec<u64> = old.map(|brief| brief.number).collect();
        old.into_iter().for_each(|number| self.drop_waiting(number));
    }

    /// Drops the outages of a side that were of it alone, as far as they are over and `is_old`, which sees also what
    /// ended it. That the guild was back goes with each: the state had it all the time, and is newer.
    pub(super) fn drop_outages(
        &mut self,
        id: u64,
        side: Side,
        is_old: impl Fn(&Wait, &Wait) -> bool,
    ) {
        let Some(guild) = self.guilds.get(&id) else { return };
        let is_not_counted_on = self.leaving() == Some(side);
        let mut old = Vec::new();
        for (at, brief) in guild.waiting[side].iter().enumerate() {
            let Some(wait) = self.waits.get(brief.number).filter(|wait| !wait.is_due) else {
                continue;
            };
            let mut behind = guild.waiting[side].range(at + 1..);
            let end = behind.find(|brief| brief.step.is_some());
            let end = end.and_then(|brief| self.waits.get(brief.number));
            let end = end.or_else(|| is_not_counted_on.then_some(wait));
            if guild.is_outage_of_one(side, *brief) && end.is_some_and(|end| is_old(wait, end)) {
                old.push(brief.number);
            }
        }
        if old.is_empty() {
            return;
        }
        old.into_iter().for_each(|number| self.drop_waiting(number));
        self.drop_old(id);
    }

    /// Drops what waits and tells nothing any more of where a guild is.
    pub(super) fn drop_old(&mut self, id: u64) {
        let Some(guild) = self.guilds.get(&id) else { return };
        let mut old = Vec::new();
        for side in Side::BOTH {
            let mut stand = guild.stand;
            for Brief { number, of, step, .. } in &guild.waiting[side] {
                let Some(step) = *step else { continue };
                if stand.moves(step, *of) {
                    stand.go(step, *of);
                } else {
                    old.push(*number);
                }
            }
        }
        old.into_iter().for_each(|number| self.drop_waiting(number));
    }
}
