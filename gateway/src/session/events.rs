//! The stream of dispatches: replays, holes, and what could not be decoded.

use std::time::Instant;

use super::connection::{Connection, Stage};
use super::sequence::{Admitted, Sequence};
use super::{Delivery, Event, Gap, GapReason, Lost, Phase, Session, SessionInfo, Verdict};

impl Session {
    /// A message could not be decoded and was left out; the stream itself is fine.
    pub fn poisoned(&mut self, now: Instant) {
        let latest = now + self.times.hello;
        if let Phase::Open(connection) = &mut self.phase {
            connection.heart.heard();
            connection.poisoned = true;
            connection.doubt(latest);
        }
    }

    pub(super) fn dispatch(&mut self, now: Instant, seq: Option<u64>, event: Event<'_>) -> Verdict {
        let latest = now + self.times.hello;
        let Phase::Open(connection) = &mut self.phase else { return Verdict::Ignore };
        match (connection.stage, event) {
            (Stage::AwaitPermit, _) => Verdict::Ignore,
            (_, Event::Ready { session_id, resume_url }) => {
                self.ready(now, seq.unwrap_or(0), session_id, resume_url)
            }
            // Without READY there is no session it could belong to.
            (Stage::Identifying { .. }, _) => {
                connection.early = connection.early.or(seq).or(Some(0));
                connection.doubt(latest);
                Verdict::Ignore
            }
            (stage, event) => {
                if event == Event::Resumed && matches!(stage, Stage::Resuming { .. }) {
                    self.activate(now);
                }
                self.event(now, seq)
            }
        }
    }

    fn ready(
        &mut self,
        now: Instant,
        seq: u64,
        session_id: &str,
        resume_url: Option<&str>,
    ) -> Verdict {
        // A READY nobody asked for ends the session before it.
        self.give_up_session(GapReason::Replaced);
        self.counter = self.counter.wrapping_add(1);
        if let Phase::Open(connection) = &mut self.phase {
            connection.replay = None;
            connection.poisoned = false;
            if let Some(early) = connection.early.take().filter(|_| self.owed.is_none()) {
                let to_seq = seq.checked_sub(1).filter(|to_seq| *to_seq >= early);
                let (counter, reason) = (self.counter, GapReason::BeforeReady);
                self.owed = Some(Gap { counter, from_seq: early, to_seq, reason });
            }
        }
        let session =
            SessionInfo { id: session_id.to_owned(), resume_url: resume_url.map(str::to_owned) };
        self.session = Some(session.clone());
        self.sequence = Sequence::begin(seq);
        self.activate(now);
        let (gap, begins, counter) = (self.owed.take(), Some(session), self.counter);
        Verdict::Deliver(Delivery { gap, begins, seq, resume_at: seq, counter })
    }

    fn event(&mut self, now: Instant, seq: Option<u64>) -> Verdict {
        let Phase::Open(connection) = &mut self.phase else { return Verdict::Ignore };
        // An event without a number is passed on and cannot move anything.
        let Some(seq) = seq else {
            return self.deliver(None, self.sequence.accepted().unwrap_or(0));
        };
        if connection.repeats(seq) {
            return Verdict::Ignore;
        }
        let missing = match self.sequence.admit(seq) {
            Admitted::Duplicate => return Verdict::Ignore,
            Admitted::Next | Admitted::Late => None,
            Admitted::Jump(missing) => Some(missing),
        };
        let replaying = connection.replay.take().is_some();
        let poisoned = std::mem::take(&mut connection.poisoned);
        let Some(missing) = missing else { return self.deliver(None, seq) };
        // G-24. A server whose replays always have holes would otherwise get nothing but identifies.
        if replaying && !poisoned && self.failures.may_end_for_a_hole(now) {
            self.give_up_session(GapReason::Hole);
            self.drop_connection(now, Lost::Hole);
            return Verdict::Ignore;
        }
        self.sequence.jump(seq);
        let gap = Gap {
            counter: self.counter,
            from_seq: *missing.start(),
            to_seq: Some(*missing.end()),
            reason: if poisoned { GapReason::Undecodable } else { GapReason::Hole },
        };
        self.deliver(Some(gap), seq)
    }

    fn deliver(&self, gap: Option<Gap>, seq: u64) -> Verdict {
        let resume_at = self.sequence.accepted().unwrap_or(seq);
        Verdict::Deliver(Delivery { gap, begins: None, seq, resume_at, counter: self.counter })
    }

    /// READY or RESUMED came, or has to be taken as come.
    pub(super) fn activate(&mut self, now: Instant) {
        if let Phase::Open(Connection { stage, .. }) = &mut self.phase {
            *stage = Stage::Active { since: now };
        }
        self.failures.active();
        self.paused_since = None;
        self.set_state(super::State::Connected);
    }
}
