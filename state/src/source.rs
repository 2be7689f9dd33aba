//! The store's table with what is known of the forms of its values: what every answer is made of.

use mixcord_event::shape::Shape;
use mixcord_table::{Batches, Reader};

use crate::form::{Formed, Shapes};
use crate::shapes::Met;
use crate::table::at;
use crate::{Arena, Key, StoreError, Table, Values};

/// The table, read from any process.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) reader: Reader,
    met: Met,
}

impl Source {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader, met: Met::default() }
    }

    pub(crate) fn batches(&self) -> Batches {
        self.reader.batches()
    }

    /// A value that was read, as it was put.
    pub(crate) fn plain(&self, key: Key, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let Some(formed) = Formed::of(key, &value, self)? else { return Ok(value) };
        let mut plain = Vec::new();
        formed.append(&mut plain)?;
        Ok(plain)
    }
}

impl Shapes for Source {
    fn shape(&self, number: u16) -> Result<&Shape, StoreError> {
        self.met.shape(number, &self.reader)
    }
}

impl Values for Source {
    fn copy<'a>(&self, key: Key, arena: &'a Arena) -> Result<Option<&'a [u8]>, StoreError> {
        let mut value = arena.read.borrow_mut();
        value.clear();
        if !self.reader.get(key.table().id(), at(key), &mut value)? {
            return Ok(None);
        }
        match Formed::of(key, &value, self)? {
            Some(formed) => formed.write_in(arena).map(Some),
            None => Ok(Some(arena.copy(&value))),
        }
    }

    fn append(&self, key: Key, into: &mut Vec<u8>) -> Result<bool, StoreError> {
        let begin = into.len();
        if !self.reader.get(key.table().id(), at(key), into)? {
            return Ok(false);
        }
        Formed::unfold(key, into, begin, self)?;
        Ok(true)
    }

    fn ids(
        &self,
        table: Table,
        owner: u64,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.reader.ids(table.id(), owner, from, into)?)
    }

    fn owners(
        &self,
        table: Table,
        from: u64,
        into: &mut Vec<u64>,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.reader.owners(table.id(), from, into)?)
    }
}
