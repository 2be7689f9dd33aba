//! Frames: what a copy says.

use mixcord_blocks::Format;
use mixcord_event::record::{KEYS, KINDS, LAYOUT};
use mixcord_event::sections;
use mixcord_state::{Key, Table, format};

use crate::LoadError;

/// What a copy calls itself.
pub(crate) const FORMAT: Format = Format { magic: *b"mixcopy\n", version: 1 };

pub(crate) const HEAD: u8 = 1;
pub(crate) const VALUE: u8 = 2;
pub(crate) const GONE: u8 = 3;
pub(crate) const ANEW: u8 = 4;
pub(crate) const END: u8 = 5;

/// Bytes of a key.
pub(crate) const KEY: usize = 18;
/// The longest frame: the longest value, and its key.
pub(crate) const FRAME_MAX: u64 = mixcord_state::VALUE_MAX as u64 + KEY as u64;

/// The sections of the head.
const STORE: u8 = 2;
const DOCUMENTS: u8 = 3;
const EXPECTED: u8 = 4;
const WRITER: &str = concat!("mixcord ", env!("CARGO_PKG_VERSION"));

/// The head's content; `expected` values will follow, about.
pub(crate) fn head(expected: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    sections::put(&mut bytes, sections::WRITER, 1, WRITER.as_bytes());
    sections::put(&mut bytes, STORE, 1, &format::version().to_le_bytes());
    sections::put(&mut bytes, DOCUMENTS, 1, &words(&documents()));
    sections::put(&mut bytes, EXPECTED, 1, &expected.to_le_bytes());
    bytes
}

/// What the documents of this release may hold.
fn documents() -> [u64; 3] {
    [u64::from(LAYOUT), KEYS as u64, KINDS as u64]
}

/// Reads the head: how many values to expect, if this release can read what follows.
pub(crate) fn check_head(bytes: &[u8]) -> Result<u64, LoadError> {
    let by = || sections::writer(bytes).unwrap_or("another program").to_owned();
    let store = sections::find(bytes, STORE, 1).and_then(<[u8]>::first_chunk);
    let (found, known) = (store.map_or(0, |word| u32::from_le_bytes(*word)), format::version());
    if found != known {
        let (found, known) = (found.into(), known.into());
        return Err(LoadError::Other { by: by(), what: "format of the store", found, known });
    }
    let found = sections::find(bytes, DOCUMENTS, 1).map(numbers::<3>).unwrap_or_default();
    let names = ["layout of documents", "keys", "kinds"];
    for ((found, known), what) in found.into_iter().zip(documents()).zip(names) {
        // Older ones are read, and another layout is not.
        if found > known || found == 0 || (what == names[0] && found != known) {
            return Err(LoadError::Other { by: by(), what, found, known });
        }
    }
    let expected = sections::find(bytes, EXPECTED, 1).map(numbers::<1>).unwrap_or_default();
    Ok(expected[0])
}

/// Words as bytes.
pub(crate) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Bytes as words; what is missing is 0.
pub(crate) fn numbers<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut numbers = [0; N];
    for (number, word) in numbers.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *number = u64::from_le_bytes(*word);
    }
    numbers
}

pub(crate) fn key(key: Key) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    // There are far fewer tables.
    bytes[..2].copy_from_slice(&(key.table().index() as u16).to_le_bytes());
    bytes[2..10].copy_from_slice(&key.owner().to_le_bytes());
    bytes[10..].copy_from_slice(&key.id().to_le_bytes());
    bytes
}

/// A key, and what stands behind it.
pub(crate) fn split_key(bytes: &[u8]) -> Result<(Key, &[u8]), LoadError> {
    let (key, rest) =
        bytes.split_first_chunk::<KEY>().ok_or(LoadError::Wrong("a frame is too short"))?;
    let [t0, t1, ids @ ..] = key;
    let [owner, id] = numbers(ids);
    let table = Table::ALL.get(usize::from(u16::from_le_bytes([*t0, *t1])));
    let key = table.and_then(|table| table.checked_key(owner, id));
    Ok((key.ok_or(LoadError::Wrong("a key is of no table"))?, rest))
}
