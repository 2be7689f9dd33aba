//! Compressed terms: `131, 80, size, zlib`.

use flate2::{Decompress, FlushDecompress, Status};

use super::DecodeErrorKind as Fault;

/// Deflate cannot make more than this of a byte.
const RATIO_MAX: usize = 1032;

/// The inflater and its buffer, made when the first compressed term comes.
#[derive(Debug, Default)]
pub(crate) struct Inflate {
    stream: Option<Decompress>,
    buffer: Vec<u8>,
}

impl Inflate {
    /// Inflates what follows the tag 80: the size as u32, then the zlib stream to its end.
    pub(crate) fn run(&mut self, compressed: &[u8], limit: usize) -> Result<(), Fault> {
        let (size, stream) = compressed.split_first_chunk::<4>().ok_or(Fault::Truncated)?;
        let len = u32::from_be_bytes(*size) as usize;
        if len > limit {
            return Err(Fault::InflatedTooLarge { len, limit });
        }
        if len > stream.len().saturating_mul(RATIO_MAX) {
            return Err(Fault::Inflate);
        }
        let inflater = self.stream.get_or_insert_with(|| Decompress::new(true));
        inflater.reset(true);
        self.buffer.clear();
        // One byte more shows a stream that is longer than it says.
        self.buffer.reserve(len + 1);
        let status = inflater
            .decompress_vec(stream, &mut self.buffer, FlushDecompress::Finish)
            .map_err(|_| Fault::Inflate)?;
        let used = inflater.total_in() as usize;
        if status != Status::StreamEnd || self.buffer.len() != len || used != stream.len() {
            return Err(Fault::Inflate);
        }
        Ok(())
    }

    /// What [`Inflate::run`] made.
    pub(crate) fn output(&self) -> &[u8] {
        &self.buffer
    }
}
