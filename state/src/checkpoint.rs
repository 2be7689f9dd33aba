//! What the cache leaves in its output ring with every commit.

use std::collections::BTreeMap;

use mixcord_event::{Origin, sections};

/// How far a shard's ring was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InputPosition {
    /// Id of the ring.
    pub ring: u64,
    /// The first record not read to its end.
    pub position: u64,
    /// Its outputs before this index are delivered: a record may have more than one batch can hold.
    /// Mostly 0.
    pub index: u16,
    /// Where that record stands in the log that it came from first, which is the same on every machine; 0 where that is
    /// not known.
    pub origin: Origin,
}

impl InputPosition {
    /// Nothing of the record at `position` is delivered.
    #[must_use]
    pub const fn whole(ring: u64, position: u64) -> Self {
        Self { ring, position, index: 0, origin: Origin { ring: 0, position: 0 } }
    }

    /// All of the ring was read and nobody writes it: it is about to be removed.
    #[must_use]
    pub const fn ended(ring: u64) -> Self {
        Self::whole(ring, ENDED)
    }

    /// As the store keeps it under [`meta::input`](crate::meta::input).
    #[must_use]
    pub fn to_words(&self) -> Vec<u8> {
        let Origin { ring: log, position: at } = self.origin;
        let words = [self.ring, self.position, self.index.into(), log, at];
        words.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    /// Reads what the store keeps; older ones say nothing of the origin.
    #[must_use]
    pub fn from_words(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let (ring, position) = (words.next()?, words.next()?);
        let index = words.next().and_then(|index| u16::try_from(index).ok())?;
        let origin = words.next().zip(words.next());
        let origin = origin.map(|(ring, position)| Origin { ring, position }).unwrap_or_default();
        Some(Self { ring, position, index, origin })
    }

    /// Whether the ring is about to be removed, or was.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.position == ENDED
    }

    /// Whether it is about the ring `id`. The id it has may be folded.
    #[must_use]
    pub const fn is_of(&self, id: u64) -> bool {
        self.ring == id || Checkpoint::is_ring(self.ring, id)
    }
}

/// Positions by (shard count, shard).
pub type Inputs = BTreeMap<(u16, u16), InputPosition>;

/// The output ring's checkpoint: whose state belongs to the ring's tail, and how far each input
/// was read for it.
///
/// Ring ids are folded to 32 bits there, so that it stays short; compare with
/// [`Checkpoint::is_ring`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Checkpoint {
    /// Id of the store, 0 without one. Another id means the store was rebuilt: open it again.
    pub store: u64,
    /// Positions; their ring ids are folded.
    pub inputs: Inputs,
    /// The shard count whose rings are read.
    pub shards: Option<u16>,
    /// When the latest record that is applied was received, in microseconds since 1970; 0 if none is.
    pub applied_us: u64,
    /// Until when what the rings of that count received is left out; 0 if nothing is.
    pub cut_us: u64,
}

/// Bytes that are no checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("the output ring's checkpoint was written by another version of mixcord-cache")]
pub struct CheckpointError;

/// The head is what it always was, so that consumers of any release find the store in it.
const VERSION: u8 = 1;
/// Bytes of the head: the version and the store.
const HEAD: usize = 9;
/// Stands behind the head when sections follow. Before there were any, positions followed, which
/// begin with a shard count.
const SECTIONS: [u8; 2] = [0; 2];
/// The section with the positions.
const INPUTS: u8 = 2;
/// Raised only when positions begin to mean something else: they are lost to older caches then.
const INPUTS_VERSION: u8 = 1;
/// Who writes this.
const WRITER: &str = concat!("mixcord-cache ", env!("CARGO_PKG_VERSION"));
/// Bytes that are not positions: the head, and two sections' own.
const OVERHEAD: usize = HEAD + SECTIONS.len() + 2 * 6 + WRITER.len();
/// A position: shard count, shard, ring, position. Or, with 0 for the shard count, what is delivered
/// of the record at one: 0, shard count, shard, index, and six bytes of 0. Or, with 0 for both, a fact:
/// 0, 0, which, and a number of eight bytes; whoever does not know which leaves it out.
const ENTRY: usize = 14;
/// Positions take six bytes: at a million events a second they last nine years.
const POSITION: usize = 6;
/// The position of a ring that ended. No ring comes so far.
const ENDED: u64 = (1 << (8 * POSITION)) - 1;

