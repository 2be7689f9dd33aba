//! A batch: annotate, stage, commit, publish, release.

use mixcord_event::{Header, Origin, Reason, Record, record};
use mixcord_ring::{Meta, Producer, StageError};
use mixcord_state::{Checkpoint, Env, InputPosition, Inputs, Read, StoreError, Table, meta};

use super::gap::Gap;
use super::{Engine, EngineError, Progress};
use crate::annotate::{Outputs, annotate};
use crate::kill;
use crate::settings::Settings;
use crate::store::{Changes, MemoryStore, Overlay};

/// Records and bytes of changes of one batch.
const RECORDS_MAX: usize = 8192;
const CHANGES_BYTES_MAX: usize = 16 << 20;
/// A record's header with the longest name.
const HEAD_BYTES_MAX: usize = 64 + 256;

/// Why staging ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing more waits, or the batch is long enough.
    Enough,
    /// The next record needs this many bytes.
    Full(usize),
}

impl Engine {
    pub(super) fn commit_round(&mut self) -> Result<Progress, EngineError> {
        let shards = self.shards;
        let limits = super::input::limits(self.inputs.len());
        let mut some = !self.gaps.is_empty();
        for (key, input) in &mut self.inputs {
            if Some(key.0) == shards {
                input.fill(self.positions.get(key).map_or(0, |known| known.position), limits);
                some |= input.next().is_some();
            }
        }
        if !some {
            return Ok(Progress::Idle);
        }
        let end = self.stage_round()?;
        if self.out.staged_tail() == self.out.tail() {
            return Ok(match end {
                End::Full(bytes) => Progress::OutputFull(bytes),
                End::Enough => Progress::Idle,
            });
        }
        let mut reached: Vec<((u16, u16), InputPosition)> = Vec::new();
        for (&key, input) in &self.inputs {
            if let Some(position) = input.reached() {
                reached.push((key, InputPosition { ring: input.id(), position }));
            }
        }
        let mut positions = self.positions.clone();
        positions.extend(reached);
        if self.store.is_some() {
            match self.write_store(&positions) {
                Ok(()) => {}
                Err(EngineError::Store(StoreError::Full)) => {
                    self.take_back();
                    let store = self.store.as_ref();
                    let oldest_reader = store.and_then(|store| store.oldest_reader());
                    return Ok(Progress::StoreFull { oldest_reader });
                }
                Err(error) => return Err(error),
            }
        }
        self.changes.committed();
        self.persisted.clone_from(&positions);
        self.positions = positions;
        self.set_checkpoint();
        self.out.publish();
        kill::point();
        for input in self.inputs.values_mut() {
            if input.reached().is_some() {
                input.release();
            }
        }
        self.gaps.clear();
        self.knew_positions = true;
        self.records_max = usize::MAX;
        Ok(Progress::Worked)
    }

    /// Keeps the positions in the output ring too.
    pub(super) fn set_checkpoint(&mut self) {
        let store = self.store.as_ref().map_or(0, |store| store.id());
        let checkpoint = Checkpoint { store, inputs: self.positions.clone() };
        let bytes = checkpoint.to_bytes(Producer::CHECKPOINT_MAX);
        if let Err(error) = self.out.set_checkpoint(&bytes) {
            tracing::error!("{error}");
        }
    }

