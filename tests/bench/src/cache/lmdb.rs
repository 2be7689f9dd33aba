//! What the store allows: LMDB alone, with a value read and replaced under a key by chance for each event.

use std::fs::{DirBuilder, remove_dir_all};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};
use mixcord_event::topology;

use crate::clock::{Sample, measure_thread};
use mixcord_pipeline::workload::guild::MEMBERS;

/// About what a presence takes.
const VALUE_BYTES: usize = 300;
const MAP_BYTES: usize = 256 << 20;
/// Pairs of a transaction, as many as events in a batch.
const BATCH: u64 = 8192;

pub(super) struct Lmdb {
    env: Env,
    values: Database<'static, Bytes, Bytes>,
    dir: PathBuf,
    guilds: u64,
    dice: u64,
}

impl Lmdb {
    /// A store with one value for each member.
    #[expect(unsafe_code, reason = "LMDB maps a file that other processes could change")]
    pub(super) fn new(guilds: u64) -> Result<Self> {
        let dir = PathBuf::from(topology::state_dir(&format!("bench-{}-lmdb", std::process::id())));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(1);
        // SAFETY: what is written is of use to this process alone.
        let options = unsafe { options.flags(EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC) };
        // SAFETY: nobody else knows the file.
        let env = unsafe { options.open(&dir) }?;
        let txn = env.write_txn()?;
        let made = env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
            let made = opener.create_database::<Bytes, Bytes>(txn, None)?;
            Ok(CommitOrAbort::<_, ()>::Commit(made))
        })?;
        let CommitOrAbort::Commit(values) = made else { bail!("LMDB has no database") };
        let mut txn = env.write_txn()?;
        for number in 0..guilds * MEMBERS {
            values.put(&mut txn, &key(number), &[7; VALUE_BYTES])?;
        }
        txn.commit()?;
        Ok(Self { env, values, dir, guilds, dice: 0x9E37_79B9_7F4A_7C15 })
    }

    /// So many reads, each followed by a write.
    pub(super) fn run(&mut self, pairs: u64) -> Result<Sample> {
        let (mut dice, values) = (self.dice, self.guilds * MEMBERS);
        let mut done = Ok(());
        let sample = measure_thread(|| {
            for first in (0..pairs).step_by(BATCH as usize) {
                done = self.batch(BATCH.min(pairs - first), values, &mut dice);
                if done.is_err() {
                    return first;
                }
            }
            pairs
        });
        self.dice = dice;
        done.map(|()| sample)
    }

    fn batch(&self, pairs: u64, values: u64, dice: &mut u64) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        for _ in 0..pairs {
            *dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            let key = key((*dice >> 33) % values);
            let mut value = self.values.get(&txn, &key)?.context("no value")?.to_vec();
            value[0] = value[0].wrapping_add(1);
            self.values.put(&mut txn, &key, &value)?;
        }
        Ok(txn.commit()?)
    }
}

fn key(number: u64) -> [u8; 16] {
    ((u128::from(number / MEMBERS) << 86) | u128::from(number % MEMBERS)).to_be_bytes()
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.dir);
    }
}
