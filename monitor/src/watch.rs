//! The clock of the live page: a look, a frame, a point of the history.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mixcord::Stop;
use tokio::sync::watch;

use crate::frame::{Frames, History};
use crate::sample::Source;

/// The shortest tick.
const TICK: Duration = Duration::from_secs(1);
/// A look may take one part of so many of the time: many shards make the ticks longer, never a processor busy.
const SHARE: u32 = 30;

/// Frames as they come, the newest only: a page that does not keep up skips some.
#[derive(Debug)]
pub(crate) struct Ticker {
    frame: watch::Sender<Arc<str>>,
    history: Mutex<History>,
}

impl Ticker {
    pub(crate) fn new() -> Self {
        Self { frame: watch::channel(Arc::from("")).0, history: Mutex::default() }
    }

    pub(crate) fn listen(&self) -> watch::Receiver<Arc<str>> {
        self.frame.subscribe()
    }

    pub(crate) fn history(&self) -> String {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).json()
    }

    /// Ticks until it is stopped.
    pub(crate) fn run(&self, source: &Source, stop: &Stop) {
        let mut frames = Frames::new();
        while !stop.is_stopped() {
            let pause = match source.look() {
                Ok(sample) => {
                    let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
                    let frame = frames.next(&sample, &mut history);
                    drop(history);
                    self.frame.send_replace(frame.into());
                    TICK.max(sample.took * SHARE)
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    TICK
                }
            };
            wait(pause, stop);
        }
    }
}

/// Sleeps in parts, so that an end is not waited for.
fn wait(pause: Duration, stop: &Stop) {
    const PART: Duration = Duration::from_millis(200);
    let mut left = pause;
    while !left.is_zero() && !stop.is_stopped() {
        let part = left.min(PART);
        std::thread::sleep(part);
        left -= part;
    }
}
