//! Serving the streams.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frames::{Stream, Streams};
use super::http::{Request, answer, frame, refuse, shard_of, upgrade};
use super::{Compression, Load};
use crate::probe::DIGITS;
use crate::probe::clock::now_ns;

/// Written at once while a flood lasts.
const WRITE_BYTES: usize = 256 << 10;
/// From the word to begin to the first event that is due.
const LEAD_NS: u64 = 20_000_000;
/// A connection's thread calls nothing deep.
const STACK_BYTES: usize = 256 << 10;
const CLOSE: u8 = 8;

/// The server.
#[derive(Debug)]
pub struct Server {
    world: Arc<World>,
    listener: TcpListener,
}

/// How far it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Connections that have all their GUILD_CREATEs.
    pub ready: usize,
    /// Connections that have all their events.
    pub done: usize,
    /// Mean length of an event before compression, in bytes.
    pub mean_bytes: f64,
    /// What a client asked for in vain: another encoding or compression than what was encoded.
    pub refused: String,
}

#[derive(Debug)]
struct World {
    streams: Streams,
    load: Load,
    port: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Connections of an earlier contender count no more.
    round: u64,
    /// When to begin, and how many events a second over all shards; 0 is as fast as they are taken.
    begin: Option<(u64, f64)>,
    ready: usize,
    done: usize,
    refused: String,
}

