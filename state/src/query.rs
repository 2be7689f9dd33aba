//! Questions to the store.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use mixcord_event::{Document, Value, atoms};

use mixcord_table::{Batches, OpenError as TableError, Reader};

use crate::error::OpenError;
use crate::format::{TABLE_FILE, VERSIONS, format_of_table};
use crate::settle::settle;
use crate::source::Source;
use crate::table::at;
use crate::tables::{CHANNELS, EMOJIS, GUILDS, MEMBERS, STICKERS, THREADS, USERS, VOICE_STATES};
use crate::{
    Arena, InputPosition, Inputs, Key, Read, Resource, Scan, StateStats, StoreError, Table, Tally,
    View, compose, format, meta,
};

/// The cache's state, read from the process that asks, from any number of its threads.
///
/// Every call answers with owned documents. Each value in an answer is whole, and as the last batch of which
/// the caller can know left it, or a later one.
#[derive(Debug)]
pub struct State {
    pub(crate) source: Source,
    dir: PathBuf,
}

/// An entity that was found, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The guild it belongs to (the channel, of a message), 0 for none.
    pub owner: u64,
    /// Its own id: the user's, of what a member has.
    pub id: u64,
    /// The entity, composed.
    pub document: Document,
}

/// What a thread keeps for its next question, bytes; and what an answer begins with.
const KEPT_BYTES_MAX: usize = 256 << 10;
const ANSWER_BYTES: usize = 512;
/// How often opening is tried while the store is made anew.
const TRIES: u32 = 8;
/// How often an answer is looked for while batches go on meanwhile: what moves is missed at neither place.
const LOOKS: u32 = 1000;
/// How often of these for one that is all of one moment, before one is taken whose parts are of two.
const LOOKS_FOR_ONE_MOMENT: u32 = 16;

