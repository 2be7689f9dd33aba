//! Panics are lines of the log: where std prints them itself it waits for the reader.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;

/// From now on a panic is said in the log.
pub(super) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("(no name)");
        let mut text = format!("thread {name} {panic}");
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let _ = write!(text, "\n{backtrace}");
        }
        super::put_own(&text);
        // The main thread's panic ends the process, and nobody lets the line out after it.
        if name == "main" {
            super::flush();
        }
    }));
}
