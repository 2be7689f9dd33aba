//! One record: annotated, and its outputs staged.

use mixcord_event::{Flags, Header, Kind, Origin, Reason, Record, RecordError, record};
use mixcord_ring::{Entry, Meta, Position, Producer, StageError};
use mixcord_state::StoreError;

use super::gap::Gap;
use super::tally::Tally;
use crate::annotate::{Output, Outputs, Slice, annotate};
use crate::settings::Settings;
use crate::store::{BATCH_BYTES_MAX, MemoryStore, Noted, Notes, OpenBatch, Store};

/// A record's header with the longest name.
const HEAD_BYTES_MAX: usize = 64 + 256;

/// What became of one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    Staged,
    /// Staged up to this index; the rest comes with another batch.
    Part(u16),
    /// It was not begun.
    Waits(Need),
    /// It was begun and cannot be ended.
    Torn(Need),
    /// A newer gateway wrote it: it is whole, and cannot be read here.
    Newer(RecordError),
}

/// What a record waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// So many bytes in the output ring.
    Bytes(usize),
    /// That the system lets its file be made, for it is too long for the ring.
    File,
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
    pub(super) ground: Ground<'a>,
    pub(super) notes: &'a mut Notes,
    pub(super) outputs: &'a mut Outputs,
    /// The longest output there may be, in bytes.
    pub(super) output_bytes_max: u64,
    /// Why the system refused a file, if it did.
    pub(super) refusal: &'a mut String,
    pub(super) tally: &'a mut Tally,
}

/// Where records put what they change.
pub(super) enum Ground<'a> {
    /// The store's open batch.
    Store(OpenBatch<'a>),
    /// Nothing that stays: each record finds it empty.
    Nothing(MemoryStore),
}

impl Ground<'_> {
    fn store(&mut self) -> &mut dyn Store {
        match self {
            Self::Store(batch) => batch,
            Self::Nothing(memory) => memory,
        }
    }

    fn begin_record(&mut self) {
        match self {
            Self::Store(batch) => batch.begin_record(),
            Self::Nothing(memory) => memory.clear(),
        }
    }

    fn take_back_record(&mut self) {
        match self {
            Self::Store(batch) => batch.take_back_record(),
            Self::Nothing(memory) => memory.clear(),
        }
    }

    /// Whether the store took everything.
    fn check(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Store(batch) => batch.check(),
            Self::Nothing(_) => Ok(()),
        }
    }

    /// About the memory that the batch's changes take.
    pub(super) fn changed_bytes(&self) -> usize {
        match self {
            Self::Store(batch) => batch.changed_bytes(),
            Self::Nothing(_) => 0,
        }
    }
}

