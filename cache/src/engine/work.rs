//! One record: annotated, and its outputs staged (`stage.rs`).

use mixcord_event::{Origin, Reason, Record, RecordError};
use mixcord_ring::{Entry, Position, Producer, StageError};
use mixcord_state::StoreError;

use super::gap::Gap;
use super::stage::{stage_gap, stage_one};
use super::tally::Tally;
use crate::annotate::{Names, Others, Outputs, Slice, annotate_beside, show};
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
    /// It is not its turn yet: the ring is not read on for now.
    Stopped,
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

impl Place {
    /// The same as the origin of a record that was written here first.
    pub(super) const fn origin(self) -> Origin {
        Origin { ring: self.ring, position: self.position }
    }
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

    /// The store's open batch, where there is one.
    pub(super) const fn batch(&self) -> Option<&OpenBatch<'_>> {
        match self {
            Self::Store(batch) => Some(batch),
            Self::Nothing(_) => None,
        }
    }

    /// Gives up what was read ahead: the next record need not begin.
    pub(super) fn forget_reads(&mut self) {
        if let Self::Store(batch) = self {
            batch.forget_reads();
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
        read: Result<(&Record<'_>, Names<'_>), &RecordError>,
        from: u16,
        others: Others<'_>,
    ) -> Result<Done, StoreError> {
        if entry.lost {
            let (shard, position, seq) = (at.shard.1, at.position, entry.source);
            tracing::error!(shard, position, seq, "the file of a large record is gone: it is lost");
            return Ok(self.tell(at, 0, Reason::RecordsLost));
        }
        let (input, names) = match read {
            Ok(read) => read,
            Err(error) if error.is_of_another_release() => return Ok(Done::Newer(*error)),
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
        let annotated =
            annotate_beside(&mut store, self.settings, (input, names), slice, others, self.outputs);
        let all = self.ground.check().and(annotated)?;
        let done = match self.room(input.data_bytes()) {
            None => self.stage(input, at, slice.from),
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

    /// Delivers a record as it is; the state has what it says.
    pub(super) fn show(&mut self, at: Place, input: &Record<'_>) -> Done {
        self.ground.forget_reads();
        show(input, self.outputs);
        match self.room(input.data_bytes()) {
            None => self.stage(input, at, 0),
            Some(bytes) => Done::Waits(Need::Bytes(bytes)),
        }
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
        self.ground.forget_reads();
        let mut bytes = Vec::new();
        Gap { shard: at.shard, reason }.encode(at.origin(), index, &mut bytes);
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

#[cfg(test)]
mod tests {
    use mixcord_event::{Document, Flags, Header, Kind, Shard, record, topology};
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
            let entry = Entry {
                position,
                key: 100,
                tag: 0,
                source: 0,
                order: 0,
                seal: 0,
                payload,
                lost: false,
            };
            let record = Record::parse(payload);
            let read =
                record.as_ref().map(|record| (record, Names::of(record.data().as_map().unwrap())));
            assert_eq!(work.record(at, entry, read, 0, &|_| false).unwrap(), Done::Staged);
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
