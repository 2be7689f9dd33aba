//! One record: annotated, and its outputs staged.

use mixcord_event::{Flags, Header, Kind, Origin, Reason, Record, record};
use mixcord_ring::{Entry, Meta, Position, Producer, StageError};
use mixcord_state::{Read, StoreError};

use super::gap::Gap;
use super::limits::CHANGES_BYTES_MAX;
use crate::annotate::{Output, Outputs, Slice, annotate};
use crate::settings::Settings;
use crate::store::{Changes, Overlay};

/// A record's header with the longest name.
const HEAD_BYTES_MAX: usize = 64 + 256;

/// What became of one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    Staged,
    /// Staged up to this index; the rest comes with another batch.
    Part(u16),
    /// It was not begun.
    Full(usize),
    /// It was begun and does not fit.
    Torn(usize),
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Shard count and shard.
    pub(super) shard: (u16, u16),
    pub(super) ring: u64,
    pub(super) position: Position,
}

/// What one record needs.
pub(super) struct Work<'a> {
    pub(super) out: &'a mut Producer,
    pub(super) settings: &'a Settings,
    pub(super) changes: &'a mut Changes,
    pub(super) outputs: &'a mut Outputs,
    /// Whether changes are kept from one record to the next.
    pub(super) keeps: bool,
}

impl Work<'_> {
    /// Outputs before `from` are delivered.
    pub(super) fn record(
        &mut self,
        base: &dyn Read,
        at: Place,
        entry: Entry<'_>,
        from: u16,
    ) -> Result<Done, StoreError> {
        let input = match Record::parse(entry.payload) {
            Ok(input) => input,
            Err(error) => {
                let (shard, position, seq) = (at.shard.1, at.position, entry.source);
                tracing::error!(shard, position, seq, "unreadable record: {error}");
                return Ok(self.tell(at, 0, Reason::Undecodable));
            }
        };
        self.changes.begin_record();
        let geometry = self.out.geometry();
        let slice = Slice {
            from,
            records: (geometry.slots as usize / 2).min(usize::from(u16::MAX / 2)),
            // With one guild too many, the record itself and a hole, each a quarter at most, it fits.
            bytes: geometry.payload_bytes as usize / 8,
            changes: CHANGES_BYTES_MAX,
        };
        let mut overlay = Overlay::new(base, self.changes);
        let all = annotate(&mut overlay, self.settings, &input, slice, self.outputs)?;
        let done = match self.room(input.data_bytes()) {
            None => self.stage(&input, at, slice.from),
            Some(bytes) => Done::Full(bytes),
        };
        Ok(match done {
            Done::Staged => {
                if !self.keeps {
                    self.changes.take_back();
                }
                let next = slice.from.saturating_add(self.outputs.items().len() as u16);
                if all { Done::Staged } else { Done::Part(next) }
            }
            other => {
                self.changes.take_back_record();
                other
            }
        })
    }

    /// The bytes that are missing for the outputs, if any are.
    fn room(&mut self, payload: &[u8]) -> Option<usize> {
        let items = self.outputs.items();
        let inline_max = self.out.geometry().inline_bytes() as usize;
        let sizes = items.iter().map(|output| {
            let data = output.data.bytes(payload).len();
            let old = output.old.as_ref().map_or(0, Vec::len);
            HEAD_BYTES_MAX + data + old
        });
        let (mut total, mut largest) = (0, 0);
        for size in sizes.filter(|&size| size <= inline_max) {
            total += size.next_multiple_of(64);
            largest = largest.max(size);
        }
        let count = items.len();
        let fits = if count == 1 {
            self.out.has_space(largest)
        } else {
            // What does not lie in one piece leaves a hole of less than the largest behind.
            self.out.free_records() >= count as u64
                && self.out.free_payload() >= (total + largest.next_multiple_of(64)) as u64
        };
        (!fits).then_some(total.min(inline_max))
    }

    fn stage(&mut self, input: &Record<'_>, at: Place, from: u16) -> Done {
        for place in 0..self.outputs.items().len() {
            let index = from.saturating_add(u16::try_from(place).unwrap_or(u16::MAX));
            let output = &self.outputs.items()[place];
            let staged = match stage_one(self.out, input, output, at, index, output.old.as_deref())
            {
                Err(error @ (StageError::TooLarge { .. } | StageError::Io(_))) => {
                    tracing::error!(
                        shard = at.shard.1,
                        position = at.position,
                        kind = input.kind_name(),
                        "cannot write into the output ring: {error}: leaving out what came before"
                    );
                    stage_one(self.out, input, output, at, index, None)
                }
                staged => staged,
            };
            match staged {
                Ok(()) => continue,
                Err(StageError::Full) => {}
                Err(error) => {
                    tracing::error!("nor without it: {error}: the event is lost");
                    if self.tell(at, index, Reason::Undeliverable) == Done::Staged {
                        continue;
                    }
                }
            }
            let bytes = input.data_bytes().len();
            return if place == 0 { Done::Full(bytes) } else { Done::Torn(bytes) };
        }
        Done::Staged
    }

    /// Tells the loss of a record, or of one of its outputs, in its place.
    fn tell(&mut self, at: Place, index: u16, reason: Reason) -> Done {
        let mut bytes = Vec::new();
        let origin = Origin { ring: at.ring, position: at.position };
        Gap { shard: at.shard, reason }.encode(origin, index, &mut bytes);
        match stage_gap(self.out, at.position, &bytes) {
            Ok(()) => Done::Staged,
            // A record so short lies in the ring: nothing but room is ever missing.
            Err(_) => Done::Full(bytes.len()),
        }
    }
}

/// Stages a gap.
pub(super) fn stage_gap(
    out: &mut Producer,
    source: Position,
    bytes: &[u8],
) -> Result<(), StageError> {
    let meta = Meta { key: 0, tag: u64::from(Kind::GAP.number()), source };
    out.stage(&meta, &[bytes]).map(drop)
}

/// Stages an output with this `old`; if it has another one, the record says so.
fn stage_one(
    out: &mut Producer,
    input: &Record<'_>,
    output: &Output,
    at: Place,
    index: u16,
    old: Option<&[u8]>,
) -> Result<(), StageError> {
    let cut = old.is_none() && output.old.is_some();
    let header = Header {
        kind: output.kind,
        flags: output.flags | if cut { Flags::WITHOUT_OLD } else { Flags::NONE },
        reason: output.reason,
        index,
        key: output.key,
        origin: Origin { ring: at.ring, position: at.position },
        ..*input.header()
    };
    let data = output.data.bytes(input.data_bytes());
    let name = (output.kind == input.kind()).then(|| input.kind_name());
    let head = record::head(&header, name, data.len(), old.map(<[u8]>::len));
    let meta = Meta { key: output.key, tag: u64::from(output.kind.number()), source: at.position };
    out.stage(&meta, &[head.as_ref(), data, old.unwrap_or_default()]).map(drop)
}
