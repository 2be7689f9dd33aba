//! Questions to the store.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::Path;

use mixcord_event::{Document, atoms};

use crate::{
    Env, Key, OpenError, Read, Stamped, StateStats, StoreError, Table, Txn, compose, meta,
};

/// Entities fetched in one transaction by an iterator.
const PAGE: usize = 256;

/// The cache's state, read from the process that asks.
///
/// Every call answers from one snapshot, taken when it is made, and returns owned documents; an
/// iterator takes a snapshot for each page of 256. A handler that asks sees the state at or after
/// its event.
#[derive(Debug)]
pub struct State {
    env: Env,
}

impl State {
    /// Opens the store in `dir` (usually `mixcord_event::topology::state_dir`).
    ///
    /// # Errors
    /// When there is none yet, when this process has it open already, or the system refuses.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self { env: Env::open(dir)? })
    }

    /// The store's id; another one than before means that it was rebuilt.
    pub fn id(&self) -> Result<Option<u64>, StoreError> {
        let txn = self.env.read()?;
        Ok(txn.get(Table::Meta, meta::STORE)?.and_then(|bytes| compose::ids(bytes).next()))
    }

    /// A guild: its own fields with `member_count`, roles, emojis and stickers.
    pub fn guild(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| compose::guild(txn, id, out))
    }

    /// A channel or thread.
    pub fn channel(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let Some(guild) = compose::guild_of_channel(txn, id)? else { return Ok(false) };
            Ok(compose::channel(txn, Table::Channels, guild, id, out)?
                || compose::channel(txn, Table::Threads, guild, id, out)?)
        })
    }

    /// A role.
    pub fn role(&self, guild: u64, id: u64) -> Result<Option<Document>, StoreError> {
        self.plain(Table::Roles, Key::pair(guild, id))
    }

    /// A member with its user.
    pub fn member(&self, guild: u64, user: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| compose::member(txn, guild, user, out))
    }

    /// A user that some cached guild holds.
    pub fn user(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let Some(tally) = compose::user_tally(txn, id)? else { return Ok(false) };
            out.extend_from_slice(tally.document);
            Ok(true)
        })
    }

    /// The presence of a member who is not offline.
    pub fn presence(&self, guild: u64, user: u64) -> Result<Option<Document>, StoreError> {
        self.plain(Table::Presences, Key::pair(guild, user))
    }

    /// The voice state of a member who is in a voice channel.
    pub fn voice_state(&self, guild: u64, user: u64) -> Result<Option<Document>, StoreError> {
        self.plain(Table::VoiceStates, Key::pair(guild, user))
    }

    /// A message of the bounded history.
    pub fn message(&self, channel: u64, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let key = Key::pair(channel, id);
            let Some(bytes) = txn.get(Table::Messages, key)? else { return Ok(false) };
            let damaged = StoreError::Damaged { table: Table::Messages, key };
            out.extend_from_slice(Stamped::from_bytes(bytes).ok_or(damaged)?.document);
            Ok(true)
        })
    }

    /// An emoji of a guild.
    pub fn emoji(&self, guild: u64, id: u64) -> Result<Option<Document>, StoreError> {
        self.listed(Table::Emojis, guild, id)
    }

    /// A sticker of a guild.
    pub fn sticker(&self, guild: u64, id: u64) -> Result<Option<Document>, StoreError> {
        self.listed(Table::Stickers, guild, id)
    }

    /// The bot's own user.
    pub fn me(&self) -> Result<Option<Document>, StoreError> {
        self.plain(Table::Meta, meta::ME)
    }

    /// The guild of a channel or thread; `Some(0)` for a private channel.
    pub fn guild_of_channel(&self, channel: u64) -> Result<Option<u64>, StoreError> {
        compose::guild_of_channel(&self.env.read()?, channel)
    }

    /// The shard a guild's events come from, and out of how many.
    pub fn shard_of_guild(&self, guild: u64) -> Result<Option<(u16, u16)>, StoreError> {
        let facts = compose::guild_facts(&self.env.read()?, guild)?;
        Ok(facts.map(|facts| (facts.shard, facts.shards)))
    }

    /// How many members a guild has, and how many of them are cached.
    pub fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, StoreError> {
        let facts = compose::guild_facts(&self.env.read()?, guild)?;
        Ok(facts.map(|facts| (facts.member_count, facts.members_cached)))
    }

    /// The cached guilds, by id.
    #[must_use]
    pub fn guilds(&self) -> Pages<'_> {
        self.pages(Table::Guilds, Key::all(), false, usize::MAX)
    }

    /// The cached members of a guild, by user id.
    #[must_use]
    pub fn members(&self, guild: u64) -> Pages<'_> {
        self.pages(Table::Members, Key::all_of(guild), false, usize::MAX)
    }

    /// The channels of a guild, without threads, by id.
    #[must_use]
    pub fn channels(&self, guild: u64) -> Pages<'_> {
        self.pages(Table::Channels, Key::all_of(guild), false, usize::MAX)
    }

    /// The threads of a guild, by id.
    #[must_use]
    pub fn threads(&self, guild: u64) -> Pages<'_> {
        self.pages(Table::Threads, Key::all_of(guild), false, usize::MAX)
    }

    /// The roles of a guild, by id.
    #[must_use]
    pub fn roles(&self, guild: u64) -> Pages<'_> {
        self.pages(Table::Roles, Key::all_of(guild), false, usize::MAX)
    }

    /// At most `limit` messages of a channel that are older than `id`, the newest first.
    #[must_use]
    pub fn messages_before(&self, channel: u64, id: u64, limit: usize) -> Pages<'_> {
        let limit = if id == 0 { 0 } else { limit };
        let range = Key::pair(channel, 0)..=Key::pair(channel, id.saturating_sub(1));
        self.pages(Table::Messages, range, true, limit)
    }

    /// At most `limit` messages of a channel that are newer than `id`, the oldest first.
    #[must_use]
    pub fn messages_after(&self, channel: u64, id: u64, limit: usize) -> Pages<'_> {
        let limit = if id == u64::MAX { 0 } else { limit };
        let range = Key::pair(channel, id.saturating_add(1))..=Key::pair(channel, u64::MAX);
        self.pages(Table::Messages, range, false, limit)
    }

    /// Every entity of a table as it is stored, for an export.
    #[must_use]
    pub fn table(&self, table: Table) -> Pages<'_> {
        self.pages(table, Key::all(), false, usize::MAX)
    }

    /// Entities and bytes of each resource.
    pub fn stats(&self) -> Result<StateStats, StoreError> {
        StateStats::count(&self.env)
    }

    fn plain(&self, table: Table, key: Key) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let Some(bytes) = txn.get(table, key)? else { return Ok(false) };
            out.extend_from_slice(bytes);
            Ok(true)
        })
    }

    fn listed(&self, table: Table, guild: u64, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let Some(list) = txn.get(table, Key::one(guild))? else { return Ok(false) };
            let list = compose::stored(list).as_list();
            let mut found = list.into_iter().flat_map(|list| list.iter());
            let found =
                found.find(|item| item.get(atoms::ID).and_then(|it| it.as_id()) == Some(id));
            found.inspect(|item| item.write_to(out));
            Ok(found.is_some())
        })
    }

    fn composed(
        &self,
        compose: impl FnOnce(&Txn<'_>, &mut Vec<u8>) -> Result<bool, StoreError>,
    ) -> Result<Option<Document>, StoreError> {
        let mut out = Vec::new();
        let found = compose(&self.env.read()?, &mut out)?;
        Ok(found.then(|| document(out)))
    }

    fn pages(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        back: bool,
        limit: usize,
    ) -> Pages<'_> {
        Pages { state: self, table, range: Some(range), back, left: limit, page: VecDeque::new() }
    }
}

