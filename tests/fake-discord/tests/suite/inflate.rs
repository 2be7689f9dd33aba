//! Decompression as the contract says (G-34 to G-36).

use flate2::{Decompress, FlushDecompress};
use zstd_safe::{DCtx, InBuffer, OutBuffer};

/// The decompressor of one connection.
pub(crate) enum Inflate {
    None,
    Zlib(Box<Decompress>, Vec<u8>),
    Zstd(Box<DCtx<'static>>),
}

impl Inflate {
    /// For a connection with these parameters.
    pub(crate) fn of(query: &str) -> Self {
        if query.contains("zlib-stream") {
            Self::Zlib(Box::new(Decompress::new(true)), Vec::new())
        } else if query.contains("zstd-stream") {
            Self::Zstd(Box::new(DCtx::create()))
        } else {
            Self::None
        }
    }

    /// The message in `data`, and whether it was compressed by itself; none while there is more of
    /// it to come.
    pub(crate) fn message(&mut self, data: Vec<u8>) -> Option<(Vec<u8>, bool)> {
        match self {
            // Payload compression: a zlib stream of its own.
            Self::None if data.first() == Some(&0x78) => {
                let mut out = Vec::with_capacity(1 << 20);
                let mut stream = Decompress::new(true);
                stream.decompress_vec(&data, &mut out, FlushDecompress::Finish).expect("zlib");
                Some((out, true))
            }
            Self::None => Some((data, false)),
            Self::Zlib(stream, waiting) => {
                waiting.extend(data);
                if !waiting.ends_with(&[0, 0, 0xff, 0xff]) {
                    return None;
                }
                let out = inflate(stream, waiting);
                waiting.clear();
                Some((out, false))
            }
            Self::Zstd(stream) => Some((decompress(stream, &data), false)),
        }
    }
}

fn inflate(stream: &mut Decompress, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let start = stream.total_in();
    loop {
        let used = (stream.total_in() - start) as usize;
        out.reserve(64 * 1024);
        let room = out.capacity() - out.len();
        let before = out.len();
        stream.decompress_vec(&data[used..], &mut out, FlushDecompress::Sync).expect("zlib");
        let all_in = (stream.total_in() - start) as usize == data.len();
        if all_in && out.len() - before < room {
            return out;
        }
    }
}

fn decompress(stream: &mut DCtx<'_>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut input = InBuffer::around(data);
    loop {
        let start = out.len();
        out.reserve(64 * 1024);
        let room = out.capacity() - start;
        let mut output = OutBuffer::around_pos(&mut out, start);
        stream.decompress_stream(&mut output, &mut input).expect("zstd");
        if input.pos == data.len() && out.len() - start < room {
            return out;
        }
    }
}
