//! Arbitrary bytes as a segment, and arbitrary damage to a sound one: attach, read, repair and write
//! give errors or records, never a panic, a hang or an access outside.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mixcord_ring::{Bell, Namespace};

#[path = "../../tests/common/damage.rs"]
mod damage;

static RING: OnceLock<(Namespace, Bell, Vec<u8>)> = OnceLock::new();

extern "C" fn remove() {
    if let Some((namespace, ..)) = RING.get() {
        let prefix = format!("{}.", namespace.prefix());
        for entry in std::fs::read_dir(Namespace::directory()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

unsafe extern "C" {
    fn atexit(callback: extern "C" fn()) -> i32;
}

fn words(bytes: &[u8]) -> Vec<[u64; 5]> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    // One byte says what is done, and four words with what.
    bytes
        .chunks(33)
        .take(12)
        .map(|chunk| {
            let (kind, rest) = chunk.split_at(1);
            let mut words = [u64::from(kind[0]), 0, 0, 0, 0];
            for (to, from) in words[1..].iter_mut().zip(rest.chunks(8)) {
                *to = word(from);
            }
            words
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let (namespace, bell, sound) = RING.get_or_init(|| {
        let namespace = Namespace::new(&format!("ringfuzz-{}", std::process::id())).unwrap();
        let bell = namespace.bell().unwrap();
        let sound = damage::sound(&namespace, &bell);
        // SAFETY: a function that takes nothing and returns.
        unsafe { atexit(remove) };
        (namespace, bell, sound)
    });
    match data.split_first() {
        Some((0, raw)) => {
            damage::put(namespace, raw);
            damage::use_it(namespace, bell);
        }
        Some((_, rest)) => {
            let damages: Vec<_> = words(rest).into_iter().map(damage::Damage::of).collect();
            damage::survive(namespace, bell, sound, &damages);
        }
        None => {}
    }
});
