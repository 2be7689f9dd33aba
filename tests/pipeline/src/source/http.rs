//! As much of HTTP and of a client's frames as the source needs.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest frame of a client: Discord allows 4 KiB.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// A request's head.
#[derive(Debug)]
pub(super) struct Request {
    text: String,
}

impl Request {
    pub(super) fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_BYTES_MAX {
                return Err(io::Error::other("a head that does not end"));
            }
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok(Self { text: String::from_utf8_lossy(&head).into_owned() })
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    /// What `name=` says in the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target().split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The key of a websocket's opening.
    pub(super) fn websocket_key(&self) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        })
    }
}

/// Answers with JSON and closes.
pub(super) fn answer(mut stream: &TcpStream, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// Opens no websocket.
pub(super) fn refuse(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// Opens the websocket.
pub(super) fn upgrade(mut stream: &TcpStream, key: &str) -> io::Result<()> {
    let accept = derive_accept_key(key.as_bytes());
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// A client's frame: opcode and payload.
pub(super) fn frame(mut stream: &TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut length = usize::from(head[1] & 0x7F);
    if length == 126 {
        let mut more = [0; 2];
        stream.read_exact(&mut more)?;
        length = usize::from(u16::from_be_bytes(more));
    }
    if length > FRAME_BYTES_MAX || head[1] & 0x7F == 127 || head[1] & 0x80 == 0 {
        return Err(io::Error::other("no frame that a client sends"));
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((head[0] & 15, payload))
}

/// The shard that an IDENTIFY names, in either encoding; `None` if it is none.
pub(super) fn shard_of(payload: &[u8]) -> Option<usize> {
    let at = memchr::memmem::find(payload, b"shard")?;
    let rest = &payload[at + b"shard".len()..];
    if let Some(json) = rest.strip_prefix(b"\"") {
        let digits = json.iter().skip_while(|byte| !byte.is_ascii_digit());
        let digits: Vec<u8> = digits.copied().take_while(u8::is_ascii_digit).collect();
        return std::str::from_utf8(&digits).ok()?.parse().ok();
    }
    // STRING_EXT, or a list of integers, small or not.
    let number = |bytes: &[u8]| match bytes {
        [97, small, ..] => Some(usize::from(*small)),
        [98, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        _ => None,
    };
    match rest {
        [107, _, _, shard, ..] => Some(usize::from(*shard)),
        [108, _, _, _, _, items @ ..] => number(items),
        [104, _, items @ ..] => number(items),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_an_identify() {
        assert_eq!(shard_of(br#"{"op":2,"d":{"shard":[17,64]}}"#), Some(17));
        assert_eq!(shard_of(br#"{"op":2,"d":{"shard": [3, 4]}}"#), Some(3));
        assert_eq!(shard_of(b"..shard\x6b\x00\x02\x05\x10"), Some(5));
        assert_eq!(
            shard_of(b"..shard\x6c\x00\x00\x00\x02\x61\xff\x62\x00\x00\x01\x00\x6a"),
            Some(255)
        );
        assert_eq!(
            shard_of(b"..shard\x6c\x00\x00\x00\x02\x62\x00\x00\x01\x01\x62\x00\x00\x02\x00\x6a"),
            Some(257)
        );
        assert_eq!(shard_of(br#"{"op":1,"d":null}"#), None);
    }
}
