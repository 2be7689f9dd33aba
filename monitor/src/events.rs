//! Some of what passes by: gaps always, updates only where somebody allowed it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mixcord::{Consumer, Event, Next, Stop, atoms};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::update::{TELLING, Update};

/// Gaps that are kept for a page that is opened later.
const GAPS: usize = 20;
/// How often an update is picked out of the stream; the rest passes by unseen.
const PICK: Duration = Duration::from_millis(400);
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(250);
/// How many updates of the kind that was told last are passed over for one of another kind.
const VARIETY: u32 = 50;
/// Values told of an update.
const VALUES: usize = 3;

/// A loss that was told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Gap {
    shard: u16,
    /// When the gateway told it, in seconds since the Unix epoch.
    at: u64,
    reason: Option<String>,
    from_seq: Option<u64>,
    to_seq: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Events {
    gaps: Mutex<VecDeque<Gap>>,
    /// Name of a server-sent event and its data.
    news: broadcast::Sender<(&'static str, String)>,
}

impl Events {
    pub(crate) fn new() -> Self {
        // A page that does not keep up misses some.
        Self { gaps: Mutex::default(), news: broadcast::channel(16).0 }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<(&'static str, String)> {
        self.news.subscribe()
    }

    /// The last gaps, as JSON.
    pub(crate) fn gaps(&self) -> String {
        let gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_string(&*gaps).unwrap_or_default()
    }

    /// Looks on until it is stopped. An observer holds nobody up.
    pub(crate) fn watch(&self, instance: &str, show_events: bool, stop: &Stop) {
        let names: &[&str] = if show_events { &TELLING } else { &[] };
        let mut observer: Option<Consumer> = None;
        let mut last = (String::new(), 0);
        while !stop.is_stopped() {
            if observer.is_none() {
                let builder = Consumer::builder().instance(instance).observer().stop(stop);
                let builder = builder.names(names.iter().copied().chain(["GAP"])).from_earliest();
                observer = builder.wait(Duration::ZERO).connect_blocking().ok();
            }
            match observer.as_mut().map(|observer| observer.next_timeout(LOOK)) {
                Some(Ok(Next::Event(event))) if event.name() == "GAP" => self.tell_gap(&event),
                Some(Ok(Next::Event(event))) => self.tell_update(&event, &mut last),
                Some(Ok(Next::Timeout)) => {}
                Some(Ok(Next::Stopped)) => return,
                // The ring is replaced, gone or not there yet: looked for again.
                Some(Err(_)) | None => {
                    observer = None;
                    std::thread::sleep(LOOK);
                }
            }
        }
    }

    fn tell_gap(&self, event: &Event) {
        let data = event.data();
        let number = |key| data.get(key).and_then(|value| value.as_u64());
        let gap = Gap {
            shard: event.shard().id,
            at: event.received_us() / 1_000_000,
            reason: data.get(atoms::REASON).and_then(|it| it.as_str()).map(str::to_owned),
            from_seq: number(atoms::FROM_SEQ),
            to_seq: number(atoms::TO_SEQ),
        };
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        gaps.push_front(gap);
        gaps.truncate(GAPS);
        drop(gaps);
        let _ = self.news.send(("gaps", self.gaps()));
    }

    /// `last` is the kind that was told last, and how many of it were passed over since.
    fn tell_update(&self, event: &Event, last: &mut (String, u32)) {
        if self.news.receiver_count() == 0 {
            return;
        }
        if event.name() == last.0 && last.1 < VARIETY {
            last.1 += 1;
            return;
        }
        if let Some(update) = Update::of(event, VALUES)
            && let Ok(json) = serde_json::to_string(&update)
        {
            *last = (event.name().to_owned(), 0);
            let _ = self.news.send(("update", json));
            std::thread::sleep(PICK);
        }
    }
}
