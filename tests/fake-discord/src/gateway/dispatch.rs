//! From the world's events to the packets of each session.

use std::sync::Arc;

use super::session::{Packet, Session};
use crate::journal::hash_text;
use crate::value::Val;
use crate::wire::message::Encoding;
use crate::world::event::Event;

/// Encodes an event at most once for all the sessions that see it alike.
struct Encoder<'a> {
    event: &'a Event,
    hashed: bool,
    /// By what is seen (everything, or the limited form) and the encoding.
    made: [[Option<Packet>; Encoding::COUNT]; 2],
}

impl Encoder<'_> {
    fn packet(&mut self, session: &Session) -> Option<Packet> {
        let body = self.event.body_for(session.viewer.intents)?;
        let seen = usize::from(!std::ptr::eq(body, &raw const self.event.body));
        let slot = &mut self.made[seen][session.encoding.index()];
        Some(slot.get_or_insert_with(|| packet(self.event.name(), body, session.encoding, self.hashed)).clone())
    }
}

/// A packet of `body`.
pub(crate) fn packet(name: &'static str, body: &Val, encoding: Encoding, hashed: bool) -> Packet {
    let mut bytes = Vec::with_capacity(1024);
    encoding.write_body(body, &mut bytes);
    let hash = match encoding {
        _ if !hashed => 0,
        Encoding::Json => hash_text(&bytes),
        Encoding::Etf(_) => hash_text(&body.to_json()),
    };
    Packet { name, body: Arc::from(bytes), hash }
}

/// Hands each event to the sessions it is for, and wakes them.
pub(crate) fn dispatch(events: &[Event], sessions: &[Arc<Session>], hashed: bool) {
    for event in events {
        let mut encoder = Encoder { event, hashed, made: Default::default() };
        for session in sessions.iter().filter(|session| session.covers(event.guild)) {
            if let Some(packet) = encoder.packet(session) {
                session.push(packet);
            }
        }
    }
    for session in sessions {
        session.ready.notify_one();
    }
}
