//! Each shard's whole stream as websocket frames, ready to be written.

use anyhow::{Context, Result};
use flate2::{Compress, FlushCompress};
use serde_json::{Value, json};
use zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_flush;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, compress_bound};

use super::{Compression, Encoding, Load};
use crate::probe::{STAMP, STAMP_HEAD};
use crate::workload::{Mix, etf, guild};

/// No heartbeat is due while it is measured.
const HEARTBEAT_MS: u32 = 3_600_000;

/// One shard's frames, in one piece.
#[derive(Debug)]
pub struct Stream {
    bytes: Vec<u8>,
    /// Where each frame begins, and at last where all end.
    begins: Vec<usize>,
    /// Where in a frame its two times are to be written; 0 where there are none.
    stamps: Vec<u32>,
    /// Frames before the events: HELLO, READY, GUILD_CREATEs.
    before_events: usize,
}

/// The streams of all shards.
#[derive(Debug)]
pub struct Streams {
    /// By shard.
    pub shards: Vec<Stream>,
    /// Mean length of an event before compression.
    pub mean_bytes: f64,
}

impl Stream {
    /// Frames `from` to before `to`.
    #[must_use]
    pub fn frames(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[self.begins[from]..self.begins[to]]
    }

    /// Where the frame has its times.
    #[must_use]
    pub fn stamp(&self, frame: usize) -> Option<usize> {
        Some(self.stamps[frame] as usize).filter(|&at| at > 0)
    }

    /// The first frame of an event.
    #[must_use]
    pub const fn first_event(&self) -> usize {
        self.before_events
    }

    /// All frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stamps.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stamps.is_empty()
    }
}

impl Streams {
    /// Makes and encodes everything.
    ///
    /// # Errors
    /// A compressor fails.
    pub fn new(load: &Load) -> Result<Self> {
        let made: Result<Vec<_>> = (0..load.shards).map(|shard| Maker::new(load, shard)).collect();
        let mut makers = made?;
        let of = |guild: u64| {
            let id: u64 = guild::id(guild, 0).parse().unwrap_or_default();
            ((id >> 22) % u64::from(load.shards)) as usize
        };
        for number in 0..load.guilds {
            let message: Value = serde_json::from_str(&guild::create(number))?;
            makers[of(number)].dispatch("GUILD_CREATE", &message["d"])?;
        }
        for maker in &mut makers {
            maker.stream.before_events = maker.stream.stamps.len();
            maker.plain_bytes = 0;
        }
        let mut mix = Mix::new(load.guilds).of(load.blend, STAMP);
        for _ in 0..load.events {
            let (name, guild, data) = mix.event();
            makers[of(guild)].dispatch(name, &data)?;
        }
        let plain: u64 = makers.iter().map(|maker| maker.plain_bytes).sum();
        let shards = makers.into_iter().map(|maker| maker.stream).collect();
        Ok(Self { shards, mean_bytes: plain as f64 / load.events.max(1) as f64 })
    }
}

enum Compressor {
    None,
    Zlib(Box<Compress>),
    Zstd(CCtx<'static>),
}

/// Writes one shard's stream.
struct Maker {
    stream: Stream,
    encoding: Encoding,
    compressor: Compressor,
    seq: u64,
    plain_bytes: u64,
}

impl Maker {
    fn new(load: &Load, shard: u16) -> Result<Self> {
        let compressor = match load.compression {
            Compression::None => Compressor::None,
            Compression::Zlib => {
                Compressor::Zlib(Box::new(Compress::new(flate2::Compression::default(), true)))
            }
            Compression::Zstd => {
                let mut context = CCtx::create();
                context.set_parameter(CParameter::CompressionLevel(3)).map_err(zstd_error)?;
                Compressor::Zstd(context)
            }
        };
        let (bytes, begins, stamps) = (Vec::new(), vec![0], Vec::new());
        let stream = Stream { bytes, begins, stamps, before_events: 0 };
        let encoding = load.encoding;
        let mut this = Self { stream, encoding, compressor, seq: 0, plain_bytes: 0 };
        this.message(&json!({
            "op": 10, "s": null, "t": null,
            "d": {"heartbeat_interval": HEARTBEAT_MS, "_trace": ["[\"bench\"]"]}
        }))?;
        this.dispatch("READY", &ready(shard, load.shards))?;
        Ok(this)
    }

