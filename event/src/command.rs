//! What consumers ask of a gateway process, over its
//! [command socket](crate::topology::command_socket).
//!
//! The socket is `SOCK_SEQPACKET`: one [`Request`] a packet, answered by one [`Reply`] a packet, in
//! order. Both are a version byte and bincode with a limit.
//!
//! ```
//! use mixcord_event::command::{Command, Request, Target};
//! use mixcord_event::send::VoiceState;
//!
//! let leave = VoiceState { guild_id: 41, channel_id: None, self_mute: false, self_deaf: false };
//! let request = Request { target: Target::Guild, command: Command::VoiceState(leave) };
//! let packet = request.encode().unwrap();
//! assert_eq!(Request::decode(&packet), Some(request));
//! ```

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::send::{
    Outgoing, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds, VoiceState,
};

/// The largest packet, in bytes. Discord itself takes 4,096 (G-30).
pub const PACKET_MAX: usize = 16 << 10;
/// The layout of both packets. Another one is not read.
const VERSION: u8 = 1;
/// Ids in one request for members (G-31).
const USER_IDS_MAX: usize = 100;
/// Bytes of a nonce; Discord drops longer ones without a word (G-31).
const NONCE_MAX: usize = 32;

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Where.
    pub target: Target,
    /// What.
    pub command: Command,
}

/// The shards a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Target {
    /// The shard of the command's guild (G-39).
    Guild,
    /// This shard.
    Shard(u16),
    /// Every shard of the process.
    All,
}

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// op 3.
    Presence(PresenceUpdate),
    /// op 4.
    VoiceState(VoiceState),
    /// op 8.
    RequestMembers(RequestMembers),
    /// op 31.
    RequestSounds(RequestSounds),
    /// op 43.
    RequestChannelInfo(RequestChannelInfo),
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// It was sent to Discord.
    Accepted,
    /// It was not, by any shard.
    Refused(Refusal),
    /// Of the shards of [`Target::All`] these did not send it, the others did.
    Partly {
        /// Each of them, and why.
        refused: Vec<(u16, Refusal)>,
    },
}

/// Why a request was not carried out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The packet is no request of this version.
    #[error("not a request this gateway understands: use the same version on both sides")]
    Malformed,
    /// The request could never be carried out.
    #[error("{0}")]
    Invalid(String),
    /// Another gateway process runs that shard, or nobody.
    #[error("shard {shard} does not run in this gateway process")]
    WrongShard {
        /// The shard.
        shard: u16,
    },
    /// The shard has no session at the moment.
    #[error("shard {shard} is not connected")]
    NotConnected {
        /// The shard.
        shard: u16,
    },
    /// Discord would close the connection (G-28, G-29).
    #[error("rate limited: try again in {retry_after_ms} ms")]
    RateLimited {
        /// When to try again.
        retry_after_ms: u64,
    },
}

impl Request {
    /// The packet; `None` when it would be larger than [`PACKET_MAX`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        encode(self)
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        decode(packet)
    }
}

impl Reply {
    /// The packet; `None` when it would be larger than [`PACKET_MAX`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        encode(self)
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        decode(packet)
    }
}

impl Command {
    /// The guilds it is about.
    pub fn guilds(&self) -> &[u64] {
        match self {
            Self::Presence(_) => &[],
            Self::VoiceState(state) => std::slice::from_ref(&state.guild_id),
            Self::RequestMembers(request) => std::slice::from_ref(&request.guild_id),
            Self::RequestSounds(request) => &request.guild_ids,
            Self::RequestChannelInfo(request) => std::slice::from_ref(&request.guild_id),
        }
    }

    /// What Discord would refuse or silently drop, found before anything is sent.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        let invalid = |why: &str| Err(Refusal::Invalid(why.to_owned()));
        match self {
            Self::RequestMembers(request) => {
                if request.user_ids.len() > USER_IDS_MAX {
                    return invalid("at most 100 user ids: split the request");
                }
                if !request.user_ids.is_empty() && request.query.is_some() {
                    return invalid("user ids or a query, not both");
                }
                if request.nonce.as_ref().is_some_and(|nonce| nonce.len() > NONCE_MAX) {
                    return invalid("a nonce has at most 32 bytes");
                }
            }
            Self::RequestSounds(request) if request.guild_ids.is_empty() => {
                return invalid("at least one guild");
            }
            _ => {}
        }
        Ok(())
    }

    /// The payload to send.
    pub fn into_outgoing(self) -> Outgoing {
        match self {
            Self::Presence(presence) => Outgoing::PresenceUpdate(presence),
            Self::VoiceState(state) => Outgoing::VoiceState(state),
            Self::RequestMembers(request) => Outgoing::RequestMembers(request),
            Self::RequestSounds(request) => Outgoing::RequestSounds(request),
            Self::RequestChannelInfo(request) => Outgoing::RequestChannelInfo(request),
        }
    }
}

macro_rules! commands_from {
    ($($payload:ident => $variant:ident),*) => {$(
        impl From<$payload> for Command {
            fn from(payload: $payload) -> Self {
                Self::$variant(payload)
            }
        }
    )*};
}

commands_from!(
    PresenceUpdate => Presence,
    VoiceState => VoiceState,
    RequestMembers => RequestMembers,
    RequestSounds => RequestSounds,
    RequestChannelInfo => RequestChannelInfo
);

/// The shard that has `guild` (G-39).
pub fn shard_of(guild: u64, shards: u16) -> u16 {
    u16::try_from((guild >> 22) % u64::from(shards.max(1))).unwrap_or(0)
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<PACKET_MAX>()
}

fn encode(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut packet = vec![VERSION];
    packet.extend(bincode::serde::encode_to_vec(value, configuration()).ok()?);
    (packet.len() <= PACKET_MAX).then_some(packet)
}

fn decode<T: DeserializeOwned>(packet: &[u8]) -> Option<T> {
    let (version, rest) = packet.split_first()?;
    let (value, used) = bincode::serde::decode_from_slice(rest, configuration()).ok()?;
    (*version == VERSION && used == rest.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: usize, nonce: &str) -> Command {
        Command::RequestMembers(RequestMembers {
            guild_id: 1 << 22,
            user_ids: vec![u64::MAX; ids],
            nonce: Some(nonce.to_owned()),
            ..RequestMembers::default()
        })
    }

    #[test]
    fn g31_limits_are_checked_before_sending() {
        assert_eq!(members(100, &"n".repeat(32)).check(), Ok(()));
        assert!(members(101, "").check().is_err());
        assert!(members(1, &"n".repeat(33)).check().is_err());
    }

    #[test]
    fn g39_the_shard_of_a_guild() {
        assert_eq!(
            shard_of(197_038_439_483_310_086, 16),
            ((197_038_439_483_310_086u64 >> 22) % 16) as u16
        );
        assert_eq!(shard_of(5 << 22, 4), 1);
        assert_eq!(shard_of(5 << 22, 0), 0);
    }

    #[test]
    fn p8_other_bytes_are_no_request() {
        let packet = Request { target: Target::Guild, command: members(3, "x") }.encode().unwrap();
        for end in 0..packet.len() {
            assert_eq!(Request::decode(&packet[..end]), None);
        }
        assert_eq!(Request::decode(&[VERSION; 4000]), None);
        assert_eq!(Reply::decode(&[]), None);
        // A length that claims more than there is.
        let mut long = vec![VERSION, 0, 2, 1];
        long.extend([253; 9]);
        assert_eq!(Request::decode(&long), None);
    }
}
