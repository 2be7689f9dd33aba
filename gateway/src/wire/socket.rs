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
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    /// A websocket, and the other end of its TCP.
    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let near = MaybeTlsStream::Plain(near.expect("a connection"));
        let messages = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        (Socket::new(messages), far.expect("a connection").0)
    }

    /// A text frame as a server sends it.
    fn frame(text: &str) -> Vec<u8> {
        let mut bytes = vec![0x81, 126];
        bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// However the bytes are cut, and whether or not somebody looked in vain between two of them.
    #[tokio::test]
    async fn whatever_comes_wakes_whoever_waits_for_it() {
        let (mut socket, mut far) = pair().await;
        let texts: Vec<String> = (0..200).map(|n| "x".repeat(n * 37 % 900)).collect();
        let bytes: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
        let sender = tokio::spawn(async move {
            let (mut rest, mut length) = (&*bytes, 1);
            while !rest.is_empty() {
                let (now, then) = rest.split_at(length.min(rest.len()));
                far.write_all(now).await.expect("sent");
                tokio::task::yield_now().await;
                (rest, length) = (then, length * 31 % 1021);
            }
            far
        });
        for (number, text) in texts.iter().enumerate() {
            let looked = if number % 3 == 0 { socket.next().now_or_never() } else { None };
            let received = match looked {
                Some(received) => received,
                None => socket.next().await,
            };
            let message = received.expect("a message").expect("a sound one");
            assert_eq!(message.into_text().expect("text").as_str(), text, "message {number}");
        }
        assert!(socket.next().now_or_never().is_none() && socket.is_drained);
        drop(sender.await.expect("sent"));
        assert!(matches!(socket.next().await, None | Some(Err(_))), "the end wakes, too");
    }

    /// Nobody has to send or receive anything else for it.
    #[tokio::test]
    async fn a_ping_is_answered() {
        let (mut socket, mut far) = pair().await;
        assert!(socket.next().now_or_never().is_none());
        far.write_all(&[0x89, 1, 7]).await.expect("sent");
        assert_eq!(
            socket.next().await.expect("one").expect("sound"),
            Message::Ping(vec![7].into())
        );
        assert!(socket.next().now_or_never().is_none());
        let mut pong = [0; 7];
        far.read_exact(&mut pong).await.expect("a pong");
        assert_eq!(pong[..2], [0x8a, 0x81], "masked, of one byte");
    }
}
