//! One `receive` for each instance: it tells the senders under one number what this machine needs of the log, and answers
//! the gateways here for all shards that are received. Of two, each would let the log go that the other has not read.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use mixcord_event::topology;
use mixcord_process::sole::{STOPS, Sole};

use crate::failure::Failure;

/// The file that is locked, beside what bridges say of themselves.
const ROLE: &str = "receive.lock";

/// No other process receives into the instance while it is there; `None` where that cannot be known. Waits for one that
/// stops.
///
/// # Errors
/// One runs, and goes on.
pub(super) async fn sole(instance: &str) -> Result<Option<Sole>, Failure> {
    within(instance, STOPS).await
}

async fn within(instance: &str, patience: Duration) -> Result<Option<Sole>, Failure> {
    let folder = PathBuf::from(topology::bridge_dir(instance));
    match Sole::take(&folder, ROLE, patience).await {
        Ok(sole) => Ok(Some(sole)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(Failure::Configuration(format!(
                "another mixcord-bridge receive runs for instance {instance}, and there may be one: stop it and give this \
                 one all that is to be received (--shards), or give this one an --instance of its own"
            )))
        }
        Err(error) => {
            tracing::warn!(
                "whether another mixcord-bridge receive runs for this instance cannot be known: {error}"
            );
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_one_is_refused_with_a_line() {
        let name = format!("t{}-b-sole", std::process::id());
        let first = within(&name, Duration::ZERO).await.expect("nobody else");
        let Err(Failure::Configuration(line)) = within(&name, Duration::ZERO).await else {
            panic!("two of one instance");
        };
        assert!(line.contains(&name) && line.contains("--instance") && line.lines().count() == 1);
        drop(first);
        assert!(!PathBuf::from(topology::bridge_dir(&name)).exists(), "nothing is left");
    }
}
