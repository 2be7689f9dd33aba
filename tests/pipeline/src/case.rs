//! What is measured: a load, and who is measured under it.

use serde::Serialize;

use crate::contender::Contender;
use crate::source::{Compression, Load};
use crate::workload::Blend;

/// A load, how it is sent, and who takes it, one after the other, round by round.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is varied.
    pub axis: Axis,
    /// What is sent.
    pub load: Load,
    /// Events a second over all shards, written when they are due; 0 is as fast as they are taken.
    pub rate: u32,
    /// Those whose place is in this case.
    pub contenders: Vec<Contender>,
}

/// What is varied while the rest stays. Cases of one axis are measured in turn: compare along it, not across.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Events a second
    Rate,
    /// As fast as events are taken, beside all peers
    Flood,
    /// After kill -9
    Recovery,
    /// What the cache keeps
    Store,
    /// How the consumer takes events
    Take,
    /// Shards
    Shards,
    /// Groups of consumers
    Groups,
    /// Members of a group
    Members,
    /// Encoding and compression
    Wire,
    /// Guilds
    Guilds,
}

impl Axis {
    /// All, the most telling first.
    pub const ALL: [Self; 10] = [
        Self::Rate,
        Self::Flood,
        Self::Recovery,
        Self::Store,
        Self::Take,
        Self::Shards,
        Self::Groups,
        Self::Members,
        Self::Wire,
        Self::Guilds,
    ];

    /// As the option and `report.json` spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Flood => "flood",
            Self::Recovery => "recovery",
            Self::Store => "store",
            Self::Take => "take",
            Self::Shards => "shards",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::Wire => "wire",
            Self::Guilds => "guilds",
        }
    }

    /// Above its table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rate => "Rates that bots have",
            Self::Flood => "A flood, beside all peers",
            Self::Recovery => "After kill -9",
            Self::Store => "What the cache keeps",
            Self::Take => "How the consumer takes events",
            Self::Shards => "Shards",
            Self::Groups => "Groups of consumers",
            Self::Members => "Members of a group",
            Self::Wire => "Encoding and compression",
            Self::Guilds => "Guilds",
        }
    }
}

impl Case {
    /// As fast as events are taken.
    #[must_use]
    pub const fn flood(axis: Axis, load: Load, contenders: Vec<Contender>) -> Self {
        Self { axis, load, rate: 0, contenders }
    }

    /// So many events a second, for so many seconds.
    #[must_use]
    pub fn steady(
        axis: Axis,
        load: Load,
        rate: u32,
        lasts_s: u32,
        contenders: Vec<Contender>,
    ) -> Self {
        let events = u64::from(rate) * u64::from(lasts_s);
        Self { axis, load: Load { events, ..load }, rate, contenders }
    }

    /// How the case is called in tables.
    #[must_use]
    pub fn name(&self) -> String {
        let Load { blend, guilds, shards, encoding, compression, .. } = self.load;
        let events = match blend {
            Blend::Messages => "messages",
            Blend::Everything => "mix",
        };
        let speed = match self.rate {
            0 => "flood".to_owned(),
            rate => format!("{rate} a second"),
        };
        let mut name = format!("{speed}, {events}, {}", encoding.name());
        if compression != Compression::None {
            name += &format!(" + {}", compression.name());
        }
        if self.axis == Axis::Shards {
            name += &format!(", {shards} shards");
        }
        if self.axis == Axis::Guilds {
            name += &format!(", {guilds} guilds");
        }
        name
    }
}
