//! The LMDB environment: opening and transactions. Beside `populate` the only unsafe code of the store.
//!
//! LMDB's own pages are trusted like code (same uid, 0600); what lies in them is not.

use std::fmt;
use std::fs::File;
use std::ops::{Bound, RangeInclusive};
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions, MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use crate::format::{DATA_FILE, LOCK_FILE};
use crate::populate::populate;
use crate::readers::slots;
use crate::{Key, OpenError, Read, ReaderSlot, StoreError, Table};

type Database = heed::Database<'static, Bytes, Bytes>;
/// A table that is missing is of a store that an older cache writes: to a reader it is empty.
type Tables = [Option<Database>; Table::COUNT];

/// Address space of a reader's map; no memory is behind it beyond the file.
const READER_MAP_BYTES: usize = 1 << 38;
/// Reader slots: read transactions that may be open at once, over all processes.
const READERS_MAX: u32 = 1024;

/// The store's environment.
#[derive(Debug)]
pub struct Env {
    env: heed::Env<WithoutTls>,
    tables: Tables,
    dir: PathBuf,
    /// The table of readers. Closing any descriptor of this file drops the locks by which LMDB knows
    /// that this process lives: it is opened after the environment and closed after it.
    readers: File,
}

impl Env {
    /// Opens the store in `dir` for writing, with a map of `map_bytes` (whole pages), without its
    /// tables, so that the file can be allocated before anything is written into the map.
    ///
    /// One process at a time may do this, which the caller sees to by a lock.
    pub fn prepare(dir: &Path, map_bytes: usize) -> Result<PreparedEnv, OpenError> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map_bytes).max_dbs(Table::COUNT as u32).max_readers(READERS_MAX);
        let env = open(&mut options, dir, EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC)?;
        Ok(PreparedEnv { env, dir: dir.to_owned() })
    }

    /// Opens the store in `dir` for reading only.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let fail = |error| OpenError::new(dir, error);
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(READER_MAP_BYTES).max_dbs(Table::COUNT as u32).max_readers(READERS_MAX);
        let env = open(&mut options, dir, EnvFlags::READ_ONLY)?;
        let txn = env.read_txn().map_err(fail)?;
        let tables = env
            .open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                let mut tables = [None; Table::COUNT];
                for table in Table::ALL {
                    tables[table.index()] = opener.open_database(txn, Some(table.name()))?;
                }
                let is_store = tables[Table::Meta.index()].is_some();
                Ok(if is_store { CommitOrAbort::Commit(tables) } else { CommitOrAbort::Abort(()) })
            })
            .map_err(fail)?;
        match tables {
            CommitOrAbort::Commit(tables) => Self::new(env, tables, dir.to_owned()),
            CommitOrAbort::Abort(()) => Err(OpenError::NotFound { dir: dir.to_owned() }),
        }
    }

    fn new(env: heed::Env<WithoutTls>, tables: Tables, dir: PathBuf) -> Result<Self, OpenError> {
        match File::open(dir.join(LOCK_FILE)) {
            Ok(readers) => Ok(Self { env, tables, dir, readers }),
            Err(source) => Err(OpenError::Io { dir, source }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A snapshot; keeps the pages it sees from reuse as long as it lives.
    pub fn read(&self) -> Result<Txn<'_>, StoreError> {
        Ok(Txn { txn: self.env.read_txn()?, tables: &self.tables })
    }

    /// The one write transaction.
    pub fn write(&self) -> Result<WriteTxn<'_>, StoreError> {
        Ok(WriteTxn { txn: self.env.write_txn()?, tables: &self.tables })
    }

    /// Changes the size of the map of a store opened for writing.
    pub fn resize(&mut self, map_bytes: usize) -> Result<(), StoreError> {
        let known = self.map_bytes().min(map_bytes);
        resize(&self.env, map_bytes)?;
        populate(&self.dir.join(DATA_FILE), known);
        Ok(())
    }

    /// Bytes of the map.
    #[must_use]
    pub fn map_bytes(&self) -> usize {
        self.env.info().map_size
    }

    /// Bytes of the file ever used; what is free inside is reused before it grows.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        (self.env.info().last_page_number as u64 + 1) * PAGE_BYTES as u64
    }

    /// The number of the last commit.
    #[must_use]
    pub fn last_commit(&self) -> u64 {
        self.env.info().last_txn_id as u64
    }

    /// Bytes of the file, used or not.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.env.real_disk_size().unwrap_or(0)
    }

    /// The read transactions that are open, of all processes.
    #[must_use]
    pub fn readers(&self) -> Vec<ReaderSlot> {
        slots(&self.readers)
    }

    /// Writes everything to disk; needed only where the file is on one.
    pub fn sync(&self) -> Result<(), StoreError> {
        Ok(self.env.force_sync()?)
    }

    /// Frees the slots of readers whose process is gone; says how many.
    pub fn clear_stale_readers(&self) -> Result<usize, StoreError> {
        Ok(self.env.clear_stale_readers()?)
    }
}

