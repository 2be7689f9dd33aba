//! A server that says exactly what a test wants, however wrong.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// TCP, or TLS over it.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A websocket as the server holds it.
pub(crate) struct Peer {
    socket: WebSocketStream<BufReader<Box<dyn Wire>>>,
    /// Which connection this is, from 0.
    pub(crate) number: usize,
    /// What the client calls itself.
    pub(crate) user_agent: String,
}

impl Peer {
    pub(crate) async fn send(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    pub(crate) async fn say(&mut self, value: &Value) {
        self.send(Message::text(value.to_string())).await;
    }

    pub(crate) async fn hello(&mut self) {
        self.say(&json!({"op": 10, "s": null, "t": null, "d": {"heartbeat_interval": 40_000}}))
            .await;
    }

    pub(crate) async fn dispatch(&mut self, seq: u64, name: &str, data: Value) {
        self.say(&json!({"op": 0, "s": seq, "t": name, "d": data})).await;
    }

    /// The next payload with this opcode; `None` when the client is gone.
    pub(crate) async fn expect(&mut self, op: u64) -> Option<Value> {
        while let Some(Ok(message)) = self.socket.next().await {
            let Message::Text(text) = message else { continue };
            let value: Value = serde_json::from_str(&text).expect("the gateway sends JSON");
            if value["op"] == op {
                return Some(value["d"].clone());
            }
        }
        None
    }

    /// The next payload, whatever it is; `None` when the client is gone.
    pub(crate) async fn any(&mut self) -> Option<Value> {
        let message = self.socket.next().await?.ok()?;
        serde_json::from_str(message.to_text().ok()?).ok()
    }

    /// The next message, whatever it is.
    pub(crate) async fn anything(&mut self) {
        let _ = self.socket.next().await;
    }

    /// HELLO, IDENTIFY, READY of a session named `id`.
    pub(crate) async fn ready(&mut self, id: &str, resume_url: &str) {
        self.hello().await;
        self.expect(2).await;
        let data =
            json!({"v": 10, "session_id": id, "resume_gateway_url": resume_url, "guilds": []});
        self.dispatch(1, "READY", data).await;
    }

    /// Answers heartbeats until the client goes.
    pub(crate) async fn stay(&mut self) {
        while self.expect(1).await.is_some() {
            self.say(&json!({"op": 11, "d": null})).await;
        }
    }

    /// The next message; `None` when the client is gone.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.socket.next().await?.ok()
    }

    pub(crate) async fn close(&mut self, code: u16) {
        self.close_because(code, "").await;
    }

    pub(crate) async fn close_because(&mut self, code: u16, reason: &'static str) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        let _ = self.socket.close(Some(frame)).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A running server; every websocket is handed to the script.
pub(crate) struct Hostile {
    _runtime: Runtime,
    port: u16,
    scheme: &'static str,
    connections: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Hostile {
    pub(crate) fn start<F>(script: F) -> Self
    where
        F: Fn(Peer) -> Work + Send + Sync + 'static,
    {
        Self::start_with(None, script)
    }

    /// With `tls` everything is encrypted, the API and the websocket.
    pub(crate) fn start_with<F>(tls: Option<TlsAcceptor>, script: F) -> Self
    where
        F: Fn(Peer) -> Work + Send + Sync + 'static,
    {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("listens");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let (script, counter) = (Arc::new(script), connections.clone());
        let api = asked.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, counter, tls) = (script.clone(), counter.clone(), tls.clone());
                let api = api.clone();
                tokio::spawn(async move {
                    let (stream, url): (Box<dyn Wire>, _) = match tls {
                        None => (Box::new(stream), format!("ws://127.0.0.1:{port}")),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => (Box::new(stream), format!("wss://127.0.0.1:{port}")),
                            Err(_) => return,
                        },
                    };
                    serve(BufReader::new(stream), &url, &*script, &counter, &api).await;
                });
            }
        });
        Self { _runtime: runtime, port, scheme, connections, asked }
    }

    pub(crate) fn api_url(&self) -> String {
        format!("{}://127.0.0.1:{}/api/v10", self.scheme, self.port)
    }

    /// How often `/gateway/bot` was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Websockets opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve<F: Fn(Peer) -> Work>(
    mut stream: BufReader<Box<dyn Wire>>,
    url: &str,
    script: &F,
    counter: &AtomicUsize,
    api: &AtomicUsize,
) {
    let is_api = stream.fill_buf().await.is_ok_and(|start| start.starts_with(b"GET /api/"));
    if is_api {
        api.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "url": url,
            "shards": 1,
            "session_start_limit":
                {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1},
        })
        .to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(body.as_bytes()).await;
        let _ = stream.shutdown().await;
        return;
    }
    let mut user_agent = String::new();
    let look = |request: &Request, answer: Response| {
        let named = request.headers().get("user-agent");
        user_agent = named.and_then(|name| name.to_str().ok()).unwrap_or_default().to_owned();
        Ok::<_, ErrorResponse>(answer)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, look).await else { return };
    let number = counter.fetch_add(1, Ordering::Relaxed);
    script(Peer { socket, number, user_agent }).await;
}
