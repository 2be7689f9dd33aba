//! What a handler can say of its event.

use std::time::Duration;

use super::Event;
use crate::group::How;

/// Settling an event. Only the first word counts, and only while the [`Consumer`](crate::Consumer) lives;
/// afterwards the event belongs to others. Of an observer's event nothing is said.
impl Event {
    /// The event is handled, and is never given again, even if this process dies right after: one store to
    /// shared memory. Inside a handler of [`run`](crate::Consumer::run) it frees the event's key at once: the guild's
    /// next event is given, while this handler works on, and whatever it returns then changes nothing.
    pub fn ack(&self) {
        self.settle(How::Ack);
    }

    /// The attempt failed: the event is given again after this long, by this process while it lives, and counts
    /// towards [`attempts`](crate::Builder::attempts). What waits behind it waits as long. The `reason` is logged,
    /// and kept with the dead letter if this was the last attempt.
    pub fn nak(&self, after: Duration, reason: &str) {
        self.settle(How::Retry(after, reason));
    }

    /// No attempt will succeed: the event is not given again, but kept as a dead letter with this reason.
    pub fn term(&self, reason: &str) {
        self.settle(How::GiveUp(reason));
    }

    /// The handler is still at work: its [`handler_timeout`](crate::Builder::handler_timeout) begins anew.
    pub fn progress(&self) {
        if let Some(out) = self.out() {
            out.renew();
        }
    }

    /// The handler failed: the event is given again after the usual pause, even while clones of it live.
    pub(crate) fn fail(&self, reason: &str) {
        self.settle(How::Fail(reason));
    }

    fn settle(&self, how: How<'_>) {
        #[cfg(feature = "testing")]
        if let Some(given) = self.given() {
            given.settle(how);
        }
        if let Some(out) = self.out() {
            out.settle(how);
        }
    }
}
