//! Compression of what documents have beside their shape: with zstd, by a dictionary that ships with this crate
//! (scripts/message-dictionary.py made it). It is a part of the form: another dictionary is another form.

use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;

use zstd_safe::{CCtx, CDict, CParameter, DCtx, DDict, compress_bound};

const DICTIONARY: &[u8] = include_bytes!("messages.dict");
/// A tenth smaller than with level 3; higher ones gain nothing.
const LEVEL: i32 = 6;
/// What each frame begins with, and is not stored.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Compresses.
pub(crate) struct Packer {
    context: CCtx<'static>,
    out: Vec<u8>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// `None` where there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        static COMPRESSING: OnceLock<CDict<'static>> = OnceLock::new();
        let dictionary = COMPRESSING.get_or_init(|| CDict::create(DICTIONARY, LEVEL));
        let mut context = CCtx::try_create()?;
        context.ref_cdict(dictionary).ok()?;
        // Whoever stores a frame knows its length, and which dictionary it needs.
        for left_out in [
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            context.set_parameter(left_out).ok()?;
        }
        Some(Self { context, out: Vec::new() })
    }

    /// `bytes`, compressed; `None` where they cannot be.
    pub(crate) fn pack(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        let Self { context, out } = self;
        out.clear();
        out.reserve(compress_bound(bytes.len()));
        context.compress2(out, bytes).ok()?;
        out.strip_prefix(&MAGIC)
    }
}

/// What was compressed into `frame`, into `out`, which has its length; false where it is something else.
pub(crate) fn unpack(frame: &[u8], out: &mut [u8]) -> bool {
    static DECOMPRESSING: OnceLock<DDict<'static>> = OnceLock::new();
    thread_local! {
        static WORK: RefCell<Option<(DCtx<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    }
    let dictionary = DECOMPRESSING.get_or_init(|| DDict::create(DICTIONARY));
    WORK.with_borrow_mut(|work| {
        if work.is_none() {
            *work = DCtx::try_create().map(|context| (context, Vec::new()));
        }
        let Some((context, whole)) = work else { return false };
        whole.clear();
        whole.extend_from_slice(&MAGIC);
        whole.extend_from_slice(frame);
        let len = context.decompress_using_ddict(out, whole, dictionary);
        len == Ok(out.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores name it by their form.
    #[test]
    fn p11_the_dictionary_never_changes() {
        // FNV-1a.
        let hash = DICTIONARY.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        });
        assert_eq!((DICTIONARY.len(), hash), (16_384, 0xA1AE_1D4C_A3F0_AE7F));
    }

    #[test]
    fn what_is_packed_comes_back() {
        let mut packer = Packer::new().expect("memory");
        for text in ["", "a", "hello, what are you doing? 2026-11-19T09:14:21.412000+00:00"] {
            let packed = packer.pack(text.as_bytes()).expect("packed").to_vec();
            let mut out = vec![0; text.len()];
            assert!(unpack(&packed, &mut out), "{text}");
            assert_eq!(out, text.as_bytes());
            let longer = text.len() + 1;
            assert!(!unpack(&packed, &mut vec![0; longer]), "another length");
        }
        let text = "what people say again and again ".repeat(2000);
        let packed = packer.pack(text.as_bytes()).expect("packed").to_vec();
        assert!(packed.len() < 200, "{}", packed.len());
        assert!(!unpack(&packed, &mut vec![0; text.len() - 1]), "no room");
    }

    /// P8: cut, changed and foreign frames give an error or other bytes, and no more of them than there is room.
    #[test]
    fn frames_that_cannot_be_are_refused() {
        let mut packer = Packer::new().expect("memory");
        let text = "hello there, this is the text of a message, and it is long enough for matches: hello there";
        let packed = packer.pack(text.as_bytes()).expect("packed").to_vec();
        let mut out = vec![0; text.len()];
        for len in 0..packed.len() {
            assert!(!unpack(&packed[..len], &mut out), "cut at {len}");
        }
        for bit in 0..packed.len() * 8 {
            let mut packed = packed.clone();
            packed[bit / 8] ^= 1 << (bit % 8);
            let _ = unpack(&packed, &mut out);
        }
    }
}
