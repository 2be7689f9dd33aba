//! Opening a websocket.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use super::tls::Tls;

/// An open websocket.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// TCP, TLS and the websocket handshake together may take this long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Read at once: a burst of ordinary events. Each connection holds this much.
const READ_BUFFER: usize = 64 << 10;
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
    /// Everything else.
    #[error("{url}: {error}")]
    Failed {
        /// The URL.
        url: String,
        /// What went wrong.
        error: Box<tokio_tungstenite::tungstenite::Error>,
    },
}

/// Opens `url`; messages may be `limit` bytes long. With `encrypted`, only `wss` will do.
///
/// # Errors
/// When there is no connection in the end.
pub async fn connect(
    url: String,
    tls: Tls,
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
    let connector = Connector::Rustls(tls.client());
    let attempt = tokio_tungstenite::connect_async_tls_with_config(
        url.as_str(),
        Some(config),
        true,
        Some(connector),
    );
    match tokio::time::timeout(TIMEOUT, attempt).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(ConnectError::Failed { url, error: Box::new(error) }),
        Err(_) => Err(ConnectError::Timeout { url }),
    }
}
