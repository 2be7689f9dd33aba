//! What goes to a client: messages encoded, compressed, sent.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use mixcord_wire::Close;
use mixcord_wire::compress::{Compressor, Transport, deflate_alone};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::End;
use crate::encode::{Control, Encoding};

/// With `compress: true`, messages shorter than this stay as they are.
const WORTH_COMPRESSING: usize = 512;
/// Bytes that may wait before they are written.
const WAITING_MAX: usize = 64 * 1024;

/// A client's websocket.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The way out of one connection.
pub(super) struct Outbound {
    sink: SplitSink<Socket, Message>,
    encoding: Encoding,
    transport: Transport,
    compressor: Compressor,
    /// IDENTIFY asked for compressed payloads (G-34).
    compresses_payloads: bool,
    /// How long a client may take nothing.
    stall: Duration,
    waiting: usize,
    message: Vec<u8>,
}

impl Outbound {
    pub(super) fn new(
        sink: SplitSink<Socket, Message>,
        encoding: Encoding,
        transport: Transport,
        stall: Duration,
    ) -> Result<Self, End> {
        Ok(Self {
            sink,
            encoding,
            transport,
            compressor: Compressor::new(transport, false).map_err(|_| End::Lost)?,
            compresses_payloads: false,
            stall,
            waiting: 0,
            message: Vec::new(),
        })
    }

    pub(super) const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Only where the transport is not compressed, and only JSON (G-34).
    pub(super) fn compress_payloads(&mut self) {
        self.compresses_payloads =
            self.transport == Transport::None && self.encoding == Encoding::Json;
    }

    pub(super) async fn dispatch(&mut self, name: &str, seq: u64, body: &[u8]) -> Result<(), End> {
        let mut message = std::mem::take(&mut self.message);
        self.encoding.write_dispatch(name, seq, body, &mut message);
        let sent = self.send(&message).await;
        self.message = message;
        sent
    }

    pub(super) async fn control(&mut self, op: u8, data: Control) -> Result<(), End> {
        let mut message = std::mem::take(&mut self.message);
        self.encoding.write_control(op, data, &mut message);
        let sent = self.send(&message).await;
        self.message = message;
        sent
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), End> {
        let message = match (self.transport, self.encoding) {
            (Transport::None, _)
                if self.compresses_payloads && message.len() >= WORTH_COMPRESSING =>
            {
                let mut out = Vec::new();
                deflate_alone(message, &mut out).map_err(|_| End::Lost)?;
                Message::Binary(out.into())
            }
            (Transport::None, Encoding::Json) => {
                let text = Bytes::copy_from_slice(message);
                Message::Text(Utf8Bytes::try_from(text).map_err(|_| End::Lost)?)
            }
            (Transport::None, Encoding::Etf) => Message::Binary(Bytes::copy_from_slice(message)),
            _ => {
                let mut out = Vec::with_capacity(message.len() / 2 + 64);
                self.compressor.write(message, &mut out).map_err(|_| End::Lost)?;
                Message::Binary(out.into())
            }
        };
        self.waiting += message.len();
        self.put(message).await?;
        if self.waiting > WAITING_MAX { self.flush().await } else { Ok(()) }
    }

    async fn put(&mut self, message: Message) -> Result<(), End> {
        let Self { sink, stall, .. } = self;
        patiently(*stall, sink.feed(message)).await
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let Self { sink, stall, .. } = self;
        patiently(*stall, sink.flush()).await?;
        self.waiting = 0;
        Ok(())
    }

    /// Says why the connection ends; the client's answer is for whoever reads.
    pub(super) async fn close(&mut self, close: Close) -> Result<(), End> {
        let frame = CloseFrame { code: close.code().into(), reason: close.reason().into() };
        self.put(Message::Close(Some(frame))).await?;
        self.flush().await
    }
}

/// A client that takes nothing for so long is cut.
async fn patiently<E>(
    stall: Duration,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), End> {
    match tokio::time::timeout(stall, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Lost),
        Err(_) => Err(End::Stalled),
    }
}
