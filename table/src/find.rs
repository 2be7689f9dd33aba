//! How the writer finds a value. Nobody else changes anything, so one look is enough; but the bytes are
//! others' too, so whatever is read is checked before it is followed, and copied before it is used.

use std::mem::MaybeUninit;

use bumpalo::Bump;

use crate::error::{Damage, ReadError};
use crate::key::{Key, TableId};
use crate::layout::{AT_SLOTS, CHAIN_MAX, Place, SLOT, SLOTS, VALUE_HEAD};
use crate::lists::Get;
use crate::space::Slot;
use crate::writer::{LINES_AHEAD, Writer};

impl Writer {
    /// Copies the value under `key` to the end of `into`; false where there is none.
    ///
    /// # Errors
    /// [`Damage`] if the table's bytes cannot be.
    #[inline]
    pub fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, Damage> {
        let Some((at, len)) = self.find(table, key)? else { return Ok(false) };
        self.space.memory().append(at, len, into);
        Ok(true)
    }

    /// The same into an arena, which lends it out.
    ///
    /// # Errors
    /// [`Damage`] if the table's bytes cannot be.
    #[inline]
    pub fn get_in<'a>(
        &self,
        table: TableId,
        key: Key,
        arena: &'a Bump,
    ) -> Result<Option<&'a [u8]>, Damage> {
        let Some((at, len)) = self.find(table, key)? else { return Ok(None) };
        let into = arena.alloc_slice_fill_copy(len, MaybeUninit::uninit());
        Ok(Some(self.space.memory().read_into(at, into)))
    }

    /// Whether there is a value under `key`.
    ///
    /// # Errors
    /// [`Damage`] if the table's bytes cannot be.
    pub fn contains(&self, table: TableId, key: Key) -> Result<bool, Damage> {
        Ok(self.find(table, key)?.is_some())
    }

    /// Says that `key` will be asked for: 8 to 16 records before it is, it has the line come that says
    /// where its value lies. A hint, which never fails.
    #[inline]
    pub fn expect(&self, table: TableId, key: Key) {
        let bucket = self.index.of(self.fixed.hash.of(table, key));
        self.space.memory().expect_read(bucket as usize);
    }

    /// The same for the value itself, some records behind [`Writer::expect`], whose line it reads. Gives whether there
    /// seems to be one.
    #[inline]
    pub fn expect_value(&self, table: TableId, key: Key) -> bool {
        let hash = self.fixed.hash.of(table, key);
        let line = self.space.memory().load_words::<8>(self.index.of(hash) as usize);
        let mut there = false;
        for slot in [1, 3, 5].into_iter().filter(|slot| line[*slot] == hash) {
            there = true;
            for at in self.space.grain.place(line[slot + 1]).lines(LINES_AHEAD) {
                self.space.memory().expect_read(at as usize);
            }
        }
        there
    }

    /// Where a value's bytes lie, and how many they are.
    #[inline]
    fn find(&self, table: TableId, key: Key) -> Result<Option<(usize, usize)>, Damage> {
        let hash = self.fixed.hash.of(table, key);
        let (place, len) = match self.current.get(hash, table, key) {
            Some(number) => {
                let place = self.current.entries()[number as usize].now;
                if place == Place::NONE {
                    return Ok(None);
                }
                (place, self.space.value_head(place)?.len)
            }
            None => match self.slot(hash, table, key)? {
                Some((slot, len)) => (slot.place, len),
                None => return Ok(None),
            },
        };
        let at = place.offset() + VALUE_HEAD;
        if len > place.bytes() - VALUE_HEAD {
            return Err(Damage { what: "the length of a value", at });
        }
        Ok(Some((at as usize, len as usize)))
    }

    /// The slot of what is committed under a key, and its length, as its head says.
    #[inline]
    pub(crate) fn slot(
        &self,
        hash: u64,
        table: TableId,
        key: Key,
    ) -> Result<Option<(Slot, u64)>, Damage> {
        let mut at = self.index.of(hash);
        for _ in 0..CHAIN_MAX {
            let line = self.space.memory().load_words::<8>(at as usize);
            for index in 0..SLOTS {
                let word = 1 + index as usize * 2;
                let place = self.space.grain.place(line[word + 1]);
                if line[word] != hash || place == Place::NONE {
                    continue;
                }
                let head = self.space.value_head(place)?;
                if head.key == key && head.table == table {
                    let at = at + AT_SLOTS + index * SLOT;
                    return Ok(Some((Slot { at, hash, place }, head.len)));
                }
            }
            match line[7] {
                0 => return Ok(None),
                link => at = self.space.overflow(at, self.space.grain.place(link))?,
            }
        }
        Err(Damage { what: "an endless chain of buckets", at })
    }

    /// The slot and the place of what is committed under a key, or none.
    #[inline]
    pub(crate) fn committed(
        &self,
        hash: u64,
        table: TableId,
        key: Key,
    ) -> Result<(u64, Place), Damage> {
        let found = self.slot(hash, table, key)?;
        Ok(found.map_or((0, Place::NONE), |(slot, _)| (slot.at, slot.place)))
    }
}

impl Get for Writer {
    fn get(&self, table: TableId, key: Key, into: &mut Vec<u8>) -> Result<bool, ReadError> {
        Ok(Self::get(self, table, key, into)?)
    }
}
