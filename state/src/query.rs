//! Questions to the store.

use std::path::Path;

use mixcord_event::{Document, Value, atoms};

use crate::{
    Env, Key, OpenError, Read, ReaderSlot, Resource, Scan, StateStats, StoreError, Table, Tally,
    Txn, compose, format, meta,
};

/// The cache's state, read from the process that asks.
///
/// Every call answers from one snapshot, taken when it is made and given up when it returns, with
/// owned documents.
#[derive(Debug)]
pub struct State {
    env: Env,
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

/// How often opening is tried while the store is being rebuilt.
const TRIES: u32 = 8;

impl State {
    /// Opens the store in `dir`, which must be this user's alone, of this version, and written since
    /// the system was started.
    ///
    /// A process can have a store open once.
    ///
    /// # Errors
    /// When there is none (yet), when it cannot be trusted, or the system refuses.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        for _ in 0..TRIES {
            let seal = format::check(dir)?;
            let opened = Env::open(dir);
            // What was opened while the store was rebuilt may be half of the old and half of the new.
            if format::check(dir).ok() == Some(seal) {
                return Ok(Self { env: opened? });
            }
        }
        Err(OpenError::NotFound { dir: dir.to_owned() })
    }

    #[cfg(test)]
    pub(crate) fn of(env: Env) -> Self {
        Self { env }
    }

    #[cfg(test)]
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.env.dir()
    }

    /// The store's id; another one than before means that it was rebuilt.
    pub fn id(&self) -> Result<Option<u64>, StoreError> {
        let txn = self.env.read()?;
        Ok(txn.get(Table::Meta, meta::STORE)?.and_then(|bytes| compose::ids(bytes).next()))
    }

    /// The entity of a resource under its id and that of its guild, or of its channel for a message;
    /// guilds and users have no owner.
    pub fn entity(
        &self,
        resource: Resource,
        owner: u64,
        id: u64,
    ) -> Result<Option<Document>, StoreError> {
        let table = resource.table();
        self.composed(|txn, out| match table {
            Table::Emojis | Table::Stickers => {
                let Some(list) = txn.get(table, Key::one(owner))? else { return Ok(false) };
                let found = listed(list).find(|(item_id, _)| *item_id == id);
                found.inspect(|(_, item)| item.write_to(out));
                Ok(found.is_some())
            }
            Table::Guilds | Table::Users => entity(txn, table, Key::one(id), out),
            Table::Messages => {
                let facts = compose::facts_of_channel(txn, owner)?;
                let Some(message) = facts.and_then(|facts| facts.message(id)) else {
                    return Ok(false);
                };
                entity(txn, table, message.key(), out)
            }
            _ => entity(txn, table, Key::pair(owner, id), out),
        })
    }

    /// A channel or thread, wherever it is.
    pub fn channel(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let Some(guild) = compose::guild_of_channel(txn, id)? else { return Ok(false) };
            Ok(compose::channel(txn, Table::Channels, guild, id, out)?
                || compose::channel(txn, Table::Threads, guild, id, out)?)
        })
    }

    /// A guild's own fields, without what is kept apart: `member_count`, roles, emojis and stickers.
    pub fn guild_fields(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| {
            let own = txn.get(Table::Guilds, Key::one(id))?;
            own.inspect(|own| out.extend_from_slice(own));
            Ok(own.is_some())
        })
    }

    /// The bot's own user.
    pub fn me(&self) -> Result<Option<Document>, StoreError> {
        self.composed(|txn, out| entity(txn, Table::Meta, meta::ME, out))
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

    /// How many members a guild has, if Discord said so, and how many of them are cached.
    pub fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, StoreError> {
        let facts = compose::guild_facts(&self.env.read()?, guild)?;
        Ok(facts.map(|facts| (facts.member_count, facts.members_cached)))
    }

    /// The next page of a range, from a snapshot of its own.
    ///
    /// What is written between two pages may or may not be seen; each entity is whole, and none is
    /// seen twice, unless it went and came again: a message then stands behind those read.
    pub fn page(&self, scan: &mut Scan) -> Result<Vec<Found>, StoreError> {
        scan.page(&self.env.read()?)
    }

    /// How many entities of a resource are cached.
    pub fn count(&self, resource: Resource) -> Result<u64, StoreError> {
        crate::stats::entities(&self.env.read()?, resource.table())
    }

    /// Entities and bytes of each resource.
    pub fn stats(&self) -> Result<StateStats, StoreError> {
        StateStats::count(&self.env)
    }

    /// The queries that are open, of all processes.
    pub fn readers(&self) -> Vec<ReaderSlot> {
        self.env.readers()
    }

    fn composed(
        &self,
        compose: impl FnOnce(&Txn<'_>, &mut Vec<u8>) -> Result<bool, StoreError>,
    ) -> Result<Option<Document>, StoreError> {
        let mut out = Vec::new();
        let found = compose(&self.env.read()?, &mut out)?;
        Ok(found.then(|| Document::trusted(out)))
    }
}

/// Appends the entity under a key of a table, composed; says whether there is one.
pub(crate) fn entity(
    txn: &Txn<'_>,
    table: Table,
    key: Key,
    out: &mut Vec<u8>,
) -> Result<bool, StoreError> {
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
                Table::Users => Tally::from_bytes(bytes).ok_or(damaged)?.document,
                _ => bytes,
            });
            Ok(true)
        }
    }
}

/// The emojis or stickers in a guild's list, with their ids.
pub(crate) fn listed(list: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    let items = compose::stored(list).as_list();
    let items = items.into_iter().flat_map(|list| list.iter());
    items.filter_map(|item| Some((item.get(atoms::ID)?.as_id()?, item)))
}
