//! The open batch: which keys it changes, where their new values lie, and how to take that back.
//!
//! Plain memory of the writer's. It is looked into before the table is, so it is one probe of a table
//! that is keyed by the same hash.

use std::cell::RefCell;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet, HashTable};

use crate::key::{Key, TableId};
use crate::layout::Place;

/// Places of entries, from 0.
pub(crate) type Number = u32;

/// A key that the batch changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) table: TableId,
    pub(crate) key: Key,
    /// The slot of the value that is committed; without meaning where there is none.
    pub(crate) at: u64,
    /// Where that value lies, or none.
    pub(crate) before: Place,
    /// Where the batch's own value lies, or none: deleted.
    pub(crate) now: Place,
    /// One more than the number of the entry before in the group's chain, 0 for none.
    before_in_group: Number,
    /// Whether it is in its group's chain.
    grouped: bool,
}

impl Entry {
    /// Whether the key is there once the batch is committed, and was not, or the other way round.
    pub(crate) fn comes_or_goes(&self) -> bool {
        (self.before == Place::NONE) != (self.now == Place::NONE)
    }
}

/// The keys of one list that come or go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) table: TableId,
    /// 0 for a table of single ids: its list is that of its owners.
    pub(crate) owner: u64,
    /// One more than the number of its last entry, 0 for none.
    last: Number,
}

/// How one change is taken back.
#[derive(Clone, Copy, Debug)]
struct Undo {
    number: Number,
    /// What the batch had of the key before; `None`: nothing, the entry is new.
    was: Option<Place>,
    /// The change put the entry into its group's chain.
    grouped: bool,
}

/// An id that comes to a list, with true, or goes from it.
pub(crate) type Edit = (u64, bool);

/// A list's edits, sorted, as long as nothing is changed: a list is read page by page.
#[derive(Debug, Default)]
struct Sorted {
    /// The list's table and owner, and how many changes there had been.
    of: Option<(TableId, u64, u64)>,
    edits: Vec<Edit>,
    /// Edits that were gathered so far, over again where something had changed.
    #[cfg(test)]
    gathered: usize,
}

/// Everything that is changed since the last commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Raised by every change.
    version: u64,
    /// Of the list of ids that was read last, and of the list of owners.
    sorted: [RefCell<Sorted>; 2],
    entries: Vec<Entry>,
    by_hash: HashTable<Number>,
    groups: Vec<Group>,
    group_of: HashMap<(TableId, u64), Number, RandomState>,
    /// Entries that are in a chain.
    grouped: u64,
    /// Since the last mark.
    undo: Vec<Undo>,
    /// Bytes of values, those that were overwritten among them.
    pub(crate) bytes: u64,
    bytes_at_mark: u64,
    /// Keys that come, less those that go.
    pub(crate) more: i64,
    /// Buckets were split since the batch began: slots are no longer where its entries say.
    pub(crate) moved: bool,
    /// Empty slots that a commit on its way will fill.
    pub(crate) taken: HashSet<u64, RandomState>,
    /// Overflow buckets that it will link, by the bucket before.
    pub(crate) links: HashMap<u64, Place, RandomState>,
}

/// Room that is kept from batch to batch, entries.
const KEPT: usize = 1 << 16;

impl Batch {
    /// Redo entries that one change may need: its own, those of [`Self::PER_EDIT`] and of
    /// [`Self::PER_LIST`].
    pub(crate) const REDO_PER_CHANGE: u64 = 1 + Self::PER_EDIT + Self::PER_LIST;
    /// The chunk of an id that comes or goes, and the one before it.
    const PER_EDIT: u64 = 2;
    /// The head of a list, and of its owner the chunk, the one before it, and the head.
    const PER_LIST: u64 = 4;

