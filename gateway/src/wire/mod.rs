//! What goes over the wire, below the level of messages.

mod connect;
mod dial;
mod inflate;
mod proxy;
mod socket;
mod tls;
mod url;

pub use connect::{ConnectError, USER_AGENT, connect};
pub use inflate::{Compression, InflateError, Inflater};
pub use proxy::{Proxy, ProxyError};
pub use socket::Socket;
pub use tls::{CaError, Tls};
pub use url::{API_VERSION, gateway_url};
