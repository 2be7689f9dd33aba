//! The tasks of a process, and the loop that starts more of them.

use std::time::Duration;

use mixcord_process::service::Service;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::failure::Failure;

/// When it is said again that there is nothing to do.
const REMIND: Duration = Duration::from_secs(30);

/// Tasks that run until they are told to stop, or one fails.
pub(crate) struct Crew {
    service: Service,
    stop: watch::Receiver<bool>,
    tasks: JoinSet<Result<(), Failure>>,
    /// For how long there was nothing to do.
    idle: Option<Duration>,
}

impl Crew {
    pub(crate) fn new(service: Service, stop: watch::Receiver<bool>) -> Self {
        Self { service, stop, tasks: JoinSet::new(), idle: None }
    }

    /// Starts a task, which gets what says when to stop.
    pub(crate) fn spawn<F>(&mut self, task: impl FnOnce(watch::Receiver<bool>) -> F)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.tasks.spawn(task(self.stop.clone()));
    }

    /// Whether it is time to say that there is nothing to do, for one more `pause`.
    pub(crate) fn idles(&mut self, pause: Duration) -> bool {
        let said = self.idle.is_none_or(|idle| idle >= REMIND);
        let before = if said { Duration::ZERO } else { self.idle.unwrap_or_default() };
        self.idle = Some(before + pause);
        said
    }

    /// Waits for a while, and says what is done meanwhile; false when it is time to stop.
    ///
    /// # Errors
    /// A task failed.
    pub(crate) async fn goes_on(&mut self, pause: Duration, does: String) -> Result<bool, Failure> {
        self.service.status(does);
        tokio::select! {
            Some(ended) = self.tasks.join_next() => {
                ended.map_err(|error| Failure::Trouble(error.to_string()))??;
                Ok(true)
            }
            _ = self.stop.wait_for(|stop| *stop) => Ok(false),
            () = tokio::time::sleep(pause) => Ok(true),
        }
    }

    /// Waits for all of them.
    pub(crate) async fn end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
