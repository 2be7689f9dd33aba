//! What must hold for every recording, whoever wrote it.

use std::cell::Cell;

use mixcord_recording::{Item, Player, Reader, Speed};
use mixcord_ring::Namespace;

/// Blocks this long, so that frames lie across them.
const BLOCK: usize = 4096;
/// Bytes of rings that a replay makes.
const RINGS: u64 = 1 << 20;
/// A replay is stopped when it has asked so often whether it is to stop: a full ring would be waited for.
const PATIENCE: u32 = 4;

/// Reads to the end, or to the first error.
pub fn read(bytes: &[u8]) {
    let Ok(mut reader) = Reader::open(bytes) else { return };
    while let Ok(Some(item)) = reader.next_item() {
        match item {
            Item::Ring(ring) => {
                assert!(ring.shard < ring.shards);
                // Of sizes that no ring has there is none.
                assert!(ring.geometry.segment_bytes() > 0);
            }
            _ => {}
        }
    }
}

/// Writes it into rings of memory.
pub fn replay(bytes: &[u8]) {
    let Ok(reader) = Reader::open(bytes) else { return };
    let player = Player::new(Namespace::private(), Speed::Max).expect("a bell");
    let asked = Cell::new(0);
    let stopped = || {
        asked.set(asked.get() + 1);
        asked.get() >= PATIENCE
    };
    let _ = player.rings_within(RINGS).play(reader, stopped, |_| {});
}

/// A recording whose frames, behind its head, are these bytes.
pub fn file(frames: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 5] = [1, 0, 0, 0, 0];
    let mut file = [&b"mixrec\r\n"[..], &1_u32.to_le_bytes()].concat();
    for content in [&HEAD, frames].concat().chunks(BLOCK) {
        let mut packed = vec![0; zstd_safe::compress_bound(content.len())];
        let length = zstd_safe::compress(packed.as_mut_slice(), content, 1).expect("it fits");
        packed.truncate(length);
        let words = [length as u32, content.len() as u32, crc32fast::hash(&packed)];
        let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.extend_from_slice(&head);
        file.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
        file.extend_from_slice(&packed);
    }
    file
}
