//! One process stands by for a shard: of two, both would go on with its session once their rings are let go, and until then
//! nobody would see which.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mixcord_event::topology;
use mixcord_process::sole::Sole;

use crate::config::ShardSet;
use crate::failure::Failure;

/// No other process of the instance stands by for these shards while it is there.
#[derive(Debug)]
pub(crate) struct Alone {
    _shards: Vec<Sole>,
}

impl Alone {
    /// Waits so long for one that may be stopping. Of two that begin at once one is refused: both take the shards in their
    /// order.
    ///
    /// # Errors
    /// One stands by for one of them.
    pub(crate) async fn with(
        instance: &str,
        shards: &ShardSet,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let folder = PathBuf::from(topology::standby_dir(instance));
        let began = Instant::now();
        let mut taken = Vec::new();
        for shard in shards.ids() {
            let role = format!("{shard}-{}", shards.count);
            match Sole::take(&folder, &role, patience.saturating_sub(began.elapsed())).await {
                Ok(shard) => taken.push(shard),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Failure::Running(format!(
                        "another mixcord-gateway of instance {instance} stands by for shard {shard} of {} already: stop it, or \
                         give each its own --shards",
                        shards.count
                    )));
                }
                Err(error) => {
                    tracing::warn!(
                        "whether another mixcord-gateway stands by for these shards cannot be known: {error}"
                    );
                    break;
                }
            }
        }
        Ok(Self { _shards: taken })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn who_has_a_shard_that_another_stands_by_for_is_refused_with_a_line_and_nobody_else_is()
    {
        let instance = format!("t{}-g-alone", std::process::id());
        let with = async |first, last, count| {
            Alone::with(&instance, &ShardSet { first, last, count }, Duration::ZERO).await
        };
        let first = with(0, 3, 8).await.expect("nobody else");
        let other = with(4, 7, 8).await.expect("other shards");
        let of_another_count = with(0, 3, 4).await.expect("other shards");
        for (first, last, named) in [(0, 3, 0), (2, 5, 2), (3, 3, 3), (0, 7, 0)] {
            let Err(Failure::Running(line)) = with(first, last, 8).await else {
                panic!("two stand by for shards {first} to {last}");
            };
            assert!(line.contains(&format!("shard {named} of 8")) && line.contains(&instance));
            assert!(line.contains("--shards") && line.lines().count() == 1, "{line}");
        }
        drop(first);
        // Who was refused holds nothing.
        let first = with(0, 3, 8).await.expect("it is gone");
        drop((first, other, of_another_count));
        assert!(!Path::new(&topology::standby_dir(&instance)).exists(), "nothing is left");
    }
}
