//! How a shard stands: the beginning of its ring's checkpoint, for anybody to read.

use serde::{Deserialize, Serialize};

/// The layout of these bytes. Another one is not read.
const VERSION: u8 = 2;
/// No status is larger.
const BYTES_MAX: usize = 1 << 10;

/// What the gateway keeps of a shard beside its records. It is committed with them, and with every
/// answered heartbeat.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ShardStatus {
    /// `disconnected`, `connecting`, `identifying`, `resuming`, `connected` or `stopped`.
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

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES_MAX>()
}

impl ShardStatus {
    /// The beginning of a checkpoint, behind which the gateway puts what only it needs.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Texts and latencies are bounded by who fills them in; an empty status says nothing wrong.
        bytes.extend(bincode::serde::encode_to_vec(self, configuration()).unwrap_or_default());
        bytes
    }

    /// Reads the beginning of a checkpoint, and gives what is behind it.
    pub fn decode(checkpoint: &[u8]) -> Option<(Self, &[u8])> {
        let (version, bytes) = checkpoint.split_first()?;
        let (status, used): (Self, usize) =
            bincode::serde::decode_from_slice(bytes, configuration()).ok()?;
        (*version == VERSION).then_some((status, bytes.get(used..)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_status_is_left_to_others() {
        let status = ShardStatus {
            state: "connected".into(),
            seq: Some(9),
            latencies_us: vec![40_000; 10],
            ..ShardStatus::default()
        };
        let mut bytes = status.encode();
        let length = bytes.len();
        bytes.extend_from_slice(b"rest");
        assert_eq!(ShardStatus::decode(&bytes), Some((status, &b"rest"[..])));
        for end in 0..length {
            assert_eq!(ShardStatus::decode(&bytes[..end]), None, "{end}");
        }
        assert_eq!(ShardStatus::decode(&[0xff; 100]), None);
    }
}
