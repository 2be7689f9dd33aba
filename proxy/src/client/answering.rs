//! What a client sends: counted, read, and handled by opcode.

use std::time::Instant;

use mixcord::Kind;
use mixcord::commands::{RequestChannelInfo, RequestMembers, RequestSounds};
use mixcord_wire::{Close, read_term};
use serde_json::Value;

use super::{Client, End, Identify, Inbound, Live, Phase, Resume};
use crate::door::Shown;
use crate::encode::{Control, Encoding};
use crate::intents::Intents;
use crate::members::{Answer, Answers};
use crate::requests::{self, Request};
use crate::session::{Refusal, Resumed, Session};

/// G-30.
const SEND_MAX: usize = 4096;
/// Answers that one client may have under way, and members in them that are in memory. What is more goes to Discord.
const ANSWERS_MAX: usize = 10_000;
const ANSWERED_MAX: usize = 20_000;
/// Requests that wait for a session to begin.
const HELD_MAX: usize = 500;

impl Client {
    pub(super) async fn on(&mut self, message: Inbound) -> Result<(), End> {
        let bytes = match message {
            Inbound::Message(bytes) => bytes,
            Inbound::Ended(end) => return Err(end),
        };
        if !self.messages.take(Instant::now()) {
            return Err(End::Server(Close::RateLimited));
        }
        if bytes.len() > SEND_MAX {
            return Err(End::Server(Close::DecodeError));
        }
        let message: Option<Value> = match self.out.encoding() {
            Encoding::Json => serde_json::from_slice(&bytes).ok(),
            Encoding::Etf => read_term(&bytes).ok(),
        };
        let message = message.ok_or(End::Server(Close::DecodeError))?;
        let op = message.get("op").and_then(Value::as_u64);
        let op = op.ok_or(End::Server(Close::DecodeError))?;
        let data = message.get("d").unwrap_or(&Value::Null);
        match op {
            1 => {
                if data.as_u64().is_none() && !data.is_null() {
                    return Err(End::Server(Close::DecodeError));
                }
                self.last_beat = Instant::now();
                self.out.control(11, Control::Null).await
            }
            2 | 6 if !matches!(self.phase, Phase::Unknown) => {
                Err(End::Server(Close::AlreadyAuthenticated))
            }
            2 => self.on_identify(data),
            6 => self.on_resume(data),
            3 | 4 | 8 | 31 | 43 => self.on_request(op, data),
            _ => Err(End::Server(Close::UnknownOpcode)),
        }
    }

    fn on_identify(&mut self, data: &Value) -> Result<(), End> {
        let identify = Identify::read(data).map_err(End::Server)?;
        self.site.admit(&identify.shown)?;
        if identify.compress {
            self.out.compress_payloads();
        }
        self.phase = Phase::Early(identify);
        Ok(())
    }

    fn on_resume(&mut self, data: &Value) -> Result<(), End> {
        let resume = Resume::read(data).map_err(End::Server)?;
        self.site.admit(&resume.shown)?;
        self.phase = Phase::Returning(resume);
        Ok(())
    }

    /// Goes on with a session, once it is known which ring is read.
    pub(super) async fn go_on(&mut self) -> Result<bool, End> {
        let Phase::Returning(resume) = &self.phase else { return Ok(false) };
        let Some((_, _, tail)) = self.site.feed.ring() else { return Ok(false) };
        if !self.site.admit(&resume.shown)? {
            return Ok(false);
        }
        // A connection that died without a word still has it.
        self.site.seats.vacate(&resume.session).await;
        let site = &self.site;
        let resumed = tokio::task::block_in_place(|| {
            Session::resume(&site.folder, &site.feed, &resume.session, resume.seq)
        });
        self.phase = Phase::Unknown;
        self.idle_since = Instant::now();
        match resumed {
            Ok(Resumed(session)) => {
                let seat = self.site.seats.take(session.id(), &self.kick);
                let (answers, resumed_at) = (Answers::new(), Some(tail));
                let live = Live { session, _seat: seat, answers, resumed_at };
                self.phase = Phase::Live(Box::new(live));
                return Ok(true);
            }
            Err(Refusal::Seq) => return Err(End::Server(Close::InvalidSeq)),
            Err(Refusal::Gone) => {}
            Err(Refusal::Log(error)) => {
                tracing::error!(%error, "a session cannot be resumed: its log cannot be used");
            }
        }
        self.out.control(9, Control::Bool(false)).await?;
        Ok(true)
    }

