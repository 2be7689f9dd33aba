//! IDENTIFY and RESUME.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::dispatch::packet;
use super::hub::Hub;
use super::session::{Refusal, Session};
use crate::journal::What;
use crate::value::{Obj, Val, obj};
use crate::wire::message::Encoding;
use crate::world::guild::{Guild, Viewer};
use crate::world::intents::Intents;
use crate::world::kind::Kind;
use crate::world::lane::Lane;
use crate::world::oddity;
use mixcord_wire::Close;

/// What an IDENTIFY or RESUME comes to.
pub(crate) enum Outcome {
    Ready(Arc<Session>),
    /// Op 9 false.
    Invalid,
    Close(Close),
}

/// A valid IDENTIFY.
struct Identify {
    shard: u64,
    shards: u64,
    /// READY names the shard only if IDENTIFY did (G-17).
    shard_named: bool,
    viewer: Viewer,
}

/// Capability of an IDENTIFY: channels the bot may not see come without what they are about (G-49).
const CHANNEL_OBFUSCATION: u64 = 1 << 15;

impl Hub {
    /// Handles op 2: the session begins with READY and a GUILD_CREATE for each of its guilds.
    pub(crate) fn identify(&self, data: &Value, encoding: Encoding) -> Outcome {
        let identify = match self.check(data) {
            Ok(identify) => identify,
            Err(close) => return Outcome::Close(close),
        };
        if !self.budget.take(identify.shard) {
            let what = What::IdentifyRefused("the bucket's five seconds are not over");
            self.log.add(Some(identify.shard), None, what);
            return Outcome::Invalid;
        }
        Outcome::Ready(self.begin(&identify, encoding))
    }

    fn check(&self, data: &Value) -> Result<Identify, Close> {
        let token = data.get("token").and_then(Value::as_str).ok_or(Close::DecodeError)?;
        if !data.get("properties").is_some_and(Value::is_object) {
            return Err(Close::DecodeError);
        }
        if !self.token_is_right(token) || self.budget.account().remaining == 0 {
            return Err(Close::AuthenticationFailed);
        }
        let named = data.get("shard").filter(|shard| !shard.is_null());
        let (shard, shards) = match named {
            None => (0, 1),
            Some(Value::Array(pair)) => match pair[..] {
                [ref shard, ref shards] => (
                    shard.as_u64().ok_or(Close::InvalidShard)?,
                    shards.as_u64().ok_or(Close::InvalidShard)?,
                ),
                _ => return Err(Close::InvalidShard),
            },
            Some(_) => return Err(Close::DecodeError),
        };
        // G-15.
        if shard >= shards || !shards.is_multiple_of(self.config.shard_multiple.max(1)) {
            return Err(Close::InvalidShard);
        }
        let bits = data.get("intents").and_then(Value::as_u64).ok_or(Close::InvalidIntents)?;
        let tolerated = if self.config.undocumented_intents { Intents::UNDOCUMENTED } else { 0 };
        let intents = Intents::from_bits(bits & !tolerated).ok_or(Close::InvalidIntents)?;
        let refused = self.config.no_privileged_intents && {
            let privileged = Intents::PRIVILEGED;
            intents.without(privileged) != intents
        };
        if refused {
            return Err(Close::DisallowedIntents);
        }
        let large_threshold = match data.get("large_threshold") {
            None | Some(Value::Null) => 50,
            Some(value) => match value.as_u64() {
                Some(value @ 50..=250) => value as usize,
                _ => return Err(Close::DecodeError),
            },
        };
        let capabilities = match data.get("capabilities") {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_u64().ok_or(Close::DecodeError)?,
        };
        let obfuscated = self.config.obfuscate_channels || capabilities & CHANNEL_OBFUSCATION != 0;
        // G-4.
        if self.config.guilds as u64 / shards > self.config.guilds_per_shard {
            return Err(Close::ShardingRequired);
        }
        let viewer = Viewer { intents, large_threshold, obfuscated };
        Ok(Identify { shard, shards, shard_named: named.is_some(), viewer })
    }

    fn begin(&self, identify: &Identify, encoding: Encoding) -> Arc<Session> {
        let &Identify { shard, shards, shard_named, viewer } = identify;
        let feeds = self.feeds_of(shard, shards);
        // Held together: READY, the GUILD_CREATEs and what comes after them have no hole between.
        let lanes: Vec<_> = feeds.iter().map(|feed| feed.lane()).collect();
        let mine: Vec<(&Lane, usize)> = lanes
            .iter()
            .flat_map(|lane| (0..lane.guilds.len()).map(move |at| (&**lane, at)))
            .filter(|(lane, at)| (lane.guilds[*at].id >> 22) % shards == shard)
            .collect();
        let ordinal = self.next_ordinal();
        let mut dice = crate::world::dice::Dice::derived(
            self.config.seed ^ u64::from(std::process::id()) << 32,
            ordinal,
        );
        let session = Arc::new(Session::new(
            dice.hex(32),
            ordinal,
            (shard, shards),
            viewer,
            encoding,
            self.limits(mine.len()),
            self.journal_file.clone(),
        ));
        let push = |kind: Kind, body: Obj| {
            session.push(packet(kind.name(), &Val::Obj(body), encoding, self.hashed()));
        };
        let told = self.own_user();
        let mut ready = self.ready(&session, &mine, told.clone());
        if !shard_named {
            ready.remove("shard");
        }
        push(Kind::READY, ready);
        for (lane, at) in &mine {
            let guild = &lane.guilds[*at];
            let is_away = guild.unavailable || self.sets.is_away(shards, guild.id);
            for (kind, body) in first_told(lane, guild, is_away, viewer) {
                push(kind, body);
            }
        }
        session.hold_back();
        self.add_session(&session);
        let now = self.own_user();
        if now != told {
            // It changed between READY and the moment the session could be told.
            session.push(packet(Kind::USER_UPDATE.name(), &now, encoding, self.hashed()));
        }
        for feed in &feeds {
            feed.listeners().push(Arc::clone(&session));
        }
        drop(mine);
        drop(lanes);
        if feeds.iter().all(|feed| feed.finished.load(Ordering::Acquire)) {
            session.release();
        }
        for feed in feeds {
            feed.start();
        }
        session
    }

