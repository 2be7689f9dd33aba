//! What clients ask of Discord: read, answered from the state where that knows it, else passed on.
//!
//! A request for members that is passed on carries a nonce of ours, so that its answer is told from everybody
//! else's; equal ones are passed on once, while the first is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mixcord::commands::{
    Activity, Command, Commands, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds,
    VoiceState,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use tokio::sync::Semaphore;

/// What our nonces begin with; a number of 16 hexadecimal digits follows.
const PREFIX: &str = "mixcord-";
/// How long an equal request is taken to be under way.
const UNDER_WAY: Duration = Duration::from_secs(20);
/// How long it is tried again what is refused for the moment only.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that wait to be sent; of more it is logged that they were not.
const WAITING_MAX: usize = 4096;
/// Requests of which it is known that they are under way.
const KNOWN_MAX: usize = 4096;
/// Guilds that one request for members may name: Discord takes one since version 8, and old libraries send lists.
const GUILDS_MAX: usize = 25;
/// Bytes of a nonce; Discord drops longer ones (G-31).
const NONCE_MAX: usize = 32;

/// Passes requests on.
#[derive(Debug)]
pub(crate) struct Desk {
    commands: Commands,
    room: Arc<Semaphore>,
    under_way: Mutex<HashMap<Wanted, (u64, Instant)>>,
}

/// Which members, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    guild: u64,
    query: Option<String>,
    limit: u32,
    users: Vec<u64>,
    presences: bool,
}

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Request {
    Presence(PresenceUpdate),
    Voice(VoiceState),
    Members { request: RequestMembers, nonce: String },
    Sounds(RequestSounds),
    ChannelInfo(RequestChannelInfo),
}

/// Is it a request at all? `None` is answered with 4002, and an unknown opcode with 4001 by whoever asks this.
pub(crate) fn read(op: u64, data: &Value) -> Option<Vec<Request>> {
    Some(match op {
        3 => vec![Request::Presence(presence(data)?)],
        4 => vec![Request::Voice(VoiceState {
            guild_id: id(data.get("guild_id")?)?,
            channel_id: match data.get("channel_id") {
                None | Some(Value::Null) => None,
                Some(channel) => Some(id(channel)?),
            },
            self_mute: data.get("self_mute").and_then(Value::as_bool).unwrap_or(false),
            self_deaf: data.get("self_deaf").and_then(Value::as_bool).unwrap_or(false),
        })],
        8 => members(data)?,
        31 => vec![Request::Sounds(RequestSounds { guild_ids: ids(data.get("guild_ids")?)? })],
        43 => {
            let fields = data.get("fields")?.as_array()?;
            let fields = fields.iter().map(|field| field.as_str().map(str::to_owned));
            let (guild_id, fields) = (id(data.get("guild_id")?)?, fields.collect::<Option<_>>()?);
            vec![Request::ChannelInfo(RequestChannelInfo { guild_id, fields })]
        }
        _ => return None,
    })
}

