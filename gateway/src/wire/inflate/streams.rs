//! The two compressed streams: everything a piece of input inflates to, up to a limit.

use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::InflateError;

/// The largest zstd window accepted, as a power of two: 32 MiB of memory per connection.
const WINDOW_LOG_MAX: u32 = 25;
/// Output space made at once.
pub(super) const STEP: usize = 64 << 10;

pub(super) fn zstd_context() -> DCtx<'static> {
    let mut context = DCtx::create();
    // Setting a documented parameter within its range cannot fail; the default is only laxer.
    let _ = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX));
    context
}

/// Appends what `input` inflates to.
///
/// A server may send one endless frame or one frame per message: a frame that ends is followed by
/// the next within the same context.
pub(super) fn unzstd(
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

/// Appends what `input` inflates to.
pub(super) fn unzlib(
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
