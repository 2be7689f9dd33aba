//! SIGTERM and SIGINT: an orderly stop, and an end in time whatever the process does.
//!
//! A thread of its own waits for them, so that neither a runtime that is blocked nor a lock that
//! somebody holds keeps a process alive:
//!
//! * The first signal calls what [`on_stop`] was given. Before anything was given there is nothing to
//!   put in order, and the process ends at once with 0.
//! * If the process still lives [`LIMIT`] later, it is ended where it stands, with a line and the exit
//!   code [`EXIT_LATE`]. Nothing is lost by that: what counts is in shared memory, committed.
//! * A second signal ends it at once, with 128 and the signal's number, but not in the first
//!   [`TOGETHER`]: supervisors pass on what the process was sent already.
//!
//! A signal that was ignored when the process began stays ignored: a shell says so of SIGINT to what it
//! runs in the background.

use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use signal_hook::low_level;

use crate::log;

/// How long an orderly stop may take, unless [`allow`] gives it more. What ends then has ended within 5 s.
pub const LIMIT: Duration = Duration::from_millis(4_500);

/// More than anybody waits for; an `Instant` that far ahead can be had.
const LIMIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Signals that come so soon after the first are the same wish.
pub const TOGETHER: Duration = Duration::from_millis(500);

/// The exit code of a process whose orderly stop took too long: that of timeout(1).
pub const EXIT_LATE: i32 = 124;

const SIGNALS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

type Action = Box<dyn FnOnce() + Send>;

static STATE: Mutex<State> = Mutex::new(State {
    is_watched: false,
    is_stopping: false,
    actions: None,
    registered: 0,
    limit: LIMIT,
});

struct State {
    is_watched: bool,
    is_stopping: bool,
    /// By the number of their registration. `None` until there is something to put in order.
    actions: Option<Vec<(u64, Action)>>,
    /// Registrations there have been.
    registered: u64,
    limit: Duration,
}

/// Keeps what [`on_stop`] was given until it is dropped.
#[derive(Debug)]
#[must_use = "dropped, it forgets the action"]
pub struct Registration(u64);

impl Registration {
    /// Keeps it for the life of the process.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let forgotten = state().actions.as_mut().and_then(|actions| {
            let at = actions.iter().position(|(number, _)| *number == self.0)?;
            Some(actions.swap_remove(at))
        });
        // Not while the state is locked: it may be what somebody else registers by.
        drop(forgotten);
    }
}

/// From now on a thread waits for the signals. Further calls change nothing.
///
/// # Errors
/// When the system gives no thread or no handler.
pub fn watch() -> io::Result<()> {
    let mut state = state();
    if state.is_watched {
        return Ok(());
    }
    // Its thread starts now, and not when there may be none left.
    log::queue().ok_or_else(|| io::Error::other("no thread for the log"))?;
    let heard = Heard::register()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || heard.wait_and_end())?;
    state.is_watched = true;
    Ok(())
}

/// [`watch`], for the first line of `main`: threads made later never see the signals, so that none of
/// their system calls is interrupted. Programs that they start would inherit that.
///
/// # Errors
/// When the system gives no thread or no handler.
pub fn watch_from_main() -> io::Result<()> {
    watch()?;
    let mut signals = SigSet::empty();
    SIGNALS.into_iter().for_each(|signal| signals.add(signal));
    Ok(signals.thread_block()?)
}

/// Has `action` called by the first signal, or now if that has come already; until the answer is dropped. It
/// must not wait: it runs in the thread that ends the process in time.
pub fn on_stop(action: impl FnOnce() + Send + 'static) -> Registration {
    let mut state = state();
    state.registered += 1;
    let registration = Registration(state.registered);
    if state.is_stopping {
        drop(state);
        action();
        return registration;
    }
    state.actions.get_or_insert_default().push((registration.0, Box::new(action)));
    registration
}