    /// Annotates and stages what waits, until the output ring is full.
    fn stage_round(&mut self) -> Result<End, EngineError> {
        let Self { out, store, settings, inputs, first, gaps, changes, outputs, shards, .. } = self;
        let mut left = self.records_max.min(RECORDS_MAX);
        let mut bytes = Vec::new();
        for gap in gaps.iter() {
            let origin = Origin { ring: out.id().0, position: out.staged_tail() };
            gap.encode(origin, &mut bytes);
            match out.stage(
                &Meta { key: 0, tag: u64::from(mixcord_event::Kind::GAP.number()), source: 0 },
                &[&bytes],
            ) {
                Ok(_) => {}
                Err(StageError::Full) => {
                    out.discard_staged();
                    return Ok(End::Full(bytes.len()));
                }
                Err(error) => return Err(EngineError::Stage(error)),
            }
        }
        let empty = MemoryStore::default();
        let txn = match store {
            Some(store) => Some(store.env()?.read()?),
            None => None,
        };
        let base: &dyn Read = txn.as_ref().map_or(&empty, |txn| txn);
        let mut work = Work { out, base, settings, changes, outputs, keeps: txn.is_some() };
        let mut end = End::Enough;
        let mut broken = false;
        // Whoever was not served when the last round ended is served first in this one: under
        // back-pressure all shards slow down alike.
        let order: Vec<_> =
            inputs.range(*first..).chain(inputs.range(..*first)).map(|(key, _)| *key).collect();
        for key in &order {
            let Some(input) = inputs.get_mut(key).filter(|_| Some(key.0) == *shards) else {
                continue;
            };
            let ring = input.id();
            let mut staged = 0;
            for entry in input.rest() {
                if left == 0 || work.changes.bytes() > CHANGES_BYTES_MAX {
                    break;
                }
                match work.record(*key, ring, entry.position, entry.source, entry.payload)? {
                    Done::Staged => staged += 1,
                    Done::Full(bytes) => {
                        end = End::Full(bytes);
                        break;
                    }
                    Done::Torn(bytes) => {
                        (end, broken) = (End::Full(bytes), true);
                        break;
                    }
                }
                left -= 1;
            }
            input.advance(staged);
            if end != End::Enough || left == 0 {
                let served = staged > 0 && !broken;
                *first = if served { (key.0, key.1.saturating_add(1)) } else { *key };
                break;
            }
        }
        drop(txn);
        if broken {
            // Half a record is staged behind the others: begin again, with that record alone.
            self.take_back();
            self.records_max = 1;
        }
        Ok(end)
    }

    /// Forgets the batch; nothing of it was committed.
    fn take_back(&mut self) {
        self.out.discard_staged();
        self.changes.take_back();
        self.inputs.values_mut().for_each(super::input::Input::take_back);
    }

    /// The transaction: state, positions, intended tail.
    fn write_store(&mut self, positions: &Inputs) -> Result<(), EngineError> {
        let tail = self.out.staged_tail();
        loop {
            let Some(store) = &mut self.store else { return Ok(()) };
            let batch = Batch {
                changes: &mut self.changes,
                positions,
                persisted: &self.persisted,
                shards: self.shards,
                output: (self.out.id().0, tail),
            };
            match batch.write(store.env()?) {
                Err(StoreError::Full) => {
                    store.clear_stale_readers()?;
                    match store.grow() {
                        Ok(true) => {}
                        Ok(false) => return Err(StoreError::Full.into()),
                        Err(error) => {
                            tracing::error!("{error}");
                            return Err(StoreError::Full.into());
                        }
                    }
                }
                other => return Ok(other?),
            }
        }
    }
}

/// What a transaction holds.
struct Batch<'a> {
    changes: &'a mut Changes,
    positions: &'a Inputs,
    /// The positions that the store holds already.
    persisted: &'a Inputs,
    shards: Option<u16>,
    /// The output ring's id and the tail it is to reach.
    output: (u64, u64),
}

impl Batch<'_> {
    fn write(self, env: &Env) -> Result<(), StoreError> {
        kill::point();
        let mut txn = env.write()?;
        kill::point();
        self.changes.each(|table, key, value| {
            match value {
                Some(value) => txn.put(table, key, value)?,
                None => txn.delete(table, key)?,
            }
            kill::point();
            Ok(())
        })?;
        for (shard, input) in self.positions {
            if self.persisted.get(shard) != Some(input) {
                let value = pair(input.ring, input.position);
                txn.put(Table::Meta, meta::input(shard.1, shard.0), &value)?;
                kill::point();
            }
        }
        if let Some(shards) = self.shards {
            txn.put(Table::Meta, meta::SHARDS, &u64::from(shards).to_le_bytes())?;
            kill::point();
        }
        txn.put(Table::Meta, meta::OUTPUT, &pair(self.output.0, self.output.1))?;
        kill::point();
        txn.commit()?;
        kill::point();
        Ok(())
    }
}

