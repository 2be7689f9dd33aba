//! Lines on their way to a writer that may stall.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait; as many again may be with the writer.
const BYTES_MAX: usize = 1 << 20;

/// Bytes that are kept for the next lines after a flood.
const BYTES_KEPT: usize = 64 << 10;

/// How often a writer is tried again that takes nothing at the moment.
const AGAIN: Duration = Duration::from_millis(10);

/// The one end, for whoever has something to say: no call waits for the writer.
#[derive(Debug)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that came after these and found no room.
    dropped: u64,
    is_writing: bool,
}

impl Queue {
    /// A queue with a thread that writes what comes. `dropped` makes the line that says how many are
    /// missing.
    pub(super) fn start(
        writer: impl Write + Send + 'static,
        dropped: fn(u64) -> String,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let other = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || other.write_on(writer, dropped))?;
        Ok(Self(shared))
    }

    /// Puts a line, its end included, behind those that wait. It is dropped, and counted, if there
    /// is no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.0.lock();
        // Whatever comes after a dropped line is dropped too, so that the count stands where they were.
        if waiting.dropped > 0 || waiting.lines.len() + line.len() > BYTES_MAX {
            waiting.dropped += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        self.0.came.notify_one();
    }

    /// Waits until all is written, but no longer than this. True when it is.
    pub(super) fn flush(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        let mut waiting = self.0.lock();
        while waiting.is_writing || !waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.0.left.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// A writer of one line, as `tracing_subscriber` wants it.
    pub(super) fn line(&'static self) -> impl Write {
        Line(self)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes for as long as the process lives.
    fn write_on(&self, mut writer: impl Write, dropped: fn(u64) -> String) {
        let mut lines = Vec::new();
        let mut waiting = self.lock();
        loop {
            waiting.is_writing = false;
            if waiting.is_empty() {
                self.left.notify_all();
                waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            std::mem::swap(&mut lines, &mut waiting.lines);
            let missing = std::mem::take(&mut waiting.dropped);
            waiting.is_writing = true;
            drop(waiting);
            if missing > 0 {
                lines.extend_from_slice(dropped(missing).as_bytes());
            }
            // A reader that is gone misses nothing.
            let _ = write_whole(&mut writer, &lines);
            lines.clear();
            lines.shrink_to(BYTES_KEPT);
            waiting = self.lock();
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

/// `write_all` that also serves a terminal which somebody else has made non-blocking.
fn write_whole(writer: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(error) => return Err(error),
        }
    }
    writer.flush()
}

struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Tells what is to be written and takes it when it is let.
    struct Reader {
        asked: mpsc::Sender<Vec<u8>>,
        let_go: mpsc::Receiver<io::Result<usize>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(bytes.to_vec());
            self.let_go.recv().unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (Queue, mpsc::Receiver<Vec<u8>>, mpsc::Sender<io::Result<usize>>) {
        let (asked, asks) = mpsc::channel();
        let (lets, let_go) = mpsc::channel();
        let queue = Queue::start(Reader { asked, let_go }, |count| format!("({count})\n"));
        (queue.expect("a thread"), asks, lets)
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_which_are_counted_where_they_are_missing() {
        let (queue, asks, lets) = stalled();
        queue.push(b"first\n");
        assert_eq!(asks.recv().expect("asked"), b"first\n");
        // Nothing is taken now, and nobody waits.
        let line = [b'x'; 1024];
        let room = BYTES_MAX / line.len();
        for _ in 0..room {
            queue.push(&line);
        }
        for _ in 0..5 {
            queue.push(&line);
        }
        queue.push(b"short enough, but too late\n");
        assert!(!queue.flush(Duration::ZERO));
        lets.send(Ok(6)).expect("written");
        let rest = asks.recv().expect("asked");
        lets.send(Ok(rest.len())).expect("written");
        assert_eq!(rest.len(), BYTES_MAX + 4);
        assert!(rest.ends_with(b"x(6)\n"));
        assert!(queue.flush(Duration::from_secs(30)));
        // Afterwards all is as before.
        queue.push(b"last\n");
        assert_eq!(asks.recv().expect("asked"), b"last\n");
    }

    #[test]
    fn a_write_that_was_cut_short_or_turned_away_is_made_whole() {
        let (queue, asks, lets) = stalled();
        queue.push(b"a line\n");
        for (answer, left) in [
            (Ok(2), &b"a line\n"[..]),
            (Err(ErrorKind::WouldBlock.into()), b"line\n"),
            (Err(ErrorKind::Interrupted.into()), b"line\n"),
            (Ok(5), b"line\n"),
        ] {
            assert_eq!(asks.recv().expect("asked"), left);
            lets.send(answer).expect("answered");
        }
        assert!(queue.flush(Duration::from_secs(30)));
    }

    #[test]
    fn a_reader_that_is_gone_holds_up_nobody() {
        let (queue, asks, lets) = stalled();
        drop(lets);
        for _ in 0..3 {
            queue.push(b"into the void\n");
            assert_eq!(asks.recv().expect("asked"), b"into the void\n");
            assert!(queue.flush(Duration::from_secs(30)));
        }
    }
}