    fn dispatch(&mut self, name: &str, data: &Value) -> Result<()> {
        self.seq += 1;
        match self.encoding {
            // Discord's order: clients look for the type and the number first.
            Encoding::Json => {
                let text = format!(r#"{{"t":"{name}","s":{},"op":0,"d":{data}}}"#, self.seq);
                self.frame(text.as_bytes())
            }
            Encoding::Etf => self.message(&json!({"op": 0, "s": self.seq, "t": name, "d": data})),
        }
    }

    fn message(&mut self, message: &Value) -> Result<()> {
        match self.encoding {
            Encoding::Json => self.frame(message.to_string().as_bytes()),
            Encoding::Etf => self.frame(&etf::encode(message)),
        }
    }

    fn frame(&mut self, payload: &[u8]) -> Result<()> {
        self.plain_bytes += payload.len() as u64;
        let is_plain = matches!(self.compressor, Compressor::None);
        let is_text = is_plain && self.encoding == Encoding::Json;
        let compressed = self.compressor.message(payload)?;
        let body = compressed.as_deref().unwrap_or(payload);
        let begin = self.stream.bytes.len();
        head(is_text, body.len(), &mut self.stream.bytes);
        let head_bytes = self.stream.bytes.len() - begin;
        self.stream.bytes.extend_from_slice(body);
        self.stream.begins.push(self.stream.bytes.len());
        let stamp = memchr::memmem::find(payload, STAMP.as_bytes()).filter(|_| is_plain);
        let stamp = stamp.map_or(0, |at| head_bytes + at + STAMP_HEAD.len());
        self.stream.stamps.push(u32::try_from(stamp).context("a frame of gigabytes")?);
        Ok(())
    }
}

impl Compressor {
    /// The message in the connection's one compressed stream; `None` where nothing is compressed.
    fn message(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(compress_bound(payload.len()) + 64);
        match self {
            Self::None => return Ok(None),
            Self::Zlib(zlib) => {
                let begin = zlib.total_in();
                loop {
                    let read = usize::try_from(zlib.total_in() - begin)?;
                    zlib.compress_vec(&payload[read..], &mut out, FlushCompress::Sync)?;
                    let is_read = zlib.total_in() - begin == payload.len() as u64;
                    if is_read && out.len() < out.capacity() {
                        break;
                    }
                    out.reserve(4096);
                }
            }
            Self::Zstd(zstd) => {
                let mut input = InBuffer::around(payload);
                loop {
                    let at = out.len();
                    let left = {
                        let mut output = OutBuffer::around_pos(&mut out, at);
                        zstd.compress_stream2(&mut output, &mut input, ZSTD_e_flush)
                            .map_err(zstd_error)?
                    };
                    if left == 0 {
                        break;
                    }
                    out.reserve(left + 1024);
                }
            }
        }
        Ok(Some(out))
    }
}

fn zstd_error(code: usize) -> anyhow::Error {
    anyhow::anyhow!("zstd: {}", zstd_safe::get_error_name(code))
}

/// The head of an unmasked, unfragmented frame.
fn head(is_text: bool, length: usize, out: &mut Vec<u8>) {
    out.push(0x80 | if is_text { 1 } else { 2 });
    match length {
        0..126 => out.push(length as u8),
        126..0x1_0000 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

fn ready(shard: u16, shards: u16) -> Value {
    json!({
        "v": 10, "guilds": [], "private_channels": [], "relationships": [], "presences": [],
        "user": {
            "id": "100000000000000001", "username": "bench", "discriminator": "0", "avatar": null,
            "bot": true, "mfa_enabled": false, "verified": true, "email": null, "flags": 0,
            "global_name": null
        },
        "session_id": format!("{:032x}", shard + 1), "session_type": "normal",
        "resume_gateway_url": "ws://127.0.0.1:1", "shard": [shard, shards],
        "application": {"id": "100000000000000001", "flags": 0}, "user_settings": {},
        "geo_ordered_rtc_regions": [], "guild_join_requests": [], "_trace": []
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Blend;

    fn load(encoding: Encoding, compression: Compression) -> Load {
        Load { blend: Blend::Everything, events: 40, guilds: 3, shards: 2, encoding, compression }
    }

    /// The payloads of a stream, as a client inflates and reads them.
    fn payloads(stream: &Stream, compression: Compression) -> Vec<Vec<u8>> {
        let mut zlib = flate2::Decompress::new(true);
        let mut zstd = zstd_safe::DCtx::create();
        (0..stream.len())
            .map(|frame| {
                let bytes = stream.frames(frame, frame + 1);
                let body = &bytes[match bytes[1] {
                    126 => 4,
                    127 => 10,
                    _ => 2,
                }..];
                let mut out = Vec::with_capacity(1 << 20);
                match compression {
                    Compression::None => out.extend_from_slice(body),
                    Compression::Zlib => {
                        zlib.decompress_vec(body, &mut out, flate2::FlushDecompress::Sync)
                            .expect("zlib");
                    }
                    Compression::Zstd => {
                        let mut output = OutBuffer::around(&mut out);
                        let mut input = InBuffer::around(body);
                        zstd.decompress_stream(&mut output, &mut input).expect("zstd");
                    }
                }
                out
            })
            .collect()
    }

    #[test]
    fn every_encoding_and_compression_says_the_same() {
        let plain = Streams::new(&load(Encoding::Json, Compression::None)).expect("streams");
        let events: usize = plain.shards.iter().map(|s| s.len() - s.first_event()).sum();
        assert_eq!(events, 40);
        for compression in [Compression::Zlib, Compression::Zstd] {
            let packed = Streams::new(&load(Encoding::Json, compression)).expect("streams");
            for (shard, plain) in plain.shards.iter().enumerate() {
                let wanted = payloads(plain, Compression::None);
                assert!(payloads(&packed.shards[shard], compression) == wanted, "{compression:?}");
                assert!((0..plain.len()).all(|n| packed.shards[shard].stamp(n).is_none()));
            }
        }
        let etf = Streams::new(&load(Encoding::Etf, Compression::None)).expect("streams");
        for (etf, json) in etf.shards.iter().zip(&plain.shards) {
            assert_eq!(etf.len(), json.len());
            assert_eq!(etf.first_event(), json.first_event());
            assert!(payloads(etf, Compression::None).iter().all(|term| term[0] == 131));
        }
    }

    #[test]
    fn messages_have_room_for_two_times() {
        for encoding in [Encoding::Json, Encoding::Etf] {
            let mut load = load(encoding, Compression::None);
            load.blend = Blend::Messages;
            let streams = Streams::new(&load).expect("streams");
            for stream in &streams.shards {
                for frame in stream.first_event()..stream.len() {
                    let at = stream.stamp(frame).expect("a stamp");
                    let zeros = &stream.frames(frame, frame + 1)[at..at + 2 * crate::probe::DIGITS];
                    assert!(zeros.iter().all(|&digit| digit == b'0'));
                }
            }
        }
    }
}
