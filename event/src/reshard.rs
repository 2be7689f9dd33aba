//! How far a change of the shard count is, as the cache says it to gateways, `mixcord` and the monitor: a
//! [board](crate::topology::reshard_board).
//!
//! What is committed in the cache's store decides; the board is put in its place whole, and after the commit. So what it
//! says was so, whoever was killed since, and stages only follow each other: to act on what it says is always right. It
//! outlives the cache, and the change: a gateway that starts knows by it which sets there are to be.

use serde::{Deserialize, Serialize};

use crate::board;

/// No file is longer.
pub const BOARD_BYTES_MAX: u64 = 4096;
/// Bytes of memory that its figures take, read.
const MEMORY_MAX: usize = 8 << 10;
/// Bytes of a reason.
const WHY_MAX: usize = 500;

/// How far a change is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// There was none.
    #[default]
    None,
    /// The cache lists the guilds that it knows.
    Listing,
    /// The new set identifies, or both run, and the old one delivers.
    Overlapping,
    /// Guild by guild the new set takes over: from here on there is no way back.
    Cutting,
    /// The new set delivers everything.
    Cut,
    /// Nothing counts on the old set any more: its sessions are to be closed for good.
    Leaving,
    /// Nothing counts on the new set any more: its sessions are to be closed for good.
    CalledOff,
    /// The new set alone is left.
    Done,
    /// It was called off, and the old set alone is left.
    Back,
}

/// Which sets of sessions are to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sets {
    /// Both.
    Both,
    /// The old one alone.
    Old,
    /// The new one alone.
    New,
}

impl Stage {
    /// What stands in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Listing => "listing",
            Self::Overlapping => "overlapping",
            Self::Cutting => "cutting",
            Self::Cut => "cut",
            Self::Leaving => "leaving",
            Self::CalledOff => "called-off",
            Self::Done => "done",
            Self::Back => "back",
        }
    }

    /// Whether a change is under way.
    pub const fn is_under_way(self) -> bool {
        !matches!(self, Self::None | Self::Done | Self::Back)
    }

    /// Which sets are to run; `None` where there was no change.
    pub const fn sets(self) -> Option<Sets> {
        match self {
            Self::None => None,
            Self::Listing | Self::Overlapping | Self::Cutting | Self::Cut => Some(Sets::Both),
            Self::Leaving | Self::Done => Some(Sets::New),
            Self::CalledOff | Self::Back => Some(Sets::Old),
        }
    }
}

/// A change of the shard count. A new field goes to the end; 0 (or nothing) says that nothing is known.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ReshardFigures {
    /// The shard count before.
    pub from: u16,
    /// And the one that it is changed to.
    pub to: u16,
    /// How far it is.
    pub stage: Stage,
    /// When it began, in microseconds since the Unix epoch.
    pub began_us: u64,
    /// Shards of the new set that have a session.
    pub sessions: u16,
    /// Guilds that are known.
    pub guilds: u64,
    /// Those that are there in both sets.
    pub overlapping: u64,
    /// Those that the new set delivers.
    pub cut: u64,
    /// Those that the old set has and the new one has not.
    pub missing: u64,
    /// Records that wait for their copies.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Events that one side delivered and the other has still to bring.
    pub counted: u64,
    /// Copies that were recognised.
    pub cancelled: u64,
    /// Events that the old set alone brought.
    pub one_sided_old: u64,
    /// Events that the new set alone brought.
    pub one_sided_new: u64,
    /// Guilds that changed sides because a session was lost, or had them in an outage.
    pub taken_over: u64,
    /// Why it was called off, where somebody said.
    pub why: String,
    /// The last order that was refused, and why; empty where the last one was not.
    pub refused: String,
}

impl ReshardFigures {
    /// The shard count that is left for good, where a change is over: nobody writes its rings any more.
    #[must_use]
    pub const fn left(&self) -> Option<u16> {
        match self.stage {
            Stage::Done => Some(self.from),
            Stage::Back => Some(self.to),
            _ => None,
        }
    }

    /// The file, as this program writes it.
    pub fn encode(&self, writer: &str) -> Vec<u8> {
        board::encode(writer, &board::content(self))
    }

    /// Reads it, and which program wrote it; `None` of anything else.
    pub fn decode(bytes: &[u8]) -> Option<(Self, Option<&str>)> {
        let (mut read, writer) = board::decode::<Self, MEMORY_MAX>(bytes)?;
        // They are printed.
        board::make_plain(&mut read.why, WHY_MAX);
        board::make_plain(&mut read.refused, WHY_MAX);
        Some((read, writer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_read_and_nothing_else() {
        let figures = ReshardFigures {
            from: 16,
            to: 17,
            stage: Stage::Cutting,
            cut: 1 << 40,
            why: "x".repeat(WHY_MAX),
            refused: "\u{1b}[2J".repeat(300),
            ..ReshardFigures::default()
        };
        let bytes = figures.encode("mixcord-cache 0.1.0");
        assert!((bytes.len() as u64) < BOARD_BYTES_MAX);
        let (read, writer) = ReshardFigures::decode(&bytes).expect("whole");
        assert_eq!(
            (read.stage, read.cut, writer),
            (Stage::Cutting, 1 << 40, Some("mixcord-cache 0.1.0"))
        );
        assert!(read.refused.len() == WHY_MAX && !read.refused.contains('\u{1b}'), "P8");
        assert!((0..bytes.len()).all(|end| ReshardFigures::decode(&bytes[..end]).is_none()));
    }

    /// What decides which sessions live.
    #[test]
    fn each_stage_says_which_sets_are_to_run() {
        let sets = |stage: Stage| (stage.is_under_way(), stage.sets());
        for both in [Stage::Listing, Stage::Overlapping, Stage::Cutting, Stage::Cut] {
            assert_eq!(sets(both), (true, Some(Sets::Both)));
        }
        assert_eq!(sets(Stage::Leaving), (true, Some(Sets::New)));
        assert_eq!(sets(Stage::Done), (false, Some(Sets::New)));
        assert_eq!(sets(Stage::CalledOff), (true, Some(Sets::Old)));
        assert_eq!(sets(Stage::Back), (false, Some(Sets::Old)));
        assert_eq!(sets(Stage::default()), (false, None));
    }
}