    /// Redo entries that a commit will need at most, overflow buckets apart.
    pub(crate) fn redo_entries(&self) -> u64 {
        let lists = self.groups.len() as u64 * Self::PER_LIST;
        self.entries.len() as u64 + self.grouped * Self::PER_EDIT + lists
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the batch says of a key.
    #[inline]
    pub(crate) fn get(&self, hash: u64, table: TableId, key: Key) -> Option<Number> {
        if self.entries.is_empty() {
            return None;
        }
        let is = |number: &Number| {
            let entry = &self.entries[*number as usize];
            entry.hash == hash && entry.key == key && entry.table == table
        };
        self.by_hash.find(hash, is).copied()
    }

    /// A key that the batch says nothing of yet: what is committed of it, and what it becomes.
    pub(crate) fn add(
        &mut self,
        (hash, table, key): (u64, TableId, Key),
        (at, before): (u64, Place),
        now: Place,
        listed: bool,
    ) {
        self.version += 1;
        let number = self.entries.len() as Number;
        let (before_in_group, grouped) = (0, false);
        let entry = Entry { hash, table, key, at, before, now, before_in_group, grouped };
        let entries = &self.entries;
        self.by_hash.insert_unique(hash, number, |number| entries[*number as usize].hash);
        self.entries.push(entry);
        self.more += i64::from(now != Place::NONE) - i64::from(before != Place::NONE);
        let grouped = listed && self.group(number);
        self.undo.push(Undo { number, was: None, grouped });
    }

    /// Another value for a key that the batch has changed, or its deletion.
    pub(crate) fn set(&mut self, number: Number, now: Place, listed: bool) {
        self.version += 1;
        let entry = &mut self.entries[number as usize];
        let was = std::mem::replace(&mut entry.now, now);
        self.more += i64::from(now != Place::NONE) - i64::from(was != Place::NONE);
        let grouped = listed && self.group(number);
        self.undo.push(Undo { number, was: Some(was), grouped });
    }

    /// Puts an entry that comes or goes into its group's chain; false where it need not be or is.
    #[inline]
    fn group(&mut self, number: Number) -> bool {
        let entry = &self.entries[number as usize];
        !entry.grouped && entry.comes_or_goes() && self.group_anew(number)
    }

    fn group_anew(&mut self, number: Number) -> bool {
        let entry = &mut self.entries[number as usize];
        let (table, owner) = group_of(entry.table, entry.key);
        let groups = &mut self.groups;
        let group = *self.group_of.entry((table, owner)).or_insert_with(|| {
            groups.push(Group { table, owner, last: 0 });
            groups.len() as Number - 1
        });
        let group = &mut groups[group as usize];
        entry.before_in_group = std::mem::replace(&mut group.last, number + 1);
        entry.grouped = true;
        self.grouped += 1;
        true
    }

    /// From here on changes can be taken back; gives the places of values that no longer count.
    pub(crate) fn mark(&mut self, mut free: impl FnMut(Place)) {
        for undo in self.undo.drain(..) {
            if let Some(was) = undo.was.filter(|was| *was != Place::NONE) {
                free(was);
            }
        }
        self.bytes_at_mark = self.bytes;
    }

    /// Takes back what was changed since the mark; gives the places of its values.
    pub(crate) fn take_back(&mut self, mut free: impl FnMut(Place)) {
        self.version += 1;
        while let Some(Undo { number, was, grouped }) = self.undo.pop() {
            let entry = &mut self.entries[number as usize];
            if grouped {
                entry.grouped = false;
                self.grouped -= 1;
                let group = group_of(entry.table, entry.key);
                if let Some(group) = self.group_of.get(&group) {
                    self.groups[*group as usize].last = entry.before_in_group;
                }
            }
            if entry.now != Place::NONE {
                free(entry.now);
            }
            let target = was.unwrap_or(entry.before);
            self.more += i64::from(target != Place::NONE) - i64::from(entry.now != Place::NONE);
            match was {
                Some(was) => entry.now = was,
                None => {
                    let hash = entry.hash;
                    if let Ok(found) = self.by_hash.find_entry(hash, |other| *other == number) {
                        found.remove();
                    }
                    self.entries.pop();
                }
            }
        }
        self.bytes = self.bytes_at_mark;
    }

    /// Gives all places of the batch's own values, and forgets it.
    pub(crate) fn discard(&mut self, mut free: impl FnMut(Place)) {
        self.mark(&mut free);
        self.entries.iter().map(|entry| entry.now).filter(|now| *now != Place::NONE).for_each(free);
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        self.version += 1;
        // Emptying a hash table costs as much as the room it has.
        if self.entries.len() < self.by_hash.capacity() / 32 {
            for (entry, number) in self.entries.iter().zip(0..) {
                if let Ok(found) = self.by_hash.find_entry(entry.hash, |other| *other == number) {
                    found.remove();
                }
            }
        } else {
            self.by_hash.clear();
        }
        if self.groups.len() < self.group_of.capacity() / 32 {
            for group in &self.groups {
                self.group_of.remove(&(group.table, group.owner));
            }
        } else {
            self.group_of.clear();
        }
        self.entries.clear();
        self.groups.clear();
        self.undo.clear();
        self.clear_plan();
        self.moved = false;
        (self.bytes, self.bytes_at_mark, self.more, self.grouped) = (0, 0, 0, 0);
        if self.entries.capacity() > KEPT {
            *self = Self { version: self.version, ..Self::default() };
        }
        for sorted in &self.sorted {
            sorted.borrow_mut().forget();
        }
    }

    /// Forgets which slots and links a commit was to fill.
    pub(crate) fn clear_plan(&mut self) {
        if self.taken.len() < self.taken.capacity() / 32 {
            self.taken = HashSet::default();
        } else {
            self.taken.clear();
        }
        self.links = HashMap::default();
    }

    /// The lists that change, in the order of tables and owners.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<_> = self.groups.iter().copied().filter(|g| g.last != 0).collect();
        groups.sort_unstable_by_key(|group| (group.table, group.owner));
        groups
    }

