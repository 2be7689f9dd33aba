//! Memory as loom explores it: each word is one of its atomics.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicU64;

use super::{Block, Ordering};

/// Orderings taken away on purpose, to see that the models notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weaken {
    Nothing,
    /// Release stores become relaxed.
    Release,
    /// Fences do nothing.
    Fences,
    /// Only the cheap half of each pair does nothing.
    LightFences,
    /// Only the dear half of each pair does nothing.
    HeavyFences,
}

thread_local! {
    // Loom runs all threads of a model on one.
    static WEAKENED: Cell<Weaken> = const { Cell::new(Weaken::Nothing) };
}

impl Weaken {
    pub(crate) fn with(self, run: impl FnOnce()) {
        WEAKENED.set(self);
        run();
        WEAKENED.set(Self::Nothing);
    }
}

/// Words made at first touch, so that a model pays for what it uses only.
#[derive(Debug)]
pub(crate) struct Memory {
    words: Mutex<HashMap<usize, Arc<AtomicU64>>>,
    len: usize,
}

impl Memory {
    pub(crate) fn new(block: Box<dyn Block>) -> Self {
        Self { words: Mutex::new(HashMap::new()), len: block.len() }
    }

    fn word(&self, offset: usize) -> Arc<AtomicU64> {
        assert!(offset % 8 == 0 && offset + 8 <= self.len);
        let mut words = self.words.lock().expect("no panic while held");
        Arc::clone(words.entry(offset).or_insert_with(|| Arc::new(AtomicU64::new(0))))
    }

    pub(crate) fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.word(offset).load(order)
    }

    pub(crate) fn store(&self, offset: usize, value: u64, order: Ordering) {
        let weak = WEAKENED.get() == Weaken::Release;
        self.word(offset).store(value, if weak { Ordering::Relaxed } else { order });
    }

    pub(crate) fn swap(&self, offset: usize, value: u64, order: Ordering) -> u64 {
        self.word(offset).swap(value, order)
    }

    pub(crate) fn cas(&self, offset: usize, old: u64, new: u64) -> bool {
        self.word(offset).compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn fetch_or(&self, offset: usize, bits: u64, order: Ordering) -> u64 {
        self.word(offset).fetch_or(bits, order)
    }

    pub(crate) fn raise(&self, offset: usize, value: u64) {
        self.word(offset).fetch_max(value, Ordering::AcqRel);
    }

    pub(crate) fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        std::array::from_fn(|i| self.load(offset + i * 8, Ordering::Relaxed))
    }

    pub(crate) fn store_words<const N: usize>(&self, offset: usize, values: [u64; N]) {
        for (i, value) in values.into_iter().enumerate() {
            self.store(offset + i * 8, value, Ordering::Relaxed);
            if i == 0 {
                fence(Ordering::Release);
            }
        }
    }

    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.load(offset & !7, Ordering::Relaxed).to_le_bytes()[offset & 7]
    }

    pub(crate) fn expect_read(&self, _: usize) {}

    pub(crate) fn expect_write(&self, _: usize) {}

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(offset + i * 8, u64::from_le_bytes(word), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        for (i, chunk) in into.chunks_mut(8).enumerate() {
            let word = self.load(offset + i * 8, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    pub(crate) fn populate(&self, _: usize, _: bool) {}

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

pub(crate) fn fence(order: Ordering) {
    if WEAKENED.get() != Weaken::Fences {
        loom::sync::atomic::fence(order);
    }
}

/// Both halves are whole fences to loom: that is what they amount to together.
pub(crate) fn light_fence(_: bool) {
    if WEAKENED.get() != Weaken::LightFences {
        fence(Ordering::SeqCst);
    }
}

pub(crate) fn heavy_fence(everywhere: impl FnOnce()) {
    if WEAKENED.get() != Weaken::HeavyFences {
        fence(Ordering::SeqCst);
        everywhere();
    }
}