/// Facts.
const SHARDS: u16 = 0;
const APPLIED: u16 = 1;
const CUT: u16 = 2;

impl Checkpoint {
    /// The bytes, at most `limit` of them: what does not fit is left out, the highest shards first, and
    /// before them those that are not of the shard count whose rings are read, and of each count first that
    /// a record is delivered in part, which would begin again if the store were lost right then. 64 KiB
    /// have room for all of 1,024 shards, twice.
    #[must_use]
    pub fn to_bytes(&self, limit: usize) -> Vec<u8> {
        let facts = [
            (SHARDS, self.shards.unwrap_or(0).into()),
            (APPLIED, self.applied_us),
            (CUT, self.cut_us),
        ];
        let mut entries = Entries::new(limit.saturating_sub(OVERHEAD) / ENTRY);
        facts.into_iter().filter(|(_, number)| *number > 0).for_each(|it| entries.put(fact(it)));
        for of_current in [true, false] {
            let inputs = self.inputs.iter();
            entries.put_all(inputs.filter(|(of, _)| (Some(of.0) == self.shards) == of_current));
        }
        let Entries { bytes: entries, .. } = entries;
        let mut bytes = Vec::with_capacity(OVERHEAD + entries.len());
        bytes.extend_from_slice(&Self::head(self.store));
        bytes.extend_from_slice(&SECTIONS);
        sections::put(&mut bytes, INPUTS, INPUTS_VERSION, &entries);
        sections::put(&mut bytes, sections::WRITER, 1, WRITER.as_bytes());
        bytes
    }

    /// The first bytes of a checkpoint with this store.
    #[must_use]
    pub fn head(store: u64) -> [u8; HEAD] {
        let mut head = [VERSION; HEAD];
        head[1..].copy_from_slice(&store.to_le_bytes());
        head
    }

    /// The store's id alone.
    pub fn store_in(bytes: &[u8]) -> Result<u64, CheckpointError> {
        match bytes.first_chunk::<HEAD>() {
            Some([VERSION, store @ ..]) => Ok(u64::from_le_bytes(*store)),
            _ => Err(CheckpointError),
        }
    }

    /// Which program wrote a checkpoint, if it says so.
    #[must_use]
    pub fn writer_in(bytes: &[u8]) -> Option<&str> {
        sections::writer(Self::sections_in(bytes)?)
    }

    /// The sections of a checkpoint, if it has such.
    #[must_use]
    pub fn sections_in(bytes: &[u8]) -> Option<&[u8]> {
        let (_, rest) = bytes.split_first_chunk::<HEAD>()?;
        rest.strip_prefix(&SECTIONS)
    }

