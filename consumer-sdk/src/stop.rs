use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use mixcord_process::signals;

use crate::Error;
use crate::doorbell::Doorbell;

/// Ends a consumer from anywhere: `next` gives `None`, `run` returns once the handlers at work are
/// done. What was not acknowledged by then is given to another member, or again after a restart.
///
/// Clones stop the same consumers; one handle may be given to several.
///
/// ```no_run
/// # async fn example() -> Result<(), mixcord::Error> {
/// let stop = mixcord::Stop::new();
/// let mut consumer = mixcord::Consumer::builder().group("bot").stop(&stop).connect().await?;
/// std::thread::spawn(move || stop.stop());
/// assert!(consumer.next().await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    consumers: Mutex<Vec<Weak<Doorbell>>>,
    /// Once it hears signals; gone with the last handle.
    signals: OnceLock<signals::Registration>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl Stop {
    /// A handle that stops nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops every consumer that has this handle, now and later.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        let consumers = self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        for doorbell in consumers.iter().filter_map(Weak::upgrade) {
            doorbell.ring();
        }
    }

    /// Has [`stop`](Self::stop) been called?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Stops on SIGTERM and on SIGINT (Ctrl-C), watched by a small thread of its own, so that it
    /// serves async and blocking programs alike.
    ///
    /// From the signal on the process has the longest [`grace`](crate::Builder::grace) of its consumers
    /// and half a second more, 4.5 s by default. If it still lives then, because a handler hangs or
    /// blocks the runtime, it is ended where it stands with exit code 124; what was not acknowledged is
    /// given again. A second signal ends it at once, with 128 and the signal's number.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives no thread or no signal handler.
    pub fn on_signals(&self) -> Result<(), Error> {
        signals::watch()
            .map_err(|source| Error::Io { doing: "setting up signal handling", source })?;
        let shared = Arc::downgrade(&self.0);
        self.0.signals.get_or_init(|| {
            signals::on_stop(move || {
                if let Some(shared) = shared.upgrade() {
                    Self(shared).stop();
                }
            })
        });
        Ok(())
    }

    pub(crate) fn register(&self, doorbell: &Arc<Doorbell>) {
        let mut consumers = self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        consumers.retain(|known| known.strong_count() > 0);
        consumers.push(Arc::downgrade(doorbell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_that_hears_signals_is_forgotten_with_its_last_clone() {
        let stop = Stop::new();
        stop.on_signals().expect("a thread");
        stop.on_signals().expect("the same once more");
        let shared = Arc::downgrade(&stop.0);
        drop(stop);
        assert!(shared.upgrade().is_none(), "kept for life");
    }
}
