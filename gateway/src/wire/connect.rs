//! Opening a websocket.

use std::time::Duration;

use tokio_tungstenite::Connector;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::dial::dial;
use super::proxy::{Proxy, tunnel};
use super::socket::Socket;
use super::tls::Tls;

/// What we call ourselves, in the form that Discord asks for.
pub const USER_AGENT: &str =
    concat!("DiscordBot (mixcord-gateway, ", env!("CARGO_PKG_VERSION"), ")");

/// TCP, TLS and the websocket handshake together may take this long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Read at once: as much as one TLS record holds. Each connection keeps this much, and tungstenite fills it
/// with zeros before each read ([`Socket`]).
const READ_BUFFER: usize = 16 << 10;
/// A server that asks for a longer pause is asked again after this one.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// Nothing of ours is larger than 4 KiB; more than this waiting means nobody takes it.
const WRITE_BUFFER_MAX: usize = 256 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The API speaks TLS and this URL does not: the token would travel in the open.
    #[error("{url} is not encrypted although the API is")]
    Downgrade {
        /// The URL.
        url: String,
    },
    /// It took too long.
    #[error("{url}: no connection within {} s", TIMEOUT.as_secs())]
    Timeout {
        /// The URL.
        url: String,
    },
    /// The server answered, but not with a websocket.
    #[error("{url}: answered {status}")]
    Refused {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Not before this time (`Retry-After`).
        after: Option<Duration>,
    },
    /// Everything else.
    #[error("{url}: {error}")]
    Failed {
        /// The URL.
        url: String,
        /// What went wrong.
        error: Box<WsError>,
    },
}

impl ConnectError {
    /// The pause that the server asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            _ => None,
        }
    }
}

/// Opens `url`, through the proxy if there is one for it; messages may be `limit` bytes long. With `encrypted`,
/// only `wss` will do.
///
/// # Errors
/// When there is no connection in the end.
pub async fn connect(
    url: String,
    tls: Tls,
    proxy: Option<Proxy>,
    limit: usize,
    encrypted: bool,
) -> Result<Socket, ConnectError> {
    if encrypted && !url.starts_with("wss://") {
        return Err(ConnectError::Downgrade { url });
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    match tokio::time::timeout(TIMEOUT, open(&url, &tls, proxy.as_ref(), config)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(WsError::Http(answer))) => {
            let (status, after) = (answer.status().as_u16(), pause(&answer));
            Err(ConnectError::Refused { url, status, after })
        }
        Ok(Err(error)) => Err(ConnectError::Failed { url, error: Box::new(error) }),
        Err(_) => Err(ConnectError::Timeout { url }),
    }
}

async fn open(
    url: &str,
    tls: &Tls,
    proxy: Option<&Proxy>,
    config: WebSocketConfig,
) -> Result<Socket, WsError> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let (host, port) = (host(&request), port(&request));
    let stream = match proxy.and_then(|proxy| proxy.of(request.uri())) {
        Some(proxy) => tunnel(proxy, host, port).await?,
        None => dial(host, port).await?,
    };
    let connector = Connector::Rustls(tls.client());
    let opened = tokio_tungstenite::client_async_tls_with_config(
        request,
        stream,
        Some(config),
        Some(connector),
    );
    opened.await.map(|(socket, _)| Socket::new(socket))
}

/// Without the brackets of an IPv6 address, which are the URL's.
fn host(request: &Request) -> &str {
    let host = request.uri().host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn port(request: &Request) -> u16 {
    let usual = if request.uri().scheme_str() == Some("ws") { 80 } else { 443 };
    request.uri().port_u16().unwrap_or(usual)
}

/// `Retry-After` in seconds; Discord sends no dates.
fn pause(answer: &Response) -> Option<Duration> {
    let told = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = told.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite())?;
    Duration::try_from_secs_f64(seconds.min(PAUSE_MAX.as_secs_f64())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> Request {
        url.into_client_request().expect("a request")
    }

    #[test]
    fn host_and_port_of_every_kind_of_url() {
        for (url, wanted) in [
            ("wss://gateway.discord.gg/?v=10", ("gateway.discord.gg", 443)),
            ("ws://127.0.0.1:8080/", ("127.0.0.1", 8080)),
            ("ws://[::1]/x", ("::1", 80)),
            ("wss://[2001:db8::1]:444", ("2001:db8::1", 444)),
        ] {
            let request = request(url);
            assert_eq!((host(&request), port(&request)), wanted, "{url}");
        }
    }

    #[test]
    fn a_pause_is_read_and_bounded() {
        let answer = |text: &str| {
            let mut answer = Response::new(None);
            let value = HeaderValue::from_str(text).expect("a value");
            answer.headers_mut().insert(header::RETRY_AFTER, value);
            pause(&answer)
        };
        assert_eq!(answer("3"), Some(Duration::from_secs(3)));
        assert_eq!(answer(" 0.25 "), Some(Duration::from_millis(250)));
        assert_eq!(answer("1e300"), Some(PAUSE_MAX));
        for wrong in ["-1", "NaN", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(answer(wrong), None, "{wrong}");
        }
        assert_eq!(pause(&Response::new(None)), None);
    }
}
