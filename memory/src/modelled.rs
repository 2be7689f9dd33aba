//! Memory as loom explores it: each word is one of its atomics. The methods are those of the other one.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::sync::Condvar;
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::thread::ThreadId;

use super::{Block, Ordering};

/// Orderings taken away on purpose, to see that the models notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weaken {
    Nothing,
    /// Release stores to the word at that offset become relaxed; so does the store of a swap or a CAS.
    ReleaseOf(usize),
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
    // Of the execution that runs.
    static FENCES: RefCell<Option<Arc<AtomicU64>>> = const { RefCell::new(None) };
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
    halves: Mutex<HashMap<usize, Arc<AtomicU32>>>,
    beds: Mutex<HashMap<usize, Arc<Bed>>>,
    /// No word is made any more.
    sealed: Mutex<bool>,
    plain: Mutex<Range<usize>>,
    len: usize,
    meetings: Meetings,
}

/// Where those sleep that sleep on a word.
#[derive(Debug)]
struct Bed {
    lock: loom::sync::Mutex<()>,
    sleepers: Condvar,
}

impl<const FIXED: usize> Memory<FIXED> {
    pub fn new(block: Box<dyn Block>) -> Self {
        assert!(block.len() >= FIXED);
        FENCES.set(Some(Arc::new(AtomicU64::new(0))));
        Self {
            words: Mutex::default(),
            halves: Mutex::default(),
            beds: Mutex::default(),
            sealed: Mutex::default(),
            plain: Mutex::new(0..0),
            len: block.len(),
            meetings: Meetings::default(),
        }
    }

    /// Makes the words of a range, before the threads of a model start; after [`seal`](Self::seal) there
    /// are no others. A word that two threads came to touch first would be a race of its own to loom,
    /// whatever their order.
    pub fn prepare(&self, range: Range<usize>) {
        for offset in range.step_by(8) {
            self.word(offset);
        }
    }

    /// The same for 32-bit words.
    pub fn prepare32(&self, range: Range<usize>) {
        for offset in range.step_by(4) {
            // As if zeroed by a SeqCst store, or a SeqCst load could miss a later one.
            self.half(offset).store(0, Ordering::SeqCst);
        }
    }

    pub fn seal(&self) {
        *self.sealed.lock().expect("no panic while held") = true;
    }

    /// From now on, what is read in `range` as a row of words, or copied, is read plainly: that must be
    /// ordered after the stores before it and before those after it, or the model fails. Not for what is
    /// read while it may be overwritten.
    pub fn read_plainly(&self, range: Range<usize>) {
        *self.plain.lock().expect("no panic while held") = range;
    }

    fn word(&self, offset: usize) -> Arc<AtomicU64> {
        assert!(offset % 8 == 0 && offset + 8 <= self.len);
        let mut words = self.words.lock().expect("no panic while held");
        let made = || {
            assert!(!*self.sealed.lock().expect("no panic while held"), "no word at {offset}");
            Arc::new(AtomicU64::new(0))
        };
        Arc::clone(words.entry(offset).or_insert_with(made))
    }

    fn half(&self, offset: usize) -> Arc<AtomicU32> {
        assert!(offset % 4 == 0 && offset + 4 <= self.len);
        let mut halves = self.halves.lock().expect("no panic while held");
        let made = || {
            assert!(!*self.sealed.lock().expect("no panic while held"), "no word at {offset}");
            Arc::new(AtomicU32::new(0))
        };
        Arc::clone(halves.entry(offset).or_insert_with(made))
    }

    pub fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.word(offset).load(order)
    }

    pub fn store(&self, offset: usize, value: u64, order: Ordering) {
        let weak = WEAKENED.get() == Weaken::ReleaseOf(offset);
        self.word(offset).store(value, if weak { Ordering::Relaxed } else { order });
    }

    pub fn swap(&self, offset: usize, value: u64, order: Ordering) -> u64 {
        let weak = WEAKENED.get() == Weaken::ReleaseOf(offset);
        self.word(offset).swap(value, if weak { Ordering::Acquire } else { order })
    }

    pub fn cas(&self, offset: usize, old: u64, new: u64) -> bool {
        let weak = WEAKENED.get() == Weaken::ReleaseOf(offset);
        let order = if weak { Ordering::Acquire } else { Ordering::AcqRel };
        self.word(offset).compare_exchange(old, new, order, Ordering::Acquire).is_ok()
    }

    pub fn fetch_or(&self, offset: usize, bits: u64, order: Ordering) -> u64 {
        self.word(offset).fetch_or(bits, order)
    }

    pub fn raise(&self, offset: usize, value: u64) {
        self.word(offset).fetch_max(value, Ordering::AcqRel);
    }

    pub fn load32(&self, offset: usize, order: Ordering) -> u32 {
        self.half(offset).load(order)
    }

    pub fn store32(&self, offset: usize, value: u32, order: Ordering) {
        self.half(offset).store(value, order);
    }

    pub fn add32(&self, offset: usize, value: u32, order: Ordering) -> u32 {
        self.half(offset).fetch_add(value, order)
    }

    /// Not before it is woken: a wake that is lost is a deadlock, which loom reports.
    pub fn sleep(&self, offset: usize, value: u32, _: Duration) {
        let bed = self.bed(offset);
        let guard = bed.lock.lock().expect("no panic while held");
        if self.load32(offset, Ordering::SeqCst) == value {
            drop(bed.sleepers.wait(guard).expect("no panic while held"));
        }
    }

    pub fn wake(&self, offset: usize) -> bool {
        let bed = self.bed(offset);
        let _guard = bed.lock.lock().expect("no panic while held");
        bed.sleepers.notify_all();
        true
    }

    fn bed(&self, offset: usize) -> Arc<Bed> {
        let made = || {
            let (lock, sleepers) = (loom::sync::Mutex::new(()), Condvar::new());
            Arc::new(Bed { lock, sleepers })
        };
        let mut beds = self.beds.lock().expect("no panic while held");
        Arc::clone(beds.entry(offset).or_insert_with(made))
    }

    pub fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        std::array::from_fn(|i| self.copied(offset + i * 8))
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
            let word = self.copied(offset + i * 8).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    pub fn read_into<'a>(&self, offset: usize, into: &'a mut [MaybeUninit<u8>]) -> &'a mut [u8] {
        let mut bytes = vec![0; into.len()];
        self.read(offset, &mut bytes);
        into.iter_mut().zip(bytes).for_each(|(to, byte)| drop(to.write(byte)));
        // SAFETY: all of `into`, each byte of which was written.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), into.len())
        }
    }

    pub fn append(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
        let begin = into.len();
        into.resize(begin + len, 0);
        self.read(offset, &mut into[begin..]);
    }

    /// A word that is read as one of many.
    fn copied(&self, offset: usize) -> u64 {
        if !self.plain.lock().expect("no panic while held").contains(&offset) {
            return self.load(offset, Ordering::Relaxed);
        }
        let word = self.word(offset);
        // SAFETY: a model where a store is not ordered with this load ends here.
        #[allow(unsafe_code)]
        unsafe {
            word.unsync_load()
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
const THREADS: usize = 3;

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

/// Loom runs a fence together with the access before it, so that nobody comes between the two. A fence
/// that others may meet is a step of its own here.
pub fn fence(order: Ordering) {
    if WEAKENED.get() == Weaken::Fences {
        return;
    }
    if order == Ordering::SeqCst {
        let step = FENCES.with_borrow(|fences| fences.clone());
        step.expect("a memory was made").fetch_add(1, Ordering::Relaxed);
    }
    loom::sync::atomic::fence(order);
}
