//! One process stands by for a shard: of two, both would go on with its session once their rings are let go, and until then
//! nobody would see which.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mixcord_event::topology;
use mixcord_process::board::Board;

use crate::config::ShardSet;
use crate::failure::Failure;

/// No other process of the instance stands by for these shards while it is there.
#[derive(Debug)]
pub(crate) struct Alone {
    // Before the folder: only an empty one is removed.
    _locks: Vec<Board>,
    _folder: Folder,
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

impl Alone {
    /// Of two that begin at once one is refused: both take the shards in their order.
    ///
    /// # Errors
    /// One stands by for one of them.
    pub(crate) fn with(instance: &str, shards: &ShardSet) -> Result<Self, Failure> {
        let folder = Folder(topology::standby_dir(instance).into());
        let mut locks = Vec::new();
        for shard in shards.ids() {
            match lock(&folder.0, &format!("{shard}-{}", shards.count)) {
                Ok(lock) => locks.push(lock),
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
        Ok(Self { _locks: locks, _folder: folder })
    }
}

fn lock(folder: &Path, name: &str) -> io::Result<Board> {
    match Board::put_up(folder, name) {
        // Who goes on takes the folder along.
        Err(error) if error.kind() == ErrorKind::NotFound => Board::put_up(folder, name),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_shard_that_another_stands_by_for_is_refused_with_a_line_and_nobody_else_is() {
        let instance = format!("t{}-g-alone", std::process::id());
        let shards = |first, last, count| ShardSet { first, last, count };
        let with = |first, last, count| Alone::with(&instance, &shards(first, last, count));
        let first = with(0, 3, 8).expect("nobody else");
        let other = with(4, 7, 8).expect("other shards");
        let of_another_count = with(0, 3, 4).expect("other shards");
        for (first, last, named) in [(0, 3, 0), (2, 5, 2), (3, 3, 3), (0, 7, 0)] {
            let Err(Failure::Running(line)) = with(first, last, 8) else {
                panic!("two stand by for shards {first} to {last}");
            };
            assert!(line.contains(&format!("shard {named} of 8")) && line.contains(&instance));
            assert!(line.contains("--shards") && line.lines().count() == 1, "{line}");
        }
        drop(first);
        // Who was refused holds nothing.
        let first = with(0, 3, 8).expect("it is gone");
        drop((first, other, of_another_count));
        assert!(!Path::new(&topology::standby_dir(&instance)).exists(), "nothing is left");
    }
}
