//! How much each table holds: counted by the writer, told in the header with each batch, and counted anew
//! at each start. Figures for people: nothing is decided by them.

use mixcord_memory::Ordering;

use crate::key::TableId;
use crate::layout::{AT_TOTALS, Place, TOTALS_TABLES};
use crate::space::Space;

/// How much of something there is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Values.
    pub values: u64,
    /// Bytes of the places they take, and of those of what keeps their order.
    pub bytes: u64,
}

/// The totals of each table.
#[derive(Debug)]
pub(crate) struct Counted {
    tables: [Totals; TOTALS_TABLES],
    /// Tables whose totals are not told yet, a bit each.
    changed: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self { tables: [Totals::default(); TOTALS_TABLES], changed: 0 }
    }
}

impl Counted {
    /// A value lies there now.
    pub(crate) fn add(&mut self, table: TableId, place: Place) {
        self.change(table, |totals, is_value| {
            totals.values += u64::from(is_value);
            totals.bytes += place.bytes();
        });
    }

    /// It does not any more.
    pub(crate) fn remove(&mut self, table: TableId, place: Place) {
        self.change(table, |totals, is_value| {
            totals.values = totals.values.saturating_sub(u64::from(is_value));
            totals.bytes = totals.bytes.saturating_sub(place.bytes());
        });
    }

    fn change(&mut self, table: TableId, change: impl Fn(&mut Totals, bool)) {
        let number = usize::from(table.number());
        let Some(totals) = self.tables.get_mut(number) else { return };
        change(totals, !table.is_list());
        self.changed |= 1 << number;
    }

    /// Tells what changed.
    pub(crate) fn tell(&mut self, space: &Space) {
        while self.changed != 0 {
            let number = self.changed.trailing_zeros() as usize;
            self.changed &= self.changed - 1;
            let Totals { values, bytes } = self.tables[number];
            space.memory().store(at(number), values, Ordering::Relaxed);
            space.memory().store(at(number) + 8, bytes, Ordering::Relaxed);
        }
    }
}

/// What the writer told last.
pub(crate) fn told(space: &Space, table: TableId) -> Totals {
    let number = usize::from(table.number());
    if number >= TOTALS_TABLES {
        return Totals::default();
    }
    let [values, bytes] = space.memory().load_words::<2>(at(number));
    Totals { values, bytes }
}

const fn at(number: usize) -> usize {
    AT_TOTALS + number * 16
}
