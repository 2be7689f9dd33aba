//! A heap block, zeroed: a protocol without a file, for the sanitizers and for loom.

use super::Block;

/// 64-byte aligned heap memory.
#[derive(Debug)]
pub struct Heap {
    lines: *mut Line,
    count: usize,
}

#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Line([u8; 64]);

// SAFETY: the block owns its lines, and has no method that touches them.
#[allow(unsafe_code)]
unsafe impl Send for Heap {}
// SAFETY: the block owns its lines, and has no method that touches them.
#[allow(unsafe_code)]
unsafe impl Sync for Heap {}

impl Heap {
    /// At least `bytes` bytes, in whole lines.
    pub fn new(bytes: usize) -> Self {
        let lines = vec![Line([0; 64]); bytes.div_ceil(64)].into_boxed_slice();
        let count = lines.len();
        Self { lines: Box::into_raw(lines).cast(), count }
    }
}

// SAFETY: the lines are aligned to 64, writable, and stay where they are until the drop.
#[allow(unsafe_code)]
unsafe impl Block for Heap {
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