impl Work<'_> {
    /// Outputs before `from` are delivered.
    pub(super) fn record(
        &mut self,
        at: Place,
        entry: Entry<'_>,
        from: u16,
    ) -> Result<Done, StoreError> {
        if entry.lost {
            let (shard, position, seq) = (at.shard.1, at.position, entry.source);
            tracing::error!(shard, position, seq, "the file of a large record is gone: it is lost");
            return Ok(self.tell(at, 0, Reason::RecordsLost));
        }
        let input = match Record::parse(entry.payload) {
            Ok(input) => input,
            Err(error) if error.is_of_another_release() => return Ok(Done::Newer(error)),
            Err(error) => {
                let (shard, position, seq) = (at.shard.1, at.position, entry.source);
                tracing::error!(shard, position, seq, "unreadable record: {error}");
                return Ok(self.tell(at, 0, Reason::Undecodable));
            }
        };
        self.ground.begin_record();
        self.notes.begin_record();
        let geometry = self.out.geometry();
        let slice = Slice {
            from,
            records: (geometry.slots as usize / 2).min(usize::from(u16::MAX / 2)),
            // With one guild too many, the record itself and a hole, each a quarter at most, it fits.
            bytes: geometry.payload_bytes as usize / 8,
            changes: BATCH_BYTES_MAX,
        };
        let mut store = Noted::new(self.ground.store(), self.notes);
        let annotated = annotate(&mut store, self.settings, &input, slice, self.outputs);
        let all = self.ground.check().and(annotated)?;
        let done = match self.room(input.data_bytes()) {
            None => self.stage(&input, at, slice.from),
            Some(bytes) => Done::Waits(Need::Bytes(bytes)),
        };
        Ok(match done {
            Done::Staged => {
                if matches!(self.ground, Ground::Nothing(_)) {
                    self.notes.take_back();
                }
                let next = slice.from.saturating_add(self.outputs.items().len() as u16);
                if all { Done::Staged } else { Done::Part(next) }
            }
            other => {
                self.ground.take_back_record();
                self.notes.take_back_record();
                other
            }
        })
    }

    /// The bytes that are missing for the outputs, if any are.
    fn room(&mut self, payload: &[u8]) -> Option<usize> {
        let lengths = self.outputs.items().iter().map(|output| {
            let data = output.data.bytes(payload).len();
            let old = output.old.as_ref().map_or(0, Vec::len);
            HEAD_BYTES_MAX + data + old
        });
        self.out.has_space_for(lengths).err()
    }

    fn stage(&mut self, input: &Record<'_>, at: Place, from: u16) -> Done {
        for place in 0..self.outputs.items().len() {
            let index = from.saturating_add(u16::try_from(place).unwrap_or(u16::MAX));
            let need = match self.stage_output(input, at, place, index) {
                Ok(()) => continue,
                Err(StageError::Full) => Need::Bytes(input.data_bytes().len()),
                Err(error @ StageError::TooLarge { .. }) => {
                    tracing::error!("nor without it: {error}: the event is lost");
                    match self.tell(at, index, Reason::Undeliverable) {
                        Done::Waits(need) => need,
                        _ => continue,
                    }
                }
                Err(error) => {
                    *self.refusal = format!("an output that is too long for the ring: {error}");
                    Need::File
                }
            };
            return if place == 0 { Done::Waits(need) } else { Done::Torn(need) };
        }
        Done::Staged
    }

    /// Stages an output; without `old` if it is too large with it.
    fn stage_output(
        &mut self,
        input: &Record<'_>,
        at: Place,
        place: usize,
        index: u16,
    ) -> Result<(), StageError> {
        let output = &self.outputs.items()[place];
        let limit = self.output_bytes_max;
        let staged =
            match stage_one(self.out, input, output, (at, index), output.old.as_deref(), limit) {
                Err(error @ StageError::TooLarge { .. }) => {
                    tracing::error!(
                        shard = at.shard.1,
                        position = at.position,
                        kind = input.kind_name(),
                        "cannot write into the output ring: {error}: leaving out what came before"
                    );
                    stage_one(self.out, input, output, (at, index), None, limit)
                }
                staged => staged,
            };
        staged.map(|()| self.tally.event(output.kind))
    }

    /// Tells the loss of a record, or of one of its outputs, in its place.
    pub(super) fn tell(&mut self, at: Place, index: u16, reason: Reason) -> Done {
        let mut bytes = Vec::new();
        let origin = Origin { ring: at.ring, position: at.position };
        Gap { shard: at.shard, reason }.encode(origin, index, &mut bytes);
        match stage_gap(self.out, at.position, &bytes) {
            Ok(()) => {
                self.tally.gap(reason);
                Done::Staged
            }
            // A record so short lies in the ring: nothing but room is ever missing.
            Err(_) => Done::Waits(Need::Bytes(bytes.len())),
        }
    }
}

/// Stages a gap.
pub(super) fn stage_gap(
    out: &mut Producer,
    source: Position,
    bytes: &[u8],
) -> Result<(), StageError> {
    let meta = Meta { key: 0, tag: u64::from(Kind::GAP.number()), source, ..Meta::default() };
    out.stage(&meta, &[bytes]).map(drop)
}

/// Stages an output with this `old`; if it has another one, the record says so.
fn stage_one(
    out: &mut Producer,
    input: &Record<'_>,
    output: &Output,
    (at, index): (Place, u16),
    old: Option<&[u8]>,
    bytes_max: u64,
) -> Result<(), StageError> {
    let cut = old.is_none() && output.old.is_some();
    // A record that came from another machine says where it was first: it is the same event on each.
    let origin = match input.header().origin {
        Origin { ring: 0, .. } => Origin { ring: at.ring, position: at.position },
        origin => origin,
    };
    let header = Header {
        kind: output.kind,
        flags: output.flags | if cut { Flags::WITHOUT_OLD } else { Flags::NONE },
        reason: output.reason,
        index,
        key: output.key,
        origin,
        ..*input.header()
    };
    let data = output.data.bytes(input.data_bytes());
    let name = (output.kind == input.kind()).then(|| input.kind_name());
    let head = record::head(&header, name, data.len(), old.map(<[u8]>::len));
    let bytes = (head.as_ref().len() + data.len() + old.map_or(0, <[u8]>::len)) as u64;
    if bytes > bytes_max {
        return Err(StageError::TooLarge { bytes, limit: bytes_max });
    }
    let meta = Meta {
        key: output.key,
        tag: u64::from(output.kind.number()),
        source: at.position,
        ..Meta::default()
    };
    out.stage(&meta, &[head.as_ref(), data, old.unwrap_or_default()]).map(drop)
}

