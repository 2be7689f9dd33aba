//! A world of guilds, and what it was told of it.

use std::collections::BTreeMap;

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// What is said of a guild.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// An event: its place in the guild's history, and its fingerprint.
    Event { place: u64, print: u64 },
    /// The guild is there, as of so many events.
    Created { places: u64, joined: u64 },
    /// It is there no more. Discord does not say of which membership.
    Deleted { is_outage: bool, joined: u64 },
}

/// Who is told of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Both,
    /// One session, by chance.
    OneAlone,
    /// One side: the guild is away in the other one alone.
    Outage,
}

/// A guild of the world.
#[derive(Clone, Default, Debug)]
pub(crate) struct Guild {
    pub(crate) is_member: bool,
    pub(crate) is_away: bool,
    /// The number of the bot's membership: when it joined.
    pub(crate) joined: u64,
    /// Memberships that ended, and how often each was away.
    pub(crate) left: Vec<u64>,
    pub(crate) outages: Vec<u64>,
    /// Fingerprints of its events, in order, and who is told.
    pub(crate) events: Vec<(u64, Told)>,
}

impl Guild {
    pub(crate) fn is_there(&self) -> bool {
        self.is_member && !self.is_away
    }
}

/// The world.
#[derive(Clone, Default, Debug)]
pub(crate) struct World {
    pub(crate) guilds: BTreeMap<u64, Guild>,
    unique: u64,
}

impl World {
    pub(crate) fn with(guilds: impl IntoIterator<Item = u64>) -> Self {
        let guild = Guild { is_member: true, joined: 1, ..Guild::default() };
        Self { guilds: guilds.into_iter().map(|id| (id, guild.clone())).collect(), unique: 100 }
    }

    /// An event of a guild; equal to others in its guild if `print` is given.
    pub(crate) fn event(&mut self, guild: u64, print: Option<u64>, told: Told) -> Said {
        self.unique += 1;
        let print = print.unwrap_or(self.unique);
        let of = self.guilds.get_mut(&guild).expect("a guild");
        of.events.push((print, told));
        Said::Event { place: of.events.len() as u64 - 1, print }
    }

    /// It arrives: the bot joins it, or it is not away any more.
    pub(crate) fn arrive(&mut self, guild: u64) -> Said {
        let of = self.guilds.get_mut(&guild).expect("a guild");
        of.joined += u64::from(!of.is_member);
        (of.is_member, of.is_away) = (true, false);
        self.created(guild)
    }

    /// It goes, for a while or for good.
    pub(crate) fn leave(&mut self, guild: u64, is_outage: bool) -> Said {
        let of = self.guilds.get_mut(&guild).expect("a guild");
        let joined = of.joined;
        (of.is_member, of.is_away) = (is_outage, is_outage);
        if is_outage {
            of.outages.push(joined);
        } else {
            of.left.push(joined);
        }
        Said::Deleted { is_outage, joined }
    }

    pub(crate) fn created(&self, guild: u64) -> Said {
        let of = &self.guilds[&guild];
        Said::Created { places: of.events.len() as u64, joined: of.joined }
    }
}
