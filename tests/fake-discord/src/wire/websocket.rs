//! Websocket frames (RFC 6455), the server's side.

use thiserror::Error;

/// The largest frame a client may send. Discord refuses more than 4,096 bytes with close code
/// 4002, so a message somewhat larger must still be read to be refused that way.
const FRAME_MAX: usize = 64 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A client broke the websocket protocol.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    #[error("a frame without a mask")]
    Unmasked,
    #[error("reserved bits or an unknown opcode")]
    Reserved,
    #[error("a control frame that is long or in parts")]
    Control,
    #[error("a frame of more than {FRAME_MAX} bytes")]
    TooLarge,
}

/// One frame of a client, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) last: bool,
    pub(crate) opcode: Opcode,
    pub(crate) payload: Vec<u8>,
}

/// Takes the first whole frame out of `buffer`; none while it is incomplete.
pub(crate) fn read_frame(buffer: &mut Vec<u8>) -> Result<Option<Frame>, FrameError> {
    let [first, second, ..] = buffer[..] else { return Ok(None) };
    let opcode = match first & 0x7f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(FrameError::Reserved),
    };
    let last = first & 0x80 != 0;
    if second & 0x80 == 0 {
        return Err(FrameError::Unmasked);
    }
    let short = usize::from(second & 0x7f);
    if opcode as u8 >= 8 && (short > 125 || !last) {
        return Err(FrameError::Control);
    }
    let (length, head) = match short {
        126 => match buffer.get(2..4) {
            Some(&[a, b]) => (usize::from(u16::from_be_bytes([a, b])), 4),
            _ => return Ok(None),
        },
        127 => match buffer.get(2..10).and_then(|bytes| bytes.first_chunk::<8>()) {
            Some(bytes) => (usize::try_from(u64::from_be_bytes(*bytes)).unwrap_or(usize::MAX), 10),
            None => return Ok(None),
        },
        short => (short, 2),
    };
    if length > FRAME_MAX {
        return Err(FrameError::TooLarge);
    }
    let whole = head + 4 + length;
    if buffer.len() < whole {
        return Ok(None);
    }
    let mask = [buffer[head], buffer[head + 1], buffer[head + 2], buffer[head + 3]];
    let mut payload = buffer[head + 4..whole].to_vec();
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[at & 3];
    }
    buffer.drain(..whole);
    Ok(Some(Frame { last, opcode, payload }))
}

/// Appends the head of an unmasked frame.
pub(crate) fn write_head(last: bool, opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    out.push(u8::from(last) << 7 | opcode as u8);
    if length < 126 {
        out.push(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends a whole frame.
pub(crate) fn write_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    write_head(true, opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a close frame.
pub(crate) fn write_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.get(..120).unwrap_or(reason).as_bytes());
    write_frame(Opcode::Close, &payload, out);
}
