//! What a bot sends to the gateway.

use std::fmt;

use eetf::Term;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::header::Shard;

/// The largest payload that Discord accepts (G-30), in bytes.
pub const SEND_MAX: usize = 4096;

/// How payloads are written on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// Erlang's external term format.
    Etf,
    /// JSON.
    Json,
}

impl Encoding {
    /// Its name in the gateway's URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Etf => "etf",
            Self::Json => "json",
        }
    }
}

/// A payload to send.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Outgoing {
    /// op 1.
    Heartbeat {
        /// The last sequence number, if there was one.
        seq: Option<u64>,
    },
    /// op 2.
    Identify(Identify),
    /// op 3.
    PresenceUpdate(PresenceUpdate),
    /// op 4.
    VoiceState(VoiceState),
    /// op 6.
    Resume(Resume),
    /// op 8.
    RequestMembers(RequestMembers),
    /// op 31.
    RequestSounds(RequestSounds),
    /// op 43.
    RequestChannelInfo(RequestChannelInfo),
}

/// op 2: begins a session.
#[derive(Clone, PartialEq)]
pub struct Identify {
    /// The bot's token; never printed.
    pub token: String,
    /// The intents' bits.
    pub intents: u64,
    /// The shard.
    pub shard: Shard,
    /// From how many members on a guild is large, 50 to 250.
    pub large_threshold: Option<u8>,
    /// The presence to begin with.
    pub presence: Option<PresenceUpdate>,
    /// The bits of what else the client can do (G-49).
    pub capabilities: Option<u64>,
}

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identify")
            .field("intents", &self.intents)
            .field("shard", &self.shard)
            .field("large_threshold", &self.large_threshold)
            .field("presence", &self.presence)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// op 6: goes on with a session.
#[derive(Clone, PartialEq)]
pub struct Resume {
    /// The bot's token; never printed.
    pub token: String,
    /// The session, from its READY.
    pub session_id: String,
    /// The last sequence number received.
    pub seq: u64,
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// op 3: what the bot shows of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PresenceUpdate {
    /// Since when it is idle, in milliseconds since the Unix epoch.
    pub since: Option<u64>,
    /// What it is doing.
    pub activities: Vec<Activity>,
    /// `online`, `dnd`, `idle`, `invisible` or `offline`.
    pub status: String,
    /// Whether it is away.
    pub afk: bool,
}

/// An activity, as far as bots may set it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Activity {
    /// Its name.
    pub name: String,
    /// 0 playing, 1 streaming, 2 listening, 3 watching, 4 custom, 5 competing.
    #[serde(rename = "type")]
    pub kind: u8,
    /// What is shown below the name, or the text of a custom status.
    pub state: Option<String>,
    /// The stream's address.
    pub url: Option<String>,
}

/// op 4: joins, moves in or leaves voice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoiceState {
    /// The guild.
    pub guild_id: u64,
    /// The channel; `None` leaves.
    pub channel_id: Option<u64>,
    /// Whether the bot mutes itself.
    pub self_mute: bool,
    /// Whether the bot deafens itself.
    pub self_deaf: bool,
}

/// op 8: asks for members of a guild.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct RequestMembers {
    /// The guild.
    pub guild_id: u64,
    /// What the members' names begin with; empty with `limit` 0 asks for all.
    pub query: Option<String>,
    /// How many at most, with `query`.
    pub limit: u32,
    /// Which members, instead of `query`; 100 at most.
    pub user_ids: Vec<u64>,
    /// Whether to send their presences too.
    pub presences: bool,
    /// Comes back in the chunks; 32 bytes at most.
    pub nonce: Option<String>,
}

/// op 31: asks for the sounds of guilds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestSounds {
    /// The guilds.
    pub guild_ids: Vec<u64>,
}

/// op 43: asks for what channel events leave out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestChannelInfo {
    /// The guild.
    pub guild_id: u64,
    /// `status`, `voice_start_time`.
    pub fields: Vec<String>,
}

/// Why a payload cannot be sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Discord would close the connection (G-30).
    #[error(
        "payload of {len} bytes is too large: Discord takes {SEND_MAX} at most, split the request"
    )]
    TooLarge {
        /// Its size in bytes.
        len: usize,
    },
    /// The encoder refused it.
    #[error("cannot be encoded: {0}")]
    Encoder(String),
}

impl Outgoing {
    /// The opcode.
    pub const fn op(&self) -> u8 {
        match self {
            Self::Heartbeat { .. } => 1,
            Self::Identify(_) => 2,
            Self::PresenceUpdate(_) => 3,
            Self::VoiceState(_) => 4,
            Self::Resume(_) => 6,
            Self::RequestMembers(_) => 8,
            Self::RequestSounds(_) => 31,
            Self::RequestChannelInfo(_) => 43,
        }
    }

