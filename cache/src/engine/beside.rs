//! Two sets of sessions side by side, while the shard count changes: which of their records are delivered.
//!
//! [`Overlap`] decides. What it knows is rows of the store, written with the batch whose records they speak of.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use mixcord_event::{Record, Value, atoms, record};
use mixcord_state::tables::{GUILD_FACTS, GUILDS};
use mixcord_state::{Arena, GuildFacts, Key, Read, StoreError, Writer, compose, meta};

use super::work::Place;
use crate::overlap::{Fact, Keys, Overlap, Request, Row, RowError, Side, Stage, number_of};
use crate::store::DiskStore;

/// Guilds that are listed at once.
const LIST_MAX: usize = 4096;

/// A change of the shard count.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) overlap: Overlap,
    /// One set is left, and with the next commit no row of it.
    pub(super) is_over: bool,
    /// When its guilds were looked at last.
    pub(super) looked: Option<Instant>,
}

impl Beside {
    /// Begins one, at this time.
    pub(super) fn begin(request: Request, now_us: u64) -> Self {
        let random = || RandomState::new().hash_one(now_us);
        Self::of(Overlap::begin(request, Keys([random(), random()]), now_us))
    }

    const fn of(overlap: Overlap) -> Self {
        Self { overlap, is_over: false, looked: None }
    }

    /// What the store knows of one; `None` where there is none.
    pub(super) fn load(store: &impl Read) -> Result<Option<Self>, StoreError> {
        let mut rows = Vec::new();
        store.scan(meta::RESHARD, &mut |key, bytes| {
            rows.extend(row_of(key).map(|row| (row, bytes.to_vec())));
            true
        })?;
        let loaded = Overlap::load(rows).map_err(|RowError { row }| {
            let key = key_of(row);
            tracing::error!(
                "the store has a row of a change of the shard count that is none: {row:?}"
            );
            StoreError::Damaged { key }
        })?;
        Ok(loaded.map(Self::of))
    }

    /// Whether something is to be committed.
    pub(super) fn has_changes(&self) -> bool {
        self.is_over || self.overlap.has_changes()
    }

    /// Puts what changed into the open batch.
    pub(super) fn write(&mut self, store: &mut Writer) -> Result<(), StoreError> {
        self.overlap.drain(|row, bytes| match bytes {
            Some(bytes) => store.put(key_of(row), &[bytes]),
            None => store.delete(key_of(row)),
        })?;
        if self.is_over { store.delete(key_of(Row::Head)) } else { Ok(()) }
    }

    /// Lists some of the guilds that the store knows.
    pub(super) fn list(&mut self, store: &impl Read) -> Result<(), StoreError> {
        let Stage::Listing(behind) = self.overlap.stage() else { return Ok(()) };
        let all = GUILD_FACTS.all();
        let range = if behind == 0 { Some(all) } else { all.behind(GUILD_FACTS.at(behind)) };
        let mut found = Vec::new();
        if let Some(range) = range {
            store.scan(range, &mut |key, facts| {
                found.extend(GuildFacts::from_bytes(facts).map(|facts| (key.owner(), facts)));
                found.len() < LIST_MAX
            })?;
        }
        for (id, facts) in &found {
            let is_there = facts.created && !facts.unavailable;
            if is_there || facts.pending || facts.unavailable {
                let guild = store.get(GUILDS.at(*id))?.map(compose::stored_map);
                let joined_at =
                    guild.and_then(|guild| guild.get(atoms::JOINED_AT).and_then(Value::as_str));
                self.overlap.list(*id, is_there, facts.pending, joined_at.map_or(0, number_of));
            }
        }
        match found.last() {
            // All of them may be such as are left out.
            Some((last, _)) if found.len() >= LIST_MAX => self.overlap.listed_through(*last),
            _ => self.overlap.listed(),
        }
        Ok(())
    }

    /// What a record of a ring is to it; `None` where the ring is of neither set.
    pub(super) fn fact(&self, at: Place, record: &Record<'_>) -> Option<Fact> {
        let side = self.overlap.side(at.shard.0)?;
        Some(Fact::of(record, side, at.shard.1, self.overlap.keys()))
    }

    /// Whether a ring of this count is read.
    pub(super) fn reads(&self, shards: u16) -> bool {
        self.overlap.side(shards).is_some_and(|side| self.overlap.reads(side))
    }
}

/// Whether a store speaks of one.
pub(super) fn is_in(store: &DiskStore) -> bool {
    matches!(store.view(&Arena::default()).get(key_of(Row::Head)), Ok(Some(_)))
}

/// A record's bytes with where it was first.
pub(super) fn named(at: Place, record: &Record<'_>, bytes: &[u8]) -> Vec<u8> {
    let mut named = bytes.to_vec();
    record::set_origin(&mut named, record.header().origin.or(at.origin()));
    named
}

/// The row of a key.
fn row_of(key: Key) -> Option<Row> {
    let (kind, number) = meta::reshard_of(key);
    let shard = number as u16;
    Some(match kind {
        0 => Row::Head,
        1 => Row::Shard(Side::Old, shard),
        2 => Row::Shard(Side::New, shard),
        3 => Row::Ready(shard),
        4 => Row::Guild(number),
        5 => Row::Block(number),
        6 => Row::Wait(number),
        _ => return None,
    })
}

fn key_of(row: Row) -> Key {
    let (kind, number) = match row {
        Row::Head => (0, 0),
        Row::Shard(Side::Old, shard) => (1, shard.into()),
        Row::Shard(Side::New, shard) => (2, shard.into()),
        Row::Ready(shard) => (3, shard.into()),
        Row::Guild(id) => (4, id),
        Row::Block(number) => (5, number),
        Row::Wait(number) => (6, number),
    };
    meta::reshard(kind, number)
}
