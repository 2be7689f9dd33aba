//! The only way to the bytes of a segment: words by offset, payload by copy.
//!
//! A word is a 64-bit atomic at a multiple of 8; nothing here ever hands out a reference into the
//! block. Under `cfg(loom)` each word is one of loom's atomics, so the protocol's own code is what
//! loom explores. The block behind it is a mapped file, or the heap for the sanitizers.

#[cfg(not(loom))]
use super::kill;

#[cfg(loom)]
pub(crate) use imp::Weaken;
pub(crate) use imp::{Memory, fence};
pub(crate) use std::sync::atomic::Ordering;

/// What keeps the bytes of a [`Memory`] alive.
pub(crate) trait Block: Send + Sync + std::fmt::Debug {
    /// First byte; aligned to 64, valid for `len` bytes of reads and writes by atomics and copies
    /// as long as the block lives. Pages that are mapped read-only are never written by the caller.
    fn base(&self) -> *mut u8;
    /// Bytes in the block.
    fn len(&self) -> usize;
}

#[cfg(not(loom))]
mod imp {
    use std::sync::atomic::AtomicU64;

    use super::super::copy;
    use super::{Block, Ordering, kill};

    /// A block of shared memory.
    #[derive(Debug)]
    pub(crate) struct Memory {
        base: *mut u8,
        len: usize,
        // Owns what `base` points into.
        _block: Box<dyn Block>,
    }

    // SAFETY: every access goes through atomics or race-tolerant copies; the block is Send + Sync.
    #[allow(unsafe_code)]
    unsafe impl Send for Memory {}
    // SAFETY: as above.
    #[allow(unsafe_code)]
    unsafe impl Sync for Memory {}

    #[allow(unsafe_code)]
    impl Memory {
        pub(crate) fn new(block: Box<dyn Block>) -> Self {
            Self { base: block.base(), len: block.len(), _block: block }
        }

        #[inline]
        fn word(&self, offset: usize) -> &AtomicU64 {
            assert!(offset & 7 == 0 && offset < self.len && self.len - offset >= 8);
            // SAFETY: in bounds and aligned (checked above; the base is 64-byte aligned).
            let word = unsafe { self.base.add(offset) }.cast::<u64>();
            // SAFETY: the block outlives `self`, and this word is only ever touched atomically.
            unsafe { AtomicU64::from_ptr(word) }
        }

        #[inline]
        pub(crate) fn load(&self, offset: usize, order: Ordering) -> u64 {
            self.word(offset).load(order)
        }

        #[inline]
        pub(crate) fn store(&self, offset: usize, value: u64, order: Ordering) {
            self.word(offset).store(value, order);
            kill::point();
        }

        #[inline]
        pub(crate) fn swap(&self, offset: usize, value: u64, order: Ordering) -> u64 {
            let old = self.word(offset).swap(value, order);
            kill::point();
            old
        }

        /// Compare and exchange; true when `old` was there. AcqRel, Acquire when it fails.
        #[inline]
        pub(crate) fn cas(&self, offset: usize, old: u64, new: u64) -> bool {
            let done = self
                .word(offset)
                .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
            kill::point();
            done
        }

        #[inline]
        pub(crate) fn fetch_or(&self, offset: usize, bits: u64, order: Ordering) -> u64 {
            let old = self.word(offset).fetch_or(bits, order);
            kill::point();
            old
        }

        /// The word becomes `value` unless it is more. A loop, which is what processors make of it
        /// anyway: ThreadSanitizer does not see the single instruction.
        #[inline]
        pub(crate) fn raise(&self, offset: usize, value: u64) {
            let word = self.word(offset);
            let mut old = word.load(Ordering::Acquire);
            while old < value {
                match word.compare_exchange_weak(old, value, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => break,
                    Err(found) => old = found,
                }
            }
            kill::point();
        }

        /// Copies `bytes` to `offset`. Other processes may read meanwhile: what they get is checked
        /// by the protocol, not by this copy.
        #[inline]
        pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
            assert!(offset <= self.len && bytes.len() <= self.len - offset);
            // SAFETY: in bounds, checked above.
            let to = unsafe { self.base.add(offset) };
            if kill::ENABLED && bytes.len() > 1 {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                // SAFETY: both halves lie inside the range checked above.
                unsafe { copy::copy(to, first.as_ptr(), first.len()) };
                kill::point();
                // SAFETY: as above.
                let rest = unsafe { to.add(first.len()) };
                // SAFETY: as above.
                unsafe { copy::copy(rest, second.as_ptr(), second.len()) };
            } else {
                // SAFETY: `to` has room for the length of `bytes`, which lie in private memory.
                unsafe { copy::copy(to, bytes.as_ptr(), bytes.len()) };
            }
            kill::point();
        }

        /// Copies the bytes at `offset` out.
        #[inline]
        pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
            assert!(offset <= self.len && into.len() <= self.len - offset);
            // SAFETY: in bounds, checked above.
            let from = unsafe { self.base.add(offset) };
            // SAFETY: `from` is good for the length of `into`, which is private.
            unsafe { copy::copy(into.as_mut_ptr(), from, into.len()) };
        }

        pub(crate) fn len(&self) -> usize {
            self.len
        }
    }

    #[inline]
    pub(crate) fn fence(order: Ordering) {
        std::sync::atomic::fence(order);
    }
}

#[cfg(loom)]
mod imp {
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
            self.word(offset)
                .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        }

        pub(crate) fn fetch_or(&self, offset: usize, bits: u64, order: Ordering) -> u64 {
            self.word(offset).fetch_or(bits, order)
        }

        pub(crate) fn raise(&self, offset: usize, value: u64) {
            self.word(offset).fetch_max(value, Ordering::AcqRel);
        }

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

        pub(crate) fn len(&self) -> usize {
            self.len
        }
    }

    pub(crate) fn fence(order: Ordering) {
        if WEAKENED.get() != Weaken::Fences {
            loom::sync::atomic::fence(order);
        }
    }
}

/// A heap block, zeroed: the protocol without a file, for the sanitizers and for loom.
#[cfg(any(test, loom))]
pub(crate) mod heap {
    use super::Block;

    /// 64-byte aligned heap memory.
    #[derive(Debug)]
    pub(crate) struct Heap {
        lines: *mut Line,
        count: usize,
    }

    #[repr(C, align(64))]
    #[derive(Debug, Clone, Copy)]
    struct Line([u8; 64]);

    // SAFETY: plain memory owned by the block; accesses are ruled by `Memory`.
    #[allow(unsafe_code)]
    unsafe impl Send for Heap {}
    // SAFETY: as above.
    #[allow(unsafe_code)]
    unsafe impl Sync for Heap {}

    impl Heap {
        pub(crate) fn new(bytes: usize) -> Self {
            let lines = vec![Line([0; 64]); bytes.div_ceil(64)].into_boxed_slice();
            let count = lines.len();
            Self { lines: Box::into_raw(lines).cast(), count }
        }
    }

    impl Block for Heap {
        fn base(&self) -> *mut u8 {
            self.lines.cast()
        }

        fn len(&self) -> usize {
            self.count * 64
        }
    }

    impl Drop for Heap {
        #[allow(unsafe_code)]
        fn drop(&mut self) {
            let lines = std::ptr::slice_from_raw_parts_mut(self.lines, self.count);
            // SAFETY: made by `Box::into_raw` of a slice of this length in `new`, freed once.
            drop(unsafe { Box::from_raw(lines) });
        }
    }
}
