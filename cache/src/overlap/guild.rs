//! What is known of one guild.

use std::collections::VecDeque;

use super::stand::{Stand, Step};
use super::{Fact, Side, Sides, What};

/// Whether a side's session has a guild.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(u8)]
pub(super) enum There {
    /// It was never heard of.
    #[default]
    Unknown = 0,
    /// The session was lost, and the next one has not said anything of it.
    Lost = 1,
    /// READY listed it, and its GUILD_CREATE is to come.
    Listed = 2,
    /// It is unavailable.
    Away = 3,
    /// Its events come.
    Present = 4,
}

impl There {
    pub(super) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Unknown,
            1 => Self::Lost,
            2 => Self::Listed,
            3 => Self::Away,
            4 => Self::Present,
            _ => return None,
        })
    }
}

/// What one side delivered, and the other has still to bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Count {
    pub(super) print: u64,
    /// When it was received.
    pub(super) at_us: u64,
    /// How long the other side's shard has brought records when it is read so far.
    pub(super) mark_us: u64,
    /// When an equal event came so late that it may be another one, which the side that delivered this one would bring
    /// as well; 0 if none came.
    pub(super) claimed_us: u64,
    /// The number of the membership that it is of; 0 if it is not known.
    pub(super) of: u64,
    /// It says that the guild is away.
    pub(super) is_away: bool,
    /// The block in which it is stored.
    pub(super) block: u64,
}

impl Count {
    pub(super) const fn new(print: u64, at_us: u64, of: u64, is_away: bool) -> Self {
        Self { print, at_us, mark_us: 0, claimed_us: 0, of, is_away, block: 0 }
    }
}

/// What one side brought, and the other has still to bring, without its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Brief {
    pub(super) number: u64,
    pub(super) print: u64,
    /// The number of the membership that it is of; 0 if it is not known.
    pub(super) of: u64,
    /// What it says of the guild as a whole.
    pub(super) step: Option<Step>,
}

/// A guild.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Guild {
    /// The side whose records of it are delivered.
    pub(super) delivers: Side,
    pub(super) there: Sides<There>,
    /// Since when it is there.
    pub(super) since_us: Sides<u64>,
    /// The number of the membership that a side's records are of; 0 if it is not known.
    pub(super) of: Sides<u64>,
    /// Whether the other side was read past where this one has it.
    pub(super) has_met: Sides<bool>,
    /// Whether what a side brings may be from before a GUILD_CREATE of the other one.
    pub(super) in_doubt: Sides<bool>,
    /// The side that does not deliver does not because of an outage.
    pub(super) has_given_way: bool,
    /// Where the state has it.
    pub(super) stand: Stand,
    /// What a side has still to bring, oldest first.
    pub(super) counts: Sides<VecDeque<Count>>,
    /// How many of them are claimed.
    pub(super) claims: Sides<u32>,
    /// What a side brought first, oldest first.
    pub(super) waiting: Sides<VecDeque<Brief>>,
}

impl Guild {
    /// One of which nothing is known.
    pub(super) fn unknown(delivers: Side) -> Self {
        Self {
            delivers,
            there: Sides::default(),
            since_us: Sides::default(),
            of: Sides::default(),
            has_met: Sides::default(),
            in_doubt: Sides::default(),
            has_given_way: false,
            stand: Stand::default(),
            counts: Sides::default(),
            claims: Sides::default(),
            waiting: Sides::default(),
        }
    }

    /// The state knows it, as the old side has told it.
    pub(super) fn list(&mut self, is_there: bool, is_pending: bool, joined: u64) {
        let there = match (is_pending, is_there) {
            (true, _) => There::Listed,
            (false, true) => There::Present,
            (false, false) => There::Away,
        };
        let is_away = there != There::Present;
        self.there[Side::Old] = there;
        // READY does not say which membership it is of.
        self.of[Side::Old] = if is_pending { 0 } else { joined };
        self.stand = Stand { number: joined, is_held: true, is_away };
    }

    /// Whether what the side that delivers brings is held back: behind an outage.
    pub(super) fn is_held_back(&self, side: Side) -> bool {
        self.delivers == side && !self.waiting[side].is_empty()
    }

    /// How many of the records that wait from a side are in doubt, as far as they are events: those of the membership that
    /// the state has.
    pub(super) fn doubtful(&self, side: Side) -> usize {
        let is_of = |brief: &Brief| match brief.step {
            None => true,
            Some(Step::Gone) => false,
            Some(Step::Here | Step::Away) => self.stand.is_of(brief.of),
        };
        let waiting = self.waiting[side].iter();
        if self.in_doubt[side] { waiting.take_while(|brief| is_of(brief)).count() } else { 0 }
    }

    pub(super) fn is_there(&self, side: Side) -> bool {
        self.there[side] == There::Present
    }

    /// Whether no side has anything to bring that the other brought.
    pub(super) fn is_even(&self) -> bool {
        let is_even = |side| {
            self.counts[side].is_empty() && self.waiting[side].is_empty() && !self.in_doubt[side]
        };
        Side::BOTH.into_iter().all(is_even)
    }

    /// Whether nothing is left to be known of it.
    pub(super) fn is_gone(&self) -> bool {
        let is_unknown = |side| self.there[side] == There::Unknown;
        !self.stand.is_held && self.is_even() && Side::BOTH.into_iter().all(is_unknown)
    }