/// Reads a presence, also that of an IDENTIFY.
pub(crate) fn presence(data: &Value) -> Option<PresenceUpdate> {
    let activities = match data.get("activities").or_else(|| data.get("game")) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(activities)) => activities.iter().map(activity).collect::<Option<_>>()?,
        Some(one) => vec![activity(one)?],
    };
    Some(PresenceUpdate {
        since: data.get("since").and_then(Value::as_f64).map(|since| since as u64),
        activities,
        status: data.get("status").and_then(Value::as_str).unwrap_or("online").to_owned(),
        afk: data.get("afk").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn activity(data: &Value) -> Option<Activity> {
    let text = |key| data.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Activity {
        name: text("name")?,
        kind: u8::try_from(data.get("type").and_then(Value::as_u64).unwrap_or(0)).ok()?,
        state: text("state"),
        url: text("url"),
    })
}

/// One guild, or a list of them, as libraries of old send it.
fn members(data: &Value) -> Option<Vec<Request>> {
    let guilds = match data.get("guild_id")? {
        Value::Array(guilds) => guilds.iter().map(id).collect::<Option<Vec<_>>>()?,
        one => vec![id(one)?],
    };
    if guilds.len() > GUILDS_MAX {
        return None;
    }
    let user_ids = match data.get("user_ids") {
        None | Some(Value::Null) => Vec::new(),
        Some(users @ Value::Array(_)) => ids(users)?,
        Some(one) => vec![id(one)?],
    };
    let nonce = data.get("nonce").and_then(Value::as_str).unwrap_or_default();
    let nonce = if nonce.len() > NONCE_MAX { "" } else { nonce };
    let request = RequestMembers {
        guild_id: 0,
        query: data.get("query").and_then(Value::as_str).map(str::to_owned),
        limit: u32::try_from(data.get("limit").and_then(Value::as_u64).unwrap_or(0)).ok()?,
        presences: data.get("presences").and_then(Value::as_bool).unwrap_or(false),
        user_ids,
        nonce: None,
    };
    let of = |guild_id| Request::Members {
        request: RequestMembers { guild_id, ..request.clone() },
        nonce: nonce.to_owned(),
    };
    Some(guilds.into_iter().map(of).collect())
}

/// Whether it names nobody: neither ids nor how a name begins. That takes GUILD_MEMBERS (G-31).
pub(crate) fn is_of_anybody(request: &RequestMembers) -> bool {
    request.user_ids.is_empty() && request.query.as_deref().unwrap_or_default().is_empty()
}

fn ids(data: &Value) -> Option<Vec<u64>> {
    data.as_array()?.iter().map(id).collect()
}

/// An id as text, or as a number where a language has such.
pub(crate) fn id(data: &Value) -> Option<u64> {
    match data {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    }
}

/// The number in a nonce of ours; `None` of everybody else's.
pub(crate) fn number_of(nonce: &str) -> Option<u64> {
    let digits = nonce.strip_prefix(PREFIX).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Desk {
    pub(crate) fn open(instance: &str) -> Result<Self, mixcord::Error> {
        let commands = Commands::open(instance)?.patience(PATIENCE);
        let room = Arc::new(Semaphore::new(WAITING_MAX));
        Ok(Self { commands, room, under_way: Mutex::default() })
    }

    /// The number by which the answer to a request for members will be known, and whether it has to be sent: not
    /// where an equal one is under way, whose answer is the answer.
    pub(crate) fn number(&self, request: &RequestMembers) -> (u64, bool) {
        let wanted = Wanted {
            guild: request.guild_id,
            query: request.query.clone(),
            limit: request.limit,
            users: request.user_ids.clone(),
            presences: request.presences,
        };
        let now = Instant::now();
        let mut known = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| now.duration_since(*since) < UNDER_WAY);
        if let Some((number, _)) = known.get(&wanted) {
            return (*number, false);
        }
        let mut bytes = [0; 8];
        // Without randomness a number that is taken costs a chunk in the wrong hands, and nothing else.
        let _ = SystemRandom::new().fill(&mut bytes);
        let number = u64::from_le_bytes(bytes);
        if known.len() < KNOWN_MAX {
            known.insert(wanted, (number, now));
        }
        (number, true)
    }

    /// The answer is there, or there is none: the next equal request is sent again.
    pub(crate) fn is_answered(&self, number: u64) {
        let mut known = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (of, _)| *of != number);
    }

    /// Sends a request for members under its number.
    pub(crate) fn send_members(&self, number: u64, request: RequestMembers) {
        let nonce = Some(format!("{PREFIX}{number:016x}"));
        self.send(RequestMembers { nonce, ..request });
    }

    /// Sends something, beside everything else. Discord's answer comes as events; a refusal is logged.
    pub(crate) fn send(&self, command: impl Into<Command>) {
        let (commands, command) = (self.commands.clone(), command.into());
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::warn!("a client's request was not sent: too many wait for the gateway");
            return;
        };
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = commands.send(command).await {
                tracing::warn!(%error, "a client's request was not sent");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nonces_of_ours_are_told_from_others() {
        assert_eq!(number_of("mixcord-00000000000000ff"), Some(255));
        for other in
            ["", "mixcord-", "mixcord-ff", "x-00000000000000ff", "mixcord-000000000000zzff"]
        {
            assert_eq!(number_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        assert!(read(8, &json!({"guild_id": "x"})).is_none());
        assert!(read(4, &json!({})).is_none());
        assert!(read(5, &json!({})).is_none());
        let many: Vec<_> = (0..=GUILDS_MAX).collect();
        assert!(read(8, &json!({"guild_id": many, "query": ""})).is_none());
        assert_eq!(
            read(8, &json!({"guild_id": ["1", 2], "query": ""})).map(|all| all.len()),
            Some(2)
        );
    }
}
