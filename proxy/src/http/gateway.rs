//! Where the gateway is, and the handshake of its websocket.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mixcord_wire::compress::Transport;
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Body, error, json as answer};
use crate::client::{self, Wish};
use crate::door::Shown;
use crate::encode::Encoding;
use crate::moved::Watched;
use crate::site::Site;

/// Bytes of a message that are read, in order to refuse it: Discord takes 4,096 (G-30).
const MESSAGE_MAX: usize = 64 << 10;
/// Bytes of the buffer that a connection is read into.
const READ_BUFFER: usize = 8 << 10;

/// A websocket that is about to be one.
pub(super) struct Opened {
    upgrade: OnUpgrade,
    wish: Wish,
    url: String,
}

/// `GET /gateway`.
pub(super) fn gateway(site: &Site, request: &Request<Incoming>) -> Response<Body> {
    answer(StatusCode::OK, &json!({ "url": url(site, request.headers()) }))
}

/// `GET /gateway/bot`: shards as the operator wishes, and a limit that nobody reaches, for no identify goes to
/// Discord.
pub(super) fn gateway_bot(site: &Site, request: &Request<Incoming>) -> Response<Body> {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = Shown::new(shown.unwrap_or_default());
    match tokio::task::block_in_place(|| site.door.admits(&shown)) {
        Some(true) => {}
        Some(false) => return error(StatusCode::UNAUTHORIZED, "401: Unauthorized"),
        None => {
            let why = "mixcord-gateway has no session yet, and so nobody knows the bot's token";
            return error(StatusCode::SERVICE_UNAVAILABLE, why);
        }
    }
    let shards = site.settings.shards;
    answer(
        StatusCode::OK,
        &json!({
            "url": url(site, request.headers()),
            "shards": shards,
            "session_start_limit":
                { "total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": shards.max(16) },
        }),
    )
}

/// Where whoever asked finds the websocket.
fn url(site: &Site, headers: &HeaderMap) -> String {
    if let Some(url) = &site.settings.public_url {
        return url.clone();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    format!("ws://{}", host.unwrap_or("127.0.0.1"))
}

/// Answers the handshake of a websocket, whatever its path.
pub(super) fn upgrade(
    site: &Site,
    mut request: Request<Incoming>,
    sockets: &tokio::sync::mpsc::UnboundedSender<Opened>,
) -> Response<Body> {
    let text =
        |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_socket = text(header::UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let version = text(header::SEC_WEBSOCKET_VERSION);
    let is_get = request.method() == Method::GET;
    let Some(key) = key.filter(|_| is_get && is_socket && version == Some("13")) else {
        return error(StatusCode::BAD_REQUEST, "not the handshake of a websocket");
    };
    let accept = derive_accept_key(key.as_bytes());
    let Some(wish) = wish(request.uri().query().unwrap_or_default()) else {
        return error(
            StatusCode::BAD_REQUEST,
            "encoding is json or etf, compress zlib-stream or zstd-stream",
        );
    };
    let url = url(site, request.headers());
    let upgrade = hyper::upgrade::on(&mut request);
    // Nobody listens any more when the proxy ends.
    let _ = sockets.send(Opened { upgrade, wish, url });
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// What the address asks for (G-3); `None` of an encoding or a compression that Discord does not have.
fn wish(query: &str) -> Option<Wish> {
    let mut wish = Wish { version: Some(10), encoding: Encoding::Json, transport: Transport::None };
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "v" => wish.version = value.parse().ok().filter(|version| matches!(version, 9 | 10)),
            "encoding" => {
                wish.encoding = match value {
                    "json" => Encoding::Json,
                    "etf" => Encoding::Etf,
                    _ => return None,
                }
            }
            "compress" => wish.transport = Transport::named(value)?,
            _ => {}
        }
    }
    Some(wish)
}

/// Speaks with a client until either ends.
pub(super) async fn speak(site: Arc<Site>, opened: Opened) {
    let Opened { upgrade, wish, url } = opened;
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "a websocket was not opened"),
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
        .read_buffer_size(READ_BUFFER);
    let (io, taken) = Watched::new(TokioIo::new(upgraded));
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    client::serve(site, (socket, taken), wish, url).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_the_address_says_how_to_speak() {
        let read = |query| wish(query).map(|wish| (wish.version, wish.encoding, wish.transport));
        assert_eq!(read(""), Some((Some(10), Encoding::Json, Transport::None)));
        let etf = read("v=9&encoding=etf&compress=zstd-stream");
        assert_eq!(etf, Some((Some(9), Encoding::Etf, Transport::Zstd)));
        assert_eq!(read("v=8").map(|read| read.0), Some(None));
        assert_eq!(read("encoding=xml"), None);
        assert_eq!(read("compress=gzip"), None);
    }
}
