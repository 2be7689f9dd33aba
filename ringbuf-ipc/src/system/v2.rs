//! A ring of layout 2, read once from its file to go over into one of this layout. What is drawn here is all
//! that is left of that layout.
//!
//! ```text
//! header   14 words: magic, 2, id, slots, payload bytes, groups, partitions, members, five offsets, checksum
//! 4096     the producer's words as in this layout; two checkpoint slots at 8192 and 12288
//! 16384    768 bytes, then the group table: state +0, policy +8, max_absence +16, absent since +24,
//!          length of the name +32, loss +40, its end +48, name +64, floor +128, members from +384 (64 bytes
//!          each), then, at the next multiple of 128, partitions (128 bytes each: cursor +8)
//! then     descriptors of 64 bytes: position, offset, flags and length, key +24, tag, source, checksum
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::lock;
use crate::core::carry::{Estate, HeldBy, Inherited, KEPT};
use crate::core::checkpoint::checkpoint_sum;
use crate::core::geometry::partition_of;
use crate::core::layout::{MAGIC, PRODUCER, checksum, group, producer};
use crate::core::{Position, locks};

pub(crate) const VERSION: u64 = 2;
const CONTROL: u64 = 16_384;
const GROUPS: u64 = CONTROL + 768;
const CHECKPOINTS: [u64; 2] = [8192, 12_288];
const CHECKPOINT_MAX: u64 = 4032;
const DURABLE: u64 = 0;

struct Old<'a> {
    file: &'a File,
    slots: u64,
    groups: u16,
    partitions: u16,
    members: u16,
    descriptors: u64,
    tail: Position,
}

/// The ring's id and what goes over; the caller holds the locks of its producer and its table. An error of the
/// outer kind for a file that is no sound ring of that layout.
pub(crate) fn take_stock(file: &File) -> io::Result<(u64, Result<Estate, HeldBy>)> {
    let mut header = [0; 14];
    for (word, at) in header.iter_mut().zip((0..).step_by(8)) {
        *word = read(file, at)?;
    }
    let narrow = |word: u64| u16::try_from(word).unwrap_or(0);
    let old = Old {
        file,
        slots: header[3],
        groups: narrow(header[5]),
        partitions: narrow(header[6]),
        members: narrow(header[7]),
        descriptors: header[10],
        tail: read(file, PRODUCER as u64)?,
    };
    let sound = header[0] == MAGIC
        && header[1] == VERSION
        && checksum(&header[..13]) == header[13]
        && header[12] == file.metadata()?.len()
        && old.slots.is_power_of_two()
        && old.partitions.is_power_of_two();
    if !sound {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((header[2], old.estate()?))
}

impl Old<'_> {
    fn estate(&self) -> io::Result<Result<Estate, HeldBy>> {
        let mut groups = Vec::new();
        for index in 0..self.groups {
            match self.group(index)? {
                Ok(Some(group)) => groups.push(group),
                Ok(None) => {}
                Err(held) => return Ok(Err(held)),
            }
        }
        let figures = [
            producer::PUBLISHES,
            producer::WAKES,
            producer::STALLS,
            producer::STALLED_NS,
            producer::EVICTIONS,
            producer::BLOBS,
        ];
        let figures = figures
            .into_iter()
            .map(|figure| Ok((figure, read(self.file, (PRODUCER + figure) as u64)?)))
            .collect::<io::Result<_>>()?;
        let head = read(self.file, (PRODUCER + producer::PAYLOAD_HEAD) as u64)?;
        let (tail, checkpoint) = (self.tail, self.checkpoint()?);
        Ok(Ok(Estate { tail, head: head & !63, checkpoint, figures, groups }))
    }

    fn checkpoint(&self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let mut best: Option<(u64, u64, Vec<u8>)> = None;
        for at in CHECKPOINTS {
            let word = |offset| read(self.file, at + offset as u64);
            let (tag, length) = (word(producer::CHECKPOINT_TAG)?, word(producer::CHECKPOINT_LEN)?);
            let number = word(producer::CHECKPOINT_NUMBER)?;
            if tag > self.tail || length > CHECKPOINT_MAX {
                continue;
            }
            let mut bytes = vec![0; length as usize];
            self.file.read_exact_at(&mut bytes, at + producer::CHECKPOINT_BYTES as u64)?;
            if checkpoint_sum(tag, number, &bytes) == word(producer::CHECKPOINT_SUM)?
                && best.as_ref().is_none_or(|best| (best.0, best.1) < (tag, number))
            {
                best = Some((tag, number, bytes));
            }
        }
        Ok(best.map(|(_, number, bytes)| (bytes, number)))
    }

    fn group(&self, index: u16) -> io::Result<Result<Option<Inherited>, HeldBy>> {
        let members_end = 384 + u64::from(self.members) * 64;
        let partitions_at = members_end.next_multiple_of(128);
        let bytes = partitions_at + u64::from(self.partitions) * 128;
        let at = GROUPS + u64::from(index) * bytes;
        let state = read(self.file, at)?;
        let active = match state & 0xFF {
            2 => true,
            3 => false,
            _ => return Ok(Ok(None)),
        };
        let alive = lock::is_held(self.file, locks::member(index, 0), self.members.into());
        if active && read(self.file, at + 8)? != DURABLE && !alive {
            return Ok(Ok(None));
        }
        let length = read(self.file, at + 32)?.min(group::NAME_MAX as u64);
        let mut name = vec![0; length as usize];
        self.file.read_exact_at(&mut name, at + 64)?;
        let cursors = (0..u64::from(self.partitions))
            .map(|partition| read(self.file, at + partitions_at + partition * 128 + 8))
            .collect::<io::Result<Vec<_>>>()?;
        let lowest = cursors.iter().copied().min().unwrap_or(self.tail).min(self.tail);
        if active && let Some(lag) = self.lag(&cursors, lowest)? {
            let name = String::from_utf8_lossy(&name).into_owned();
            return Ok(Err(HeldBy::Group { name, lag }));
        }
        let words = KEPT
            .into_iter()
            .map(|word| {
                // Those that both layouts have are where they were.
                Ok((
                    word,
                    if word <= group::LOST_TO { read(self.file, at + word as u64)? } else { 0 },
                ))
            })
            .collect::<io::Result<_>>()?;
        let stands = if active { self.tail } else { lowest };
        Ok(Ok(Some(Inherited { index, state, stands, words, name })))
    }

    /// Records from the first that is not acknowledged, if any is.
    fn lag(&self, cursors: &[Position], from: Position) -> io::Result<Option<u64>> {
        for position in from.max(self.tail.saturating_sub(self.slots))..self.tail {
            let at = self.descriptors + (position & (self.slots - 1)) * 64;
            let partition = partition_of(read(self.file, at + 24)?, self.partitions);
            if cursors.get(usize::from(partition)).is_some_and(|cursor| *cursor <= position) {
                return Ok(Some(self.tail - position));
            }
        }
        Ok(None)
    }
}

fn read(file: &File, at: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at)?;
    Ok(u64::from_le_bytes(bytes))
}