    /// Appends the payload to `out`; on an error `out` is as before.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let payload = json!({ "op": self.op(), "d": self.data() });
        let start = out.len();
        let result = match encoding {
            Encoding::Json => {
                serde_json::to_writer(&mut *out, &payload).map_err(|error| error.to_string())
            }
            Encoding::Etf => term(&payload).encode(&mut *out).map_err(|error| error.to_string()),
        };
        let len = out.len() - start;
        let result = match result {
            Err(error) => Err(EncodeError::Encoder(error)),
            Ok(()) if len > SEND_MAX => Err(EncodeError::TooLarge { len }),
            Ok(()) => return Ok(()),
        };
        out.truncate(start);
        result
    }

    fn data(&self) -> Json {
        match self {
            Self::Heartbeat { seq } => json!(seq),
            Self::Identify(identify) => identify.data(),
            Self::PresenceUpdate(presence) => presence.data(),
            Self::VoiceState(state) => json!({
                "guild_id": id(state.guild_id),
                "channel_id": state.channel_id.map(id),
                "self_mute": state.self_mute,
                "self_deaf": state.self_deaf,
            }),
            Self::Resume(resume) => json!({
                "token": resume.token,
                "session_id": resume.session_id,
                "seq": resume.seq,
            }),
            Self::RequestMembers(request) => request.data(),
            Self::RequestSounds(request) => json!({ "guild_ids": ids(&request.guild_ids) }),
            Self::RequestChannelInfo(request) => json!({
                "guild_id": id(request.guild_id),
                "fields": request.fields,
            }),
        }
    }
}

impl Identify {
    fn data(&self) -> Json {
        let mut data = json!({
            "token": self.token,
            "intents": self.intents,
            "shard": [self.shard.id, self.shard.count],
            "properties": { "os": "linux", "browser": "mixcord", "device": "mixcord" },
        });
        if let Some(threshold) = self.large_threshold {
            data["large_threshold"] = json!(threshold);
        }
        if let Some(presence) = &self.presence {
            data["presence"] = presence.data();
        }
        if let Some(capabilities) = self.capabilities {
            data["capabilities"] = json!(capabilities);
        }
        data
    }
}

impl PresenceUpdate {
    fn data(&self) -> Json {
        let activities: Vec<Json> = self
            .activities
            .iter()
            .map(|activity| {
                let mut data = json!({ "name": activity.name, "type": activity.kind });
                if let Some(state) = &activity.state {
                    data["state"] = json!(state);
                }
                if let Some(url) = &activity.url {
                    data["url"] = json!(url);
                }
                data
            })
            .collect();
        json!({
            "since": self.since,
            "activities": activities,
            "status": self.status,
            "afk": self.afk,
        })
    }
}

impl RequestMembers {
    fn data(&self) -> Json {
        let mut data = json!({ "guild_id": id(self.guild_id), "presences": self.presences });
        if self.user_ids.is_empty() {
            data["query"] = json!(self.query.as_deref().unwrap_or(""));
            data["limit"] = json!(self.limit);
        } else {
            data["user_ids"] = ids(&self.user_ids);
        }
        if let Some(nonce) = &self.nonce {
            data["nonce"] = json!(nonce);
        }
        data
    }
}

fn id(id: u64) -> Json {
    Json::String(id.to_string())
}

fn ids(ids: &[u64]) -> Json {
    ids.iter().copied().map(id).collect()
}

/// The term that means `value`, with binaries as keys: atoms there close the connection (4002).
fn term(value: &Json) -> Term {
    match value {
        Json::Null => eetf::Atom::from("nil").into(),
        Json::Bool(value) => eetf::Atom::from(if *value { "true" } else { "false" }).into(),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) if i32::try_from(value).is_ok() => {
                eetf::FixInteger::from(value as i32).into()
            }
            (Some(value), _) => eetf::BigInteger::from(value).into(),
            (None, Some(value)) => eetf::BigInteger::from(value).into(),
            (None, None) => float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => binary(text),
        Json::Array(values) => eetf::List::from(values.iter().map(term).collect::<Vec<_>>()).into(),
        Json::Object(members) => eetf::Map {
            map: members.iter().map(|(key, value)| (binary(key), term(value))).collect(),
        }
        .into(),
    }
}

fn float(value: f64) -> Term {
    eetf::Float { value }.into()
}

fn binary(text: &str) -> Term {
    eetf::Binary { bytes: text.as_bytes().to_vec() }.into()
}
