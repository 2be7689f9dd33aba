//! A client of the gateway that shows everything it is sent: bare messages, one at a time.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

/// A message that does not come within this is not coming.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that the system keeps for a client that has little room.
const NARROW: u32 = 64 << 10;

/// What a client keeps to resume: the session, and the last number.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// READY's `session_id`.
    pub session: String,
    /// The last `s`.
    pub seq: u64,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What it would resume with.
    pub kept: Kept,
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// Its name.
    pub name: String,
    /// Its number in the session.
    pub seq: u64,
    /// Its data.
    pub data: Value,
}

/// What a connection says.
#[derive(Debug)]
pub enum Said {
    /// An event.
    Dispatch(Dispatch),
    /// Another opcode than 0, and its data.
    Control(u64, Value),
    /// It closed, with this code; 0 when it was just gone.
    Closed(u16),
}

impl Client {
    /// Connects to `address`, a `ws://HOST:PORT`, and takes HELLO.
    ///
    /// # Errors
    /// When nobody answers, or with something else.
    pub async fn connect(address: &str) -> Result<Self> {
        let (socket, _) = connect_async(plain(address)).await?;
        Self::greeted(socket).await
    }

    /// The same, where little has room that is not read at once.
    ///
    /// # Errors
    /// When nobody answers, or with something else.
    pub async fn connect_narrow(address: &str) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(NARROW)?;
        let to = address.trim_start_matches("ws://").parse().context("an address")?;
        let stream = MaybeTlsStream::Plain(socket.connect(to).await?);
        let (socket, _) = client_async(plain(address), stream).await?;
        Self::greeted(socket).await
    }

    async fn greeted(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Result<Self> {
        let mut client = Self { socket, kept: Kept::default() };
        match client.next().await? {
            Said::Control(10, data) if data["heartbeat_interval"].is_u64() => Ok(client),
            other => bail!("no HELLO but {other:?}"),
        }
    }

    /// Sends an opcode.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, op: u8, data: Value) -> Result<()> {
        let text = json!({ "op": op, "d": data }).to_string();
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// IDENTIFY with `more` put over what everybody says, and READY.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn identify(&mut self, token: &str, intents: u64, more: Value) -> Result<Value> {
        let mut data = json!({ "token": token, "properties": {}, "intents": intents });
        for (key, value) in more.as_object().into_iter().flatten() {
            data[key] = value.clone();
        }
        self.send(2, data).await?;
        let ready = self.dispatch().await?;
        ensure!(ready.name == "READY" && ready.seq == 1, "no READY but {ready:?}");
        self.kept.session = ready.data["session_id"].as_str().context("no session_id")?.to_owned();
        Ok(ready.data)
    }

    /// Connects anew and resumes.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn resume(address: &str, token: &str, kept: &Kept) -> Result<Self> {
        let mut client = Self::connect(address).await?;
        let Kept { session, seq } = kept;
        client.send(6, json!({ "token": token, "session_id": session, "seq": seq })).await?;
        client.kept = kept.clone();
        Ok(client)
    }

    /// The next event; its number follows the one before.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn dispatch(&mut self) -> Result<Dispatch> {
        match self.next().await? {
            Said::Dispatch(dispatch) => {
                let expected = self.kept.seq + 1;
                ensure!(dispatch.seq == expected, "{expected} is missing before {dispatch:?}");
                self.kept.seq = dispatch.seq;
                Ok(dispatch)
            }
            other => bail!("no event but {other:?}"),
        }
    }

    /// Whatever comes next.
    ///
    /// # Errors
    /// When nothing comes, or what is no message of a gateway.
    pub async fn next(&mut self) -> Result<Said> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let message = match next.context("nothing came")? {
                Some(Ok(message)) => message,
                Some(Err(_)) | None => return Ok(Said::Closed(0)),
            };
            let text = match message {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    return Ok(Said::Closed(frame.map_or(0, |frame| frame.code.into())));
                }
                _ => continue,
            };
            let mut message: Value = serde_json::from_str(&text)?;
            let data = message["d"].take();
            return Ok(match message["op"].as_u64() {
                Some(0) => Said::Dispatch(Dispatch {
                    name: message["t"].as_str().context("an event without a name")?.to_owned(),
                    seq: message["s"].as_u64().context("an event without a number")?,
                    data,
                }),
                Some(op) => Said::Control(op, data),
                None => bail!("no opcode: {message}"),
            });
        }
    }
}

/// The websocket of JSON as it is.
fn plain(address: &str) -> String {
    format!("{address}/?v=10&encoding=json")
}
