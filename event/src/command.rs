//! What consumers ask of a gateway process, over its
//! [command socket](crate::topology::command_socket).
//!
//! The socket is `SOCK_SEQPACKET`: one [`Request`] a packet, answered by one [`Reply`] a packet, in
//! order. Both are a version byte and bincode with a limit.
//!
//! Consumer and gateway may be of different releases (P11). What stands in a packet never changes:
//! a command with one field more is a new [`Command`] at the end of the list, which an older gateway
//! answers with [`Refusal::Malformed`]. No release answers with a refusal that an older consumer
//! does not know: what is new is [`Refusal::Other`].
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
    Activity, Outgoing, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds,
    VoiceState,
};

/// The largest packet, in bytes. Discord itself takes 4,096 (G-30).
pub const PACKET_MAX: usize = 16 << 10;
/// The layout of both packets. Another one is not read.
const VERSION: u8 = 1;
/// Ids in one request for members (G-31).
const USER_IDS_MAX: usize = 100;
/// Bytes of a nonce; Discord drops longer ones without a word (G-31).
const NONCE_MAX: usize = 32;
/// What op 3 may say of the bot itself.
const STATUSES: [&str; 5] = ["online", "dnd", "idle", "invisible", "offline"];
/// Activities are 0 playing to 5 competing.
const ACTIVITY_KIND_MAX: u8 = 5;
/// The kind that has a URL.
const STREAMING: u8 = 1;
/// Characters of an activity's name or state.
const ACTIVITY_TEXT_MAX: usize = 128;
/// What op 43 may ask for.
const CHANNEL_INFO: [&str; 2] = ["status", "voice_start_time"];

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
    /// Nothing is sent: the shard gives its connection up, makes another and resumes its session there.
    Reconnect,
    /// Nothing is sent: the shard gives its connection up in such a way that its session can be resumed, and makes
    /// no other for so long. Accepted when it has none and all it received is in its ring; refused for the moment
    /// until then. Asked again, the time begins anew.
    Pause {
        /// In seconds, at most [`PAUSE_MAX`]; with 0 the shard goes on at once.
        seconds: u16,
    },
}

/// The longest pause, in seconds: Discord keeps a session of which nobody hears for a few minutes (G-22).
pub const PAUSE_MAX: u16 = 300;

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
    /// The packet is no request that this gateway knows.
    #[error("the gateway does not know such a request: update mixcord-gateway")]
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
    /// Any other reason, which came later than the ones above.
    #[error("{why}")]
    Other {
        /// Why, and what to do about it.
        why: String,
        /// When to try again; `None` when that is no use.
        retry_after_ms: Option<u64>,
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
            Self::Presence(_) | Self::Reconnect | Self::Pause { .. } => &[],
            Self::VoiceState(state) => std::slice::from_ref(&state.guild_id),
            Self::RequestMembers(request) => std::slice::from_ref(&request.guild_id),
            Self::RequestSounds(request) => &request.guild_ids,
            Self::RequestChannelInfo(request) => std::slice::from_ref(&request.guild_id),
        }
    }

    /// What Discord would refuse or silently drop, found before anything is sent: an answer to one
    /// consumer's mistake would otherwise be a closed connection for all (4002).
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        let checked = match self {
            Self::Presence(presence) => presence.check(),
            Self::VoiceState(_) | Self::Reconnect => Ok(()),
            Self::Pause { seconds } if *seconds > PAUSE_MAX => {
                Err("a pause has at most 300 seconds: Discord would give the session up")
            }
            Self::Pause { .. } => Ok(()),
            Self::RequestMembers(request) => check_members(request),
            Self::RequestSounds(request) if request.guild_ids.is_empty() => {
                Err("at least one guild")
            }
            Self::RequestSounds(_) => Ok(()),
            Self::RequestChannelInfo(request) => check_channel_info(request),
        };
        checked.and_then(|()| self.check_guilds()).map_err(|why| Refusal::Invalid(why.to_owned()))
    }

    fn check_guilds(&self) -> Result<(), &'static str> {
        if self.guilds().contains(&0) { Err("0 is no guild's id") } else { Ok(()) }
    }

    /// The payload to send; `None` where nothing is.
    pub fn into_outgoing(self) -> Option<Outgoing> {
        Some(match self {
            Self::Presence(presence) => Outgoing::PresenceUpdate(presence),
            Self::VoiceState(state) => Outgoing::VoiceState(state),
            Self::RequestMembers(request) => Outgoing::RequestMembers(request),
            Self::RequestSounds(request) => Outgoing::RequestSounds(request),
            Self::RequestChannelInfo(request) => Outgoing::RequestChannelInfo(request),
            Self::Reconnect | Self::Pause { .. } => return None,
        })
    }
}

