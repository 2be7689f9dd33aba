//! How many guilds the shards have, as the state of this machine's cache says.

use mixcord_event::command::shard_of;
use mixcord_state::State;

/// How many guilds the fullest of so many shards has; `None` where no cache keeps a state.
pub(crate) async fn fullest(instance: &str, shards: u16) -> Option<u64> {
    let instance = instance.to_owned();
    let count = move || {
        let state = State::open(&mixcord_state::directory(&instance)).ok()?;
        most(&state.guild_ids().ok()?, shards)
    };
    // A thread that may wait.
    tokio::task::spawn_blocking(count).await.ok().flatten()
}

fn most(guilds: &[u64], shards: u16) -> Option<u64> {
    let mut counts = vec![0_u64; usize::from(shards)];
    for guild in guilds {
        *counts.get_mut(usize::from(shard_of(*guild, shards)))? += 1;
    }
    // A cache that keeps no guilds knows none.
    counts.into_iter().max().filter(|most| *most > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guilds_are_counted_at_their_shards() {
        let guilds: Vec<u64> = [0, 1, 3, 4, 7].map(|guild| guild << 22).to_vec();
        assert_eq!(most(&guilds, 3), Some(3), "1, 4 and 7");
        assert_eq!(most(&guilds, 1), Some(5));
        assert_eq!(most(&[], 3), None);
    }
}
