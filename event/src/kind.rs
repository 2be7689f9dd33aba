//! What happened: Discord's dispatch names and Mixcord's own.

use std::fmt;

use crate::names::Table;

include!(concat!(env!("OUT_DIR"), "/kinds.rs"));

/// How many kinds have a number in records, beside Mixcord's own.
pub(crate) const KINDS: usize = FROZEN;

const TABLE: Table<{ 1 << BITS }> =
    Table { slots: &SLOTS, displacements: &DISPLACEMENTS, seed: SEED, names: &NAMES };

/// The kind of an event.
///
/// Discord's names have the number of their place in `kinds.txt`; a name that is not there is
/// [`Kind::UNKNOWN`], and its record carries the name. So does the record of a kind that Discord added
/// after the layout of records was made ([`Kind::is_later`]), so that every reader of the layout reads it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u16);

impl Kind {
    /// A dispatch whose name is not in the table; the record says which.
    pub const UNKNOWN: Self = Self(0);
    /// Mixcord's own: events were lost (`shard`, `from_seq`, `to_seq`, `reason`).
    pub const GAP: Self = Self(0x0100);
    /// Mixcord's own: a shard changed its state (`shard`, `shards`, `state`, `session_id`, `latency_ms`), or a change of
    /// the shard count went on (`reshard`: `from`, `to`, `stage`).
    pub const SHARD_STATE: Self = Self(0x0101);
    /// The first of those that travel by name: no number in a record.
    const LATER: u16 = 0x8000;

    /// The kind with this name; `None` when the table lacks it.
    #[inline]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match Self::from_dispatch(name) {
            Some(kind) => Some(kind),
            None if name == b"GAP" => Some(Self::GAP),
            None if name == b"SHARD_STATE" => Some(Self::SHARD_STATE),
            None => None,
        }
    }

    /// The kind of a dispatch that came from Discord: never one of Mixcord's own.
    #[inline]
    pub fn from_dispatch(name: &[u8]) -> Option<Self> {
        match Self::dispatch_in(name, name.len()) {
            Some(kind) => Some(kind),
            None => Self::later(name),
        }
    }

    /// The kind that travels by this name.
    pub(crate) fn later(name: &[u8]) -> Option<Self> {
        let place = NAMES[FROZEN..].iter().position(|later| later.as_bytes() == name)?;
        Some(Self(Self::LATER + (FROZEN + place) as u16))
    }

    /// Looks up the first `len` bytes of `bytes`, which are no fewer, among the kinds with a number.
    #[inline(always)]
    pub(crate) fn dispatch_in(bytes: &[u8], len: usize) -> Option<Self> {
        TABLE.find(bytes, len).map(|slot| Self(slot.index + 1))
    }

    /// The kind with this number in records, if there is one.
    #[inline]
    pub fn from_number(number: u16) -> Option<Self> {
        let kind = Self(number);
        (usize::from(number) <= FROZEN || kind.is_internal()).then_some(kind)
    }

    /// The number that stands in records: that of [`Kind::UNKNOWN`] for those that travel by name.
    #[inline]
    pub const fn number(self) -> u16 {
        if self.is_later() { Self::UNKNOWN.0 } else { self.0 }
    }

    /// Whether it came after the layout of records: its records carry its name.
    #[inline]
    pub const fn is_later(self) -> bool {
        self.0 >= Self::LATER
    }

    /// The name that a record of this kind carries; `unknown` is that of an unknown one.
    pub(crate) fn carried(self, unknown: &str) -> &str {
        match self {
            Self::UNKNOWN => unknown,
            later if later.is_later() => later.name(),
            _ => "",
        }
    }

    /// Its name; `"UNKNOWN"` for [`Kind::UNKNOWN`], whose real name stands in the record.
    #[inline]
    pub fn name(self) -> &'static str {
        match self {
            Self::UNKNOWN => "UNKNOWN",
            Self::GAP => "GAP",
            Self::SHARD_STATE => "SHARD_STATE",
            Self(number) => match number.checked_sub(Self::LATER) {
                Some(later) => NAMES[usize::from(later)],
                None => NAMES[usize::from(number) - 1],
            },
        }
    }

    /// Whether Mixcord made it up ([`Kind::GAP`], [`Kind::SHARD_STATE`]).
    #[inline]
    pub const fn is_internal(self) -> bool {
        self.0 == Self::GAP.0 || self.0 == Self::SHARD_STATE.0
    }

    /// Discord's documented names, in the order of the documentation.
    pub fn documented() -> impl Iterator<Item = Self> {
        let later = FROZEN as u16..NAMES.len() as u16;
        (1..=FROZEN as u16).map(Self).chain(later.map(|place| Self(Self::LATER + place)))
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
