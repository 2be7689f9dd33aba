//! Every transition without a socket, named after the rule it keeps.

use std::time::Duration;

use super::*;

mod heartbeats;
mod pauses;
mod properties;
mod recovery;
mod stream;
mod succession;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const INTERVAL_MS: u64 = 40_000;
const URL: &str = "wss://resume.example";

/// A session with its own clock, whose actions are looked at after each step.
struct Bench {
    session: Session,
    now: Instant,
    reading: Reading,
}

impl Bench {
    fn new(restored: Restored) -> Self {
        let now = Instant::now();
        let backoff = Backoff { min: 500 * MS, max: 60 * SECOND };
        let session = Session::new(now, restored, backoff, Times::default(), Random::seeded(11));
        Self { session, now, reading: Reading::Running }
    }

    fn fresh() -> Self {
        Self::new(Restored::nothing())
    }

    fn restored() -> Self {
        Self::new(Restored {
            session: Some(SessionInfo { id: "old".into(), resume_url: Some(URL.into()) }),
            seq: Some(41),
            counter: 6,
            lost: None,
        })
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.next_action())
            .filter(|action| !matches!(action, Action::State(_)))
            .collect()
    }

    /// Lets time pass up to the next deadline.
    fn pass(&mut self) -> Duration {
        let deadline = self.session.deadline(self.reading).expect("a deadline");
        let passed = deadline.saturating_duration_since(self.now);
        self.now = self.now.max(deadline);
        self.session.tick(self.now, self.reading);
        passed
    }

    fn say(&mut self, incoming: Incoming<'_>) -> Verdict {
        self.session.message(self.now, incoming)
    }

    /// Up to the open connection; where to?
    fn open(&mut self) -> Endpoint {
        self.pass();
        let actions = self.actions();
        let [Action::Connect(endpoint)] = &actions[..] else { panic!("{actions:?}") };
        self.session.connected(self.now);
        endpoint.clone()
    }

    fn hello(&mut self) -> Vec<Action> {
        self.say(Incoming::Hello { interval_ms: Some(INTERVAL_MS) });
        self.actions()
    }

    fn dispatch(&mut self, seq: u64) -> Verdict {
        self.say(Incoming::Dispatch { seq: Some(seq), event: Event::Other })
    }

    fn resumed(&mut self, seq: u64) -> Verdict {
        self.say(Incoming::Dispatch { seq: Some(seq), event: Event::Resumed })
    }

    fn ready(&mut self, id: &str) -> Delivery {
        let event = Event::Ready { session_id: id, resume_url: Some(URL) };
        match self.say(Incoming::Dispatch { seq: Some(1), event }) {
            Verdict::Deliver(delivery) => delivery,
            Verdict::Ignore => panic!("READY was ignored"),
        }
    }

    /// A new session up to READY.
    fn identify(&mut self, id: &str) -> Delivery {
        let actions = self.hello();
        assert!(matches!(actions[..], [Action::AskPermit { .. }]), "{actions:?}");
        self.session.permit();
        assert_eq!(self.actions(), [Action::Send(Payload::Identify)]);
        self.ready(id)
    }

    /// A session that is well.
    fn active() -> Self {
        let mut bench = Self::fresh();
        bench.open();
        bench.identify("s");
        bench.commit(1);
        bench
    }

    fn read_again(&mut self) {
        self.reading = Reading::Running;
        self.session.read_again(self.now);
    }

    fn commit(&mut self, seq: u64) {
        self.session.committed(self.session.counter(), seq);
    }
}

fn delivered(verdict: Verdict) -> Delivery {
    match verdict {
        Verdict::Deliver(delivery) => delivery,
        Verdict::Ignore => panic!("ignored"),
    }
}
