use std::path::Path;
use std::{fs, iter};

use mixcord_event::bridge::{BOARD_BYTES_MAX, BridgeFigures, GatewayFigures, LeaseFigures};
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
    /// `holder` where it has the lease of a stream, `standby` where a gateway of this machine waits to take shards over;
    /// `null` where neither is so, and where it does not live.
    pub role: Option<&'static str>,
    /// The streams that it sends, or finds.
    pub streams: Vec<StreamStatus>,
    /// The gateways of this machine with `--take-over`, as they ask it.
    pub gateways: Vec<GatewayStatus>,
}

/// A stream at the broker.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Where the process runs that has its lease, or had it last; empty while that is not known.
    pub writer: String,
    /// That lease; `null` while nothing is known of it.
    pub lease: Option<LeaseStatus>,
    /// Bytes in it.
    pub bytes: u64,
    /// Bytes that it may have.
    pub bytes_max: u64,
}

/// Who may write a stream.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// `held`, `ended` (its holder stopped in order) or `lapsed` (its holder did not renew it in time).
    pub state: String,
    /// The bridge that says so has it, or had it last.
    pub own: bool,
    /// The highest generation in which its holder sends a shard; `null` where it sends none.
    pub generation: Option<u64>,
    /// For how long it was not seen renewed.
    pub still_seconds: f64,
}

/// A gateway that another machine may take the shards of, or that waits to take them over.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// Its first shard.
    pub first: u16,
    /// Its last one, included.
    pub last: u16,
    /// Of how many.
    pub count: u16,
    /// `standby` (it waits until the machine that runs the shards died), `holder` (it runs them, and may begin sessions),
    /// `waits` (it begins and resumes none for now) or `over` (another machine runs them since).
    pub state: String,
    /// What it waits for, or which machine has them.
    pub why: String,
}

impl LeaseStatus {
    fn new(figures: LeaseFigures) -> Option<Self> {
        let LeaseFigures { state, own, generation, still_ms } = figures;
        (!state.is_empty()).then_some(Self {
            state,
            own,
            generation: (generation > 0).then_some(generation),
            still_seconds: still_ms as f64 / 1e3,
        })
    }

    /// Somebody renewed it within its term.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == "held"
    }
}

impl GatewayStatus {
    fn new(figures: GatewayFigures) -> Self {
        let GatewayFigures { first, last, count, state, why } = figures;
        Self { first, last, count, state, why }
    }

    /// It waits until the machine that runs its shards died.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.state == "standby"
    }
}

impl StreamStatus {
    /// The shard that names it, and of how many that is; `None` where its name has none.
    #[must_use]
    pub fn first_shard(&self) -> Option<(u16, u16)> {
        let (_, named) = self.name.rsplit_once('_')?;
        let (shard, count) = named.split_once('-')?;
        Some((shard.parse().ok()?, count.parse().ok()?))
    }

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
        let leases = figures.leases.into_iter().map(LeaseStatus::new).chain(iter::repeat(None));
        let streams = figures.streams.into_iter().zip(leases).map(|(stream, lease)| StreamStatus {
            name: stream.name,
            writer: stream.writer,
            lease,
            bytes: stream.bytes,
            bytes_max: stream.bytes_max,
        });
        let streams: Vec<_> = streams.collect();
        let gateways: Vec<_> = figures.gateways.into_iter().map(GatewayStatus::new).collect();
        let owns = |lease: &LeaseStatus| lease.own && lease.is_held();
        let role = if !alive {
            None
        } else if streams.iter().any(|stream| stream.lease.as_ref().is_some_and(owns)) {
            Some("holder")
        } else {
            gateways.iter().any(GatewayStatus::is_standby).then_some("standby")
        };
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
            role,
            streams,
            gateways,
        })
    }
}
