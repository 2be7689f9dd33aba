//! What this process says of itself to `mixcord ls` and the like: a file in the instance's folder, locked while it lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::Client;
use async_nats::connection::State;
use mixcord_bridge::lease::View;
use mixcord_bridge::names::Lane;
use mixcord_event::bridge::{
    BridgeFigures, GatewayFigures, LeaseFigures, STREAMS_MAX, StreamFigures,
};
use mixcord_event::topology;
use mixcord_process::board::Board;
use mixcord_process::sole::Going;
use tokio::sync::watch;

use crate::failure::Failure;

/// How often it is written.
const EVERY: Duration = Duration::from_secs(1);
const WRITER: &str = concat!("mixcord-bridge ", env!("CARGO_PKG_VERSION"));

/// What there is to say.
#[derive(Debug, Default)]
pub(crate) struct Notice(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    streams: BTreeMap<String, (StreamFigures, LeaseFigures)>,
    gateways: Vec<GatewayFigures>,
    under_way: BTreeMap<String, u32>,
    lanes: BTreeMap<Lane, Lag>,
    again: u64,
}

/// How far a lane is behind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Lag {
    /// Records, or messages.
    pub(crate) behind: u64,
    /// Since when the oldest of them waits, in milliseconds since the Unix epoch; 0 where none does.
    pub(crate) since_ms: u64,
}

impl Notice {
    /// How far a lane is behind.
    pub(crate) fn lane(&self, lane: Lane, lag: Lag) {
        self.known().lanes.insert(lane, lag);
    }

    /// A stream has so many bytes, of so many.
    pub(crate) fn stream(&self, name: &str, bytes: u64, bytes_max: i64) {
        let mut known = self.known();
        let (stream, _) = known.stream(name);
        stream.bytes = bytes;
        stream.bytes_max = u64::try_from(bytes_max).unwrap_or(0);
    }

    /// Messages that are under way in a stream.
    pub(crate) fn under_way(&self, name: &str, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.known().under_way.insert(name.to_owned(), messages);
    }

    /// Who has the lease of each stream that is known here; this process claims as `own`.
    pub(crate) fn leases<'a>(&self, own: u64, views: impl Iterator<Item = View<'a>>) {
        let mut known = self.known();
        for view in views {
            if let Some((stream, lease)) = known.streams.get_mut(view.stream) {
                view.claim.place.clone_into(&mut stream.writer);
                *lease = LeaseFigures {
                    state: view.standing.name().to_owned(),
                    own: view.claim.writer == own,
                    generation: view.generation().unwrap_or(0),
                    still_ms: view.still_ms,
                };
            }
        }
    }

    /// These gateways of this machine ask.
    pub(crate) fn gateways(&self, gateways: Vec<GatewayFigures>) {
        self.known().gateways = gateways;
    }

    /// What was under way is sent again, or reading begins again.
    pub(crate) fn again(&self) {
        self.known().again += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills in what is known.
    fn fill(&self, figures: &mut BridgeFigures, now_ms: u64) {
        let known = self.known();
        figures.shards = u32::try_from(known.lanes.len()).unwrap_or(u32::MAX);
        figures.behind = known.lanes.values().map(|lag| lag.behind).sum();
        let waiting = known.lanes.values().filter(|lag| lag.behind > 0 && lag.since_ms > 0);
        let oldest_ms = waiting.map(|lag| lag.since_ms).min();
        figures.behind_ms = oldest_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        figures.under_way = known.under_way.values().sum();
        figures.again = known.again;
        let streams = known.streams.values().take(STREAMS_MAX).cloned();
        (figures.streams, figures.leases) = streams.unzip();
        figures.gateways.clone_from(&known.gateways);
    }
}

impl Known {
    fn stream(&mut self, name: &str) -> &mut (StreamFigures, LeaseFigures) {
        self.streams.entry(name.to_owned()).or_insert_with(|| {
            let stream = StreamFigures { name: name.to_owned(), ..StreamFigures::default() };
            (stream, LeaseFigures::default())
        })
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Which bridge it is.
pub(crate) struct Who {
    pub(crate) instance: String,
    pub(crate) bot: String,
    pub(crate) end: &'static str,
    pub(crate) window: u16,
    pub(crate) client: Client,
}

/// Says it until `stop` says so. Nobody needs it who is served: without it the bridge is only not seen.
pub(crate) async fn put_up(
    notice: Arc<Notice>,
    who: Who,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    // Gone with the file, unless the other end runs here, too.
    let folder = Going::new(topology::bridge_dir(&who.instance).into());
    // Mostly at once; it takes a tenth of a second where somebody else has it.
    let board = match Board::put_up(folder.path(), who.end) {
        Ok(board) => board,
        Err(error) => {
            tracing::warn!(%error, "mixcord ls and monitor do not see this bridge");
            return Ok(());
        }
    };
    let mut figures = BridgeFigures {
        pid: std::process::id(),
        started_us: now_ms() * 1_000,
        end: who.end.to_owned(),
        bot: who.bot,
        window: who.window.into(),
        ..BridgeFigures::default()
    };
    loop {
        figures.connected = who.client.connection_state() == State::Connected;
        notice.fill(&mut figures, now_ms());
        if let Err(error) = board.write(&figures.encode(WRITER)) {
            tracing::debug!(%error, "how this bridge is cannot be written");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mixcord_bridge::lease::{Claim, Standing};

    use super::*;

    #[test]
    fn what_waits_is_summed_and_the_oldest_tells_for_how_long() {
        let (notice, lane) = (Notice::default(), |shard| Lane { shard, count: 4 });
        notice.lane(lane(0), Lag { behind: 3, since_ms: 900 });
        notice.lane(lane(1), Lag { behind: 4, since_ms: 700 });
        notice.lane(lane(2), Lag { behind: 0, since_ms: 100 });
        notice.stream("s", 5, 10);
        let claim = Claim { writer: 4, place: "prod on a".to_owned(), ..Claim::default() };
        let view =
            |stream, still_ms| View { stream, claim: &claim, standing: Standing::Held, still_ms };
        notice.leases(4, [view("s", 6), view("another", 8)].into_iter());
        notice.gateways(vec![GatewayFigures::default()]);
        notice.under_way("s", 7);
        notice.again();
        let mut figures = BridgeFigures::default();
        notice.fill(&mut figures, 1_000);
        let BridgeFigures { leases, gateways, .. } = &figures;
        let held = LeaseFigures { state: "held".to_owned(), own: true, generation: 0, still_ms: 6 };
        assert_eq!((&**leases, gateways.len()), (&[held][..], 1), "of its stream, in its place");
        let BridgeFigures { shards, behind, behind_ms, under_way, again, streams, .. } = figures;
        assert_eq!((shards, behind, behind_ms, under_way, again), (3, 7, 300, 7, 1));
        assert_eq!(streams.len(), 1, "of others nothing is known");
        assert_eq!(
            (&*streams[0].writer, streams[0].bytes, streams[0].bytes_max),
            ("prod on a", 5, 10)
        );
    }
}
