//! Whatever a client does, only its own connection suffers, and nothing grows without a bound.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, JSON, get, server};

const HANDSHAKE: &[u8] = b"GET /?v=10 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

async fn socket(server: &fake_discord::Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port())).await.expect("a socket")
}

/// A websocket of which every byte is the test's own.
async fn raw_websocket(server: &fake_discord::Server) -> TcpStream {
    let mut stream = socket(server).await;
    stream.write_all(HANDSHAKE).await.expect("sent");
    stream
}

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The code in the close frame at the end of what was read.
fn close_code(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(2).rposition(|head| head[0] == 0x88 && (2..126).contains(&head[1]))?;
    Some(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]))
}

#[tokio::test]
async fn hostile_http_is_refused_and_harms_nobody() {
    let server = server(|_| {}).await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 20_000]].concat(),
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n".to_vec(),
    ] {
        let mut stream = socket(&server).await;
        stream.write_all(&bytes).await.expect("sent");
        let mut answer = Vec::new();
        // The server may reset what it did not read.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    }
    get(&server, "/api/v10/gateway").await;
    server.stop().await;
}

#[tokio::test]
async fn hostile_frames_close_only_their_own_connection() {
    let server = server(|config| config.events = Some(0)).await;
    let mut good = Client::identified(&server, JSON, [0, 1]).await;
    good.event("READY").await;
    for frame in [
        b"\x81\x02hi".to_vec(),
        b"\xf1\x82\0\0\0\0hi".to_vec(),
        b"\x89\xfe\xff\xff\0\0\0\0".to_vec(),
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x80\x82\0\0\0\0hi".to_vec(),
    ] {
        let mut stream = raw_websocket(&server).await;
        stream.write_all(&frame).await.expect("sent");
        stream.shutdown().await.expect("no more");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 101"));
    }
    good.send(&json!({"op": 1, "d": good.seq})).await;
    good.op(11).await;
    assert_eq!(get(&server, "/fake/status").await["sessions"][0]["connected"], true);
    server.stop().await;
}

#[tokio::test]
async fn a_message_in_fragments_is_one_message_and_too_many_of_them_are_closed_with_4002() {
    let server = server(|_| {}).await;
    let mut stream = raw_websocket(&server).await;
    for (first, part) in [
        (0x01, &b"{\"op\""[..]),
        (0x00, b""),
        (0x89, b"ping"),
        (0x00, b":1,"),
        (0x80, b"\"d\":null}"),
    ] {
        stream.write_all(&frame(first, part)).await.expect("sent");
    }
    let mut answer = Vec::new();
    let has = |answer: &[u8], part: &[u8]| answer.windows(part.len()).any(|it| it == part);
    while !has(&answer, b"\"op\":11") || !has(&answer, b"ping") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "closed");
    }
    // 4,097 bytes, the last of them in a frame of its own.
    stream.write_all(&frame(0x01, &[b' '; 4096])).await.expect("sent");
    stream.write_all(&frame(0x00, b" ")).await.expect("sent");
    stream.shutdown().await.expect("no more");
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(close_code(&answer), Some(4002));
    server.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_json_are_closed_with_4002() {
    let server = server(|_| {}).await;
    for text in
        ["[".repeat(4000), "{\"op\":1e400}".to_owned(), "{\"op\":-1}".to_owned(), String::new()]
    {
        let mut client = Client::connect(&server, JSON).await;
        client.message().await;
        client.send_raw(Message::text(text)).await;
        assert_eq!(client.closed().await, Some(4002));
    }
    // Text that is not UTF-8.
    let mut stream = raw_websocket(&server).await;
    stream.write_all(&frame(0x81, b"{\"op\":1,\"d\":null,\"x\":\"\xff\"}")).await.expect("sent");
    stream.shutdown().await.expect("no more");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(close_code(&answer), Some(4002));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_of_a_client_that_does_not_read_are_not_piled_up() {
    const PINGS: usize = 200_000;
    let server = server(|_| {}).await;
    let mut stream = raw_websocket(&server).await;
    let ping = frame(0x89, &[b'p'; 120]);
    stream.write_all(&ping.repeat(PINGS)).await.expect("the server reads on");
    stream.write_all(&frame(0x89, b"last")).await.expect("sent");
    // Only the answer to the last one is owed; those between fit the buffers of the system or not.
    let mut pongs = 0;
    let mut answer = Vec::new();
    while !answer.ends_with(b"last") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "closed");
        if answer.len() > 1 << 20 {
            pongs += answer.len() / 122;
            answer.drain(..answer.len() - 4);
        }
    }
    assert!(pongs < PINGS / 2, "{pongs} pongs were kept for a client that did not read");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_connections_come_and_go() {
    let server = server(|config| config.events = Some(0)).await;
    let mut good = Client::identified(&server, JSON, [0, 1]).await;
    good.event("READY").await;
    let mut open = Vec::new();
    for at in 0..3000 {
        let mut stream = socket(&server).await;
        let part = &HANDSHAKE[..at * 7 % HANDSHAKE.len()];
        stream.write_all(part).await.expect("sent");
        // Some stay half open, as far as the system allows.
        if at % 15 == 0 {
            open.push(stream);
        }
    }
    good.send(&json!({"op": 1, "d": good.seq})).await;
    good.op(11).await;
    assert_eq!(get(&server, "/fake/status").await["sessions"][0]["connected"], true);
    drop(open);
    server.stop().await;
}
