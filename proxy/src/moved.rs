//! Limits of time that count from when something last moved: what is slow is not stuck.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When something last moved.
#[derive(Clone, Debug)]
pub(crate) struct Moved(Arc<Mutex<Instant>>);

impl Default for Moved {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Moved {
    pub(crate) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes of `work`; `None` when it is not done so long after something last moved.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        loop {
            let until = self.last() + limit;
            match tokio::time::timeout_at(until.into(), &mut work).await {
                Ok(done) => return Some(done),
                Err(_) if self.last() + limit > until => {}
                Err(_) => return None,
            }
        }
    }
}

/// A connection that notes when the other end took something.
#[derive(Debug)]
pub(crate) struct Watched<I> {
    io: I,
    taken: Moved,
}

impl<I> Watched<I> {
    pub(crate) fn new(io: I) -> (Self, Moved) {
        let taken = Moved::default();
        (Self { io, taken: taken.clone() }, taken)
    }

    fn note(&self, taken: usize) -> usize {
        if taken > 0 {
            self.taken.now();
        }
        taken
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        Poll::Ready(Ok(self.note(taken)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.io).poll_write_vectored(context, parts))?;
        Poll::Ready(Ok(self.note(taken)))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work)
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for_and_an_upload_is() {
        run(async {
            let never = std::future::pending::<()>();
            let limit = Duration::from_millis(20);
            assert_eq!(Moved::default().within(limit, never).await, None);
            // It takes longer than the limit, and moves all the while.
            let moved = Moved::default();
            let mut left = 5;
            let uploading = async {
                while left > 0 {
                    left -= 1;
                    let half = moved.last() + limit / 2;
                    tokio::time::sleep_until(half.into()).await;
                    moved.now();
                }
            };
            assert_eq!(moved.within(limit, uploading).await, Some(()));
            assert_eq!(left, 0);
        });
    }

    #[test]
    fn who_takes_a_little_at_a_time_takes_something() {
        run(async {
            let (near, mut far) = tokio::io::duplex(8);
            let (mut near, taken) = Watched::new(near);
            let limit = Duration::from_secs(30);
            let begun = taken.last();
            let writing = taken.within(limit, near.write_all(&[7; 64]));
            let reading = async {
                let mut buffer = [0; 4];
                for _ in 0..16 {
                    far.read_exact(&mut buffer).await.expect("it is written");
                }
            };
            let (written, ()) = tokio::join!(writing, reading);
            assert!(written.is_some_and(|written| written.is_ok()));
            assert!(taken.last() > begun, "it was noted");
        });
    }
}
