//! Clients of mixcord-proxy, as lean as can be: each takes JSON as it is from its own websocket, and looks at the
//! kind of an event and at a message's times.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use mixcord_pipeline::probe::{Probe, STAMP};

/// Clients of mixcord-proxy for benchmarks: count what they are told
#[derive(Debug, Parser)]
struct Options {
    /// Where the proxy listens
    #[arg(long)]
    address: String,
    /// How many there are, each on a thread
    #[arg(long, default_value_t = 1)]
    clients: usize,
}

/// What the benchmark's gateway has.
const TOKEN: &str = "bench";
/// Every documented intent.
const INTENTS: u64 = 53_608_447;
/// Discord's interval is longer.
const BEAT: Duration = Duration::from_secs(20);
/// A thread calls nothing deep.
const STACK_BYTES: usize = 256 << 10;
const READ_BYTES: usize = 64 << 10;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

static PROBE: LazyLock<Probe> = LazyLock::new(Probe::default);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline-client: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    PROBE.answer()?;
    let threads: io::Result<Vec<_>> = (0..options.clients)
        .map(|_| {
            let address = options.address.clone();
            let name = "client".to_owned();
            let thread = std::thread::Builder::new().name(name).stack_size(STACK_BYTES);
            thread.spawn(move || client(&address))
        })
        .collect();
    for thread in threads? {
        match thread.join() {
            Ok(ended) => ended?,
            Err(_) => bail!("a client panicked"),
        }
    }
    Ok(())
}

fn client(address: &str) -> Result<()> {
    let mut socket = Socket::connect(address)?;
    let identify = serde_json::json!({
        "op": 2, "d": {"token": TOKEN, "intents": INTENTS, "properties": {}, "large_threshold": 250}
    });
    socket.send(&identify.to_string())?;
    let mut beaten = Instant::now();
    loop {
        if beaten.elapsed() > BEAT {
            socket.send(r#"{"op":1,"d":null}"#)?;
            beaten = Instant::now();
        }
        if !socket.read()? {
            continue;
        }
        while let Some((opcode, payload)) = socket.frame() {
            match opcode {
                TEXT => handle(payload),
                CLOSE => bail!("the proxy closed: {:?}", payload.get(..2).map(be16)),
                _ => {}
            }
        }
    }
}

/// The proxy writes an event's kind first.
fn handle(payload: &[u8]) {
    const HEAD: &[u8] = br#"{"t":""#;
    const CONTENT: &[u8] = br#""content":""#;
    let Some(rest) = payload.strip_prefix(HEAD) else { return PROBE.other() };
    let kind = rest.split(|&byte| byte == b'"').next().unwrap_or_default();
    match kind {
        b"GUILD_CREATE" => PROBE.guild(),
        b"MESSAGE_CREATE" => {
            PROBE.arrived();
            let at = memchr::memmem::find(rest, CONTENT).map(|at| at + CONTENT.len());
            let text = at.and_then(|at| rest.get(at..at + STAMP.len()));
            PROBE.event(rest.len() as u64, text.and_then(|text| std::str::from_utf8(text).ok()));
        }
        b"MESSAGE_UPDATE"
        | b"PRESENCE_UPDATE"
        | b"GUILD_MEMBER_UPDATE"
        | b"TYPING_START"
        | b"VOICE_STATE_UPDATE" => {
            PROBE.arrived();
            PROBE.event(rest.len() as u64, None);
        }
        b"READY" => PROBE.other(),
        other => PROBE.error(&String::from_utf8_lossy(other)),
    }
}

/// A websocket of frames that come whole and unmasked.
struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where in it the next frame begins.
    at: usize,
}

impl Socket {
    fn connect(address: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        // So that a heartbeat is sent, too, where nothing comes.
        stream.set_read_timeout(Some(BEAT / 4))?;
        write!(
            stream,
            "GET /?v=10&encoding=json HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend_from_slice(&byte);
        }
        let accepted = head.starts_with(b"HTTP/1.1 101");
        ensure!(accepted, "no websocket: {}", String::from_utf8_lossy(&head));
        Ok(Self { stream, buffer: Vec::new(), at: 0 })
    }

    /// Sends text, masked with zeros.
    fn send(&mut self, text: &str) -> Result<()> {
        let length = u16::try_from(text.len()).context("a short message")?;
        let mut frame = vec![0x80 | TEXT, 0x80 | 126];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        Ok(self.stream.write_all(&frame)?)
    }

    /// Reads what there is; whether there was something.
    fn read(&mut self) -> Result<bool> {
        self.buffer.drain(..std::mem::take(&mut self.at));
        let had = self.buffer.len();
        self.buffer.resize(had + READ_BYTES, 0);
        let read = self.stream.read(&mut self.buffer[had..]);
        self.buffer.truncate(had + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => bail!("the proxy is gone"),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next whole frame that was read.
    fn frame(&mut self) -> Option<(u8, &[u8])> {
        let frame = self.buffer.get(self.at..)?;
        let (head, length) = match *frame.get(1)? {
            126 => (4, usize::from(be16(frame.get(2..4)?))),
            127 => {
                (10, usize::try_from(u64::from_be_bytes(frame.get(2..10)?.try_into().ok()?)).ok()?)
            }
            short => (2, usize::from(short)),
        };
        let (opcode, payload) = (frame[0] & 15, frame.get(head..head + length)?);
        self.at += head + length;
        Some((opcode, payload))
    }
}

fn be16(bytes: &[u8]) -> u16 {
    bytes.try_into().map_or(0, u16::from_be_bytes)
}
