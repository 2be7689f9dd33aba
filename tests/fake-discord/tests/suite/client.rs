//! A client of the tests' own: every message as the JSON value it stands for.

use std::io;
use std::time::Duration;

use eetf::Term;
use fake_discord::{Config, Server};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::etf::{json_of, term};
use crate::inflate::Inflate;

/// Far longer than anything takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const ALL: u64 = 0x0331_FFFF;
pub(crate) const JSON: &str = "v=10&encoding=json";

/// A server with quick heartbeats and no waiting between identifies.
pub(crate) async fn server(change: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::default();
    config.identify_seconds = 0.0;
    config.guilds = 2;
    config.members = 12;
    config.rate = 0.0;
    change(&mut config);
    Server::start(config).await.expect("the server starts")
}

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    inflate: Inflate,
    etf: bool,
    pub(crate) seq: u64,
    /// The raw bytes of the last message, decompressed.
    pub(crate) raw: Vec<u8>,
    /// The websocket messages the last message came in.
    pub(crate) frames: Vec<Vec<u8>>,
    /// Whether any message came compressed by itself.
    pub(crate) was_compressed: bool,
}

/// What a connection brought next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Message(Value),
    /// Closed, with a code if there was a close frame.
    Closed(Option<u16>),
}

impl Client {
    pub(crate) async fn connect(server: &Server, query: &str) -> Self {
        Self::try_connect(server, query).await.expect("a websocket")
    }

    /// None: the server takes no connection.
    pub(crate) async fn try_connect(server: &Server, query: &str) -> Option<Self> {
        let url = format!("ws://127.0.0.1:{}/?{query}", server.port());
        let (socket, _) = tokio_tungstenite::connect_async(url).await.ok()?;
        Some(Self {
            socket,
            inflate: Inflate::of(query),
            etf: query.contains("encoding=etf"),
            seq: 0,
            raw: Vec::new(),
            frames: Vec::new(),
            was_compressed: false,
        })
    }

    /// Connects, takes HELLO and resumes.
    pub(crate) async fn resumed(server: &Server, query: &str, session: &str, seq: u64) -> Self {
        let mut client = Self::connect(server, query).await;
        assert_eq!(client.message().await["op"], 10);
        client.send(&resume(session, seq)).await;
        client
    }

    /// Connects, takes HELLO and identifies.
    pub(crate) async fn identified(server: &Server, query: &str, shard: [u64; 2]) -> Self {
        let mut client = Self::connect(server, query).await;
        assert_eq!(client.message().await["op"], 10);
        client.send(&identify(shard, ALL)).await;
        client
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let message = if self.etf {
            let mut bytes = Vec::new();
            term(message).encode(&mut bytes).expect("a term");
            Message::binary(bytes)
        } else {
            Message::text(message.to_string())
        };
        self.send_raw(message).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        // The server may have closed already: then the next read says so.
        let _ = self.socket.send(message).await;
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        let _ = self.socket.close(Some(frame)).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    pub(crate) async fn next(&mut self) -> Next {
        tokio::time::timeout(PATIENCE, self.next_inner()).await.expect("something arrives")
    }

    async fn next_inner(&mut self) -> Next {
        self.frames.clear();
        loop {
            let data = match self.socket.next().await {
                None | Some(Err(_)) => return Next::Closed(None),
                Some(Ok(Message::Close(frame))) => {
                    return Next::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                Some(Ok(_)) => continue,
            };
            self.frames.push(data.clone());
            let Some((bytes, alone)) = self.inflate.message(data) else { continue };
            self.was_compressed |= alone;
            self.raw = bytes;
            let message = if self.etf {
                json_of(&Term::decode(io::Cursor::new(&self.raw)).expect("ETF"))
            } else {
                serde_json::from_slice(&self.raw).expect("JSON")
            };
            if message["op"] == 0 {
                self.seq = message["s"].as_u64().expect("a dispatch has a seq");
            }
            return Next::Message(message);
        }
    }

    pub(crate) async fn message(&mut self) -> Value {
        match self.next().await {
            Next::Message(message) => message,
            Next::Closed(code) => panic!("closed with {code:?} where a message was due"),
        }
    }

    /// The next message with this event name; others are passed over.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let message = self.message().await;
            if message["t"] == name {
                return message;
            }
        }
    }

    /// The next message of this opcode.
    pub(crate) async fn op(&mut self, op: u64) -> Value {
        loop {
            let message = self.message().await;
            if message["op"] == op {
                return message;
            }
        }
    }

    /// The code the connection is closed with; messages before are passed over.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Next::Closed(code) = self.next().await {
                return code;
            }
        }
    }
}

/// A new session, all of READY read, and its id.
pub(crate) async fn session(server: &Server) -> (Client, String) {
    let mut client = Client::identified(server, JSON, [0, 1]).await;
    let ready = client.event("READY").await;
    client.event("GUILD_CREATE").await;
    (client, ready["d"]["session_id"].as_str().expect("an id").to_owned())
}

pub(crate) fn identify(shard: [u64; 2], intents: u64) -> Value {
    json!({"op": 2, "d": {
        "token": "Bot abc", "intents": intents, "shard": shard, "presence": null,
        "capabilities": 1 << 15,
        "properties": {"os": "linux", "browser": "tests", "device": "tests"},
    }})
}

pub(crate) fn resume(session: &str, seq: u64) -> Value {
    json!({"op": 6, "d": {"token": "abc", "session_id": session, "seq": seq}})
}

/// Sends a request to the server and gives back status, headers and body.
pub(crate) async fn http(
    server: &Server,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.expect("a connection");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bot abc\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

pub(crate) async fn get(server: &Server, path: &str) -> Value {
    let (status, _, body) = http(server, "GET", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

pub(crate) async fn post(server: &Server, path: &str) -> Value {
    serde_json::from_str(&http(server, "POST", path, "").await.2).expect("JSON")
}

/// The journal's lines of one session.
pub(crate) async fn journal(server: &Server, ordinal: u64) -> Vec<Value> {
    let path = format!("/fake/journal?session={ordinal}&format=array");
    match get(server, &path).await {
        Value::Array(lines) => lines,
        other => panic!("no array: {other}"),
    }
}
