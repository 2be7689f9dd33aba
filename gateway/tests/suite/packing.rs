//! Messages as bytes: ETF, and compressed streams of whatever shape a test wants.

use flate2::{Compress, Compression, FlushCompress};
use serde_json::Value;
use zstd_safe::zstd_sys::ZSTD_EndDirective as End;

/// A JSON value in ETF, with keys as binaries.
pub(crate) fn etf(value: &Value) -> Vec<u8> {
    let mut out = vec![131];
    term(value, &mut out);
    out
}

fn term(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => atom("nil", out),
        Value::Bool(true) => atom("true", out),
        Value::Bool(false) => atom("false", out),
        Value::Number(number) => {
            let number = i32::try_from(number.as_i64().expect("an integer")).expect("a small one");
            out.push(98);
            out.extend(number.to_be_bytes());
        }
        Value::String(text) => {
            out.push(109);
            sized(text.as_bytes(), out);
        }
        Value::Array(list) => {
            out.push(108);
            count(list.len(), out);
            list.iter().for_each(|item| term(item, out));
            out.push(106);
        }
        Value::Object(map) => {
            out.push(116);
            count(map.len(), out);
            for (key, value) in map {
                out.push(109);
                sized(key.as_bytes(), out);
                term(value, out);
            }
        }
    }
}

fn atom(name: &str, out: &mut Vec<u8>) {
    out.push(100);
    out.extend(u16::try_from(name.len()).expect("short").to_be_bytes());
    out.extend(name.as_bytes());
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    count(bytes.len(), out);
    out.extend(bytes);
}

fn count(count: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(count).expect("small").to_be_bytes());
}

/// One connection's `zlib-stream`.
pub(crate) struct Zlib(Compress);

impl Zlib {
    pub(crate) fn new() -> Self {
        Self(Compress::new(Compression::fast(), true))
    }

    /// Compresses and flushes: ends with `00 00 ff ff`.
    pub(crate) fn flushed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() * 2 + 1024);
        self.0.compress_vec(bytes, &mut out, FlushCompress::Sync).expect("compresses");
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out
    }
}

/// A whole zstd frame.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    let mut buffer = zstd_safe::OutBuffer::around(&mut out);
    let mut input = zstd_safe::InBuffer::around(bytes);
    zstd_safe::CCtx::create()
        .compress_stream2(&mut buffer, &mut input, End::ZSTD_e_end)
        .expect("compresses");
    out
}
