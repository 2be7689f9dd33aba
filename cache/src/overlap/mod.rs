//! Two sets of sessions over one world, side by side: which record is delivered, and which is its other copy.
//!
//! While a bot changes its shard count, Discord sends every event of a guild to a session of the old set and to one
//! of the new set, without a common id. [`Overlap`] takes what the rings of both say and delivers each event once:
//! of every guild one side *delivers*, and the other side's copies are recognised by their [fingerprint](print).
//!
//! * Order is no assumption, and equal events in a row are just counts: of each guild there is a list of what one side
//!   delivered and the other has still to bring (*counts*), and of what the side that does not deliver brought first
//!   (*waiting*, with its bytes).
//! * A count is forgotten once the other side's shard went on for [`Times::window_us`] without it. What waits is delivered
//!   when the delivering side's shard was read that far beyond it, in its order.
//! * A guild is *cut* when it is there in both sessions: then the other side delivers, and what waits from that side is
//!   delivered first. The first side goes on cancelling until its whole set is retired, so that until then either
//!   session may be lost: its guilds change to the side that has them.
//!
//! It is free of I/O and of clocks. All of it is [rows](Row) of the state: they are written with the batch whose
//! records they speak of, so that a kill anywhere leaves one moment.
//!
//! Rules that its model showed to be needed:
//!
//! * That a guild comes and goes is a state and not an event to be counted. GUILD_CREATE says when the bot joined,
//!   so that of two memberships the later is known, whichever side says it; GUILD_DELETE is of the one that its
//!   session said last. What moves the state on is delivered, or waits; what the state is past is passed over and
//!   dropped, with all that one side owes of a membership that it ended. A fingerprint equals another of the same
//!   membership only. READY says of no guild which membership it is, and ends none that began behind it.
//! * An outage has no number, and is counted. Until a side has brought the copy of one, that the guild arrives there
//!   may be from before it; behind READY it is not.
//! * An outage of the side that does not deliver is none while the other has the guild: it waits for as long as that side
//!   is away, and is told only when the other is lost. Once it is over, and the other was read so far, it is dropped with
//!   the GUILD_CREATE that ended it, which is older than the state. A copy of what the other delivered, coming behind that,
//!   shows it at once.
//! * An outage of the side that delivers is held back, with what comes behind it, until the other side was read past it: if
//!   that one goes on it delivers from then on, and the outage is one of the side that does not. GUILD_CREATE has no known
//!   place in the order of both, and is not needed then. It is told where the other side is away as well, and where that one
//!   is not known to have had the guild before, so that nobody has what came between: then what the other side brings is in
//!   doubt, and is not told behind a GUILD_CREATE that may have it (`alone`). A side that says nothing for the window is
//!   not waited for.
//! * Where both are away, the side that is back first delivers, unless it may still bring what the state has.
//! * A guild that both sides left is known for as long as a session may be away and be resumed.
//! * What the old side delivers is counted before the new ring's GUILD_CREATE is read, for rings are read at different
//!   paces; what is older than the new READY by much more than READY takes is dropped.
//! * Age is that of the records, not the time at which they are read: one ring may be read far behind the other.
//! * Where events are equal a late copy only claims a count until the other side had its time.
//! * A cut waits until the delivering side is known to be past what the other last said of the guild, until that one
//!   has the membership that the state has, and until no outage is outstanding. Silence is not age: a session that is
//!   away brings all at once.
//! * A GAP of one side may be swallowed only where the other had the guild before the last record of the lost side, and
//!   owes nothing. A side that takes a guild over brings what waits of it first.
//! * Once the old set is to be closed it is no cover ([`Overlap::leave`]).
//!
//! [`crate::engine`] calls it.

mod alone;
mod fact;
mod guild;
mod judge;
mod lost;
mod print;
mod progress;
mod rows;
mod shards;
mod stand;
mod steps;
mod sweep;
mod terms;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use mixcord_event::command;

pub use self::fact::{Fact, What};
pub use self::judge::Verdict;
pub use self::print::Keys;
pub use self::progress::Progress;
pub use self::rows::{Row, RowError};
pub use self::stand::number_of;
pub use self::terms::{Request, Side, Sides, Stage, Times};
pub use self::waiting::{Due, DueId};

