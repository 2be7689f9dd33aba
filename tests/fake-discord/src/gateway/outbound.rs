//! What goes to a client: messages encoded, compressed, framed, perhaps split.

use crate::value::Val;
use crate::wire::message::Encoding;
use crate::wire::websocket::{self, Opcode};
use mixcord_wire::compress::{CompressError, Compressor, Transport, deflate_alone};

/// With `compress: true`, messages shorter than this stay as they are.
const WORTH_COMPRESSING: usize = 512;

/// The way out of one connection.
pub(crate) struct Outbound {
    encoding: Encoding,
    transport: Transport,
    compressor: Compressor,
    /// IDENTIFY asked for compressed payloads (G-34).
    payload_compression: bool,
    split: bool,
    /// Frames that wait to be written to the socket.
    pub(crate) bytes: Vec<u8>,
    message: Vec<u8>,
    compressed: Vec<u8>,
}

impl Outbound {
    pub(crate) fn new(
        encoding: Encoding,
        transport: Transport,
        zstd_whole_frames: bool,
        split: bool,
    ) -> Result<Self, CompressError> {
        Ok(Self {
            encoding,
            transport,
            compressor: Compressor::new(transport, zstd_whole_frames)?,
            payload_compression: false,
            split,
            bytes: Vec::with_capacity(128 * 1024),
            message: Vec::new(),
            compressed: Vec::new(),
        })
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// From now on large payloads are compressed each by itself: JSON only, and not on top of
    /// transport compression (G-34).
    pub(crate) fn compress_payloads(&mut self) {
        self.payload_compression =
            self.encoding == Encoding::Json && self.transport == Transport::None;
    }

    /// Adds a dispatch whose body is already in the connection's encoding.
    pub(crate) fn dispatch(
        &mut self,
        name: &str,
        seq: u64,
        body: &[u8],
    ) -> Result<(), CompressError> {
        self.message.clear();
        self.encoding.write_dispatch(name, seq, body, &mut self.message);
        self.send()
    }

    /// Adds a message of another opcode than 0.
    pub(crate) fn control(&mut self, op: u8, data: &Val) -> Result<(), CompressError> {
        self.message.clear();
        self.encoding.write_control(op, data, &mut self.message);
        self.send()
    }

    /// Adds the last message once more.
    pub(crate) fn repeat(&mut self) -> Result<(), CompressError> {
        self.send()
    }

    fn send(&mut self) -> Result<(), CompressError> {
        let alone = self.payload_compression && self.message.len() > WORTH_COMPRESSING;
        let (bytes, opcode) = if self.transport != Transport::None {
            self.compressed.clear();
            self.compressor.write(&self.message, &mut self.compressed)?;
            (&self.compressed, Opcode::Binary)
        } else if alone {
            self.compressed.clear();
            deflate_alone(&self.message, &mut self.compressed)?;
            (&self.compressed, Opcode::Binary)
        } else if self.encoding == Encoding::Json {
            (&self.message, Opcode::Text)
        } else {
            (&self.message, Opcode::Binary)
        };
        if !self.split || bytes.len() < 2 {
            websocket::write_frame(opcode, bytes, &mut self.bytes);
            return Ok(());
        }
        // Any place will do as long as it is another one each time.
        let at = 1 + (self.bytes.len() + bytes.len() * 7) % (bytes.len() - 1);
        let (head, tail) = bytes.split_at(at);
        if self.transport == Transport::Zlib {
            // G-35: one gateway message over several websocket messages.
            websocket::write_frame(opcode, head, &mut self.bytes);
            websocket::write_frame(opcode, tail, &mut self.bytes);
        } else {
            websocket::write_head(false, opcode, head.len(), &mut self.bytes);
            self.bytes.extend_from_slice(head);
            websocket::write_frame(Opcode::Continuation, tail, &mut self.bytes);
        }
        Ok(())
    }
}
