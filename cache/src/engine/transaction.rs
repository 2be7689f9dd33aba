//! The transaction of a batch: state, positions, intended tail.

use mixcord_state::{Env, Inputs, Key, StoreError, Table, WriteTxn, meta};

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
    pub(super) positions: &'a Inputs,
    /// The positions that the store holds already.
    pub(super) persisted: &'a Inputs,
    pub(super) shards: Option<u16>,
    /// The output ring's id and the tail it is to reach.
    pub(super) output: (u64, u64),
}

impl Ending<'_> {
    pub(super) fn commit(
        self,
        mut txn: WriteTxn<'_>,
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
        put_changes(&mut txn, changes)?;
        for (shard, input) in self.positions {
            if self.persisted.get(shard) != Some(input) {
                let value = words([input.ring, input.position, input.index.into()]);
                put(&mut txn, meta::input(shard.1, shard.0), &value)?;
            }
        }
        for shard in self.persisted.keys().filter(|shard| !self.positions.contains_key(shard)) {
            txn.delete(Table::Meta, meta::input(shard.1, shard.0))?;
            kill::point();
        }
        if let Some(shards) = self.shards {
            put(&mut txn, meta::SHARDS, &u64::from(shards).to_le_bytes())?;
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