use self::guild::Guild;
use self::shards::Shards;
use self::waiting::Waits;

/// What belongs to no guild: private channels, users, and whatever else the first shard alone receives.
pub const PRIVATE: u64 = 0;

/// A change of the shard count.
#[derive(Debug)]
pub struct Overlap {
    request: Request,
    keys: Keys,
    stage: Stage,
    shards: Sides<Shards>,
    guilds: BTreeMap<u64, Guild>,
    waits: Waits,
    figures: Figures,
    /// Rows to be written, and those that are.
    changed: BTreeSet<Row>,
    stored: rows::Stored,
    /// Of blocks of counts their guilds and sides.
    blocks: BTreeMap<u64, (u64, Side)>,
    /// The number of the last block.
    next_block: u64,
    /// Where the last look at the guilds ended.
    swept: u64,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Figures {
    /// Copies that were recognised.
    cancelled: u64,
    /// Events that one side alone brought, delivered from that side though the other delivers.
    one_sided: Sides<u64>,
    /// Guilds that changed sides because a session was lost, or had them in an outage.
    taken_over: u64,
    /// Counts that live.
    counts: u64,
}

impl Overlap {
    /// Begins one. `keys` are drawn at random; `now_us` is the time.
    #[must_use]
    pub fn begin(request: Request, keys: Keys, now_us: u64) -> Self {
        let mut shards = Sides::new(
            Shards::new(request.counts[Side::Old], now_us),
            Shards::new(request.counts[Side::New], now_us),
        );
        // Its sessions run.
        shards[Side::Old].iter_mut().for_each(|shard| shard.has_session = true);
        let mut overlap = Self::empty(request, keys, shards);
        overlap.change(PRIVATE, |guild| guild.list(true, false, 0));
        overlap.changed.insert(Row::Head);
        for side in Side::BOTH {
            let shards = 0..request.counts[side];
            overlap.changed.extend(shards.map(|shard| Row::Shard(side, shard)));
        }
        overlap
    }

    fn empty(request: Request, keys: Keys, shards: Sides<Shards>) -> Self {
        Self {
            request,
            keys,
            stage: Stage::Listing(0),
            shards,
            guilds: BTreeMap::new(),
            waits: Waits::default(),
            figures: Figures::default(),
            changed: BTreeSet::new(),
            stored: rows::Stored::new(),
            blocks: BTreeMap::new(),
            next_block: 0,
            swept: 0,
        }
    }

    /// Shard counts of the two sets.
    #[must_use]
    pub const fn counts(&self) -> Sides<u16> {
        self.request.counts
    }

    /// How far it is.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// What makes fingerprints.
    #[must_use]
    pub const fn keys(&self) -> Keys {
        self.keys
    }

