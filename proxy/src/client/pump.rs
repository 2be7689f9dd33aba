//! What goes to a client unasked: its start, its events, answers that are being made.

use std::time::Instant;

use mixcord::event::{Value, edit};
use mixcord::{Kind, atoms};
use mixcord_wire::Close;

use super::answering::log_lost;
use super::{Client, End, Identify, Live, Phase};
use crate::encode::Control;
use crate::feed::{Item, Taken};
use crate::intents::Intents;
use crate::members::Answers;
use crate::requests;
use crate::session::{Head, Route, Session, Verdict, nonce_of_refused};
use crate::world;

/// Guilds that are given before events are looked at again.
const GUILDS: usize = 8;

impl Client {
    /// Sends some of what there is; true when there may be more.
    pub(super) async fn pump(&mut self) -> Result<bool, End> {
        match &self.phase {
            Phase::Unknown => Ok(false),
            Phase::Early(_) => {
                let begun = self.begin().await?;
                if begun {
                    self.carry_out_held()?;
                }
                Ok(begun)
            }
            Phase::Returning(_) => {
                let went_on = self.go_on().await?;
                if went_on {
                    self.carry_out_held()?;
                }
                Ok(went_on)
            }
            Phase::Live(_) => {
                let guilds = self.give_guilds().await?;
                let answered = self.answer_members().await?;
                let events = self.send_events().await?;
                self.send_resumed().await?;
                Ok(guilds || answered || events)
            }
        }
    }

    /// Begins the session of a client that identified, once there is what READY says.
    async fn begin(&mut self) -> Result<bool, End> {
        let Phase::Early(identify) = &self.phase else { return Ok(false) };
        let site = &self.site;
        let begun = tokio::task::block_in_place(|| begin(site, identify))?;
        let Some((session, user, guilds)) = begun else { return Ok(false) };
        let version = self.wish.version.unwrap_or(10);
        let ready = world::ready(&session, &user, &guilds, version, &self.url);
        let ready = ready.ok_or(End::Server(Close::Other(4000)))?;
        if let Some(presence) = identify.presence.clone()
            && identify.shard == 0
        {
            self.site.desk.send(presence);
        }
        let seat = self.site.seats.take(session.id(), &self.kick);
        let seq = session.seq();
        let live = Live { session, _seat: seat, answers: Answers::new(), resumed_at: None };
        self.phase = Phase::Live(Box::new(live));
        self.document("READY", seq, ready.value()).await?;
        Ok(true)
    }

    async fn document(&mut self, name: &str, seq: u64, value: Value<'_>) -> Result<(), End> {
        let mut body = Vec::new();
        self.out.encoding().write_body(value, None, &mut body);
        self.out.dispatch(name, seq, &body).await?;
        self.site.counts.sent();
        Ok(())
    }

    /// Gives some of the guilds that the client has not got.
    async fn give_guilds(&mut self) -> Result<bool, End> {
        for _ in 0..GUILDS {
            let Phase::Live(live) = &mut self.phase else { return Ok(false) };
            let Some(guild) = live.session.next_guild() else { return Ok(false) };
            let (site, head, me) = (&self.site, *live.session.head(), self.site.me());
            let snapshot = tokio::task::block_in_place(|| {
                site.state.guild_snapshot(guild, head.large as usize)
            });
            let snapshot = match snapshot {
                Ok(snapshot) => snapshot.filter(|snapshot| !snapshot.unavailable),
                Err(error) => {
                    if site.complains() {
                        tracing::warn!(%error, "a guild is given later");
                    }
                    return Ok(false);
                }
            };
            let Some(snapshot) = snapshot else {
                live.session.give_up(guild).map_err(log_lost)?;
                continue;
            };
            let tail = self.site.feed.ring().filter(|(ring, ..)| *ring == head.ring);
            // Another ring: the session is over, which its next event tells.
            let Some((_, _, tail)) = tail.filter(|_| snapshot.ring == head.ring) else {
                return Ok(false);
            };
            // What the snapshot has is not published yet: a moment later.
            if tail < snapshot.position {
                return Ok(false);
            }
            let seq = live.session.give(guild, snapshot.position).map_err(log_lost)?;
            let intents = live.session.filter().intents;
            let created = world::guild_create(&snapshot, intents, head.large, me);
            self.document("GUILD_CREATE", seq, created.value()).await?;
        }
        Ok(true)
    }

    /// Sends a chunk of members that the client asked for.
    async fn answer_members(&mut self) -> Result<bool, End> {
        let Phase::Live(live) = &mut self.phase else { return Ok(false) };
        let Some(answer) = live.answers.front_mut() else { return Ok(false) };
        match tokio::task::block_in_place(|| answer.next(&self.site.state)) {
            Ok(Some(chunk)) => {
                let seq = live.session.answer().map_err(log_lost)?;
                self.document("GUILD_MEMBERS_CHUNK", seq, chunk.value()).await?;
            }
            Ok(None) => {
                live.answers.pop_front();
            }
            Err(error) => {
                tracing::warn!(%error, "a client's request for members stays without the rest of its answer");
                live.answers.pop_front();
            }
        }
        Ok(true)
    }

    /// Sends the events of one batch.
    async fn send_events(&mut self) -> Result<bool, End> {
        let Phase::Live(live) = &self.phase else { return Ok(false) };
        let (ring, next) = (live.session.head().ring, live.session.next());
        let batch = match self.site.feed.take(ring, next) {
            Taken::Nothing => return Ok(false),
            Taken::Batch(batch) => batch,
            Taken::Gone => {
                tracing::warn!(
                    "a client fell so far behind that its next event is gone from the ring: it begins anew"
                );
                return self.over().await;
            }
            Taken::Replaced => return self.over().await,
        };
        for item in batch.from(next) {
            let Phase::Live(live) = &mut self.phase else { return Ok(false) };
            self.site.notice(&mut live.session, item).map_err(log_lost)?;
            match live.session.look(item).map_err(log_lost)? {
                Verdict::Skip => {}
                Verdict::Over => return self.over().await,
                Verdict::Send { seq, route } => {
                    let intents = live.session.filter().intents;
                    self.event(item, seq, intents, route.as_ref()).await?;
                }
            }
        }
        if let Phase::Live(live) = &mut self.phase {
            live.session.pass(batch.end);
        }
        Ok(true)
    }

