//! The names where bridges meet: streams, subjects, and the bucket of floors.

use serde::{Deserialize, Serialize};

/// Shards that share a stream: few streams for many shards, and one writer each.
pub const LANES: u16 = 16;

/// A lane: one shard of how many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lane {
    /// The shard.
    pub shard: u16,
    /// How many shards the bot runs.
    pub count: u16,
}

impl Lane {
    /// Which of a sender's streams it belongs to.
    #[must_use]
    pub const fn block(self) -> u16 {
        self.shard / LANES
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.shard, self.count)
    }
}

impl std::str::FromStr for Lane {
    type Err = NoLane;

    fn from_str(text: &str) -> Result<Self, NoLane> {
        let parts = text.split_once('-');
        let lane = parts.and_then(|(shard, count)| {
            Some(Self { shard: shard.parse().ok()?, count: count.parse().ok()? })
        });
        lane.filter(|lane| lane.shard < lane.count && lane.to_string() == text).ok_or(NoLane)
    }
}

/// A text that names no lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not SHARD-COUNT, as in 3-16")]
pub struct NoLane;

/// Which lanes a receiver reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shards {
    /// Whatever there is.
    All,
    /// From the first to the last, both included, of so many.
    Range {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
        /// Of how many.
        count: u16,
    },
}

impl Shards {
    /// Whether a lane is one of them.
    #[must_use]
    pub fn has(self, lane: Lane) -> bool {
        match self {
            Self::All => true,
            Self::Range { first, last, count } => {
                lane.count == count && (first..=last).contains(&lane.shard)
            }
        }
    }
}

/// Whether `name` may name a sender's streams: `[a-z0-9][a-z0-9_-]{0,31}`, as an instance's name.
#[must_use]
pub fn is_stream_name(name: &str) -> bool {
    mixcord_event::topology::is_instance_name(name)
}

/// What the names of all streams of an instance begin with. Capitals are in no instance's name, so that none is
/// the beginning of another's.
#[must_use]
pub fn stream_prefix(instance: &str) -> String {
    format!("MIXCORD_{instance}_LOG_")
}

/// The stream of one block of a sender's lanes.
#[must_use]
pub fn stream(instance: &str, name: &str, block: u16) -> String {
    format!("{}{name}_{block}", stream_prefix(instance))
}

/// What all of a stream's subjects begin with.
#[must_use]
pub fn subject_prefix(instance: &str, name: &str, block: u16) -> String {
    format!("mixcord.{instance}.{name}-{block}.")
}

/// The lane of a subject: its last part.
#[must_use]
pub fn lane_of(subject: &str) -> Option<Lane> {
    subject.rsplit_once('.')?.1.parse().ok()
}

/// The bucket in which receivers tell their floors.
#[must_use]
pub fn bucket(instance: &str) -> String {
    format!("MIXCORD_{instance}_FLOORS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_read_back_and_nothing_else_is_one() {
        let lane = Lane { shard: 31, count: 64 };
        assert_eq!((lane.to_string().parse(), lane.block()), (Ok(lane), 1));
        assert_eq!(lane_of(&format!("{}{lane}", subject_prefix("a", "main", 1))), Some(lane));
        for wrong in ["", "1", "64-64", "-1-4", "01-4", "1-4-5", "70000-80000"] {
            assert_eq!(wrong.parse::<Lane>(), Err(NoLane), "{wrong}");
        }
    }

    #[test]
    fn no_instance_begins_with_anothers_streams() {
        let other = stream("a_log", "c", 0);
        assert!(!other.starts_with(&stream_prefix("a")), "{other}");
        assert!(stream("a", "b-c", 0).starts_with(&stream_prefix("a")));
    }
}