    /// Which side has this shard count.
    #[must_use]
    pub fn side(&self, shards: u16) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.request.counts[*side] == shards)
    }

    /// Whether rings of this side are read.
    #[must_use]
    pub fn reads(&self, side: Side) -> bool {
        side == Side::Old || !matches!(self.stage, Stage::Listing(_))
    }

    /// The state knows this guild: whether it is there, whether its GUILD_CREATE is to come, and the number of its
    /// membership as in [`What::Created`]. The guilds are listed in the order of their ids, behind that of
    /// [`Stage::Listing`].
    pub fn list(&mut self, guild: u64, is_there: bool, is_pending: bool, joined: u64) {
        // Records may have come of it before.
        if self.guilds.get(&guild).is_none_or(|known| !known.stand.is_held) {
            self.change(guild, |entry| entry.list(is_there, is_pending, joined));
        }
        self.listed_through(guild);
    }

    /// Of the guilds up to this one nothing else is to be listed.
    pub fn listed_through(&mut self, guild: u64) {
        if matches!(self.stage, Stage::Listing(_)) {
            self.set_stage(Stage::Listing(guild));
        }
    }

    /// All guilds are listed: from now on the new set is read.
    pub fn listed(&mut self) {
        if matches!(self.stage, Stage::Listing(_)) {
            self.set_stage(Stage::Overlapping);
        }
    }

    /// Has the new set take over as its guilds are there. Nothing happens where that has begun.
    pub fn cut(&mut self) {
        if self.stage == Stage::Overlapping {
            self.set_stage(Stage::Cutting);
        }
    }

    /// Calls it off; false once guilds are to be cut. Those that changed sides because a session was lost, or had them in an outage, come
    /// back.
    pub fn call_off(&mut self) -> bool {
        match self.stage {
            Stage::Listing(_) | Stage::Overlapping => {
                self.set_stage(Stage::CalledOff);
                true
            }
            Stage::CalledOff => true,
            _ => false,
        }
    }

    /// The old set is about to be closed; false where the new one does not deliver everything. From now on nothing
    /// relies on it.
    pub fn leave(&mut self) -> bool {
        let is_held_back = |guild: &Guild| {
            let first = guild.waiting[Side::New].front();
            let wait = first.and_then(|brief| self.waits.get(brief.number));
            wait.is_some_and(|wait| !wait.is_due)
        };
        let is_cut = |guild: &Guild| guild.delivers == Side::New && !is_held_back(guild);
        if self.stage == Stage::Cut && self.guilds.values().all(is_cut) {
            self.set_stage(Stage::Leaving);
        }
        self.stage == Stage::Leaving
    }

    /// The side that is not counted on: it is about to be closed, or is not to take over.
    #[must_use]
    pub const fn leaving(&self) -> Option<Side> {
        match self.stage {
            Stage::Leaving => Some(Side::Old),
            Stage::CalledOff => Some(Side::New),
            _ => None,
        }
    }

    /// The side that is to deliver everything, if the guilds are ready.
    const fn target(&self) -> Side {
        match self.stage {
            Stage::Listing(_) | Stage::Overlapping | Stage::CalledOff => Side::Old,
            Stage::Cutting | Stage::Cut | Stage::Leaving => Side::New,
            Stage::Over(side) => side,
        }
    }

    /// The side that delivers what belongs to no guild that is known.
    const fn default_side(&self) -> Side {
        match self.stage {
            Stage::Cut | Stage::Leaving => Side::New,
            Stage::Over(side) => side,
            _ => Side::Old,
        }
    }

    /// Whether rows are to be written: [`Overlap::drain`].
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
        self.changed.insert(Row::Head);
    }

    /// Changes what is known of a guild.
    fn change(&mut self, guild: u64, change: impl FnOnce(&mut Guild)) {
        let default = self.default_side();
        change(self.guilds.entry(guild).or_insert_with(|| Guild::unknown(default)));
        self.changed.insert(Row::Guild(guild));
    }

    /// The side that delivers a guild's events.
    fn delivers(&self, guild: u64) -> Side {
        self.guilds.get(&guild).map_or_else(|| self.default_side(), |guild| guild.delivers)
    }

    /// Whether the state has a guild from the other side: then READY of this side, received then, does not change it.
    #[must_use]
    pub fn is_others(&self, side: Side, guild: u64, at_us: u64) -> bool {
        let known = self.guilds.get(&guild);
        self.delivers(guild) != side || known.is_some_and(|guild| self.is_newer(guild, side, at_us))
    }

    /// Whether the state has a membership that began on the other side about when this side received something.
    fn is_newer(&self, guild: &Guild, side: Side, at_us: u64) -> bool {
        let other = side.other();
        guild.stand.is_held
            && guild.of[side] < guild.stand.number
            && guild.of[other] == guild.stand.number
            && at_us <= guild.since_us[other] + self.request.times.slack_us
    }

    /// The shard of a side that receives a guild's events (G-39).
    fn shard_of(&self, side: Side, guild: u64) -> u16 {
        command::shard_of(guild, self.request.counts[side])
    }

    /// Guilds whose events a shard of a side receives.
    fn guilds_of(&self, side: Side, shard: u16) -> impl Iterator<Item = (u64, &Guild)> {
        let all = self.guilds.iter().map(|(id, guild)| (*id, guild));
        all.filter(move |(id, _)| self.shard_of(side, *id) == shard)
    }
}
