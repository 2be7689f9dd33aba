//! Transport compression: one stream a connection, flushed after every message.

use std::fmt;

use flate2::{Compress, Compression as Level, FlushCompress, Status};
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

/// What the `compress` parameter of the websocket's address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Nothing.
    None,
    /// `zlib-stream`.
    Zlib,
    /// `zstd-stream`.
    Zstd,
}

impl Transport {
    /// What the parameter says; `None` for a name that Discord does not know.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "zlib-stream" => Some(Self::Zlib),
            "zstd-stream" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The compressor of one connection.
pub struct Compressor(Stream);

enum Stream {
    None,
    Zlib(Box<Compress>),
    Zstd { context: Box<CCtx<'static>>, whole_frames: bool },
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// The compressor failed: the connection cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("compressing a message failed: {0}")]
pub struct CompressError(&'static str);

impl Compressor {
    /// `whole_frames` ends the zstd frame after each message, as some servers do.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(transport: Transport, whole_frames: bool) -> Result<Self, CompressError> {
        Ok(Self(match transport {
            Transport::None => Stream::None,
            Transport::Zlib => Stream::Zlib(Box::new(Compress::new(Level::fast(), true))),
            Transport::Zstd => {
                let mut context = CCtx::create();
                context.set_parameter(CParameter::CompressionLevel(1)).map_err(zstd_error)?;
                Stream::Zstd { context: Box::new(context), whole_frames }
            }
        }))
    }

    /// Appends the compressed form of one message to `out`, up to and with its flush.
    ///
    /// # Errors
    /// The stream cannot go on.
    pub fn write(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        match &mut self.0 {
            Stream::None => out.extend_from_slice(message),
            Stream::Zlib(stream) => deflate(stream, message, FlushCompress::Sync, out)?,
            Stream::Zstd { context, whole_frames } => {
                let end = if *whole_frames {
                    ZSTD_EndDirective::ZSTD_e_end
                } else {
                    ZSTD_EndDirective::ZSTD_e_flush
                };
                let mut input = InBuffer::around(message);
                loop {
                    out.reserve(message.len() / 2 + 256);
                    let start = out.len();
                    let mut output = OutBuffer::around_pos(out, start);
                    let left = context
                        .compress_stream2(&mut output, &mut input, end)
                        .map_err(zstd_error)?;
                    if left == 0 {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// One message as a zlib stream of its own: what `compress: true` in IDENTIFY asks for.
///
/// # Errors
/// When there is no memory for it.
pub fn deflate_alone(message: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    let mut stream = Compress::new(Level::fast(), true);
    deflate(&mut stream, message, FlushCompress::Finish, out)
}

fn deflate(
    stream: &mut Compress,
    message: &[u8],
    flush: FlushCompress,
    out: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let start = stream.total_in();
    loop {
        out.reserve(message.len() / 2 + 256);
        let used = usize::try_from(stream.total_in() - start).unwrap_or(usize::MAX);
        let rest = message.get(used..).ok_or(CompressError("zlib took more than it was given"))?;
        let status = stream
            .compress_vec(rest, out, flush)
            .map_err(|_| CompressError("zlib's state is broken"))?;
        let all_in = stream.total_in() - start == message.len() as u64;
        let done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            // A flush is complete when zlib left room in the output.
            _ => all_in && out.len() < out.capacity(),
        };
        if done {
            return Ok(());
        }
    }
}

fn zstd_error(code: usize) -> CompressError {
    CompressError(zstd_safe::get_error_name(code))
}
