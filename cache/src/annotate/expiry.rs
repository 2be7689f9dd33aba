//! What goes by itself: messages that are too old, and, where the store is full, the oldest messages and
//! then presences.

use mixcord_event::{Value, atoms};
use mixcord_state::tables::{CHANNEL_FACTS, MESSAGES, PRESENCES, THREADS};
use mixcord_state::{Archived, Cached, ChannelFacts, Range, StoreError, compose};

use super::known;
use super::world::World;
use crate::store::Store;

/// So many messages go at once at most, of those that are too old: more than come from one time to the next.
const EXPIRE_MAX: usize = 256;
/// The part of what a batch may change that they are at most. Each may change its channel's facts and place too; and
/// with one record both messages and threads may go.
const SHARE: usize = 6;

/// Takes out messages that were received up to a time, whatever their channel: they stand first.
pub(super) fn expire(world: &mut World<'_>, last_us: u64) -> Result<(), StoreError> {
    let messages_max = messages_max(world);
    take_out(world.store, Cached::received_by(last_us), last_us, messages_max).map(drop)
}

/// So many messages that are too old go with one record at most: one that changes more than the store takes would be
/// lost, and so would each behind it.
fn messages_max(world: &World<'_>) -> usize {
    (world.changes_max / world.store.key_bytes() / SHARE).clamp(1, EXPIRE_MAX)
}

/// So many threads go at once at most.
const THREADS_MAX: usize = 8;

/// Lets go of threads that were archived up to a time, the first of them first, each once its messages are gone.
pub(super) fn expire_threads(world: &mut World<'_>, last_us: u64) -> Result<(), StoreError> {
    let mut gone = Vec::new();
    let mut rest = Some(Archived::by(last_us));
    while let Some(range) = rest.take() {
        world.store.keys(range, &mut |key| {
            let archived = Archived::from_key(key);
            if archived.since_us > last_us {
                // So is all behind it of this owner.
                rest = range.behind_owner(key);
                return false;
            }
            gone.push(archived.thread);
            gone.len() < THREADS_MAX
        })?;
    }
    let mut messages_left = messages_max(world);
    for thread in gone {
        let Some((_, guild)) = Archived::read(&*world.store, thread)? else { continue };
        // A cache of before (P11) knew nothing of this entry, and opened or erased the thread.
        if !world.is_archived(guild, thread)? {
            world.put_archived(guild, thread, false)?;
            continue;
        }
        let facts = compose::channel_facts(&*world.store, guild, thread)?;
        match messages_left.checked_sub(facts.as_ref().map_or(0, ChannelFacts::count)) {
            Some(left) => messages_left = left,
            None => {
                if let Some(facts) = facts.map(ChannelFacts::into_owned) {
                    shorten(world, thread, facts, messages_left);
                }
                break;
            }
        }
        world.erase_channel(THREADS, guild, thread)?;
        if world.has_enough() {
            break;
        }
    }
    Ok(())
}

/// Takes the first messages out of a history.
fn shorten(world: &mut World<'_>, channel: u64, mut facts: ChannelFacts<'_>, count: usize) {
    if count == 0 {
        return;
    }
    facts.history().take(count).for_each(|message| world.store.delete(message.key()));
    facts.remove_first(count);
    known::put(world.store, &facts, channel);
}

/// Takes out up to `count_max` of what a bot misses least: the oldest messages; where there are none, presences, which
/// the next event of each tells anew. False where neither is left.
///
/// # Errors
/// When the store cannot be read.
pub fn make_room(store: &mut dyn Store, count_max: usize) -> Result<bool, StoreError> {
    if take_out(store, MESSAGES.all(), u64::MAX, count_max)? {
        return Ok(true);
    }
    let mut presences = Vec::new();
    store.keys(PRESENCES.all(), &mut |key| {
        presences.push(key);
        presences.len() < count_max
    })?;
    presences.iter().for_each(|key| store.delete(*key));
    Ok(!presences.is_empty())
}

/// Takes out the first messages of a range that were received up to a time, and says whether there was one.
fn take_out(
    store: &mut dyn Store,
    range: Range,
    last_us: u64,
    count_max: usize,
) -> Result<bool, StoreError> {
    let mut gone = Vec::new();
    let mut rest = Some(range);
    while let Some(range) = rest.take() {
        store.scan(range, &mut |key, document| {
            if Cached::received_us_of(key) > last_us {
                // So is all behind it of this owner.
                rest = range.behind_owner(key);
                return false;
            }
            let channel = compose::stored_map(document).get(atoms::CHANNEL_ID);
            gone.push((channel.and_then(Value::as_id), key));
            gone.len() < count_max
        })?;
    }
    gone.sort_unstable();
    // A channel's history is written once, whatever goes of it.
    for of_channel in gone.chunk_by(|(one, _), (other, _)| one == other) {
        for &(_, key) in of_channel {
            store.delete(key);
        }
        let Some((Some(channel), _)) = of_channel.first().copied() else { continue };
        let Some(facts) = compose::facts_of_channel(store, channel)? else { continue };
        let (before, mut facts) = (facts.count(), facts.into_owned());
        let at = CHANNEL_FACTS.at(facts.guild(), channel);
        facts.retain(|held| of_channel.binary_search(&(Some(channel), held.key())).is_err());
        if facts.count() == 0 && known::is_stray(store, at)? {
            known::delete(store, at);
        } else if facts.count() != before {
            known::put(store, &facts, channel);
        }
    }
    Ok(!gone.is_empty())
}
