//! From the world's events to the packets of each session.

use std::cell::RefCell;
use std::sync::Arc;

use super::hub::Hub;
use super::session::{Packet, Session};
use crate::journal::hash_text;
use crate::value::Val;
use crate::wire::message::Encoding;
use crate::world::event::{Event, Seen};
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
            hand_out(hub, lane, event, covering);
        }
    }
}

fn hand_out<'s>(
    hub: &Hub,
    lane: &Lane,
    event: &Event,
    sessions: impl Iterator<Item = &'s Arc<Session>>,
) {
    let packet =
        |body: &Val, session: &Session| packet(event.name(), body, session.encoding, hub.hashed());
    // An event is encoded once for all the sessions that see it alike.
    let mut made: [Option<Packet>; Encoding::COUNT] = Default::default();
    for session in sessions {
        match event.seen(session.viewer, lane) {
            None => {}
            Some(Seen::Own(body)) => session.push(packet(&body, session)),
            Some(Seen::Whole(body)) => {
                let made = &mut made[session.encoding.index()];
                session.push(made.get_or_insert_with(|| packet(body, session)).clone());
            }
        }
    }
}
