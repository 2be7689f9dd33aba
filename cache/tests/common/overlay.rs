//! A model of the store's open batch: changes in memory, in front of a base that stays as it is.

use std::collections::BTreeMap;

use mixcord_cache::store::{Noted, Notes, Store};
use mixcord_state::{Key, Range, Read, StoreError};

/// Values, or `None` for what was deleted.
type Values = BTreeMap<Key, Option<Vec<u8>>>;

/// The changes of a batch, and what is noted of them.
#[derive(Default, Debug)]
pub(crate) struct Changes {
    now: Values,
    /// Before the record in work.
    marked: Values,
    notes: Notes,
    /// What [`Store::has_channels_whole`] denies.
    pub(crate) channels_apart: bool,
}

impl Changes {
    /// Has `work` done with these changes in front of `base`.
    pub(crate) fn over<T>(&mut self, base: &dyn Read, work: impl FnOnce(&mut dyn Store) -> T) -> T {
        let channels_apart = self.channels_apart;
        let mut overlay = Overlay { base, changes: &mut self.now, channels_apart };
        work(&mut Noted::new(&mut overlay, &mut self.notes))
    }

    pub(crate) fn begin_record(&mut self) {
        self.marked = self.now.clone();
        self.notes.begin_record();
    }

    pub(crate) fn take_back_record(&mut self) {
        self.now.clone_from(&self.marked);
        self.notes.take_back_record();
    }

    /// What was changed; it is committed then.
    pub(crate) fn commit(&mut self) -> impl Iterator<Item = (Key, Option<Vec<u8>>)> + use<> {
        self.notes.committed();
        self.marked.clear();
        std::mem::take(&mut self.now).into_iter()
    }
}

struct Overlay<'a> {
    base: &'a dyn Read,
    changes: &'a mut Values,
    channels_apart: bool,
}

impl Read for Overlay<'_> {
    fn get(&self, key: Key) -> Result<Option<&[u8]>, StoreError> {
        match self.changes.get(&key) {
            Some(value) => Ok(value.as_deref()),
            None => self.base.get(key),
        }
    }

    fn keys(&self, range: Range, visit: &mut dyn FnMut(Key) -> bool) -> Result<(), StoreError> {
        self.scan(range, &mut |key, _| visit(key))
    }

    fn scan(
        &self,
        range: Range,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut changed = self.changes.range(range.first()..=range.last()).peekable();
        let mut go_on = true;
        self.base.scan(range, &mut |key, value| {
            while let Some((other, value)) = changed.next_if(|(other, _)| **other < key) {
                go_on = value.as_ref().is_none_or(|value| visit(*other, value));
                if !go_on {
                    return false;
                }
            }
            go_on = match changed.next_if(|(other, _)| **other == key) {
                Some((_, value)) => value.as_ref().is_none_or(|value| visit(key, value)),
                None => visit(key, value),
            };
            go_on
        })?;
        while let (true, Some((key, value))) = (go_on, changed.next()) {
            go_on = value.as_ref().is_none_or(|value| visit(*key, value));
        }
        Ok(())
    }
}

impl Store for Overlay<'_> {
    fn put(&mut self, key: Key, parts: &[&[u8]]) {
        self.changes.insert(key, Some(parts.concat()));
    }

    fn delete(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    fn has_channels_whole(&self) -> bool {
        !self.channels_apart
    }

    fn changed_bytes(&self) -> usize {
        let values = self.changes.values().flatten().map(Vec::len).sum::<usize>();
        values + self.changes.len() * 128
    }
}