fn pair(first: u64, second: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// What became of one record.
enum Done {
    Staged,
    /// It was not begun.
    Full(usize),
    /// It was begun and does not fit.
    Torn(usize),
}

/// What one record needs.
struct Work<'a> {
    out: &'a mut Producer,
    base: &'a dyn Read,
    settings: &'a Settings,
    changes: &'a mut Changes,
    outputs: &'a mut Outputs,
    /// Whether changes are kept from one record to the next.
    keeps: bool,
}

impl Work<'_> {
    fn record(
        &mut self,
        shard: (u16, u16),
        ring: u64,
        position: u64,
        source: u64,
        payload: &[u8],
    ) -> Result<Done, EngineError> {
        let input = match Record::parse(payload) {
            Ok(input) => input,
            Err(error) => {
                tracing::error!(
                    shard = shard.1,
                    position,
                    seq = source,
                    "unreadable record: {error}"
                );
                return self.unreadable(shard, ring, position);
            }
        };
        self.changes.begin_record();
        let mut overlay = Overlay::new(self.base, self.changes);
        annotate(&mut overlay, self.settings, &input, self.outputs)?;
        let geometry = self.out.geometry();
        let (records, bytes) = (geometry.slots as usize, geometry.payload_bytes as usize);
        if let Some(cut) = self.outputs.fit(records / 2, bytes / 2) {
            tracing::warn!(shard = shard.1, position, "{cut}: make the output ring larger");
        }
        let room = self.room(input.data_bytes());
        let done = match room {
            None => self.stage(&input, ring, position)?,
            Some(bytes) => Done::Full(bytes),
        };
        match done {
            Done::Staged if self.keeps => {}
            Done::Staged => self.changes.committed(),
            _ => self.changes.take_back_record(),
        }
        Ok(done)
    }

    /// The bytes that are missing for the outputs, if any are.
    fn room(&mut self, payload: &[u8]) -> Option<usize> {
        let items = self.outputs.items();
        let inline_max = self.out.geometry().payload_bytes as usize / 4;
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

    fn stage(&mut self, input: &Record<'_>, ring: u64, position: u64) -> Result<Done, EngineError> {
        let payload = input.data_bytes();
        for (index, output) in self.outputs.items().iter().enumerate() {
            let header = Header {
                kind: output.kind,
                flags: output.flags,
                reason: output.reason,
                index: u16::try_from(index).unwrap_or(u16::MAX),
                key: output.key,
                origin: Origin { ring, position },
                ..*input.header()
            };
            let data = output.data.bytes(payload);
            let old = output.old.as_deref();
            let name = (output.kind == input.kind()).then(|| input.kind_name());
            let head = record::head(&header, name, data.len(), old.map(<[u8]>::len));
            let meta =
                Meta { key: output.key, tag: u64::from(output.kind.number()), source: position };
            let parts: [&[u8]; 3] = [head.as_ref(), data, old.unwrap_or_default()];
            match self.out.stage(&meta, &parts) {
                Ok(_) => {}
                Err(StageError::Full) if index == 0 => return Ok(Done::Full(data.len())),
                Err(StageError::Full) => return Ok(Done::Torn(data.len())),
                Err(error) => return Err(EngineError::Stage(error)),
            }
        }
        Ok(Done::Staged)
    }

    /// A record nobody can read is a loss that is told.
    fn unreadable(
        &mut self,
        shard: (u16, u16),
        ring: u64,
        position: u64,
    ) -> Result<Done, EngineError> {
        let mut bytes = Vec::new();
        Gap { shard, reason: Reason::Undecodable }.encode(Origin { ring, position }, &mut bytes);
        let meta =
            Meta { key: 0, tag: u64::from(mixcord_event::Kind::GAP.number()), source: position };
        match self.out.stage(&meta, &[&bytes]) {
            Ok(_) => Ok(Done::Staged),
            Err(StageError::Full) => Ok(Done::Full(bytes.len())),
            Err(error) => Err(EngineError::Stage(error)),
        }
    }
}