    /// Reads what [`Checkpoint::to_bytes`] of any release wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(CheckpointError)?;
        let [version, store @ ..] = *head;
        let entries = match rest.strip_prefix(&SECTIONS) {
            Some(sections) => sections::find(sections, INPUTS, INPUTS_VERSION).unwrap_or_default(),
            None => rest,
        };
        if version != VERSION || entries.len() % ENTRY != 0 {
            return Err(CheckpointError);
        }
        let mut read = Self { store: u64::from_le_bytes(store), ..Self::default() };
        for entry in entries.chunks_exact(ENTRY) {
            let entry: &[u8; ENTRY] = entry.try_into().map_err(|_| CheckpointError)?;
            let [s0, s1, n0, n1, r0, r1, r2, r3, p0, p1, p2, p3, p4, p5] = *entry;
            let (shards, shard) = (u16::from_le_bytes([s0, s1]), u16::from_le_bytes([n0, n1]));
            if (shards, shard) == (0, 0) {
                let number = u64::from_le_bytes([r2, r3, p0, p1, p2, p3, p4, p5]);
                match u16::from_le_bytes([r0, r1]) {
                    SHARDS => read.shards = u16::try_from(number).ok(),
                    APPLIED => read.applied_us = number,
                    CUT => read.cut_us = number,
                    _ => {}
                }
                continue;
            }
            if shards == 0 {
                let of = (shard, u16::from_le_bytes([r0, r1]));
                if let Some(input) = read.inputs.get_mut(&of) {
                    input.index = u16::from_le_bytes([r2, r3]);
                }
                continue;
            }
            let ring = u64::from(u32::from_le_bytes([r0, r1, r2, r3]));
            let position = u64::from_le_bytes([p0, p1, p2, p3, p4, p5, 0, 0]);
            read.inputs.insert((shards, shard), InputPosition::whole(ring, position));
        }
        Ok(read)
    }

    /// Whether a folded id stands for the ring `id`.
    #[must_use]
    pub const fn is_ring(folded: u64, id: u64) -> bool {
        folded == fold(id) as u64
    }
}

/// Entries as they are written, as many as there is room for.
struct Entries {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Entries {
    /// None, and room for so many.
    fn new(count_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max: count_max * ENTRY }
    }

    fn put(&mut self, entry: [u8; ENTRY]) {
        if self.bytes.len() < self.bytes_max {
            self.bytes.extend_from_slice(&entry);
        }
    }

    /// Positions, and then what is delivered of the records at them.
    fn put_all<'a>(&mut self, inputs: impl Iterator<Item = (&'a (u16, u16), &'a InputPosition)>) {
        let mut parts = Vec::new();
        for input in inputs {
            self.put(position(input));
            if input.1.index > 0 {
                parts.push(part(input));
            }
        }
        parts.into_iter().for_each(|part| self.put(part));
    }
}

/// The entry of a position.
fn position((&(shards, shard), input): (&(u16, u16), &InputPosition)) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[0..2].copy_from_slice(&shards.to_le_bytes());
    entry[2..4].copy_from_slice(&shard.to_le_bytes());
    entry[4..8].copy_from_slice(&fold(input.ring).to_le_bytes());
    entry[8..].copy_from_slice(&input.position.to_le_bytes()[..POSITION]);
    entry
}

/// The entry of what is delivered of the record at a position.
fn part((&(shards, shard), input): (&(u16, u16), &InputPosition)) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[2..4].copy_from_slice(&shards.to_le_bytes());
    entry[4..6].copy_from_slice(&shard.to_le_bytes());
    entry[6..8].copy_from_slice(&input.index.to_le_bytes());
    entry
}

/// The entry of a fact.
fn fact((which, number): (u16, u64)) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[4..6].copy_from_slice(&which.to_le_bytes());
    entry[6..].copy_from_slice(&number.to_le_bytes());
    entry
}