    fn on_request(&mut self, op: u64, data: &Value) -> Result<(), End> {
        let requests = requests::read(op, data).ok_or(End::Server(Close::DecodeError))?;
        match self.phase {
            Phase::Unknown => Err(End::Server(Close::NotAuthenticated)),
            // Its session is about to begin, or to go on.
            Phase::Early(_) | Phase::Returning(_) => {
                self.held.extend(requests);
                if self.held.len() > HELD_MAX {
                    self.held.truncate(HELD_MAX);
                    tracing::warn!("a client asks for more than can wait for its session");
                }
                Ok(())
            }
            Phase::Live(_) => requests.into_iter().try_for_each(|request| self.carry_out(request)),
        }
    }

    /// Carries out what was asked for before the session began, or went on.
    pub(super) fn carry_out_held(&mut self) -> Result<(), End> {
        let held = std::mem::take(&mut self.held);
        held.into_iter().try_for_each(|request| self.carry_out(request))
    }

    fn carry_out(&mut self, request: Request) -> Result<(), End> {
        let Phase::Live(live) = &mut self.phase else { return Ok(()) };
        let filter = *live.session.filter();
        // A shard is answered about its own guilds alone, as Discord has it.
        let is_own = |guild: &u64| filter.has_guild(*guild);
        match request {
            Request::Presence(presence) => {
                // The bot has one presence: its first shard's.
                if filter.shard == 0 && self.presences.take(Instant::now()) {
                    self.site.desk.send(presence);
                }
            }
            Request::Voice(voice) if is_own(&voice.guild_id) => {
                let speaks = voice.channel_id.is_some();
                live.session.speaks(voice.guild_id, speaks).map_err(log_lost)?;
                self.site.seats.speaks(voice.guild_id, live.session.id(), speaks);
                self.site.desk.send(voice);
            }
            Request::Members { request, nonce } if is_own(&request.guild_id) => {
                self.site.on_members(live, request, &nonce)?;
            }
            Request::Sounds(RequestSounds { guild_ids }) => {
                let guild_ids: Vec<_> = guild_ids.into_iter().filter(is_own).collect();
                for &guild in &guild_ids {
                    live.session.asks(Kind::SOUNDBOARD_SOUNDS, guild).map_err(log_lost)?;
                }
                if !guild_ids.is_empty() {
                    self.site.desk.send(RequestSounds { guild_ids });
                }
            }
            Request::ChannelInfo(RequestChannelInfo { guild_id, fields }) if is_own(&guild_id) => {
                live.session.asks(Kind::CHANNEL_INFO, guild_id).map_err(log_lost)?;
                self.site.desk.send(RequestChannelInfo { guild_id, fields });
            }
            Request::Voice(_) | Request::Members { .. } | Request::ChannelInfo(_) => {
                tracing::debug!("a client asks one of its shards about a guild of another");
            }
        }
        Ok(())
    }
}

impl crate::site::Site {
    /// Whether it is known that who showed this may come in; not known it is before the gateway's first session.
    pub(super) fn admit(&self, shown: &Shown) -> Result<bool, End> {
        match tokio::task::block_in_place(|| self.door.admits(shown)) {
            Some(false) => {
                let (wanted, more) = (self.door.wants(), self.refused.count());
                // Whoever can reach this port could fill the log.
                if let Some(more) = more {
                    tracing::warn!(
                        times = more,
                        "a client was refused: it showed another token than {wanted}"
                    );
                }
                Err(End::Server(Close::AuthenticationFailed))
            }
            admitted => Ok(admitted.is_some()),
        }
    }

    fn on_members(
        &self,
        live: &mut Live,
        mut request: RequestMembers,
        nonce: &str,
    ) -> Result<(), End> {
        let intents = live.session.filter().intents;
        // As Discord has it, whatever intents the gateway has (G-31).
        request.presences &= intents.has(Intents::GUILD_PRESENCES);
        if requests::is_of_anybody(&request) && !intents.has(Intents::GUILD_MEMBERS) {
            tracing::warn!(
                "a client's request for all members stays without an answer: it lacks GUILD_MEMBERS"
            );
            return Ok(());
        }
        let answer = tokio::task::block_in_place(|| Answer::of(&self.state, &request, nonce));
        match answer {
            Ok(Some(answer))
                if live.answers.len() < ANSWERS_MAX
                    && live.answers.iter().map(Answer::held).sum::<usize>() < ANSWERED_MAX =>
            {
                live.answers.push_back(answer);
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "members are asked of Discord"),
        }
        let (number, is_first) = self.desk.number(&request);
        live.session.asks_members(number, nonce).map_err(log_lost)?;
        if is_first {
            self.desk.send_members(number, request);
        }
        Ok(())
    }
}

/// What cannot be written down cannot be sent: the client identifies anew.
#[expect(clippy::needless_pass_by_value, reason = "the end of a map_err")]
pub(super) fn log_lost(error: std::io::Error) -> End {
    tracing::error!(%error, "a client was cut: its session's log cannot be written");
    End::Server(Close::Other(4000))
}
