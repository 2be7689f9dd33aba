//! The three ways a connection is compressed (contract §9), each with one context per connection.

use std::str::FromStr;

use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// A transport compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `zstd-stream` (G-36).
    Zstd,
    /// `zlib-stream` (G-35).
    Zlib,
    /// None.
    None,
}

impl Compression {
    /// The value of the `compress` parameter of the URL.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Zstd => Some("zstd-stream"),
            Self::Zlib => Some("zlib-stream"),
            Self::None => None,
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "zstd-stream" => Ok(Self::Zstd),
            "zlib-stream" => Ok(Self::Zlib),
            "none" => Ok(Self::None),
            _ => Err("expected zstd-stream, zlib-stream or none".into()),
        }
    }
}

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// A message passes the limit (G-38).
    #[error("a message is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are no such stream.
    #[error("not a valid {format} stream: {why}")]
    Corrupt {
        /// Which format.
        format: &'static str,
        /// What the decompressor says.
        why: String,
    },
}

/// The largest zstd window accepted, as a power of two: 32 MiB of memory per connection.
const WINDOW_LOG_MAX: u32 = 25;
/// Every flush of a zlib stream ends so (G-35).
const ZLIB_SUFFIX: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// Output space made at once.
const STEP: usize = 64 << 10;
/// Buffers larger than this are given back after the message that needed them.
const KEEP: usize = 1 << 20;

/// Undoes the compression of one connection.
pub struct Inflater {
    context: Context,
    /// Compressed bytes of a zlib message that has not ended.
    waiting: Vec<u8>,
    output: Vec<u8>,
    limit: usize,
}

enum Context {
    Zstd(Box<DCtx<'static>>),
    Zlib(Box<Decompress>),
    None,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Inflater {
    /// For connections with `compression` whose messages are at most `limit` bytes long.
    pub fn new(compression: Compression, limit: usize) -> Self {
        let context = match compression {
            Compression::Zstd => Context::Zstd(Box::new(zstd_context())),
            Compression::Zlib => Context::Zlib(Box::new(Decompress::new(true))),
            Compression::None => Context::None,
        };
        Self { context, waiting: Vec::new(), output: Vec::new(), limit }
    }

    /// Forgets the stream; a new connection begins. Buffers stay.
    pub fn reset(&mut self) {
        match &mut self.context {
            Context::Zstd(context) => **context = zstd_context(),
            Context::Zlib(context) => context.reset(true),
            Context::None => {}
        }
        self.waiting.clear();
    }

    /// Takes one websocket message; gives the gateway message it completes, if it does.
    ///
    /// # Errors
    /// The stream is broken or the message too large: the connection cannot be read any further.
    pub fn push<'a>(&'a mut self, input: &'a [u8]) -> Result<Option<&'a [u8]>, InflateError> {
        if input.len() > self.limit {
            return Err(InflateError::TooLarge { limit: self.limit });
        }
        self.output.clear();
        self.output.shrink_to(KEEP);
        match &mut self.context {
            Context::None => return Ok(Some(input)),
            Context::Zstd(context) => unzstd(context, input, &mut self.output, self.limit)?,
            Context::Zlib(context) => {
                let whole = input.ends_with(&ZLIB_SUFFIX);
                if self.waiting.is_empty() && whole {
                    unzlib(context, input, &mut self.output, self.limit)?;
                } else {
                    if self.waiting.len() + input.len() > self.limit {
                        return Err(InflateError::TooLarge { limit: self.limit });
                    }
                    self.waiting.extend_from_slice(input);
                    if !self.waiting.ends_with(&ZLIB_SUFFIX) {
                        return Ok(None);
                    }
                    unzlib(context, &self.waiting, &mut self.output, self.limit)?;
                    self.waiting.clear();
                    self.waiting.shrink_to(KEEP);
                }
            }
        }
        Ok(Some(&self.output))
    }
}

fn zstd_context() -> DCtx<'static> {
    let mut context = DCtx::create();
    // Setting a documented parameter within its range cannot fail; the default is only laxer.
    let _ = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX));
    context
}

