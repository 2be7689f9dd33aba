//! The store of the releases before the table, in LMDB: copied once, at the first start.

use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};
use mixcord_state::{Cached, StoreError, Table, Writer, compose};

/// The store cannot be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("LMDB: {0}")]
    Lmdb(#[from] heed::Error),
    #[error("it has no id")]
    NoId,
    #[error("the table {table} holds a damaged entry")]
    Damaged { table: &'static str },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the output ring's id and the tail it is to reach stood; the table has them in each commit.
const OUTPUT: (u64, u64) = (1, 0);
/// Entries of a batch of the copy.
const BATCH: usize = 4096;
/// Address space for the map; no memory is behind it beyond the file.
const MAP_BYTES: usize = 1 << 38;

/// Makes the table in `dir` out of the store there, which stays as it is. What the output ring says of that
/// one holds for the table ([`meta::COPIED_FROM`](mixcord_state::meta::COPIED_FROM)).
pub(super) fn copy(dir: &Path, bytes_max: u64) -> Result<Writer, CopyError> {
    let env = open(dir)?;
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        let mut opened: [Option<Database<'_, Bytes, Bytes>>; Table::COUNT] = [None; Table::COUNT];
        for table in Table::ALL {
            opened[table.index()] = opener.open_database(txn, Some(table.name()))?;
        }
        Ok(CommitOrAbort::<_, ()>::Commit(opened))
    })?;
    let CommitOrAbort::Commit(tables) = opened else { return Err(CopyError::NoId) };
    let txn = env.read_txn()?;
    let mut writer = Writer::create(dir, bytes_max)?;
    let (mut has_id, mut output) = (false, (0, 0));
    let mut entries = 0;
    for (table, database) in Table::ALL.into_iter().zip(tables) {
        let Some(database) = database else { continue };
        for entry in database.iter(&txn)? {
            let (key, value) = entry?;
            let (owner, id) = ids(key).ok_or(CopyError::Damaged { table: table.name() })?;
            has_id |= table == Table::Meta && (owner, id) == (0, 0);
            if table == Table::Meta && (owner, id) == OUTPUT {
                let mut words = compose::ids(value);
                output = words.next().zip(words.next()).unwrap_or_default();
                continue;
            }
            let key = match table {
                Table::Messages => Cached { received_us: owner, id }.key(),
                table => table.key(owner, id),
            };
            writer.put(key, &[value])?;
            entries += 1;
            if entries % BATCH == 0 {
                writer.commit((0, 0))?;
            }
        }
    }
    if !has_id {
        return Err(CopyError::NoId);
    }
    writer.commit(output)?;
    writer.join_channels()?;
    tracing::info!(entries, "the store of the release before was copied into the table");
    Ok(writer)
}

/// The ids of a key: big-endian numbers.
fn ids(key: &[u8]) -> Option<(u64, u64)> {
    let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
    match key.len() {
        8 => Some((number(key)?, 0)),
        16 => Some((number(&key[..8])?, number(&key[8..])?)),
        _ => None,
    }
}

#[expect(unsafe_code, reason = "LMDB maps a file that other processes could change")]
fn open(dir: &Path) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_BYTES).max_dbs(Table::COUNT as u32);
    // SAFETY: READ_ONLY changes nothing of the file.
    let options = unsafe { options.flags(EnvFlags::READ_ONLY) };
    // SAFETY: the file is ours, 0600 in a directory of 0700, and its writer is gone: this process holds the
    // lock by which there is one.
    unsafe { options.open(dir) }
}