/// Bytes of a page of the store.
pub const PAGE_BYTES: usize = 4096;

/// An environment open for writing whose tables are not open yet.
#[derive(Debug)]
pub struct PreparedEnv {
    env: heed::Env<WithoutTls>,
    dir: PathBuf,
}

impl PreparedEnv {
    /// Opens the tables, and creates those that do not exist.
    pub fn finish(self) -> Result<Env, OpenError> {
        let fail = |error| OpenError::new(&self.dir, error);
        let txn = self.env.write_txn().map_err(fail)?;
        let tables = self
            .env
            .create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                let mut tables = [None; Table::COUNT];
                for table in Table::ALL {
                    let made = opener.create_database(txn, Some(table.name()))?;
                    tables[table.index()] = Some(made);
                }
                Ok(CommitOrAbort::<_, ()>::Commit(tables))
            })
            .map_err(fail)?;
        match tables {
            CommitOrAbort::Commit(tables) => Env::new(self.env, tables, self.dir),
            CommitOrAbort::Abort(()) => Err(OpenError::NotFound { dir: self.dir }),
        }
    }
}

/// A snapshot of the store.
pub struct Txn<'e> {
    txn: RoTxn<'e, WithoutTls>,
    tables: &'e Tables,
}

impl fmt::Debug for Txn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Txn").finish_non_exhaustive()
    }
}

impl Txn<'_> {
    /// How many entries a table has, and the bytes of its pages.
    pub fn size(&self, table: Table) -> Result<(u64, u64), StoreError> {
        let Some(database) = &self.tables[table.index()] else { return Ok((0, 0)) };
        let stat = database.stat(&self.txn)?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        Ok((stat.entries as u64, pages as u64 * u64::from(stat.page_size)))
    }
}

impl Read for Txn<'_> {
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError> {
        get(&self.txn, self.tables, table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        scan(&self.txn, self.tables, table, &range, visit)
    }
}

/// The write transaction; without [`WriteTxn::commit`] nothing of it remains.
pub struct WriteTxn<'e> {
    txn: RwTxn<'e>,
    tables: &'e Tables,
}

impl fmt::Debug for WriteTxn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTxn").finish_non_exhaustive()
    }
}

