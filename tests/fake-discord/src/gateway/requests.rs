//! What a client may ask for once it has a session: op 3, 4, 8, 31 and 43.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::dispatch::packet;
use super::hub::{Feed, Hub};
use super::session::Session;
use crate::value::{Obj, Val, obj};
use crate::world::guild::Guild;
use crate::world::intents::Intents;
use crate::world::kind::Kind;
use crate::world::lane::Lane;
use crate::world::voice;
use mixcord_wire::Close;

/// Members in one GUILD_MEMBERS_CHUNK (G-31).
const CHUNK: usize = 1000;
/// Members a request by name or by id is answered with at most (G-31).
const FOUND_MAX: usize = 100;
/// G-32.
const ALL_EVERY: Duration = Duration::from_secs(30);

/// An id in what a client sent: text, or a number.
fn id(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl Hub {
    /// Answers a request. What it brings is dispatched; an error closes the connection.
    pub(crate) fn request(&self, session: &Session, op: u64, data: &Value) -> Result<(), Close> {
        if !data.is_object() {
            return Err(Close::DecodeError);
        }
        match op {
            3 => check_presence(data),
            4 => self.voice_state(session, data),
            8 => self.members(session, data),
            31 => self.sounds(session, data),
            43 => self.channel_info(session, data),
            _ => Err(Close::UnknownOpcode),
        }
    }

    /// Sends an event to one session alone. The lane it is about is locked by the caller.
    fn answer(&self, session: &Session, kind: Kind, body: Obj) {
        let guild = body.get("guild_id").map(|_| body.id("guild_id"));
        let body = Val::Obj(body);
        let packet = packet(kind.name(), &body, session.encoding, self.hashed());
        // What it says of the guild is newer than what the session is told later.
        session.tell(guild, packet, Duration::ZERO);
        session.wake();
    }

    /// Calls `with` on a guild of the session; an unknown one is passed over, as Discord does.
    fn with_guild(&self, session: &Session, guild: u64, with: impl FnOnce(&Feed, &Lane, &Guild)) {
        if !session.covers(Some(guild)) {
            return;
        }
        for feed in self.feeds_of(session.shard, session.shards) {
            let lane = feed.lane();
            let is_away = self.sets.is_away(session.shards, guild);
            let known = |found: &&Guild| found.id == guild && !found.unavailable && !is_away;
            if let Some(found) = lane.guilds.iter().find(known) {
                return with(feed, &lane, found);
            }
        }
    }

    fn voice_state(&self, session: &Session, data: &Value) -> Result<(), Close> {
        let guild = data.get("guild_id").and_then(id).ok_or(Close::DecodeError)?;
        let channel = match data.get("channel_id") {
            None | Some(Value::Null) => None,
            Some(value) => Some(id(value).ok_or(Close::DecodeError)?),
        };
        let flag = |key| data.get(key).and_then(Value::as_bool).unwrap_or(false);
        let (mute, deaf) = (flag("self_mute"), flag("self_deaf"));
        if !session.covers(Some(guild)) {
            return Ok(());
        }
        for feed in self.feeds_of(session.shard, session.shards) {
            feed.act(self, |lane| {
                lane.with_guild(guild, |lane, guild| {
                    self.sets.asked_voice(guild.id, session.shards);
                    match channel {
                        Some(channel) => {
                            let by = &session.id;
                            voice::bot_joins(lane, guild, channel, (mute, deaf), by);
                        }
                        None => voice::bot_leaves(lane, guild),
                    }
                });
            });
        }
        Ok(())
    }

    fn members(&self, session: &Session, data: &Value) -> Result<(), Close> {
        let guild = data.get("guild_id").and_then(id).ok_or(Close::DecodeError)?;
        let wanted = Wanted::read(data)?;
        let intents = session.viewer.intents;
        let presences = data.get("presences").and_then(Value::as_bool).unwrap_or(false)
            && intents.has(Intents::GUILD_PRESENCES);
        // A nonce over 32 bytes is silently dropped.
        let nonce = data.get("nonce").and_then(Value::as_str).filter(|nonce| nonce.len() <= 32);
        if wanted.is_of_anybody() && !intents.has(Intents::GUILD_MEMBERS) {
            return Ok(());
        }
        if matches!(wanted, Wanted::All)
            && let Some(left) = self.too_soon(guild)
        {
            let mut meta = obj! { "guild_id" => Val::Id(guild) };
            if let Some(nonce) = nonce {
                meta.set("nonce", nonce.to_owned());
            }
            let body = obj! {
                "meta" => meta, "opcode" => 8, "retry_after" => left.as_secs_f64() + 0.0001,
            };
            self.answer(session, Kind::RATE_LIMITED, body);
            return Ok(());
        }
        self.with_guild(session, guild, |_, lane, guild| {
            let (found, missing) = wanted.find(lane, guild);
            let count = found.len().div_ceil(CHUNK).max(1);
            for index in 0..count {
                let part =
                    found.iter().skip(index * CHUNK).take(CHUNK).map(|at| &guild.members[*at]);
                let members: Vec<Obj> =
                    part.clone().map(|member| lane.member_object(member)).collect();
                let mut body = obj! {
                    "chunk_count" => count,
                    "chunk_index" => index,
                    "guild_id" => Val::Id(guild.id),
                    "members" => members,
                };
                if !missing.is_empty() {
                    body.set("not_found", Val::ids(&missing));
                }
                if presences {
                    let shown: Vec<Obj> = part
                        .filter_map(|member| Some(member.presence.as_ref()?.object(member.user_id)))
                        .collect();
                    body.set("presences", shown);
                }
                if let Some(nonce) = nonce {
                    body.set("nonce", nonce.to_owned());
                }
                self.answer(session, Kind::GUILD_MEMBERS_CHUNK, body);
            }
        });
        Ok(())
    }

    /// How long a request for all members of the guild is still too early (G-32).
    fn too_soon(&self, guild: u64) -> Option<Duration> {
        let mut asked = self.asked_all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        asked.retain(|_, at| now.duration_since(*at) < ALL_EVERY);
        match asked.get(&guild) {
            Some(at) => Some(ALL_EVERY - now.duration_since(*at)),
            None => {
                asked.insert(guild, now);
                None
            }
        }
    }

    fn sounds(&self, session: &Session, data: &Value) -> Result<(), Close> {
        let guilds = data.get("guild_ids").and_then(Value::as_array).ok_or(Close::DecodeError)?;
        for guild in guilds {
            let guild = id(guild).ok_or(Close::DecodeError)?;
            self.with_guild(session, guild, |_, _, guild| {
                let body = obj! {
                    "guild_id" => Val::Id(guild.id), "soundboard_sounds" => guild.sounds.clone(),
                };
                self.answer(session, Kind::SOUNDBOARD_SOUNDS, body);
            });
        }
        Ok(())
    }

    fn channel_info(&self, session: &Session, data: &Value) -> Result<(), Close> {
        let guild = data.get("guild_id").and_then(id).ok_or(Close::DecodeError)?;
        let fields = data.get("fields").and_then(Value::as_array).ok_or(Close::DecodeError)?;
        let asked = |name: &str| fields.iter().any(|field| field == name);
        self.with_guild(session, guild, |_, _, guild| {
            let channels: Vec<Obj> = guild
                .channels
                .iter()
                .filter_map(|channel| {
                    let mut shown = obj! { "id" => Val::Id(channel.id("id")) };
                    for key in ["status", "voice_start_time"] {
                        if let Some(value) = channel.get(key).filter(|_| asked(key)) {
                            shown.set(key, value.clone());
                        }
                    }
                    (shown.members().len() > 1).then_some(shown)
                })
                .collect();
            let body = obj! { "channels" => channels, "guild_id" => Val::Id(guild.id) };
            self.answer(session, Kind::CHANNEL_INFO, body);
        });
        Ok(())
    }
}

/// Op 3 brings nothing a bot would see, but a wrong one closes. `since` may be anything: serenity
/// sends an object.
fn check_presence(data: &Value) -> Result<(), Close> {
    let status = data.get("status").and_then(Value::as_str).ok_or(Close::DecodeError)?;
    let known = ["online", "dnd", "idle", "invisible", "offline"].contains(&status);
    let activities = data.get("activities").is_none_or(|list| list.is_array() || list.is_null());
    if known && activities { Ok(()) } else { Err(Close::DecodeError) }
}

/// Which members op 8 asks for.
enum Wanted {
    All,
    Named { query: String, limit: usize },
    Ids(Vec<u64>),
}

impl Wanted {
    fn read(data: &Value) -> Result<Self, Close> {
        if let Some(ids) = data.get("user_ids").filter(|ids| !ids.is_null()) {
            let ids: Option<Vec<u64>> = match ids {
                Value::Array(list) => list.iter().map(id).collect(),
                one => id(one).map(|one| vec![one]),
            };
            let mut ids = ids.ok_or(Close::DecodeError)?;
            ids.truncate(FOUND_MAX);
            return Ok(Self::Ids(ids));
        }
        let query = data.get("query").and_then(Value::as_str).ok_or(Close::DecodeError)?;
        let limit = data.get("limit").and_then(Value::as_u64).ok_or(Close::DecodeError)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if query.is_empty() && limit == 0 {
            return Ok(Self::All);
        }
        let limit = if limit == 0 { FOUND_MAX } else { limit.min(FOUND_MAX) };
        Ok(Self::Named { query: query.to_lowercase(), limit })
    }

    /// Whether no name and no id is asked for.
    fn is_of_anybody(&self) -> bool {
        match self {
            Self::All => true,
            Self::Named { query, .. } => query.is_empty(),
            Self::Ids(_) => false,
        }
    }

    /// Places in the guild's list of members, and ids nobody has.
    fn find(&self, lane: &Lane, guild: &Guild) -> (Vec<usize>, Vec<u64>) {
        match self {
            Self::All => ((0..guild.members.len()).collect(), Vec::new()),
            Self::Named { query, limit } => {
                let fits = |at: &usize| lane.is_named(&guild.members[*at], query);
                ((0..guild.members.len()).filter(fits).take(*limit).collect(), Vec::new())
            }
            Self::Ids(ids) => {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for id in ids {
                    match guild.member_at.get(id) {
                        Some(at) => found.push(*at),
                        None => missing.push(*id),
                    }
                }
                (found, missing)
            }
        }
    }
}
