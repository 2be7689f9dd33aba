//! Messages that rest are compressed, some at a time, by whoever has nothing else to do.

use crate::form::{PACKED, SHAPED};
use crate::packed::Packer;
use crate::shapes::units;
use crate::table::at;
use crate::{Arena, Cached, Key, Read, StoreError, Writer};

/// How far the messages are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// All of them were.
    Done,
    /// It was enough behind this one, or before the first.
    Paused(Option<Key>),
}

/// Keys that are read at once.
const PAGE: usize = 64;

impl Writer {
    /// Compresses messages that were received by `last_us` (and the end of its minute), from the one behind `behind`
    /// on, until `is_enough` says so, which is asked before each of them. What it changes is in the open batch.
    ///
    /// Messages that have no shape, or would take as much memory, stay as they are.
    ///
    /// # Errors
    /// When the store cannot be read or written; the batch is to be discarded then.
    pub fn pack_messages(
        &mut self,
        behind: Option<Key>,
        last_us: u64,
        is_enough: &mut dyn FnMut() -> bool,
    ) -> Result<Packing, StoreError> {
        let all = Cached::received_by(last_us);
        let mut rest = match behind {
            Some(key) => all.behind(key),
            None => Some(all),
        };
        let (arena, mut keys, mut last) = (Arena::default(), Vec::new(), behind);
        while let Some(range) = rest.take() {
            keys.clear();
            self.view(&arena).keys(range, &mut |key| {
                keys.push(key);
                keys.len() < PAGE
            })?;
            for &key in &keys {
                if is_enough() {
                    return Ok(Packing::Paused(last));
                }
                self.pack(key)?;
                last = Some(key);
            }
            rest = last.filter(|_| keys.len() == PAGE).and_then(|key| all.behind(key));
        }
        Ok(Packing::Done)
    }

    fn pack(&mut self, key: Key) -> Result<(), StoreError> {
        let mut value = Vec::new();
        let id = key.table().id();
        if !self.table.get(id, at(key), &mut value)? {
            return Ok(());
        }
        let [SHAPED, low, high, rest @ ..] = &value[..] else { return Ok(()) };
        let Ok(len) = u16::try_from(rest.len()) else { return Ok(()) };
        if self.packer.is_none() {
            self.packer = Packer::new();
        }
        let Some(frame) = self.packer.as_mut().and_then(|packer| packer.pack(rest)) else {
            return Ok(());
        };
        let [len_low, len_high] = len.to_le_bytes();
        let head = [PACKED, *low, *high, len_low, len_high];
        if units(head.len() + frame.len()) < units(value.len()) {
            self.table.put(id, at(key), &[&head, frame])?;
        }
        Ok(())
    }
}
