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

/// Hands each event to the sessions it is for. Called with the lane locked, and as it was when the
/// events happened.
pub(crate) fn dispatch(hub: &Hub, lane: &Lane, events: &[Event], sessions: &[Arc<Session>]) {
    let hashed = hub.hashed();
    for event in events {
        if event.everywhere {
            dispatch_everywhere(hub, lane, event);
            continue;
        }
        // An event is encoded once for all the sessions that see it alike.
        let mut made: [Option<Packet>; Encoding::COUNT] = Default::default();
        for session in sessions.iter().filter(|session| session.covers(event.guild)) {
            let body = match event.seen(session.viewer, lane) {
                None => continue,
                Some(Seen::Whole(body)) => body,
                Some(Seen::Own(body)) => {
                    session.push(packet(event.name(), &body, session.encoding, hashed));
                    continue;
                }
            };
            let made = made[session.encoding.index()]
                .get_or_insert_with(|| packet(event.name(), body, session.encoding, hashed));
            session.push(made.clone());
        }
    }
}

/// Hands an event to the sessions of all shards. They are those that have their READY: what a session
/// that is just beginning may miss, `Hub::begin` makes good.
fn dispatch_everywhere(hub: &Hub, lane: &Lane, event: &Event) {
    for session in hub.live_sessions() {
        if let Some(Seen::Whole(body)) = event.seen(session.viewer, lane) {
            session.push(packet(event.name(), body, session.encoding, hub.hashed()));
            session.ready.notify_one();
        }
    }
}
