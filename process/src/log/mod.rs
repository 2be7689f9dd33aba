//! Logs on standard error, whose reader may be slow, stopped or gone.
//!
//! Whoever has something to say puts it into a queue of bounded length, and a thread of its own
//! writes it. When the queue is full, lines are dropped and counted, and a line says how many. A
//! stopped pager, a full disk behind `tee` or a log collector that hangs costs lines, and never a
//! heartbeat.

mod levels;
mod line;
#[cfg(feature = "options")]
mod options;
mod panics;
mod queue;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

pub use levels::{Levels, LevelsError};
#[cfg(feature = "options")]
pub use options::LogOptions;

use queue::Queue;

/// What the last lines of a process may cost its end.
const FLUSH: Duration = Duration::from_millis(250);

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "options", derive(clap::ValueEnum))]
pub enum Format {
    /// For people: time, level, message, fields; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes what is left when it is dropped, for no longer than 250 ms.
#[derive(Debug)]
#[must_use = "dropped at the end of `main`, it lets the last lines out"]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        flush();
    }
}

static QUEUE: OnceLock<Option<Queue>> = OnceLock::new();
static FORMAT: OnceLock<Format> = OnceLock::new();

/// Starts the log as the environment wants it: `MIXCORD_LOG`, else `RUST_LOG`, says what is logged
/// ([`Levels`]; `info` if neither is set), `MIXCORD_LOG_FORMAT` how: `text` or `json`.
///
/// A subscriber of `tracing` that is there already stays, and this does nothing then. Records of the
/// `log` crate are not taken over on purpose: libraries log what they send, and that may be a token.
pub fn init() -> Guard {
    let format = match std::env::var("MIXCORD_LOG_FORMAT") {
        Ok(text) if text == "json" => Format::Json,
        _ => Format::Text,
    };
    let (levels, wrong) = match Levels::from_environment() {
        Ok(levels) => (levels.unwrap_or_default(), None),
        Err(error) => (Levels::default(), Some(error)),
    };
    let guard = start(levels, format);
    if let Some(error) = wrong {
        tracing::warn!("MIXCORD_LOG: {error}; info it is");
    }
    guard
}

/// Starts the log. See [`init`].
pub fn start(levels: Levels, format: Format) -> Guard {
    // Without the thread that writes there would be no log that holds up nobody, and so there is none.
    let Some(queue) = queue() else { return Guard(()) };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || queue.line())
        .with_ansi(is_coloured(format));
    let lines = match format {
        Format::Text => lines.with_target(false).boxed(),
        Format::Json => lines.json().boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(levels.into_filter()).with(lines);
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = FORMAT.set(format);
        panics::log();
    }
    Guard(())
}

/// Says why a program ends, in the form that the log has, and waits for it to be written, but for no
/// longer than 250 ms.
pub fn say(program: &str, text: &str) {
    let format = FORMAT.get().copied().unwrap_or_default();
    let line = match format {
        Format::Text => format!("{program}: {text}\n"),
        Format::Json => line::own(format, "ERROR", text),
    };
    put(&line);
    flush();
}

/// Waits until all that was said is written, but for no longer than 250 ms. True when it is.
pub fn flush() -> bool {
    QUEUE.get().and_then(Option::as_ref).is_none_or(|queue| queue.flush(FLUSH))
}

/// Says something of the process itself, alike in form to the lines of `tracing`, and without going
/// through a subscriber, which may wait.
pub(crate) fn put_own(text: &str) {
    put(&line::own(FORMAT.get().copied().unwrap_or_default(), "ERROR", text));
}

fn put(line: &str) {
    match queue() {
        Some(queue) => queue.push(line.as_bytes()),
        // Better late than never.
        None => drop(io::Write::write_all(&mut io::stderr(), line.as_bytes())),
    }
}

/// The queue to standard error, whose thread starts with the first call; `None` if there is no thread.
pub(crate) fn queue() -> Option<&'static Queue> {
    QUEUE.get_or_init(|| Queue::start(io::stderr(), dropped).ok()).as_ref()
}

fn dropped(lines: u64) -> String {
    let format = FORMAT.get().copied().unwrap_or_default();
    let text = format!("{lines} log lines were dropped here: their reader does not keep up");
    line::own(format, "WARN", &text)
}

fn is_coloured(format: Format) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && format == Format::Text && io::stderr().is_terminal()
}
