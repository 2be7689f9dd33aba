//! What goes to a client: messages encoded, packed, sent.

use std::time::Duration;

use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use mixcord_wire::Close;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::End;
use super::packing::Packing;
use crate::encode::{Control, Encoding};
use crate::moved::{Moved, Watched};

/// Bytes that may wait before they are written.
const WAITING_MAX: usize = 64 * 1024;

/// A client's websocket.
pub(crate) type Socket = WebSocketStream<Watched<TokioIo<Upgraded>>>;

/// The way out of one connection.
pub(super) struct Outbound {
    sink: SplitSink<Socket, Message>,
    packing: Packing,
    /// How long a client may take nothing, and when it last took something.
    stall: Duration,
    taken: Moved,
    waiting: usize,
    message: Vec<u8>,
}

impl Outbound {
    pub(super) fn new(
        sink: SplitSink<Socket, Message>,
        packing: Packing,
        (stall, taken): (Duration, Moved),
    ) -> Self {
        Self { sink, packing, stall, taken, waiting: 0, message: Vec::new() }
    }

    pub(super) const fn encoding(&self) -> Encoding {
        self.packing.encoding()
    }

    pub(super) fn compress_payloads(&mut self) {
        self.packing.compress_payloads();
    }

    pub(super) async fn dispatch(&mut self, name: &str, seq: u64, body: &[u8]) -> Result<(), End> {
        let mut message = std::mem::take(&mut self.message);
        self.encoding().write_dispatch(name, seq, body, &mut message);
        let sent = self.send(&message).await;
        self.keep(message);
        sent
    }

    pub(super) async fn control(&mut self, op: u8, data: Control) -> Result<(), End> {
        let mut message = std::mem::take(&mut self.message);
        self.encoding().write_control(op, data, &mut message);
        let sent = self.send(&message).await;
        self.keep(message);
        sent
    }

    /// The next message is written where this one was; a guild's would be held as long as its client is there.
    fn keep(&mut self, message: Vec<u8>) {
        if message.capacity() <= WAITING_MAX {
            self.message = message;
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), End> {
        let packed = self.packing.pack(message)?;
        self.waiting += message.len();
        self.put(packed).await?;
        if self.waiting > WAITING_MAX { self.flush().await } else { Ok(()) }
    }

    async fn put(&mut self, message: Message) -> Result<(), End> {
        let Self { sink, stall, taken, .. } = self;
        patiently(*stall, taken, sink.feed(message)).await
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let Self { sink, stall, taken, .. } = self;
        patiently(*stall, taken, sink.flush()).await?;
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
    taken: &Moved,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), End> {
    // There may have been nothing to take.
    taken.now();
    match taken.within(stall, work).await {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) => Err(End::Lost),
        None => Err(End::Stalled),
    }
}
