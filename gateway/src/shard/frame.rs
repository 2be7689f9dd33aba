//! From what a socket brought to a decoded message and back, on every connection in the same way.

use mixcord_event::send::EncodeError;
use mixcord_event::{DecodeError, DecodeErrorKind, Decoder, Encoding, Frame, Outgoing};
use tokio_tungstenite::tungstenite::Message;

use crate::wire::{InflateError, Inflater};

/// What one websocket message turned out to be.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// A message.
    Message(T),
    /// A part of one: more has to come.
    Part,
    /// No message. The next one may be.
    Undecodable(DecodeError),
}

/// Decompresses and decodes what came. `then` is shown the message, and why what was kept before it was none, where
/// that is so.
///
/// # Errors
/// The connection cannot be read any further.
pub(super) fn find<T>(
    inflater: &mut Inflater,
    bytes: &[u8],
    encoding: Encoding,
    decoder: &mut Decoder,
    then: impl FnOnce(Frame<'_>, Option<DecodeError>) -> T,
) -> Result<Found<T>, InflateError> {
    if !inflater.push(bytes)? {
        return Ok(Found::Part);
    }
    let alone = match decode(encoding, decoder, inflater.newest(bytes)) {
        Ok(frame) => {
            // What was kept was no first part of this: the rest of a message is none by itself.
            let kept = inflater.with_kept().map(|kept| cut_short(kept.len()));
            return Ok(Found::Message(then(frame, kept)));
        }
        Err(error) => error,
    };
    let whole = match inflater.with_kept() {
        None => None,
        Some(whole) => match decode(encoding, decoder, whole) {
            Ok(frame) => return Ok(Found::Message(then(frame, None))),
            Err(error) => Some(error),
        },
    };
    // G-35: what looks whole may be the first part of a message.
    if is_cut_short(whole.as_ref().unwrap_or(&alone)) && inflater.keep() {
        return Ok(Found::Part);
    }
    if whole.is_some() && is_cut_short(&alone) {
        inflater.keep_newest();
    }
    Ok(Found::Undecodable(whole.unwrap_or(alone)))
}

pub(super) fn decode<'d>(
    encoding: Encoding,
    decoder: &'d mut Decoder,
    payload: &[u8],
) -> Result<Frame<'d>, DecodeError> {
    match encoding {
        Encoding::Etf => decoder.etf(payload),
        Encoding::Json => decoder.json(payload),
    }
}

/// What is to be sent, as a websocket message.
pub(super) fn message(outgoing: &Outgoing, encoding: Encoding) -> Result<Message, EncodeError> {
    let mut bytes = Vec::new();
    outgoing.encode(encoding, &mut bytes)?;
    Ok(match encoding {
        Encoding::Etf => Message::binary(bytes),
        // The encoder writes JSON with serde_json: UTF-8.
        Encoding::Json => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

pub(super) fn is_cut_short(error: &DecodeError) -> bool {
    error.kind == DecodeErrorKind::Truncated
}

/// Of a message whose end never came.
fn cut_short(offset: usize) -> DecodeError {
    DecodeError { kind: DecodeErrorKind::Truncated, offset, path: String::new() }
}
