//! Some updates of the stream, as many as a person can read.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use mixcord::{Consumer, Next, Stop};
use mixcord_monitor::update::{TELLING, Update};

/// How often an update is picked out of the stream. The rest passes by unseen: an observer that falls behind is
/// moved on, and holds nobody up.
const PICK: Duration = Duration::from_millis(250);
/// How many updates of the kind that was shown last are passed over for one of another kind.
const VARIETY: u32 = 100;
/// Values shown of an update.
const VALUES: usize = 2;
/// How many updates may wait to be shown.
const WAITING: usize = 16;

pub(super) struct Picker(Receiver<Update>);

impl Picker {
    /// Picks until `stop`, or until it is dropped.
    pub(super) fn start(instance: &str, stop: &Stop) -> Result<Self> {
        let (shown, updates) = sync_channel(WAITING);
        let (instance, stop) = (instance.to_owned(), stop.clone());
        let work = move || pick(&instance, &shown, &stop);
        std::thread::Builder::new().name("picker".to_owned()).spawn(work)?;
        Ok(Self(updates))
    }

    /// What was picked since the last call.
    pub(super) fn take(&self) -> Vec<Update> {
        self.0.try_iter().collect()
    }

    /// Waits for so long, or until `stop`.
    #[allow(clippy::unused_self, reason = "whoever has a picker waits for what it picks")]
    pub(super) fn wait(&self, time: Duration, stop: &Stop) {
        let end = Instant::now() + time;
        while !stop.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(PICK));
        }
    }
}

fn pick(instance: &str, shown: &SyncSender<Update>, stop: &Stop) {
    let mut observer: Option<Consumer> = None;
    let mut last = (String::new(), 0);
    while !stop.is_stopped() {
        if observer.is_none() {
            let builder =
                Consumer::builder().instance(instance).observer().names(TELLING).stop(stop);
            observer = builder.wait(Duration::ZERO).connect_blocking().ok();
        }
        match observer.as_mut().map(|observer| observer.next_timeout(PICK)) {
            Some(Ok(Next::Event(event))) => {
                if event.name() == last.0 && last.1 < VARIETY {
                    last.1 += 1;
                    continue;
                }
                let Some(update) = Update::of(&event, VALUES) else { continue };
                last = (event.name().to_owned(), 0);
                // Nobody looks any more, or not fast enough.
                if let Err(std::sync::mpsc::TrySendError::Disconnected(_)) = shown.try_send(update)
                {
                    return;
                }
                std::thread::sleep(PICK);
            }
            Some(Ok(_)) => {}
            // The ring is replaced or gone, or not there yet: looked for again.
            Some(Err(_)) | None => {
                observer = None;
                std::thread::sleep(PICK);
            }
        }
    }
}
