//! What a stage publishes: all that comes of one event at once, and with it how far its source is done.

use mixcord_event::record::{self, Head};
use mixcord_event::seal::{Seal, Sum};
use mixcord_event::{Flags, Header, Origin, Reason, Record, Shard};
use mixcord_ring::{Entry, Meta, Position, Producer, StageError};

use super::emit::{Added, Emit, Own};
use super::progress::Progress;

/// Longer than any head of a record.
const HEAD_BYTES_MAX: usize = 64 + 256;

/// The ring of a stage.
pub(super) struct Outlet {
    pub(super) producer: Producer,
}

/// A record to publish.
pub(super) enum Output<'a> {
    /// As it is.
    Same(&'a [u8], Seal),
    /// The event with other data.
    Changed { header: Header, name: Option<&'a str>, data: &'a [u8], old: Option<&'a [u8]> },
    /// Another event, whose place in the ring names it.
    Added { header: Header, added: &'a Added },
    /// Records of this shard were lost.
    Gap { shard: Shard, reason: Reason, received_us: u64 },
}

/// Why nothing was staged.
pub(super) enum Need {
    /// So many bytes.
    Room(usize),
    /// That the system lets a file be made, for a record is too long for the ring.
    File(String),
    /// A smaller answer: no ring of this size takes it.
    Less(String),
}

/// The record's place in its source, what orders it, and what it is told by.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) key: u64,
    pub(super) order: u64,
    pub(super) tag: u64,
}

impl Outlet {
    /// Stages all of them, or nothing.
    pub(super) fn stage(&mut self, outputs: &[Output<'_>], at: Place) -> Result<(), Need> {
        let geometry = self.producer.geometry();
        let lengths = || outputs.iter().map(Output::length_max);
        let inline_max = geometry.inline_bytes() as usize;
        let inline: usize =
            lengths().filter(|length| *length <= inline_max).map(|l| l.next_multiple_of(64)).sum();
        // With room for a hole, half the ring takes it whatever lies where.
        if outputs.len() > (geometry.slots / 2).max(1) as usize
            || outputs.len() > 1 && inline as u64 > geometry.payload_bytes / 2
        {
            let (count, slots, bytes) = (outputs.len(), geometry.slots, geometry.payload_bytes);
            return Err(Need::Less(format!(
                "what comes of it, {count} events of {inline} bytes, is more than half of the stage's ring of \
                 {slots} records and {bytes} bytes"
            )));
        }
        self.producer.has_space_for(lengths()).map_err(Need::Room)?;
        let ring = self.producer.id().0;
        for output in outputs {
            let position = self.producer.staged_tail();
            let origin = Origin { ring, position };
            output.stage(&mut self.producer, at, origin)?;
        }
        Ok(())
    }

    /// Whether one of them has to have a file of its own.
    pub(super) fn needs_files(&self, outputs: &[Output<'_>]) -> bool {
        let inline_max = self.producer.geometry().inline_bytes() as usize;
        outputs.iter().any(|output| output.length_max() > inline_max)
    }

    /// Publishes what is staged, and how far the source is done.
    pub(super) fn commit(&mut self, progress: Progress) {
        if let Err(error) = self.producer.set_checkpoint(&progress.to_bytes()) {
            tracing::error!("{error}");
        }
        self.producer.publish();
    }
}

impl<'a> Output<'a> {
    /// The record as it came.
    pub(super) const fn passed(entry: &Entry<'a>) -> Self {
        Self::Same(entry.payload, Seal::from_bits(entry.seal))
    }

    fn length_max(&self) -> usize {
        match self {
            Self::Same(bytes, _) => bytes.len(),
            Self::Changed { data, old, .. } => {
                HEAD_BYTES_MAX + data.len() + old.map_or(0, <[u8]>::len)
            }
            Self::Added { added, .. } => {
                let old = added.old.as_ref().map_or(0, |old| old.as_bytes().len());
                HEAD_BYTES_MAX + added.data.as_bytes().len() + old
            }
            Self::Gap { .. } => 2 * HEAD_BYTES_MAX,
        }
    }

    fn stage(&self, producer: &mut Producer, at: Place, origin: Origin) -> Result<(), Need> {
        let Place { position, key, order, tag } = at;
        let meta = Meta { key, tag, source: position, order };
        let staged = match self {
            Self::Same(bytes, seal) => producer.stage_sealed(&meta, seal.bits(), &[bytes]),
            Self::Changed { header, name, data, old } => {
                let head = record::head(header, *name, data.len(), old.map(<[u8]>::len));
                stage(producer, &meta, head.as_ref(), data, *old)
            }
            Self::Added { header, added } => {
                let header = Header { origin, ..*header };
                let (data, old) = (added.data.as_bytes(), added.old.as_ref());
                let old = old.map(mixcord_event::Document::as_bytes);
                let head: Head =
                    record::head(&header, Some(&added.name), data.len(), old.map(<[u8]>::len));
                // The finer key is the event's, where the key is.
                let order = if header.key == key { order } else { 0 };
                let tag = header.kind.number().into();
                let meta = Meta { key: header.key, tag, source: position, order };
                stage(producer, &meta, head.as_ref(), data, old)
            }
            Self::Gap { shard, reason, received_us } => {
                let mut bytes = Vec::new();
                record::gap(*shard, *reason, origin, 0, *received_us, &mut bytes);
                let tag = mixcord_event::Kind::GAP.number().into();
                let meta = Meta { key: 0, tag, source: position, order: 0 };
                producer.stage_sealed(&meta, Seal::of(&bytes).bits(), &[&bytes])
            }
        };
        match staged {
            Ok(_) => Ok(()),
            Err(StageError::Full) => Err(Need::Room(self.length_max())),
            Err(error @ StageError::TooLarge { .. }) => Err(Need::Less(error.to_string())),
            Err(error) => Err(Need::File(error.to_string())),
        }
    }
}

/// Stages a record of documents that the program gave: checked here, once for all who read it.
fn stage(
    producer: &mut Producer,
    meta: &Meta,
    head: &[u8],
    data: &[u8],
    old: Option<&[u8]>,
) -> Result<Position, StageError> {
    let sums = Sum::checked(data).zip(old.map_or_else(|| Some(Sum::of(&[])), Sum::checked));
    let seal = sums.map_or(Seal::NONE, |(data, old)| Seal::of_parts(head, data, old));
    producer.stage_sealed(meta, seal.bits(), &[head, data, old.unwrap_or_default()])
}

/// What comes of an event: itself, in whatever way, and what follows it.
pub(super) fn outputs<'a>(
    emit: &'a Emit,
    record: &Record<'a>,
    entry: &Entry<'a>,
) -> Vec<Output<'a>> {
    let header = *record.header();
    let own = match &emit.own {
        Own::Passed => Some(Output::passed(entry)),
        Own::Dropped => None,
        Own::Changed(data, old) => {
            let old = match old {
                None => record.old_bytes(),
                Some(old) => old.as_ref().map(mixcord_event::Document::as_bytes),
            };
            let name = Some(record.kind_name());
            Some(Output::Changed { header, name, data: data.as_bytes(), old })
        }
    };
    let added = emit.added.iter().map(|added| Output::Added {
        header: Header {
            kind: added.kind,
            flags: Flags::NONE,
            reason: Reason::None,
            index: 0,
            key: added.key.unwrap_or(header.key),
            ..header
        },
        added,
    });
    own.into_iter().chain(added).collect()
}
