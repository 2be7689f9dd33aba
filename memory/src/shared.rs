//! Memory that other processes share: a mapped file, or the heap for the sanitizers.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::Duration;

use rustix::thread::futex;

use super::{__kill as kill, Block, Ordering, copy};

/// Of one sleep in the kernel; who sleeps longer sleeps again.
const LONGEST: Duration = Duration::from_secs(86_400);

/// A block of shared memory, at least `FIXED` bytes long: a word before that, at an offset that is a
/// constant, is reached without a check.
#[derive(Debug)]
pub struct Memory<const FIXED: usize> {
    base: *mut u8,
    /// At least `FIXED`.
    len: usize,
    // Owns what `base` points into.
    block: Box<dyn Block>,
}

// SAFETY: every access goes through atomics or race-tolerant copies; the block is Send + Sync.
#[allow(unsafe_code)]
unsafe impl<const FIXED: usize> Send for Memory<FIXED> {}
// SAFETY: every access goes through atomics or race-tolerant copies; the block is Send + Sync.
#[allow(unsafe_code)]
unsafe impl<const FIXED: usize> Sync for Memory<FIXED> {}

#[allow(unsafe_code)]
impl<const FIXED: usize> Memory<FIXED> {
    /// # Panics
    /// The block is shorter than `FIXED`.
    pub fn new(block: Box<dyn Block>) -> Self {
        assert!(block.len() >= FIXED);
        Self { base: block.base(), len: block.len(), block }
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        // Of a word whose offset is a constant the compiler sees that it is inside.
        let word = if offset & 7 == 0 && offset <= FIXED - 8 {
            self.base.wrapping_add(offset).cast()
        } else {
            self.checked(offset, 1)
        };
        // SAFETY: aligned and in bounds, since `len` is at least `FIXED`, or as checked; the block
        // outlives `self`, and this word is only ever touched atomically.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// The first of `count` words, all of them inside the block.
    #[inline]
    fn checked(&self, offset: usize, count: usize) -> *mut u64 {
        assert!(offset & 7 == 0 && offset <= self.len && self.len - offset >= count * 8);
        // SAFETY: in bounds, checked above.
        unsafe { self.base.add(offset) }.cast()
    }

    /// Loads words in a row, each on its own, relaxed.
    #[inline]
    pub fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        let first = self.checked(offset, N);
        std::array::from_fn(|i| {
            // SAFETY: aligned and in bounds, since `i` is less than `N`; the block outlives `self`, and
            // this word is only ever touched atomically.
            unsafe { AtomicU64::from_ptr(first.wrapping_add(i)) }.load(Ordering::Relaxed)
        })
    }

    /// Stores words in a row, each on its own, relaxed; whoever finds one of them finds the first.
    #[inline]
    pub fn store_words<const N: usize>(&self, offset: usize, values: [u64; N]) {
        let first = self.checked(offset, N);
        for (i, value) in values.into_iter().enumerate() {
            // SAFETY: aligned and in bounds, since `i` is less than `N`; the block outlives `self`, and
            // this word is only ever touched atomically.
            unsafe { AtomicU64::from_ptr(first.wrapping_add(i)) }.store(value, Ordering::Relaxed);
            kill::point();
            if i == 0 {
                fence(Ordering::Release);
            }
        }
    }

    /// One byte.
    #[inline]
    pub fn byte(&self, offset: usize) -> u8 {
        assert!(offset < self.len);
        // SAFETY: in bounds, checked above.
        let byte = unsafe { self.base.add(offset) };
        // SAFETY: the block outlives `self`; the byte is loaded by one access and never written so.
        unsafe { AtomicU8::from_ptr(byte) }.load(Ordering::Relaxed)
    }

    /// Has the line of `offset` come, to be read; says nothing of its content. Beyond the end: nothing.
    #[inline]
    pub fn expect_read(&self, offset: usize) {
        copy::prefetch(self.base.wrapping_add(offset));
    }

    /// The same, to be written.
    #[inline]
    pub fn expect_write(&self, offset: usize) {
        copy::prefetch_for_write(self.base.wrapping_add(offset));
    }

