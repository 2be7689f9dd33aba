//! The store, open for writing: by one process at a time.

use std::path::Path;

use mixcord_event::shape::Shape;
use mixcord_table::{FileWriter, Limits, Usage};

use crate::form::{Formed, document_at, head_of, is_shortened};
use crate::format::{TABLE_FILE, VERSION, VERSIONS, format_of_table};
use crate::packed::Packer;
use crate::shapes::{Book, SHAPES_MAX};
use crate::table::at;
use crate::{Arena, Key, OpenError, Read, StoreError, Table, Values, View, meta};

/// The store's table, open for changes.
///
/// A batch is always open: what is put is found by this writer at once, and by readers once the batch is
/// committed.
#[derive(Debug)]
pub struct Writer {
    pub(crate) table: FileWriter,
    bytes_max: u64,
    /// Which version of the store the table is of.
    version: u32,
    /// The shapes of its documents.
    book: Book,
    /// A value put in parts; kept for its memory.
    whole: Vec<u8>,
    /// Once something was to be compressed.
    pub(crate) packer: Option<Packer>,
}

/// What the table grows by, bytes: a large page, which the kernel makes without being interrupted.
const STEP_BYTES: u64 = 2 << 20;

impl Writer {
    /// Makes an empty table in `dir`, which may take up to `bytes_max` bytes. Who reads the one that is
    /// there goes on with it.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`]: nothing is left behind.
    pub fn create(dir: &Path, bytes_max: u64) -> Result<Self, StoreError> {
        let format = format_of_table(VERSION);
        let table = FileWriter::create(&dir.join(TABLE_FILE), format, limits(bytes_max))?;
        Ok(Self::over(table, bytes_max, VERSION))
    }