impl Server {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// The system gives no port.
    pub fn new(streams: Streams, load: Load) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (state, changed) = (Mutex::default(), Condvar::new());
        Ok(Self { world: Arc::new(World { streams, load, port, state, changed }), listener })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.world.port
    }

    /// Serves until the process ends. `/status`, `/go?rate=N` and `/again` are for the benchmark;
    /// `/again` gives the whole stream to the next connections.
    ///
    /// # Errors
    /// No connection can be accepted any more.
    pub fn serve(&self) -> io::Result<()> {
        for stream in self.listener.incoming() {
            let (stream, world) = (stream?, Arc::clone(&self.world));
            // A connection that breaks is the client's business.
            let serve = move || drop(world.connection(stream));
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn(serve)?;
        }
        Ok(())
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        let request = Request::read(&mut stream)?;
        let Some(key) = request.websocket_key() else { return self.control(&request, &stream) };
        if !self.is_what_was_encoded(&request) {
            request.target().clone_into(&mut self.state().refused);
            return refuse(&stream);
        }
        stream.set_nodelay(true)?;
        upgrade(&stream, key)?;
        self.shard(&mut stream)
    }

    /// Else a client would be measured that reads something else than it was meant to, or nothing.
    fn is_what_was_encoded(&self, request: &Request) -> bool {
        let Load { encoding, compression, .. } = self.load;
        let wanted = Some(compression.stream()).filter(|_| compression != Compression::None);
        request.query("encoding").is_none_or(|asked| asked == encoding.name())
            && request.query("compress") == wanted
    }

    fn control(&self, request: &Request, stream: &TcpStream) -> io::Result<()> {
        let path = request.target();
        if path.contains("/gateway") {
            let (port, shards) = (self.port, self.streams.shards.len());
            let limit = serde_json::json!({
                "total": 100_000, "remaining": 100_000, "reset_after": 86_400_000,
                "max_concurrency": shards
            });
            let body = serde_json::json!({
                "url": format!("ws://127.0.0.1:{port}"), "shards": shards, "session_start_limit": limit
            });
            return answer(stream, &body.to_string());
        }
        let mut state = self.state();
        if path.starts_with("/go") {
            let rate = request.query("rate").and_then(|rate| rate.parse().ok()).unwrap_or(0.0);
            state.begin = Some((now_ns() + LEAD_NS, rate));
        } else if path.starts_with("/again") {
            *state = State { round: state.round + 1, ..State::default() };
        }
        self.changed.notify_all();
        let (ready, done, refused) = (state.ready, state.done, state.refused.clone());
        drop(state);
        let status = Status { ready, done, mean_bytes: self.streams.mean_bytes, refused };
        answer(stream, &serde_json::to_string(&status)?)
    }

    fn shard(&self, socket: &mut TcpStream) -> io::Result<()> {
        // Of one shard as of another.
        socket.write_all(self.streams.shards[0].frames(0, 1))?;
        // A heartbeat may come first.
        let number = loop {
            if let Some(number) = shard_of(&frame(socket)?.1) {
                break number;
            }
        };
        let shards = self.streams.shards.len();
        let stream = self.streams.shards.get(number).ok_or(io::ErrorKind::InvalidData)?;
        let round = self.state().round;
        socket.write_all(stream.frames(1, stream.first_event()))?;
        let reading = socket.try_clone()?;
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            while frame(&reading).is_ok_and(|(opcode, _)| opcode != CLOSE) {}
            // Ends a write that waits.
            let _ = reading.shutdown(std::net::Shutdown::Both);
        })?;
        let mut state = self.state();
        state.ready += usize::from(state.round == round);
        while state.begin.is_none() && state.round == round {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let Some((begin, rate)) = state.begin.filter(|_| state.round == round) else {
            return Ok(());
        };
        drop(state);
        if rate > 0.0 {
            // Each shard has the share of the rate that it has of the events, so that all end at one time; they are spread
            // over the time between two.
            let events = |stream: &Stream| (stream.len() - stream.first_event()) as f64;
            let all: f64 = self.streams.shards.iter().map(events).sum();
            let every = 1e9 * all / events(stream).max(1.0) / rate;
            let begin = begin as f64 + every * number as f64 / shards as f64;
            timed(stream, socket, |event| (begin + event as f64 * every) as u64)?;
        } else {
            flood(stream, socket)?;
        }
        let mut state = self.state();
        state.done += usize::from(state.round == round);
        while state.round == round {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

fn flood(stream: &Stream, socket: &mut TcpStream) -> io::Result<()> {
    let events = stream.frames(stream.first_event(), stream.len());
    events.chunks(WRITE_BYTES).try_for_each(|chunk| socket.write_all(chunk))
}

/// Open loop: each event is written when it is due, however the client is doing; what the source itself is late
/// with is in the time it was due.
fn timed(stream: &Stream, socket: &mut TcpStream, due: impl Fn(usize) -> u64) -> io::Result<()> {
    let (first, end) = (stream.first_event(), stream.len());
    let mut buffer = Vec::with_capacity(2 * WRITE_BYTES);
    let mut stamps = Vec::new();
    let mut next = first;
    while next < end {
        let now = now_ns();
        let early = due(next - first).saturating_sub(now);
        if early > 0 {
            std::thread::sleep(Duration::from_nanos(early));
            continue;
        }
        buffer.clear();
        stamps.clear();
        while next < end && due(next - first) <= now && buffer.len() < WRITE_BYTES {
            if let Some(at) = stream.stamp(next) {
                stamps.push((buffer.len() + at, due(next - first)));
            }
            buffer.extend_from_slice(stream.frames(next, next + 1));
            next += 1;
        }
        let now = now_ns();
        for &(at, due) in &stamps {
            digits(now, &mut buffer[at..at + DIGITS]);
            digits(due, &mut buffer[at + DIGITS..at + 2 * DIGITS]);
        }
        socket.write_all(&buffer)?;
    }
    Ok(())
}

/// Writes a time.
pub(crate) fn digits(mut number: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::source::Encoding;
    use crate::workload::Blend;

    /// What the server answers first, on a connection of its own.
    fn asked(port: u16, target: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
        let key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
        write!(stream, "GET {target} HTTP/1.1\r\n{key}\r\n\r\n").expect("asked");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn who_asks_for_something_else_than_was_encoded_is_refused_and_named() {
        let (blend, encoding, compression) = (Blend::Messages, Encoding::Json, Compression::Zlib);
        let load = Load { blend, events: 1, guilds: 1, shards: 1, encoding, compression };
        let server = Server::new(Streams::new(&load).expect("streams"), load).expect("a server");
        let (port, world) = (server.port(), Arc::clone(&server.world));
        std::thread::spawn(move || server.serve());
        let refused = || world.state().refused.clone();

        let right = "/?v=10&encoding=json&compress=zlib-stream";
        assert_eq!(asked(port, right), "HTTP/1.1 101");
        assert_eq!(refused(), "");
        for wrong in [
            "/?v=10&encoding=json&compress=zstd-stream",
            "/?v=10&encoding=etf&compress=zlib-stream",
            "/?v=10&encoding=json",
        ] {
            assert_eq!(asked(port, wrong), "HTTP/1.1 400");
            assert_eq!(refused(), wrong);
        }
    }
}
