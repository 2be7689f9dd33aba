//! What a handler counts under the pipeline's load, ours and a peer's. The benchmark asks for it over the process's standard input, one line a question, and
//! the answer is one line of JSON: a few dozen a second, which the process hardly feels.

pub mod clock;
mod histogram;

use std::io::{BufRead, Write};
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use serde::{Deserialize, Serialize};

pub use self::histogram::{Histogram, Percentiles};
use crate::clock::now_ns;

/// What stands in a message's text where the source writes two times, of [`DIGITS`] digits each: when the event
/// was written to the socket, and when it was due.
pub const STAMP: &str = "TS0000000000000000000000000000000000000000 ";
/// What begins a stamp.
pub const STAMP_HEAD: &str = "TS";
/// Digits of a time, in nanoseconds of [`now_ns`].
pub const DIGITS: usize = 20;

/// The counters of one handling process.
#[derive(Debug, Default)]
pub struct Probe {
    events: AtomicU64,
    guilds: AtomicU64,
    others: AtomicU64,
    errors: AtomicU64,
    checksum: AtomicU64,
    last_ns: AtomicU64,
    first_ns: AtomicU64,
    pause_ns: AtomicU64,
    from_write: Histogram,
    from_due: Histogram,
}

/// The answer to [`Question::Counts`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Events of the load.
    pub events: u64,
    /// GUILD_CREATEs, which come before it.
    pub guilds: u64,
    /// Everything else.
    pub others: u64,
    /// Events that could not be read.
    pub errors: u64,
    /// Sum of what was read, so that reading it cannot be left out.
    pub checksum: u64,
    /// When the first event came since the last reset, on the machine's clock; 0 before.
    pub first_ns: u64,
    /// When the last one came.
    pub last_ns: u64,
    /// The longest time between two events.
    pub pause_ns: u64,
}

/// The answer to [`Question::Latencies`], in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// From the write into the socket.
    pub from_write: Percentiles,
    /// From the time the event was due: what a source that is late hides is in here.
    pub from_due: Percentiles,
}

/// What may be asked, each a word on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `counts`
    Counts,
    /// `latencies`
    Latencies,
    /// `reset`: forgets times, answers with the counts.
    Reset,
}

impl Question {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Latencies => "latencies",
            Self::Reset => "reset",
        }
    }
}

impl Probe {
    /// Counts a GUILD_CREATE.
    pub fn guild(&self) {
        self.guilds.fetch_add(1, Relaxed);
    }

    /// Counts what is no part of the load.
    pub fn other(&self) {
        self.others.fetch_add(1, Relaxed);
    }

    /// Counts what could not be read, and shows the first.
    pub fn error(&self, error: &dyn std::fmt::Display) {
        if self.errors.fetch_add(1, Relaxed) == 0 {
            eprintln!("unreadable: {error}");
        }
    }

    /// Counts an event of the load. `sum` is made of what was read of it; `text` is a message's, whose stamp
    /// tells how long it took.
    #[inline]
    pub fn event(&self, sum: u64, text: Option<&str>) {
        self.checksum.fetch_add(sum, Relaxed);
        if let Some((written, due)) = text.and_then(times)
            && written > 0
        {
            let now = now_ns();
            self.from_write.count(now.saturating_sub(written));
            self.from_due.count(now.saturating_sub(due));
        }
        // Last, and read first: whoever sees an event counted sees its latency, too.
        self.events.fetch_add(1, Release);
    }

    /// Notes that something came. Costs a look at the clock.
    #[inline]
    pub fn arrived(&self) {
        let now = now_ns();
        let last = self.last_ns.swap(now, Relaxed);
        if last == 0 {
            self.first_ns.store(now, Relaxed);
        } else {
            self.pause_ns.fetch_max(now.saturating_sub(last), Relaxed);
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            events: self.events.load(Acquire),
            guilds: of(&self.guilds),
            others: of(&self.others),
            errors: of(&self.errors),
            checksum: of(&self.checksum),
            first_ns: of(&self.first_ns),
            last_ns: of(&self.last_ns),
            pause_ns: of(&self.pause_ns),
        }
    }

    fn reset(&self) {
        self.from_write.clear();
        self.from_due.clear();
        for time in [&self.pause_ns, &self.last_ns, &self.first_ns] {
            time.store(0, Relaxed);
        }
    }

    /// Answers on a thread of its own until standard input ends, and the process with it: it belongs to the
    /// benchmark.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn answer(&'static self) -> std::io::Result<()> {
        let answer = move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if writeln!(std::io::stdout(), "{}", self.answer_to(&line)).is_err() {
                    break;
                }
            }
            std::process::exit(0);
        };
        std::thread::Builder::new().name("probe".to_owned()).spawn(answer).map(drop)
    }

    fn answer_to(&self, question: &str) -> String {
        let answer = match question {
            "latencies" => serde_json::to_string(&Latencies {
                from_write: self.from_write.percentiles(),
                from_due: self.from_due.percentiles(),
            }),
            "reset" => {
                self.reset();
                serde_json::to_string(&self.counts())
            }
            _ => serde_json::to_string(&self.counts()),
        };
        answer.unwrap_or_default()
    }
}

/// The two times at the head of a text.
fn times(text: &str) -> Option<(u64, u64)> {
    let digits = text.strip_prefix(STAMP_HEAD)?;
    let time = |from: usize| digits.get(from..from + DIGITS)?.parse().ok();
    Some((time(0)?, time(DIGITS)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back() {
        assert_eq!(STAMP.len(), STAMP_HEAD.len() + 2 * DIGITS + 1);
        assert_eq!(times(STAMP), Some((0, 0)));
        assert_eq!(times(&format!("TS{:020}{:020} and on", 12, 345)), Some((12, 345)));
        assert_eq!(times("nothing"), None);
        assert_eq!(times("TSé"), None);
    }

    #[test]
    fn the_longest_pause_and_the_first_event_since_a_reset() {
        let probe = Probe::default();
        probe.event(1, None);
        assert_eq!(probe.counts().first_ns, 0);
        probe.arrived();
        probe.arrived();
        let counts = probe.counts();
        assert!(counts.first_ns > 0 && counts.last_ns >= counts.first_ns);
        assert_eq!(counts.pause_ns, counts.last_ns - counts.first_ns);
        let reset: Counts = serde_json::from_str(&probe.answer_to("reset")).expect("counts");
        assert_eq!((reset.first_ns, reset.pause_ns, reset.events), (0, 0, 1));
    }
}
