//! The shapes of a store: in its table under their numbers ([`meta::shape`]), in its writer and its readers as far
//! as they met them. A number stands for one shape as long as the table lives.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use mixcord_event::shape::{Apart, Shape};
use mixcord_table::Reader;

use crate::form::{Shapes, head_of};
use crate::settle::settle;
use crate::table::at;
use crate::{StoreError, Table, meta};

/// Shapes of a store at most. Documents of others lie in it as they are.
pub(crate) const SHAPES_MAX: usize = 4096;

/// Until there are so many, documents that take no less by their shape have one, too, by which the next of them are
/// known at a glance.
const USELESS_MAX: usize = SHAPES_MAX / 4;

/// What a reader met.
#[derive(Debug)]
pub(crate) struct Met {
    /// Most stores have few: they are in the first parts.
    parts: [OnceLock<Box<[OnceLock<Shape>; PART]>>; SHAPES_MAX / PART],
}

const PART: usize = 64;

impl Default for Met {
    fn default() -> Self {
        Self { parts: [const { OnceLock::new() }; SHAPES_MAX / PART] }
    }
}

impl Met {
    /// A shape, which `reader` reads where nobody asked for it before.
    pub(crate) fn shape(&self, number: u16, reader: &Reader) -> Result<&Shape, StoreError> {
        let damaged = || StoreError::Damaged { key: meta::shape(number) };
        let part = self.parts.get(usize::from(number) / PART).ok_or_else(damaged)?;
        let part = part.get_or_init(|| Box::new([const { OnceLock::new() }; PART]));
        let place = &part[usize::from(number) % PART];
        if let Some(shape) = place.get() {
            return Ok(shape);
        }
        let shape = read(number, reader)?.ok_or_else(damaged)?;
        Ok(place.get_or_init(|| shape))
    }
}

/// A shape of a value that was seen: both are of one batch, which may be on its way. `None` where there is none.
fn read(number: u16, reader: &Reader) -> Result<Option<Shape>, StoreError> {
    let mut bytes = Vec::new();
    let mut is_there = || reader.get(Table::Meta.id(), at(meta::shape(number)), &mut bytes);
    if !is_there()? {
        let known = reader.batches().committed;
        settle(reader);
        // Before the look: what is missing then will not come.
        let is_stored = reader.batches().applied >= known;
        if !is_there()? {
            return if is_stored { Ok(None) } else { Err(StoreError::Unsettled) };
        }
    }
    Ok(Shape::new(&bytes))
}

/// The shapes of a writer, which gives the numbers.
#[derive(Debug)]
pub(crate) struct Book {
    /// By number. `None` of one that was given, and never committed.
    shapes: Vec<Option<Shape>>,
    numbers: HashTable<u16>,
    hasher: RandomState,
    /// Hashes of shapes that were seen: one gets a number when it is seen again.
    seen: Box<[u64]>,
    /// Whether the table, with its open batch, has the shape; by number.
    stored: Vec<bool>,
    /// Those that it has since the last mark, and since the last commit.
    since_mark: Vec<u16>,
    since_commit: Vec<u16>,
    apart: Apart,
    /// By table: the shapes that were met last there, the last one first.
    latest: Box<[[u16; LATEST]; Table::ALL.len()]>,
}

/// Shapes that are tried before a document's own is looked for.
const LATEST: usize = 3;
/// No number of a shape.
const NO_SHAPE: u16 = u16::MAX;

/// Hashes of shapes that are remembered.
const SEEN: usize = 4096;

impl Book {
    /// What the table has: shapes by number.
    pub(crate) fn new(stored: impl IntoIterator<Item = (u16, Shape)>) -> Self {
        let mut book = Self {
            shapes: Vec::new(),
            numbers: HashTable::new(),
            hasher: RandomState::default(),
            seen: vec![0; SEEN].into(),
            stored: Vec::new(),
            since_mark: Vec::new(),
            since_commit: Vec::new(),
            apart: Apart::default(),
            latest: Box::new([[NO_SHAPE; LATEST]; Table::ALL.len()]),
        };
        for (number, shape) in stored {
            book.add(number, shape);
            book.stored[usize::from(number)] = true;
        }
        book
    }