    fn ready(&self, session: &Session, mine: &[(&Lane, usize)], user: Val) -> Obj {
        let guilds: Vec<Obj> = mine
            .iter()
            .map(|(lane, at)| obj! { "id" => Val::Id(lane.guilds[*at].id), "unavailable" => true })
            .collect();
        let id = user.as_obj().map_or(0, |user| user.id("id"));
        obj! {
            "_trace" => vec![r#"["gateway-prd-fake-1",{"micros":43210}]"#],
            "application" => obj! { "flags" => 565_248, "id" => Val::Id(id) },
            "auth" => Obj::new(),
            "geo_ordered_rtc_regions" => vec!["rotterdam", "frankfurt"],
            "guild_join_requests" => Val::List(Vec::new()),
            "guilds" => guilds,
            "presences" => Val::List(Vec::new()),
            "private_channels" => Val::List(Vec::new()),
            "relationships" => Val::List(Vec::new()),
            "resume_gateway_url" => self.config.resume_url.clone().unwrap_or_else(|| self.gateway_url()),
            "session_id" => session.id.clone(),
            "session_type" => "normal",
            "shard" => Val::List(vec![Val::Int(session.shard as i64), Val::Int(session.shards as i64)]),
            "user" => user,
            "user_settings" => Obj::new(),
            "v" => 10,
        }
    }

    /// The websocket's address.
    pub(crate) fn gateway_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Handles op 6: what was missed is sent again, then RESUMED.
    pub(crate) fn resume(&self, data: &Value, encoding: Encoding) -> Outcome {
        let token = data.get("token").and_then(Value::as_str);
        let id = data.get("session_id").and_then(Value::as_str);
        let seq = data.get("seq").and_then(Value::as_u64);
        let (Some(token), Some(id), Some(seq)) = (token, id, seq) else {
            return Outcome::Close(Close::DecodeError);
        };
        if !self.token_is_right(token) {
            return Outcome::Close(Close::AuthenticationFailed);
        }
        let Some(session) = self.find_session(id) else {
            self.log.add(None, None, What::ResumeRefused { seq });
            return Outcome::Invalid;
        };
        let (shard, ordinal) = (Some(session.shard), Some(session.ordinal));
        match session.rewind(seq, encoding) {
            Ok(()) => {
                self.log.add(shard, ordinal, What::Resume { seq });
                let body = obj! { "_trace" => vec![r#"["gateway-prd-fake-1",{"micros":321}]"#] };
                let body = Val::Obj(body);
                session.push(packet(Kind::RESUMED.name(), &body, encoding, self.hashed()));
                Outcome::Ready(session)
            }
            Err(refusal) => {
                self.log.add(shard, ordinal, What::ResumeRefused { seq });
                self.end_session(&session);
                match refusal {
                    Refusal::Gone => Outcome::Invalid,
                    Refusal::Seq => Outcome::Close(Close::InvalidSeq),
                }
            }
        }
    }
}

/// What a new session is told of a guild: its GUILD_CREATE, and before it what comes too early when
/// the mix says so (G-46).
fn first_told(lane: &Lane, guild: &Guild, is_away: bool, viewer: Viewer) -> Vec<(Kind, Obj)> {
    let mut told = Vec::new();
    let early = guild.members.iter().find(|member| member.user.is_some());
    if let Some(member) = early.filter(|_| !is_away) {
        if lane.mix.has("stray-presence") && viewer.intents.has(Intents::GUILD_PRESENCES) {
            let body = oddity::presence_of(guild.id, member.user_id, member.presence.as_deref());
            told.push((Kind::PRESENCE_UPDATE, body));
        }
        if lane.mix.has("early-member") && viewer.intents.has(Intents::GUILD_MEMBERS) {
            let body = lane.member_object(member).with("guild_id", Val::Id(guild.id));
            told.push((Kind::GUILD_MEMBER_UPDATE, body));
        }
    }
    if !viewer.intents.has(Intents::GUILDS) {
        return told;
    }
    if !is_away {
        told.push((Kind::GUILD_CREATE, guild.create(lane, viewer, true)));
    } else if ((guild.id >> 22) / lane.lanes as u64).is_multiple_of(2) {
        // G-42: some guilds that are away say so, of the others nothing comes (G-45).
        let body = obj! { "id" => Val::Id(guild.id), "unavailable" => true };
        told.push((Kind::GUILD_CREATE, body));
    }
    told
}