impl State {
    /// Opens the store in `dir`, which must be this user's alone, of this version, and written since
    /// the system was started.
    ///
    /// # Errors
    /// When there is none (yet), when it cannot be trusted, or the system refuses.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        for _ in 0..TRIES {
            let seal = format::check(dir)?;
            let opened = reader(&dir.join(TABLE_FILE));
            // What was opened while the store was made anew may not be what the format speaks of.
            if format::check(dir).ok() == Some(seal) {
                let reader = opened.map_err(|error| OpenError::of_table(dir, error))?;
                return Ok(Self { source: Source::new(reader), dir: dir.to_owned() });
            }
        }
        Err(OpenError::NotFound { dir: dir.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store's id; another one than before means that it was made anew.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.source.reader.id()
    }

    /// The entity of a resource under its id and that of its guild, or of its channel for a message;
    /// guilds and users have no owner.
    pub fn entity(
        &self,
        resource: Resource,
        owner: u64,
        id: u64,
    ) -> Result<Option<Document>, StoreError> {
        self.composed(|view, out| match resource {
            Resource::Emojis => listed_in(view, EMOJIS.at(owner), id, out),
            Resource::Stickers => listed_in(view, STICKERS.at(owner), id, out),
            Resource::Guilds => entity(view, GUILDS.at(id), out),
            Resource::Users => entity(view, USERS.at(id), out),
            Resource::Messages => {
                let facts = compose::facts_of_channel(view, owner)?;
                let Some(message) = facts.and_then(|facts| facts.message(id)) else {
                    return Ok(false);
                };
                entity(view, message.key(), out)
            }
            Resource::Members => {
                let member = MEMBERS.at(owner, id);
                let both = [member, USERS.at(id)].map(|key| (key.table().id(), at(key)));
                self.source.reader.expect_values(both);
                entity(view, member, out)
            }
            _ => entity(view, Key::new(resource.table(), owner, id), out),
        })
    }

    /// A channel or thread, wherever it is.
    pub fn channel(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|view, out| {
            let Some(guild) = compose::guild_of_channel(view, id)? else { return Ok(false) };
            Ok(compose::channel(view, CHANNELS, guild, id, out)?
                || compose::channel(view, THREADS, guild, id, out)?)
        })
    }

    /// A guild's own fields, without what is kept apart: `member_count`, roles, emojis and stickers.
    pub fn guild_fields(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|view, out| {
            let own = view.get(GUILDS.at(id))?;
            own.inspect(|own| out.extend_from_slice(own));
            Ok(own.is_some())
        })
    }

    /// The bot's own user.
    pub fn me(&self) -> Result<Option<Document>, StoreError> {
        self.composed(|view, out| entity(view, meta::ME, out))
    }

    /// Where a user is in voice: its voice states, and the guilds that they are in.
    pub fn voice_states_of(&self, user: u64) -> Result<Vec<(u64, Document)>, StoreError> {
        let found = self.look(|view| {
            let mut guilds = Vec::new();
            view.keys(VOICE_STATES.all(), &mut |key| {
                guilds.extend((key.id() == user).then_some(key.owner()));
                true
            })?;
            let mut found = Vec::with_capacity(guilds.len());
            for guild in guilds {
                let mut out = Vec::with_capacity(ANSWER_BYTES);
                if compose::voice_state(view, guild, user, &mut out)? {
                    found.push((guild, Document::trusted(out)));
                }
            }
            Ok(Some(found))
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The ids of all guilds, in order.
    pub fn guild_ids(&self) -> Result<Vec<u64>, StoreError> {
        let ids = self.look(|view| {
            let mut ids = Vec::new();
            view.keys(GUILDS.all(), &mut |key| {
                ids.push(key.owner());
                true
            })?;
            Ok(Some(ids))
        })?;
        Ok(ids.unwrap_or_default())
    }

    /// The guild of a channel or thread; `Some(0)` for a private channel.
    pub fn guild_of_channel(&self, channel: u64) -> Result<Option<u64>, StoreError> {
        self.look(|view| compose::guild_of_channel(view, channel))
    }

    /// The shard a guild's events come from, and out of how many.
    pub fn shard_of_guild(&self, guild: u64) -> Result<Option<(u16, u16)>, StoreError> {
        let facts = self.look(|view| compose::guild_facts(view, guild))?;
        Ok(facts.map(|facts| (facts.shard, facts.shards)))
    }

    /// How many members a guild has, if Discord said so, and how many of them are cached.
    pub fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, StoreError> {
        let facts = self.look(|view| compose::guild_facts(view, guild))?;
        Ok(facts.map(|facts| (facts.member_count, facts.members_cached)))
    }

    /// The next page of a range.
    ///
    /// What is written meanwhile may or may not be seen; each entity is whole, what is there throughout comes
    /// once, and nothing comes twice, unless it went and came again: a message then stands behind those read.
    pub fn page(&self, scan: &mut Scan) -> Result<Vec<Found>, StoreError> {
        scan.page(&self.source)
    }

    /// How many entities of a resource are cached.
    pub fn count(&self, resource: Resource) -> Result<u64, StoreError> {
        // Totals are stored behind what they count.
        settle(&self.source.reader);
        crate::stats::entities(&self.source, resource)
    }

    /// How far the shards' rings are in it.
    pub fn inputs(&self) -> Result<Inputs, StoreError> {
        let inputs = self.look(|view| {
            let mut inputs = Inputs::new();
            view.scan(meta::INPUTS, &mut |key, bytes| {
                let input = InputPosition::from_words(bytes);
                inputs.extend(input.map(|input| (meta::input_of(key), input)));
                true
            })?;
            Ok(Some(inputs))
        })?;
        Ok(inputs.unwrap_or_default())
    }

    /// Entities and bytes of each resource.
    pub fn stats(&self) -> Result<StateStats, StoreError> {
        settle(&self.source.reader);
        StateStats::count(&self.source)
    }

    fn composed(
        &self,
        compose: impl Fn(&View<'_, Source>, &mut Vec<u8>) -> Result<bool, StoreError>,
    ) -> Result<Option<Document>, StoreError> {
        self.look(|view| {
            let mut out = Vec::with_capacity(ANSWER_BYTES);
            Ok(compose(view, &mut out)?.then(|| Document::trusted(out)))
        })
    }

    /// Looks until no batch was stored meanwhile, or there is an answer still. What takes several keys is then
    /// together, as a member and its user are; and what is not found is nowhere, and did not go from where the next
    /// look was to where the last one had been.
    fn look<T>(
        &self,
        question: impl Fn(&View<'_, Source>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        settle(&self.source.reader);
        with_arena(|arena| {
            look(
                || self.source.batches(),
                || {
                    arena.clear();
                    question(&View::new(&self.source, arena))
                },
            )
        })
    }
}

/// Lends the thread's arena, which keeps the memory of a small answer for the next one.
fn with_arena<T>(ask: impl FnOnce(&mut Arena) -> T) -> T {
    thread_local! {
        static KEPT: Cell<Option<Arena>> = const { Cell::new(None) };
    }
    // Whoever asks in an answer has one of its own.
    let mut arena = KEPT.take().unwrap_or_default();
    let answer = ask(&mut arena);
    if arena.bytes() <= KEPT_BYTES_MAX {
        KEPT.set(Some(arena));
    }
    answer
}

/// Opens a table of any version that is read.
fn reader(path: &Path) -> Result<Reader, TableError> {
    let mut opened = Err(TableError::Foreign);
    for version in VERSIONS.rev() {
        opened = Reader::open(path, format_of_table(version));
        if !matches!(opened, Err(TableError::OtherFormat { .. })) {
            break;
        }
    }
    opened
}

/// Asks until nothing was stored meanwhile, or there is an answer after several looks.
pub(crate) fn look<T>(
    batches: impl Fn() -> Batches,
    mut question: impl FnMut() -> Result<Option<T>, StoreError>,
) -> Result<Option<T>, StoreError> {
    for number in 1..=LOOKS {
        let before = batches();
        let answer = question()?;
        let of_one_moment = before.is_settled() && batches() == before;
        if of_one_moment || (answer.is_some() && number >= LOOKS_FOR_ONE_MOMENT) {
            return Ok(answer);
        }
        std::thread::yield_now();
    }
    Ok(None)
}

/// Appends the entity under a key, composed; says whether there is one.
pub(crate) fn entity(
    read: &(impl Read + ?Sized),
    key: Key,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    match key.table() {
        Table::Guilds => compose::guild(read, key.owner(), out),
        Table::Members => compose::member(read, key.owner(), key.id(), out),
        Table::Channels => compose::channel(read, CHANNELS, key.owner(), key.id(), out),
        Table::Threads => compose::channel(read, THREADS, key.owner(), key.id(), out),
        Table::VoiceStates => compose::voice_state(read, key.owner(), key.id(), out),
        Table::Users => {
            let Some(bytes) = read.get(key)? else { return Ok(false) };
            let tally = Tally::from_bytes(bytes).ok_or(StoreError::Damaged { key })?;
            out.extend_from_slice(tally.document);
            Ok(true)
        }
        _ => read.append(key, out),
    }
}

/// Appends the emoji or sticker with an id, if it is in a guild's list.
fn listed_in(
    read: &(impl Read + ?Sized),
    list: Key,
    id: u64,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
    let Some(list) = read.get(list)? else { return Ok(false) };
    let found = listed(list).find(|(item_id, _)| *item_id == id);
    found.inspect(|(_, item)| item.write_to(out));
    Ok(found.is_some())
}

/// The emojis or stickers in a guild's list, with their ids.
pub(crate) fn listed(list: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    let items = compose::stored(list).as_list();
    let items = items.into_iter().flat_map(|list| list.iter());
    items.filter_map(|item| Some((item.get(atoms::ID)?.as_id()?, item)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: Batches = Batches { applied: 5, committed: 5 };

    /// How many looks an answer takes, and which it is, where batches go on until the look `ends`.
    fn asked(ends: u32, answer: impl Fn(u32) -> Option<u32>) -> (u32, Option<u32>) {
        let looks = Cell::new(0);
        let batches = || match looks.get() < ends {
            true => Batches { applied: 4, committed: 5 },
            false => SETTLED,
        };
        let found = look(batches, || {
            looks.set(looks.get() + 1);
            Ok(answer(looks.get()))
        });
        (looks.get(), found.expect("no error"))
    }

    #[test]
    fn an_answer_is_of_one_moment_where_there_is_one() {
        assert_eq!(asked(0, Some), (1, Some(1)));
        assert_eq!(asked(3, Some), (4, Some(4)), "the parts of those before may be of two");
        assert_eq!(asked(3, |_| None), (4, None));
    }

    #[test]
    fn one_of_two_moments_is_taken_where_there_is_none_of_one() {
        let last = LOOKS_FOR_ONE_MOMENT;
        assert_eq!(asked(u32::MAX, Some), (last, Some(last)));
        assert_eq!(asked(u32::MAX, |n| (n > last + 3).then_some(n)), (last + 4, Some(last + 4)));
        assert_eq!(asked(u32::MAX, |_| None), (LOOKS, None));
    }

    /// A batch that is stored between two parts: settled before and after, and not the same.
    #[test]
    fn a_batch_between_two_parts_is_seen() {
        let batch = Cell::new(5);
        let batches = || Batches { applied: batch.get(), committed: batch.get() };
        let mut looks = 0;
        let found = look(batches, || {
            looks += 1;
            batch.set(batch.get() + u64::from(looks < 3));
            Ok(Some(looks))
        });
        assert_eq!(found.expect("no error"), Some(3));
    }
}
