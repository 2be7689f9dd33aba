//! mixcord-proxy says the same in every encoding and compression that Discord has.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use flate2::{Decompress, FlushDecompress};
use futures_util::{SinkExt, StreamExt};
use mixcord::State;
use mixcord::state::Resource;
use mixcord_e2e::{Fake, FakeOptions, Stack, TOKEN, View, differences, until};
use mixcord_event::Document;
use mixcord_wire::term;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use zstd_safe::{DCtx, InBuffer, OutBuffer};

const DEADLINE: Duration = Duration::from_secs(60);
/// Every documented intent.
const ALL: u64 = 53_608_447;
const GUILDS: usize = 12;
/// More than any message of this test.
const ROOM: usize = 8 << 20;

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
struct Form {
    etf: bool,
    stream: &'static str,
    compress: bool,
}

const FORMS: [Form; 7] = [
    Form { etf: false, stream: "", compress: false },
    Form { etf: false, stream: "", compress: true },
    Form { etf: false, stream: "zlib-stream", compress: false },
    Form { etf: false, stream: "zstd-stream", compress: false },
    Form { etf: true, stream: "", compress: false },
    Form { etf: true, stream: "zlib-stream", compress: false },
    Form { etf: true, stream: "zstd-stream", compress: false },
];

/// A client of one form.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    form: Form,
    zlib: Decompress,
    zstd: DCtx<'static>,
    /// Messages that were compressed by themselves.
    alone: usize,
}

impl Client {
    async fn connect(address: &str, form: Form) -> Result<Self> {
        let encoding = if form.etf { "etf" } else { "json" };
        let mut url = format!("ws://{address}/?v=10&encoding={encoding}");
        if !form.stream.is_empty() {
            url = format!("{url}&compress={}", form.stream);
        }
        let (socket, _) = connect_async(url).await?;
        Ok(Self { socket, form, zlib: Decompress::new(true), zstd: DCtx::create(), alone: 0 })
    }

    async fn send(&mut self, message: &Value) -> Result<()> {
        let message = if self.form.etf {
            let mut out = vec![term::VERSION];
            write_term(message, &mut out);
            Message::Binary(out.into())
        } else {
            Message::text(message.to_string())
        };
        Ok(self.socket.send(message).await?)
    }

    /// The next message, with ids as text whatever the encoding.
    async fn next(&mut self) -> Result<Value> {
        let message = self.socket.next().await.context("the connection is gone")??;
        let (is_text, bytes) = match &message {
            Message::Text(text) => (true, text.as_bytes()),
            Message::Binary(bytes) => (false, &bytes[..]),
            other => bail!("{other:?}"),
        };
        let mut out = Vec::with_capacity(ROOM);
        match self.form.stream {
            "zlib-stream" => {
                self.zlib.decompress_vec(bytes, &mut out, FlushDecompress::Sync)?;
            }
            "zstd-stream" => {
                let mut output = OutBuffer::around(&mut out);
                let mut input = InBuffer::around(bytes);
                let read = self.zstd.decompress_stream(&mut output, &mut input);
                read.map_err(|code| anyhow::anyhow!(zstd_safe::get_error_name(code)))?;
            }
            _ if self.form.compress && !is_text => {
                self.alone += 1;
                Decompress::new(true).decompress_vec(bytes, &mut out, FlushDecompress::Finish)?;
            }
            _ => out.extend_from_slice(bytes),
        }
        let is_plain = self.form.stream.is_empty() && !self.form.etf && !self.form.compress;
        ensure!(is_text || !is_plain, "binary, where text was asked for");
        let document = if self.form.etf {
            Document::from_etf(&out)?
        } else {
            Document::from_json(std::str::from_utf8(&out)?)?
        };
        Ok(serde_json::from_str(&document.to_json())?)
    }

    /// HELLO, READY and the guilds, in an order and without what is of this session alone.
    async fn start(&mut self) -> Result<Vec<Value>> {
        let hello = self.next().await?;
        ensure!(hello["op"] == 10, "{hello}");
        let data = json!({"token": TOKEN, "intents": ALL, "large_threshold": 250, "compress": self.form.compress,
                          "properties": {"os": "linux"}, "shard": [0, 1]});
        self.send(&json!({"op": 2, "d": data})).await?;
        let mut all = vec![hello];
        for seq in 1..=GUILDS + 1 {
            let mut message = self.next().await?;
            ensure!(message["s"] == seq && message["op"] == 0, "{seq} expected: {message}");
            if let Some(session) = message["d"].get_mut("session_id") {
                ensure!(session.is_string(), "{session}");
                session.take();
            }
            all.push(message);
        }
        // It is understood, too.
        self.send(&json!({"op": 1, "d": GUILDS + 1})).await?;
        all.push(self.next().await?);
        Ok(all)
    }
}

/// As a client writes: keys are binaries.
fn write_term(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => term::atom("nil", out),
        Value::Bool(value) => term::atom(if *value { "true" } else { "false" }, out),
        Value::Number(number) => term::unsigned(number.as_u64().unwrap_or(0), out),
        Value::String(text) => term::binary(text.as_bytes(), out),
        Value::Array(items) => {
            term::list_head(items.len(), out);
            items.iter().for_each(|item| write_term(item, out));
            term::list_end(out);
        }
        Value::Object(pairs) => {
            term::map_head(pairs.len(), out);
            for (key, value) in pairs {
                term::binary(key.as_bytes(), out);
                write_term(value, out);
            }
        }
    }
}

#[test]
fn every_encoding_in_every_compression_says_the_same() -> Result<()> {
    let stack = Stack::new()?;
    let (guilds, events) = (GUILDS as u32, 0);
    let options = FakeOptions { shards: 2, guilds, events, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let _gateway = stack.gateway(&fake, "auto", &["--large-threshold", "250"])?;
    let _cache = stack.cache(&[])?;
    let (_proxy, address) = stack.proxy(&["--no-rest"])?;
    // All guilds have come, and nothing happens any more.
    fake.until_finished(DEADLINE)?;
    let (world, state) = (fake.world()?, State::attach(stack.instance())?);
    let view = View { shown: &[Resource::Guilds, Resource::Members], hidden: &[], untold: &[] };
    until("all guilds", DEADLINE, || {
        differences(&world, &state, view).is_ok_and(|found| found.is_empty())
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = async {
        let mut first = None;
        for form in FORMS {
            let mut client = Client::connect(&address, form).await?;
            let told = client.start().await.with_context(|| format!("{form:?}"))?;
            ensure!((client.alone > GUILDS / 2) == form.compress, "{form:?}: {}", client.alone);
            let first = first.get_or_insert_with(|| told.clone());
            for (wanted, told) in first.iter().zip(&told) {
                ensure!(wanted == told, "{form:?}:\n{told}\nis not\n{wanted}");
            }
        }
        Ok(())
    };
    runtime.block_on(async { tokio::time::timeout(DEADLINE, all).await })?
}