#[cfg(test)]
mod tests {
    use mixcord_event::{Document, Shard, topology};
    use mixcord_ring::{Geometry, GroupSpec, Limits, Namespace, Start};

    use super::*;

    /// A ring of a test's own; removed with it.
    struct Rings(Namespace);

    impl Drop for Rings {
        fn drop(&mut self) {
            let _ = self.0.remove_all();
        }
    }

    fn record_of(kind: Kind, json: &str) -> Vec<u8> {
        let data = Document::from_json(json).unwrap();
        let shard = Shard { id: 0, count: 1 };
        let header = Header { kind, key: 100, shard, ..Header::default() };
        let mut bytes = Vec::new();
        record::encode(&header, None, data.as_bytes(), None, &mut bytes);
        bytes
    }

    /// An output that no ring takes is delivered without what came before; if that is no help either, its
    /// loss is told.
    #[test]
    fn what_is_too_large_is_reduced_or_told() {
        let name = format!("t{}-c-too-large", std::process::id());
        let rings = Rings(Namespace::new(&topology::namespace(&name)).unwrap());
        let bell = rings.0.bell().unwrap();
        let geometry = Geometry::new(64, 1 << 16, 4, 1, 4).unwrap();
        let group = GroupSpec::durable("test").from(Start::Earliest);
        let made = Producer::create(&rings.0, "out", geometry, std::slice::from_ref(&group), &bell);
        let mut out = made.unwrap();
        let (mut notes, mut outputs) = (Notes::default(), Outputs::default());
        let (settings, mut refusal) = (Settings::default(), String::new());
        let dir = tempfile::tempdir().unwrap();
        let mut store = mixcord_state::Writer::create(dir.path(), 64 << 20).unwrap();
        let mut arena = mixcord_state::Arena::default();
        let description = "x".repeat(3000);
        let name = "y".repeat(2000);
        let events = [
            record_of(
                Kind::GUILD_CREATE,
                &format!(r#"{{"id": "100", "description": "{description}"}}"#),
            ),
            record_of(Kind::GUILD_UPDATE, r#"{"id": "100"}"#),
            record_of(Kind::GUILD_UPDATE, &format!(r#"{{"id": "100", "name": "{name}"}}"#)),
        ];
        for (payload, position) in events.iter().zip(0..) {
            let mut work = Work {
                out: &mut out,
                settings: &settings,
                ground: Ground::Store(OpenBatch::new(&mut store, &mut arena)),
                notes: &mut notes,
                outputs: &mut outputs,
                output_bytes_max: 5000,
                refusal: &mut refusal,
                tally: &mut Tally::default(),
            };
            let at = Place { shard: (1, 0), ring: 7, position };
            let entry =
                Entry { position, key: 100, tag: 0, source: 0, order: 0, payload, lost: false };
            assert_eq!(work.record(at, entry, 0).unwrap(), Done::Staged);
        }
        out.publish();
        let mut member = out.ring().join(&group, &bell).unwrap();
        let batch = member.take(Limits { records: 64, bytes: 1 << 20 }).unwrap().unwrap();
        let seen = batch.records().map(|entry| {
            let record = Record::parse(entry.payload).unwrap();
            let header = record.header();
            (record.kind(), header.reason, header.flags.contains(Flags::WITHOUT_OLD))
        });
        assert_eq!(
            seen.collect::<Vec<_>>(),
            [
                (Kind::GUILD_CREATE, Reason::Join, false),
                (Kind::GUILD_UPDATE, Reason::None, true),
                (Kind::GAP, Reason::Undeliverable, false),
            ]
        );
        batch.ack();
    }
}
