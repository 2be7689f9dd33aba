//! Several values of one moment.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::error::ReadError;
use crate::journal::{Overrun, Point};
use crate::key::{Key, TableId};
use crate::reader::Reader;
use crate::writer::Note;

/// Rounds before a moment is given up: with a writer that lives each is a fraction of the one before.
const ROUNDS: u32 = 10_000;
/// Begins anew because the journal was overrun.
const STARTS: u32 = 100;
/// A key that is noted, bytes, beside its value.
const KEY_BYTES: u64 = 64;

/// What a moment is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Want {
    /// All that an owner has in a table of pairs.
    Owner(TableId, u64),
    /// One value.
    Key(TableId, Key),
}

/// Values as one batch left them, all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The batch.
    pub batch: u64,
    /// What its writer noted with it.
    pub note: Note,
    /// What was there of what was wanted, in the order of tables and keys.
    pub values: Vec<(TableId, Key, Vec<u8>)>,
}

/// Is shown a value, and may want others for it.
type More<'a> = dyn FnMut(TableId, Key, &[u8], &mut Vec<Want>) + 'a;

/// The values so far.
#[derive(Default)]
struct Gathered {
    owners: HashSet<(TableId, u64), RandomState>,
    /// Of those that were wanted by key, and of those of which an owner was wanted.
    values: HashMap<(TableId, Key), Option<Vec<u8>>, RandomState>,
    keys: HashSet<(TableId, Key), RandomState>,
    bytes: u64,
}

impl Reader {
    /// Copies what is wanted as one batch left it, up to `bytes_max` bytes.
    ///
    /// `more` is shown each value that was copied and may want others for it: a member's user, say. It may
    /// be shown values that are not in the end result.
    ///
    /// Ends however fast the writer goes on, since each round copies only what changed in the one before.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`]; [`ReadError::Unsettled`] if the writer was killed in the middle of a batch
    /// that changes what is wanted; else as for [`Reader::get`].
    pub fn moment(
        &self,
        wants: &[Want],
        bytes_max: u64,
        mut more: impl FnMut(TableId, Key, &[u8], &mut Vec<Want>),
    ) -> Result<Moment, ReadError> {
        for _ in 0..STARTS {
            if let Ok(moment) = self.try_moment(wants, bytes_max, &mut more)? {
                return Ok(moment);
            }
        }
        Err(ReadError::Unsettled)
    }

    fn try_moment(
        &self,
        wants: &[Want],
        bytes_max: u64,
        more: &mut More<'_>,
    ) -> Result<Result<Moment, Overrun>, ReadError> {
        let mut gathered = Gathered::default();
        let mut wants = wants.to_vec();
        let mut from = self.point()?.seen;
        let mut changed = Vec::new();
        for round in 0..ROUNDS {
            for (table, key) in changed.drain(..) {
                gathered.copy(self, table, key, more, &mut wants)?;
            }
            while let Some(want) = wants.pop() {
                gathered.want(self, want, bytes_max, more, &mut wants)?;
            }
            if gathered.bytes > bytes_max {
                return Err(ReadError::TooLarge { bytes_max });
            }
            // Behind the copies: whatever they saw is committed by this batch.
            let point = self.point()?;
            let entries = self.entries(from, point.behind, |entry| {
                if gathered.wants(entry.table, entry.key) {
                    changed.push((entry.table, entry.key));
                }
            });
            if let Err(overrun) = entries {
                return Ok(Err(overrun));
            }
            if changed.is_empty() {
                return Ok(Ok(gathered.of(point)));
            }
            changed.sort_unstable();
            changed.dedup();
            from = point.seen;
            if round > 100 {
                std::thread::yield_now();
            }
        }
        Err(ReadError::Unsettled)
    }
}

impl Gathered {
    fn wants(&self, table: TableId, key: Key) -> bool {
        self.owners.contains(&(table, key.owner)) || self.keys.contains(&(table, key))
    }

    /// Copies what is wanted, if it is not yet.
    fn want(
        &mut self,
        reader: &Reader,
        want: Want,
        bytes_max: u64,
        more: &mut More<'_>,
        wants: &mut Vec<Want>,
    ) -> Result<(), ReadError> {
        match want {
            Want::Key(table, key) => {
                if self.keys.insert((table, key)) && !self.owners.contains(&(table, key.owner)) {
                    self.copy(reader, table, key, more, wants)?;
                }
            }
            Want::Owner(table, owner) => {
                if !self.owners.insert((table, owner)) {
                    return Ok(());
                }
                let (mut ids, mut from) = (Vec::new(), Some(0));
                while let Some(begin) = from {
                    ids.clear();
                    from = reader.ids(table, owner, begin, &mut ids)?;
                    for id in &ids {
                        self.copy(reader, table, Key::new(owner, *id), more, wants)?;
                    }
                    if self.bytes > bytes_max {
                        return Err(ReadError::TooLarge { bytes_max });
                    }
                }
            }
        }
        Ok(())
    }

    fn copy(
        &mut self,
        reader: &Reader,
        table: TableId,
        key: Key,
        more: &mut More<'_>,
        wants: &mut Vec<Want>,
    ) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        let found = reader.get(table, key, &mut bytes)?;
        if found {
            more(table, key, &bytes, wants);
        }
        let value = found.then_some(bytes);
        let len = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, |value| value.len() as u64);
        self.bytes += KEY_BYTES + len(&value);
        if let Some(before) = self.values.insert((table, key), value) {
            self.bytes -= KEY_BYTES + len(&before);
        }
        Ok(())
    }

    fn of(self, point: Point) -> Moment {
        let there = |((table, key), value): ((TableId, Key), Option<Vec<u8>>)| {
            value.map(|value| (table, key, value))
        };
        let mut values: Vec<_> = self.values.into_iter().filter_map(there).collect();
        values.sort_unstable_by_key(|(table, key, _)| (*table, *key));
        Moment { batch: point.batch, note: point.note, values }
    }
}