/// Lets an orderly stop take this long, if that is more than it may take already, but no more than
/// a day.
pub fn allow(limit: Duration) {
    let mut state = state();
    state.limit = state.limit.max(limit.min(LIMIT_MAX));
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stop under way: when it is ended, and with which code.
struct Stopping {
    first: Instant,
    end: Instant,
    second: Option<Signal>,
}

impl Stopping {
    fn new(first: Instant, limit: Duration) -> Self {
        Self { first, end: first + limit, second: None }
    }

    /// How long it may go on; `None` when it has to end.
    fn left(&self, now: Instant) -> Option<Duration> {
        self.end.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn hear(&mut self, signal: Signal) {
        self.second = Some(signal);
        self.end = self.end.min(self.first + TOGETHER);
    }

    fn code(&self) -> i32 {
        self.second.map_or(EXIT_LATE, |signal| 128 + signal as i32)
    }
}

/// Where the handlers put what they hear.
struct Heard(Vec<(Signal, UnixStream)>);

impl Heard {
    fn register() -> io::Result<Self> {
        let ignored = ignored();
        let mut heard = Vec::new();
        for signal in SIGNALS.into_iter().filter(|signal| !is_in(ignored, *signal)) {
            let (here, there) = UnixStream::pair()?;
            here.set_nonblocking(true)?;
            low_level::pipe::register(signal as i32, there)?;
            heard.push((signal, here));
        }
        Ok(Self(heard))
    }

    fn wait_and_end(self) {
        let Some(_) = self.next(None) else { return };
        let first = Instant::now();
        let (actions, limit) = {
            let mut state = state();
            state.is_stopping = true;
            (state.actions.take(), state.limit)
        };
        let Some(actions) = actions else { end(0) };
        for (_, action) in actions {
            // One that panics must not take the end in time with it.
            let _ = catch_unwind(AssertUnwindSafe(action));
        }

        let mut stopping = Stopping::new(first, limit);
        while let Some(left) = stopping.left(Instant::now()) {
            if let Some(signal) = self.next(Some(left)) {
                stopping.hear(signal);
            }
        }
        if stopping.second.is_none() {
            let took = first.elapsed().as_secs_f64();
            log::put_own(&format!("stopping took {took:.1} s: ended where it stood"));
        }
        end(stopping.code())
    }

    /// The next signal; `None` when the time is up.
    fn next(&self, longest: Option<Duration>) -> Option<Signal> {
        let end = longest.map(|longest| Instant::now() + longest);
        loop {
            for (signal, stream) in &self.0 {
                let mut stream = stream;
                if stream.read(&mut [0; 64]).is_ok_and(|heard| heard > 0) {
                    return Some(*signal);
                }
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            let patience = left.map_or(PollTimeout::NONE, |left| {
                // Rounded up, or the last millisecond would be a loop without sleep.
                let millis = left.as_millis().saturating_add(1);
                PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
            });
            let streams = self.0.iter().map(|(_, stream)| stream.as_fd());
            let mut ends: Vec<_> =
                streams.map(|stream| PollFd::new(stream, PollFlags::POLLIN)).collect();
            // Whatever it says, it is looked again.
            let _ = poll(&mut ends, patience);
        }
    }
}

/// Ends the process without running what others want to run at its exit.
fn end(code: i32) -> ! {
    log::flush();
    low_level::exit(code)
}

/// The signals that are ignored, a bit each: 0 is signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(mask: u64, signal: Signal) -> bool {
    mask >> (signal as i32 - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_has_its_time_and_a_second_signal_ends_it() {
        let first = Instant::now();
        let mut stopping = Stopping::new(first, LIMIT);
        assert_eq!(stopping.left(first), Some(LIMIT));
        assert_eq!(stopping.left(first + LIMIT), None);
        assert_eq!(stopping.code(), 124);

        stopping.hear(Signal::SIGTERM);
        // Sent twice by a supervisor and its own supervisor: an orderly stop has time all the same.
        assert_eq!(stopping.left(first), Some(TOGETHER));
        assert_eq!(stopping.left(first + TOGETHER), None);
        assert_eq!(stopping.code(), 143);
    }

    #[test]
    fn more_time_can_be_allowed_and_less_cannot() {
        allow(LIMIT * 2);
        allow(LIMIT / 2);
        assert_eq!(state().limit, LIMIT * 2);
        // There is no instant that far ahead.
        allow(Duration::MAX);
        assert!(Instant::now().checked_add(state().limit).is_some());
    }

    #[test]
    fn what_was_registered_is_forgotten_with_its_registration() {
        let kept = std::sync::Arc::new(());
        let register = || {
            let kept = kept.clone();
            on_stop(move || drop(kept))
        };
        let (one, other) = (register(), register());
        drop(one);
        assert_eq!(std::sync::Arc::strong_count(&kept), 2);
        drop(other);
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
        // There was something to put in order: the process is not ended at once by the first signal.
        assert!(state().actions.is_some());
    }

    #[test]
    fn a_second_signal_never_gives_more_time() {
        let first = Instant::now();
        let limit = TOGETHER / 2;
        let mut stopping = Stopping::new(first, limit);
        stopping.hear(Signal::SIGINT);
        assert_eq!(stopping.left(first), Some(limit));
    }
}
