//! How a shard stands: a section of its ring's checkpoint, for anybody to read.
//!
//! The gateway's checkpoint is the byte [`CHECKPOINT`] and [`crate::sections`]:
//! [`WRITER`](crate::sections::WRITER), what only a gateway needs ([`PROGRESS`], [`SESSION`]), and the
//! status, without which every session goes on just as well.

use serde::{Deserialize, Serialize};

use crate::sections;

/// The first byte of a checkpoint made of sections.
pub const CHECKPOINT: u8 = 3;
/// The section that says how far the shard's sessions came; the gateway's own.
pub const PROGRESS: u8 = 2;
/// The section with the session that can be resumed; the gateway's own.
pub const SESSION: u8 = 3;
/// In a ring that mixcord-bridge writes: which log it mirrors, and how far; the bridge's own.
pub const MIRROR: u8 = 32;
/// The section with the status. [`crate::figures`] has another, [`crate::presence`] the one behind that.
const STATUS: u8 = 4;
/// Raised only when the fields it has begin to mean something else.
const VERSION: u8 = 1;

/// What the gateway keeps of a shard beside its records. It is committed with them, and with every
/// answered heartbeat.
///
/// A new field goes to the end, and 0 (or nothing) in it says that nothing is known.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ShardStatus {
    /// `disconnected`, `connecting`, `identifying`, `resuming`, `connected`, `paused` or `stopped`.
    pub state: String,
    /// The counter of the newest session; 0 before the first.
    pub session: u32,
    /// Discord's last sequence number in the ring; `None` before the first session.
    pub seq: Option<u64>,
    /// Latencies of the last heartbeats in microseconds, newest last; at most ten.
    pub latencies_us: Vec<u64>,
    /// Connections lost since the gateway started.
    pub reconnects: u64,
    /// Messages left out because they could not be decoded.
    pub undecodable: u64,
    /// Gap records written since the gateway started.
    pub gaps: u64,
    /// Times the socket was not read because the ring was full.
    pub stalls: u64,
    /// How long it was not read in all, in milliseconds, without the present time.
    pub stalled_ms: u64,
    /// Since when it is not read, in microseconds since the Unix epoch; `None` while it is. The
    /// longer it lasts the likelier Discord's replay buffer overflows, and the session is lost (G-23).
    pub stalled_since_us: Option<u64>,
}

impl ShardStatus {
    /// Appends the section to a checkpoint.
    pub fn put(&self, checkpoint: &mut Vec<u8>) {
        // Texts and latencies are bounded by who fills them in; a checkpoint without a status says
        // nothing wrong.
        let content = bincode::serde::encode_to_vec(self, bincode::config::standard());
        sections::put(checkpoint, STATUS, VERSION, &content.unwrap_or_default());
    }

    /// A checkpoint with nothing else.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![CHECKPOINT];
        self.put(&mut bytes);
        bytes
    }

    /// Reads it from a checkpoint, if that has one.
    pub fn decode(checkpoint: &[u8]) -> Option<Self> {
        match checkpoint.split_first()? {
            (&CHECKPOINT, sections) => {
                sections::find(sections, STATUS, VERSION).and_then(sections::read)
            }
            _ => decode_v2(checkpoint).map(|(status, _)| status),
        }
    }
}

/// What the session of a shard was begun with, as its gateway keeps it to know whether it may be resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionFacts {
    /// The intents' bits.
    pub intents: u64,
    /// The first half of the SHA-256 of the bot's token.
    pub fingerprint: [u8; 16],
}

impl SessionFacts {
    /// Reads them from a checkpoint; `None` where there is no session.
    pub fn decode(checkpoint: &[u8]) -> Option<Self> {
        /// The beginning of the section [`SESSION`], which never changes within its version.
        #[derive(Deserialize)]
        struct Kept {
            _id: String,
            _resume_url: Option<String>,
            _shard: u16,
            _shards: u16,
            intents: u64,
            _etf: bool,
            _api_version: u8,
            fingerprint: [u8; 16],
        }

        let (&CHECKPOINT, sections) = checkpoint.split_first()? else { return None };
        let kept: Kept = sections::read(sections::find(sections, SESSION, VERSION)?)?;
        Some(Self { intents: kept.intents, fingerprint: kept.fingerprint })
    }
}