/// Documents of a range of a table, fetched in pages.
///
/// No transaction is open between two pages: what is written meanwhile may or may not be seen,
/// each document is whole, and none is seen twice.
#[derive(Debug)]
pub struct Pages<'s> {
    state: &'s State,
    table: Table,
    /// What is left to fetch.
    range: Option<RangeInclusive<Key>>,
    back: bool,
    left: usize,
    page: VecDeque<Document>,
}

impl Pages<'_> {
    fn fetch(&mut self) -> Result<(), StoreError> {
        let Some(range) = self.range.take() else { return Ok(()) };
        let (first, last) = (*range.start(), *range.end());
        let count = self.left.min(PAGE);
        if count == 0 || first > last {
            return Ok(());
        }
        let txn = self.state.env.read()?;
        let mut keys = Vec::with_capacity(count);
        let mut visit = |key: Key, _: &[u8]| {
            keys.push(key);
            keys.len() < count
        };
        if self.back {
            txn.scan_back(self.table, range, &mut visit)?;
        } else {
            txn.scan(self.table, range, &mut visit)?;
        }
        if let (Some(&key), true) = (keys.last(), keys.len() == count) {
            self.range = if self.back {
                key.before().map(|end| first..=end)
            } else {
                Some(key.next()..=last)
            };
        }
        self.left -= keys.len();
        for key in keys {
            let mut out = Vec::new();
            if entity(&txn, self.table, key, &mut out)? {
                self.page.push_back(document(out));
            }
        }
        Ok(())
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Document, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && self.range.is_some() {
            if let Err(error) = self.fetch() {
                self.range = None;
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// The entity under a key of a table, composed.
fn entity(txn: &Txn<'_>, table: Table, key: Key, out: &mut Vec<u8>) -> Result<bool, StoreError> {
    match table {
        Table::Guilds => compose::guild(txn, key.owner(), out),
        Table::Members => compose::member(txn, key.owner(), key.id(), out),
        Table::Channels | Table::Threads => {
            compose::channel(txn, table, key.owner(), key.id(), out)
        }
        _ => {
            let Some(bytes) = txn.get(table, key)? else { return Ok(false) };
            let damaged = StoreError::Damaged { table, key };
            out.extend_from_slice(match table {
                Table::Messages => Stamped::from_bytes(bytes).ok_or(damaged)?.document,
                Table::Users => crate::Tally::from_bytes(bytes).ok_or(damaged)?.document,
                _ => bytes,
            });
            Ok(true)
        }
    }
}

/// The owned document of bytes that this project wrote.
fn document(bytes: Vec<u8>) -> Document {
    Document::trusted(bytes)
}