    /// Takes over the table in `dir`.
    ///
    /// # Errors
    /// [`OpenError::is_damage`] tells what is no table any more from what another try may cure.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Self, OpenError> {
        let mut found = Err(OpenError::Foreign { dir: dir.to_owned() });
        for version in VERSIONS.rev() {
            let format = format_of_table(version);
            match FileWriter::open(&dir.join(TABLE_FILE), format, limits(bytes_max)) {
                Err(mixcord_table::OpenError::OtherFormat { .. }) => {}
                opened => {
                    let opened = opened.map_err(|error| OpenError::of_table(dir, error));
                    found = opened.map(|table| Self::over(table, bytes_max, version));
                    break;
                }
            }
        }
        let mut writer = found?;
        writer.learn_shapes().map_err(|error| OpenError::of_store(dir, error))?;
        Ok(writer)
    }

    fn over(table: FileWriter, bytes_max: u64, version: u32) -> Self {
        Self { table, bytes_max, version, book: Book::new([]), whole: Vec::new(), packer: None }
    }

    fn stored_shapes(&self) -> Result<Book, StoreError> {
        let (arena, mut shapes, mut damaged) = (Arena::default(), Vec::new(), None);
        self.view(&arena).scan(meta::SHAPES, &mut |key, bytes| {
            match u16::try_from(key.id()).ok().zip(Shape::new(bytes)) {
                Some((number, shape)) if usize::from(number) < SHAPES_MAX => {
                    shapes.push((number, shape));
                }
                _ => damaged = Some(key),
            }
            damaged.is_none()
        })?;
        match damaged {
            Some(key) => Err(StoreError::Damaged { key }),
            None => Ok(Book::new(shapes)),
        }
    }

    /// Which version of the store it is: of an older one it stays until it is made anew, so that programs that
    /// know no newer one go on reading it (P11).
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The table's id: another one means that it was made anew.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.table.id()
    }

    /// The value under a key, copied into `arena`.
    ///
    /// # Errors
    /// The table's bytes cannot be.
    pub fn get<'a>(&self, key: Key, arena: &'a Arena) -> Result<Option<&'a [u8]>, StoreError> {
        Values::copy(self, key, arena)
    }

    /// The same, copied to the end of `into`; false where there is none.
    ///
    /// # Errors
    /// The table's bytes cannot be.
    pub fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        Values::append(self, key, into)
    }

    /// Everything, with what the open batch changed.
    #[must_use]
    pub fn view<'a>(&'a self, arena: &'a Arena) -> View<'a, Self> {
        View::new(self, arena)
    }

    /// Says that a key will be asked for some records later.
    pub fn expect(&self, key: Key) {
        self.table.expect(key.table().id(), at(key));
    }

    /// The same for the value under it, some records behind [`Writer::expect`]. Gives whether there seems to be one.
    pub fn expect_value(&self, key: Key) -> bool {
        self.table.expect_value(key.table().id(), at(key))
    }

    /// Puts the concatenation of `parts` under a key.
    ///
    /// # Errors
    /// Nothing is changed, but that the store may have a shape more.
    pub fn put(&mut self, key: Key, parts: &[&[u8]]) -> Result<(), StoreError> {
        match document_at(key.table()) {
            Some(head) if self.version >= SHAPES_SINCE => self.put_document(key, head, parts),
            _ => Ok(self.table.put(key.table().id(), at(key), parts)?),
        }
    }

    /// Puts a value as another table of this version has it, of the same shapes: [`Writer::learn_shapes`] comes before
    /// anything else is put.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn put_stored(&mut self, key: Key, value: &[u8]) -> Result<(), StoreError> {
        Ok(self.table.put(key.table().id(), at(key), &[value])?)
    }

    /// Goes by the shapes that are stored.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]: one of them is none.
    pub fn learn_shapes(&mut self) -> Result<(), StoreError> {
        self.book = self.stored_shapes()?;
        Ok(())
    }

    /// The same of what is or has a document, in the form that takes the least room.
    fn put_document(
        &mut self,
        key: Key,
        at_head: usize,
        parts: &[&[u8]],
    ) -> Result<(), StoreError> {
        let shortens = self.version >= SHORTENED_SINCE && is_shortened(key.table());
        let Self { table, book, whole, .. } = self;
        let value = match parts {
            [value] => *value,
            parts => {
                whole.clear();
                parts.iter().for_each(|part| whole.extend_from_slice(part));
                whole
            }
        };
        let (head, document) = value.split_at(at_head.min(value.len()));
        let Some(number) = book.take_apart(key.table(), document, at_head, shortens) else {
            return Ok(table.put(key.table().id(), at(key), &[value])?);
        };
        if let Some(shape) = book.missing(number) {
            table.put(Table::Meta.id(), at(meta::shape(number)), &[shape])?;
            book.stored(number);
        }
        let (form, len) = head_of(number, book.gain());
        let parts = [head, &form[..len], book.rest()];
        Ok(table.put(key.table().id(), at(key), &parts)?)
    }

    /// Deletes what is under a key, if anything is.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn delete(&mut self, key: Key) -> Result<(), StoreError> {
        Ok(self.table.delete(key.table().id(), at(key))?)
    }

    /// Keeps what was changed: [`Writer::take_back`] goes back to here.
    pub fn mark(&mut self) {
        self.book.mark();
        self.table.mark();
    }

    /// Takes back what was changed since the last mark.
    pub fn take_back(&mut self) {
        self.book.take_back();
        self.table.take_back();
    }

    /// Takes back the whole open batch.
    pub fn discard(&mut self) {
        self.book.discard();
        self.table.discard();
    }

    /// Bytes of the values that the open batch put.
    #[must_use]
    pub fn changed_bytes(&self) -> u64 {
        self.table.changed_bytes()
    }

    /// Keys that it changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.table.changes()
    }

    /// So many keys a batch may change, whatever they are.
    #[must_use]
    pub fn changes_max(&self) -> u64 {
        self.table.changes_max()
    }

    /// Makes the open batch the state, all at once. `output` is the output ring's id and the tail it is to
    /// reach.
    ///
    /// # Errors
    /// Nothing of it is; it stays open.
    pub fn commit(&mut self, output: (u64, u64)) -> Result<(), StoreError> {
        self.table.commit([output.0, output.1])?;
        self.book.committed();
        Ok(())
    }

    /// What the last commit was given.
    #[must_use]
    pub fn output(&self) -> (u64, u64) {
        let [ring, tail] = self.table.note();
        (ring, tail)
    }

    /// Whether there is so little room left that something should go.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        let Usage { used_bytes, buckets, allocated_bytes, free_bytes, .. } = self.table.usage();
        let used = used_bytes + buckets * BUCKET_BYTES;
        // A change of another size needs a chunk, however much is free between the values of those in use.
        let whole = self.bytes_max.saturating_sub(allocated_bytes) + free_bytes;
        used + self.bytes_max / SPARE >= self.bytes_max
            || whole <= (self.bytes_max / SPARE_WHOLE).max(SPARE_WHOLE_MIN)
    }

    /// How much it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.table.usage()
    }
}

/// The part of a table that is kept free: its own head and what cannot be used at the ends of places are in it.
const SPARE: u64 = 8;
const BUCKET_BYTES: u64 = 64;
/// The part of it that is kept free in whole chunks, and its least: what goes needs some itself, bytes.
const SPARE_WHOLE: u64 = 64;
const SPARE_WHOLE_MIN: u64 = 256 << 10;

/// The first version whose documents may lie by their shapes, and the first with short times and hashes in them.
const SHAPES_SINCE: u32 = 5;
const SHORTENED_SINCE: u32 = 6;

impl Values for Writer {
    #[inline]
    fn copy<'a>(&self, key: Key, arena: &'a Arena) -> Result<Option<&'a [u8]>, StoreError> {
        let value = self.table.get_in(key.table().id(), at(key), arena.memory())?;
        let Some(value) = value else { return Ok(None) };
        match Formed::of(key, value, &self.book)? {
            Some(formed) => formed.write_in(arena).map(Some),
            None => Ok(Some(value)),
        }
    }

    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        let begin = into.len();
        if !self.table.get(key.table().id(), at(key), into)? {
            return Ok(false);
        }
        Formed::unfold(key, into, begin, &self.book)?;
        Ok(true)
    }

    fn ids(
        &self,
        table: Table,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.table.ids(table.id(), owner, from, into)?)
    }

    fn owners(
        &self,
        table: Table,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.table.owners(table.id(), from, into)?)
    }
}

const fn limits(bytes_max: u64) -> Limits {
    Limits { bytes_max, step_bytes: STEP_BYTES }
}