/// Whether the sessions of a shard are over for good, as its checkpoint says: its gateway ended, and left none that could
/// be resumed. Its ring is what it is until a gateway runs the shard again.
#[must_use]
pub fn is_closed(checkpoint: &[u8]) -> bool {
    let Some((&CHECKPOINT, sections)) = checkpoint.split_first() else { return false };
    ShardStatus::decode(checkpoint).is_some_and(|it| it.state == "stopped")
        && sections::find(sections, SESSION, VERSION).is_none()
}

/// What a checkpoint would be if its gateway had [closed](is_closed) the sessions of the shard: for a ring that was left by
/// one that was killed before it came to that.
#[must_use]
pub fn closed(checkpoint: &[u8]) -> Vec<u8> {
    let Some((&CHECKPOINT, sections)) = checkpoint.split_first() else {
        return checkpoint.to_vec();
    };
    let status = ShardStatus::decode(checkpoint).unwrap_or_default();
    let mut closed = vec![CHECKPOINT];
    for (section, bytes) in sections::each(sections) {
        if section != SESSION && section != STATUS {
            closed.extend_from_slice(bytes);
        }
    }
    ShardStatus { state: "stopped".to_owned(), ..status }.put(&mut closed);
    closed
}

/// Reads the status at the beginning of a checkpoint as Mixcord wrote it before it had sections, and
/// gives what is behind it.
pub fn decode_v2(checkpoint: &[u8]) -> Option<(ShardStatus, &[u8])> {
    /// Never changes.
    #[derive(Deserialize)]
    struct Before {
        state: String,
        session: u32,
        seq: Option<u64>,
        latencies_us: Vec<u64>,
        reconnects: u64,
        undecodable: u64,
        gaps: u64,
        stalls: u64,
        stalled_ms: u64,
        stalled_since_us: Option<u64>,
    }

    let (&2, bytes) = checkpoint.split_first()? else { return None };
    let configuration = bincode::config::standard().with_limit::<1024>();
    let (before, used): (Before, usize) =
        bincode::serde::decode_from_slice(bytes, configuration).ok()?;
    #[allow(clippy::needless_update, reason = "fields come later")]
    let status = ShardStatus {
        state: before.state,
        session: before.session,
        seq: before.seq,
        latencies_us: before.latencies_us,
        reconnects: before.reconnects,
        undecodable: before.undecodable,
        gaps: before.gaps,
        stalls: before.stalls,
        stalled_ms: before.stalled_ms,
        stalled_since_us: before.stalled_since_us,
        ..ShardStatus::default()
    };
    Some((status, bytes.get(used..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_is_closed_for_another_keeps_the_rest() {
        let status =
            ShardStatus { state: "connected".into(), seq: Some(9), ..ShardStatus::default() };
        let mut bytes = status.encode();
        sections::put(&mut bytes, SESSION, VERSION, b"a session");
        sections::put(&mut bytes, PROGRESS, VERSION, b"how far");
        assert!(!is_closed(&bytes));
        let closed = closed(&bytes);
        assert!(is_closed(&closed));
        assert_eq!(sections::find(&closed[1..], PROGRESS, VERSION), Some(&b"how far"[..]));
        assert_eq!(ShardStatus::decode(&closed).map(|status| status.seq), Some(Some(9)));
        assert_eq!(super::closed(&closed), closed);
        assert!(!is_closed(&super::closed(b"no checkpoint")), "P8");
    }

    #[test]
    fn p8_other_bytes_are_no_status() {
        let status = ShardStatus {
            state: "connected".into(),
            seq: Some(9),
            latencies_us: vec![40_000; 10],
            ..ShardStatus::default()
        };
        let mut bytes = status.encode();
        for end in 0..bytes.len() {
            assert_eq!(ShardStatus::decode(&bytes[..end]), None, "{end}");
        }
        bytes.extend_from_slice(b"rest");
        assert_eq!(ShardStatus::decode(&bytes), Some(status));
        assert_eq!(ShardStatus::decode(&[0xff; 100]), None);
        assert_eq!(ShardStatus::decode(&[2; 100]), None);
    }
}
