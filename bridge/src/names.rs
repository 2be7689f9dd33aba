//! The names where bridges meet: streams, subjects, and the buckets of floors and leases.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    /// Which of a sender's streams it belongs to: shards of one block, of one count.
    #[must_use]
    pub const fn block(self) -> (u16, u16) {
        (self.count, self.shard / LANES)
    }
}

/// As text, so that it may be the key of a map.
impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
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
    /// From the first to the last of so many; `None` for whatever there is.
    #[must_use]
    pub const fn range(self) -> Option<(u16, u16, u16)> {
        match self {
            Self::All => None,
            Self::Range { first, last, count } => Some((first, last, count)),
        }
    }

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

/// The stream of a block of a sender's lanes, by the first of them: so machines that divide the shards have streams of
/// their own without being told.
#[must_use]
pub fn stream(instance: &str, name: &str, first: Lane) -> String {
    format!("{}{name}_{first}", stream_prefix(instance))
}

/// What all of its subjects begin with.
#[must_use]
pub fn subject_prefix(instance: &str, name: &str, first: Lane) -> String {
    format!("mixcord.{instance}.{name}-{first}.")
}

/// The lane of a subject: its last part.
#[must_use]
pub fn lane_of(subject: &str) -> Option<Lane> {
    subject.rsplit_once('.')?.1.parse().ok()
}

/// The bucket in which receivers tell their floors.
#[must_use]
pub fn floors(instance: &str) -> String {
    format!("MIXCORD_{instance}_FLOORS")
}

/// The bucket in which senders claim their streams, each under the stream's name.
#[must_use]
pub fn leases(instance: &str) -> String {
    format!("MIXCORD_{instance}_LEASES")
}

/// The bucket of logs that were taken over, each under its [`log_key`].
#[must_use]
pub fn ends(instance: &str) -> String {
    format!("MIXCORD_{instance}_ENDS")
}

/// A log in that bucket.
#[must_use]
pub fn log_key(log: u64) -> String {
    format!("{log:016x}")
}

/// Where a ticket for a command to a gateway is asked for: by its first shard and count. No name of a stream is like it.
#[must_use]
pub fn commands(instance: &str, gateway: Lane) -> String {
    format!("mixcord.{instance}.commands.{gateway}")
}

/// Where a command is brought with a ticket: to who gave it.
#[must_use]
pub fn command_counter(instance: &str, giver: u64) -> String {
    format!("mixcord.{instance}.commands.by.{giver:016x}")
}

/// The bucket of identify permits, each under its token's fingerprint and its bucket there.
#[must_use]
pub fn permits(bot: &str) -> String {
    format!("MIXCORD_{bot}_PERMITS")
}

/// Where who has a state is asked for it: machines with that instance.
#[must_use]
pub fn copies(bot: &str, instance: &str) -> String {
    format!("mixcord.{bot}.copies.of.{instance}")
}

/// Where one of them is asked.
#[must_use]
pub fn copy_giver(bot: &str, giver: u64) -> String {
    format!("mixcord.{bot}.copies.by.{giver:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_read_back_and_nothing_else_is_one() {
        let lane = Lane { shard: 31, count: 64 };
        assert_eq!((lane.to_string().parse(), lane.block()), (Ok(lane), (64, 1)));
        let first = Lane { shard: 16, count: 64 };
        assert_eq!(lane_of(&format!("{}{lane}", subject_prefix("a", "main", first))), Some(lane));
        assert_eq!(serde_json::to_string(&lane).unwrap(), "\"31-64\"");
        assert_eq!(serde_json::from_str::<Lane>("\"31-64\"").unwrap(), lane);
        for wrong in ["", "1", "64-64", "-1-4", "01-4", "1-4-5", "70000-80000"] {
            assert_eq!(wrong.parse::<Lane>(), Err(NoLane), "{wrong}");
        }
    }

    #[test]
    fn no_instance_begins_with_anothers_streams() {
        let first = Lane { shard: 0, count: 1 };
        let other = stream("a_log", "c", first);
        assert!(!other.starts_with(&stream_prefix("a")), "{other}");
        assert!(stream("a", "b-c", first).starts_with(&stream_prefix("a")));
    }
}
