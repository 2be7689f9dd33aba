//! Records read where they are, without copying them out first.

use std::fmt;

use crate::Position;
use crate::core::Core;
use crate::core::descriptor::Descriptor;
use crate::core::errors::TakeError;
use crate::core::reader;

/// Records of one partition, left in the ring, and the hold on that partition; from
/// [`Member::lease`](crate::Member::lease).
///
/// While it lives nothing in it is overwritten: the group has not acknowledged it. Dropped without
/// [`ack`](Self::ack), what was not acknowledged is given again.
///
/// For those who need no slice of the payload: who look at a few bytes, at none (key and tag decide), or
/// copy to a place of their own. Everybody else takes a [`Batch`](crate::Batch).
///
/// ```
/// # use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Start};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let namespace = Namespace::new(&format!("ring-lease-{}", std::process::id()))?;
/// # let bell = namespace.bell()?;
/// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
/// # let group = GroupSpec::durable("workers").from(Start::Earliest);
/// # let mut producer = Producer::create(&namespace, "r", geometry, &[group.clone()], &bell)?;
/// # let mut member = producer.ring().join(&group, &bell)?;
/// # for tag in 0..4 { producer.stage(&Meta { tag, ..Meta::default() }, &[b"text"])?; }
/// # producer.publish();
/// let mut wanted = Vec::new();
/// if let Some(lease) = member.lease(Limits::default())? {
///     for view in lease.records().filter(|view| view.tag() == 3) {
///         view.copy_to(&mut wanted)?;
///     }
///     lease.ack();
/// }
/// assert_eq!(wanted, b"text");
/// # drop((member, producer, bell));
/// # namespace.remove_all()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lease<'a> {
    inner: reader::Lease<'a>,
}

impl<'a> Lease<'a> {
    pub(crate) const fn new(inner: reader::Lease<'a>) -> Self {
        Self { inner }
    }

    /// The partition held.
    pub const fn partition(&self) -> u16 {
        self.inner.hold.partition
    }

    /// Number of records that are not acknowledged.
    pub const fn len(&self) -> usize {
        self.inner.entries.len()
    }

    /// Whether all records are acknowledged.
    pub const fn is_empty(&self) -> bool {
        self.inner.entries.is_empty()
    }

    /// The records that are not acknowledged, in order.
    #[inline]
    pub fn records(&self) -> impl ExactSizeIterator<Item = View<'_>> + '_ {
        let core = &*self.inner.hold.seat.core;
        self.inner.entries.iter().map(move |entry| View { core, entry })
    }

    /// Records up to and with `position` are done, and no longer part of this; the rest stays held.
    pub fn ack_through(&mut self, position: Position) {
        // What is acknowledged may be overwritten at once: nobody may look at it again.
        let done = self.inner.entries.partition_point(|entry| entry.position <= position);
        self.inner.entries = &self.inner.entries[done..];
        self.inner.hold.acknowledge_through(position);
    }

    /// All records are done; lets go of the partition.
    pub fn ack(self) {
        self.inner.hold.advance(self.inner.hold.next);
    }
}

/// One record of a [`Lease`], in the ring.
#[derive(Clone, Copy)]
pub struct View<'a> {
    core: &'a Core,
    entry: &'a Descriptor,
}

impl<'a> View<'a> {
    /// Its number.
    pub const fn position(&self) -> Position {
        self.entry.position
    }

    /// Its partition key.
    pub const fn key(&self) -> u64 {
        self.entry.key
    }

    /// As its producer gave it.
    pub const fn tag(&self) -> u64 {
        self.entry.tag
    }

    /// As its producer gave it.
    pub const fn source(&self) -> u64 {
        self.entry.source
    }

    /// Its finer key, 0 where that is its key.
    pub const fn order(&self) -> u64 {
        self.entry.order
    }

    /// Bytes of its payload.
    pub const fn len(&self) -> usize {
        self.entry.length as usize
    }

    /// Whether its payload has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.entry.length == 0
    }

    /// Its payload where it lies; `None` when that is a file of its own.
    #[inline]
    pub fn in_place(&self) -> Option<InPlace<'a>> {
        (!self.entry.is_blob()).then(|| InPlace {
            core: self.core,
            at: self.core.layout.payload_at(self.entry.offset),
            len: self.entry.length as usize,
        })
    }

    /// Appends its payload to `into`, wherever it lies.
    ///
    /// # Errors
    /// The file of an out-of-line record could not be read; of one that is gone the error's kind is `NotFound`.
    /// `into` is as it was.
    pub fn copy_to(&self, into: &mut Vec<u8>) -> Result<(), TakeError> {
        let blob = |error| TakeError::Blob { position: self.entry.position, error };
        if !self.entry.is_there(self.core).map_err(blob)? {
            return Err(blob(std::io::ErrorKind::NotFound.into()));
        }
        let old = into.len();
        into.resize(old + self.len(), 0);
        self.entry.copy(self.core, &mut into[old..]).map_err(|error| {
            into.truncate(old);
            blob(error)
        })
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

/// A payload in shared memory.
///
/// Each look is a load of its own, never a reference: a producer gone wrong can change what a second
/// look finds, and can do no other harm. What must be parsed should be copied first.
#[derive(Clone, Copy)]
pub struct InPlace<'a> {
    core: &'a Core,
    at: usize,
    len: usize,
}

impl InPlace<'_> {
    /// Bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The byte at `index`; `None` beyond the end.
    #[inline]
    pub fn byte(&self, index: usize) -> Option<u8> {
        (index < self.len).then(|| self.core.memory.byte(self.at + index))
    }

    /// Copies from `offset` on until `into` is full; false, and nothing copied, when there are not so
    /// many bytes.
    #[inline]
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> bool {
        let there = offset <= self.len && into.len() <= self.len - offset;
        if there {
            self.core.memory.read(self.at + offset, into);
        }
        there
    }
}

impl fmt::Debug for InPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPlace").field("len", &self.len).finish_non_exhaustive()
    }
}