    /// The word at `offset`.
    #[inline]
    pub fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.word(offset).load(order)
    }

    /// Stores the word at `offset`.
    #[inline]
    pub fn store(&self, offset: usize, value: u64, order: Ordering) {
        self.word(offset).store(value, order);
        kill::point();
    }

    /// Exchanges the word at `offset`; gives what was there.
    #[inline]
    pub fn swap(&self, offset: usize, value: u64, order: Ordering) -> u64 {
        let old = self.word(offset).swap(value, order);
        kill::point();
        old
    }

    /// Compare and exchange; true when `old` was there. AcqRel, Acquire when it fails.
    #[inline]
    pub fn cas(&self, offset: usize, old: u64, new: u64) -> bool {
        let done = self
            .word(offset)
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        kill::point();
        done
    }

    /// Sets bits of the word at `offset`; gives what was there.
    #[inline]
    pub fn fetch_or(&self, offset: usize, bits: u64, order: Ordering) -> u64 {
        let old = self.word(offset).fetch_or(bits, order);
        kill::point();
        old
    }

    /// The word becomes `value` unless it is more. A loop, which is what processors make of it
    /// anyway: ThreadSanitizer does not see the single instruction.
    #[inline]
    pub fn raise(&self, offset: usize, value: u64) {
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

    /// The 32-bit word at `offset`, a multiple of 4. No word is used both ways.
    #[inline]
    pub fn load32(&self, offset: usize, order: Ordering) -> u32 {
        self.word32(offset).load(order)
    }

    /// Stores the 32-bit word at `offset`.
    #[inline]
    pub fn store32(&self, offset: usize, value: u32, order: Ordering) {
        self.word32(offset).store(value, order);
        kill::point();
    }

    /// Adds to the 32-bit word at `offset`, wrapping; gives what was there.
    #[inline]
    pub fn add32(&self, offset: usize, value: u32, order: Ordering) -> u32 {
        let old = self.word32(offset).fetch_add(value, order);
        kill::point();
        old
    }

    /// Sleeps while the 32-bit word at `offset` is `value`, at most `timeout`, until it is woken. May end
    /// early: who called looks at word and clock.
    pub fn sleep(&self, offset: usize, value: u32, timeout: Duration) {
        let timeout = timeout.min(LONGEST);
        let (seconds, nanoseconds) = (timeout.as_secs() as i64, timeout.subsec_nanos().into());
        let timeout = futex::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let flags = futex::Flags::empty();
        let _ = futex::wait(self.word32(offset), flags, value, Some(&timeout));
    }

    /// Wakes everybody who sleeps on the 32-bit word at `offset`, in whatever process; whether there was
    /// somebody.
    pub fn wake(&self, offset: usize) -> bool {
        let everybody = i32::MAX as u32;
        let woken = futex::wake(self.word32(offset), futex::Flags::empty(), everybody);
        woken.is_ok_and(|woken| woken != 0)
    }

    /// The 32-bit word at `offset` itself, for a sleep on several words at once.
    pub fn word32(&self, offset: usize) -> &AtomicU32 {
        assert!(offset & 3 == 0 && offset <= self.len && self.len - offset >= 4);
        // SAFETY: in bounds, checked above.
        let word = unsafe { self.base.add(offset) }.cast();
        // SAFETY: aligned and in bounds, checked above; the block outlives `self`, and this word is only
        // ever touched atomically.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Copies `bytes` to `offset`. Other processes may read meanwhile: what they get is checked
    /// by the protocol, not by this copy.
    #[inline]
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.len && bytes.len() <= self.len - offset);
        // SAFETY: in bounds, checked above.
        let to = unsafe { self.base.add(offset) };
        if kill::ENABLED && bytes.len() > 1 {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            // SAFETY: both halves lie inside the range checked above.
            unsafe { copy::copy(to, first.as_ptr(), first.len()) };
            kill::point();
            // SAFETY: at most one past the range checked above.
            let rest = unsafe { to.add(first.len()) };
            // SAFETY: both halves lie inside the range checked above.
            unsafe { copy::copy(rest, second.as_ptr(), second.len()) };
        } else {
            // SAFETY: `to` has room for the length of `bytes`, which lie in private memory.
            unsafe { copy::copy(to, bytes.as_ptr(), bytes.len()) };
        }
        kill::point();
    }

    /// Copies the bytes at `offset` out.
    #[inline]
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset <= self.len && into.len() <= self.len - offset);
        // SAFETY: in bounds, checked above.
        let from = unsafe { self.base.add(offset) };
        // SAFETY: `from` is good for the length of `into`, which is private.
        unsafe { copy::copy(into.as_mut_ptr(), from, into.len()) };
    }

    /// Copies the bytes at `offset` into memory that need not hold any yet, and gives them.
    #[inline]
    pub fn read_into<'a>(&self, offset: usize, into: &'a mut [MaybeUninit<u8>]) -> &'a mut [u8] {
        assert!(offset <= self.len && into.len() <= self.len - offset);
        // SAFETY: in bounds, checked above.
        let from = unsafe { self.base.add(offset) };
        // SAFETY: `from` is good for the length of `into`, which is private.
        unsafe { copy::copy(into.as_mut_ptr().cast(), from, into.len()) };
        // SAFETY: all of `into`, each byte of which was written by the copy.
        unsafe { std::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), into.len()) }
    }

    /// Copies `len` bytes at `offset` to the end of `into`.
    #[inline]
    pub fn append(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
        into.reserve(len);
        let free = &mut into.spare_capacity_mut()[..len];
        self.read_into(offset, free);
        // SAFETY: there is room, and the bytes behind the old length were written.
        unsafe { into.set_len(into.len() + len) };
    }

    /// See [`Block::populate`].
    pub fn populate(&self, offset: usize, for_writing: bool) {
        self.block.populate(offset, for_writing);
    }

    /// Bytes in the block.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte in the block.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The cheap half of a pair of fences; no instruction at all where the other half makes up for it.
    #[inline]
    pub fn light_fence(&self, paired: bool) {
        if paired {
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// The dear half, of this thread; `everywhere` does the same to all others, or says that it cannot.
    pub fn heavy_fence(&self, everywhere: impl FnOnce() -> bool) {
        fence(Ordering::SeqCst);
        everywhere();
    }
}

/// A fence of this thread.
#[inline]
pub fn fence(order: Ordering) {
    std::sync::atomic::fence(order);
}
