//! The stream of dispatches: sequence numbers, replays, holes, and what could not be decoded.

use std::time::Instant;

use super::{Delivery, Event, Gap, GapReason, Lost, Phase, Session, SessionInfo, Verdict};

impl Session {
    /// A message could not be decoded and was left out; the stream itself is fine.
    pub fn poisoned(&mut self, now: Instant) {
        self.poisoned = true;
        self.heard();
        self.doubt(now);
    }

    /// What READY or RESUMED was waited for may have been lost: it is not waited for for ever.
    fn doubt(&mut self, now: Instant) {
        if let Phase::Identifying { until } | Phase::Resuming { until } = &mut self.phase {
            until.get_or_insert(now + self.times.hello);
        }
    }

    pub(super) fn dispatch(&mut self, now: Instant, seq: Option<u64>, event: Event<'_>) -> Verdict {
        match (self.phase, event) {
            (Phase::AwaitHello { .. } | Phase::AwaitPermit, _) => Verdict::Ignore,
            (_, Event::Ready { session_id, resume_url }) => {
                self.ready(now, seq.unwrap_or(0), session_id, resume_url)
            }
            // Without READY there is no session it could belong to.
            (Phase::Identifying { .. }, _) => {
                self.early = self.early.or(seq).or(Some(0));
                self.doubt(now);
                Verdict::Ignore
            }
            (_, event) => self.event(now, seq, event == Event::Resumed),
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
        if let Some(early) = self.early.take().filter(|_| self.owed.is_none()) {
            let to_seq = seq.checked_sub(1).filter(|to_seq| *to_seq >= early);
            let (counter, reason) = (self.counter, GapReason::BeforeReady);
            self.owed = Some(Gap { counter, from_seq: early, to_seq, reason });
        }
        let session =
            SessionInfo { id: session_id.to_owned(), resume_url: resume_url.map(str::to_owned) };
        self.session = Some(session.clone());
        self.accepted = Some(seq);
        self.committed = None;
        self.began_at = seq;
        self.replayed = None;
        self.replaying = false;
        self.poisoned = false;
        self.to_resume_url = true;
        self.activate(now);
        Verdict::Deliver(Delivery {
            gap: self.owed.take(),
            begins: Some(session),
            seq,
            counter: self.counter,
        })
    }

    fn event(&mut self, now: Instant, seq: Option<u64>, resumed: bool) -> Verdict {
        let accepted = self.accepted.unwrap_or(0);
        if resumed && matches!(self.phase, Phase::Resuming { .. }) {
            self.activate(now);
        }
        // An event without a number is passed on and cannot move anything.
        let Some(seq) = seq else { return self.deliver(None, accepted) };
        if self.replayed.is_some_and(|replayed| seq <= replayed) || self.accepted == Some(seq) {
            return Verdict::Ignore;
        }
        self.replayed = None;
        let replaying = std::mem::take(&mut self.replaying);
        let poisoned = std::mem::take(&mut self.poisoned);
        let next = accepted.saturating_add(1);
        if seq <= next {
            // A number that jumps back is the server's business: the event is still news.
            self.accepted = Some(seq);
            return self.deliver(None, seq);
        }
        let gap = Gap {
            counter: self.counter,
            from_seq: next,
            to_seq: Some(seq - 1),
            reason: if poisoned { GapReason::Undecodable } else { GapReason::Hole },
        };
        if replaying && !poisoned {
            self.give_up_session(GapReason::Hole);
            self.drop_connection(now, Lost::Hole);
            return Verdict::Ignore;
        }
        self.accepted = Some(seq);
        self.deliver(Some(gap), seq)
    }

    fn deliver(&self, gap: Option<Gap>, seq: u64) -> Verdict {
        Verdict::Deliver(Delivery { gap, begins: None, seq, counter: self.counter })
    }
}
