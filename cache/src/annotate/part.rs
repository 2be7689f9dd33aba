//! A part of what another machine knows: the guilds of some shards.

use mixcord_state::tables::GUILD_FACTS;
use mixcord_state::{GuildFacts, StoreError};

use super::world::World;
use crate::settings::Settings;
use crate::store::{BATCH_BYTES_MAX, Tables};

/// Guilds that are looked for at once.
const SOME: usize = 256;

/// Forgets every guild that is of none of the shards from the first to the last of so many.
///
/// # Errors
/// When the store cannot be read or written.
pub fn keep_shards(
    store: &mut dyn Tables,
    settings: &Settings,
    (first, last, count): (u16, u16, u16),
) -> Result<(), StoreError> {
    let stays = |guild: u64, facts: GuildFacts| {
        let by_formula = || (guild >> 22).checked_rem(count.into()).unwrap_or(0) as u16;
        let shard = if facts.shards == count { facts.shard } else { by_formula() };
        (first..=last).contains(&shard)
    };
    let mut rest = Some(GUILD_FACTS.all());
    while let Some(range) = rest.take() {
        let mut gone = Vec::new();
        store.scan(range, &mut |key, facts| {
            if let Some(facts) = GuildFacts::from_bytes(facts)
                && !stays(key.owner(), facts)
            {
                gone.push(key.owner());
            }
            if gone.len() == SOME {
                rest = range.behind(key);
            }
            gone.len() < SOME
        })?;
        for guild in gone {
            loop {
                let changes_max = BATCH_BYTES_MAX / 2;
                let mut world =
                    World { store, settings, now_us: 0, member_events: false, changes_max };
                let all = world.erase_guild(guild)?;
                store.settle()?;
                if all {
                    break;
                }
            }
        }
    }
    Ok(())
}