/// A server may send one endless frame or one frame per message: a frame that ends is followed by
/// the next within the same context.
fn unzstd(
    context: &mut DCtx<'_>,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), InflateError> {
    let mut input = InBuffer::around(input);
    loop {
        make_room(output, limit)?;
        let start = output.len();
        let room = output.capacity();
        let mut out = OutBuffer::around_pos(output, start);
        context.decompress_stream(&mut out, &mut input).map_err(|code| InflateError::Corrupt {
            format: "zstd",
            why: zstd_safe::get_error_name(code).to_owned(),
        })?;
        let filled = out.pos() == room;
        if input.pos == input.src.len() && !filled {
            return within(output, limit);
        }
    }
}

fn unzlib(
    context: &mut Decompress,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), InflateError> {
    let begin = context.total_in();
    loop {
        make_room(output, limit)?;
        let used = usize::try_from(context.total_in() - begin).unwrap_or(usize::MAX);
        let rest = input.get(used..).unwrap_or_default();
        let before = (context.total_in(), context.total_out());
        let status = context
            .decompress_vec(rest, output, FlushDecompress::Sync)
            .map_err(|error| InflateError::Corrupt { format: "zlib", why: error.to_string() })?;
        let filled = output.len() == output.capacity();
        let used = usize::try_from(context.total_in() - begin).unwrap_or(usize::MAX);
        if status == Status::StreamEnd {
            // The stream of a connection has no end before the connection's.
            return if used == input.len() {
                within(output, limit)
            } else {
                Err(InflateError::Corrupt { format: "zlib", why: "data after its end".into() })
            };
        }
        if used == input.len() && !filled {
            return within(output, limit);
        }
        if before == (context.total_in(), context.total_out()) && !filled {
            return Err(InflateError::Corrupt { format: "zlib", why: "no progress".into() });
        }
    }
}

/// Makes room for at least one more byte, as long as the limit has not been passed.
fn make_room(output: &mut Vec<u8>, limit: usize) -> Result<(), InflateError> {
    within(output, limit)?;
    if output.len() == output.capacity() {
        output.reserve(STEP.max(output.len()).min(limit + 1));
    }
    Ok(())
}

