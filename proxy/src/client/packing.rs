//! A gateway message as what its client asked for: text or binary, compressed or not.

use bytes::Bytes;
use mixcord_wire::compress::{Compressor, Transport, deflate_alone};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::End;
use crate::encode::Encoding;

/// With `compress: true`, messages shorter than this stay as they are.
const WORTH_COMPRESSING: usize = 512;

/// What one connection's messages are put into.
pub(super) struct Packing {
    encoding: Encoding,
    transport: Transport,
    compressor: Compressor,
    /// IDENTIFY asked for compressed payloads (G-34).
    compresses_payloads: bool,
}

impl Packing {
    pub(super) fn new(encoding: Encoding, transport: Transport) -> Result<Self, End> {
        let compressor = Compressor::new(transport, false).map_err(|_| End::Lost)?;
        Ok(Self { encoding, transport, compressor, compresses_payloads: false })
    }

    pub(super) const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Only where the transport is not compressed, and only JSON (G-34).
    pub(super) fn compress_payloads(&mut self) {
        self.compresses_payloads =
            self.transport == Transport::None && self.encoding == Encoding::Json;
    }

    /// The next message of the connection.
    pub(super) fn pack(&mut self, message: &[u8]) -> Result<Message, End> {
        Ok(match (self.transport, self.encoding) {
            (Transport::None, _)
                if self.compresses_payloads && message.len() >= WORTH_COMPRESSING =>
            {
                let mut out = Vec::new();
                deflate_alone(message, &mut out).map_err(|_| End::Lost)?;
                Message::Binary(out.into())
            }
            (Transport::None, Encoding::Json) => {
                let text = Bytes::copy_from_slice(message);
                Message::Text(Utf8Bytes::try_from(text).map_err(|_| End::Lost)?)
            }
            (Transport::None, Encoding::Etf) => Message::Binary(Bytes::copy_from_slice(message)),
            _ => {
                let mut out = Vec::with_capacity(message.len() / 2 + 64);
                self.compressor.write(message, &mut out).map_err(|_| End::Lost)?;
                Message::Binary(out.into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
    use mixcord::event::Document;
    use zstd_safe::{DCtx, InBuffer, OutBuffer};

    use super::*;
    use crate::encode::Control;

    /// More than any message of these tests.
    const ROOM: usize = 1 << 20;

    /// HELLO, a large dispatch that does not compress well, a small one, and an ACK.
    fn messages(encoding: Encoding) -> Vec<Vec<u8>> {
        let mut dice = 1_u64;
        let noise: String = std::iter::repeat_with(|| {
            dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            format!("{:x}", dice >> 20)
        })
        .take(20_000)
        .collect();
        let large = format!(r#"{{"id":"175928847299117063","name":"{noise}","members":[]}}"#);
        let mut all = vec![Vec::new(); 4];
        let [hello, guild, small, ack] = &mut all[..] else { unreachable!("four") };
        encoding.write_control(10, Control::Hello { interval_ms: 41_250 }, hello);
        for (seq, name, data, out) in
            [(1, "GUILD_CREATE", &*large, guild), (2, "GUILD_DELETE", r#"{"id":"1"}"#, small)]
        {
            let mut body = Vec::new();
            let data = Document::from_json(data).expect("json");
            encoding.write_body(data.value(), None, &mut body);
            encoding.write_dispatch(name, seq, &body, out);
        }
        encoding.write_control(11, Control::Null, ack);
        all
    }

    /// A client, which inflates each message by itself as it comes.
    struct Reader {
        transport: Transport,
        zlib: Decompress,
        zstd: DCtx<'static>,
    }

    impl Reader {
        fn new(transport: Transport) -> Self {
            Self { transport, zlib: Decompress::new(true), zstd: DCtx::create() }
        }

        fn read(&mut self, message: &Message) -> Vec<u8> {
            let bytes = match message {
                Message::Text(text) => return text.as_bytes().to_vec(),
                Message::Binary(bytes) => &bytes[..],
                other => panic!("{other:?}"),
            };
            let mut out = Vec::with_capacity(ROOM);
            match self.transport {
                // With compress: true each message is a stream of its own, and JSON begins with a brace.
                Transport::None if bytes[0] == 0x78 => {
                    let mut alone = Decompress::new(true);
                    let ended = alone.decompress_vec(bytes, &mut out, FlushDecompress::Finish);
                    assert_eq!(ended.expect("zlib"), flate2::Status::StreamEnd);
                }
                Transport::None => out.extend_from_slice(bytes),
                Transport::Zlib => {
                    assert!(bytes.ends_with(&[0, 0, 0xFF, 0xFF]), "G-35: no sync flush");
                    self.zlib.decompress_vec(bytes, &mut out, FlushDecompress::Sync).expect("zlib");
                }
                Transport::Zstd => {
                    let mut input = InBuffer::around(bytes);
                    let mut output = OutBuffer::around(&mut out);
                    self.zstd.decompress_stream(&mut output, &mut input).expect("zstd");
                    assert_eq!(input.pos(), bytes.len(), "G-36: one message is one message");
                }
            }
            out
        }
    }

    #[test]
    fn g34_to_g37_every_encoding_in_every_compression_says_the_same() {
        for encoding in [Encoding::Json, Encoding::Etf] {
            let plain = messages(encoding);
            for transport in [Transport::None, Transport::Zlib, Transport::Zstd] {
                for compress in [false, true] {
                    let mut packing = Packing::new(encoding, transport).expect("memory");
                    if compress {
                        packing.compress_payloads();
                    }
                    let mut reader = Reader::new(transport);
                    for plain in &plain {
                        let packed = packing.pack(plain).expect("packed");
                        let case = format!("{encoding:?} {transport:?} {compress} {}", plain.len());
                        assert!(reader.read(&packed) == *plain, "{case}");
                        // A client that asked for nothing is sent what it can read as it comes.
                        let is_plain = transport == Transport::None
                            && !(compress && encoding == Encoding::Json && plain.len() >= 512);
                        assert_eq!(packed.len() == plain.len(), is_plain, "{case}");
                        let is_text = is_plain && encoding == Encoding::Json;
                        assert_eq!(packed.is_text(), is_text, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn g35_one_stream_goes_through_the_whole_connection() {
        for transport in [Transport::Zlib, Transport::Zstd] {
            let mut packing = Packing::new(Encoding::Json, transport).expect("memory");
            let [_, guild, ..] = &messages(Encoding::Json)[..] else { unreachable!("four") };
            let lengths = [(); 2].map(|()| packing.pack(&guild[..9_000]).expect("packed").len());
            assert!(lengths[1] < lengths[0] / 4, "what was said is known: {lengths:?}");
        }
    }
}
