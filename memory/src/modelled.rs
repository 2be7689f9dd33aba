//! Memory as loom explores it: each word is one of its atomics. The methods are those of the other one.
#![allow(missing_docs)]

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicU64;
use loom::thread::ThreadId;

use super::{Block, Ordering};

/// Orderings taken away on purpose, to see that the models notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weaken {
    Nothing,
    /// Release stores become relaxed.
    Release,
    /// Fences do nothing.
    Fences,
    /// Only the cheap half of each pair does nothing.
    LightFences,
    /// Only the dear half of each pair does nothing.
    HeavyFences,
    /// The dear half fences for its own thread only.
    Barrier,
    /// The dear half is a cheap one.
    HeavyIsLight,
}

thread_local! {
    // Loom runs all threads of a model on one.
    static WEAKENED: Cell<Weaken> = const { Cell::new(Weaken::Nothing) };
}

impl Weaken {
    pub fn with(self, run: impl FnOnce()) {
        WEAKENED.set(self);
        run();
        WEAKENED.set(Self::Nothing);
    }
}

/// Words made at first touch, so that a model pays for what it uses only.
#[derive(Debug)]
pub struct Memory<const FIXED: usize> {
    words: Mutex<HashMap<usize, Arc<AtomicU64>>>,
    len: usize,
    meetings: Meetings,
}

impl<const FIXED: usize> Memory<FIXED> {
    pub fn new(block: Box<dyn Block>) -> Self {
        assert!(block.len() >= FIXED);
        let (words, meetings) = (Mutex::default(), Meetings::default());
        Self { words, len: block.len(), meetings }
    }

    fn word(&self, offset: usize) -> Arc<AtomicU64> {
        assert!(offset % 8 == 0 && offset + 8 <= self.len);
        let mut words = self.words.lock().expect("no panic while held");
        Arc::clone(words.entry(offset).or_insert_with(|| Arc::new(AtomicU64::new(0))))
    }

    pub fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.word(offset).load(order)
    }

    pub fn store(&self, offset: usize, value: u64, order: Ordering) {
        let weak = WEAKENED.get() == Weaken::Release;
        self.word(offset).store(value, if weak { Ordering::Relaxed } else { order });
    }

    pub fn swap(&self, offset: usize, value: u64, order: Ordering) -> u64 {
        self.word(offset).swap(value, order)
    }

    pub fn cas(&self, offset: usize, old: u64, new: u64) -> bool {
        self.word(offset).compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub fn fetch_or(&self, offset: usize, bits: u64, order: Ordering) -> u64 {
        self.word(offset).fetch_or(bits, order)
    }

    pub fn raise(&self, offset: usize, value: u64) {
        self.word(offset).fetch_max(value, Ordering::AcqRel);
    }

    pub fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        std::array::from_fn(|i| self.load(offset + i * 8, Ordering::Relaxed))
    }

    pub fn store_words<const N: usize>(&self, offset: usize, values: [u64; N]) {
        for (i, value) in values.into_iter().enumerate() {
            self.store(offset + i * 8, value, Ordering::Relaxed);
            if i == 0 {
                fence(Ordering::Release);
            }
        }
    }

    pub fn byte(&self, offset: usize) -> u8 {
        self.load(offset & !7, Ordering::Relaxed).to_le_bytes()[offset & 7]
    }

    pub fn expect_read(&self, _: usize) {}

    pub fn expect_write(&self, _: usize) {}

    pub fn write(&self, offset: usize, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(offset + i * 8, u64::from_le_bytes(word), Ordering::Relaxed);
        }
    }

    pub fn read(&self, offset: usize, into: &mut [u8]) {
        for (i, chunk) in into.chunks_mut(8).enumerate() {
            let word = self.load(offset + i * 8, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    pub fn populate(&self, _: usize, _: bool) {}

    pub fn len(&self) -> usize {
        self.len
    }

    /// A whole fence, or, where barriers make up for it, what a point of the program is to them.
    pub fn light_fence(&self, paired: bool) {
        match (WEAKENED.get(), paired) {
            (Weaken::LightFences, _) => {}
            (_, true) => self.meetings.pass(),
            (_, false) => fence(Ordering::SeqCst),
        }
    }

    pub fn heavy_fence(&self, everywhere: impl FnOnce() -> bool) {
        let weaken = WEAKENED.get();
        match weaken {
            Weaken::HeavyFences => return,
            Weaken::HeavyIsLight => return self.light_fence(everywhere()),
            _ => fence(Ordering::SeqCst),
        }
        if everywhere() && weaken != Weaken::Barrier {
            self.meetings.meet_others();
            fence(Ordering::SeqCst);
        }
    }
}

/// The kernel's membarrier. A barrier has each other thread fence once, somewhere between the barrier's
/// begin and end; where, in the order of that thread's program, is all that counts. At a light fence
/// before that place the thread has nothing to see yet, and what it did is seen after the barrier; at one
/// behind it the thread sees what was done before the barrier. Nothing orders two light fences.
///
/// So each thread has a word. Its light fences and the barriers of others exchange it, each as one step:
/// the order of these is the order of the places. Either gives on what was before it, and takes what
/// those gave that came first.
#[derive(Debug, Default)]
struct Meetings {
    words: [AtomicU64; THREADS],
    threads: Mutex<Vec<ThreadId>>,
}

/// Threads of a model with barriers.
const THREADS: usize = 2;

impl Meetings {
    /// A light fence: nothing that a processor would have to do.
    fn pass(&self) {
        self.words[self.own()].fetch_add(1, Ordering::AcqRel);
    }

    /// What is taken from one thread is not given to the next: each has a place of its own.
    fn meet_others(&self) {
        let own = self.own();
        for (_, word) in self.words.iter().enumerate().filter(|&(thread, _)| thread != own) {
            word.fetch_add(1, Ordering::Release);
        }
        loom::sync::atomic::fence(Ordering::Acquire);
    }

    fn own(&self) -> usize {
        let id = loom::thread::current().id();
        let mut threads = self.threads.lock().expect("no panic while held");
        threads.iter().position(|&known| known == id).unwrap_or_else(|| {
            assert!(threads.len() < THREADS, "a barrier would miss a thread");
            threads.push(id);
            threads.len() - 1
        })
    }
}

pub fn fence(order: Ordering) {
    if WEAKENED.get() != Weaken::Fences {
        loom::sync::atomic::fence(order);
    }
}
