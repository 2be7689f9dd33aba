use std::fs;
use std::path::Path;

use mixcord_event::bridge::{BOARD_BYTES_MAX, BridgeFigures};
use mixcord_event::topology;
use serde::Serialize;

use super::board;

/// A bridge to other machines, as it was some seconds ago.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BridgeStatus {
    /// `send` or `receive`.
    pub end: String,
    /// The name under which machines of one bot meet.
    pub bot: String,
    /// Does it live? What it said goes on standing there when it was killed.
    pub alive: bool,
    /// Its process, in its own pid namespace.
    pub pid: u32,
    /// The program, with its version.
    pub writer: Option<String>,
    /// How long ago it started.
    pub started_seconds: f64,
    /// Whether there is a connection to the broker.
    pub connected: bool,
    /// Shards that it carries.
    pub shards: u32,
    /// What the broker does not have yet (records), or this machine does not have of it (messages).
    pub behind: u64,
    /// For how long the oldest of that has waited.
    pub behind_seconds: f64,
    /// Messages under way.
    pub under_way: u32,
    /// How many may be, in each stream.
    pub window: u32,
    /// How often what was under way was sent again, or reading began again.
    pub again: u64,
    /// The streams that it sends, or finds.
    pub streams: Vec<StreamStatus>,
}

/// A stream at the broker.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Where the process runs that has its lease; empty while that is not known.
    pub writer: String,
    /// Bytes in it.
    pub bytes: u64,
    /// Bytes that it may have.
    pub bytes_max: u64,
}

impl StreamStatus {
    /// How full it is, 0 to 1.
    #[must_use]
    pub fn fullness(&self) -> f64 {
        if self.bytes_max == 0 { 0.0 } else { self.bytes as f64 / self.bytes_max as f64 }
    }
}

impl BridgeStatus {
    /// Those of an instance.
    pub(super) fn of(instance: &str) -> Vec<Self> {
        let files = fs::read_dir(topology::bridge_dir(instance)).into_iter().flatten().flatten();
        let mut all: Vec<_> = files.filter_map(|file| Self::read(&file.path())).collect();
        all.sort_by(|one, other| (&other.end, &one.bot).cmp(&(&one.end, &other.bot)));
        all
    }

    /// `None` of what is not this user's, or no bridge wrote.
    fn read(path: &Path) -> Option<Self> {
        let read = board::read(path, BOARD_BYTES_MAX, |bytes| {
            let (figures, writer) = BridgeFigures::decode(bytes)?;
            Some((figures, writer.map(str::to_owned)))
        })?;
        let board::Read { figures, writer, alive } = read;
        let streams = figures.streams.into_iter().map(|stream| StreamStatus {
            name: stream.name,
            writer: stream.writer,
            bytes: stream.bytes,
            bytes_max: stream.bytes_max,
        });
        Some(Self {
            end: figures.end,
            bot: figures.bot,
            alive,
            pid: figures.pid,
            writer,
            started_seconds: board::seconds_since(figures.started_us),
            connected: figures.connected,
            shards: figures.shards,
            behind: figures.behind,
            behind_seconds: figures.behind_ms as f64 / 1e3,
            under_way: figures.under_way,
            window: figures.window,
            again: figures.again,
            streams: streams.collect(),
        })
    }
}
