//! What a process tells the service manager that started it (`sd_notify(3)`), such as systemd.
//!
//! A thread of its own speaks, so that a manager that does not listen holds up nobody, and so that the
//! watchdog means something: the thread passes on a sign of life only where [`Service::alive`] was called
//! since the last one. Whoever must never stand still calls it; what may stand still, such as a full
//! ring, has no say in it, or back-pressure would get the process killed.
//!
//! Where no manager listens nothing is started and every call is free.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::signals;

/// How often at least [`Service::alive`] is to be called. A watchdog that is shorter than three times this
/// is of no use.
pub const BEAT: Duration = Duration::from_secs(1);

/// The service manager, or nobody. Clones speak for the same process.
#[derive(Clone, Debug, Default)]
pub struct Service(Option<Arc<Desk>>);

impl Service {
    /// The manager that the environment names in `NOTIFY_SOCKET`. From the first signal to stop on, it
    /// knows that we are stopping. Nobody, with a line in the log, where the system gives no thread.
    pub fn start() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        let desk = Arc::new(Desk::default());
        let watchdog = sd_notify::watchdog_enabled();
        let speaker = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("service".to_owned())
            .spawn(move || speaker.speak(watchdog.map(|limit| limit / 3)));
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread to tell the service manager how this process stands");
            return Self(None);
        }
        let stopping = Arc::clone(&desk);
        signals::on_stop(move || stopping.change(|news| news.stopping = true)).keep();
        Self(Some(desk))
    }

    /// The process does its work, or waits for others to do theirs: whatever depends on it may start.
    pub fn ready(&self) {
        self.change(|news| news.ready = true);
    }

    /// One line for people: how it stands. What was said last is not said again.
    pub fn status(&self, text: impl AsRef<str> + Into<String>) {
        let Some(desk) = &self.0 else { return };
        if desk.news().said.as_deref() != Some(text.as_ref()) {
            let text = text.into();
            desk.change(|news| {
                news.said = Some(text.clone());
                news.status = Some(text);
            });
        }
    }

    /// Whoever must never stand still goes on.
    pub fn alive(&self) {
        // Nobody is woken: the watchdog's thread looks when its time has come.
        if let Some(desk) = &self.0 {
            desk.news().alive = true;
        }
    }

    /// Does anybody listen? Who calls [`alive`](Self::alive) on a timer needs none if not.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    fn change(&self, change: impl FnOnce(&mut News)) {
        if let Some(desk) = &self.0 {
            desk.change(change);
        }
    }
}

/// Where news lie until they are told.
#[derive(Debug, Default)]
struct Desk {
    news: Mutex<News>,
    changed: Condvar,
}

/// What the manager has not heard.
#[derive(Debug, Default)]
struct News {
    ready: bool,
    stopping: bool,
    alive: bool,
    status: Option<String>,
    /// The last status, told or not.
    said: Option<String>,
}

impl News {
    fn is_urgent(&self) -> bool {
        self.ready || self.stopping || self.status.is_some()
    }

    /// Takes what there is to tell.
    fn take(&mut self, watched: bool) -> Told {
        Told {
            ready: std::mem::take(&mut self.ready),
            stopping: std::mem::take(&mut self.stopping),
            alive: std::mem::take(&mut self.alive) && watched,
            status: self.status.take(),
        }
    }
}

struct Told {
    ready: bool,
    stopping: bool,
    alive: bool,
    status: Option<String>,
}

impl Told {
    fn states(&self) -> Vec<NotifyState<'_>> {
        let status = self.status.as_deref().map(NotifyState::Status);
        [
            self.ready.then_some(NotifyState::Ready),
            self.stopping.then_some(NotifyState::Stopping),
            self.alive.then_some(NotifyState::Watchdog),
            status,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Desk {
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news());
        self.changed.notify_one();
    }

    /// Tells the news for as long as the process lives; a sign of life each `interval`.
    fn speak(&self, interval: Option<Duration>) {
        let mut complained = false;
        loop {
            let told = self.wait(interval).take(interval.is_some());
            let states = told.states();
            if states.is_empty() {
                continue;
            }
            if let Err(error) = sd_notify::notify(&states)
                && !std::mem::replace(&mut complained, true)
            {
                tracing::warn!(%error, "the service manager cannot be told how this process stands");
            }
        }
    }

    /// Until there is something that cannot wait, or `interval` is over.
    fn wait(&self, interval: Option<Duration>) -> MutexGuard<'_, News> {
        let news = self.news();
        match interval {
            None => self
                .changed
                .wait_while(news, |news| !news.is_urgent())
                .unwrap_or_else(PoisonError::into_inner),
            Some(interval) => {
                self.changed
                    .wait_timeout_while(news, interval, |news| !news.is_urgent())
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(news: &mut News) -> Vec<String> {
        news.take(true).states().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sign_of_life_is_passed_on_once() {
        let mut news = News { alive: true, ..News::default() };
        assert_eq!(told(&mut news), ["WATCHDOG=1"]);
        assert!(told(&mut news).is_empty(), "nobody said that it still lives");
    }

    #[test]
    fn no_watchdog_no_sign() {
        let mut news = News { alive: true, ready: true, ..News::default() };
        let told: Vec<_> = news.take(false).states().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["READY=1"]);
    }

    #[test]
    fn a_status_is_told_when_it_changes() {
        let service = Service(Some(Arc::new(Desk::default())));
        let told = || told(&mut service.0.as_ref().expect("made above").news());
        service.status("4 of 4 shards connected");
        assert_eq!(told(), ["STATUS=4 of 4 shards connected"]);
        service.status("4 of 4 shards connected");
        assert!(told().is_empty());
        service.status("3 of 4 shards connected");
        assert_eq!(told(), ["STATUS=3 of 4 shards connected"]);
    }

    #[test]
    fn without_a_manager_nothing_is_done() {
        let service = Service::default();
        service.ready();
        service.status("unheard");
        service.alive();
        assert!(service.0.is_none());
    }
}
