//! Words of a sound table overwritten, and its file cut, as the bytes say: who opens it, reads it, takes
//! it over or writes it gets an error or values, never a panic, a hang or an access outside.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mixcord_table::{FileWriter, Key, Limits, Reader, TableId, Want};

const LIMITS: Limits = Limits { bytes_max: 4 << 20, step_bytes: 64 << 10 };

static SOUND: OnceLock<(PathBuf, Vec<u8>)> = OnceLock::new();

extern "C" fn remove() {
    if let Some((path, _)) = SOUND.get() {
        let _ = fs::remove_file(path);
    }
}

unsafe extern "C" {
    fn atexit(callback: extern "C" fn()) -> i32;
}

fn tables() -> [TableId; 2] {
    [TableId::of_pairs(1).unwrap(), TableId::of_ids(2).unwrap()]
}

fn sound() -> (PathBuf, Vec<u8>) {
    let path = PathBuf::from(format!("/dev/shm/ringfuzz-{}-table", std::process::id()));
    let [pairs, ids] = tables();
    let mut writer = FileWriter::create(&path, 1, LIMITS).unwrap();
    for id in 0..200u64 {
        writer.put(pairs, Key::new(id % 3, id), &[&vec![7; id as usize]]).unwrap();
        writer.put(ids, Key::new(id, 0), &[b"value"]).unwrap();
    }
    writer.commit([1, 2]).unwrap();
    drop(writer);
    unsafe { atexit(remove) };
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// The checksums that stand between the bytes and what they would do.
fn seal(bytes: &mut [u8]) {
    for (at, words) in [(0, 8), (512, 6), (576, 6)] {
        let word = |bytes: &[u8], index: usize| {
            u64::from_le_bytes(bytes[at + index * 8..][..8].try_into().unwrap())
        };
        let sum = (0..words).fold(0x6D69_7863_6F72_6431, |sum: u64, index| {
            (sum.rotate_left(5) ^ word(bytes, index)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        bytes[at + words * 8..][..8].copy_from_slice(&sum.to_le_bytes());
    }
}

fuzz_target!(|data: &[u8]| {
    let (path, sound) = SOUND.get_or_init(sound);
    let mut bytes = sound.clone();
    let Some((&first, rest)) = data.split_first() else { return };
    for chunk in rest.chunks_exact(11).take(24) {
        let at = usize::from(u16::from_le_bytes([chunk[0], chunk[1]])) * 8;
        // The header, or what is behind the redo ring.
        let at = if chunk[2] % 2 == 0 { at % 1024 } else { 6 * 65_536 + at };
        if let Some(word) = bytes.get_mut(at..at + 8) {
            word.copy_from_slice(&chunk[3..]);
        }
    }
    if first % 4 != 0 {
        seal(&mut bytes);
    }
    if first % 16 == 1 {
        bytes.truncate(usize::from(first) * 4096);
    }
    fs::write(path, &bytes).unwrap();
    let [pairs, ids] = tables();
    let look = |reader: &Reader| {
        let mut value = Vec::new();
        for id in 0..200 {
            value.clear();
            let _ = reader.get(pairs, Key::new(id % 3, id), &mut value);
            let _ = reader.get(ids, Key::new(id, 0), &mut value);
        }
        for table in tables() {
            let _ = reader.owners(table, 0, &mut Vec::new());
            let _ = reader.ids(table, 1, 0, &mut Vec::new());
        }
        let _ = reader.last_batch();
        let _ = reader.moment(&[Want::Owner(pairs, 1)], 1 << 20, |_, _, _, _| {});
    };
    if let Ok(reader) = Reader::open(path, 1) {
        look(&reader);
    }
    if let Ok(mut writer) = FileWriter::open(path, 1, LIMITS) {
        for id in 100..300u64 {
            let key = Key::new(id % 3, id);
            let _ = writer.get(pairs, key, &mut Vec::new());
            let _ = if id % 3 == 0 { writer.delete(pairs, key) } else { writer.put(pairs, key, &[&data]) };
        }
        if writer.commit([3, 4]).is_err() {
            writer.discard();
        }
        let _ = writer.shrink(64);
    }
    let _ = fs::remove_file(path.with_extension("new"));
});
