//! A session that takes the place of one that is well.
//!
//! A RESUME never leads into another session, and what Discord sends at the beginning of one it sends at no other
//! time (G-19, G-42). But sessions of one shard may run side by side, each with its own copy of the events (G-40):
//! so the next one is begun beside the old one, which is read until READY is there and ended only then.

use super::{Action, Gap, GapReason, Phase, Session, State};

impl Session {
    /// Do events flow?
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// The connection of `successor`, which has identified and whose READY is shown next, becomes that of this
    /// session. The shell has dropped what this one had; false where nothing can follow: it has ended, or an
    /// operator wants no connection.
    pub fn succeed(&mut self, successor: Self) -> bool {
        let is_over = matches!(self.phase, Phase::Ended | Phase::Paused { .. });
        if is_over || !matches!(successor.phase, Phase::Open(_)) {
            return false;
        }
        // What else was to be done was about the old connection.
        self.actions.retain(|action| matches!(action, Action::State(_)));
        self.phase = successor.phase;
        self.reconnects = self.reconnects.saturating_add(1);
        self.failures.identify();
        if self.session.take().is_some() {
            self.failures.session_gone();
        }
        // One that is owed already began earlier and has no end.
        self.owed.get_or_insert_with(|| Gap {
            counter: self.counter,
            from_seq: self.sequence.first_missing(),
            to_seq: None,
            reason: GapReason::Refill,
        });
        true
    }
}
