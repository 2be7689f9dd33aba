//! What a gateway process asks the bridge of its machine: over the [socket](crate::topology::permit_socket) of `send`, whether
//! it may identify now, where gateways of one token run on several machines, and whether it may run its shards, where
//! another machine may take them over; over [that](crate::topology::takeover_socket) of `receive`, to have the shards of a
//! machine that died.
//!
//! `SOCK_SEQPACKET`: one [`Ask`] a packet, answered by one [`Answer`] a packet. Both are a version byte and bincode. What
//! stands in a packet never changes: what is new stands at the end of the list, and who does not know it answers
//! [`Answer::Unknown`].

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest packet, in bytes.
pub const PACKET_MAX: usize = 1 << 10;
const VERSION: u8 = 1;

/// A rate-limit bucket of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Bucket {
    /// The token's fingerprint, which says nothing of it.
    pub token: [u8; 16],
    /// `shard % max_concurrency`.
    pub number: u32,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// May a shard identify?
    Claim {
        /// Its bucket.
        bucket: Bucket,
        /// Time between two identifies, in milliseconds.
        spacing_ms: u64,
    },
    /// IDENTIFY was written.
    Used {
        /// The bucket.
        bucket: Bucket,
        /// Which permit.
        permit: u64,
    },
    /// It was not, and will not be.
    Unused {
        /// The bucket.
        bucket: Bucket,
        /// Which permit.
        permit: u64,
    },
    /// May these shards have sessions here? Nobody else may as long as it is [`Answer::Held`].
    Run(Shards),
    /// Let these shards be this machine's, as soon as whoever runs them died. Their rings are let go then.
    TakeOver(Shards),
}

/// Shards of a gateway process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shards {
    /// The first.
    pub first: u16,
    /// The last, included.
    pub last: u16,
    /// Of how many.
    pub count: u16,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Write IDENTIFY now.
    Granted {
        /// Which permit.
        permit: u64,
        /// For so many milliseconds from when it was asked for, and not later.
        valid_ms: u64,
    },
    /// Ask again after so many milliseconds.
    Wait {
        /// How many.
        ms: u64,
        /// Why, where it is not another machine's identify.
        why: Option<String>,
    },
    /// It is known.
    Noted,
    /// The question is of a later release.
    Unknown,
    /// They may, for so many milliseconds from when it was asked, and not later.
    Held {
        /// How many.
        valid_ms: u64,
    },
    /// They may not any more: another machine runs them.
    Over {
        /// Which, and what to do.
        why: String,
    },
}

impl Ask {
    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads it.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        decode(packet)
    }
}

impl Answer {
    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads it.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        decode(packet)
    }
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<PACKET_MAX>()
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut packet = vec![VERSION];
    packet.extend(bincode::serde::encode_to_vec(value, configuration()).unwrap_or_default());
    packet
}

fn decode<T: DeserializeOwned>(packet: &[u8]) -> Option<T> {
    let rest = packet.strip_prefix(&[VERSION])?;
    let (value, used) = bincode::serde::decode_from_slice(rest, configuration()).ok()?;
    (used == rest.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_back_and_nothing_else_is() {
        let bucket = Bucket { token: [7; 16], number: u32::MAX };
        for ask in [
            Ask::Claim { bucket, spacing_ms: 5_500 },
            Ask::Used { bucket, permit: u64::MAX },
            Ask::Unused { bucket, permit: 1 },
            Ask::Run(Shards { first: 0, last: u16::MAX - 1, count: u16::MAX }),
            Ask::TakeOver(Shards { first: 1, last: 2, count: 3 }),
        ] {
            let packet = ask.encode();
            assert_eq!(Ask::decode(&packet), Some(ask));
            assert!((0..packet.len()).all(|end| Ask::decode(&packet[..end]).is_none()));
        }
        for answer in [
            Answer::Granted { permit: 1, valid_ms: 2 },
            Answer::Wait { ms: 3, why: Some("so".into()) },
            Answer::Noted,
            Answer::Unknown,
            Answer::Held { valid_ms: 8_000 },
            Answer::Over { why: "so".into() },
        ] {
            let packet = answer.encode();
            assert!(packet.len() <= PACKET_MAX);
            assert_eq!(Answer::decode(&packet), Some(answer));
        }
        assert_eq!(Answer::decode(&[2, 2]), None, "of a later release");
    }
}
