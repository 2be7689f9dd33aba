//! The lines of a session's log: its head, and what is written down of it.

use mixcord::Kind;

use super::{Filter, Route};
use crate::intents::Intents;

/// Bytes of the head and of an entry.
pub(super) const SIZE: usize = 64;
/// What files of this layout, and of this way to count, begin with.
pub(super) const MAGIC: [u8; 8] = *b"MXPROXY2";
/// Guild ids in one entry.
pub(super) const LISTED: usize = 7;
/// Bytes of a nonce (G-31).
const NONCE_MAX: usize = 32;

/// On what terms a session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The ring whose positions count.
    pub(crate) ring: u64,
    /// The position at which it began.
    pub(crate) start: u64,
    pub(crate) shard: u32,
    pub(crate) shards: u32,
    pub(crate) intents: u64,
    /// From how many members on a guild is large.
    pub(crate) large: u32,
    /// The bot: some events are sent to it alone.
    pub(crate) me: u64,
}

/// What is written down. Numbers (`seq`) are those of what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Guilds that are to be given.
    Listed(Vec<u64>),
    /// A guild's snapshot.
    Guild { seq: u64, position: u64, guild: u64 },
    /// There was nothing to give of a guild: from this position on its records are sent.
    GivenUp { position: u64, guild: u64 },
    /// Every record below the position is numbered, up to `seq`.
    Mark { seq: u64, position: u64 },
    /// A record that only those are sent who asked.
    Routed { seq: u64, position: u64, nonce: Option<String> },
    /// What is in no record.
    Answer { seq: u64, position: u64 },
    /// RESUMED, which need not be sent again.
    Resumed { seq: u64 },
    /// A request for members: our nonce and the client's.
    Asked { number: u64, nonce: String },
    /// A request whose answer, of this kind and about this guild, carries no nonce; with the answer's number, once it
    /// is there.
    Other { kind: Kind, guild: u64, answer: Option<u64> },
    /// The client has the bot's voice in a guild, or no longer.
    Voice { guild: u64, speaks: bool },
    /// Numbers above this one were given back: what had them is sent again.
    Cut { seq: u64 },
}

impl Entry {
    pub(super) fn routed(seq: u64, position: u64, route: &Route) -> Self {
        Self::Routed { seq, position, nonce: route.nonce.clone() }
    }

    /// The number that goes with it.
    pub(super) const fn seq(&self) -> Option<u64> {
        match self {
            Self::Guild { seq, .. }
            | Self::Mark { seq, .. }
            | Self::Routed { seq, .. }
            | Self::Answer { seq, .. }
            | Self::Resumed { seq } => Some(*seq),
            Self::Other { answer, .. } => *answer,
            _ => None,
        }
    }

    /// Whether it stands until it is done, whatever else is forgotten.
    pub(super) const fn is_in_force(&self) -> bool {
        matches!(self, Self::Asked { .. } | Self::Other { .. } | Self::Voice { .. })
    }

    pub(super) fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (kind, words, text): (u8, [u64; 3], &str) = match self {
            Self::Listed(guilds) => {
                bytes[0] = 1;
                bytes[1] = guilds.len().min(LISTED) as u8;
                for (place, guild) in bytes[8..].chunks_exact_mut(8).zip(guilds) {
                    place.copy_from_slice(&guild.to_le_bytes());
                }
                return bytes;
            }
            Self::Guild { seq, position, guild } => (2, [*seq, *position, *guild], ""),
            Self::GivenUp { position, guild } => (3, [0, *position, *guild], ""),
            Self::Mark { seq, position } => (4, [*seq, *position, 0], ""),
            Self::Routed { seq, position, nonce } => {
                let text = nonce.as_deref().unwrap_or_default();
                (5, [*seq, *position, nonce.is_some().into()], text)
            }
            Self::Answer { seq, position } => (6, [*seq, *position, 0], ""),
            Self::Resumed { seq } => (7, [*seq, 0, 0], ""),
            Self::Asked { number, nonce } => (8, [0, 0, *number], nonce),
            Self::Voice { guild, speaks } => (9, [0, u64::from(*speaks), *guild], ""),
            Self::Cut { seq } => (10, [*seq, 0, 0], ""),
            Self::Other { kind, guild, answer } => {
                let kind = u64::from(*kind == Kind::CHANNEL_INFO);
                (11, [answer.unwrap_or(0), kind, *guild], "")
            }
        };
        let text = text.as_bytes().get(..NONCE_MAX).unwrap_or(text.as_bytes());
        (bytes[0], bytes[1]) = (kind, text.len() as u8);
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[32..32 + text.len()].copy_from_slice(text);
        bytes
    }

    /// `None` of what this release does not write.
    pub(super) fn from_bytes(bytes: &[u8; SIZE]) -> Option<Self> {
        let [seq, position, number] = [8, 16, 24].map(|at| word(bytes, at));
        let text = || {
            let text = bytes.get(32..32 + usize::from(bytes[1]))?;
            String::from_utf8(text.to_vec()).ok()
        };
        Some(match bytes[0] {
            1 => {
                let count = usize::from(bytes[1]).min(LISTED);
                Self::Listed((0..count).map(|place| word(bytes, 8 + 8 * place)).collect())
            }
            2 => Self::Guild { seq, position, guild: number },
            3 => Self::GivenUp { position, guild: number },
            4 => Self::Mark { seq, position },
            5 if number == 0 => Self::Routed { seq, position, nonce: None },
            5 => Self::Routed { seq, position, nonce: Some(text()?) },
            6 => Self::Answer { seq, position },
            7 => Self::Resumed { seq },
            8 => Self::Asked { number, nonce: text()? },
            9 => Self::Voice { guild: number, speaks: position != 0 },
            10 => Self::Cut { seq },
            11 => {
                let kinds = [Kind::SOUNDBOARD_SOUNDS, Kind::CHANNEL_INFO];
                let kind = kinds[usize::from(position != 0)];
                Self::Other { kind, guild: number, answer: (seq != 0).then_some(seq) }
            }
            _ => return None,
        })
    }
}

impl Head {
    /// What it is sent.
    pub(crate) fn filter(&self) -> Filter {
        let intents = Intents::from_bits(self.intents).unwrap_or(Intents::NONE);
        Filter { shard: self.shard, shards: self.shards, intents, me: self.me }
    }

    pub(super) fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        let pair = |a: u32, b: u32| u64::from(a) | u64::from(b) << 32;
        let shards = pair(self.shard, self.shards);
        let words = [self.ring, self.start, shards, self.intents, self.large.into(), self.me];
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; SIZE]) -> Option<Self> {
        let [ring, start, shards, intents, large, me] =
            [8, 16, 24, 32, 40, 48].map(|at| word(bytes, at));
        (bytes[..8] == MAGIC).then_some(Self {
            ring,
            start,
            shard: shards as u32,
            shards: (shards >> 32) as u32,
            intents,
            large: large as u32,
            me,
        })
    }
}

fn word(bytes: &[u8; SIZE], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}
