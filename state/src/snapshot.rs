//! A guild with all that belongs to it, of one moment.

use std::collections::{BTreeMap, BTreeSet};

use mixcord_event::{Document, atoms};
use mixcord_table::{Damage, Key as TableKey, Moment, TableId, Want};

use crate::query::entity;
use crate::source::Source;
use crate::table::at;
use crate::tables::{
    CHANNEL_FACTS, CHANNEL_MAP, CHANNELS, EMOJIS, GUILD_FACTS, GUILDS, MEMBERS, PRESENCES,
    ROLE_ORDER, ROLES, SCHEDULED_EVENTS, SOUNDS, STAGE_INSTANCES, STICKERS, THREADS, USERS,
    VOICE_STATES,
};
use crate::{Key, Pairs, Range, Read, State, StoreError, Table, compose, meta};

/// No guild of Discord's comes near; what is larger is told by its events alone.
const BYTES_MAX: u64 = 1 << 30;

/// A guild at one moment, and which moment that is.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct GuildSnapshot {
    /// The guild, as [`State::entity`] gives it.
    pub guild: Document,
    /// Whether it is in an outage.
    pub unavailable: bool,
    /// Its channels, by id.
    pub channels: Vec<Document>,
    /// Its threads, by id.
    pub threads: Vec<Document>,
    /// Its members, by user id: all, or of a large guild those who are online or in a voice channel, and the bot.
    pub members: Vec<Document>,
    /// Its presences, by user id.
    pub presences: Vec<Document>,
    /// Its voice states, by user id.
    pub voice_states: Vec<Document>,
    /// Its stage instances, by id.
    pub stage_instances: Vec<Document>,
    /// Its scheduled events, by id.
    pub scheduled_events: Vec<Document>,
    /// Its soundboard sounds, by id.
    pub soundboard_sounds: Vec<Document>,
    /// The output ring whose positions count.
    pub ring: u64,
    /// Every record of the guild below this position of that ring is in it, and none from there on. The ring's tail
    /// reaches it at once, if the cache lives.
    pub position: u64,
}

impl State {
    /// A guild with everything of it, all of one moment; `None` where it is not cached. It is large when more than
    /// `large` members are cached.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn guild_snapshot(
        &self,
        guild: u64,
        large: usize,
    ) -> Result<Option<GuildSnapshot>, StoreError> {
        let taken = Taken::new(&self.source, guild)?;
        let [ring, position] = taken.note;
        assemble(&taken, guild, large, (ring, position))
    }
}

/// The values of one batch, and what was noted with it: the output ring and the tail that goes with them.
struct Taken {
    values: BTreeMap<(TableId, TableKey), Vec<u8>>,
    note: [u64; 2],
}

impl Taken {
    fn new(source: &Source, guild: u64) -> Result<Self, StoreError> {
        let singles = [GUILDS, GUILD_FACTS, ROLE_ORDER, EMOJIS, STICKERS];
        let pairs = [
            ROLES,
            CHANNELS,
            THREADS,
            CHANNEL_FACTS,
            MEMBERS,
            PRESENCES,
            VOICE_STATES,
            STAGE_INSTANCES,
            SCHEDULED_EVENTS,
            SOUNDS,
        ];
        let key = |key: Key| Want::Key(key.table().id(), at(key));
        let owner = |pairs: Pairs| Want::Owner(pairs.table().id(), guild);
        let wants: Vec<_> = singles
            .map(|single| key(single.at(guild)))
            .into_iter()
            .chain(pairs.map(owner))
            .chain([key(meta::ME)])
            .collect();
        let Moment { note, values, .. } =
            source.reader.moment(&wants, BYTES_MAX, |table, of, _, more| {
                match Table::of(table) {
                    Some(Table::Members) => more.push(key(USERS.at(of.id))),
                    Some(Table::Channels | Table::Threads) => more.push(key(CHANNEL_MAP.at(of.id))),
                    _ => {}
                }
            })?;
        let plain = |(id, key, value): (TableId, TableKey, Vec<u8>)| {
            let table =
                Table::of(id).ok_or_else(|| Damage { what: "a table", at: id.number().into() })?;
            Ok(((id, key), source.plain(table.key(key.owner, key.id), value)?))
        };
        let values = values.into_iter().map(plain).collect::<Result<_, StoreError>>()?;
        Ok(Self { values, note })
    }
}

impl Read for Taken {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        let place = (key.table().id(), at(key));
        Ok(self.values.get(&place).map(Vec::as_slice))
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.scan(range, &mut |key, _| visit(key))
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let place = |key: Key| (key.table().id(), at(key));
        for ((_, key), value) in self.values.range(place(range.first())..=place(range.last())) {
            if !visit(range.table().key(key.owner, key.id), value) {
                break;
            }
        }
        Ok(())
    }
}

/// Puts a snapshot together from tables that are all of one moment.
fn assemble(
    read: &impl Read,
    guild: u64,
    large: usize,
    (ring, position): (u64, u64),
) -> Result<Option<GuildSnapshot>, StoreError> {
    let mut own = Vec::new();
    if !compose::guild(read, guild, &mut own)? {
        return Ok(None);
    }
    let facts = compose::guild_facts(read, guild)?.unwrap_or_default();
    let all = |pairs: Pairs| -> Result<Vec<Document>, StoreError> {
        let ids = ids_in(read, pairs, guild)?.into_iter();
        ids.filter_map(|id| composed(read, pairs.at(guild, id)).transpose()).collect()
    };
    Ok(Some(GuildSnapshot {
        guild: Document::trusted(own),
        unavailable: facts.unavailable,
        channels: all(CHANNELS)?,
        threads: all(THREADS)?,
        members: members(read, guild, large)?,
        presences: all(PRESENCES)?,
        voice_states: all(VOICE_STATES)?,
        stage_instances: all(STAGE_INSTANCES)?,
        scheduled_events: all(SCHEDULED_EVENTS)?,
        soundboard_sounds: all(SOUNDS)?,
        ring,
        position,
    }))
}

fn members(read: &impl Read, guild: u64, large: usize) -> Result<Vec<Document>, StoreError> {
    let mut ids = ids_in(read, MEMBERS, guild)?;
    if ids.len() > large {
        let mut shown: BTreeSet<u64> = ids_in(read, PRESENCES, guild)?.into_iter().collect();
        shown.extend(ids_in(read, VOICE_STATES, guild)?);
        let me = read.get(meta::ME)?.map(compose::stored);
        shown.extend(me.and_then(|me| me.get(atoms::ID)?.as_id()));
        ids.retain(|id| shown.contains(id));
    }
    ids.into_iter().filter_map(|id| composed(read, MEMBERS.at(guild, id)).transpose()).collect()
}

fn composed(read: &impl Read, key: Key) -> Result<Option<Document>, StoreError> {
    let mut out = Vec::new();
    Ok(entity(read, key, &mut out)?.then(|| Document::trusted(out)))
}

fn ids_in(read: &impl Read, pairs: Pairs, guild: u64) -> Result<Vec<u64>, StoreError> {
    let mut ids = Vec::new();
    read.keys(pairs.of(guild), &mut |key| {
        ids.push(key.id());
        true
    })?;
    Ok(ids)
}