    /// The lists of one table that change.
    pub(crate) fn groups_of(&self, table: TableId) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| group.table == table && group.last != 0)
    }

    /// The list of an owner, if it changes.
    pub(crate) fn group_for(&self, table: TableId, owner: u64) -> Option<Group> {
        if self.groups.is_empty() {
            return None;
        }
        let group = *self.group_of.get(&(table, owner))?;
        Some(self.groups[group as usize])
    }

    /// Calls `read` with what [`Batch::edits`] gives of an owner's ids.
    pub(crate) fn with_edits<R>(
        &self,
        table: TableId,
        owner: u64,
        read: impl FnOnce(&[Edit]) -> R,
    ) -> R {
        let gather = || Ok(self.group_for(table, owner).map_or_else(Vec::new, |g| self.edits(g)));
        let gathered: Result<R, std::convert::Infallible> =
            self.with_sorted(0, (table, owner), gather, read);
        match gathered {
            Ok(read) => read,
        }
    }

    /// The same of a table's owners; `gather` tells their edits, in any order, where they are not known.
    pub(crate) fn with_owner_edits<R, E>(
        &self,
        table: TableId,
        gather: impl FnOnce() -> Result<Vec<Edit>, E>,
        read: impl FnOnce(&[Edit]) -> R,
    ) -> Result<R, E> {
        self.with_sorted(1, (table, 0), gather, read)
    }

    fn with_sorted<R, E>(
        &self,
        which: usize,
        (table, owner): (TableId, u64),
        gather: impl FnOnce() -> Result<Vec<Edit>, E>,
        read: impl FnOnce(&[Edit]) -> R,
    ) -> Result<R, E> {
        if self.groups.is_empty() {
            return Ok(read(&[]));
        }
        let of = Some((table, owner, self.version));
        if self.sorted[which].borrow().of != of {
            // Outside the borrow: the owners' edits are gathered by looking at their ids.
            let mut edits = gather()?;
            edits.sort_unstable();
            let mut sorted = self.sorted[which].borrow_mut();
            #[cfg(test)]
            {
                sorted.gathered += edits.len();
            }
            (sorted.of, sorted.edits) = (of, edits);
        }
        Ok(read(&self.sorted[which].borrow().edits))
    }

    /// Edits gathered for readers so far.
    #[cfg(test)]
    pub(crate) fn gathered(&self) -> usize {
        self.sorted.iter().map(|sorted| sorted.borrow().gathered).sum()
    }

    /// The ids that come to a list, with true, and those that go from it; sorted.
    pub(crate) fn edits(&self, group: Group) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut next = group.last;
        while let Some(number) = next.checked_sub(1) {
            let entry = &self.entries[number as usize];
            if entry.comes_or_goes() {
                let pairs = entry.table.is_of_pairs();
                let id = if pairs { entry.key.id } else { entry.key.owner };
                edits.push((id, entry.now != Place::NONE));
            }
            next = entry.before_in_group;
        }
        edits.sort_unstable();
        edits
    }
}

impl Sorted {
    fn forget(&mut self) {
        self.of = None;
        self.edits = Vec::new();
    }
}

/// The list that a key stands in.
fn group_of(table: TableId, key: Key) -> (TableId, u64) {
    (table, if table.is_of_pairs() { key.owner } else { 0 })
}