fn within(output: &[u8], limit: usize) -> Result<(), InflateError> {
    if output.len() > limit { Err(InflateError::TooLarge { limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, FlushCompress};
    use zstd_safe::CCtx;
    use zstd_safe::zstd_sys::ZSTD_EndDirective as End;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn messages() -> Vec<Vec<u8>> {
        (0..40u32)
            .map(|n| {
                let mut random = crate::random::Random::seeded(u64::from(n));
                let noise = (0..n * 700).map(|_| random.bits().to_le_bytes()[0]);
                noise.chain([b'x'; 500]).collect()
            })
            .collect()
    }

    fn zlib(context: &mut Compress, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() * 2 + 1024);
        context.compress_vec(message, &mut out, FlushCompress::Sync).expect("compresses");
        assert!(out.ends_with(&ZLIB_SUFFIX));
        out
    }

    fn zstd(context: &mut CCtx<'_>, message: &[u8], end: End) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() * 2 + 1024);
        let mut buffer = OutBuffer::around(&mut out);
        let mut input = InBuffer::around(message);
        let left = context.compress_stream2(&mut buffer, &mut input, end).expect("compresses");
        assert_eq!(left, 0);
        out
    }

    #[test]
    fn g36_zstd_one_endless_frame() {
        let mut context = CCtx::create();
        let mut inflater = Inflater::new(Compression::Zstd, LIMIT);
        for message in messages() {
            let packed = zstd(&mut context, &message, End::ZSTD_e_flush);
            assert_eq!(inflater.push(&packed), Ok(Some(&message[..])));
        }
    }

    #[test]
    fn g36_zstd_one_frame_per_message() {
        let mut inflater = Inflater::new(Compression::Zstd, LIMIT);
        for message in messages() {
            let packed = zstd(&mut CCtx::create(), &message, End::ZSTD_e_end);
            assert_eq!(inflater.push(&packed), Ok(Some(&message[..])));
        }
    }

    /// §15 line 18: output larger than the buffer, and exactly as large.
    #[test]
    fn g36_zstd_output_larger_than_the_buffer() {
        let mut context = CCtx::create();
        let mut inflater = Inflater::new(Compression::Zstd, LIMIT);
        for length in [STEP - 1, STEP, STEP + 1, 4 * STEP, 5 * STEP + 3, 1] {
            let message = vec![b'z'; length];
            let packed = zstd(&mut context, &message, End::ZSTD_e_flush);
            assert_eq!(inflater.push(&packed), Ok(Some(&message[..])), "{length}");
        }
    }

    /// §15 line 17: split over messages, the suffix inside the data, a reset on reconnect.
    #[test]
    fn g35_zlib_messages_split_anywhere() {
        let mut context = Compress::new(flate2::Compression::fast(), true);
        let mut inflater = Inflater::new(Compression::Zlib, LIMIT);
        for (n, mut message) in messages().into_iter().enumerate() {
            message.extend_from_slice(&ZLIB_SUFFIX);
            message.extend_from_slice(b"more");
            let packed = zlib(&mut context, &message);
            let cut = (n * 37) % packed.len();
            let (first, second) = packed.split_at(cut);
            // Noise is stored as it is, so a cut right behind a stored suffix could look whole.
            if cut == 0 || first.ends_with(&ZLIB_SUFFIX) {
                assert_eq!(inflater.push(&packed), Ok(Some(&message[..])));
                continue;
            }
            assert_eq!(inflater.push(first), Ok(None));
            assert_eq!(inflater.push(second), Ok(Some(&message[..])));
        }
    }

    #[test]
    fn g35_g36_reset_begins_a_new_stream() {
        for (compression, message) in [(Compression::Zlib, b"hello"), (Compression::Zstd, b"world")]
        {
            let mut inflater = Inflater::new(compression, LIMIT);
            for _ in 0..3 {
                let packed = match compression {
                    Compression::Zlib => {
                        zlib(&mut Compress::new(flate2::Compression::fast(), true), message)
                    }
                    _ => zstd(&mut CCtx::create(), message, End::ZSTD_e_flush),
                };
                assert_eq!(inflater.push(&packed), Ok(Some(&message[..])));
                // Half a message waits when the connection ends.
                let _ = inflater.push(&packed[..packed.len() / 2]);
                inflater.reset();
            }
        }
    }

    #[test]
    fn g38_bombs_end_at_the_limit_with_bounded_memory() {
        let bomb = vec![0u8; 64 * LIMIT];
        let packed = [
            (Compression::Zstd, zstd(&mut CCtx::create(), &bomb, End::ZSTD_e_flush)),
            (Compression::Zlib, {
                let mut out = Vec::with_capacity(LIMIT);
                let mut context = Compress::new(flate2::Compression::best(), true);
                context.compress_vec(&bomb, &mut out, FlushCompress::Sync).expect("compresses");
                out
            }),
        ];
        for (compression, packed) in packed {
            assert!(packed.len() < LIMIT);
            let mut inflater = Inflater::new(compression, LIMIT);
            assert_eq!(inflater.push(&packed), Err(InflateError::TooLarge { limit: LIMIT }));
            assert!(inflater.output.capacity() <= 3 * LIMIT, "{}", inflater.output.capacity());
        }
    }

    #[test]
    fn broken_streams_are_errors() {
        for compression in [Compression::Zstd, Compression::Zlib] {
            let mut inflater = Inflater::new(compression, LIMIT);
            let broken = inflater.push(b"certainly neither of the two\x00\x00\xff\xff");
            assert!(matches!(broken, Err(InflateError::Corrupt { .. })), "{broken:?}");
        }
        let mut unbounded = Inflater::new(Compression::Zlib, LIMIT);
        let long = vec![1u8; LIMIT / 2];
        assert_eq!(unbounded.push(&long), Ok(None));
        assert_eq!(unbounded.push(&long), Ok(None));
        assert_eq!(unbounded.push(&long), Err(InflateError::TooLarge { limit: LIMIT }));
    }
}
