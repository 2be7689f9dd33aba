//! The same work in each of the stores.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::path::Path;

use anyhow::{Context, Result};
use bumpalo::Bump;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};
use mixcord_table::{FileWriter, Key, Limits, TableId};
use tempfile::TempDir;

use super::{BATCH, VALUE_BYTES, Work, key};

/// Where a contender's values lie.
pub(super) trait Store {
    fn name(&self) -> &'static str;
    /// Operations on the values with these numbers, in one transaction.
    fn batch(&mut self, work: Work, numbers: &[u64]) -> Result<()>;
}

pub(super) const LIMITS: Limits = Limits { bytes_max: 2 << 30, step_bytes: 32 << 20 };

pub(super) fn folder() -> Result<TempDir> {
    let name = format!("ringbench-{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&name).tempdir_in("/dev/shm")?)
}

pub(super) fn table() -> TableId {
    TableId::of_pairs(1).expect("a small number")
}

/// The table; `ahead` is how many operations before its turn a key is announced.
pub(super) struct Ours {
    pub(super) writer: FileWriter,
    ahead: usize,
    arena: Bump,
    pub(super) folder: TempDir,
}

impl Ours {
    pub(super) fn new(values: u64, ahead: usize) -> Result<Self> {
        let folder = folder()?;
        let writer = FileWriter::create(&folder.path().join("table"), 1, LIMITS)?;
        let mut ours = Self { writer, ahead, arena: Bump::new(), folder };
        for first in (0..values).step_by(BATCH as usize) {
            let numbers: Vec<u64> = (first..values.min(first + BATCH)).collect();
            ours.batch(Work::Put, &numbers)?;
        }
        Ok(ours)
    }

    fn key(number: u64) -> Key {
        let (owner, id) = key(number);
        Key::new(owner, id)
    }
}

impl Store for Ours {
    fn name(&self) -> &'static str {
        if self.ahead == 0 { "mixcord" } else { "mixcord, keys ahead" }
    }

    fn batch(&mut self, work: Work, numbers: &[u64]) -> Result<()> {
        let Self { writer, arena, ahead, .. } = self;
        let fresh = [7; VALUE_BYTES];
        for (at, number) in numbers.iter().enumerate() {
            if *ahead > 0 {
                if let Some(later) = numbers.get(at + *ahead * 2) {
                    writer.expect(table(), Self::key(*later));
                }
                if let Some(later) = numbers.get(at + *ahead) {
                    writer.expect_value(table(), Self::key(*later));
                }
            }
            let key = Self::key(*number);
            arena.reset();
            let value = match work {
                Work::Put => &fresh,
                _ => writer.get_in(table(), key, arena)?.context("a value")?,
            };
            if !matches!(work, Work::Get) {
                let (first, rest) = value.split_first().context("a byte")?;
                writer.put(table(), key, &[&[first.wrapping_add(1)], rest])?;
                writer.mark();
            }
            std::hint::black_box(value[VALUE_BYTES - 1]);
        }
        if !matches!(work, Work::Get) {
            writer.commit([0; 2])?;
        }
        Ok(())
    }
}

/// LMDB as the cache used it: a writable map, no sync.
pub(super) struct Lmdb {
    env: Env,
    values: Values,
    folder: TempDir,
}

type Values = Database<'static, Bytes, Bytes>;

pub(super) fn lmdb_at(path: &Path) -> Result<(Env, Values)> {
    let mut options = EnvOpenOptions::new();
    options.map_size(2 << 30).max_readers(128);
    // SAFETY: without a sync only a crash of the system costs anything.
    #[allow(unsafe_code)]
    let options = unsafe { options.flags(EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC) };
    // SAFETY: a folder of this run's own, changed through LMDB alone.
    #[allow(unsafe_code)]
    let env = unsafe { options.open(path) }?;
    let txn = env.write_txn()?;
    let made = env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        let values = opener.create_database::<Bytes, Bytes>(txn, None)?;
        Ok(CommitOrAbort::<_, ()>::Commit(values))
    })?;
    match made {
        CommitOrAbort::Commit(values) => Ok((env, values)),
        CommitOrAbort::Abort(()) => anyhow::bail!("never aborted"),
    }
}

pub(super) fn lmdb_key(number: u64) -> [u8; 16] {
    let (owner, id) = key(number);
    ((u128::from(owner) << 64) | u128::from(id)).to_be_bytes()
}

impl Lmdb {
    pub(super) fn new(values: u64) -> Result<Self> {
        let folder = folder()?;
        let (env, database) = lmdb_at(folder.path())?;
        let mut lmdb = Self { env, values: database, folder };
        for first in (0..values).step_by(BATCH as usize) {
            let numbers: Vec<u64> = (first..values.min(first + BATCH)).collect();
            lmdb.batch(Work::Put, &numbers)?;
        }
        Ok(lmdb)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Store for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB"
    }

    fn batch(&mut self, work: Work, numbers: &[u64]) -> Result<()> {
        let mut value = [7; VALUE_BYTES];
        if matches!(work, Work::Get) {
            let txn = self.env.read_txn()?;
            for number in numbers {
                let found = self.values.get(&txn, &lmdb_key(*number))?.context("a value")?;
                value.copy_from_slice(found);
                std::hint::black_box(value[VALUE_BYTES - 1]);
            }
            return Ok(());
        }
        let mut txn = self.env.write_txn()?;
        for number in numbers {
            let key = lmdb_key(*number);
            if matches!(work, Work::GetAndPut) {
                value.copy_from_slice(self.values.get(&txn, &key)?.context("a value")?);
            }
            value[0] = value[0].wrapping_add(1);
            self.values.put(&mut txn, &key, &value)?;
        }
        Ok(txn.commit()?)
    }
}

/// A hash map of the process's own; each value is an allocation, replaced whole.
pub(super) struct Map(HashMap<(u64, u64), Box<[u8]>, BuildHasherDefault<Fold>>);

/// As cheap as a hash can be that spreads ids.
#[derive(Default)]
struct Fold(u64);

impl std::hash::Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Map {
    pub(super) fn new(values: u64) -> Self {
        Self((0..values).map(|number| (key(number), vec![7; VALUE_BYTES].into())).collect())
    }
}

impl Store for Map {
    fn name(&self) -> &'static str {
        "hash map, one process"
    }

    fn batch(&mut self, work: Work, numbers: &[u64]) -> Result<()> {
        let mut value = [7; VALUE_BYTES];
        for number in numbers {
            let key = key(*number);
            if !matches!(work, Work::Put) {
                value.copy_from_slice(self.0.get(&key).context("a value")?);
            }
            if !matches!(work, Work::Get) {
                value[0] = value[0].wrapping_add(1);
                self.0.insert(key, value.into());
            }
            std::hint::black_box(value[VALUE_BYTES - 1]);
        }
        Ok(())
    }
}