const fn fold(id: u64) -> u32 {
    (id ^ (id >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_with_folded_ids() {
        let ring = 0x1234_5678_9ABC_DEF0;
        let mut inputs = Inputs::new();
        inputs.insert((2, 0), InputPosition::whole(ring, 1));
        inputs.insert((2, 1), InputPosition { index: 5, ..InputPosition::whole(ring, 77) });
        inputs.insert((3, 2), InputPosition::ended(ring));
        let written =
            Checkpoint { store: 5, inputs, shards: Some(2), applied_us: 1 << 60, cut_us: 9 };
        let read = Checkpoint::from_bytes(&written.to_bytes(4032)).unwrap();
        assert_eq!((read.shards, read.applied_us, read.cut_us), (Some(2), 1 << 60, 9));
        let input = read.inputs[&(2, 1)];
        assert_eq!((read.store, input.position, input.index), (5, 77, 5));
        assert_eq!((read.inputs.len(), read.inputs[&(2, 0)].index), (3, 0));
        let ended = read.inputs[&(3, 2)];
        assert!(ended.is_ended() && ended.is_of(ring) && !ended.is_of(ring + 1));
        assert!(!input.is_ended());
        let bytes = read.to_bytes(4032);
        assert!(bytes.starts_with(&Checkpoint::head(5)));
        assert_eq!(Checkpoint::store_in(&bytes).unwrap(), 5);
        assert!(Checkpoint::is_ring(input.ring, ring));
        assert!(!Checkpoint::is_ring(input.ring, ring + 1));
    }

    #[test]
    fn the_positions_of_256_shards_fit() {
        let input = InputPosition { index: 9, ..InputPosition::whole(u64::MAX, (1 << 48) - 1) };
        let inputs: Inputs = (0..256).map(|shard| ((256, shard), input)).collect();
        let bytes = Checkpoint { store: 1, inputs, shards: Some(256), applied_us: 1, cut_us: 1 }
            .to_bytes(4032);
        let read = Checkpoint::from_bytes(&bytes).unwrap().inputs;
        assert_eq!(read.len(), 256);
        assert_eq!(read.values().filter(|input| input.index == 9).count(), 26);
    }

    #[test]
    fn what_is_read_comes_before_what_was_read_with_another_count() {
        let input = InputPosition { index: 1, ..InputPosition::whole(7, 1) };
        let shards = [120, 130, 140].into_iter();
        let inputs: Inputs =
            shards.flat_map(|count| (0..count).map(move |shard| ((count, shard), input))).collect();
        let bytes = Checkpoint { store: 1, inputs, shards: Some(140), ..Checkpoint::default() }
            .to_bytes(4032);
        let read = Checkpoint::from_bytes(&bytes).unwrap().inputs;
        assert_eq!(read.keys().filter(|of| of.0 == 140).count(), 140);
        assert!(read.iter().filter(|(of, _)| of.0 == 140).all(|(_, input)| input.index == 1));
    }

    /// What the cache of 2026-11 left, before there were sections: two positions, one of them in part.
    const BEFORE: &[u8] = b"\x01\x05\x00\x00\x00\x00\x00\x00\x00\
        \x02\x00\x00\x00\xaa\xaa\xaa\xaa\x01\x00\x00\x00\x00\x00\
        \x02\x00\x01\x00\xbb\xbb\xbb\xbb\x4d\x00\x00\x00\x00\x00\
        \x00\x00\x02\x00\x01\x00\x05\x00\x00\x00\x00\x00\x00\x00";

    #[test]
    fn p11_the_positions_of_older_and_newer_caches_are_read() {
        let mut inputs = Inputs::new();
        inputs.insert((2, 0), InputPosition::whole(0xaaaa_aaaa, 1));
        inputs.insert((2, 1), InputPosition { index: 5, ..InputPosition::whole(0xbbbb_bbbb, 77) });
        let expected = Checkpoint { store: 5, inputs, ..Checkpoint::default() };
        assert_eq!(Checkpoint::from_bytes(BEFORE).unwrap(), expected);
        assert_eq!(Checkpoint::writer_in(BEFORE), None);
        let now = expected.to_bytes(4032);
        assert_eq!(Checkpoint::from_bytes(&now).unwrap(), expected);
        assert_eq!(Checkpoint::writer_in(&now), Some(WRITER));
        // Of a release that has more to say, before and behind.
        let mut newer = now[..HEAD + 2].to_vec();
        sections::put(&mut newer, 99, 1, &[0xff; 3]);
        newer.extend_from_slice(&now[HEAD + 2..]);
        sections::put(&mut newer, 98, 7, b"");
        assert_eq!(Checkpoint::from_bytes(&newer).unwrap(), expected);
        assert_eq!(Checkpoint::store_in(&newer).unwrap(), 5);
        assert!(
            newer.starts_with(&Checkpoint::head(5)) && BEFORE.starts_with(&Checkpoint::head(5))
        );
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(Checkpoint::from_bytes(&[]).is_err() && Checkpoint::store_in(&[9; 99]).is_err());
        assert!(Checkpoint::from_bytes(&[9; HEAD]).is_err());
        assert!(Checkpoint::from_bytes(&[VERSION; HEAD + 3]).is_err());
    }
}
