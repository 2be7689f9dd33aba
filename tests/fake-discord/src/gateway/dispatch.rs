//! From the world's events to the packets of each session.

use std::cell::RefCell;
use std::sync::Arc;

use super::hub::Hub;
use super::session::{Packet, Session};
use crate::journal::{Happened, hash_text};
use crate::value::Val;
use crate::wire::message::Encoding;
use crate::world::event::{Event, Seen};
use crate::world::kind::Kind;
use crate::world::lane::Lane;

thread_local! {
    /// Where payloads are encoded before they are kept in the size they have.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A packet of `body`.
pub(crate) fn packet(name: &'static str, body: &Val, encoding: Encoding, hashed: bool) -> Packet {
    SCRATCH.with_borrow_mut(|bytes| {
        bytes.clear();
        let hash = match encoding {
            Encoding::Etf(_) if hashed => {
                Encoding::Json.write_body(body, bytes);
                let hash = hash_text(bytes);
                bytes.clear();
                hash
            }
            _ => 0,
        };
        encoding.write_body(body, bytes);
        let hash = if hashed && encoding == Encoding::Json { hash_text(bytes) } else { hash };
        Packet { name, body: Arc::from(&**bytes), hash }
    })
}

/// Hands each event to the sessions it is for, which are those that listen to the lane, or all there
/// are. Called with the lane locked, and as it was when the events happened.
pub(crate) fn dispatch(hub: &Hub, lane: &Lane, events: &[Event], listeners: &[Arc<Session>]) {
    for event in events {
        if event.everywhere {
            // Those that have their READY: what one that is just beginning may miss, `Hub::begin`
            // makes good.
            let all = hub.live_sessions();
            hand_out(hub, lane, event, all.iter());
            all.iter().for_each(|session| session.ready.notify_one());
        } else {
            let covering = listeners.iter().filter(|session| session.covers(event.guild));
            let set = voice_set(hub, event, covering.clone());
            let told = covering.filter(|session| set.is_none_or(|set| set == session.shards));
            hand_out(hub, lane, event, told);
        }
    }
}

/// The set that alone is told of a voice server: the one that asked, if it is there, else the first that is.
fn voice_set<'s>(
    hub: &Hub,
    event: &Event,
    mut covering: impl Iterator<Item = &'s Arc<Session>> + Clone,
) -> Option<u64> {
    let guild = event.guild.filter(|_| event.kind == Kind::VOICE_SERVER_UPDATE)?;
    let asked = hub.sets.voice(guild);
    let mut all = covering.clone().map(|session| session.shards);
    asked
        .filter(|asked| all.any(|shards| shards == *asked))
        .or_else(|| Some(covering.next()?.shards))
}

fn hand_out<'s>(
    hub: &Hub,
    lane: &Lane,
    event: &Event,
    sessions: impl Iterator<Item = &'s Arc<Session>>,
) {
    let packet =
        |body: &Val, session: &Session| packet(event.name(), body, session.encoding, hub.hashed());
    let serving = hub.sets.serve(event, lane);
    // An event is encoded once for all the sessions that see it alike.
    let mut made: [Option<Packet>; Encoding::COUNT] = Default::default();
    // Numbers of shards whose sessions are told: few.
    let mut told = Vec::new();
    for session in sessions {
        let Some(delay) = serving.delay(session.shards) else { continue };
        let packet = match event.seen(session.viewer, lane) {
            None => continue,
            Some(Seen::Own(body)) => packet(&body, session),
            Some(Seen::Whole(body)) => {
                let made = &mut made[session.encoding.index()];
                made.get_or_insert_with(|| packet(body, session)).clone()
            }
        };
        if session.tell(event.guild, packet, delay) {
            hub.lagged.notify_one();
        }
        if let Err(at) = told.binary_search(&session.shards) {
            told.insert(at, session.shards);
        }
    }
    if hub.world_journal.is_kept() {
        let hash = made.iter().flatten().next().map(|packet| packet.hash);
        let hash = hash.or_else(|| Some(whole_hash(event.whole()?)));
        let (lane, guild, name) = (lane.index, event.guild, event.name());
        let happened = Happened { lane, guild, name, hash, is_outage: event.is_outage() };
        hub.world_journal.add(happened, &told);
    }
}

/// The hash of a body that nobody was sent whole.
fn whole_hash(body: &Val) -> u64 {
    SCRATCH.with_borrow_mut(|bytes| {
        bytes.clear();
        Encoding::Json.write_body(body, bytes);
        hash_text(bytes)
    })
}
