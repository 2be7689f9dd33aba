//! The bytes of a list's head and of its chunks.

use crate::error::Damage;
use crate::layout::COUNT_MAX;

/// Where a chunk begins, and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct At {
    pub(super) first: u64,
    pub(super) number: u64,
}

/// Where each chunk begins. There is at least one, and the first begins at 0.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) next_number: u64,
    pub(super) chunks: Vec<At>,
}

impl Default for Head {
    fn default() -> Self {
        Self { next_number: 1, chunks: vec![At { first: 0, number: 0 }] }
    }
}

impl Head {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let wrong = Damage { what: "the head of a list", at: 0 };
        let (words, []) = bytes.as_chunks::<8>() else { return Err(wrong) };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let next_number = words.next().ok_or(wrong)?;
        let mut chunks = Vec::with_capacity(words.len() / 2);
        while let Some(first) = words.next() {
            chunks.push(At { first, number: words.next().ok_or(wrong)? });
        }
        let sorted = chunks.is_sorted_by(|a, b| a.first < b.first);
        if !sorted || next_number > COUNT_MAX || chunks.first().is_none_or(|at| at.first != 0) {
            return Err(wrong);
        }
        Ok(Self { next_number, chunks })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.chunks.len() * 16);
        bytes.extend_from_slice(&self.next_number.to_le_bytes());
        for At { first, number } in &self.chunks {
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Which chunk an id belongs to.
    pub(super) fn place(&self, id: u64) -> usize {
        self.chunks.partition_point(|at| at.first <= id) - 1
    }
}

/// Ids, and the chunk behind them.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) behind: Option<At>,
    pub(super) ids: Vec<u64>,
}

impl Chunk {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let wrong = Damage { what: "a chunk of a list", at: 0 };
        let (words, []) = bytes.as_chunks::<8>() else { return Err(wrong) };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let (Some(first), Some(number)) = (words.next(), words.next()) else { return Err(wrong) };
        let ids: Vec<u64> = words.collect();
        let behind = (first != 0).then_some(At { first, number });
        let inside = behind.is_none_or(|at| ids.last().is_none_or(|last| *last < at.first));
        if !inside || !ids.is_sorted_by(|a, b| a < b) {
            return Err(wrong);
        }
        Ok(Self { behind, ids })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let At { first, number } = self.behind.unwrap_or(At { first: 0, number: 0 });
        let mut bytes = vec![0; 16 + self.ids.len() * 8];
        let (head, ids) = bytes.split_at_mut(16);
        write_words(head, &[first, number]);
        write_words(ids, &self.ids);
        bytes
    }
}

fn write_words(bytes: &mut [u8], words: &[u64]) {
    let places = bytes.as_chunks_mut().0.iter_mut();
    places.zip(words).for_each(|(to, word)| *to = word.to_le_bytes());
}
