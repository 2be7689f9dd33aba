//! An open websocket that is asked for messages only when something may have come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// An open websocket.
///
/// tungstenite fills all of its buffer with zeros before it finds that nothing has come. A shard looks for a message once
/// more after each that it took, and before it waits: with many shards, of which each has one message now and then, that
/// is most of what a look costs. So once it has nothing left, TCP is asked first, which has a bit for that.
#[derive(Debug)]
pub struct Socket {
    messages: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// All that came was taken: neither tungstenite nor TLS has anything that needs no more bytes.
    is_drained: bool,
}

impl Socket {
    pub(super) const fn new(messages: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { messages, is_drained: false }
    }

    /// Begins to close it: what comes until its end is still given.
    ///
    /// # Errors
    /// When the frame cannot be sent.
    pub async fn close(&mut self, frame: CloseFrame) -> Result<(), WsError> {
        self.messages.send(Message::Close(Some(frame))).await
    }

    fn poll_tcp(&self, cx: &mut Context<'_>) -> Poll<()> {
        let tcp = match self.messages.get_ref() {
            MaybeTlsStream::Plain(tcp) => tcp,
            MaybeTlsStream::Rustls(tls) => tls.get_ref().0,
            // There is no other kind in this build.
            _ => return Poll::Ready(()),
        };
        // What is wrong with it, the read says.
        tcp.poll_read_ready(cx).map(drop)
    }
}

impl Stream for Socket {
    type Item = Result<Message, WsError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_drained {
            // A pong that the system did not take at once goes out with what is sent or comes next.
            ready!(self.poll_tcp(cx));
        }
        let polled = self.messages.poll_next_unpin(cx);
        self.is_drained = polled.is_pending();
        polled
    }
}

impl Sink<Message> for Socket {
    type Error = WsError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        self.messages.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), WsError> {
        self.messages.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        self.messages.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        self.messages.poll_close_unpin(cx)
    }
}

#[cfg(test)]
mod tests;
