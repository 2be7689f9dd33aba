//! A shard that fails is started again, alone, with a growing delay.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::random::Random;
use crate::session::Ended;
use crate::shard::ShardError;

/// A run that lasted this long was well: the next delay starts small again.
const WELL: Duration = Duration::from_secs(60);

/// How one run of a shard ended, if not by a panic.
pub type Outcome = Result<Ended, ShardError>;

/// Runs what `start` makes, until it ends of its own accord or `stop` says so.
///
/// A panic or an error, of `start` as well, ends that run only; the next begins after a delay. `start`
/// is given the number of runs that failed in a row and may have identified: those without a ring have
/// not.
pub async fn supervise<F, R>(
    shard: u16,
    backoff: Backoff,
    mut stop: watch::Receiver<bool>,
    start: F,
) -> Ended
where
    F: FnMut(u32) -> R + Send + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let start = Arc::new(Mutex::new(start));
    let mut random = Random::unseeded();
    let (mut failures, mut identified) = (0, 0);
    loop {
        let began = Instant::now();
        let start = Arc::clone(&start);
        let ended = tokio::spawn(async move {
            // Within the run: what `start` itself does may panic, too.
            let run = start.lock().unwrap_or_else(PoisonError::into_inner)(identified);
            run.await
        })
        .await;
        if began.elapsed() >= WELL {
            (failures, identified) = (0, 0);
        }
        failures += 1;
        identified += u32::from(!matches!(ended, Ok(Err(ShardError::Ring(_)))));
        match ended {
            Ok(Ok(ended)) => return ended,
            Ok(Err(error)) => tracing::error!(shard, %error, "the shard failed"),
            // The panic's own message is already on stderr.
            Err(_) => tracing::error!(shard, "the shard panicked"),
        }
        let delay = backoff.delay(failures, &mut random);
        tracing::warn!(shard, failures, delay_ms = delay.as_millis(), "the shard starts again");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const BACKOFF: Backoff =
        Backoff { min: Duration::from_millis(1), max: Duration::from_millis(5) };

    #[tokio::test]
    async fn a_panic_and_an_error_end_one_run_each() {
        let (_keep, stop) = watch::channel(false);
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let ended = supervise(0, BACKOFF, stop, move |failures| {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            // Without a ring nothing was identified.
            assert_eq!(failures, [0, 1, 1][run as usize]);
            async move {
                match run {
                    0 => panic!("on purpose"),
                    1 => Err(ShardError::Ring("on purpose".into())),
                    _ => Ok(Ended::Stopped),
                }
            }
        })
        .await;
        assert_eq!(ended, Ended::Stopped);
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }

    /// P8: opening a ring may panic, too.
    #[tokio::test]
    async fn a_panic_before_a_run_ends_that_run_alone() {
        let (_keep, stop) = watch::channel(false);
        let mut runs = 0;
        let ended = supervise(0, BACKOFF, stop, move |_| {
            runs += 1;
            assert!(runs > 1, "on purpose");
            async { Ok(Ended::Stopped) }
        })
        .await;
        assert_eq!(ended, Ended::Stopped);
    }

    #[tokio::test]
    async fn others_do_not_notice_and_a_stop_ends_the_waiting() {
        let (stop, stopped) = watch::channel(false);
        let (tries, mut tried) = tokio::sync::mpsc::unbounded_channel();
        let broken = tokio::spawn(supervise(0, BACKOFF, stopped.clone(), move |failures| {
            let _ = tries.send(failures);
            async { Err(ShardError::Ring("always".into())) }
        }));
        let well = tokio::spawn(supervise(1, BACKOFF, stopped.clone(), move |_| {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.wait_for(|stop| *stop).await;
                Ok(Ended::Stopped)
            }
        }));
        for _ in 0..20 {
            tried.recv().await.expect("it tries again");
        }
        assert!(!broken.is_finished() && !well.is_finished());
        stop.send(true).expect("both listen");
        assert_eq!(broken.await.expect("no panic"), Ended::Stopped);
        assert_eq!(well.await.expect("no panic"), Ended::Stopped);
    }
}