    /// Takes a document of a table apart where that takes less room, `head` bytes being before it: the number of its
    /// shape. Where `shortens` is said, times and hashes are made short.
    #[inline]
    pub(crate) fn take_apart(
        &mut self,
        table: Table,
        document: &[u8],
        head: usize,
        shortens: bool,
    ) -> Option<u16> {
        let Self { apart, shapes, latest, .. } = self;
        apart.shorten(shortens);
        let latest = &mut latest[table.index()];
        for place in 0..LATEST {
            let number = latest[place];
            let shape = shapes.get(usize::from(number)).and_then(Option::as_ref);
            if shape.is_some_and(|shape| apart.split_as(document, shape)) {
                latest.copy_within(..place, 1);
                latest[0] = number;
                return self.is_less(document, head).then_some(number);
            }
        }
        if !apart.split(document) {
            return None;
        }
        let is_less = self.is_less(document, head);
        let number = self.number(if is_less { SHAPES_MAX } else { USELESS_MAX })?;
        let latest = &mut self.latest[table.index()];
        latest.copy_within(..LATEST - 1, 1);
        latest[0] = number;
        is_less.then_some(number)
    }

    /// Whether a document takes less by its shape.
    fn is_less(&self, document: &[u8], head: usize) -> bool {
        let form = head_of(0, self.gain()).1;
        units(head + form + self.rest().len()) < units(head + document.len())
    }

    /// The rest of the document that was taken apart last.
    pub(crate) fn rest(&self) -> &[u8] {
        self.apart.rest()
    }

    /// The bytes by which it is shorter than what it was made of.
    pub(crate) const fn gain(&self) -> u8 {
        self.apart.gain()
    }

    /// The number of the shape at hand, if it is one of many; a new one where `shapes_max` are not given yet.
    fn number(&mut self, shapes_max: usize) -> Option<u16> {
        let shape = self.apart.shape();
        let hash = self.hasher.hash_one(shape);
        let is_it = |number: &u16| {
            let known = self.shapes[usize::from(*number)].as_ref();
            known.is_some_and(|known| known.as_bytes() == shape)
        };
        if let Some(number) = self.numbers.find(hash, is_it) {
            return Some(*number);
        }
        let seen = &mut self.seen[hash as usize % SEEN];
        if std::mem::replace(seen, hash) != hash || self.shapes.len() >= shapes_max {
            return None;
        }
        let number = u16::try_from(self.shapes.len()).ok()?;
        self.add(number, Shape::new(shape)?);
        Some(number)
    }

    fn add(&mut self, number: u16, shape: Shape) {
        let len = self.shapes.len().max(usize::from(number) + 1);
        self.shapes.resize(len, None);
        self.stored.resize(len, false);
        let hash = self.hasher.hash_one(shape.as_bytes());
        self.shapes[usize::from(number)] = Some(shape);
        let hash_of = |number: &u16| {
            let shape = self.shapes[usize::from(*number)].as_ref();
            self.hasher.hash_one(shape.map_or(&[][..], Shape::as_bytes))
        };
        self.numbers.insert_unique(hash, number, hash_of);
    }

    /// The bytes of a shape that the table has to be given first.
    pub(crate) fn missing(&self, number: u16) -> Option<&[u8]> {
        let number = usize::from(number);
        let missing = self.shapes.get(number).filter(|_| !self.stored[number])?;
        missing.as_ref().map(Shape::as_bytes)
    }

    /// The table was given it.
    pub(crate) fn stored(&mut self, number: u16) {
        self.stored[usize::from(number)] = true;
        self.since_mark.push(number);
    }

    /// What the table was given until now stays, unless the batch goes.
    pub(crate) fn mark(&mut self) {
        self.since_commit.append(&mut self.since_mark);
    }

    /// What the table was given since the mark it does not have any more.
    pub(crate) fn take_back(&mut self) {
        for number in self.since_mark.drain(..) {
            self.stored[usize::from(number)] = false;
        }
    }

    /// The same of the whole batch.
    pub(crate) fn discard(&mut self) {
        self.mark();
        std::mem::swap(&mut self.since_mark, &mut self.since_commit);
        self.take_back();
    }

    pub(crate) fn committed(&mut self) {
        self.since_mark.clear();
        self.since_commit.clear();
    }
}

impl Shapes for Book {
    #[inline]
    fn shape(&self, number: u16) -> Result<&Shape, StoreError> {
        let known = self.shapes.get(usize::from(number)).and_then(Option::as_ref);
        known.ok_or_else(|| StoreError::Damaged { key: meta::shape(number) })
    }
}

/// What a value of the table takes, in units.
pub(crate) const fn units(len: usize) -> usize {
    (mixcord_table::VALUE_HEAD_BYTES + len).div_ceil(mixcord_table::UNIT_BYTES)
}
