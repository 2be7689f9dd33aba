//! What the store allows: LMDB alone, with a value read and replaced under a key by chance for each event.

use std::fs::{DirBuilder, remove_dir_all};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use mixcord_event::topology;
use mixcord_state::{Env, Key, Read, Table};

use crate::clock::{Sample, measure_thread};
use mixcord_pipeline::workload::guild::MEMBERS;

/// About what a presence takes.
const VALUE_BYTES: usize = 300;
const MAP_BYTES: usize = 256 << 20;
/// Pairs of a transaction, as many as events in a batch.
const BATCH: u64 = 8192;

pub(super) struct Lmdb {
    env: Env,
    dir: PathBuf,
    guilds: u64,
    dice: u64,
}

impl Lmdb {
    /// A store with one value for each member.
    pub(super) fn new(guilds: u64) -> Result<Self> {
        let dir = PathBuf::from(topology::state_dir(&format!("bench-{}-lmdb", std::process::id())));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let env = Env::prepare(&dir, MAP_BYTES)?.finish()?;
        let this = Self { env, dir, guilds, dice: 0x9E37_79B9_7F4A_7C15 };
        let mut txn = this.env.write()?;
        for number in 0..guilds * MEMBERS {
            txn.put(Table::Presences, key(number), &[7; VALUE_BYTES])?;
        }
        txn.commit()?;
        Ok(this)
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
        let mut txn = self.env.write()?;
        for _ in 0..pairs {
            *dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            let key = key((*dice >> 33) % values);
            let mut value = txn.get(Table::Presences, key)?.context("no value")?.to_vec();
            value[0] = value[0].wrapping_add(1);
            txn.put(Table::Presences, key, &value)?;
        }
        Ok(txn.commit()?)
    }
}

fn key(number: u64) -> Key {
    Key::pair((number / MEMBERS) << 22, number % MEMBERS)
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        let _ = remove_dir_all(&self.dir);
    }
}
