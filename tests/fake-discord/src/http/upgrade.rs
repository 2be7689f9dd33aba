//! The websocket handshake.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Request, Response};
use crate::gateway::connection::Wish;
use crate::gateway::hub::Hub;
use crate::wire::message::Encoding;
use mixcord_wire::compress::Transport;

/// The answer that makes the connection a websocket, and what its address asked for (G-3).
pub(crate) fn accept(hub: &Hub, request: &Request) -> Result<(String, Wish), Response> {
    let path = request.path.trim_end_matches('/');
    if !path.is_empty() && path != "/gateway" {
        return Err(Response::error(404, 0, "404: Not Found"));
    }
    if request.method != "GET" || request.header("sec-websocket-version") != Some("13") {
        return Err(Response::error(400, 0, "not a websocket handshake of version 13"));
    }
    let Some(key) = request.header("sec-websocket-key") else {
        return Err(Response::error(400, 0, "Sec-WebSocket-Key is missing"));
    };
    let encoding = match request.param("encoding") {
        None | Some("" | "json") => Encoding::Json,
        Some("etf") => Encoding::Etf(hub.config.etf),
        Some(_) => return Err(Response::error(400, 0, "encoding must be json or etf")),
    };
    let transport = match request.param("compress") {
        None | Some("" | "false" | "none") => Transport::None,
        Some("zlib-stream") => Transport::Zlib,
        Some("zstd-stream") => Transport::Zstd,
        Some(_) => {
            return Err(Response::error(400, 0, "compress must be zlib-stream or zstd-stream"));
        }
    };
    let version_ok = matches!(request.param("v"), None | Some("9" | "10"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    let host = short(request.header("host").unwrap_or_default());
    let target = short(&request.target);
    Ok((answer, Wish { encoding, transport, version_ok, host, target }))
}

/// At most so much of it as is worth a line in the log.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
