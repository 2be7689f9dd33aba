//! Standard output, whose reader may be slow, stopped, or gone.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often it is looked whether to give up on a reader that does not read.
const LOOK: Duration = Duration::from_millis(100);

/// A pipe that is ready to be written to takes so many bytes without blocking.
const ROOM: usize = 4096;

pub(super) struct Output {
    stdout: io::StdoutLock<'static>,
    /// Bytes written at once. A file never blocks: whoever reads it while it grows sees whole lines.
    part: usize,
}

impl Output {
    pub(super) fn open() -> Self {
        let stdout = io::stdout().lock();
        let is_file = std::fs::metadata("/proc/self/fd/1").is_ok_and(|it| it.is_file());
        Self { stdout, part: if is_file { usize::MAX } else { ROOM } }
    }

    /// Writes a line to its end, waiting for the reader as long as `go_on` says; false when it was
    /// given up, with a part of the line written perhaps.
    pub(super) fn write(&mut self, line: &[u8], go_on: impl Fn() -> bool) -> io::Result<bool> {
        for part in line.chunks(self.part) {
            while !is_ready(self.stdout.as_fd()) {
                if !go_on() {
                    return Ok(false);
                }
            }
            self.stdout.write_all(part)?;
            self.stdout.flush()?;
        }
        Ok(true)
    }

    /// Whether the other end of the pipe has been closed: `mixcord tail | head -1` ends with `head`,
    /// not with the event after.
    pub(super) fn is_closed(&self) -> bool {
        told(self.stdout.as_fd(), PollFlags::empty(), PollTimeout::ZERO)
            .contains(PollFlags::POLLERR)
    }
}

/// Waits a little for room; what is neither a pipe nor a terminal has it always.
fn is_ready(output: BorrowedFd<'_>) -> bool {
    let patience = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    !told(output, PollFlags::POLLOUT, patience).is_empty()
}

fn told(output: BorrowedFd<'_>, wanted: PollFlags, patience: PollTimeout) -> PollFlags {
    let mut ends = [PollFd::new(output, wanted)];
    match poll(&mut ends, patience) {
        Ok(_) => ends[0].revents().unwrap_or(PollFlags::empty()),
        // Interrupted: looked at again.
        Err(_) => PollFlags::empty(),
    }
}
