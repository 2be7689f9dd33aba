//! The transaction of a batch: state, positions, intended tail.

use mixcord_state::{Env, InputPosition, Inputs, Key, Read, StoreError, Table, WriteTxn, meta};

use super::partial::Partials;
use crate::kill;
use crate::store::Changes;

/// What a transaction holds.
pub(super) struct Transaction<'a> {
    pub(super) changes: &'a mut Changes,
    pub(super) positions: &'a Inputs,
    /// The positions that the store holds already.
    pub(super) persisted: &'a Inputs,
    pub(super) shards: Option<u16>,
    /// The records that are delivered in part.
    pub(super) partials: &'a Partials,
    /// The output ring's id and the tail it is to reach.
    pub(super) output: (u64, u64),
}

impl Transaction<'_> {
    pub(super) fn write(self, env: &Env) -> Result<(), StoreError> {
        kill::point();
        let mut txn = env.write()?;
        kill::point();
        put_changes(&mut txn, self.changes)?;
        for (shard, input) in self.positions {
            if self.persisted.get(shard) != Some(input) {
                let value = pair(input.ring, input.position);
                put(&mut txn, meta::input(shard.1, shard.0), &value)?;
            }
        }
        if let Some(shards) = self.shards {
            put(&mut txn, meta::SHARDS, &u64::from(shards).to_le_bytes())?;
        }
        if !self.partials.is_empty() {
            put(&mut txn, meta::PARTIAL, &self.partials.to_bytes())?;
        } else if txn.get(Table::Meta, meta::PARTIAL)?.is_some() {
            txn.delete(Table::Meta, meta::PARTIAL)?;
            kill::point();
        }
        put(&mut txn, meta::OUTPUT, &pair(self.output.0, self.output.1))?;
        txn.commit()?;
        kill::point();
        Ok(())
    }
}

fn put_changes(txn: &mut WriteTxn<'_>, changes: &mut Changes) -> Result<(), StoreError> {
    changes.each(|table, key, value| {
        match value {
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

fn pair(first: u64, second: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// Where the inputs stand once what is staged is committed.
pub(super) fn reached<'a>(
    positions: &Inputs,
    staged: impl Iterator<Item = ((u16, u16), InputPosition)> + 'a,
) -> Inputs {
    let mut positions = positions.clone();
    positions.extend(staged);
    positions
}
