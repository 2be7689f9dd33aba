//! The transaction of a batch: state, positions, intended tail.

use mixcord_state::{Env, Key, StoreError, Table, WriteTxn, meta};

use super::gap::Gap;
use super::reached::{Reached, gap_bytes};
use crate::kill;
use crate::store::Changes;

/// Begins a batch's transaction.
pub(super) fn begin(env: &Env) -> Result<WriteTxn<'_>, StoreError> {
    kill::point();
    let txn = env.write()?;
    kill::point();
    Ok(txn)
}

/// Moves changes into the transaction.
pub(super) fn spill(txn: &mut WriteTxn<'_>, changes: &mut Changes) -> Result<(), StoreError> {
    put_changes(txn, changes)?;
    changes.spilled();
    Ok(())
}

/// What a batch's transaction ends with, beside the last changes.
pub(super) struct Ending<'a> {
    /// How far everything is once it is committed, and what the store holds of that already.
    pub(super) reached: &'a Reached,
    /// The output ring's id and the tail it is to reach.
    pub(super) output: (u64, u64),
    /// Losses that are not told yet.
    pub(super) untold: &'a [Gap],
    /// Whether the store has such.
    pub(super) had_untold: bool,
}

impl Ending<'_> {
    pub(super) fn commit(
        self,
        mut txn: WriteTxn<'_>,
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
        put_changes(&mut txn, changes)?;
        let Reached { positions, persisted, shards, times } = self.reached;
        for (shard, input) in positions {
            if persisted.get(shard) != Some(input) {
                let value = words([input.ring, input.position, input.index.into()]);
                put(&mut txn, meta::input(shard.1, shard.0), &value)?;
            }
        }
        for shard in persisted.keys().filter(|shard| !positions.contains_key(shard)) {
            txn.delete(Table::Meta, meta::input(shard.1, shard.0))?;
            kill::point();
        }
        if let Some(shards) = shards {
            put(&mut txn, meta::SHARDS, &u64::from(*shards).to_le_bytes())?;
        }
        put(&mut txn, meta::TIMES, &words([times.applied_us, times.cut_us]))?;
        if self.had_untold || !self.untold.is_empty() {
            put(&mut txn, meta::GAPS, &gap_bytes(self.untold))?;
        }
        put(&mut txn, meta::OUTPUT, &words([self.output.0, self.output.1]))?;
        txn.commit()?;
        kill::point();
        Ok(())
    }
}

fn put_changes(txn: &mut WriteTxn<'_>, changes: &mut Changes) -> Result<(), StoreError> {
    changes.each(|table, key, value| {
        match value {
            // In the order in which they were received.
            Some(value) if table == Table::Messages => txn.append(table, key, value)?,
            Some(value) => txn.put(table, key, value)?,
            None => txn.delete(table, key)?,
        }
        kill::point();
        Ok(())
    })
}

fn put(txn: &mut WriteTxn<'_>, key: Key, value: &[u8]) -> Result<(), StoreError> {
    txn.put(Table::Meta, key, value)?;
    kill::point();
    Ok(())
}

fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}