impl WriteTxn<'_> {
    /// Stores `value` under `key`.
    pub fn put(&mut self, table: Table, key: Key, value: &[u8]) -> Result<(), StoreError> {
        let bytes = key.to_bytes();
        let database = self.database(table)?;
        Ok(database.put(&mut self.txn, &bytes[..width(table)], value)?)
    }

    /// Stores `value` under `key`, which is likely to come behind all others of the table: then the last
    /// page is filled to its end, where it would be split otherwise.
    pub fn append(&mut self, table: Table, key: Key, value: &[u8]) -> Result<(), StoreError> {
        let bytes = key.to_bytes();
        let (database, last) = (self.database(table)?, &bytes[..width(table)]);
        match database.put_with_flags(&mut self.txn, PutFlags::APPEND, last, value) {
            Err(heed::Error::Mdb(MdbError::KeyExist)) => self.put(table, key, value),
            done => Ok(done?),
        }
    }

    /// Removes what stands under `key`, if anything does.
    pub fn delete(&mut self, table: Table, key: Key) -> Result<(), StoreError> {
        let bytes = key.to_bytes();
        self.database(table)?.delete(&mut self.txn, &bytes[..width(table)])?;
        Ok(())
    }

    /// Removes everything from a table; takes no memory for what goes.
    pub fn clear(&mut self, table: Table) -> Result<(), StoreError> {
        Ok(self.database(table)?.clear(&mut self.txn)?)
    }

    fn database(&self, table: Table) -> Result<Database, StoreError> {
        self.tables[table.index()].ok_or(StoreError::Damaged { table, key: Key::one(0) })
    }

    /// Makes all of it the state, at once.
    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.txn.commit()?)
    }
}

impl Read for WriteTxn<'_> {
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError> {
        get(&self.txn, self.tables, table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        scan(&self.txn, self.tables, table, &range, visit)
    }
}

fn get<'t>(
    txn: &'t RoTxn<'_>,
    tables: &Tables,
    table: Table,
    key: Key,
) -> Result<Option<&'t [u8]>, StoreError> {
    let bytes = key.to_bytes();
    let Some(database) = &tables[table.index()] else { return Ok(None) };
    Ok(database.get(txn, &bytes[..width(table)])?)
}

fn scan(
    txn: &RoTxn<'_>,
    tables: &Tables,
    table: Table,
    range: &RangeInclusive<Key>,
    visit: &mut dyn FnMut(Key, &[u8]) -> bool,
) -> Result<(), StoreError> {
    let (from, to) = bounds(table, range);
    let bounds = (Bound::Included(&from[..width(table)]), Bound::Included(&to[..width(table)]));
    let Some(database) = &tables[table.index()] else { return Ok(()) };
    for entry in database.range(txn, &bounds)? {
        let (key, value) = entry?;
        if !visit(key_of(table, key)?, value) {
            break;
        }
    }
    Ok(())
}

const fn width(table: Table) -> usize {
    if table.is_wide() { 16 } else { 8 }
}

/// The first and the last key of `range` as bytes; in a table of single ids a range excludes the
/// first id when it starts behind it.
fn bounds(table: Table, range: &RangeInclusive<Key>) -> ([u8; 16], [u8; 16]) {
    let mut from = *range.start();
    if !table.is_wide() && from.id() > 0 {
        from = Key::one(from.owner().saturating_add(1));
    }
    (from.to_bytes(), range.end().to_bytes())
}

fn key_of(table: Table, bytes: &[u8]) -> Result<Key, StoreError> {
    Key::from_bytes(bytes).ok_or(StoreError::Damaged { table, key: Key::one(0) })
}

#[expect(unsafe_code, reason = "LMDB maps a file that other processes could change")]
fn open(
    options: &mut EnvOpenOptions<WithoutTls>,
    dir: &Path,
    flags: EnvFlags,
) -> Result<heed::Env<WithoutTls>, OpenError> {
    // SAFETY: without NO_LOCK, NO_SYNC costs durability over a crash of the system alone, and
    // such a store is discarded by its boot id.
    let options = unsafe { options.flags(flags) };
    // SAFETY: the file is ours, 0600 in a directory of 0700, and changed only through LMDB.
    unsafe { options.open(dir) }.map_err(|error| OpenError::new(dir, error))
}

#[expect(unsafe_code, reason = "LMDB cannot check that no transaction is open")]
fn resize(env: &heed::Env<WithoutTls>, map_bytes: usize) -> Result<(), StoreError> {
    // SAFETY: the caller holds `&mut Env`, from which every transaction borrows.
    Ok(unsafe { env.resize(map_bytes) }?)
}