impl PresenceUpdate {
    /// What Discord would refuse.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        if !STATUSES.contains(&self.status.as_str()) {
            return Err("status has to be online, dnd, idle, invisible or offline");
        }
        self.activities.iter().try_for_each(Activity::check)
    }
}

impl Activity {
    fn check(&self) -> Result<(), &'static str> {
        let long = |text: &str| text.chars().count() > ACTIVITY_TEXT_MAX;
        if self.name.is_empty() || long(&self.name) {
            return Err("an activity's name has 1 to 128 characters");
        }
        if self.state.as_deref().is_some_and(long) {
            return Err("an activity's state has at most 128 characters");
        }
        if self.kind > ACTIVITY_KIND_MAX {
            return Err("an activity's type is 0 to 5");
        }
        match &self.url {
            Some(_) if self.kind != STREAMING => Err("only streaming (type 1) has a url"),
            Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
                Err("an activity's url begins with https://")
            }
            _ => Ok(()),
        }
    }
}

fn check_members(request: &RequestMembers) -> Result<(), &'static str> {
    if request.user_ids.len() > USER_IDS_MAX {
        return Err("at most 100 user ids: split the request");
    }
    if !request.user_ids.is_empty() && request.query.is_some() {
        return Err("user ids or a query, not both");
    }
    if request.nonce.as_ref().is_some_and(|nonce| nonce.len() > NONCE_MAX) {
        return Err("a nonce has at most 32 bytes");
    }
    Ok(())
}

fn check_channel_info(request: &RequestChannelInfo) -> Result<(), &'static str> {
    if request.fields.is_empty() {
        return Err("at least one of status and voice_start_time");
    }
    if request.fields.iter().any(|field| !CHANNEL_INFO.contains(&field.as_str())) {
        return Err("fields are status and voice_start_time");
    }
    Ok(())
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

    fn presence(change: impl FnOnce(&mut PresenceUpdate)) -> Result<(), Refusal> {
        let activity =
            Activity { name: "n".repeat(128), kind: 5, state: Some("s".into()), url: None };
        let mut presence = PresenceUpdate {
            since: None,
            activities: vec![activity],
            status: "online".into(),
            afk: false,
        };
        change(&mut presence);
        Command::Presence(presence).check()
    }

    /// What Discord answers with 4002, one consumer learns before anything is sent.
    #[test]
    fn g29_a_presence_that_discord_would_refuse_is_refused_here() {
        for status in STATUSES {
            assert_eq!(presence(|presence| presence.status = status.into()), Ok(()));
        }
        let good: [fn(&mut Activity); 3] = [
            |activity| activity.kind = 0,
            |activity| (activity.kind, activity.url) = (1, Some("https://twitch.tv/x".into())),
            |activity| activity.name = "ü".repeat(128),
        ];
        let bad: [fn(&mut Activity); 7] = [
            |activity| activity.kind = 6,
            |activity| activity.url = Some("https://twitch.tv/x".into()),
            |activity| (activity.kind, activity.url) = (1, Some("twitch".into())),
            |activity| activity.name.clear(),
            |activity| activity.name = "n".repeat(129),
            |activity| activity.state = Some("s".repeat(129)),
            |activity| activity.kind = u8::MAX,
        ];
        for change in good {
            assert_eq!(presence(|presence| change(&mut presence.activities[0])), Ok(()));
        }
        for (number, change) in bad.into_iter().enumerate() {
            let refused = presence(|presence| change(&mut presence.activities[0]));
            assert!(matches!(refused, Err(Refusal::Invalid(_))), "{number}: {refused:?}");
        }
        for status in ["away", "", "Online"] {
            let refused = presence(|presence| presence.status = status.into());
            assert!(matches!(refused, Err(Refusal::Invalid(_))), "{status}");
        }
    }

    #[test]
    fn fields_of_channels_and_guilds_are_checked() {
        let info = |guild_id, fields: &[&str]| {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            Command::from(RequestChannelInfo { guild_id, fields }).check()
        };
        assert_eq!(info(41, &["status"]), Ok(()));
        assert_eq!(info(41, &["status", "voice_start_time"]), Ok(()));
        for (guild, fields) in [(41, &["topic"][..]), (41, &[]), (0, &["status"])] {
            assert!(info(guild, fields).is_err(), "{guild} {fields:?}");
        }
        let sounds = |guild_ids| Command::from(RequestSounds { guild_ids }).check();
        assert_eq!(sounds(vec![41]), Ok(()));
        assert!(sounds(vec![]).is_err() && sounds(vec![41, 0]).is_err());
        let leave = |guild_id| {
            let (channel_id, self_mute, self_deaf) = (None, false, false);
            Command::from(VoiceState { guild_id, channel_id, self_mute, self_deaf }).check()
        };
        assert!(leave(41).is_ok() && leave(0).is_err());
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