    /// What a record says of the guild as a whole, and of which membership; of an event, of which it is.
    pub(super) fn step(&self, fact: &Fact) -> (Option<Step>, u64) {
        let of = self.of[fact.side];
        match fact.what {
            What::Created { joined, .. } => (Some(Step::Here), joined),
            What::Deleted { is_outage: true, .. } => (Some(Step::Away), of),
            What::Deleted { is_outage: false, .. } => (Some(Step::Gone), of),
            _ => (None, of),
        }
    }

    /// Where the state has the guild once what waits from a side is delivered.
    pub(super) fn stand_behind(&self, side: Side) -> Stand {
        let mut stand = self.stand;
        for Brief { step, of, .. } in &self.waiting[side] {
            if let Some(step) = step.filter(|step| stand.moves(*step, *of)) {
                stand.go(step, *of);
            }
        }
        stand
    }

    /// Whether a side has the guild as the state has it.
    pub(super) fn is_level(&self, side: Side) -> bool {
        self.is_there(side) && !self.stand.is_away && self.stand.is_of(self.of[side])
    }

    /// Whether a side has still to say that the guild is away.
    pub(super) fn owes_outage(&self, side: Side) -> bool {
        self.counts[side].iter().any(|count| count.is_away)
    }

    /// Whether an outage waits from a side.
    pub(super) fn waits_outage(&self, side: Side) -> bool {
        self.waiting[side].iter().any(|brief| brief.step == Some(Step::Away))
    }

    /// Whether a record that waits from a side tells of an outage of that side alone: the one that delivers has the
    /// guild, and goes on with it.
    pub(super) fn is_outage_of_one(&self, side: Side, brief: Brief) -> bool {
        brief.step == Some(Step::Away) && self.delivers != side && self.is_there(side.other())
    }

    /// Whether a record that waits from a side says that the guild is back from an outage that it is still in on the
    /// side that delivers.
    pub(super) fn is_back_first(&self, side: Side, brief: Brief) -> bool {
        brief.step == Some(Step::Here)
            && self.there[side.other()] == There::Away
            && self.stand.is_away
            && self.stand.is_of(brief.of)
    }

    /// Whether a side said more of where the guild is behind a record that waits.
    pub(super) fn has_step_behind(&self, side: Side, brief: Brief) -> bool {
        let mut waiting = self.waiting[side].iter();
        waiting.any(|other| other.step.is_some() && other.number > brief.number)
    }

    /// Whether a side says that the guild is there as it was before an outage that the state knows. A new session may
    /// have begun behind that.
    fn is_before_outage(&self, side: Side, step: Step, of: u64) -> bool {
        let is_it = |count: &Count| count.is_away && is_same(count.of, of);
        step == Step::Here
            && self.there[side] != There::Listed
            && self.stand.is_of(of)
            && self.counts[side].iter().any(is_it)
    }

    /// Whether the side that delivers says something new. Where the state has a guild that this side has still to say,
    /// the other side said it, and all since.
    pub(super) fn is_news(&self, side: Side, step: Step, of: u64) -> bool {
        let there = self.there[side];
        let is_again = matches!(there, There::Listed | There::Lost | There::Present);
        match step {
            _ if self.is_before_outage(side, step, of) => false,
            _ if self.stand.moves(step, of) => true,
            Step::Here => is_again && self.stand.is_of(of),
            Step::Away => self.stand.is_of(of),
            Step::Gone => false,
        }
    }

    /// Whether a guild arrives on the side that does not deliver, whose other session was lost: what arrives is newer
    /// than the state.
    pub(super) fn is_taken_over(&self, side: Side, step: Step, of: u64) -> bool {
        step == Step::Here
            && self.delivers != side
            && matches!(self.there[side.other()], There::Lost | There::Listed)
            && !self.stand.is_before(of)
            && !self.is_before_outage(side, step, of)
    }

    /// The count that a record of a side is the copy of. Of several that are equal it is the newest: one that is never
    /// brought grows old, whatever equals it. That a guild goes away is told in order.
    pub(super) fn count_of(&self, fact: &Fact, print: u64) -> Option<usize> {
        let of = self.of[fact.side];
        let is_it =
            |count: &Count| count.print == print && count.claimed_us == 0 && is_same(count.of, of);
        let mut counts = self.counts[fact.side].iter();
        match fact.what {
            What::Event(_) => counts.rposition(is_it),
            What::Deleted { is_outage: true, .. } => counts.position(is_it),
            _ => None,
        }
    }

    /// A count of this print that is claimed.
    pub(super) fn claimed(&self, side: Side, print: u64) -> Option<usize> {
        let is_it = |count: &Count| count.print == print && count.claimed_us > 0;
        if self.claims[side] == 0 { None } else { self.counts[side].iter().position(is_it) }
    }

    /// Takes out the oldest record of this print that waits from a side.
    pub(super) fn take_waiting(&mut self, side: Side, print: u64, of: u64) -> Option<u64> {
        let is_it = |brief: &Brief| brief.print == print && is_same(brief.of, of);
        let at = self.waiting[side].iter().position(is_it)?;
        self.waiting[side].remove(at).map(|brief| brief.number)
    }
}

/// Whether two numbers may be of one membership.
const fn is_same(one: u64, other: u64) -> bool {
    one == other || one == 0 || other == 0
}
