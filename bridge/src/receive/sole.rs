//! One `receive` for each instance: it tells the senders under one number what this machine needs of the log, and answers
//! the gateways here for all shards that are received. Of two, each would let the log go that the other has not read.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mixcord_event::topology;
use mixcord_process::board::Board;

use crate::failure::Failure;
use crate::notice::Folder;

/// The file that is locked, beside what bridges say of themselves.
const LOCK: &str = "receive.lock";
/// One that is told to stop has ended by then.
const STOPS: Duration = Duration::from_secs(6);
const AGAIN: Duration = Duration::from_millis(100);

/// No other process receives into the instance while it is there.
pub(super) struct Sole {
    // Before the folder: only an empty one is removed.
    _lock: Option<Board>,
    _folder: Folder,
}

/// Waits for one that stops.
///
/// # Errors
/// One runs, and goes on.
pub(super) async fn sole(instance: &str) -> Result<Sole, Failure> {
    within(instance, STOPS).await
}

async fn within(instance: &str, patience: Duration) -> Result<Sole, Failure> {
    let (dir, began) = (PathBuf::from(topology::bridge_dir(instance)), Instant::now());
    loop {
        let lock = match Board::put_up(&dir, LOCK) {
            Ok(lock) => Some(lock),
            // Who stops takes the folder along.
            Err(error) if is_passing(error.kind()) && began.elapsed() < patience => {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(Failure::Configuration(format!(
                    "another mixcord-bridge receive runs for instance {instance}, and there may be one: stop it and give this \
                     one all that is to be received (--shards), or give this one an --instance of its own"
                )));
            }
            Err(error) => {
                tracing::warn!(
                    "whether another mixcord-bridge receive runs for this instance cannot be known: {error}"
                );
                None
            }
        };
        return Ok(Sole { _lock: lock, _folder: Folder(dir) });
    }
}

const fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_one_is_refused_while_the_first_is_there() {
        let name = format!("t{}-b-sole", std::process::id());
        let first = within(&name, Duration::ZERO).await.expect("nobody else");
        let Err(Failure::Configuration(line)) = within(&name, Duration::ZERO).await else {
            panic!("two of one instance");
        };
        assert!(line.contains(&name) && line.contains("--instance") && line.lines().count() == 1);
        // One that stops meanwhile is waited for.
        let (second, ()) = tokio::join!(sole(&name), async { drop(first) });
        drop(second.expect("its turn"));
        assert!(!PathBuf::from(topology::bridge_dir(&name)).exists(), "nothing is left");
    }
}