    async fn event(
        &mut self,
        item: &Item,
        seq: u64,
        intents: Intents,
        route: Option<&Route>,
    ) -> Result<(), End> {
        if let Some(nonce) = route.and_then(|route| route.nonce.as_deref()) {
            let data = renamed(item, nonce);
            return self.document(item.event.name(), seq, Value::trusted(&data)).await;
        }
        let body = item.body(self.out.encoding(), intents, self.site.me());
        self.out.dispatch(item.event.name(), seq, &body).await?;
        self.site.counts.sent();
        Ok(())
    }

    /// The session is over, and its client is told to begin another.
    async fn over(&mut self) -> Result<bool, End> {
        if let Phase::Live(live) = std::mem::replace(&mut self.phase, Phase::Unknown) {
            live.session.end();
        }
        self.idle_since = Instant::now();
        self.out.control(9, Control::Bool(false)).await?;
        Ok(false)
    }

    /// RESUMED, behind everything that was missed.
    async fn send_resumed(&mut self) -> Result<(), End> {
        let Phase::Live(live) = &mut self.phase else { return Ok(()) };
        if live.resumed_at.is_none_or(|until| live.session.next() < until) {
            return Ok(());
        }
        live.resumed_at = None;
        let seq = live.session.resumed().map_err(log_lost)?;
        let body = match self.out.encoding() {
            crate::encode::Encoding::Json => br#"{"_trace":["[\"mixcord-proxy\"]"]}"#.to_vec(),
            encoding => {
                let mut body = Vec::new();
                encoding.write_body(Value::Map(mixcord::event::Map::EMPTY), None, &mut body);
                body
            }
        };
        self.out.dispatch("RESUMED", seq, &body).await
    }
}

/// The session of an IDENTIFY, the bot's user and the guilds; `None` while there is nothing to begin with.
type Begun = Option<(Session, mixcord::event::Document, Vec<u64>)>;

fn begin(site: &crate::site::Site, identify: &Identify) -> Result<Begun, End> {
    let Some((granted, user)) = site.granted().zip(site.user()) else { return Ok(None) };
    if !site.admit(&identify.shown)? {
        return Ok(None);
    }
    if let Some(missing) = identify.intents.missing_in(granted) {
        tracing::warn!(
            missing,
            "a client was refused: it asks for intents that mixcord-gateway does not have"
        );
        return Err(End::Server(Close::DisallowedIntents));
    }
    // First where the events begin, then the guilds: what happens in between is in both, and told once.
    let Some((ring, _, start)) = site.feed.ring() else { return Ok(None) };
    let head = Head {
        ring,
        start,
        shard: identify.shard,
        shards: identify.shards,
        intents: identify.intents.bits(),
        large: identify.large,
        me: user.get(atoms::ID).and_then(Value::as_id).unwrap_or(0),
    };
    let guilds = match world::guilds_of(&site.state, |guild| head.filter().has_guild(guild)) {
        Ok(guilds) => guilds,
        Err(error) => {
            if site.complains() {
                tracing::warn!(%error, "a client has to wait for its guilds");
            }
            return Ok(None);
        }
    };
    // Without GUILDS nobody is told of them.
    let given = if identify.intents.has(1) { &guilds[..] } else { &[] };
    let session = Session::begin(&site.folder, head, given).map_err(log_lost)?;
    Ok(Some((session, user, guilds)))
}

/// An answer's data with the nonce that the client gave, which may be none.
fn renamed(item: &Item, nonce: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(data) = item.event.data().as_map() else { return out };
    let put = |map, out: &mut Vec<u8>| match nonce {
        "" => edit::without(map, &[atoms::NONCE], out),
        nonce => edit::with(map, &[(atoms::NONCE, nonce.into())], out),
    };
    if item.kind() != Kind::RATE_LIMITED {
        put(data, &mut out);
        return out;
    }
    let mut meta = Vec::new();
    if let Some(Value::Map(of)) = data.get_named("meta") {
        put(of, &mut meta);
    }
    let mut whole = mixcord::event::Writer::new(&mut out).map();
    for (key, value) in data {
        let value = if key.as_str() == "meta" { Value::trusted(&meta) } else { value };
        whole.keyed(key, value);
    }
    whole.end();
    out
}

impl crate::site::Site {
    /// What a record says to whoever passes it on: that a request is answered, that another has the voice.
    fn notice(&self, session: &mut Session, item: &Item) -> std::io::Result<()> {
        match (item.kind(), item.guild()) {
            (Kind::GUILD_MEMBERS_CHUNK | Kind::RATE_LIMITED, _) => {
                let data = item.event.data();
                let nonce = match item.kind() {
                    Kind::RATE_LIMITED => nonce_of_refused(data),
                    _ => data.get(atoms::NONCE),
                };
                if let Some(number) = nonce.and_then(Value::as_str).and_then(requests::number_of) {
                    self.desk.is_answered(number);
                }
                Ok(())
            }
            (Kind::VOICE_SERVER_UPDATE, Some(guild))
                if self.seats.has_other_speaker(guild, session.id()) =>
            {
                session.speaks(guild, false)
            }
            _ => Ok(()),
        }
    }
}
