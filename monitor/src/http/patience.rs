//! A stream whose other end has to read now and then.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Ends writing with an error when nothing was taken for a while.
#[derive(Debug)]
pub(super) struct Patience<S> {
    stream: S,
    longest: Duration,
    /// Runs while something waits to be taken.
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Patience<S> {
    pub(super) const fn new(stream: S, longest: Duration) -> Self {
        Self { stream, longest, late: None }
    }

    /// What came of an attempt to write: progress stops the clock, standstill starts it.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let longest = self.longest;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(longest)));
        ready!(late.as_mut().poll(context));
        late.as_mut().reset(Instant::now() + longest);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn who_reads_nothing_is_left_and_who_reads_late_is_not() {
        let (ours, mut theirs) = duplex(10);
        let mut ours = Patience::new(ours, Duration::from_secs(600));
        let (written, read) = tokio::join!(ours.write_all(&[7; 100]), async {
            let mut all = [0; 100];
            theirs.read_exact(&mut all).await
        });
        written.expect("taken");
        assert_eq!(read.expect("read"), 100);
        assert!(ours.late.is_none(), "the clock stands while nothing waits");
        let (ours, _theirs) = duplex(10);
        let error = Patience::new(ours, Duration::from_millis(1)).write_all(&[7; 100]).await;
        assert_eq!(error.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);
    }
}
