use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_event::figures::ShardFigures;
use mixcord_event::presence::SetPresence;
use mixcord_event::send::PresenceUpdate;
use mixcord_event::status::{self, SessionFacts};
use mixcord_event::topology;
use mixcord_holdup::Oldest;
use mixcord_ring::Ring;
use serde::Serialize;

use super::PausesStatus;

/// How a shard's connection to Discord stands, as its gateway process says in the shard's ring.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShardStatus {
    /// The shard.
    pub shard: u16,
    /// Of how many.
    pub shards: u16,
    /// `disconnected`, `connecting`, `identifying`, `resuming`, `connected`, `paused` or `stopped`: what it
    /// was last, when the gateway process is gone.
    pub state: String,
    /// The counter of the newest session; 0 before the first.
    pub session: u32,
    /// Discord's last sequence number in the ring.
    pub seq: Option<u64>,
    /// Latencies of the last ten heartbeats in milliseconds, newest last.
    pub latencies_ms: Vec<f64>,
    /// Connections lost since the gateway started.
    pub reconnects: u64,
    /// Messages left out because they could not be decoded.
    pub undecodable: u64,
    /// Gap records written since the gateway started.
    pub gaps: u64,
    /// Times the socket was not read because the ring was full.
    pub stalls: u64,
    /// How long it was not read in all, in seconds, up to now.
    pub stalled_seconds: f64,
    /// How long it is not read now, in seconds; `null` while it is. The longer it lasts, the likelier
    /// Discord drops the session.
    pub stalled_now_seconds: Option<f64>,
    /// For how long the session lives, in seconds; `null` where that is not known. It goes on over restarts.
    pub session_seconds: Option<f64>,
    /// IDENTIFYs sent since the gateway started.
    pub identifies: u64,
    /// RESUMEs sent since the gateway started.
    pub resumes: u64,
    /// Whether the cache lost what it had of this shard, and no session was begun since, which would bring it again.
    pub awaits_refill: bool,
    /// Sessions begun for that since the gateway started.
    pub refills: u64,
    /// The last close code that Discord gave; `null` where it gave none.
    pub last_close: Option<u16>,
    /// Gap records since the gateway started, by reason.
    pub gaps_by_reason: BTreeMap<String, u64>,
    /// How long ago the gateway received what it wrote last, in seconds; `null` where that is not known, and
    /// below 0 when the clock went back since.
    pub last_event_seconds: Option<f64>,
    /// What is left of the token's identifies, as the gateway knew it last; `null` where it does not say.
    pub budget: Option<BudgetStatus>,
    /// How many shards Discord recommends for the bot, as the gateway knew it last; `null` where it does not say.
    pub recommended_shards: Option<u64>,
    /// The gateway process, in its own pid namespace; `null` where it does not say.
    pub pid: Option<u32>,
    /// When the gateway process was away for long from this shard.
    pub pauses: PausesStatus,
    /// What the bot shows because a command said so, after a new session as well; `null` where none did.
    pub presence: Option<PresenceUpdate>,
    /// The bits of the intents that its session was begun with; `null` where there is none.
    pub intents: Option<u64>,
    /// The first half of the SHA-256 of the bot's token, by which one that somebody shows is known again.
    #[serde(skip)]
    pub fingerprint: Option<[u8; 16]>,
}

/// How many sessions of the token may still be begun.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// Identifies that are left.
    pub left: u64,
    /// Identifies of a whole budget.
    pub total: u64,
    /// In how many seconds it is whole again; 0 when it is.
    pub whole_seconds: f64,
    /// How long ago this was so, in seconds.
    pub age_seconds: f64,
}

