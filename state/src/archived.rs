//! Since when threads are archived.

use crate::channel_facts::{ID_BITS, MINUTE_BITS, by_time, time_of};
use crate::tables::ARCHIVED;
use crate::{Key, Range, Read, StoreError, compose};

/// A thread that is archived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Archived {
    /// Its id.
    pub thread: u64,
    /// When the event was received that told it, in microseconds since 1970.
    pub since_us: u64,
}

impl Archived {
    /// Where it stands in the order of time, beside others of its minute as [`Cached::key`](crate::Cached::key).
    #[must_use]
    pub const fn key(self) -> Key {
        let (owner, id) = by_time(self.since_us, self.thread);
        ARCHIVED.at(owner, id)
    }

    /// Which thread stands there.
    #[must_use]
    pub const fn from_key(key: Key) -> Self {
        let thread = key.owner() << ID_BITS | key.id() & (u64::MAX >> MINUTE_BITS);
        Self { thread, since_us: time_of(key) }
    }

    /// Those that were archived up to the end of a time's minute.
    #[must_use]
    pub const fn by(time_us: u64) -> Range {
        ARCHIVED.up_to(time_us | (u64::MAX >> ID_BITS))
    }

    /// Where it stands since when a thread is archived.
    #[must_use]
    pub const fn since(thread: u64) -> Key {
        // No time is so late.
        ARCHIVED.at(u64::MAX, thread)
    }

    /// What stands there: the time, and the thread's guild.
    #[must_use]
    pub fn to_bytes(self, guild: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.since_us.to_le_bytes());
        bytes[8..].copy_from_slice(&guild.to_le_bytes());
        bytes
    }

    /// Since when a thread is archived, and in which guild.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read(
        read: &(impl Read + ?Sized),
        thread: u64,
    ) -> Result<Option<(Self, u64)>, StoreError> {
        let key = Self::since(thread);
        let Some(bytes) = read.get(key)? else { return Ok(None) };
        let mut words = compose::ids(bytes);
        let (Some(since_us), Some(guild), None) = (words.next(), words.next(), words.next()) else {
            return Err(StoreError::Damaged { key });
        };
        Ok(Some((Self { thread, since_us }, guild)))
    }
}