impl ShardStatus {
    /// What the checkpoint of a shard's ring says; `None` for another ring, one without a word yet,
    /// or one of another version.
    pub(crate) fn of(ring: &Ring) -> Option<Self> {
        let (shard, shards) = topology::parse_shard_ring(ring.name())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let checkpoint = ring.checkpoint()?;
        let mut status =
            Self::read(shard, shards, &checkpoint, now.as_micros(), ring.producer_alive())?;
        let began_at = ShardFigures::decode(&checkpoint).map_or(0, |figures| figures.began_at);
        status.awaits_refill = ring.asked_anew() > began_at;
        let last = ring.tail().checked_sub(1).and_then(|last| Oldest::at(ring, last));
        let received_us = last.map(|last| last.received_us).filter(|received_us| *received_us != 0);
        // Of an event from the future, which tells that the clock went back, it is below 0.
        status.last_event_seconds =
            received_us.map(|us| (now.as_micros() as f64 - us as f64) / 1e6);
        Some(status)
    }

    fn read(shard: u16, shards: u16, checkpoint: &[u8], now_us: u128, alive: bool) -> Option<Self> {
        let status = status::ShardStatus::decode(checkpoint)?;
        let seconds = |us: u128| us as f64 / 1e6;
        // A process that is gone reads nothing, and no longer waits to.
        let stalled_now_seconds = status
            .stalled_since_us
            .filter(|_| alive)
            .map(|since| seconds(now_us.saturating_sub(since.into())));
        let figures = ShardFigures::decode(checkpoint).unwrap_or_default();
        let since = |us: u64| (us != 0).then(|| seconds(now_us.saturating_sub(us.into())));
        let budget = figures.budget.map(|budget| BudgetStatus {
            left: budget.left,
            total: budget.total,
            whole_seconds: seconds(u128::from(budget.whole_us).saturating_sub(now_us)),
            age_seconds: seconds(now_us.saturating_sub(budget.at_us.into())),
        });
        let session = SessionFacts::decode(checkpoint);
        Some(Self {
            intents: session.map(|session| session.intents),
            fingerprint: session.map(|session| session.fingerprint),
            session_seconds: since(figures.session_since_us),
            identifies: figures.identifies,
            resumes: figures.resumes,
            awaits_refill: false,
            refills: figures.refills,
            last_close: figures.last_close,
            gaps_by_reason: figures.gaps.into_iter().collect(),
            last_event_seconds: None,
            budget,
            recommended_shards: (figures.recommended != 0).then_some(figures.recommended),
            pauses: PausesStatus::new(&figures.pauses, now_us),
            presence: SetPresence::decode(checkpoint).map(|set| set.presence),
            pid: (figures.pid != 0).then_some(figures.pid),
            shard,
            shards,
            state: status.state,
            session: status.session,
            seq: status.seq,
            latencies_ms: status.latencies_us.iter().map(|us| *us as f64 / 1e3).collect(),
            reconnects: status.reconnects,
            undecodable: status.undecodable,
            gaps: status.gaps,
            stalls: status.stalls,
            stalled_seconds: status.stalled_ms as f64 / 1e3 + stalled_now_seconds.unwrap_or(0.0),
            stalled_now_seconds,
        })
    }

    /// The last heartbeat's latency in milliseconds.
    #[must_use]
    pub fn latency_ms(&self) -> Option<f64> {
        self.latencies_ms.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_while_it_lasts_and_while_somebody_waits() {
        let bytes = status::ShardStatus {
            state: "connected".into(),
            latencies_us: vec![41_000, 42_500],
            stalls: 3,
            stalled_ms: 2_000,
            stalled_since_us: Some(1_000_000),
            ..status::ShardStatus::default()
        }
        .encode();
        let read = |alive| ShardStatus::read(0, 1, &bytes, 31_000_000, alive).expect("a status");
        assert_eq!(read(true).stalled_now_seconds, Some(30.0));
        assert_eq!(read(true).stalled_seconds, 32.0);
        assert_eq!(read(true).latency_ms(), Some(42.5));
        assert_eq!(read(false).stalled_now_seconds, None);
        assert_eq!(read(false).stalled_seconds, 2.0);
        assert_eq!(ShardStatus::read(0, 1, &[9; 90], 0, true), None, "of another version");
    }
}
